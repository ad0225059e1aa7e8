"""Gated convolution: a learned soft mask for every channel and place.

``y = phi(W_f * x) . sigmoid(W_g * x)`` (Yu et al., ICCV 2019, equation 3), with the two cheaper
gates of "Contextual Residual Aggregation" (Yi et al., CVPR 2020): one gate shared by all channels,
and a depth-separable gate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from freefill.lab.layers.blocks import BlockConv2d
from freefill.lab.layers.padding import pad_same

Gate = Literal["full", "single", "depthwise"]
Padding = Literal["symmetric", "same"]
Activation = Callable[[Tensor], Tensor]


class GatedConv2d(nn.Module):
    """A convolution whose output is multiplied by a gate that it computes from the same input.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output, after the gate.
        kernel_size: Side of the square kernel, odd.
        stride: Stride.
        dilation: Dilation.
        activation: ``phi``, applied to the features only; ``None`` leaves them linear.
        gate: ``"full"``: one gate a channel, from one convolution of ``2 * out_channels`` (the
            paper); ``"single"``: one gate for all channels, from one convolution of ``out_channels
            + 1``; ``"depthwise"``: one gate a channel, from a depthwise and a pointwise
            convolution.
        block: Side of the blocks of pixels that are its channels, with stride and dilation 1.
        padding: ``"symmetric"`` zeros, or ``"same"`` as TensorFlow pads (they differ where stride
            > 1).

    Raises:
        ValueError: If ``gate`` or ``padding`` is none of these, the kernel is even, or blocks are
            to have a stride, a dilation or depthwise gates.

    Shape:
        ``(B, in_channels, H, W)`` to ``(B, out_channels, ceil(H / stride), ceil(W / stride))``.

    Examples:
        >>> layer = GatedConv2d(5, 24, 5)
        >>> layer(torch.zeros(1, 5, 16, 16)).shape
        torch.Size([1, 24, 16, 16])
        >>> sum(p.numel() for p in layer.parameters()) == 48 * (5 * 5 * 5 + 1)
        True
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
        gate: Gate = "full",
        padding: Padding = "symmetric",
        block: int = 1,
    ) -> None:
        super().__init__()
        if gate not in get_args(Gate):
            raise ValueError(f"gate is {gate!r}; it must be one of {', '.join(get_args(Gate))}")
        if padding not in get_args(Padding):
            raise ValueError(f"padding is {padding!r}; it must be one of {get_args(Padding)}")
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size is {kernel_size}; it must be odd")
        if block > 1 and (stride > 1 or dilation > 1 or gate == "depthwise"):
            raise ValueError(
                f"block is {block}; it goes with stride 1, dilation 1 and no depthwise gate, not "
                f"{stride}, {dilation} and {gate!r}"
            )
        self.out_channels = out_channels
        self.activation = activation
        self.gate = gate
        # With stride 1 SAME is symmetric, and left to the convolution itself.
        self.same = padding == "same" and stride > 1
        self.geometry = (kernel_size, stride, dilation)
        zeros = 0 if self.same else dilation * (kernel_size - 1) // 2
        extra = {"full": out_channels, "single": 1, "depthwise": 0}[gate]
        if block > 1:
            self.conv: nn.Conv2d = BlockConv2d(
                in_channels, out_channels + extra, kernel_size, block=block
            )
        else:
            self.conv = nn.Conv2d(
                in_channels, out_channels + extra, kernel_size, stride, zeros, dilation
            )
        if gate == "depthwise":
            self.gate_conv = nn.Sequential(
                nn.Conv2d(
                    in_channels,
                    in_channels,
                    kernel_size,
                    stride,
                    zeros,
                    dilation,
                    groups=in_channels,
                ),
                nn.Conv2d(in_channels, out_channels, 1),
            )

    def features_and_gate(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Give the two factors of the output before they are multiplied.

        Args:
            x: ``(B, in_channels, H, W)``.

        Returns:
            The activated features, ``(B, out_channels, H', W')``, and the gate in (0, 1), of as
            many channels or of one.
        """
        if self.same:
            x = pad_same(x, *self.geometry)
        y = self.conv(x)
        features = y[:, : self.out_channels]
        logits = self.gate_conv(x) if self.gate == "depthwise" else y[:, self.out_channels :]
        if self.activation is not None:
            features = self.activation(features)
        return features, torch.sigmoid(logits)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the gated features, ``(B, out_channels, H', W')``."""
        features, gate = self.features_and_gate(x)
        return features * gate


class GatedUpConv2d(GatedConv2d):
    """A gated 3x3 convolution of a picture that is doubled first, without doubling it.

    Each pixel of the doubled picture sees 2x2 different ones of the small one, whichever of the
    four it is. So the 3x3 kernel is folded into one of 2x2 for each of them: the same numbers with
    4/9 of the multiplications. Doubling is by nearest neighbour.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output, after the gate.
        activation: ``phi``, applied to the features only.

    Shape:
        ``(B, in_channels, H, W)`` to ``(B, out_channels, 2H, 2W)``.

    Examples:
        >>> GatedUpConv2d(96, 48)(torch.zeros(1, 96, 16, 16)).shape
        torch.Size([1, 48, 32, 32])
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, activation: Activation | None = F.elu
    ) -> None:
        super().__init__(in_channels, out_channels, 3, activation=activation)

    def features_and_gate(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Give the two factors of the output; see :class:`GatedConv2d`."""
        features, gate = self._factors(x)
        return _interleaved(features), _interleaved(gate)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the gated features, ``(B, out_channels, 2H, 2W)``."""
        features, gate = self._factors(x)
        return _interleaved(features * gate)

    def _factors(self, x: Tensor) -> tuple[Tensor, Tensor]:
        assert self.conv.bias is not None
        kernels = _folded(self.conv.weight)
        y = F.conv2d(x, kernels, self.conv.bias.repeat_interleave(4), padding=1)
        features, gate = y[:, : 4 * self.out_channels], y[:, 4 * self.out_channels :]
        if self.activation is not None:
            features = self.activation(features)
        return features, torch.sigmoid(gate)


def _folded(kernels: Tensor) -> Tensor:
    """Fold kernels of 3x3, ``(O, I, 3, 3)``, into four of 2x2 each, ``(4 O, I, 2, 2)``."""
    for axis in (2, 4):
        a, b, c = kernels.unbind(axis)
        # What the first of two doubled pixels sees on this axis, and the second.
        first, second = torch.stack([a, b + c], axis), torch.stack([a + b, c], axis)
        kernels = torch.stack([first, second], axis // 2)
    return kernels.flatten(0, 2)


def _interleaved(y: Tensor) -> Tensor:
    """Put four results for each pixel in their places, ``(B, 4C, H + 1, W + 1)`` to double size."""
    batch, channels, height, width = y.shape
    y = y.reshape(batch, channels // 4, 2, 2, height, width)
    places = [y[:, :, p, q, p : height - 1 + p, q : width - 1 + q] for p in (0, 1) for q in (0, 1)]
    return F.pixel_shuffle(torch.stack(places, 2).flatten(1, 2), 2)
