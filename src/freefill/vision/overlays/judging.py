"""Which candidates are overlays: a weighted sum of a few measures of each, and a threshold.

The filters find whatever is thin; what tells an overlay from a branch is decided here, by logistic
regression on overlays that were drawn on training photos (``benchmarks/overlay_judges.py`` fits the
numbers and prints them).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

ASKED = 0.4
"""By how much the threshold is lower where a person said that there is something."""


@dataclass(frozen=True)
class Judge:
    """One kind of candidate.

    Attributes:
        weights: By the name of each measure.
        bias: What is added to their sum.
        least: Probability from which a candidate is taken.
    """

    weights: dict[str, float]
    bias: float
    least: float

    def probability(self, measures: dict[str, Numbers]) -> Numbers:
        """Give the probability of each candidate.

        Args:
            measures: Arrays of one number a candidate, by the names of the weights.

        Returns:
            ``(n,)`` in [0, 1].

        Examples:
            >>> judge = Judge({"length": 2.0}, -1.0, 0.5)
            >>> judge.probability({"length": np.array([0.0, 0.5, 1.0])}).round(2).tolist()
            [0.27, 0.5, 0.73]
        """
        total = self.bias + sum(w * measures[name] for name, w in self.weights.items())
        odds: Numbers = 1 / (1 + np.exp(-np.clip(total, -30, 30)))
        return odds

    def taken(self, measures: dict[str, Numbers], asked: bool = False) -> Numbers:
        """Give the probability of each candidate that is taken, ``(n,)``, and 0 for the others.

        Args:
            measures: As for :meth:`probability`.
            asked: Whether a person said where to look: then less is enough.
        """
        least = self.least * ASKED if asked else self.least
        odds = self.probability(measures)
        return np.where(odds >= least, odds, 0.0)


class Findings(NamedTuple):
    """What one kind of overlay was found to be."""

    mask: NDArray[np.bool_]
    """``(H, W)``."""
    odds: tuple[float, ...]
    """How likely each part of it is an overlay, the likeliest first."""

    @classmethod
    def of(cls, mask: NDArray[np.bool_], odds: list[float]) -> Findings:
        """Sort the parts."""
        return cls(mask, tuple(sorted(odds, reverse=True)))


def magnitude(values: Numbers) -> Numbers:
    """Give the logarithm of values that are at least 0, bounded below."""
    logarithm: Numbers = np.log(np.maximum(values, 1e-3))
    return logarithm
