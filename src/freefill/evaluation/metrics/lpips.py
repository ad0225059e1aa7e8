"""LPIPS-AlexNet, the reported perceptual distance: a pure function and an accumulator.

Zhang et al., CVPR 2018, version 0.1. Pictures keep their size: no resize is made.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from freefill import references
from freefill.models.lpips import Lpips


def lpips(
    predicted: NDArray[np.uint8], target: NDArray[np.uint8], weights: Path | None = None
) -> float:
    """Measure the distance of one picture from another.

    Args:
        predicted: ``(H, W, 3)`` uint8 RGB, at least 32 pixels a side.
        target: The true picture, of the same shape.
        weights: ``lpips_alex.safetensors``; by default the fetched reference.

    Returns:
        The distance: 0 for equal pictures, about 0.7 for unrelated ones.

    Raises:
        ValueError: If the shapes differ, or are not ``(H, W, 3)`` uint8.
        ReferenceMissingError: If the network was not fetched.
    """
    for array in (predicted, target):
        if array.dtype != np.uint8 or array.ndim != 3 or array.shape[-1] != 3:
            raise ValueError(f"lpips takes (H, W, 3) uint8, not {array.shape} {array.dtype}")
    if predicted.shape != target.shape:
        raise ValueError(f"predicted is {predicted.shape} but target is {target.shape}")
    with torch.inference_mode():
        distance = _network(weights or references.path("lpips_alex"))(
            _batch(predicted), _batch(target)
        )
    return float(distance[0])


class MeanLpips:
    """Accumulates :func:`lpips` over pictures.

    Args:
        weights: ``lpips_alex.safetensors``; by default the fetched reference.
    """

    def __init__(self, weights: Path | None = None) -> None:
        self.weights = weights
        self.values: list[float] = []

    def update(self, predicted: NDArray[np.uint8], target: NDArray[np.uint8]) -> float:
        """Take in one pair and give its distance."""
        self.values.append(lpips(predicted, target, self.weights))
        return self.values[-1]

    def compute(self) -> float:
        """Give the mean over all pairs so far; NaN without any."""
        return float(np.mean(self.values)) if self.values else float("nan")


@lru_cache(maxsize=2)
def _network(path: Path) -> Lpips:
    return Lpips.load(path, "alex")


def _batch(pixels: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(pixels.transpose(2, 0, 1)[None].astype(np.float32) / 127.5 - 1)
