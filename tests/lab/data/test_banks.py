"""Banks: holes, shapes and strokes as asked, the same for the same seed on any number of cores."""

from __future__ import annotations

import numpy as np
import pytest

from freefill.lab.data import banks
from freefill.masks.presets import mixture

SIDE = 48
MASKS = {"thin": 1.0, "rectangle": 2.0}


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    # So few are drawn in this process.
    monkeypatch.setattr(banks, "SHAPES", banks.AT_ONCE)


def test_holes_are_the_mixtures_and_their_number_is_any() -> None:
    found = banks.holes(50, SIDE, MASKS, 3).numpy()
    rng = np.random.default_rng([3, 0, 1])
    expected = np.stack([mixture(MASKS, SIDE, SIDE, rng) for _ in range(50)])
    assert (found.dtype, found.shape) == (np.uint8, (50, SIDE, SIDE))
    np.testing.assert_array_equal(found, expected)


def test_processes_draw_what_this_one_draws() -> None:
    many = banks.holes(banks.AT_ONCE + 3, SIDE, MASKS, 3).numpy()
    np.testing.assert_array_equal(many[: banks.AT_ONCE], banks.holes(banks.AT_ONCE, SIDE, MASKS, 3))
    assert len(many) == banks.AT_ONCE + 3
    assert (many[-3:] != many[:3]).any()


@pytest.mark.parametrize("draw", [banks.shapes, banks.strokes])
def test_a_seed_draws_the_same_and_another_does_not(draw: object) -> None:
    assert callable(draw)
    one, two, other = draw(SIDE, 0), draw(SIDE, 0), draw(SIDE, 1)
    assert (one == two).all()
    assert (one != other).any()


def test_a_shape_has_its_outline_or_the_middle_of_its_line() -> None:
    share, edge, kind = banks.shapes(160, 0).numpy().transpose(1, 0, 2, 3)
    assert set(np.unique(edge)) == {0, 1}
    # Everywhere or nowhere.
    lines = kind.any((1, 2))
    np.testing.assert_array_equal(kind, np.broadcast_to(lines[:, None, None], kind.shape))
    assert 0.2 < lines.mean() < 0.6
    for covered, marked, line in zip(share / 255, edge > 0, lines, strict=True):
        assert marked.any()
        if line:
            # In what is covered, and thinner.
            assert (covered[marked] > 0.1).mean() > 0.9
            assert marked.sum() < (covered > 0).sum()
        else:
            inside = np.pad(covered >= 0.5, 1)
            around = [np.roll(inside, step, axis) for step in (-1, 1) for axis in (0, 1)]
            border = (inside & ~np.logical_and.reduce(around))[1:-1, 1:-1]
            np.testing.assert_array_equal(marked, border)


def test_strokes_are_numbered_from_1_to_6() -> None:
    sets = banks.strokes(64, 0).numpy()
    most = sets.max((1, 2))
    assert (sets.dtype, sets.min()) == (np.uint8, 0)
    assert set(most) == set(range(1, banks.STROKES + 1))
    assert ((sets > 0).mean((1, 2)) > 0.001).all()
