"""The hole sampler: any size, the same bytes for the same seed, and widths that mean something."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt

from freefill.imaging.box import bounds
from freefill.masks import strokes
from freefill.masks.morphology import grow
from freefill.types import Mask

Sampler = Callable[[int, int, np.random.Generator], Mask]

SAMPLERS: list[Sampler] = [
    strokes.strokes,
    strokes.rectangle,
    strokes.released_strokes,
    strokes.released_rectangle,
    strokes.border,
    strokes.objects,
    strokes.scratches,
]
EVERY = pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: sampler.__name__)
SIDE = st.integers(1, 90)


def inner_radius(hole: Mask) -> int:
    """Radius of the largest disc within the hole, with the picture's border as an edge too."""
    keep = ~np.pad(hole, 1)
    radius = 0
    while not grow(keep, radius + 1).all():
        radius += 1
    return radius


@EVERY
@given(height=SIDE, width=SIDE, seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=50)
def test_any_size_and_the_same_seed_gives_the_same_bytes(
    sampler: Sampler, height: int, width: int, seed: int
) -> None:
    hole = sampler(height, width, np.random.default_rng(seed))
    again = sampler(height, width, np.random.default_rng(seed))
    assert hole.shape == (height, width)
    assert hole.dtype == bool
    assert hole.tobytes() == again.tobytes()
    assert hole.any()


@EVERY
def test_seeds_differ_and_the_generator_moves_on(sampler: Sampler) -> None:
    rng = np.random.default_rng(0)
    drawn = {sampler(64, 64, rng).tobytes() for _ in range(20)}
    # Sides that are cut off can be the same twice; nothing else has few enough outcomes.
    assert len(drawn) > 15


@EVERY
@pytest.mark.parametrize("shape", [(0, 8), (8, 0), (-1, 8)])
def test_a_picture_of_no_size_is_refused(sampler: Sampler, shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=f"{shape[1]}x{shape[0]}"):
        sampler(*shape, np.random.default_rng(0))


def test_rectangle_has_the_papers_sides_at_256() -> None:
    # A box of 128 pixels less up to 16 on each of its two ends.
    sides = []
    for seed in range(200):
        hole = strokes.rectangle(256, 256, np.random.default_rng(seed))
        box = bounds(hole)
        assert box is not None
        assert hole.sum() == box.area, "one rectangle, with nothing missing"
        sides.append(box.size)
    assert np.min(sides) >= 128 - 2 * 16
    assert np.max(sides) <= 128
    # All of that range is used, on both axes.
    assert (np.ptp(sides, axis=0) > 24).all()


def test_rectangle_sides_are_shares_of_each_side_of_the_picture() -> None:
    for seed in range(50):
        box = bounds(strokes.rectangle(100, 1000, np.random.default_rng(seed), side=(0.2, 0.3)))
        assert box is not None
        assert 20 <= box.size[0] <= 30
        assert 200 <= box.size[1] <= 300


@pytest.mark.parametrize("side", [128, 256, 512])
def test_stroke_width_scales_with_the_picture(side: int) -> None:
    # One segment with round ends: the largest disc in it has the stroke's own radius, 10 at 256.
    radii = [
        inner_radius(
            strokes.strokes(
                side,
                side,
                np.random.default_rng(seed),
                count=(1, 1),
                segments=(1, 1),
                brush=(20.0, 20.0),
            )
        )
        for seed in range(5)
    ]
    expected = 10 * side / 256
    # The median, because a stroke that the border cuts is thinner.
    assert abs(float(np.median(radii)) - expected) <= 1 + 0.05 * expected


def test_strokes_cover_the_same_share_at_every_size() -> None:
    shares = [
        np.mean([strokes.strokes(side, side, np.random.default_rng(s)).mean() for s in range(60)])
        for side in (96, 192, 384)
    ]
    # A width that did not scale would halve the share with each step.
    assert max(shares) < 1.15 * min(shares)


def test_thin_and_thick_brushes() -> None:
    def share(width: float) -> float:
        rngs = map(np.random.default_rng, range(30))
        return float(
            np.mean([strokes.strokes(128, 128, r, brush=(width, width)).mean() for r in rngs])
        )

    # Twice the width covers more, and at most twice as much because strokes cross.
    assert share(8) < share(16) < 2.2 * share(8)


