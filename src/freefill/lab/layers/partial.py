"""Partial convolution: hole pixels are left out by a rule, and the hole shrinks layer by layer.

"Image Inpainting for Irregular Holes Using Partial Convolutions" (Liu et al., ECCV 2018, equations
1 and 2). One mask serves all channels, as they are all known at the same places. It stands here for
comparison: gated convolution learns what this layer prescribes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from freefill.lab.layers.gated import Activation
from freefill.lab.layers.precision import float32


class PartialConv2d(nn.Module):
    """A convolution over the known pixels alone, rescaled by how many there are.

    Where a window holds ``n > 0`` known of ``k * k`` places, the output is ``W * (x . known) * k^2
    / n + b`` and known from here on; where it holds none, the output is 0 and stays unknown. Places
    beyond the picture's edge count as unknown, so that the edge is rescaled too.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Side of the square kernel, odd.
        stride: Stride.
        dilation: Dilation.
        activation: Applied to known outputs; ``None`` leaves them linear.

    Raises:
        ValueError: If the kernel is even.

    Shape:
        ``x`` ``(B, in_channels, H, W)`` and ``known`` ``(B, 1, H, W)`` of zeros and ones to
        features ``(B, out_channels, ceil(H / stride), ceil(W / stride))`` and the new mask with one
        channel.

    Examples:
        >>> layer = PartialConv2d(3, 8)
        >>> known = torch.ones(1, 1, 16, 16)
        >>> known[..., 4:12, 4:12] = 0
        >>> _, after = layer(torch.zeros(1, 3, 16, 16), known)
        >>> int((known == 0).sum()), int((after == 0).sum())
        (64, 36)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        stride: int = 1,
        dilation: int = 1,
        activation: Activation | None = F.elu,
    ) -> None:
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size is {kernel_size}; it must be odd")
        self.activation = activation
        self.padding = dilation * (kernel_size - 1) // 2
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel_size, stride, self.padding, dilation, bias=False
        )
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.register_buffer("ones", torch.ones(1, 1, kernel_size, kernel_size), persistent=False)

    def forward(self, x: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the features and the new mask; see the class for shapes."""
        window = self.get_buffer("ones")
        with torch.no_grad():
            # The count keeps the layer's own type under autocast: bf16 is exact to 256 only.
            with float32():
                count = F.conv2d(
                    known.to(window.dtype),
                    window,
                    stride=self.conv.stride,
                    padding=self.padding,
                    dilation=self.conv.dilation,
                )
            after = (count > 0).to(known.dtype)
            scale = window.numel() / count.clamp(min=1)
        y = self.conv(x * known) * scale + self.bias.view(1, -1, 1, 1)
        if self.activation is not None:
            y = self.activation(y)
        return y * after, after
