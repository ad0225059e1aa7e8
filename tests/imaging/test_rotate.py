"""Turning: where pixels go, and what lies beyond the picture."""

from __future__ import annotations

import numpy as np
import pytest

from freefill.imaging.io import read_picture
from freefill.imaging.rotate import expanded, turned


def test_a_quarter_turn_is_exact() -> None:
    rows, columns = np.mgrid[0:40, 0:60]
    photo = np.stack([rows * 6, columns * 4, rows + columns], -1).astype(np.uint8)
    size = expanded((40, 60), 90)
    assert size == (60, 40)
    made, beyond = turned(read_picture(photo), 90, size)
    assert not beyond.any()
    assert (made.samples == np.rot90(photo)).all()


@pytest.mark.parametrize("angle", [3, -17, 44])
def test_beyond_is_what_the_picture_does_not_reach(angle: float) -> None:
    white = np.full((90, 130), 255, np.uint8)
    made, beyond = turned(read_picture(white), angle, expanded((90, 130), angle))
    # Pillow leaves 0 where there is nothing, and no such pixel may count as photo.
    assert (made.samples[~beyond] == 255).all()
    assert (~beyond).sum() == pytest.approx(89 * 129, rel=0.005)
    assert not beyond[beyond.shape[0] // 2, beyond.shape[1] // 2]


def test_there_and_back_is_the_same_picture(photo: np.ndarray) -> None:
    there, _ = turned(read_picture(photo), 8, expanded((96, 120), 8))
    back, beyond = turned(there, -8, (96, 120))
    assert not beyond.any()
    inside = np.s_[4:-4, 4:-4]
    off = np.abs(back.samples[inside].astype(int) - photo[inside])
    assert off.mean() < 3


def test_overshoot_is_cut_off_at_both_ends() -> None:
    steps = np.zeros((40, 40), np.uint16)
    steps[:, 20:] = 65535
    made, beyond = turned(read_picture(steps), 5)
    # Wrapped round, a little too bright would be black.
    assert (made.samples[:, 30:][~beyond[:, 30:]] > 60000).all()
    assert (made.samples[:, :10][~beyond[:, :10]] < 5000).all()


def test_the_nearest_opacity_is_beyond_the_border() -> None:
    clear = np.full((50, 50, 4), 255, np.uint8)
    clear[:25, :, 3] = 0
    made, beyond = turned(read_picture(clear), 10)
    assert (made.samples[:20, :, 3][beyond[:20]] == 0).all()
    assert (made.samples[32:, :, 3][beyond[32:]] == 255).all()
