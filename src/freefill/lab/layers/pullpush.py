"""Pull-push: a smooth first guess for the hole, without a parameter.

The known colours are averaged over larger and larger neighbourhoods (pull), and what is missing at
a fine level is taken from the next coarser one (push): "The Lumigraph" (Gortler et al., SIGGRAPH
1996, section 3.4). It has no seam, and its middle has the colour of the rim however large the hole
is.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

LEVELS = 6
TINY = 1e-4


def pull_push(image: Tensor, hole: Tensor, levels: int = LEVELS) -> Tensor:
    """Fill holes smoothly from what surrounds them.

    Args:
        image: ``(B, C, H, W)``; values inside the hole are ignored.
        hole: ``(B, 1, H, W)``, 1 = fill.
        levels: Number of halvings; a pixel further than about ``2**levels`` from any known one
            becomes 0.

    Returns:
        ``(B, C, H, W)``: the image where it is known, to rounding, and the guess in the hole.

    Examples:
        >>> image = torch.full((1, 3, 32, 32), 0.5)
        >>> hole = torch.zeros(1, 1, 32, 32)
        >>> hole[..., 8:24, 8:24] = 1
        >>> bool((pull_push(image * (1 - hole), hole) - 0.5).abs().max() < 1e-2)
        True
    """
    known = 1 - hole
    # Colours times weight, and the weight: one average then serves any pattern of known pixels.
    pulled = [torch.cat([image * known, known], 1)]
    for _ in range(levels):
        pulled.append(F.avg_pool2d(pulled[-1], 3, 2, 1))
    guess = _colours(pulled[-1])
    for number in reversed(range(levels)):
        level = pulled[number]
        weight = level[:, -1:]
        # A coarse cell that is half known is trusted; at full resolution only what is known is.
        trust = weight if number == 0 else (2 * weight).clamp(max=1)
        coarse = F.interpolate(guess, level.shape[-2:], mode="bilinear", align_corners=False)
        guess = trust * _colours(level) + (1 - trust) * coarse
    return guess


def _colours(level: Tensor) -> Tensor:
    return level[:, :-1] / (level[:, -1:] + TINY)
