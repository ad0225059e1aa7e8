"""What ``deepfill``'s weights are called elsewhere, and how they differ there.

Three foreign layouts of the same 84 tensors are known: the released TensorFlow checkpoints, and two
of a public PyTorch port: one that mirrors TensorFlow's names, for converted weights, and one of its
own, for weights that were fine-tuned there. Everything is matched by name, never by order; nothing
may be missing, unknown, or of another shape.

Released weights see blue, green, red. Turned once here, they see RGB like everything else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from freefill.errors import WeightsError
from freefill.lab.models.deepfill import LAYERS, LayerSpec

Layout = Literal["tensorflow", "port-tf", "port", "freefill"]
Shape = tuple[int, ...]

ABOUT: dict[Layout, str] = {
    "tensorflow": "a TensorFlow checkpoint of DeepFill v2",
    "port-tf": "the PyTorch port's layout for weights converted from TensorFlow",
    "port": "the PyTorch port's own layout",
    "freefill": "freefill's own",
}
SCOPE = "inpaint_net/"
SLOTS = ("/Adam", "/Adam_1", "/ExponentialMovingAverage")
"""Endings of what TensorFlow's optimizers keep beside a variable."""
IGNORED = ("stage2.contextual_attention.fuse_weight",)
"""The port's constant for fusing scores, which is no weight."""
SEEING = ("conv1", "xconv1", "pmconv1")
"""Layers whose first three inputs are colours."""
PAINTING = ("conv17", "allconv17")
"""Layers whose outputs are colours."""
MMAGIC = re.compile(
    r"generator\.(stage1\.encoder|stage2\.encoder_(conv|attention)|encdec2\.decoder)\.(enc|dec)1\."
)
"""Names that weights of mmagic have, and no others."""
LIGHT = frozenset({"stem.conv.weight", "to_rgb.weight", "to_rgb.bias", "decode1.conv.conv.weight"})
"""Names that weights of freefill's ``light`` have, all together, in all its files."""
OLDER = {"stage2.b1_": "stage2.conv_", "stage2.b2_": "stage2.ca_"}
"""How the names of the port's two branches began in another state of it."""
SHOWN = 3
"""Names that an error lists of each kind."""

PORT = {
    "conv1": "stage1.conv1",
    "conv2_downsample": "stage1.down_block1.conv1_downsample",
    "conv3": "stage1.down_block1.conv2",
    "conv4_downsample": "stage1.down_block2.conv1_downsample",
    "conv5": "stage1.down_block2.conv2",
    "conv6": "stage1.conv_bn1",
    "conv7_atrous": "stage1.conv_bn2",
    "conv8_atrous": "stage1.conv_bn3",
    "conv9_atrous": "stage1.conv_bn4",
    "conv10_atrous": "stage1.conv_bn5",
    "conv11": "stage1.conv_bn6",
    "conv12": "stage1.conv_bn7",
    "conv13_upsample": "stage1.up_block1.conv1_upsample.conv",
    "conv14": "stage1.up_block1.conv2",
    "conv15_upsample": "stage1.up_block2.conv1_upsample.conv",
    "conv16": "stage1.up_block2.conv2",
    "conv17": "stage1.conv_to_rgb",
    "xconv1": "stage2.conv_conv1",
    "xconv2_downsample": "stage2.conv_down_block1.conv1_downsample",
    "xconv3": "stage2.conv_down_block1.conv2",
    "xconv4_downsample": "stage2.conv_down_block2.conv1_downsample",
    "xconv5": "stage2.conv_down_block2.conv2",
    "xconv6": "stage2.conv_conv_bn1",
    "xconv7_atrous": "stage2.conv_conv_bn2",
    "xconv8_atrous": "stage2.conv_conv_bn3",
    "xconv9_atrous": "stage2.conv_conv_bn4",
    "xconv10_atrous": "stage2.conv_conv_bn5",
    "pmconv1": "stage2.ca_conv1",
    "pmconv2_downsample": "stage2.ca_down_block1.conv1_downsample",
    "pmconv3": "stage2.ca_down_block1.conv2",
    "pmconv4_downsample": "stage2.ca_down_block2.conv1_downsample",
    "pmconv5": "stage2.ca_down_block2.conv2",
    "pmconv6": "stage2.ca_conv_bn1",
    "pmconv9": "stage2.ca_conv_bn4",
    "pmconv10": "stage2.ca_conv_bn5",
    "allconv11": "stage2.conv_bn6",
    "allconv12": "stage2.conv_bn7",
    "allconv13_upsample": "stage2.up_block1.conv1_upsample.conv",
    "allconv14": "stage2.up_block1.conv2",
    "allconv15_upsample": "stage2.up_block2.conv1_upsample.conv",
    "allconv16": "stage2.up_block2.conv2",
    "allconv17": "stage2.conv_to_rgb",
}
"""A layer's name in the port's own layout, without ``.conv``."""


