"""The pair of discriminators that SN-PatchGAN replaced: one for the picture, one for the hole.

"Globally and Locally Consistent Image Completion" (Iizuka et al., SIGGRAPH 2017, section 3.3): the
features of the whole picture and of a window around the hole are joined and scored with one
number. Where it differs: spectral normalisation and the hinge loss instead of batch normalisation
and the logistic loss, and the mask as an input, so that next to SN-PatchGAN only the shape of the
discriminator differs.
"""

from __future__ import annotations

import itertools
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

KERNEL, STRIDE = 5, 2


class LocalGlobalDiscriminator(nn.Module):
    """Score a picture with one number, from the whole of it and from a window around its hole.

    Args:
        in_channels: 3 for the picture, 1 for the mask.
        width: Channels of the first layer; 64 in the paper. The next have 2, 4, 8, 8 and 8 times as
            many.
        side: Side that pictures are resized to, in pixels, a multiple of 64; 256 in the paper. The
            window's side is half of it.
        features: Length of each of the two joined vectors; 1024 in the paper.

    Shape:
        ``picture`` ``(B, 3, H, W)`` in [-1, 1], ``hole`` ``(B, 1, H, W)``; returns ``(B, 1)``.

    Raises:
        ValueError: If ``side`` is no multiple of 64.

    Examples:
        >>> network = LocalGlobalDiscriminator(width=8, side=64)
        >>> network(torch.zeros(2, 3, 96, 96), torch.zeros(2, 1, 96, 96)).shape
        torch.Size([2, 1])
    """

    def __init__(
        self, in_channels: int = 4, width: int = 64, side: int = 256, features: int = 1024
    ) -> None:
        super().__init__()
        if side % 64:
            raise ValueError(f"side is {side}; it must be a multiple of 64")
        self.side = side
        self.whole = _branch(in_channels, width, 6, side, features)
        self.window = _branch(in_channels, width, 5, side // 2, features)
        self.join = spectral_norm(nn.Linear(2 * features, 1))

    def forward(self, picture: Tensor, hole: Tensor) -> Tensor:
        """Score ``picture``; see the class for shapes."""
        x = torch.cat([picture, hole], 1)
        if x.shape[-2:] != (self.side, self.side):
            x = F.interpolate(x, (self.side, self.side), mode="area")
        joined = torch.cat([self.whole(x), self.window(around_hole(x, self.side // 2))], 1)
        return cast(Tensor, self.join(F.leaky_relu(joined, 0.2)))


def around_hole(x: Tensor, side: int) -> Tensor:
    """Cut a square window around the middle of each sample's hole.

    Args:
        x: ``(B, C, H, W)`` whose last channel is the hole; no side shorter than ``side``.
        side: Side of the window, in pixels.

    Returns:
        ``(B, C, side, side)``: centred on the hole's bounding box, moved as far as the picture's
        edge asks; in the middle of the picture where there is no hole.
    """
    windows = []
    for sample in x:
        corner = []
        for axis in (1, 0):
            length = sample.shape[2 - axis]
            taken = torch.nonzero(sample[-1].amax(axis) > 0)
            middle = (int(taken[0]) + int(taken[-1]) + 1) // 2 if len(taken) else length // 2
            corner.append(min(max(middle - side // 2, 0), length - side))
        top, left = corner
        windows.append(sample[:, top : top + side, left : left + side])
    return torch.stack(windows)


def _branch(in_channels: int, width: int, depth: int, side: int, features: int) -> nn.Sequential:
    widths = [in_channels, *(width * m for m in (1, 2, 4, 8, 8, 8)[:depth])]
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(widths):
        layers += [spectral_norm(nn.Conv2d(a, b, KERNEL, STRIDE, 2)), nn.LeakyReLU(0.2)]
    flat = widths[-1] * (side // 2**depth) ** 2
    return nn.Sequential(*layers, nn.Flatten(), spectral_norm(nn.Linear(flat, features)))
