"""``deepfill``: the paper's network, layer by layer as in its released code.

"Free-Form Image Inpainting with Gated Convolution" (Yu et al., ICCV 2019), known as DeepFill v2. A
coarse network fills the hole roughly; a second one with two branches, dilated convolutions and
contextual attention, refines it. Every layer but the two that end in colours is gated, by one
convolution of twice the width. What the released code does and the paper does not say: the second
network sees three channels only, with neither mask nor ones; colours end in tanh; nothing is
normalised.

:data:`LAYERS` is the network as data, under the names of the released checkpoints; the module, the
names of foreign files and the tests are made from it. Three settings tell apart the variants that
released weights were trained with: see :class:`DeepFill`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from freefill.lab.layers.attention import RATE, contextual_attention
from freefill.lab.layers.gated import GatedConv2d, GatedUpConv2d, Padding
from freefill.lab.layers.resize import nearest_aligned

STRIDE = 8
"""Height and width of the input must be multiples of this."""

MaskResize = Literal["two-step", "one-step"]
Attention = Literal["released", "port"]


class LayerSpec(NamedTuple):
    """One convolution of the network.

    Attributes:
        name: Its name in the released TensorFlow checkpoints, without the scope.
        inputs: Channels of the input.
        outputs: Channels of the convolution: twice those that leave a gated layer.
        kernel: Side of the kernel.
        stride: Stride.
        dilation: Dilation.
    """

    name: str
    inputs: int
    outputs: int
    kernel: int = 3
    stride: int = 1
    dilation: int = 1

    @property
    def colours(self) -> bool:
        """Whether it ends in colours: three channels, no gate, tanh."""
        return self.outputs == 3

    @property
    def upsamples(self) -> bool:
        """Whether its input is doubled first."""
        return self.name.endswith("_upsample")


L = LayerSpec
COARSE = (
    L("conv1", 5, 48, kernel=5),
    L("conv2_downsample", 24, 96, stride=2),
    L("conv3", 48, 96),
    L("conv4_downsample", 48, 192, stride=2),
    L("conv5", 96, 192),
    L("conv6", 96, 192),
    L("conv7_atrous", 96, 192, dilation=2),
    L("conv8_atrous", 96, 192, dilation=4),
    L("conv9_atrous", 96, 192, dilation=8),
    L("conv10_atrous", 96, 192, dilation=16),
    L("conv11", 96, 192),
    L("conv12", 96, 192),
    L("conv13_upsample", 96, 96),
    L("conv14", 48, 96),
    L("conv15_upsample", 48, 48),
    L("conv16", 24, 24),
    L("conv17", 12, 3),
)
"""The first network. With a sketch, ``conv1`` has one input more."""
DILATED = (
    L("xconv1", 3, 48, kernel=5),
    L("xconv2_downsample", 24, 48, stride=2),
    L("xconv3", 24, 96),
    L("xconv4_downsample", 48, 96, stride=2),
    L("xconv5", 48, 192),
    L("xconv6", 96, 192),
    L("xconv7_atrous", 96, 192, dilation=2),
    L("xconv8_atrous", 96, 192, dilation=4),
    L("xconv9_atrous", 96, 192, dilation=8),
    L("xconv10_atrous", 96, 192, dilation=16),
)
"""The second network's first branch."""
MATCHING = (
    L("pmconv1", 3, 48, kernel=5),
    L("pmconv2_downsample", 24, 48, stride=2),
    L("pmconv3", 24, 96),
    L("pmconv4_downsample", 48, 192, stride=2),
    L("pmconv5", 96, 192),
    L("pmconv6", 96, 192),
)
"""Its second branch up to the contextual attention; ``pmconv6`` has ReLU, all others ELU."""
MATCHED = (L("pmconv9", 96, 192), L("pmconv10", 96, 192))
"""Its second branch after the attention; there is no ``pmconv7`` or ``pmconv8``."""
JOINED = (
    L("allconv11", 192, 192),
    L("allconv12", 96, 192),
    L("allconv13_upsample", 96, 96),
    L("allconv14", 48, 96),
    L("allconv15_upsample", 48, 48),
    L("allconv16", 24, 24),
    L("allconv17", 12, 3),
)
"""Both branches, decoded."""
LAYERS = (*COARSE, *DILATED, *MATCHING, *MATCHED, *JOINED)


@dataclass(frozen=True)
class Variant:
    """Which of the networks that share these shapes: the weights of one are wrong in another.

    Attributes:
        padding: ``"same"``, as TensorFlow pads, or ``"symmetric"``, one pixel off where the
            stride is 2.
        mask_resize: The hole at the attention's resolution by two nearest-neighbour steps with
            aligned corners (the released code), or every eighth pixel in one step (the port).
        fuse: Whether the attention fuses the scores of neighbours.
        attention: Which patches it compares and how it measures them; see
            :func:`freefill.lab.layers.attention.contextual_attention`.
    """

    padding: Padding = "same"
    mask_resize: MaskResize = "two-step"
    fuse: bool = True
    attention: Attention = "released"


