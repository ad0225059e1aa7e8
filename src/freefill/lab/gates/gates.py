"""What the gates of a network have learned: maps to look at, and numbers to compare.

Section 3.1 of the paper shows gates that single out the background, the hole and the sketch. A
partial convolution has a mask in their place, which follows from the hole by a rule, and a plain
one nothing: it lets everything through everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation
from torch import Tensor, nn
from torch.nn import functional as F

from freefill.lab.layers.gated import GatedConv2d
from freefill.lab.layers.partial import PartialConv2d
from freefill.lab.models.deepfill import DeepFill
from freefill.lab.models.encoder_decoder import Layer
from freefill.lab.models.light import Light
from freefill.types import GUIDANCE_CHANNELS

Maps = NDArray[np.float32]
Kind = Literal["gated", "partial", "plain"]

MULTIPLE = 16
"""Pictures are padded to multiples of this: every network takes them."""
RIM = 4
"""Pixels to each side of the hole's boundary that count as its border."""

EVEN = 1e-5
"""A map that changes by less goes with nothing."""


@dataclass(frozen=True, eq=False)
class Gate:
    """One layer's gate.

    Attributes:
        layer: Its name in the network.
        kind: Of its convolution.
        maps: ``(C, h, w)`` float32 in [0, 1]: what it lets through, at its own resolution; ones
            for a plain convolution, the mask for a partial one.
        rule: ``(h, w)`` float32: the mask that a partial convolution would have in its place.
    """

    layer: str
    kind: Kind
    maps: Maps
    rule: Maps


def inspect_gates(
    model: nn.Module,
    image: NDArray[np.uint8],
    hole: NDArray[np.bool_],
    guidance: Maps | None = None,
) -> dict[str, Maps]:
    """Give the gates of a network on a picture.

    Args:
        model: A generator of :mod:`freefill.lab.models`.
        image: ``(H, W, 3)`` uint8 RGB.
        hole: ``(H, W)`` bool, True = fill.
        guidance: ``(H, W, 5)`` float32, for a network that takes it.

    Returns:
        Layer name to ``(C, h, w)`` float32 in [0, 1], in the order of computation. The maps are of
        the picture padded to multiples of 16 at its right and bottom.

    Raises:
        ValueError: If the shapes differ, or guidance is given to a network that takes none.

    Examples:
        >>> from freefill.lab.models.light import Light
        >>> picture = np.zeros((64, 48, 3), np.uint8)
        >>> found = inspect_gates(Light(), picture, np.ones((64, 48), bool))
        >>> {name: maps.shape for name, maps in found.items()}["trunk1.0.conv"]
        (1, 8, 6)
    """
    return {gate.layer: gate.maps for gate in record_gates(model, image, hole, guidance)}


def record_gates(
    model: nn.Module,
    image: NDArray[np.uint8],
    hole: NDArray[np.bool_],
    guidance: Maps | None = None,
) -> list[Gate]:
    """Give the gates of a network on a picture, with what is to be known of each.

    Args:
        model: As for :func:`inspect_gates`, as are the others.
        image: The picture.
        hole: Where to fill.
        guidance: What to follow.

    Returns:
        The gates, in the order of computation.

    Raises:
        ValueError: As for :func:`inspect_gates`.
    """
    given = _inputs(model, image, hole, guidance)
    known = 1 - given[1]
    gates: list[Gate] = []

    def found(name: str, kind: Kind, maps: Tensor, conv: nn.Conv2d) -> None:
        nonlocal known
        known = _passed(known, maps.shape[-2:], conv)
        values = maps[0].float().numpy().copy()
        gates.append(Gate(name, kind, values, known[0, 0].numpy().copy()))

    was_training = model.training
    try:
        with torch.no_grad(), _listening(model.eval(), found):
            model(*given)
    finally:
        model.train(was_training)
    return gates


def filled(
    model: nn.Module,
    image: NDArray[np.uint8],
    hole: NDArray[np.bool_],
    guidance: Maps | None = None,
) -> NDArray[np.uint8]:
    """Give what the bare network makes of a picture, without the rest of the pipeline.

    Args:
        model: As for :func:`inspect_gates`, as are the others.
        image: The picture.
        hole: Where to fill.
        guidance: What to follow.

    Returns:
        ``(H, W, 3)`` uint8; outside the hole it is the picture.
    """
    given = _inputs(model, image, hole, guidance)
    with torch.no_grad():
        predicted = model.eval()(*given)[0, :, : image.shape[0], : image.shape[1]]
    pixels = (predicted.clamp(-1, 1).permute(1, 2, 0).numpy() + 1) * 127.5
    return np.where(hole[..., None], pixels.round().astype(np.uint8), image)


def _inputs(
    model: nn.Module,
    image: NDArray[np.uint8],
    hole: NDArray[np.bool_],
    guidance: Maps | None,
) -> list[Tensor]:
    if image.ndim != 3 or image.shape[2] != 3 or image.shape[:2] != hole.shape:
        raise ValueError(f"image is {image.shape} and hole {hole.shape}: (H, W, 3) and (H, W)")
    given = [_tensor(image / np.float32(127.5) - 1), _tensor(hole[..., None])]
    if guidance is None:
        return given
    if guidance.shape != (*hole.shape, GUIDANCE_CHANNELS):
        raise ValueError(f"guidance is {guidance.shape}, not {(*hole.shape, GUIDANCE_CHANNELS)}")
    follows = isinstance(model, Light) or (isinstance(model, DeepFill) and model.sketch)
    if not follows:
        raise ValueError("this network takes no sketch")
    return [*given, _tensor(guidance * hole[..., None])]


