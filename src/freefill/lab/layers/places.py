"""Places in a picture, chosen without a value that a GPU has to be waited for."""

from __future__ import annotations

import torch
from torch import Tensor


def pixel_of(hole: Tensor, drawn: Tensor) -> tuple[Tensor, Tensor]:
    """Choose a pixel of each hole, all alike.

    Args:
        hole: ``(B, H, W)`` of 0 and 1.
        drawn: ``(B,)`` in [0, 1): which of its pixels; of all pixels, where there is no hole.

    Returns:
        Row and column, ``(B,)`` int64 each.

    Examples:
        >>> hole = torch.zeros(1, 4, 6)
        >>> hole[0, 2, 3:5] = 1
        >>> [pixel_of(hole, torch.tensor([drawn])) for drawn in (0.2, 0.7)]
        [(tensor([2]), tensor([3])), (tensor([2]), tensor([4]))]
    """
    height, width = hole.shape[-2:]
    before = hole.flatten(1).cumsum(1)
    count = before[:, -1:]
    # The pixel that has as many of the hole before it.
    asked = torch.where(count > 0, (drawn[:, None] * count).floor(), -1.0)
    chosen = (before <= asked).sum(1)
    chosen = torch.where(count[:, 0] > 0, chosen, (drawn * (height * width)).long())
    return torch.div(chosen, width, rounding_mode="floor"), chosen % width