class DeepFill(nn.Module):
    """The coarse-to-fine generator with contextual attention.

    Args:
        sketch: Whether the first network takes a sketch.
        variant: Which of the variants; the default is that of the released code.

    Shape:
        ``image`` ``(B, 3, H, W)`` RGB in [-1, 1] (values inside the hole are ignored), ``hole``
        ``(B, 1, H, W)`` with 1 = fill, ``sketch`` ``(B, C, H, W)``, of which the first channel
        counts, with 1 = line; zeros if left out, for which zeros of any size stand, too; H and W
        multiples of 8. Returns the whole picture of the second network, ``(B, 3, H,
        W)`` in (-1, 1), not composited. In training mode a dict: that picture as ``filled`` and
        the first network's as ``coarse``.

    Raises:
        ValueError: If ``padding``, ``mask_resize`` or ``attention`` is unknown.

    Examples:
        >>> network = DeepFill()
        >>> sum(p.numel() for p in network.parameters()), len(network.state_dict())
        (4052478, 84)
        >>> sum(p.numel() for p in DeepFill(sketch=True).parameters()) - 4052478
        1200
        >>> network.eval()(torch.zeros(1, 3, 64, 96), torch.ones(1, 1, 64, 96)).shape
        torch.Size([1, 3, 64, 96])
    """

    def __init__(self, sketch: bool = False, variant: Variant | None = None) -> None:
        super().__init__()
        variant = variant or Variant()
        if variant.mask_resize not in get_args(MaskResize):
            raise ValueError(
                f"mask_resize is {variant.mask_resize!r}; it must be one of {get_args(MaskResize)}"
            )
        if variant.attention not in get_args(Attention):
            raise ValueError(
                f"attention is {variant.attention!r}; it must be one of {get_args(Attention)}"
            )
        self.variant = variant
        self.sketch = sketch
        self.layers = nn.ModuleDict(
            {
                spec.name: _layer(
                    spec._replace(inputs=6) if sketch and spec.name == "conv1" else spec, variant
                )
                for spec in LAYERS
            }
        )

    def forward(
        self, image: Tensor, hole: Tensor, sketch: Tensor | None = None
    ) -> Tensor | dict[str, Tensor]:
        """Predict the whole picture; see the class for shapes.

        Raises:
            ValueError: If height or width is not a multiple of 8, or a sketch is given to a
                network that takes none.
        """
        height, width = image.shape[-2:]
        if not torch.onnx.is_in_onnx_export() and (height % STRIDE or width % STRIDE):
            raise ValueError(f"deepfill needs multiples of {STRIDE}, not {width}x{height}")
        if sketch is not None and not self.sketch:
            raise ValueError("these weights take no sketch: their first layer has 5 inputs, not 6")
        seen = image * (1 - hole)
        ones = torch.ones_like(hole)
        lines = []
        if self.sketch:
            drawn = torch.zeros_like(hole) if sketch is None else sketch[:, :1]
            lines = [hole * F.interpolate(drawn, (height, width))]
        coarse = self._run(COARSE, torch.cat([seen, *lines, ones, ones * hole], 1))

        x = coarse * hole + seen
        dilated = self._run(DILATED, x)
        matched = contextual_attention(
            self._run(MATCHING, x),
            self._small(hole),
            fuse=self.variant.fuse,
            port=self.variant.attention == "port",
        )
        matched = self._run(MATCHED, matched)
        filled = self._run(JOINED, torch.cat([dilated, matched], 1))
        return {"filled": filled, "coarse": coarse} if self.training else filled

    def _small(self, hole: Tensor) -> Tensor:
        if self.variant.mask_resize == "one-step":
            return hole[..., :: 4 * RATE, :: 4 * RATE]
        return nearest_aligned(nearest_aligned(hole, 4), RATE)

    def _run(self, specs: tuple[LayerSpec, ...], x: Tensor) -> Tensor:
        for spec in specs:
            x = self.layers[spec.name](x)
        return x


class ToColours(nn.Module):
    """The last layer of either network: a convolution without a gate, then tanh."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, in_channels, H, W)`` to ``(B, 3, H, W)`` in (-1, 1)."""
        y = self.conv(x)
        # In float32 under autocast, too: grey levels are finer than bf16 near 1.
        return torch.tanh(y.float() if y.dtype in (torch.float16, torch.bfloat16) else y)


def _layer(spec: LayerSpec, variant: Variant) -> nn.Module:
    layer: nn.Module
    if spec.colours:
        layer = ToColours(spec.inputs)
    elif spec.upsamples:
        layer = GatedUpConv2d(spec.inputs, spec.outputs // 2)
    else:
        layer = GatedConv2d(
            spec.inputs,
            spec.outputs // 2,
            spec.kernel,
            stride=spec.stride,
            dilation=spec.dilation,
            activation=F.relu if spec.name == "pmconv6" else F.elu,
            padding=variant.padding,
        )
    convolution = layer.get_submodule("conv")
    assert isinstance(convolution, nn.Conv2d)
    assert convolution.bias is not None
    # Glorot and zeros: what tf.layers starts from by default.
    nn.init.xavier_uniform_(convolution.weight)
    nn.init.zeros_(convolution.bias)
    return layer
