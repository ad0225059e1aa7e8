"""L1, L2 and PSNR: how far the colours are off, pixel by pixel.

L1 and L2 in percent are the two that "Free-Form Image Inpainting with Gated Convolution" (Yu et
al., ICCV 2019, table 1) reports. All three ask for the one true fill: a sharp fill that is
plausible but other scores worse than a blurred one. Computed in float64.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from freefill.lab.evaluation.metrics.checks import check_pair
from freefill.types import Mask, Pixels

RANGE = 255.0
PSNR_CAP = 100.0


def l1(predicted: Pixels, target: Pixels, hole: Mask | None = None) -> float:
    """Measure the mean absolute error, in percent of the range.

    Args:
        predicted: ``(H, W, 3)`` uint8 RGB.
        target: The true picture, of the same shape.
        hole: ``(H, W)`` bool: only its pixels count. None: the whole picture.

    Returns:
        ``100 mean|a - b| / 255``, 0 to 100.

    Raises:
        ValueError: If a shape or type is another, or the hole is empty.

    Examples:
        >>> black, white = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8)
        >>> l1(black, white)
        100.0
        >>> white[0] = 51
        >>> l1(black, white, np.array([[True, False], [False, False]]))
        20.0
    """
    return 100 * float(np.abs(_error("l1", predicted, target, hole)).mean()) / RANGE


def l2(predicted: Pixels, target: Pixels, hole: Mask | None = None) -> float:
    """Measure the mean squared error, in percent of the squared range.

    Args:
        predicted: ``(H, W, 3)`` uint8 RGB.
        target: The true picture, of the same shape.
        hole: ``(H, W)`` bool: only its pixels count. None: the whole picture.

    Returns:
        ``100 mean (a - b)^2 / 255^2``, 0 to 100.

    Raises:
        ValueError: If a shape or type is another, or the hole is empty.

    Examples:
        >>> l2(np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 51, np.uint8))
        4.0
    """
    return 100 * float(np.square(_error("l2", predicted, target, hole)).mean()) / RANGE**2


def psnr(predicted: Pixels, target: Pixels, hole: Mask | None = None) -> float:
    """Measure the peak signal-to-noise ratio.

    Args:
        predicted: ``(H, W, 3)`` uint8 RGB.
        target: The true picture, of the same shape.
        hole: ``(H, W)`` bool: only its pixels count. None: the whole picture.

    Returns:
        ``10 log10(255^2 / mean (a - b)^2)`` in dB. Never above 100 dB, which is what equal
        pictures get instead of infinity, so that a mean over pictures stays a number.

    Raises:
        ValueError: If a shape or type is another, or the hole is empty.

    Examples:
        >>> black = np.zeros((2, 2, 3), np.uint8)
        >>> psnr(black, black + np.uint8(255)), psnr(black, black)
        (0.0, 100.0)
    """
    mse = float(np.square(_error("psnr", predicted, target, hole)).mean())
    return min(10 * math.log10(RANGE**2 / mse), PSNR_CAP) if mse else PSNR_CAP


def _error(
    metric: str, predicted: Pixels, target: Pixels, hole: Mask | None
) -> NDArray[np.float64]:
    check_pair(metric, predicted, target, hole)
    error = predicted.astype(np.float64) - target
    return error if hole is None else error[hole]
