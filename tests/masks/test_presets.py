"""Presets: names, sizes, shares, and mixtures of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freefill.masks import presets, strokes

EVERY = pytest.mark.parametrize("name", presets.PRESETS)


@EVERY
@given(height=st.integers(2, 80), width=st.integers(2, 80), seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_every_preset_draws_any_size_and_repeats(
    name: str, height: int, width: int, seed: int
) -> None:
    hole = presets.sample(name, height, width, np.random.default_rng(seed))
    again = presets.sample(name, height, width, np.random.default_rng(seed))
    assert hole.shape == (height, width)
    assert hole.dtype == bool
    assert hole.any()
    assert hole.tobytes() == again.tobytes()


@EVERY
def test_every_preset_draws_a_single_pixel(name: str) -> None:
    assert presets.sample(name, 1, 1, np.random.default_rng(0)).shape == (1, 1)


@given(st.integers(1, 60), st.integers(1, 60))
def test_centre_is_a_quarter_in_the_middle(rows: int, columns: int) -> None:
    hole = presets.centre(4 * rows, 4 * columns)
    assert hole.mean() == 0.25
    np.testing.assert_array_equal(hole, hole[::-1])
    np.testing.assert_array_equal(hole, hole[:, ::-1])
    assert hole[2 * rows, 2 * columns]
    assert not hole[0].any()
    assert not hole[:, 0].any()


def test_free_form_covers_what_its_parts_say() -> None:
    rngs = map(np.random.default_rng, range(100))
    share = np.mean([presets.free_form(256, 256, rng).mean() for rng in rngs])
    # The rectangle alone: sides uniform in 0.375..0.5, so 0.4375 squared on average.
    rectangle = 0.4375**2
    # One to three strokes of four to eleven segments, each an eighth of the diagonal long (362
    # pixels) and 26 wide on average, with round ends: what they cover if nothing overlaps.
    segments, length, width = 7.5, 362 / 8, 26
    strokes = 2 * (segments * length * width + np.pi * (width / 2) ** 2) / 256**2
    # They zigzag over themselves, the rectangle and the border; at least a quarter is left.
    assert rectangle + 0.25 * strokes * (1 - rectangle) < share < rectangle + strokes


def test_free_form_is_a_rectangle_and_strokes() -> None:
    for seed in range(20):
        hole = presets.free_form(128, 128, np.random.default_rng(seed))
        rectangle = strokes.rectangle(128, 128, np.random.default_rng(seed))
        assert hole[rectangle].all()
        assert hole.sum() > rectangle.sum()


def test_thin_is_thinner_than_thick() -> None:
    def edge_share(name: str) -> float:
        """Share of hole pixels that have a known neighbour: the thinner, the more."""
        found = []
        for seed in range(20):
            hole = presets.sample(name, 256, 256, np.random.default_rng(seed))
            padded = np.pad(hole, 1, mode="edge")
            inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
            found.append((hole & ~inner).sum() / hole.sum())
        return float(np.mean(found))

    assert edge_share("thick") < edge_share("strokes") < edge_share("thin")


def test_an_unknown_preset_lists_those_that_exist() -> None:
    with pytest.raises(ValueError, match="there is no mask preset 'stroke'") as refused:
        presets.sample("stroke", 8, 8, np.random.default_rng(0))
    assert all(name in str(refused.value) for name in presets.PRESETS)
    with pytest.raises(ValueError, match="no mask preset"):
        presets.mixture({"stroke": 1.0}, 8, 8, np.random.default_rng(0))


def test_mixture_follows_its_weights() -> None:
    rng = np.random.default_rng(0)
    centre = presets.centre(32, 32)
    weights = {"centre": 6.0, "border": 2.0, "thick": 0.0}
    draws = [presets.mixture(weights, 32, 32, rng) for _ in range(400)]
    share = np.mean([np.array_equal(hole, centre) for hole in draws])
    # 0.75 is expected, and 400 draws lie within five standard deviations (0.022 each) of it.
    assert share == pytest.approx(0.75, abs=0.11)


def test_mixture_never_draws_what_has_no_weight() -> None:
    rng = np.random.default_rng(0)
    centre = presets.centre(16, 16)
    for _ in range(50):
        hole = presets.mixture({"centre": 0.5, "rectangle": 0.0}, 16, 16, rng)
        np.testing.assert_array_equal(hole, centre)


RATIOS = ((0.01, 0.1), (0.1, 0.2), (0.2, 0.3), (0.3, 0.4), (0.4, 0.5), (0.5, 0.6))


@pytest.mark.parametrize("ratio", RATIOS, ids=str)
@pytest.mark.parametrize(("height", "width"), [(64, 64), (64, 230), (256, 192), (512, 512)])
def test_by_ratio_covers_what_is_asked(height: int, width: int, ratio: tuple[float, float]) -> None:
    shares = []
    for seed in range(12):
        hole = presets.by_ratio(height, width, np.random.default_rng(seed), ratio=ratio)
        assert hole.shape == (height, width)
        assert hole.dtype == bool
        shares.append(hole.mean())
    assert ratio[0] <= min(shares)
    assert max(shares) < ratio[1]
    # The wanted share is drawn, not the first that happens to fit: they spread over the range.
    assert max(shares) - min(shares) > 0.3 * (ratio[1] - ratio[0])


@pytest.mark.parametrize("ratio", RATIOS, ids=str)
def test_by_ratio_repeats(ratio: tuple[float, float]) -> None:
    one, two, other = (
        presets.by_ratio(96, 80, np.random.default_rng(seed), ratio=ratio) for seed in (7, 7, 8)
    )
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


@given(
    height=st.integers(64, 160),
    width=st.integers(64, 160),
    low=st.floats(0.02, 0.55),
    span=st.floats(0.02, 0.2),
    seed=st.integers(0, 2**32 - 1),
)
@settings(deadline=None, max_examples=40)
def test_by_ratio_meets_any_range(
    height: int, width: int, low: float, span: float, seed: int
) -> None:
    ratio = (low, low + span)
    hole = presets.by_ratio(height, width, np.random.default_rng(seed), ratio=ratio)
    assert low <= hole.mean() < low + span


def test_by_ratio_reaches_the_share_that_was_drawn() -> None:
    for seed in range(30):
        wanted = np.random.default_rng(seed).uniform(0.1, 0.4)
        hole = presets.by_ratio(128, 128, np.random.default_rng(seed), ratio=(0.1, 0.4))
        assert hole.mean() >= wanted


def test_by_ratio_ends_with_thin_strokes_where_little_room_is_left() -> None:
    for seed in range(40):
        hole = presets.by_ratio(128, 128, np.random.default_rng(seed), ratio=(0.01, 0.02))
        assert 0.01 <= hole.mean() < 0.02


@pytest.mark.parametrize("ratio", [(0.3, 0.3), (0.3, 0.3001), (0.0001, 0.0002), (0.9999, 1.0)])
def test_by_ratio_refuses_what_no_strokes_cover(ratio: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match=rf"{ratio[0]:.0%} to {ratio[1]:.0%} of 24x16 pixels"):
        presets.by_ratio(16, 24, np.random.default_rng(0), ratio=ratio)
