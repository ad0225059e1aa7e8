"""Plans: every hole is filled, inside the picture, at a size that the network can take."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freefill.imaging.box import Box
from freefill.pipeline.tiling import (
    BUDGET,
    COMPACT,
    CONTEXT,
    SMALLEST,
    STRIDE,
    THICK,
    VIEW,
    ZOOM,
    Crop,
    plan,
    thickness,
)
from freefill.types import Mask


@st.composite
def holes(draw: st.DrawFn) -> Mask:
    """Up to six rectangles, thin, small or large, in a picture of any shape."""
    height, width = draw(st.integers(1, 900)), draw(st.integers(1, 900))
    hole = np.zeros((height, width), bool)
    for _ in range(draw(st.integers(0, 6))):
        top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        rows, columns = draw(st.integers(1, 200)), draw(st.integers(1, 200))
        hole[top : top + rows, left : left + columns] = True
    return hole


def check(hole: Mask, crops: list[Crop]) -> None:
    height, width = hole.shape
    covered = np.zeros_like(hole)
    for crop in crops:
        covered[crop.hole.window] = True
        assert 0 <= crop.box.top <= crop.hole.top < crop.hole.bottom <= crop.box.bottom <= height
        assert 0 <= crop.box.left <= crop.hole.left < crop.hole.right <= crop.box.right <= width
        assert hole[crop.hole.window].any(), "a crop for nothing"

        rows, columns = crop.network_size
        assert rows % STRIDE == columns % STRIDE == 0
        assert min(rows, columns) >= STRIDE
        wanted = np.array(crop.box.size) / crop.factor * crop.zoom
        # Nothing but the padding, less than a stride on each side, goes beyond the budget.
        assert wanted.prod() <= BUDGET
        assert wanted[0] <= rows < wanted[0] + STRIDE + 1
        assert wanted[1] <= columns < wanted[1] + STRIDE + 1
        # And nothing is shrunk that fits, or further than must be if it is thin.
        if crop.factor > 1:
            square = thickness(hole[crop.hole.window])
            assert np.prod(crop.box.size) > BUDGET or square >= COMPACT * max(crop.hole.size)
            fits = np.prod(crop.box.size) <= BUDGET * (crop.factor - 1) ** 2
            thick = square > (crop.factor - 0.6) * THICK
            assert thick or not fits
            assert wanted.prod() ** 0.5 > 0.6 * VIEW or not fits
        # What is thin is seen larger, if there is room, and nothing else is.
        thin = thickness(hole[crop.hole.window]) <= THICK / ZOOM
        room = np.prod(crop.box.size) * ZOOM**2 <= BUDGET
        assert crop.zoom == (ZOOM if thin and room and crop.factor == 1 else 1)
    assert not (hole & ~covered).any()


@given(holes())
@settings(deadline=None)
def test_every_hole_pixel_is_filled_by_a_crop_within_the_rules(hole: Mask) -> None:
    before = hole.copy()
    crops = plan(hole)
    check(hole, crops)
    assert bool(crops) == bool(hole.any())
    np.testing.assert_array_equal(hole, before)


@given(holes())
@settings(deadline=None)
def test_crops_are_kept_apart_only_where_one_would_cost_more(hole: Mask) -> None:
    for one, other in combinations(plan(hole), 2):
        both = np.zeros_like(hole)
        top, left = np.minimum(one.hole.reading_order[:2], other.hole.reading_order[:2])
        bottom, right = np.maximum(one.hole.reading_order[2:], other.hole.reading_order[2:])
        both[top:bottom, left:right] = True
        (joined,) = plan(both)
        assert joined.box.area > one.box.area + other.box.area


@pytest.mark.parametrize(
    "shape", [(1, 1), (5, 4000), (4000, 5), (200, 20000), (20000, 200), (3, 3)]
)
def test_pictures_of_extreme_shapes(shape: tuple[int, int]) -> None:
    whole = np.ones(shape, bool)
    check(whole, plan(whole))
    one = np.zeros(shape, bool)
    one[shape[0] // 2, shape[1] // 2] = True
    check(one, plan(one))
    assert len(plan(one)) == 1
    ends = np.zeros(shape, bool)
    ends[0, 0] = ends[-1, -1] = True
    check(ends, plan(ends))
    assert len(plan(ends)) == (2 if max(shape) > 1000 else 1)


@pytest.mark.parametrize(
    ("side", "width", "factor"),
    [
        (512, 12, 1),
        (512, 250, 1),
        (512, 256, 2),
        (528, 12, 2),
        (1024, 80, 2),
        (1024, 120, 3),
        (1024, 250, 4),
    ],
)
def test_a_crop_that_is_too_large_is_seen_small_and_smaller_if_its_hole_is_thick(
    side: int, width: int, factor: int
) -> None:
    hole = np.zeros((side, side), bool)
    hole[side // 8 : -side // 8, side // 2 : side // 2 + width] = True
    (crop,) = plan(hole)
    assert crop.box.size == (side, side)
    assert crop.factor == factor


@given(holes())
@settings(deadline=None, max_examples=40)
def test_thickness_is_the_side_of_the_largest_square(hole: Mask) -> None:
    largest = np.zeros(np.add(hole.shape, 1), int)
    for row, column in zip(*np.nonzero(hole), strict=True):
        before = largest[row, column], largest[row, column + 1], largest[row + 1, column]
        largest[row + 1, column + 1] = 1 + min(before)
    # A long side is measured in whole cells.
    step = -(-max(hole.shape) // 512)
    assert 0 <= largest.max() - thickness(hole) <= 2 * (step - 1)


def test_an_empty_hole_needs_no_crop() -> None:
    assert plan(np.zeros((300, 200), bool)) == []


def test_far_holes_are_filled_apart_and_near_ones_together() -> None:
    far = np.zeros((1200, 1200), bool)
    far[100:110, 100:110] = far[1000:1010, 1100:1110] = True
    assert [crop.hole.corners for crop in plan(far)] == [
        (100, 100, 110, 110),
        (1100, 1000, 1110, 1010),
    ]
    near = np.zeros((1200, 1200), bool)
    near[100:110, 100:110] = near[100:110, 150:160] = True
    assert [crop.hole.corners for crop in plan(near)] == [(100, 100, 160, 110)]


def test_cost_follows_the_hole_and_not_the_photo() -> None:
    small, large = np.zeros((400, 400), bool), np.zeros((4000, 5000), bool)
    small[190:210, 190:210] = large[1990:2010, 2490:2510] = True
    ((one,), (other,)) = plan(small), plan(large)
    assert one.network_size == other.network_size


@pytest.mark.parametrize("side", [1, 20, 100, 200])
def test_a_hole_is_shown_with_what_lies_around_it(side: int) -> None:
    hole = np.zeros((900, 900), bool)
    hole[350 : 350 + side, 400 : 400 + side] = True
    (crop,) = plan(hole)
    around = (
        crop.hole.top - crop.box.top,
        crop.hole.left - crop.box.left,
        crop.box.bottom - crop.hole.bottom,
        crop.box.right - crop.hole.right,
    )
    assert min(around) >= CONTEXT
    assert min(crop.box.size) >= SMALLEST


def test_at_a_border_the_crop_moves_inwards() -> None:
    middle, corner = np.zeros((600, 600), bool), np.zeros((600, 600), bool)
    middle[300:340, 300:340] = corner[:40, 560:] = True
    ((one,), (other,)) = plan(middle), plan(corner)
    assert one.box.size == other.box.size
    assert (other.box.top, other.box.right) == (0, 600)


def test_a_picture_smaller_than_the_smallest_crop_is_seen_whole() -> None:
    hole = np.zeros((50, 70), bool)
    hole[20, 30] = True
    (crop,) = plan(hole)
    assert crop.box == Box.whole((50, 70))
    assert crop.network_size == (112, 144)
