"""LPIPS-AlexNet, the reported perceptual distance, over the picture or over the hole.

Zhang et al., CVPR 2018, version 0.1. Pictures keep their size: no resize is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from freefill.lab.evaluation.metrics.checks import check_pair
from freefill.lab.models.lpips import Lpips
from freefill.types import Mask, Pixels
from freefill.weights import third_party

SMALLEST = 32


def lpips(
    predicted: Pixels, target: Pixels, hole: Mask | None = None, weights: Path | None = None
) -> float:
    """Measure the distance of one picture from another.

    Args:
        predicted: ``(H, W, 3)`` uint8 RGB, at least 32 pixels a side.
        target: The true picture, of the same shape.
        hole: ``(H, W)`` bool: the distance maps of the five stages are brought to the size of the
            picture (bilinear, ``align_corners=False``), summed, and averaged over the hole's
            pixels. The network sees the whole pictures either way. None: the paper's distance,
            the sum of the means of the five maps as they are; a hole of all pixels comes near it,
            but the maps' borders weigh otherwise.
        weights: ``lpips_alex.safetensors``; by default the fetched reference.

    Returns:
        The distance: 0 for equal pictures, about 0.7 for unrelated ones.

    Raises:
        ValueError: If a shape or type is another, the picture is too small, or the hole is empty.
        ReferenceMissingError: If the network was not fetched.
    """
    check_pair("lpips", predicted, target, hole, SMALLEST)
    network = _network(weights or third_party.path("lpips_alex"))
    with torch.inference_mode():
        if hole is None:
            return float(network(_batch(predicted), _batch(target))[0])
        distances = _map(network, _batch(predicted), _batch(target))
    # Holes are often flipped views, whose negative strides torch does not take.
    inside = torch.from_numpy(np.ascontiguousarray(hole))
    return float(distances[inside].double().mean())


def lpips_of_each(
    predicted: Sequence[Pixels], target: Pixels, weights: Path | None = None
) -> list[float]:
    """Measure several fills of one photo in one pass, which computes the photo's features once.

    Args:
        predicted: ``(H, W, 3)`` uint8 RGB each, at least one, at least 32 pixels a side.
        target: The true picture, of the same shape.
        weights: As for :func:`lpips`.

    Returns:
        What :func:`lpips` gives for each without a hole, but for rounding.

    Raises:
        ValueError: If there is none, a shape or type is another, or the picture is too small.
        ReferenceMissingError: If the network was not fetched.
    """
    if not predicted:
        raise ValueError("lpips of each: there are 0 pictures")
    for picture in predicted:
        check_pair("lpips", picture, target, None, SMALLEST)
    network = _network(weights or third_party.path("lpips_alex"))
    with torch.inference_mode():
        truth = network.stages(_batch(target))
        fills = network.stages(torch.cat([_batch(picture) for picture in predicted]))
        return [float(distance) for distance in network.between(fills, truth)]


def _map(network: Lpips, a: Tensor, b: Tensor) -> Tensor:
    """Give the distance at each pixel, ``(H, W)``, of two batches of one."""
    size = a.shape[-2:]
    total = torch.zeros(size)
    stages = zip(network.stages(a), network.stages(b), strict=True)
    for i, (x, y) in enumerate(stages):
        coarse = F.conv2d((x - y).square(), network.get_buffer(f"lin{i}"))
        total += F.interpolate(coarse, size, mode="bilinear", align_corners=False)[0, 0]
    return total


@lru_cache(maxsize=2)
def _network(path: Path) -> Lpips:
    return Lpips.load(path, "alex")


def _batch(pixels: Pixels) -> Tensor:
    return torch.from_numpy(pixels.transpose(2, 0, 1)[None].astype(np.float32) / 127.5 - 1)
