"""``light``: the bundled default, a gated network that is small enough for a laptop.

Where it differs from the paper's network, and why. The coarse stage is pull-push interpolation,
which has no parameter: the network sees its guess and adds what it lacks, so that neither colour
nor seam has to be learned. The stem folds 2x2 pixels into channels, and most of the work is done at
1/8 of the resolution, where a multiplication is cheapest per pixel of receptive field. Most of the
parameters are at 1/16 and 1/32, where they cost next to no time: there the middle of a 256-pixel
hole sees the whole crop, by dilations and by attention between all places. From there the local
colours are predicted; the detail between them is copied from known patches
(:mod:`freefill.lab.layers.copying`), chosen by colour, by distance, and by features that learn
which texture belongs there. The decoder, which sees the copies, corrects them: how much of each
pixel's copy is kept is one more gate. Each layer has one gate for all its channels ("single"): on a
CPU it costs a hundredth of a full gate. Encoder features are added to the decoder's, already gated.
The convolution of a block is linear and its input is activated (pre-activation), so that the
residual sum is not pushed to one side.
"""

from __future__ import annotations

from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from freefill.lab.layers.blocks import BlockConv2d, pixel_shuffle
from freefill.lab.layers.copying import (
    CELL,
    Match,
    by_distance,
    cell_means,
    framed,
    patches,
    smooth,
    texture,
)
from freefill.lab.layers.gated import GatedConv2d
from freefill.lab.layers.pullpush import pull_push
from freefill.types import GUIDANCE_CHANNELS

Gated = partial(GatedConv2d, gate="single", activation=F.silu)

STRIDE = 16
"""Height and width of the input must be multiples of this."""
MATCHING_FEATURES = 24
"""Learned features that patches are compared by, next to their colours and places."""
SHARPNESS = 0.03
"""Squared difference of texture and colour at which a patch is a third as good a choice."""
TRUNK_BEFORE_DEEP = 4
"""Trunk blocks at 1/8 that come before the deeper ones."""
LEARNED_FROM = 192
"""Patches of each picture that the choice of a source is learned from in a step."""


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
    """Double the resolution: a pointwise convolution, then bilinear interpolation.

    A pixel shuffle in its place costs four times as much and leaves a grid of its stride.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, in_channels, H, W)`` to ``(B, out_channels, 2H, 2W)``."""
        return _double(cast(Tensor, self.conv(x)))


