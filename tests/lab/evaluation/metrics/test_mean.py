"""The accumulator, with metrics that take a hole, must have one, or know none."""

from __future__ import annotations

import math

import numpy as np
import pytest

from freefill.lab.evaluation.metrics.mean import Mean
from freefill.lab.evaluation.metrics.pixel import l1
from freefill.lab.evaluation.metrics.seam import seam


def test_mean(photo: np.ndarray, hole: np.ndarray) -> None:
    mean = Mean(l1)
    assert math.isnan(mean.compute())
    other = 255 - photo
    returned = [
        mean.update(other, photo),
        mean.update(photo, photo),
        mean.update(other, photo, hole),
    ]
    assert returned == mean.values == [l1(other, photo), 0, l1(other, photo, hole)]
    assert mean.compute() == pytest.approx(sum(returned) / 3)
    assert Mean(l1).values == []


def test_order_of_arguments(photo: np.ndarray, hole: np.ndarray) -> None:
    seen: list[tuple[object, ...]] = []

    def metric(*given: object) -> float:
        seen.append(given)
        return 1.0

    other = 255 - photo
    Mean(metric).update(other, photo)
    Mean(metric).update(other, photo, hole)
    assert [tuple(map(id, given)) for given in seen] == [
        (id(other), id(photo)),
        (id(other), id(photo), id(hole)),
    ]


def test_refused_pair_leaves_nothing(photo: np.ndarray, hole: np.ndarray) -> None:
    mean = Mean(l1)
    with pytest.raises(ValueError, match="target is"):
        mean.update(photo, photo[:-1])
    assert mean.values == []
    with pytest.raises(TypeError, match="hole"):
        Mean(seam).update(photo, photo)
    assert Mean(seam).update(photo, photo, hole) == 0
