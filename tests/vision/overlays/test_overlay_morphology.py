"""Morphology against its definition, and parts against what can be counted."""

from __future__ import annotations

import numpy as np
import pytest

from freefill.vision.overlays.morphology import closed, highest, lowest, mean_around, opened
from freefill.vision.overlays.parts import Parts, grown_from


@pytest.mark.parametrize("radius", [0, 1, 3, 6])
def test_squares_against_their_definition(radius: int) -> None:
    plane = np.random.default_rng(0).random((17, 23)).astype(np.float32)
    wide = np.pad(plane, radius, "edge")
    side = 2 * radius + 1
    windows = np.lib.stride_tricks.sliding_window_view(wide, (side, side))
    np.testing.assert_array_equal(highest(plane, radius), windows.max((2, 3)))
    np.testing.assert_array_equal(lowest(plane, radius), windows.min((2, 3)))
    np.testing.assert_allclose(mean_around(plane, radius), windows.mean((2, 3)), atol=1e-6)


def test_openings_take_what_is_thin_and_leave_what_is_not() -> None:
    plane = np.zeros((40, 40), np.float32)
    plane[5, 5:30] = 1  # a line
    plane[20:30, 20:30] = 1  # a square that a square of 7 fits into
    found = opened(plane, 3)
    assert found[5].max() == 0
    np.testing.assert_array_equal(found[20:30, 20:30], 1)
    np.testing.assert_array_equal(closed(1 - plane, 3), 1 - found)


def test_parts_are_measured_and_chosen() -> None:
    mask = np.zeros((10, 20), bool)
    mask[1:4, 2:5] = mask[6, 8:18] = True
    parts = Parts.of(mask)
    assert parts.area.tolist() == [9, 10]
    assert parts.height.tolist() == [3, 1]
    assert parts.width.tolist() == [3, 10]
    plane = np.arange(200, dtype=np.float32).reshape(10, 20)
    assert parts.most(plane).tolist() == [64, 137]
    assert parts.mean(plane)[1] == pytest.approx(132.5)
    np.testing.assert_array_equal(parts.kept(np.array([True, False])), mask & (plane < 100))
    only = parts.only(np.array([False, True]))
    assert only.left.tolist() == [8]
    np.testing.assert_array_equal(only.kept(np.array([True])), mask & (plane > 100))
    assert Parts.of(np.zeros((4, 4), bool)).area.size == 0
    seed = np.zeros_like(mask)
    seed[6, 9] = True
    np.testing.assert_array_equal(grown_from(seed, mask), mask & (plane > 100))
