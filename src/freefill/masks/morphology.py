"""The shape of holes: growing them, and the boxes that hold them.

Written with NumPy alone: the base install carries no SciPy and no OpenCV.
"""

from __future__ import annotations

import math

import numpy as np

from freefill.imaging.box import Box, bounds
from freefill.types import Mask


def grow(hole: Mask, radius: int) -> Mask:
    """Widen a hole by a disc.

    Args:
        hole: ``(H, W)`` bool.
        radius: In pixels, at least 0.

    Returns:
        Every pixel that has a hole pixel within ``radius``.

    Raises:
        ValueError: If ``radius`` is negative.

    Examples:
        >>> one = np.zeros((5, 5), bool)
        >>> one[2, 2] = True
        >>> int(grow(one, 1).sum()), int(grow(one, 2).sum())
        (5, 13)
    """
    if radius < 0:
        raise ValueError(f"a hole grows by 0 pixels or more, not {radius}")
    if radius == 0:
        return hole
    found = np.zeros_like(hole)
    height, width = hole.shape
    for box in boxes(hole):
        # Only the surroundings of holes can change: the photo between them costs nothing.
        near = Box(
            left=max(box.left - radius, 0),
            top=max(box.top - radius, 0),
            right=min(box.right + radius, width),
            bottom=min(box.bottom + radius, height),
        )
        _grow_into(found[near.window], hole[near.window], radius)
    return found


def _grow_into(target: Mask, local: Mask, radius: int) -> None:
    rows, columns = local.shape
    span = min(radius, rows - 1)
    for shift in range(-span, span + 1):
        reach = math.isqrt(radius * radius - shift * shift)
        # A running sum along the row tells whether a hole pixel lies within `reach` columns.
        sums = np.zeros((rows, columns + 1), np.int32)
        np.cumsum(local, axis=1, out=sums[:, 1:])
        right = np.minimum(np.arange(columns) + reach + 1, columns)
        left = np.maximum(np.arange(columns) - reach, 0)
        spread = sums[:, right] > sums[:, left]
        if shift >= 0:
            target[shift:] |= spread[: rows - shift]
        else:
            target[:shift] |= spread[-shift:]


def boxes(hole: Mask, cell: int = 32) -> list[Box]:
    """Give one box around each group of hole pixels that lie close together.

    Groups are found on a grid of cells, so that the cost is that of one look at the mask, however
    many specks there are: pixels in the same cell or in touching cells belong together.

    Args:
        hole: ``(H, W)`` bool.
        cell: Side of a cell, in pixels, at least 1.

    Returns:
        Tight boxes, from top to bottom. They can overlap; no hole pixel is outside all of them.

    Examples:
        >>> hole = np.zeros((100, 400), bool)
        >>> hole[10:20, 10:20] = hole[50:60, 300:310] = True
        >>> boxes(hole)
        [Box(left=10, top=10, right=20, bottom=20), Box(left=300, top=50, right=310, bottom=60)]
    """
    height, width = hole.shape
    rows, columns = -(-height // cell), -(-width // cell)
    tall = np.logical_or.reduceat(hole, np.arange(0, height, cell), axis=0)
    grid = np.logical_or.reduceat(tall, np.arange(0, width, cell), axis=1)
    label = np.zeros((rows, columns), np.int32)
    groups: list[list[tuple[int, int]]] = []
    for start in zip(*(axis.tolist() for axis in np.nonzero(grid)), strict=True):
        if label[start]:
            continue
        groups.append([])
        label[start] = len(groups)
        waiting = [start]
        while waiting:
            row, column = waiting.pop()
            groups[-1].append((row, column))
            for r in range(max(row - 1, 0), min(row + 2, rows)):
                for c in range(max(column - 1, 0), min(column + 2, columns)):
                    if grid[r, c] and not label[r, c]:
                        label[r, c] = len(groups)
                        waiting.append((r, c))
    found = []
    for number, cells in enumerate(groups, 1):
        top, left = min(r for r, _ in cells) * cell, min(c for _, c in cells) * cell
        bottom, right = (max(r for r, _ in cells) + 1) * cell, (max(c for _, c in cells) + 1) * cell
        local = hole[top:bottom, left:right]
        own = (label == number)[top // cell : bottom // cell, left // cell : right // cell]
        mine = np.repeat(np.repeat(own, cell, 0), cell, 1)[: local.shape[0], : local.shape[1]]
        tight = bounds(local & mine)
        assert tight is not None
        found.append(
            Box(
                left=left + tight.left,
                top=top + tight.top,
                right=left + tight.right,
                bottom=top + tight.bottom,
            )
        )
    return sorted(found, key=lambda box: box.reading_order)
