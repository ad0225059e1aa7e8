"""What all metrics ask of what they are given: a wrong array is refused in the same words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from freefill.types import Mask, Pixels


def check_picture(metric: str, picture: Pixels, smallest: int = 1) -> None:
    """Refuse what is not a picture.

    Args:
        metric: Who asks, for the message.
        picture: To be ``(H, W, 3)`` uint8.
        smallest: The fewest pixels a side may have.

    Raises:
        ValueError: If the type, the shape or the size is another.
    """
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[-1] != 3:
        raise ValueError(f"{metric} takes (H, W, 3) uint8, not {picture.shape} {picture.dtype}")
    height, width, _ = picture.shape
    if min(height, width) < smallest:
        raise ValueError(f"{metric} needs {smallest} pixels a side, not {height} x {width}")


def check_pair(
    metric: str, predicted: Pixels, target: Pixels, hole: Mask | None = None, smallest: int = 1
) -> None:
    """Refuse what is not a pair of pictures of one size, and a hole that marks nothing in them.

    Args:
        metric: Who asks, for the message.
        predicted: To be ``(H, W, 3)`` uint8.
        target: To be of the same shape.
        hole: To be ``(H, W)`` bool with at least one True, or None.
        smallest: The fewest pixels a side may have.

    Raises:
        ValueError: If a type, a shape or a size is another, or the hole is empty.
    """
    check_picture(metric, predicted, smallest)
    check_picture(metric, target, smallest)
    if predicted.shape != target.shape:
        raise ValueError(f"predicted is {predicted.shape} but target is {target.shape}")
    if hole is not None:
        check_hole(metric, target, hole)
        if not hole.any():
            raise ValueError(f"{metric} over the hole: the hole of {hole.shape} has 0 pixels")


def check_hole(metric: str, picture: Pixels, hole: Mask) -> None:
    """Refuse what is not a hole of this picture; an empty one passes.

    Args:
        metric: Who asks, for the message.
        picture: ``(H, W, 3)``.
        hole: To be ``(H, W)`` bool.

    Raises:
        ValueError: If the type or the shape is another.
    """
    size = picture.shape[:2]
    if hole.dtype != np.bool_ or hole.shape != size:
        raise ValueError(f"{metric} takes a hole of {size} bool, not {hole.shape} {hole.dtype}")


def check_features(metric: str, a: NDArray[np.floating], b: NDArray[np.floating]) -> None:
    """Refuse what is not two sets of features of one width.

    Args:
        metric: Who asks, for the message.
        a: To be ``(N, D)``, finite.
        b: To be ``(M, D)``, finite.

    Raises:
        ValueError: If a shape is another, or a value is not finite.
    """
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(f"{metric} takes (N, D) and (M, D) features, not {a.shape} and {b.shape}")
    bad = int((~np.isfinite(a)).sum() + (~np.isfinite(b)).sum())
    if bad:
        raise ValueError(f"{metric}: {bad} features are not finite")
