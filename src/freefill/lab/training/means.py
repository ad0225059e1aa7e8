"""The values of a step, and their means over the steps between two rows of the log."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import Tensor

from freefill.errors import TrainingError


def add(values: dict[str, Tensor], name: str, value: Tensor, parts: int = 1) -> None:
    """Add one part's value to a step's, without its graph.

    Args:
        values: The step's, by name.
        name: Of the value.
        value: A scalar, a mean over the part.
        parts: How many equal parts the step has.
    """
    value = value.detach() / parts
    values[name] = values[name] + value if name in values else value


class Means:
    """Means of values that not every step has; nothing is fetched from a GPU before they are."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}

    def add(self, values: dict[str, Tensor]) -> None:
        """Take in a step's values."""
        for name, value in values.items():
            add(self.sums, name, value)
            self.counts[name] = self.counts.get(name, 0) + 1

    def taken(self, fabric: Fabric) -> dict[str, float]:
        """Give the mean of each value over all processes, and start over."""
        stacked = torch.stack([total / self.counts[name] for name, total in self.sums.items()])
        means = dict(zip(self.sums, fabric.all_reduce(stacked).tolist(), strict=True))
        self.sums, self.counts = {}, {}
        return means


def check_finite(means: dict[str, float], step: int, path: Path) -> None:
    """Stop where training has gone wrong.

    Args:
        means: Of a row.
        step: Of the row.
        path: The last checkpoint.

    Raises:
        TrainingError: If one of them is not a number.
    """
    wrong = [name for name, value in means.items() if not math.isfinite(value)]
    if wrong:
        raise TrainingError(
            f"the loss {wrong[0]!r} is {means[wrong[0]]} at step {step}: stopped. The last good "
            f"checkpoint is {path}; try a lower train.lr or train.precision=32-true"
        )
