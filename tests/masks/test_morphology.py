"""Growing holes and boxing them, against definitions written out in full."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from freefill.imaging.box import Box, bounds
from freefill.masks.morphology import boxes, grow
from freefill.types import Mask

SMALL = arrays(bool, st.tuples(st.integers(1, 14), st.integers(1, 14)))


@st.composite
def sparse(draw: st.DrawFn) -> Mask:
    """A hole of a few specks, so that there are groups to tell apart."""
    height, width = draw(st.integers(1, 60)), draw(st.integers(1, 60))
    hole = np.zeros((height, width), bool)
    specks = st.tuples(st.integers(0, height - 1), st.integers(0, width - 1))
    for row, column in draw(st.lists(specks, max_size=8)):
        hole[row, column] = True
    return hole


def grown(hole: Mask, radius: int) -> Mask:
    """The definition: a pixel with a hole pixel at most ``radius`` away."""
    row, column = np.indices(hole.shape)
    found = np.zeros_like(hole)
    for r, c in np.argwhere(hole):
        found |= (row - r) ** 2 + (column - c) ** 2 <= radius**2
    return found


def grouped(hole: Mask, cell: int) -> list[Box]:
    """The definition: pixels belong together when a chain of touching cells leads between them."""
    groups: list[set[tuple[int, int]]] = []
    for r, c in {(int(r) // cell, int(c) // cell) for r, c in np.argwhere(hole)}:
        near = [g for g in groups if any(abs(r - y) < 2 and abs(c - x) < 2 for y, x in g)]
        groups = [g for g in groups if g not in near] + [set().union({(r, c)}, *near)]
    found = []
    for group in groups:
        pixels = np.array([(r, c) for r, c in np.argwhere(hole) if (r // cell, c // cell) in group])
        (top, left), (bottom, right) = pixels.min(0), pixels.max(0)
        found.append(
            Box(left=int(left), top=int(top), right=int(right) + 1, bottom=int(bottom) + 1)
        )
    return found


@given(SMALL, st.integers(0, 6))
def test_growth_is_its_definition(hole: Mask, radius: int) -> None:
    before = hole.copy()
    np.testing.assert_array_equal(grow(hole, radius), grown(hole, radius))
    np.testing.assert_array_equal(hole, before)


@pytest.mark.parametrize("radius", [20, 256])
def test_growth_beyond_the_picture(radius: int) -> None:
    hole = np.zeros((9, 300), bool)
    hole[4, 5] = True
    np.testing.assert_array_equal(grow(hole, radius), grown(hole, radius))


def test_an_empty_hole_stays_empty() -> None:
    assert not grow(np.zeros((8, 8), bool), 5).any()
    assert bounds(np.zeros((8, 8), bool)) is None
    assert boxes(np.zeros((8, 8), bool)) == []


def test_growth_by_less_than_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="-3"):
        grow(np.ones((4, 4), bool), -3)


@given(SMALL)
def test_bounds_are_the_outermost_pixels(hole: Mask) -> None:
    pixels = np.argwhere(hole)
    box = bounds(hole)
    if not len(pixels):
        assert box is None
        return
    (top, left), (bottom, right) = pixels.min(0), pixels.max(0)
    assert box.reading_order == (top, left, bottom + 1, right + 1)


def in_order(found: list[Box]) -> list[Box]:
    return sorted(found, key=lambda box: (box.top, box.left, box.bottom, box.right))


@given(sparse(), st.integers(1, 12))
@settings(deadline=None)
def test_boxes_are_those_of_the_groups(hole: Mask, cell: int) -> None:
    found = boxes(hole, cell)
    assert found == in_order(grouped(hole, cell))
    covered = np.zeros_like(hole)
    for box in found:
        covered[box.window] = True
    assert not (hole & ~covered).any()


@given(sparse())
@settings(deadline=None)
def test_boxes_come_from_top_to_bottom(hole: Mask) -> None:
    assert all(one.top <= other.top for one, other in pairwise(boxes(hole, 2)))


@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (200, 1), (33, 65), (64, 64)])
def test_a_whole_picture_is_one_box(shape: tuple[int, int]) -> None:
    assert boxes(np.ones(shape, bool)) == [Box.whole(shape)]


@pytest.mark.parametrize(
    ("column", "groups"),
    [(20, 1), (63, 1), (64, 2), (150, 2)],
    ids=["same cell", "next cell", "one cell between", "far"],
)
def test_pixels_join_over_touching_cells(column: int, groups: int) -> None:
    hole = np.zeros((32, 200), bool)
    hole[10, 0] = hole[10, column] = True
    assert len(boxes(hole, 32)) == groups


def test_cells_touch_at_their_corners() -> None:
    hole = np.zeros((64, 64), bool)
    hole[31, 31] = hole[32, 32] = True
    assert boxes(hole, 32) == [Box(left=31, top=31, right=33, bottom=33)]
    mirrored = hole[:, ::-1].copy()
    assert boxes(mirrored, 32) == [Box(left=31, top=31, right=33, bottom=33)]


def test_a_box_takes_nothing_of_a_group_beside_it() -> None:
    hole = np.zeros((16, 16), bool)
    for i in (2, 5, 9, 13):
        hole[i, i] = True
    # In the rectangle of the diagonal's cells, in none of them, and higher than its first pixel.
    hole[0, 15] = True
    assert boxes(hole, 4) == [
        Box(left=15, top=0, right=16, bottom=1),
        Box(left=2, top=2, right=14, bottom=14),
    ]


def test_a_group_inside_the_arms_of_another_keeps_its_own_box() -> None:
    hole = np.zeros((200, 200), bool)
    hole[0:4] = hole[:, 0:4] = True
    hole[150:160, 150:170] = True
    assert boxes(hole, 16) == [
        Box.whole((200, 200)),
        Box(left=150, top=150, right=170, bottom=160),
    ]