class Match(NamedTuple):
    """Foreign names that were found to be the whole network.

    Attributes:
        layout: Whose names.
        sketch: Whether the first layer takes a sketch.
        names: Own name to foreign name, in the network's order.
    """

    layout: Layout
    sketch: bool
    names: dict[str, str]


def names(layout: Layout) -> dict[str, str]:
    """Give the name of each of the 84 tensors in a layout.

    Args:
        layout: Whose names.

    Returns:
        Own name to foreign name, in the network's order.

    Examples:
        >>> names("tensorflow")["layers.conv13_upsample.conv.weight"]
        'inpaint_net/conv13_upsample/conv13_upsample_conv/kernel'
        >>> names("port")["layers.pmconv9.conv.bias"]
        'stage2.ca_conv_bn4.conv.bias'
    """
    return {
        f"layers.{spec.name}.conv.{kind}": _name(spec, kind, layout)
        for spec in LAYERS
        for kind in ("weight", "bias")
    }


def shapes(layout: Layout, sketch: bool = False) -> dict[str, Shape]:
    """Give the shape that each tensor has in a layout.

    Args:
        layout: Whose names and order of axes: ``(kh, kw, in, out)`` for TensorFlow's kernels,
            ``(out, in, kh, kw)`` elsewhere.
        sketch: Whether the first layer takes a sketch.

    Returns:
        Foreign name to shape, in the network's order.

    Examples:
        >>> shapes("tensorflow", sketch=True)["inpaint_net/conv1/kernel"]
        (5, 5, 6, 48)
    """
    found: dict[str, Shape] = {}
    for spec in LAYERS:
        inputs = spec.inputs + (sketch and spec.name == "conv1")
        square = (spec.kernel, spec.kernel)
        tensorflow = layout == "tensorflow"
        found[_name(spec, "weight", layout)] = (
            (*square, inputs, spec.outputs) if tensorflow else (spec.outputs, inputs, *square)
        )
        found[_name(spec, "bias", layout)] = (spec.outputs,)
    return found


def match(given: Mapping[str, Shape]) -> Match:
    """Find out whose names these are, and that they are the whole network and nothing else.

    Args:
        given: Name to shape of everything in a file.

    Returns:
        The match. What belongs to optimizers and critics is left out.

    Raises:
        WeightsError: If they are another network's, or any is missing, unknown or of another shape.
    """
    # Under the names of today's port, whatever its state when the file was written.
    found = {_present(name): name for name in given}
    given = {_present(name): shape for name, shape in given.items()}
    layout = _layout(given)
    kept = {name: tuple(shape) for name, shape in given.items() if _counts(name, layout)}
    first = kept.get(names(layout)["layers.conv1.conv.weight"], ())
    sketch = first == shapes(layout, True)[names(layout)["layers.conv1.conv.weight"]]
    expected = shapes(layout, sketch)
    problems = [
        _list("missing", [name for name in expected if name not in kept]),
        _list("unknown", [name for name in kept if name not in expected]),
        _list(
            "of another shape",
            [
                f"{name} is {_shown(kept[name])}, not {_shown(shape)}"
                for name, shape in expected.items()
                if kept.get(name, shape) != shape
            ],
        ),
    ]
    if layout == "tensorflow" and first[-1:] == (32,):
        raise WeightsError(
            f"its first layer has 32 filters ({_shown(first)}): these are weights of DeepFill v1, "
            "which has no gates; DeepFill v2 has 48 (5x5x5x48). The released folders of v2 have "
            f"'deepfill_v2' in their names. Of v2's {len(expected)} tensors "
            + "; ".join(filter(None, problems))
        )
    if any(problems):
        raise WeightsError(
            f"it looks like {ABOUT[layout]}, but of {len(expected)} tensors "
            + "; ".join(filter(None, problems))
        )
    return Match(layout, sketch, {own: found[name] for own, name in names(layout).items()})


