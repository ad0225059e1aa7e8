"""One network, three convolutions: what the paper's first claim is tested on.

A small encoder-decoder in which every layer but the last is a plain, a partial or a gated
convolution of the same width. Unlike ``light`` it gets no guess for the hole: how a layer deals
with an empty hole is the question. Where it differs from the paper's coarse stage: narrower, with
its trunk at 1/8 of the resolution, residual there and with additive skips, so that minutes on a CPU
are enough to tell the kinds apart.
"""

from __future__ import annotations

from typing import Literal, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from freefill.lab.layers.gated import GatedConv2d
from freefill.lab.layers.partial import PartialConv2d

Convolution = Literal["plain", "partial", "gated"]

STRIDE = 8
"""Height and width of the input must be multiples of this."""


class Layer(nn.Module):
    """A convolution of one kind with ELU; all kinds are called alike.

    Args:
        kind: Which convolution.
        in_channels: Channels of the input.
        out_channels: Channels of the output (after the gate, where there is one).
        kernel_size: Side of the square kernel, odd.
        stride: Stride.
        dilation: Dilation.

    Shape:
        Features ``(B, in_channels, H, W)`` and ``known`` ``(B, 1, H, W)``; returns both. Only the
        partial convolution reads and changes ``known``; the others hand it through.
    """

    def __init__(
        self,
        kind: Convolution,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        stride: int = 1,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        if kind not in get_args(Convolution):
            raise ValueError(f"kind is {kind!r}; it must be one of {get_args(Convolution)}")
        self.conv: nn.Module
        if kind == "plain":
            zeros = dilation * (kernel_size - 1) // 2
            self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, zeros, dilation)
        else:
            layer = GatedConv2d if kind == "gated" else PartialConv2d
            self.conv = layer(
                in_channels, out_channels, kernel_size, stride=stride, dilation=dilation
            )
        self.kind = kind

    def forward(self, x: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the features and what is known afterwards."""
        if self.kind == "partial":
            features, known = self.conv(x, known)
            return features, known
        y = self.conv(x)
        return (F.elu(y) if self.kind == "plain" else y), known


class EncoderDecoder(nn.Module):
    """The network of the ablation.

    Args:
        convolution: ``"plain"``, ``"partial"`` or ``"gated"``.
        channels: Width at 1/2, 1/4 and 1/8 of the resolution.
        dilations: Dilation of each residual layer at 1/8.

    Shape:
        ``image`` ``(B, 3, H, W)`` in [-1, 1] (values inside the hole are ignored), ``hole`` ``(B,
        1, H, W)`` with 1 = fill; H and W multiples of 8. Returns the whole predicted picture, ``(B,
        3, H, W)``, not clipped and not composited.

    Examples:
        >>> for kind in get_args(Convolution):
        ...     network = EncoderDecoder(kind)
        ...     print(kind, sum(p.numel() for p in network.parameters()))
        plain 652652
        partial 652652
        gated 1301836
    """

    def __init__(
        self,
        convolution: Convolution,
        channels: tuple[int, int, int] = (32, 64, 96),
        dilations: tuple[int, ...] = (1, 2, 4, 8, 4, 2),
    ) -> None:
        super().__init__()
        half, quarter, eighth = channels
        self.partial = convolution == "partial"
        self.stem = Layer(convolution, 4, half, 5, stride=2)
        self.down1 = Layer(convolution, half, quarter, stride=2)
        self.down2 = Layer(convolution, quarter, eighth, stride=2)
        self.trunk = nn.ModuleList(
            [Layer(convolution, eighth, eighth, dilation=d) for d in dilations]
        )
        self.up1 = Layer(convolution, eighth, quarter)
        self.up2 = Layer(convolution, quarter, half)
        self.to_rgb = nn.Conv2d(half, 4 * 3, 3, padding=1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        with torch.no_grad():
            # The same start for every kind: residual layers add little, the picture is near grey.
            for layer in self.trunk:
                for parameter in layer.parameters():
                    parameter.mul_(0.5)
            self.to_rgb.weight.mul_(0.1)

    def forward(self, image: Tensor, hole: Tensor) -> Tensor:
        """Predict the whole picture; see the class for shapes."""
        known = 1 - hole
        # All kinds see the same: the empty hole is 0, and a channel says where it is.
        half, known = self.stem(torch.cat([image * known, hole], 1), known)
        quarter, known = self.down1(half, known)
        x, known = self.down2(quarter, known)
        for layer in self.trunk:
            y, known = layer(x, known)
            x = x + y
        for up, skip in ((self.up1, quarter), (self.up2, half)):
            # What is known at half the size, doubled, covers what the skip knows.
            y, known = up(_double(x), _double(known) if self.partial else known)
            x = y + skip
        return F.pixel_shuffle(cast(Tensor, self.to_rgb(x)), 2)


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")
