"""Tilts of drawn lines: exact to a quarter of a degree, level ones and upright ones alike."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from freefill.vision.horizon import tilt

Colours = NDArray[np.float32]


def _horizon(angle: float, height: int = 200, width: int = 280) -> Colours:
    row, column = np.mgrid[0:height, 0:width]
    slope = np.tan(np.radians(angle))
    bright = np.clip(row - height / 2 + slope * (column - width / 2), 0, 1)
    return np.repeat(bright[..., None], 3, 2).astype(np.float32)


@pytest.mark.parametrize("angle", [-11, -4.3, -0.5, 0, 2.2, 7])
def test_a_horizon_and_a_wall_tell_the_same_angle(angle: float) -> None:
    horizon = _horizon(angle)
    # A quarter turn takes a level line to an upright one of the same tilt.
    for drawn in (horizon, np.rot90(horizon)):
        found = tilt(drawn)
        assert found.angle == pytest.approx(angle, abs=0.25)
        assert found.rival < 0.3 * found.support


def test_upright_lines_outweigh_level_ones() -> None:
    level, wall = _horizon(-6, 240, 240), np.rot90(_horizon(3, 240, 240))
    assert tilt((level + wall) / 2).angle == pytest.approx(3, abs=0.3)


def test_noise_and_emptiness_are_no_evidence() -> None:
    assert tilt(np.full((64, 64, 3), 0.5, np.float32)) == (0, 0, 0)
    noise = np.random.default_rng(0).random((200, 200, 3)).astype(np.float32)
    assert tilt(noise).support < 0.02
    row, column = np.mgrid[0:200, 0:200]
    ring = np.clip(np.hypot(row - 100, column - 100) - 60, 0, 1).astype(np.float32)
    assert tilt(np.repeat(ring[..., None], 3, 2)).support < 0.06
