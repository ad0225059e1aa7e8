"""Blocks of pixels as channels, and back, in the way that ONNX Runtime is fast at.

A pixel shuffle is a transposition of six axes, which takes ONNX Runtime as long as a convolution.
On the way in it is not needed at all: a convolution of blocks is one of the picture, with a larger
kernel and a stride.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class BlockConv2d(nn.Conv2d):
    """The convolution of ``F.pixel_unshuffle(x, block)``, computed from ``x`` itself.

    Args:
        in_channels: Channels of ``x``.
        out_channels: Channels of the output.
        kernel_size: Side of the square kernel, in blocks, odd.
        block: Side of a block, in pixels.

    Shape:
        ``(B, in_channels, H, W)`` to ``(B, out_channels, H / block, W / block)``.

    Examples:
        >>> import torch
        >>> layer = BlockConv2d(3, 8, 3, block=2).eval()
        >>> x = torch.rand(1, 3, 16, 16)
        >>> expected = F.conv2d(F.pixel_unshuffle(x, 2), layer.weight, layer.bias, padding=1)
        >>> bool(torch.allclose(layer(x), expected, atol=1e-6))
        True
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        block: int,
        bias: bool = True,
    ) -> None:
        super().__init__(
            in_channels * block**2, out_channels, kernel_size, padding=kernel_size // 2, bias=bias
        )
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        """Convolve the blocks of ``x``."""
        if self.training:  # torch has a fast shuffle, and a slow gradient of large kernels
            return super().forward(F.pixel_unshuffle(x, self.block))
        side, block = self.kernel_size[0], self.block
        kernels = self.weight.view(self.out_channels, -1, block, block, side, side)
        kernels = kernels.permute(0, 1, 4, 2, 5, 3)
        kernels = kernels.reshape(self.out_channels, -1, side * block, side * block)
        return F.conv2d(x, kernels, self.bias, block, block * (side // 2))


def pixel_shuffle(x: Tensor, block: int) -> Tensor:
    """Do what :func:`torch.nn.functional.pixel_shuffle` does, columns first and then rows.

    Args:
        x: ``(B, C * block ** 2, H, W)``.
        block: Side of a block, in pixels.

    Returns:
        ``(B, C, H * block, W * block)``.

    Examples:
        >>> import torch
        >>> x = torch.rand(2, 12, 4, 5)
        >>> torch.equal(pixel_shuffle(x, 2), F.pixel_shuffle(x, 2))
        True
    """
    batch, _, height, width = x.shape
    x = x.view(batch, -1, block, block, height, width).permute(0, 1, 2, 4, 5, 3)
    x = x.reshape(batch, -1, block, height, width * block).transpose(2, 3)
    return x.reshape(batch, -1, height * block, width * block)