def _present(name: str) -> str:
    for old, new in OLDER.items():
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name


def to_own(layout: Layout, tensor: Tensor) -> Tensor:
    """Turn one tensor's axes into torch's order.

    Args:
        layout: Where it comes from.
        tensor: A kernel, ``(kh, kw, in, out)`` if it is TensorFlow's, or a bias.

    Returns:
        A copy, float32, contiguous; a kernel is ``(out, in, kh, kw)``.
    """
    if layout == "tensorflow" and tensor.ndim == 4:
        tensor = tensor.permute(3, 2, 0, 1)
    return tensor.to(torch.float32, copy=True).contiguous()


def swap_colours(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Make weights that see and paint BGR ones that do so with RGB, or the other way round.

    Args:
        tensors: All weights under their own names; they are not changed.

    Returns:
        The same, with the colours of the layers that see or paint them in reverse.
    """
    swapped = dict(tensors)
    for layer in SEEING:
        name = f"layers.{layer}.conv.weight"
        weight = tensors[name]
        # A sketch, ones and the hole come behind the colours, and stay.
        swapped[name] = torch.cat([weight[:, :3].flip(1), weight[:, 3:]], 1)
    for layer in PAINTING:
        for kind in ("weight", "bias"):
            name = f"layers.{layer}.conv.{kind}"
            swapped[name] = tensors[name].flip(0)
    return swapped


def _name(spec: LayerSpec, kind: str, layout: Layout) -> str:
    if layout == "tensorflow":
        scope = f"{spec.name}/{spec.name}_conv" if spec.upsamples else spec.name
        return f"{SCOPE}{scope}/{'kernel' if kind == 'weight' else kind}"
    if layout == "port-tf":
        return f"{spec.name}.conv{'.conv' * spec.upsamples}.{kind}"
    prefix = PORT[spec.name] if layout == "port" else f"layers.{spec.name}"
    return f"{prefix}.conv.{kind}"


def _layout(given: Iterable[str]) -> Layout:
    found = list(given)
    if any(MMAGIC.match(name) for name in found):
        raise WeightsError(
            "these are weights of mmagic (generator.…), whose second network takes 5 channels "
            "where the released one takes 3: they make no sense in this network"
        )
    if set(found) >= LIGHT:
        raise WeightsError(
            "these are weights of another of freefill's networks ('light'), not of deepfill: "
            "there is nothing to import, give their .onnx file as `model`"
        )
    # The layout that knows most of the names, so that a damaged file is told what it lacks.
    layouts: tuple[Layout, ...] = ("tensorflow", "port-tf", "port", "freefill")
    known = {layout: len(set(found) & set(names(layout).values())) for layout in layouts}
    best = max(layouts, key=lambda layout: known[layout])
    if not known[best]:
        listed = ", ".join(name[:60] for name in sorted(found)[:SHOWN]) or "nothing"
        raise WeightsError(
            f"it holds {len(found)} tensors ({listed}{', ...' if len(found) > SHOWN else ''}), "
            "none of DeepFill v2's: neither the released TensorFlow names "
            "(inpaint_net/conv1/kernel), nor the PyTorch port's (conv1.conv.weight, "
            "stage1.conv1.conv.weight), nor freefill's (layers.conv1.conv.weight)"
        )
    return best


def _counts(name: str, layout: Layout) -> bool:
    """Whether a name must be one of the network's."""
    if layout == "tensorflow":
        return name.startswith(SCOPE) and not name.endswith(SLOTS)
    return layout != "port" or name not in IGNORED


def _list(what: str, found: list[str]) -> str:
    if not found:
        return ""
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return f"{len(found)} {what} ({', '.join(found[:SHOWN])}{more})"


def _shown(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "one number"
