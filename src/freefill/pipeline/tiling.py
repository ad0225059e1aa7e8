"""Which parts of the photo the network sees, and at which scale.

The network gets a crop around each group of holes with enough of the photo around it to know what
continues; groups that lie far apart are filled apart, so that the cost follows the hole and not
the photo. A crop of more than 512x512 pixels is seen small, and so is a thick hole that has no thin
parts: the network was trained on crops of 256 and 384 pixels, and further inside a hole than it has
ever seen it paints fog. The detail comes from the photo then
(:mod:`freefill.pipeline.detail_transfer`). A thin hole is filled large, so that edges go on across
it (:mod:`freefill.pipeline.enlarging`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from freefill.imaging.box import Box
from freefill.masks.morphology import boxes
from freefill.types import Mask

CONTEXT = 64
"""Least number of known pixels around a hole that the network is shown, on each side."""
SHARE = 0.75
"""Context on each side as a share of the hole's longer side, where that is more."""
SQUARE_SHARE = 0.25
"""The same for networks that are shown squares, which were trained on larger holes."""
SMALLEST = 128
"""Side that a crop has at least: the smallest crops that the network was trained on."""
BUDGET = 512 * 512
"""Pixels that a crop has at most, as the network sees it."""
VIEW = 256
"""Side that the network should see at least where a crop is shrunk for the hole's sake."""
COMPACT = 2 / 3
"""Share of a hole's longer side that its largest square has at least if the hole is compact: then
its crop is shrunk though it fits, as structure matters more there than what is lost of the detail.
On 32 photos of 512 pixels the LPIPS of the whole crop and of half its resolution is 0.153 and 0.150
for the centre rectangle, and 0.161 and 0.170 for free-form holes, which have thin parts."""
THICK = 40
"""The same of the hole as the network sees it, that a crop is shrunk to where it is shrunk."""
ZOOM = 2
"""How many times larger the network sees a hole that is not THICK even then, if that is within the
BUDGET. On 13 photos of 256 pixels scratches (up to 9 pixels wide) have an LPIPS of 0.0068 as they
are and 0.0054 at twice the size, thin strokes (17 pixels) 0.035 and 0.031."""
STRIDE = 16
"""The network takes multiples of this."""
LOOKED_AT = 512
"""Pixels of the longer side of a hole that its thickness is measured on."""


