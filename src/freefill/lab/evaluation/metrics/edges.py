"""Edge F1: whether a fill has its edges where a sketch has its lines.

Precision and recall with a tolerance, as the field scores edge detectors ("Learning to Detect
Natural Image Boundaries", Martin et al., PAMI 2004), without the one-to-one matching: a line that
is found twice, on its two sides, counts as found. The detector is of another kind than the one that
training sketches are made with (:mod:`freefill.vision.edges`): zero crossings of the Laplacian of
a Gaussian ("Theory of Edge Detection", Marr and Hildreth, 1980), on brightness, at one scale.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_gradient_magnitude, gaussian_laplace

from freefill.imaging.codecs import LUMA
from freefill.lab.evaluation.metrics.checks import check_hole
from freefill.types import Mask, Pixels

SIGMA = 2.0
"""Of the Gaussian, in pixels."""
SLOPE = 6.0
"""Least change of brightness per pixel, of 255, at a crossing that counts. With both as they are,
true photos have the best F1, 0.84, against the sketches of training (41 training photos)."""
TOLERANCE = 2
"""Pixels that an edge may lie beside its line."""


def zero_crossings(pixels: Pixels, sigma: float = SIGMA, slope: float = SLOPE) -> Mask:
    """Find the edges of a picture.

    Args:
        pixels: ``(H, W, 3)`` uint8 RGB.
        sigma: Of the Gaussian, in pixels.
        slope: Least change of brightness per pixel, of 255, after smoothing.

    Returns:
        ``(H, W)`` bool.

    Examples:
        >>> step = np.zeros((16, 16, 3), np.uint8)
        >>> step[:, 8:] = 200
        >>> np.flatnonzero(zero_crossings(step).all(0)).tolist()
        [7]
    """
    light = pixels.astype(np.float32) @ LUMA
    curve = gaussian_laplace(light, sigma) > 0
    crossing = np.zeros(curve.shape, bool)
    crossing[:, :-1] |= curve[:, 1:] != curve[:, :-1]
    crossing[:-1] |= curve[1:] != curve[:-1]
    steep: Mask = gaussian_gradient_magnitude(light, sigma) > slope
    return crossing & steep


def edge_f1(
    found: Mask, drawn: Mask, hole: Mask, tolerance: float = TOLERANCE
) -> tuple[float, float, float]:
    """Score edges against lines, inside a hole.

    Args:
        found: Edges of the fill, ``(H, W)``.
        drawn: Lines of the sketch, ``(H, W)``.
        hole: Where to look, ``(H, W)``. A line may be met by an edge just outside it.
        tolerance: In pixels.

    Returns:
        F1, precision and recall in [0, 1]; NaN where the hole has neither edges nor lines.

    Raises:
        ValueError: If the shapes differ.

    Examples:
        >>> line = np.zeros((9, 9), bool)
        >>> line[:, 4] = True
        >>> edge_f1(np.roll(line, 2, 1), line, np.ones((9, 9), bool))
        (1.0, 1.0, 1.0)
        >>> edge_f1(np.roll(line, 3, 1), line, np.ones((9, 9), bool))
        (0.0, 0.0, 0.0)
    """
    check_hole("edge_f1", np.empty((*found.shape, 3), np.uint8), hole)
    if drawn.shape != found.shape:
        raise ValueError(f"edge_f1: edges are {found.shape} but lines are {drawn.shape}")
    inside, lines = found & hole, drawn & hole
    if not inside.any() and not lines.any():
        nan = float("nan")
        return nan, nan, nan
    precision = _share_near(inside, drawn, tolerance)
    recall = _share_near(lines, found, tolerance)
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return f1, precision, recall


def _share_near(those: Mask, others: Mask, tolerance: float) -> float:
    if not those.any() or not others.any():
        return 0.0
    return float((distance_transform_edt(~others)[those] <= tolerance).mean())
