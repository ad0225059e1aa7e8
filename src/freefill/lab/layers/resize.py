"""Nearest-neighbour resizing with aligned corners, as the released DeepFill v2 code resizes.

With ``align_corners=True`` TensorFlow's nearest neighbour reads the pixel at ``round(i * (n - 1) /
(m - 1))``, which is another one than ``2 i`` for half of the places of a picture that is halved.
Released weights were trained with it. Doubling so is the same as repeating each pixel.
"""

from __future__ import annotations

import torch
from torch import Tensor


def nearest_aligned(x: Tensor, factor: int) -> Tensor:
    """Shrink a picture by a whole factor.

    Args:
        x: ``(B, C, H, W)``, H and W multiples of ``factor``.
        factor: How many times smaller it becomes.

    Returns:
        ``(B, C, H / factor, W / factor)``; every value is one of ``x``.

    Examples:
        >>> nearest_aligned(torch.arange(8.0).view(1, 1, 1, 8).expand(1, 1, 8, 8), 2)[0, 0, 0]
        tensor([0., 2., 5., 7.])
    """
    for axis in (2, 3):
        x = x.index_select(axis, aligned_indices(x.shape[axis], factor, x.device))
    return x


def aligned_indices(length: int, factor: int, device: torch.device | None = None) -> Tensor:
    """Give the places that are read along one axis, int64.

    They are computed in float32 and rounded half up, as TensorFlow does it: an exact computation
    differs where ``i * (n - 1) / (m - 1)`` lies half way.

    Args:
        length: Pixels of the axis.
        factor: How many times smaller it becomes.
        device: Where the result lies.
    """
    places = torch.arange(length // factor, device=device, dtype=torch.float32)
    steps = torch.ones_like(places) * (length // factor - 1)
    scale = (torch.ones_like(places) * (length - 1)) / steps.clamp(min=1)
    # In float32 the sum could itself be rounded up to a whole number.
    return ((places * scale).double() + 0.5).floor().long()
