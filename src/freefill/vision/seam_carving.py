"""Where a photo can lose or gain a column: seams of least energy.

Seam carving (Avidan and Shamir, 2007) with forward energy (Rubinstein et al., 2008): a seam is a
path of one pixel a row from top to bottom, neighbours at most a column apart, and what it costs is
the edges that come into being when its pixels are gone. Found by dynamic programming in NumPy, on a
photo shrunk to 400 pixels a side; a seam of the small photo is a band in the large one, and
straight between its rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from freefill.types import Mask, Plane, Rgb

LOOKED_AT = 400
"""Pixels of the longer side that seams are looked for in."""
KEPT = 1e3
"""Cost of a pixel that is to be kept."""


def factor_of(size: tuple[int, int]) -> int:
    """Give how many times smaller a photo is looked at.

    Args:
        size: Height and width.

    Returns:
        A whole number, 1 for a photo of up to 400 pixels a side.
    """
    return -(-max(size) // LOOKED_AT)


def seams(small: Rgb, cost: Plane, factor: int, size: tuple[int, int], count: int) -> Mask:
    """Mark the pixels of a photo that its cheapest vertical seams take.

    Args:
        small: ``(h, w, 3)`` in [0, 1]: the photo, ``factor`` times smaller.
        cost: ``(h, w)``: what each of its pixels costs beside the edges.
        factor: Of both.
        size: Height and width of the photo.
        count: Columns that the photo is to lose.

    Returns:
        ``(H, W)`` bool with ``count`` pixels in each row.

    Raises:
        ValueError: If so many columns cannot be lost.

    Examples:
        >>> small = np.zeros((4, 6, 3), np.float32)
        >>> small[:, 3:5] = 1
        >>> taken = seams(small, np.zeros((4, 6), np.float32), 1, (4, 6), 2)
        >>> taken.sum(1).tolist(), bool(taken[:, 3:5].any())
        ([2, 2, 2, 2], False)
    """
    height, width = size
    if not 0 <= count < width:
        raise ValueError(f"{count} columns of {width} cannot be lost")
    left = np.broadcast_to(np.arange(width, dtype=np.int32), size).copy()
    rows = (np.arange(height) + 0.5) / factor - 0.5
    while count:
        # Seams of the small photo each take a band; the last takes what is still to go.
        band = min(factor, count, left.shape[1] - 1)
        path = _cheapest(small, cost)
        full = np.interp(rows, np.arange(len(path)), path)
        first = np.rint((full + 0.5) * factor - factor / 2).astype(np.int64)
        first = np.clip(first, 0, left.shape[1] - band)
        left = _without(left, first, band)
        if small.shape[1] > 2:
            small, cost = _without(small, path, 1), _without(cost, path, 1)
        count -= band
    taken = np.ones(size, bool)
    np.put_along_axis(taken, left, False, axis=1)
    return taken


def _cheapest(rgb: Rgb, cost: Plane) -> NDArray[np.int64]:
    """Give the column of the cheapest seam in each row."""
    height, width = cost.shape
    beside = np.pad(rgb, ((0, 0), (1, 1), (0, 0)), "edge")
    left, right = beside[:, :-2], beside[:, 2:]
    across = np.abs(right - left).sum(-1) + cost
    # What a step from the upper left brings together: the upper pixel and the left one.
    from_left = np.abs(rgb[:-1] - left[1:]).sum(-1)
    from_right = np.abs(rgb[:-1] - right[1:]).sum(-1)
    total = across[0]
    came = np.zeros((height, width), np.int8)
    options = np.full((3, width), np.inf, np.float32)
    columns = np.arange(width)
    for row in range(1, height):
        options[0, 1:] = total[:-1] + from_left[row - 1, 1:]
        options[1] = total
        options[2, :-1] = total[1:] + from_right[row - 1, :-1]
        # A tie goes straight down.
        best = np.where(options[1] <= np.minimum(options[0], options[2]), 1, options.argmin(0))
        came[row] = best - 1
        total = options[best, columns] + across[row]
    path = np.empty(height, np.int64)
    path[-1] = total.argmin()
    for row in range(height - 1, 0, -1):
        path[row - 1] = path[row] + came[row, path[row]]
    return path


def _without(values: NDArray[Any], first: NDArray[np.int64], count: int) -> NDArray[Any]:
    """Take ``count`` columns out of each row, from a column of its own on."""
    width = values.shape[1]
    columns = np.arange(width - count)
    source = columns + count * (columns >= first[:, None])
    index = source.reshape(source.shape + (1,) * (values.ndim - 2))
    return np.take_along_axis(values, index, axis=1)
