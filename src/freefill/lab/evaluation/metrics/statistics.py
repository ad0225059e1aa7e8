"""How sure a mean over photos is, and whether one method beats another on the same photos.

The percentile bootstrap ("An Introduction to the Bootstrap", Efron and Tibshirani, 1993, chapter
13) and the signed-rank test ("Individual Comparisons by Ranking Methods", Wilcoxon, 1945). Neither
asks that errors be normal, which those of fills are not: a few photos fail badly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import wilcoxon

RESAMPLES = 10_000
DRAWS_AT_ONCE = 2**22


class Paired(NamedTuple):
    """By how much theirs is above ours: the mean, its 95 % interval, and a p value."""

    difference: float
    low: float
    high: float
    p: float


def bootstrap_interval(
    values: Sequence[float] | NDArray[np.floating], resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """Give the 95 % percentile interval of the mean.

    Args:
        values: One for each photo.
        resamples: How many sets of the same size are drawn with replacement.
        seed: Of the draws; the same values give the same interval on each call.

    Returns:
        The 2.5 and the 97.5 percentile of the means; both are the value itself if there is one.

    Raises:
        ValueError: If there is no value, or one is not finite.

    Examples:
        >>> low, high = bootstrap_interval([1.0, 2.0, 3.0, 4.0])
        >>> low < 2.5 < high
        True
    """
    array = _values(values)
    rng = np.random.default_rng(seed)
    # As many resamples at once as fit: all of them are gigabytes for some thousand photos.
    rows = max(1, DRAWS_AT_ONCE // len(array))
    means = [
        array[rng.integers(0, len(array), (min(rows, resamples - start), len(array)))].mean(1)
        for start in range(0, resamples, rows)
    ]
    low, high = np.percentile(np.concatenate(means), [2.5, 97.5])
    return float(low), float(high)


def paired(
    ours: Sequence[float] | NDArray[np.floating], theirs: Sequence[float] | NDArray[np.floating]
) -> Paired:
    """Compare two methods on the same photos.

    Args:
        ours: One value for each photo.
        theirs: Their values, of the same photos in the same order.

    Returns:
        The mean of ``theirs - ours`` (above 0: ours is lower, which is better where the metric is
        an error), its bootstrap interval, and the two-sided p value of Wilcoxon's signed-rank
        test: 1 if all differences are 0.

    Raises:
        ValueError: If the counts differ, there is no value, or one is not finite.

    Examples:
        >>> paired([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
        Paired(difference=0.0, low=0.0, high=0.0, p=1.0)
    """
    first, second = _values(ours), _values(theirs)
    if len(first) != len(second):
        raise ValueError(f"ours has {len(first)} values but theirs has {len(second)}")
    difference = second - first
    low, high = bootstrap_interval(difference)
    p = float(wilcoxon(difference).pvalue) if difference.any() else 1.0
    return Paired(float(difference.mean()), low, high, p)


def _values(values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or not len(array):
        raise ValueError(f"statistics take one value for each photo, not shape {array.shape}")
    bad = int((~np.isfinite(array)).sum())
    if bad:
        raise ValueError(f"{bad} of {len(array)} values are not finite")
    return array