def correlations(
    gate: Gate, hole: NDArray[np.bool_], lines: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Correlate each channel of a gate with where things are.

    Args:
        gate: What :func:`record_gates` gave.
        hole: ``(H, W)`` of the picture.
        lines: ``(H, W)``, the lines of its sketch.

    Returns:
        ``(C, 4)``: Pearson's correlation with the hole, with what is known around it (the same with
        the other sign), with the sketch (inside the hole alone, so that following the hole does not
        count), and with the hole's border. NaN for a map without any change.
    """
    size = gate.maps.shape[-2:]
    share = _shrunk(hole, size)
    border = binary_dilation(hole, iterations=RIM) & binary_dilation(~hole, iterations=RIM)
    whole = gate.maps.reshape(len(gate.maps), -1)
    inside = share.ravel() >= 0.5
    drawn = np.zeros(size) if lines is None else _near(lines & hole, size)
    found = [
        _pearson(whole, share.ravel()),
        _pearson(whole, 1 - share.ravel()),
        _pearson(whole[:, inside], drawn.ravel()[inside]),
        _pearson(whole, _shrunk(border, size).ravel()),
    ]
    return np.stack(found, 1)


Found = Callable[[str, Kind, Tensor, nn.Conv2d], None]


@contextmanager
def _listening(model: nn.Module, found: Found) -> Iterator[None]:
    """Have every layer of a network tell its gate as it is computed."""
    hooks = []

    def listen(name: str, module: nn.Module) -> None:
        def gated(layer: Any, inputs: tuple[Tensor, ...], _: Tensor) -> None:
            gate = cast(GatedConv2d, layer).features_and_gate(inputs[0])[1]
            found(name, "gated", gate, cast(GatedConv2d, layer).conv)

        def partial(layer: Any, _: tuple[Tensor, ...], outputs: tuple[Tensor, Tensor]) -> None:
            found(name, "partial", outputs[1], cast(PartialConv2d, layer).conv)

        def plain(layer: Any, _: tuple[Tensor, ...], outputs: tuple[Tensor, Tensor]) -> None:
            ones = torch.ones_like(outputs[0][:, :1])
            found(name, "plain", ones, cast(nn.Conv2d, cast(Layer, layer).conv))

        def copies(layer: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            kept = torch.sigmoid(F.pixel_shuffle(output.float(), 2)[:, 3:])
            found("copies", "gated", kept, cast(Light, model).to_rgb)

        if isinstance(module, GatedConv2d):
            hooks.append(module.register_forward_hook(gated))
        elif isinstance(module, PartialConv2d):
            hooks.append(module.register_forward_hook(partial))
        elif isinstance(module, Layer) and module.kind == "plain":
            hooks.append(module.register_forward_hook(plain))
        elif isinstance(model, Light) and module is model.to_rgb:
            hooks.append(module.register_forward_hook(copies))

    try:
        for name, module in model.named_modules():
            listen(name, module)
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _passed(known: Tensor, size: torch.Size, conv: nn.Conv2d) -> Tensor:
    """Give what a partial convolution would know after one more layer, ``(1, 1, h, w)``."""
    kernel, stride, dilation = conv.kernel_size[0], conv.stride[0], int(conv.dilation[0])
    height, width = size[0] * stride, size[1] * stride
    if known.shape[-1] > width:
        # Folded or averaged before it came here: known is what holds any known pixel.
        known = F.adaptive_max_pool2d(known, (height, width))
    elif known.shape[-1] < width:
        known = F.interpolate(known, (height, width))
    reach = dilation * (kernel - 1) // 2
    padded = F.pad(known, (reach, reach, reach, reach))
    return F.max_pool2d(padded, kernel, stride, dilation=dilation)


def _tensor(values: NDArray[Any]) -> Tensor:
    height, width = values.shape[:2]
    below, right = -height % MULTIPLE, -width % MULTIPLE
    padded = np.pad(values.astype(np.float32), ((0, below), (0, right), (0, 0)), "edge")
    return torch.from_numpy(np.ascontiguousarray(padded.transpose(2, 0, 1)))[None]


def _shrunk(mask: NDArray[np.bool_], size: tuple[int, ...]) -> NDArray[np.float64]:
    whole = _tensor(mask[..., None])
    return F.adaptive_avg_pool2d(whole, (size[0], size[1]))[0, 0].numpy().astype(np.float64)


def _near(lines: NDArray[np.bool_], size: tuple[int, ...]) -> NDArray[np.float64]:
    """Give how much of each place a sketch covers, its lines widened to be seen there."""
    widened = binary_dilation(lines, iterations=max(1, lines.shape[0] // size[0] // 2))
    return _shrunk(widened, size)


def _pearson(rows: Maps, values: NDArray[np.float64]) -> NDArray[np.float64]:
    if values.size < 2 or values.std() < 1e-9:
        return np.full(len(rows), np.nan)
    rows = rows - rows.mean(1, keepdims=True)
    even = np.abs(rows).max(1) < EVEN
    values = values - values.mean()
    scale = np.sqrt((rows.astype(np.float64) ** 2).sum(1) * (values**2).sum())
    with np.errstate(invalid="ignore", divide="ignore"):
        found = rows @ values / scale
    return np.where(even, np.nan, found)
