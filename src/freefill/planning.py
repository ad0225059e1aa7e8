"""Which parts of the photo the network sees, and at which scale.

The network gets a crop around each group of holes with enough of the photo around it to know what
continues; groups that lie far apart are filled apart, so that the cost follows the hole and not
the photo. A crop larger than the network's budget is shrunk to it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from freefill.image import Box
from freefill.masks.shape import boxes

Hole = NDArray[np.bool_]

CONTEXT = 64
"""Least number of known pixels around a hole that the network is shown, on each side."""
SHARE = 0.75
"""Context on each side as a share of the hole's longer side, where that is more."""
SMALLEST = 128
"""Side that a crop has at least: the smallest crops that the network was trained on."""
BUDGET = 512 * 512
"""Pixels that a crop has at most, as the network sees it."""
STRIDE = 16
"""The network takes multiples of this."""


@dataclass(frozen=True)
class Crop:
    """One run of the network.

    Attributes:
        hole: Tight box of the holes that are filled by it.
        box: What the network sees, in pixels of the photo.
        scale: At most 1; the side of the crop is multiplied by it.
    """

    hole: Box
    box: Box
    scale: float

    @property
    def network_size(self) -> tuple[int, int]:
        """Height and width that the network computes at: scaled, and padded to multiples of 16."""
        rows, columns = (max(1, round(side * self.scale)) for side in self.box.size)
        return -(-rows // STRIDE) * STRIDE, -(-columns // STRIDE) * STRIDE


def plan(hole: Hole) -> list[Crop]:
    """Decide on the crops for a hole.

    Args:
        hole: ``(H, W)`` bool.

    Returns:
        Crops whose ``hole`` boxes cover every hole pixel; none for an empty hole.

    Examples:
        >>> hole = np.zeros((512, 512), bool)
        >>> hole[200:240, 200:240] = True
        >>> [(crop.box, crop.scale) for crop in plan(hole)]
        [(Box(top=132, left=132, bottom=308, right=308), 1.0)]
    """
    height, width = hole.shape
    crops = [_crop(box, height, width) for box in boxes(hole)]
    return [_scaled(crop) for crop in _merge(crops, height, width)]


def _crop(hole: Box, height: int, width: int) -> Crop:
    margin = max(CONTEXT, round(SHARE * max(hole.size)))
    top, bottom = _span(hole.top, hole.bottom, margin, height)
    left, right = _span(hole.left, hole.right, margin, width)
    return Crop(hole, Box(top, left, bottom, right), 1.0)


def _span(first: int, last: int, margin: int, length: int) -> tuple[int, int]:
    """Widen an interval by a margin, to SMALLEST and a multiple of STRIDE, within [0, length)."""
    wanted = max(last - first + 2 * margin, SMALLEST)
    wanted = min(-(-wanted // STRIDE) * STRIDE, length)
    start = first - (wanted - (last - first)) // 2
    # At a border the crop moves inwards: what is cut off on one side is seen on the other.
    start = min(max(start, 0), length - wanted)
    return start, start + wanted


def _merge(crops: list[Crop], height: int, width: int) -> list[Crop]:
    """Join crops where one run over both costs no more than two."""
    done: list[Crop] = []
    waiting = list(crops)
    while waiting:
        crop = waiting.pop()
        for i, other in enumerate(done):
            joined = _crop(_union(crop.hole, other.hole), height, width)
            if joined.box.area <= crop.box.area + other.box.area:
                del done[i]
                waiting.append(joined)
                break
        else:
            done.append(crop)
    return sorted(done, key=lambda crop: crop.hole)


def _union(a: Box, b: Box) -> Box:
    return Box(
        min(a.top, b.top), min(a.left, b.left), max(a.bottom, b.bottom), max(a.right, b.right)
    )


def _scaled(crop: Crop) -> Crop:
    return Crop(crop.hole, crop.box, min(1.0, math.sqrt(BUDGET / crop.box.area)))
