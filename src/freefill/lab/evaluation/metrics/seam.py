"""Seam error: how wrong the gradients are along the boundary of the hole.

Of no paper. A fill may be good in its middle and still show as a patch, which a mean over the
hole hides. Gradients are what the eye sees a patch by: a step at the boundary, or texture that
stops there.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_dilation

from freefill.lab.evaluation.metrics.checks import check_hole, check_pair
from freefill.types import Mask, Pixels

WIDTH = 2


def seam(predicted: Pixels, target: Pixels, hole: Mask, width: int = WIDTH) -> float:
    """Measure the gradient error in a band along the hole's boundary, in percent of the range.

    A difference is taken between each two pixels that are neighbours in a row or in a column. It
    counts if at least one of the two is in the hole and each of the two that is in the hole is at
    most ``width`` from a known pixel (Chebyshev distance: 1 touches it, also by a corner). Two
    known pixels never count: their error is 0 by construction and would only dilute the rest. The
    value is the mean of ``100 |d predicted - d target| / 255`` over the differences that count and
    the three channels, horizontal and vertical ones alike.

    Where known pixels are kept, a difference that crosses the boundary is off by the colour error
    of its pixel in the hole; one inside the band is off by how that error changes. A fill that is
    off by one constant is therefore charged for the crossing differences alone, about a quarter of
    all along a straight boundary with the width of 2. The border of the picture is no boundary.

    Args:
        predicted: ``(H, W, 3)`` uint8 RGB.
        target: The true picture, of the same shape.
        hole: ``(H, W)`` bool, True = filled.
        width: How far the band reaches into the hole, in pixels, at least 1.

    Returns:
        0 (the true gradients) to 200; NaN for a hole without a boundary: empty, or all of the
        picture.

    Raises:
        ValueError: If a shape or type is another, or ``width`` is below 1.

    Examples:
        >>> target = np.full((8, 8, 3), 100, np.uint8)
        >>> hole = np.zeros((8, 8), bool)
        >>> hole[:, 4:] = True
        >>> predicted = target + np.uint8(51) * hole[..., None]
        >>> seam(target, target, hole), round(seam(predicted, target, hole), 2)
        (0.0, 5.33)
    """
    check_pair("seam", predicted, target)
    check_hole("seam", target, hole)
    if width < 1:
        raise ValueError(f"width is {width}; it must be at least 1")
    if not hole.any() or hole.all():
        return float("nan")
    near_known = binary_dilation(~hole, np.ones((3, 3), bool), iterations=width)
    # The difference of the errors is the error of the differences.
    error = predicted.astype(np.float64) - target
    found = []
    for axis in (0, 1):
        filled, near = np.moveaxis(hole, axis, 0), np.moveaxis(near_known, axis, 0)
        counts = (filled[1:] | filled[:-1]) & near[1:] & near[:-1]
        found.append(np.abs(np.diff(np.moveaxis(error, axis, 0), axis=0))[counts])
    return 100 * float(np.concatenate(found).mean()) / 255
