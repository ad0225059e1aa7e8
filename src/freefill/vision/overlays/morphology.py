"""Grey-scale morphology on squares, and means over squares, in a time that hardly grows with them.

Openings and closings as in Serra, "Image Analysis and Mathematical Morphology" (1982): what a
square does not fit into is taken away, and the difference (top-hat, black-hat) is what is thin.
"""

from __future__ import annotations

import numpy as np

from freefill.types import Plane


def highest(plane: Plane, radius: int) -> Plane:
    """Give the maximum over the square of ``2 * radius + 1`` pixels around each pixel.

    Args:
        plane: ``(H, W)``.
        radius: At least 0. The border is continued.

    Returns:
        ``(H, W)``.

    Examples:
        >>> plane = np.zeros((3, 5), np.float32)
        >>> plane[1, 1] = 1
        >>> highest(plane, 1).sum(1).tolist()
        [3.0, 3.0, 3.0]
    """
    for axis in (0, 1):
        plane = _running_maximum(plane, radius, axis)
    return plane


def lowest(plane: Plane, radius: int) -> Plane:
    """Give the minimum, as :func:`highest` gives the maximum."""
    return -highest(-plane, radius)


def opened(plane: Plane, radius: int) -> Plane:
    """Take away what is bright and too thin for a square of ``2 * radius + 1`` pixels."""
    return highest(lowest(plane, radius), radius)


def closed(plane: Plane, radius: int) -> Plane:
    """Take away what is dark and too thin for it."""
    return -opened(-plane, radius)


def mean_around(plane: Plane, radius: int) -> Plane:
    """Give the mean over the square of ``2 * radius + 1`` pixels around each pixel.

    Args:
        plane: ``(H, W)``.
        radius: At least 0. The border is continued.

    Returns:
        ``(H, W)`` float32.

    Examples:
        >>> mean_around(np.eye(3, dtype=np.float32), 1)[1, 1].round(3)
        np.float32(0.333)
    """
    for axis in (0, 1):
        padding = [(radius + 1, radius) if a == axis else (0, 0) for a in (0, 1)]
        # In double precision: a running sum of a long row loses what single precision has.
        sums = np.cumsum(np.pad(plane, padding, "edge"), axis, dtype=np.float64)
        sums = np.moveaxis(sums, axis, 0)
        means = (sums[2 * radius + 1 :] - sums[: -2 * radius - 1]) / (2 * radius + 1)
        plane = np.moveaxis(means, 0, axis).astype(np.float32)
    return plane


def _running_maximum(plane: Plane, radius: int, axis: int) -> Plane:
    """Double the span until it is reached: as many passes as the radius has binary digits."""
    wanted, span = 2 * radius + 1, 1
    padding = [(radius, radius) if a == axis else (0, 0) for a in (0, 1)]
    wide = np.moveaxis(np.pad(plane, padding, "edge"), axis, 0)
    while span < wanted:
        step = min(span, wanted - span)
        wide = np.maximum(wide[:-step], wide[step:])
        span += step
    return np.moveaxis(wide, 0, axis)
