"""SSIM: likeness of brightness, contrast and structure under a small moving window.

"Image Quality Assessment: From Error Visibility to Structural Similarity" (Wang et al., IEEE TIP
2004), with its Gaussian window (sigma 1.5, 11 taps), constants and population covariance. The
paper measures grey pictures; here each colour channel is measured and the mean taken, as
scikit-image does, whose value for the whole picture this one equals. Over a hole nothing follows a
paper: the mean of the map over the hole.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from freefill.lab.evaluation.metrics.checks import check_pair
from freefill.types import Mask, Pixels

SIGMA = 1.5
RADIUS = 5
C1 = (0.01 * 255) ** 2
C2 = (0.03 * 255) ** 2


def ssim(predicted: Pixels, target: Pixels, hole: Mask | None = None) -> float:
    """Measure the structural similarity of one picture to another.

    Args:
        predicted: ``(H, W, 3)`` uint8 RGB, at least 11 pixels a side.
        target: The true picture, of the same shape.
        hole: ``(H, W)`` bool: the mean of the map over its pixels, wherever they lie; windows at
            the hole's rim and at the picture's border, where pixels are mirrored, count too. None:
            the mean over all pixels whose window lies in the picture (5 from each border are
            left out).

    Returns:
        -1 to 1; 1 for equal pictures.

    Raises:
        ValueError: If a shape or type is another, the picture is smaller than the window, or the
            hole is empty.

    Examples:
        >>> picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        >>> ssim(picture, picture), ssim(255 - picture, picture) < 0
        (1.0, True)
    """
    check_pair("ssim", predicted, target, hole, smallest=2 * RADIUS + 1)
    found = _map(predicted.astype(np.float64), target.astype(np.float64))
    inside = found[RADIUS:-RADIUS, RADIUS:-RADIUS] if hole is None else found[hole]
    return float(inside.mean())


def _map(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    mean_x, mean_y = _blur(x), _blur(y)
    variance_x = _blur(x * x) - mean_x**2
    variance_y = _blur(y * y) - mean_y**2
    covariance = _blur(x * y) - mean_x * mean_y
    brightness = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    structure = (2 * covariance + C2) / (variance_x + variance_y + C2)
    return brightness * structure


def _blur(x: NDArray[np.float64]) -> NDArray[np.float64]:
    blurred = gaussian_filter(x, SIGMA, mode="reflect", radius=RADIUS, axes=(0, 1))
    return np.asarray(blurred, np.float64)
