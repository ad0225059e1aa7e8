"""SN-PatchGAN: a fully convolutional discriminator with spectral normalisation.

Six 5x5 convolutions of stride 2 on picture and mask; every element of the ``h x w x c`` output is
one term of the hinge loss (Yu et al., ICCV 2019, section 3.3). Its receptive field covers a
256-pixel picture, so there is no second, global discriminator. As in the released code the last
layer, too, ends in a leaky ReLU.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from freefill.lab.layers.padding import pad_same
from freefill.lab.layers.spectral import spectral_norm

KERNEL, STRIDE, DEPTH = 5, 2, 6


class SNPatchDiscriminator(nn.Module):
    """Score the patches of a picture as real or filled.

    Args:
        in_channels: 3 for the picture, 1 for the mask, more with guidance.
        width: Channels of the first layer; 64 in the paper. The next layers have 2, 4, 4, 4 and 4
            times as many.

    Shape:
        ``picture`` ``(B, 3, H, W)`` in [-1, 1], ``hole`` ``(B, 1, H, W)``; returns
        ``(B, 4 * width, ceil(H / 64), ceil(W / 64))``.

    Examples:
        >>> network = SNPatchDiscriminator()
        >>> sum(p.numel() for p in network.parameters())
        5946816
        >>> network(torch.zeros(1, 3, 256, 256), torch.zeros(1, 1, 256, 256)).shape
        torch.Size([1, 256, 4, 4])
    """

    def __init__(self, in_channels: int = 4, width: int = 64) -> None:
        super().__init__()
        widths = [in_channels, *(width * m for m in (1, 2, 4, 4, 4, 4))]
        self.layers = nn.ModuleList(
            spectral_norm(_layer(a, b)) for a, b in itertools.pairwise(widths)
        )

    def forward(self, picture: Tensor, *conditions: Tensor) -> Tensor:
        """Score ``picture``, given the hole and any guidance; see the class for shapes."""
        x = torch.cat([picture, *conditions], 1)
        for layer in self.layers:
            x = F.leaky_relu(layer(pad_same(x, KERNEL, STRIDE, 1)), 0.2)
        return x


def _layer(inputs: int, outputs: int) -> nn.Conv2d:
    layer = nn.Conv2d(inputs, outputs, KERNEL, STRIDE)
    assert layer.bias is not None
    # Glorot and zeros, as tf.layers starts.
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def receptive_field(kernel: int = KERNEL, stride: int = STRIDE, depth: int = DEPTH) -> int:
    """Give the side, in pixels, of the square that one score sees.

    Args:
        kernel: Kernel side of each layer.
        stride: Stride of each layer.
        depth: Number of layers.

    Returns:
        The side in pixels.

    Examples:
        >>> receptive_field()
        253
    """
    return 1 + sum((kernel - 1) * int(stride**layer) for layer in range(depth))
