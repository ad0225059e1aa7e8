"""The seam error against its definition, written as a loop over pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest

from freefill.lab.evaluation.metrics.seam import seam


def literal(predicted: np.ndarray, target: np.ndarray, hole: np.ndarray, width: int) -> float:
    height, length = hole.shape

    def in_band(row: int, column: int) -> bool:
        if not hole[row, column]:
            return True
        around = hole[
            max(row - width, 0) : row + width + 1, max(column - width, 0) : column + width + 1
        ]
        return not around.all()

    found = []
    for row in range(height):
        for column in range(length):
            for other in ((row + 1, column), (row, column + 1)):
                if other[0] == height or other[1] == length:
                    continue
                here = (row, column)
                if not (hole[here] or hole[other]) or not (in_band(*here) and in_band(*other)):
                    continue
                for c in range(3):
                    p = int(predicted[*other, c]) - int(predicted[*here, c])
                    t = int(target[*other, c]) - int(target[*here, c])
                    found.append(abs(p - t))
    return 100 * sum(found) / len(found) / 255


def holes(size: tuple[int, int]) -> list[np.ndarray]:
    """A blob, a stroke at the border, scattered pixels, all but one pixel."""
    row, column = np.mgrid[: size[0], : size[1]]
    blob = ((row - size[0] / 2) / size[0]) ** 2 + ((column - size[1] / 2) / size[1]) ** 2 < 0.15
    border = row < size[0] // 2
    scattered = np.random.default_rng(2).random(size) < 0.3
    but_one = np.ones(size, bool)
    but_one[-1, 0] = False
    return [blob, border, scattered, but_one]


@pytest.mark.parametrize("width", [1, 2, 3])
@pytest.mark.parametrize("size", [(9, 14), (24, 20)])
def test_matches_literal(size: tuple[int, int], width: int) -> None:
    rng = np.random.default_rng(0)
    target, predicted = rng.integers(0, 256, (2, *size, 3), dtype=np.uint8)
    for hole in holes(size):
        found = seam(predicted, target, hole, width)
        assert found == pytest.approx(literal(predicted, target, hole, width), rel=1e-12)


def test_default_width(photo: np.ndarray, hole: np.ndarray) -> None:
    assert seam(255 - photo, photo, hole) == seam(255 - photo, photo, hole, 2)


def square() -> tuple[np.ndarray, np.ndarray]:
    target = np.random.default_rng(0).integers(0, 150, (40, 40, 3), dtype=np.uint8)
    hole = np.zeros((40, 40), bool)
    hole[10:30, 10:30] = True
    return target, hole


def test_constant_offset_is_charged_where_differences_cross() -> None:
    target, hole = square()
    predicted = np.where(hole[..., None], target + np.uint8(51), target)
    crossing = 4 * 20
    # Rings of 20 x 20 and 18 x 18 pixels: what runs along each, and what joins the two.
    counted = crossing + 4 * 19 + 4 * 17 + 4 * 18
    assert seam(predicted, target, hole) == pytest.approx(20 * crossing / counted, rel=1e-12)


def test_exact_fill_and_what_lies_deep_inside() -> None:
    target, hole = square()
    assert seam(target, target, hole) == 0
    predicted = target.copy()
    predicted[12:28, 12:28] = 255
    assert seam(predicted, target, hole) == 0
    predicted[11, 20] = 255
    assert seam(predicted, target, hole) > 0


def test_errors_of_known_pixels_away_from_the_hole_do_not_matter() -> None:
    target, hole = square()
    predicted = np.where(hole[..., None], 255 - target, target)
    far = predicted.copy()
    far[:9], far[31:] = 0, 0
    assert seam(far, target, hole) == seam(predicted, target, hole)


def test_softening_the_step_lowers_it() -> None:
    target, hole = np.full((40, 40, 3), 100, np.uint8), square()[1]
    step = target + np.uint8(60) * hole[..., None]
    soft = target.copy()
    for ring in range(10):
        soft[10 + ring : 30 - ring, 10 + ring : 30 - ring] += 6
    assert seam(soft, target, hole) < seam(step, target, hole) / 2


def test_symmetric_and_the_same_when_turned(photo: np.ndarray, hole: np.ndarray) -> None:
    predicted = np.where(hole[..., None], 255 - photo, photo)
    value = seam(predicted, photo, hole)
    assert value == seam(photo, predicted, hole)
    turned = seam(*(np.rot90(x) for x in (predicted, photo, hole)))
    assert turned == pytest.approx(value, rel=1e-12)


@pytest.mark.filterwarnings("error")
def test_no_boundary() -> None:
    target, hole = square()
    assert math.isnan(seam(target, target, np.zeros_like(hole)))
    assert math.isnan(seam(target, target, np.ones_like(hole)))


def test_refuses_a_width_of_nothing() -> None:
    target, hole = square()
    with pytest.raises(ValueError, match="width is 0"):
        seam(target, target, hole, 0)