@dataclass(frozen=True)
class Crop:
    """One run of the network.

    Attributes:
        hole: Tight box of the holes that are filled by it.
        box: What the network sees, in pixels of the photo.
        factor: How many times smaller the network sees it, a whole number.
        zoom: How many times larger, 1 or :data:`ZOOM`; 1 where it is seen smaller.
    """

    hole: Box
    box: Box
    factor: int = 1
    zoom: int = 1

    @property
    def network_size(self) -> tuple[int, int]:
        """Height and width that the network computes at: scaled, and padded to multiples of 16."""
        rows, columns = (-(-side // self.factor) * self.zoom for side in self.box.size)
        return -(-rows // STRIDE) * STRIDE, -(-columns // STRIDE) * STRIDE


def plan(hole: Mask, side: int | None = None) -> list[Crop]:
    """Decide on the crops for a hole.

    Args:
        hole: ``(H, W)`` bool.
        side: For a network that fills crops of one size best, pixels of that size a side, a
            multiple of 16: crops are squares of it, as far as the photo goes, and are shrunk where
            a hole with its surroundings is larger.

    Returns:
        Crops whose ``hole`` boxes cover every hole pixel; none for an empty hole.

    Examples:
        >>> hole = np.zeros((512, 512), bool)
        >>> hole[200:240, 200:240] = True
        >>> [(crop.box, crop.factor) for crop in plan(hole)]
        [(Box(left=132, top=132, right=308, bottom=308), 1)]
    """
    height, width = hole.shape
    crops = [_crop(box, height, width, side) for box in boxes(hole)]
    merged = _merge(crops, height, width, side)
    # Squares have their scale already.
    return merged if side else [_scaled(crop, hole) for crop in merged]


def batches(crops: Sequence[Crop]) -> list[list[Crop]]:
    """Put crops that the network sees at one size together, so that specks share its runs.

    Args:
        crops: What :func:`plan` gave.

    Returns:
        The same crops; each batch is of one size, and no more than the largest single crop.

    Examples:
        >>> speck = Crop(Box(left=60, top=60, right=64, bottom=64), Box.whole((128, 128)))
        >>> [len(batch) for batch in batches([speck] * 20)]
        [16, 4]
    """
    done: list[list[Crop]] = []
    filling: dict[tuple[int, int], list[Crop]] = {}
    for crop in crops:
        batch = filling.get(crop.network_size)
        if batch is None or (len(batch) + 1) * math.prod(crop.network_size) > BUDGET:
            batch = filling[crop.network_size] = []
            done.append(batch)
        batch.append(crop)
    return done


def explain(crops: Sequence[Crop], even: Sequence[Box] = ()) -> list[str]:
    """Tell a person how a fill was made, a line for each crop.

    Args:
        crops: What :func:`plan` gave.
        even: Boxes that were filled with the one colour around them.

    Returns:
        The lines, from top to bottom.

    Examples:
        >>> hole = Box(left=400, top=300, right=700, bottom=500)
        >>> seen = Box(left=200, top=100, right=936, bottom=720)
        >>> explain([Crop(hole, seen, 3)])[0][:40]
        'hole 300x200 at (400, 300): seen with it'
    """
    told = [(box, "one colour all around, filled with it") for box in even]
    for crop in crops:
        height, width = crop.box.size
        seen_rows, seen_columns = crop.network_size
        scale = "at full resolution"
        if crop.factor > 1:
            scale = f"{crop.factor} times smaller; its detail comes from the photo"
        elif crop.zoom > 1:
            scale = f"{crop.zoom} times larger"
        line = (
            f"seen with its surroundings, {width}x{height} at ({crop.box.left}, {crop.box.top}), "
            f"as {seen_columns}x{seen_rows}, {scale}"
        )
        told.append((crop.hole, line))
    told.sort(key=lambda one: one[0].reading_order)
    return [
        f"hole {box.size[1]}x{box.size[0]} at ({box.left}, {box.top}): {line}" for box, line in told
    ]


def thickness(hole: Mask) -> int:
    """Give the side of the largest square that is all hole.

    A hole of more than 512 pixels is measured in whole cells of step x step pixels, at most 512 a
    side: the result is a multiple of the step, up to ``2 * (step - 1)`` too small, never too large.

    Args:
        hole: ``(H, W)`` bool.

    Returns:
        The side in pixels, 0 for an empty hole.

    Examples:
        >>> hole = np.zeros((50, 50), bool)
        >>> hole[10:30, 5:45] = True
        >>> thickness(hole)
        20
    """
    step = -(-max(hole.shape) // LOOKED_AT)
    rows, columns = (side // step for side in hole.shape)
    # Rows first: a reduction over whole rows is the fast one.
    bands = np.logical_and.reduce(hole[: rows * step].reshape(rows, step, hole.shape[1]), axis=1)
    seen = np.logical_and.reduce(bands[:, : columns * step].reshape(rows, columns, step), axis=2)
    sums = np.zeros((seen.shape[0] + 1, seen.shape[1] + 1), np.int32)
    np.cumsum(np.cumsum(seen, 0, dtype=np.int32), 1, out=sums[1:, 1:])
    low, high = 0, min(seen.shape)
    while low < high:
        side = (low + high + 1) // 2
        heights = sums[side:] - sums[:-side]
        inside = heights[:, side:] - heights[:, :-side]
        if inside.max() == side * side:
            low = side
        else:
            high = side - 1
    return int(low * step)


def _crop(hole: Box, height: int, width: int, side: int | None) -> Crop:
    if side is not None:
        return _square(hole, height, width, side)
    margin = max(CONTEXT, round(SHARE * max(hole.size)))
    top, bottom = _span(hole.top, hole.bottom, margin, height)
    left, right = _span(hole.left, hole.right, margin, width)
    return Crop(hole, Box(left=left, top=top, right=right, bottom=bottom))


def _square(hole: Box, height: int, width: int, side: int) -> Crop:
    """Show a hole in a square of one side, or of a whole number of it."""
    longest = max(hole.size)
    wanted = longest + 2 * max(CONTEXT, round(SQUARE_SHARE * longest))
    factor = max(1, math.ceil(min(wanted, max(height, width)) / side))
    top, bottom = _placed(hole.top, hole.bottom, factor * side, height)
    left, right = _placed(hole.left, hole.right, factor * side, width)
    return Crop(hole, Box(left=left, top=top, right=right, bottom=bottom), factor)


def _span(first: int, last: int, margin: int, length: int) -> tuple[int, int]:
    """Widen an interval by a margin, to SMALLEST and a multiple of STRIDE, within [0, length)."""
    wanted = max(last - first + 2 * margin, SMALLEST)
    return _placed(first, last, -(-wanted // STRIDE) * STRIDE, length)


def _placed(first: int, last: int, wanted: int, length: int) -> tuple[int, int]:
    """Put an interval of a length that is wanted around another, within [0, length)."""
    wanted = min(wanted, length)
    start = first - (wanted - (last - first)) // 2
    # At a border the crop moves inwards: what is cut off on one side is seen on the other.
    start = min(max(start, 0), length - wanted)
    return start, start + wanted


def _merge(crops: list[Crop], height: int, width: int, side: int | None) -> list[Crop]:
    """Join crops where one run over both costs no more than two."""
    done: list[Crop] = []
    waiting = list(crops)
    while waiting:
        crop = waiting.pop()
        for i, other in enumerate(done):
            joined = _crop(_union(crop.hole, other.hole), height, width, side)
            if joined.box.area <= crop.box.area + other.box.area:
                del done[i]
                waiting.append(joined)
                break
        else:
            done.append(crop)
    return sorted(done, key=lambda crop: crop.hole.reading_order)


def _union(a: Box, b: Box) -> Box:
    return Box(
        left=min(a.left, b.left),
        top=min(a.top, b.top),
        right=max(a.right, b.right),
        bottom=max(a.bottom, b.bottom),
    )


def _scaled(crop: Crop, hole: Mask) -> Crop:
    side, thick = math.sqrt(crop.box.area), thickness(hole[crop.hole.window])
    factor = math.ceil(side / math.sqrt(BUDGET))
    if factor > 1 or thick >= COMPACT * max(crop.hole.size):
        factor = max(factor, min(round(thick / THICK), round(side / VIEW)))
    fits = ZOOM**2 * crop.box.area <= BUDGET
    zoom = ZOOM if factor == 1 and ZOOM * thick <= THICK and fits else 1
    return Crop(crop.hole, crop.box, factor, zoom)
