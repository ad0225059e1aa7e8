"""``light``: the bundled default, a gated network that is small enough for a laptop.

Where it differs from the paper's network, and why. The coarse stage is pull-push interpolation,
which has no parameter: the network sees its guess and adds what it lacks, so that neither colour
nor seam has to be learned. The stem folds 2x2 pixels into channels, and most of the work is done
at 1/8 of the resolution, where a multiplication is cheapest per pixel of receptive field;
dilations there and a few blocks at 1/16 let the middle of a 256-pixel hole see far beyond its rim.
Each layer has one gate for all its channels ("single"): on a CPU it costs a hundredth of a full
gate. Encoder features are added to the decoder's, already gated. The convolution of a block is
linear and its input is activated (pre-activation), so that the residual sum is not pushed to one
side.
"""

from __future__ import annotations

from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from freefill.layers.gated import GatedConv2d
from freefill.layers.pullpush import pull_push

Gated = partial(GatedConv2d, gate="single", activation=F.silu)

STRIDE = 16
"""Height and width of the input must be multiples of this."""


class Block(nn.Module):
    """A residual gated convolution: ``x + features(silu(x)) * gate(silu(x))``."""

    def __init__(self, channels: int, dilation: int = 1) -> None:
        super().__init__()
        self.conv = GatedConv2d(
            channels, channels, 3, dilation=dilation, gate="single", activation=None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, C, H, W)`` to the same shape."""
        return x + cast(Tensor, self.conv(F.silu(x)))


class Upsample(nn.Module):
    """Double the resolution by a pointwise convolution and a pixel shuffle."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 4 * out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, in_channels, H, W)`` to ``(B, out_channels, 2H, 2W)``."""
        return F.pixel_shuffle(self.conv(x), 2)


class Light(nn.Module):
    """The one-stage gated inpainting network.

    Args:
        channels: Width at 1/2, 1/4 and 1/8 of the resolution.
        dilations: Dilation of each trunk block at 1/8; half of them come before the blocks at 1/16.
        deep_dilations: Dilation of each block at 1/16.
        guidance: Number of optional guidance channels (a sketch and three of colour strokes). Their
            branch starts at zero and is skipped when no guidance is given, so that weights trained
            without guidance can learn it later without another architecture.

    Shape:
        ``image`` ``(B, 3, H, W)`` in [-1, 1] (values inside the hole are ignored), ``hole``
        ``(B, 1, H, W)`` with 1 = fill, ``guidance`` ``(B, guidance, H, W)``; H and W multiples of
        16.
        Returns the whole predicted picture, ``(B, 3, H, W)``, not clipped and not composited.

    Examples:
        >>> network = Light()
        >>> sum(p.numel() for p in network.parameters())
        1830572
        >>> network(torch.zeros(2, 3, 64, 48), torch.ones(2, 1, 64, 48)).shape
        torch.Size([2, 3, 64, 48])
    """

    def __init__(
        self,
        channels: tuple[int, int, int] = (32, 64, 128),
        dilations: tuple[int, ...] = (1, 2, 4, 8, 1, 2, 4, 8),
        deep_dilations: tuple[int, ...] = (1, 2, 4),
        guidance: int = 4,
    ) -> None:
        super().__init__()
        half, quarter, eighth = channels
        self.guidance = guidance
        self.stem = Gated(4 * 4, half)
        self.guide = nn.Conv2d(4 * guidance, half, 3, padding=1, bias=False)
        self.down1 = Gated(half, quarter, stride=2)
        self.down2 = Gated(quarter, eighth, stride=2)
        middle = len(dilations) // 2
        self.trunk1 = nn.Sequential(*[Block(eighth, d) for d in dilations[:middle]])
        self.deep = nn.Sequential(*[Block(eighth, d) for d in deep_dilations])
        self.trunk2 = nn.Sequential(*[Block(eighth, d) for d in dilations[middle:]])
        self.up1 = Upsample(eighth, quarter)
        self.decode1 = Block(quarter)
        self.up2 = Upsample(quarter, half)
        self.decode2 = Block(half)
        self.to_rgb = nn.Conv2d(half, 4 * 3, 3, padding=1)
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            if isinstance(module, Block):
                # A residual sum of n blocks grows with n unless each starts small.
                with torch.no_grad():
                    module.conv.conv.weight.mul_(0.5)
        nn.init.zeros_(self.guide.weight)
        with torch.no_grad():
            self.to_rgb.weight.mul_(0.1)

    def forward(self, image: Tensor, hole: Tensor, guidance: Tensor | None = None) -> Tensor:
        """Predict the whole picture; see the class for shapes.

        Raises:
            ValueError: If height or width is not a multiple of 16.
        """
        height, width = image.shape[-2:]
        if not torch.compiler.is_compiling() and (height % STRIDE or width % STRIDE):
            raise ValueError(f"light needs multiples of {STRIDE}, not {width}x{height}")
        guess = pull_push(image, hole)
        half = self.stem(F.pixel_unshuffle(torch.cat([guess, hole], 1), 2))
        if guidance is not None:
            half = half + self.guide(F.pixel_unshuffle(guidance, 2))
        quarter = self.down1(half)
        eighth = self.trunk1(self.down2(quarter))
        deep = self.deep(F.avg_pool2d(eighth, 2))
        eighth = self.trunk2(eighth + F.interpolate(deep, scale_factor=2.0, mode="nearest"))
        y = self.decode1(self.up1(eighth) + quarter)
        y = self.decode2(self.up2(y) + half)
        return guess + F.pixel_shuffle(self.to_rgb(F.silu(y)), 2)
