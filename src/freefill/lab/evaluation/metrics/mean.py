"""The one accumulator: any metric of a pair, kept picture by picture."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from freefill.types import Mask, Pixels


class Mean:
    """Accumulates a metric over pictures.

    Args:
        metric: Called with ``predicted, target`` and, where one is given, ``hole``.

    Attributes:
        values: The metric of each pair so far, in the order of the updates.

    Examples:
        >>> from freefill.lab.evaluation.metrics.pixel import l1
        >>> mean = Mean(l1)
        >>> black = np.zeros((2, 2, 3), np.uint8)
        >>> mean.update(black, black), mean.update(black + np.uint8(51), black), mean.compute()
        (0.0, 20.0, 10.0)
    """

    def __init__(self, metric: Callable[..., float]) -> None:
        self.metric = metric
        self.values: list[float] = []

    def update(self, predicted: Pixels, target: Pixels, hole: Mask | None = None) -> float:
        """Take in one pair and give its value.

        Args:
            predicted: ``(H, W, 3)`` uint8 RGB.
            target: The true picture, of the same shape.
            hole: ``(H, W)`` bool, for the value over the hole; None: over the whole picture.

        Returns:
            The metric of this pair.

        Raises:
            ValueError: If the metric refuses the pair; nothing is kept of it then.
        """
        given = (predicted, target) if hole is None else (predicted, target, hole)
        self.values.append(self.metric(*given))
        return self.values[-1]

    def compute(self) -> float:
        """Give the mean over all pairs so far; NaN without any, or if the metric gave one."""
        return float(np.mean(self.values)) if self.values else float("nan")