@pytest.mark.parametrize("shape", [(60, 240), (240, 60)])
def test_strokes_reach_every_part_of_a_picture_that_is_not_square(shape: tuple[int, int]) -> None:
    rngs = map(np.random.default_rng, range(300))
    often = np.mean([strokes.strokes(*shape, rng) for rng in rngs], axis=0)
    assert often.min() > 0
    # No side is preferred: that is what the flips are for.
    rows, columns = often.mean(1), often.mean(0)
    for profile in (rows, columns):
        half = len(profile) // 2
        assert profile[:half].mean() == pytest.approx(profile[-half:].mean(), rel=0.25)


def test_border_cuts_one_to_three_sides_to_its_depth() -> None:
    counts = set()
    for seed in range(60):
        hole = strokes.border(100, 200, np.random.default_rng(seed))
        cut = [hole[0].all(), hole[-1].all(), hole[:, 0].all(), hole[:, -1].all()]
        counts.add(sum(map(bool, cut)))
        depths = {
            "top": hole[:, 100].argmin() if cut[0] else 0,
            "bottom": hole[::-1, 100].argmin() if cut[1] else 0,
            "left": hole[50].argmin() if cut[2] else 0,
            "right": hole[50, ::-1].argmin() if cut[3] else 0,
        }
        for side, length in (("top", 100), ("bottom", 100), ("left", 200), ("right", 200)):
            assert depths[side] == 0 or 0.1 * length <= depths[side] <= 0.35 * length
        # Bands along the sides that were cut, and nothing else.
        inside = hole[
            depths["top"] : 100 - depths["bottom"], depths["left"] : 200 - depths["right"]
        ]
        assert not inside.any()
        assert hole.sum() == hole.size - inside.size
    assert counts == {1, 2, 3}


def test_scratches_are_thin() -> None:
    # At most 10 of each: lines 5 wide and as long as the diagonal, and discs of radius 5.
    most = 10 * (5 * 362 + np.pi * 25) / 256**2
    for seed in range(30):
        hole = strokes.scratches(256, 256, np.random.default_rng(seed))
        assert 0 < hole.mean() < most
        # The largest disc in it is a speck (or where scratches cross), not a stroke of 12 or more.
        assert inner_radius(hole) < 12


@pytest.mark.parametrize("share", [(0.1, 0.45), (0.05, 0.06)])
def test_objects_cover_the_share_that_is_asked_for(share: tuple[float, float]) -> None:
    found = []
    for seed in range(300):
        hole = strokes.objects(120, 160, np.random.default_rng(seed), share=share)
        found.append(hole.mean())
        # As things are, not strokes: a disc of a good part of the area lies in it.
        assert np.pi * distance_transform_edt(hole).max() ** 2 > hole.sum() / 20
    # To two hundredths, as outlines grow in steps; and all of the range is used.
    assert share[0] - 0.02 <= min(found) <= share[0] + 0.02
    assert share[1] - 0.02 <= max(found) <= share[1] + 0.02


def test_released_rectangle_follows_its_law() -> None:
    rng = np.random.default_rng(0)
    found = [bounds(strokes.released_rectangle(256, 256, rng)) for _ in range(3000)]
    boxes = np.array([box.corners for box in found if box is not None])
    assert len(boxes) == 3000
    sides = boxes[:, 2:] - boxes[:, :2]
    # 128 less the same whole number, 0 to 16, on both ends.
    assert set(np.unique(sides)) == set(range(96, 129, 2))
    middles = (boxes[:, 2:] + boxes[:, :2]) / 2
    assert middles.min() == 64
    assert middles.max() == 64 + 127
    assert abs(float(sides.mean()) - 112) < 1
    assert abs(float(middles.mean()) - (64 + 63.5)) < 2
    # A hole with all of both laws, never a pixel outside the larger box.
    assert boxes.min() >= 0
    assert boxes.max() <= 255


def test_released_strokes_cover_what_the_released_code_covers() -> None:
    rng = np.random.default_rng(1)
    shares = np.array([strokes.released_strokes(256, 256, rng).mean() for _ in range(1500)])
    # 0.1496 with a standard error of 0.0013 over 4,000 draws of the code itself.
    assert abs(shares.mean() - 0.1496) < 0.008
    ours = np.array([strokes.strokes(256, 256, rng).mean() for _ in range(1500)])
    assert shares.mean() < ours.mean()
