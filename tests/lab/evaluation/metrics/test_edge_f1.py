"""Edge F1 by arithmetic, and a detector that finds what training's does by other means."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from freefill.imaging.io import read_picture
from freefill.lab.evaluation.metrics.edges import edge_f1, zero_crossings
from freefill.vision.edges import edges

EXAMPLES = Path(__file__).parents[4] / "examples"


def test_precision_and_recall_are_told_apart() -> None:
    hole = np.ones((40, 40), bool)
    drawn, found = np.zeros((2, 40, 40), bool)
    drawn[10, :] = True
    found[10, :20] = found[30, :] = True
    f1, precision, recall = edge_f1(found, drawn, hole)
    assert precision == pytest.approx(20 / 60)
    assert recall == pytest.approx(22 / 40)  # two more within the tolerance
    assert f1 == pytest.approx(2 * precision * recall / (precision + recall))
    assert edge_f1(drawn, drawn, hole)[0] == 1
    assert edge_f1(found & False, drawn, hole) == (0, 0, 0)


def test_only_the_hole_counts_but_a_match_may_lie_just_outside() -> None:
    hole = np.zeros((40, 40), bool)
    hole[:, :20] = True
    drawn, found = np.zeros((2, 40, 40), bool)
    drawn[:, 19] = True
    found[:, 21] = True
    f1, precision, recall = edge_f1(found, drawn, hole)
    assert (f1, precision, recall) == (0, 0, 1)
    found[:, 19] = True
    found[:, 30:] = True
    assert edge_f1(found, drawn, hole)[0] == 1
    assert np.isnan(edge_f1(found & ~hole, drawn & ~hole, hole)[0])


def test_errors_name_the_shapes() -> None:
    with pytest.raises(ValueError, match="hole"):
        edge_f1(np.ones((4, 4), bool), np.ones((4, 4), bool), np.ones((4, 5), bool))
    with pytest.raises(ValueError, match="lines are"):
        edge_f1(np.ones((4, 4), bool), np.ones((5, 4), bool), np.ones((4, 4), bool))


def test_it_agrees_with_the_sketches_of_training_on_photos() -> None:
    scores = []
    for name in ("bee", "cat", "pagoda", "street"):
        photo = np.asarray(read_picture(EXAMPLES / f"{name}.jpg").samples)[:256, :256]
        hole = np.ones(photo.shape[:2], bool)
        lines = edges(photo / np.float32(255))
        scores.append(edge_f1(zero_crossings(photo), lines, hole)[0])
        moved = np.roll(lines, (11, 7), (0, 1))
        assert edge_f1(zero_crossings(photo), moved, hole)[0] < scores[-1] - 0.2
    assert np.mean(scores) > 0.65


def test_faint_steps_are_no_edges() -> None:
    for height, expected in ((10, False), (80, True)):
        picture = np.full((32, 32, 3), 100, np.uint8)
        picture[:, 16:] += np.uint8(height)
        assert zero_crossings(picture).any() == expected
