"""Blending: no step along the rim, nothing known touched, nothing odd in the middle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from freefill.masks.morphology import grow
from freefill.masks.presets import sample
from freefill.pipeline.blending import blend as blend_shares
from freefill.types import Mask


def blend(picture: NDArray[np.float32], gap: Mask) -> NDArray[np.float32]:
    """Blend where each pixel is known or not; what was filled may not be taken for known."""
    seen = np.where(gap[..., None], np.float32(0.123), picture)
    return blend_shares(picture, seen, (~gap).astype(np.float32))


def ramp(height: int, width: int) -> NDArray[np.float32]:
    rows, columns = np.mgrid[:height, :width] / max(height, width)
    return np.stack([0.3 + 0.3 * rows, 0.6 - 0.2 * columns, 0.5 + 0 * rows], -1).astype(np.float32)


def middle(height: int, width: int) -> Mask:
    gap = np.zeros((height, width), bool)
    gap[height // 4 : -height // 4, width // 4 : -width // 4] = True
    return gap


@pytest.mark.parametrize("shape", [(64, 64), (61, 97)])
def test_a_fill_that_is_too_pale_gets_its_colours_back(shape: tuple[int, int]) -> None:
    truth, gap = ramp(*shape), middle(*shape)
    pale = np.where(gap[..., None], truth + np.float32(0.1), truth)
    blended = blend(pale, gap)
    # A neighbour is a step further on the ramp: that much is not told from a seam.
    assert np.abs(blended - truth).max() < 0.012


def test_an_error_that_changes_along_the_rim_is_taken_out_where_it_is() -> None:
    truth, gap = np.full((96, 96, 3), 0.5, np.float32), middle(96, 96)
    error = np.linspace(-0.2, 0.2, 96, dtype=np.float32)[None, :, None]
    blended = blend(np.where(gap[..., None], truth + error, truth), gap)
    inner = np.abs(blended - truth)[gap]
    assert inner.max() < 0.06
    assert inner.mean() < 0.015
    columns = np.nonzero(gap.any(0))[0]
    for column in columns[[0, -1]]:
        assert np.abs(blended - truth)[gap[:, column], column].max() < 0.03


def test_detail_of_the_fill_stays() -> None:
    gap = middle(64, 64)
    texture = np.random.default_rng(0).normal(0, 0.05, (64, 64, 1)).astype(np.float32)
    picture = np.where(gap[..., None], 0.4 + texture, np.float32(0.5)) * np.ones(3, np.float32)
    blended = blend(picture.astype(np.float32), gap)
    inside = (slice(20, 44), slice(20, 44))
    kept = np.diff(blended[inside], axis=0) - np.diff(picture[inside], axis=0)
    assert np.abs(kept).max() < 0.02
    assert abs(float(blended[gap].mean()) - 0.5) < 0.02


@given(
    height=st.integers(1, 130),
    width=st.integers(1, 130),
    preset=st.sampled_from(["free-form", "centre", "border", "scratches", "noise", "all"]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(deadline=None, max_examples=60)
def test_known_pixels_stay_and_every_fill_is_a_colour(
    height: int, width: int, preset: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    picture = rng.random((height, width, 3)).astype(np.float32)
    if preset in ("noise", "all"):
        gap = rng.random((height, width)) < (rng.random() if preset == "noise" else 2)
    else:
        gap = sample(preset, height, width, rng)
    before = picture.copy()
    blended = blend(picture, gap)
    assert (blended.shape, blended.dtype) == (picture.shape, np.float32)
    np.testing.assert_array_equal(blended[~gap], picture[~gap])
    np.testing.assert_array_equal(picture, before)
    assert ((blended >= 0) & (blended <= 1)).all()
    if gap.all():
        np.testing.assert_array_equal(blended, picture)


@pytest.mark.parametrize("turned", [False, True])
def test_what_lies_at_the_other_border_has_no_influence(turned: bool) -> None:
    picture, gap = np.full((64, 64, 3), 0.5, np.float32), np.zeros((64, 64), bool)
    gap[:20] = True
    other = picture.copy()
    other[-1] = 1
    if turned:
        picture, other, gap = (array.swapaxes(0, 1) for array in (picture, other, gap))
    np.testing.assert_array_equal(blend(picture, gap)[gap], blend(other, gap)[gap])


def test_a_shift_of_the_whole_picture_shifts_the_blend() -> None:
    rng = np.random.default_rng(1)
    picture = rng.random((80, 80, 3)).astype(np.float32)
    gap = sample("free-form", 80, 80, rng) & middle(80, 80)
    moved = blend(np.roll(picture, 5, 1), np.roll(gap, 5, 1))
    np.testing.assert_array_equal(np.roll(moved, -5, 1)[gap], blend(picture, gap)[gap])


def test_a_pixel_that_is_known_in_part_gets_the_colour_of_that_part() -> None:
    gap = middle(64, 64)
    picture = np.full((64, 64, 3), 0.5, np.float32)
    seen, share = picture.copy(), (~gap).astype(np.float32)
    rim = gap & grow(~gap, 2)
    rim[:, 32:] = False
    seen[rim], share[rim] = 0.7, 0.5
    blended = blend_shares(picture, seen, share)
    np.testing.assert_array_equal(blended[~gap], picture[~gap])
    # Its neighbours outside say 0.5: two at a corner, else one.
    assert blended[rim].min() > 0.6
    across = blended[32, 18:48, 0]
    assert (np.diff(across) < 0.01).all(), "it falls towards the other side"
    assert abs(across[-1] - 0.5) < 0.03, "which keeps its own colour"
    share[rim] = 0.05
    np.testing.assert_allclose(blend_shares(picture, seen, share), picture, atol=1e-6)
