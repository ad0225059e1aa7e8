"""The order in which a run sees its photos: epoch after epoch, each shuffled again.

The order is a function of the seed and of a sample's number in the run. So there is no state of a
loader to save: a run that is resumed in the middle of an epoch, or by another number of processes,
takes the photos that it would have taken, and processes share an epoch by taking other numbers.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


class Order:
    """Which photo each sample of a run takes.

    Args:
        weights: How often each photo comes in an epoch, on average; all 1: each once. A photo of
            weight 2.5 comes two or three times.
        seed: Seed of the run.

    Examples:
        >>> order = Order(np.ones(3), seed=0)
        >>> sorted(order.at(number) for number in range(3, 6))
        [0, 1, 2]
    """

    def __init__(self, weights: NDArray[np.float64], seed: int) -> None:
        self.cumulative = np.cumsum(weights)
        self.length = max(1, round(float(self.cumulative[-1])))
        """Samples in an epoch."""
        self.seed = seed
        # Batches that are made ahead reach into the next epoch.
        self.epoch = lru_cache(2)(self._epoch)

    def at(self, number: int) -> int:
        """Give the photo of a sample, which has a number in the run, from 0."""
        epoch, place = divmod(number, self.length)
        return int(self.epoch(epoch)[place])

    def _epoch(self, number: int) -> NDArray[np.int64]:
        rng = np.random.default_rng([self.seed, number, SHUFFLING])
        # Evenly spaced points on the line of weights: each photo comes as often as its weight says,
        # rounded down or up, and an epoch is as long as any other.
        points = (np.arange(self.length) + rng.random()) * (self.cumulative[-1] / self.length)
        chosen = np.searchsorted(self.cumulative, points, side="right")
        return rng.permutation(np.minimum(chosen, len(self.cumulative) - 1))


SHUFFLING = 0x0EDE
"""Keeps these random numbers apart from those of samples, which take seed, step and number."""