class Attention(nn.Module):
    """Residual multi-head attention between all places, with their distance in mind.

    "Attention Is All You Need" (Vaswani et al., NeurIPS 2017). Positions are encoded by a depthwise
    convolution of the values ("Conditional Positional Encodings", Chu et al., ICLR 2023), so that
    any size will do.

    Args:
        channels: Of input and output.
        heads: Each of ``channels / heads``.
    """

    def __init__(self, channels: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(1, channels)
        self.to_qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.nearby = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, C, H, W)`` to the same shape."""
        batch, channels, height, width = x.shape
        qkv = self.to_qkv(self.norm(x))
        values = qkv[:, 2 * channels :]
        shape = (batch, 3, self.heads, channels // self.heads, height * width)
        q, k, v = qkv.reshape(shape).transpose(-1, -2).unbind(1)
        mixed = F.scaled_dot_product_attention(q, k, v)
        mixed = mixed.transpose(-1, -2).reshape(batch, channels, height, width)
        return x + cast(Tensor, self.out(mixed + self.nearby(values)))


class Light(nn.Module):
    """The one-stage gated inpainting network.

    Args:
        channels: Width at 1/2, 1/4 and 1/8 of the resolution.
        dilations: Dilation of each trunk block at 1/8; four come before the deeper ones.
        deep_dilations: Dilation of each block at 1/16; half of them come before those at 1/32.
        deepest_channels: Width at 1/32 of the resolution.
        deepest_dilations: Dilation of each block at 1/32.
        attention: Layers of attention at 1/16, after the blocks at 1/32.
        refining: Blocks at 1/4 and at 1/2 that correct the copies.
        rounds: How often neighbouring patches agree on where they copy from.
        guidance: Number of optional guidance channels: lines, where there are strokes of colour,
            and their three colours. Strokes are known pixels to the guess; beside that, all of them
            have a branch that starts at zero and is skipped when no guidance is given, so that
            weights trained without guidance can learn it later.

    Shape:
        ``image`` ``(B, 3, H, W)`` in [-1, 1] (values inside the hole are ignored), ``hole``
        ``(B, 1, H, W)`` with 1 = fill, ``guidance`` ``(B, guidance, H, W)``, 0 outside the hole; H
        and W multiples of 16. Guidance of 2x2 zeros stands for none at any size.
        Returns the whole predicted picture, ``(B, 3, H, W)``, not clipped and not composited. In
        training mode a dict: that picture as ``filled``, the local colours as ``coarse``, ``(B, 3,
        H / 8, W / 8)``, and the loss of the choice of patches as ``match``, a scalar; for that one
        ``image`` has to be the true picture.

    Examples:
        >>> network = Light()
        >>> sum(p.numel() for p in network.parameters())
        3704168
        >>> network.eval()(torch.zeros(2, 3, 64, 48), torch.ones(2, 1, 64, 48)).shape
        torch.Size([2, 3, 64, 48])
    """

    def __init__(
        self,
        channels: tuple[int, int, int] = (32, 64, 128),
        dilations: tuple[int, ...] = (1, 2, 4, 8, 1, 2),
        deep_dilations: tuple[int, ...] = (1, 2, 4, 8),
        deepest_channels: int = 256,
        deepest_dilations: tuple[int, ...] = (1, 2, 4),
        attention: int = 2,
        refining: tuple[int, int] = (1, 1),
        rounds: int = 0,
        guidance: int = GUIDANCE_CHANNELS,
    ) -> None:
        super().__init__()
        half, quarter, eighth = channels
        self.guidance = guidance
        self.rounds = rounds
        self.stem = Gated(4, half, block=2)
        self.guide = BlockConv2d(guidance, half, 3, block=2, bias=False)
        self.down1 = Gated(half, quarter, stride=2)
        self.down2 = Gated(quarter, eighth, stride=2)
        self.trunk1 = nn.Sequential(*[Block(eighth, d) for d in dilations[:TRUNK_BEFORE_DEEP]])
        before = (len(deep_dilations) + 1) // 2
        self.deep1 = nn.Sequential(*[Block(eighth, d) for d in deep_dilations[:before]])
        self.deepest = nn.Sequential()
        if deepest_dilations:
            self.deepest = nn.Sequential(
                nn.Conv2d(eighth, deepest_channels, 1),
                *[Block(deepest_channels, d) for d in deepest_dilations],
                Upsample(deepest_channels, eighth),
            )
        self.attention = nn.Sequential(*[Attention(eighth) for _ in range(attention)])
        self.deep2 = nn.Sequential(*[Block(eighth, d) for d in deep_dilations[before:]])
        self.trunk2 = nn.Sequential(*[Block(eighth, d) for d in dilations[TRUNK_BEFORE_DEEP:]])
        self.to_colours = nn.Conv2d(eighth, 3, 3, padding=1)
        self.to_queries = nn.Conv2d(eighth, MATCHING_FEATURES, 2, padding=1)
        self.to_keys = nn.Conv2d(eighth + 3 + 3, MATCHING_FEATURES, 2)
        self.nearness = nn.Parameter(torch.tensor([1.0, 0.1]).log())
        self.up1 = Upsample(eighth, quarter)
        self.decode1 = Block(quarter)
        self.embed1 = BlockConv2d(3, quarter, 1, block=4)
        self.refine1 = nn.Sequential(*[Block(quarter) for _ in range(refining[0])])
        self.up2 = Upsample(quarter, half)
        self.embed2 = BlockConv2d(3, half, 3, block=2)
        self.refine2 = nn.Sequential(*[Block(half) for _ in range(refining[1])])
        self.to_rgb = nn.Conv2d(half, 4 * (3 + 1), 3, padding=1)
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        with torch.no_grad():
            for module in self.modules():
                # A residual sum of n blocks grows with n unless each starts small.
                if isinstance(module, Block):
                    module.conv.conv.weight.mul_(0.5)
                # What comes later than the rest begins as if it were not there.
                if isinstance(module, Attention):
                    module.out.weight.zero_()
            if len(self.deepest):
                cast(Upsample, self.deepest[-1]).conv.weight.zero_()
            nn.init.zeros_(self.guide.weight)
            self.to_colours.weight.mul_(0.1)
            self.to_queries.weight.mul_(0.1)
            self.to_rgb.weight.mul_(0.1)
            # The gate of the copies starts nearly open.
            cast(Tensor, self.to_rgb.bias)[4 * 3 :] = 2.0

    def forward(
        self, image: Tensor, hole: Tensor, guidance: Tensor | None = None
    ) -> Tensor | dict[str, Tensor]:
        """Predict the whole picture; see the class for shapes.

        Raises:
            ValueError: If height or width is not a multiple of 16.
        """
        height, width = image.shape[-2:]
        if height % STRIDE or width % STRIDE:
            raise ValueError(f"light needs multiples of {STRIDE}, not {width}x{height}")
        guess = pull_push(*_with_strokes(image, hole, guidance))
        half = self.stem(torch.cat([guess, hole], 1))
        if guidance is not None:
            half = half + self.guide(guidance)
        quarter = self.down1(half)
        eighth = self.trunk1(self.down2(quarter))
        deep = self.deep1(F.avg_pool2d(eighth, 2))
        if len(self.deepest):
            # An odd row or column at 1/16 is half a place at 1/32.
            deepest = self.deepest(F.avg_pool2d(deep, 2, ceil_mode=True, count_include_pad=False))
            deep = deep + deepest[..., : deep.shape[-2], : deep.shape[-1]]
        deep = self.deep2(self.attention(deep))
        eighth = self.trunk2(eighth + _double(deep))

        features = F.silu(eighth)
        colours = cell_means(guess) + self.to_colours(features).float()
        # Where a cell is partly known, its true pixels count.
        picture = image * (1 - hole) + smooth(colours) * hole
        means = cell_means(picture)
        base = smooth(means)
        match = self._match(features, picture, means, hole)
        detail = match.copy(image - base)
        copied = image * (1 - hole) + (base + detail) * hole

        y = self.decode1(self.up1(eighth) + quarter)
        y = self.refine1(y + self.embed1(copied))
        y = self.refine2(self.up2(y) + half + self.embed2(copied))
        refined = pixel_shuffle(self.to_rgb(F.silu(y)).float(), 2)
        dropped = (1 - torch.sigmoid(refined[:, 3:])) * hole
        filled = copied - dropped * detail + refined[:, :3]
        if not self.training:
            return filled
        return {"filled": filled, "coarse": colours, "match": _mismatch(match, image)}

    def _match(self, features: Tensor, picture: Tensor, means: Tensor, hole: Tensor) -> Match:
        """Compare patches by colour, by place, and by learned queries and keys."""
        means = means.detach()
        height, width = means.shape[-2:]
        rows = torch.arange(height + 2, device=means.device).view(1, 1, -1, 1) / CELL
        columns = torch.arange(width + 2, device=means.device).view(1, 1, 1, -1) / CELL
        places = torch.cat(
            [
                rows.expand(means.shape[0], 1, -1, width + 2),
                columns.expand(means.shape[0], 1, height + 2, -1),
            ],
            1,
        )
        colour, place = (self.nearness / 2).exp()
        queries, keys = by_distance(
            torch.cat([patches(framed(means)) * colour, places[..., 1:, 1:] * place], 1),
            torch.cat([patches(means) * colour, places[..., 2:-1, 2:-1] * place], 1),
        )
        own = torch.cat([features, means.to(features), texture(picture).detach().to(features)], 1)
        return Match(
            torch.cat([queries, self.to_queries(features).float()], 1),
            torch.cat([keys, self.to_keys(own).float()], 1),
            hole,
            compact=not self.training,
            rounds=self.rounds,
        )


def _with_strokes(image: Tensor, hole: Tensor, guidance: Tensor | None) -> tuple[Tensor, Tensor]:
    """Take strokes of colour for known pixels: give picture and hole for the guess.

    So their colours spread into the hole as those from around it do, before anything is learned.
    """
    if guidance is None:
        return image, hole
    # Without strokes there may be 2x2 zeros, which stand for none.
    strokes = F.interpolate(guidance[:, 1:], (image.shape[-2], image.shape[-1]))
    painted, colours = strokes[:, :1], strokes[:, 1:]
    return image * (1 - painted) + colours, hole * (1 - painted)


def _mismatch(match: Match, image: Tensor) -> Tensor:
    """Cross-entropy of the choice of patches, against those most like the truth in the hole.

    Likeness is that of texture first and of colour second: copies of like texture are nearest to
    the truth in LPIPS, even when their own colours differ. A cross-entropy learns the likeliest
    patch where regression would learn a mean of all, which is like none.
    """
    truth = torch.cat([2 * texture(image), 0.5 * cell_means(image)], 1).detach()
    places, counted = match.sample(LEARNED_FROM)
    with torch.no_grad():
        likeness = match.compare(places, *by_distance(patches(framed(truth)), patches(truth)))
        target = torch.softmax(likeness / SHARPNESS, 2)
    fit = match.compare(places, match.queries, match.keys)
    missed = -(target * torch.log_softmax(fit, 2)).sum(2)
    counted = counted * match.known[:, :, 0, 0]
    # A mean for each picture first, so that a batch may be computed in parts.
    return ((missed * counted).sum(1) / counted.sum(1).clamp(min=1)).mean()


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
