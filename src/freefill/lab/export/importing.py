"""``freefill weights import``: foreign weights become a file that fills, with its card."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from freefill.errors import ConfigError, WeightsError
from freefill.lab.export.export import count_macs, count_parameters, made_with
from freefill.lab.export.files import ENDINGS, check_out, copy_of, embed, write_together
from freefill.lab.export.foreign import NON_COMMERCIAL, ChannelOrder, Foreign, read
from freefill.lab.export.onnx import check_parity, to_onnx
from freefill.lab.layers.gated import Padding
from freefill.lab.models.deepfill import Attention, DeepFill, MaskResize, Variant
from freefill.lab.models.deepfill_names import ABOUT, swap_colours

PAPER = (
    "Free-Form Image Inpainting with Gated Convolution, Yu, Lin, Yang, Shen, Lu, Huang, ICCV 2019, "
    "arXiv 1806.03589"
)


def import_weights(
    path: Path,
    out: Path,
    *,
    name: str | None = None,
    channel_order: ChannelOrder | None = None,
    fuse: bool | None = None,
    padding: Padding | None = None,
    mask_resize: MaskResize | None = None,
    attention: Attention | None = None,
    licence: str | None = None,
    on_message: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Write foreign weights as ONNX, safetensors and a card; their values stay as they are.

    Args:
        path: What :func:`freefill.lab.export.foreign.read` takes.
        out: The ONNX file; the others are written beside it with their own endings.
        name: Name on the card; by default that of ``out``.
        channel_order: Order of the file's colours; what is written is always RGB. This and the
            next four default to what is assumed of the file's layout.
        fuse: See :class:`freefill.lab.models.deepfill.Variant`, as the next three.
        padding: How stride 2 is padded.
        mask_resize: How the hole is shrunk.
        attention: Which patches are compared, and how they are measured.
        licence: Licence on the card.
        on_message: Called with lines for people.

    Returns:
        The card.

    Raises:
        ConfigError: If ``out`` does not end in ``.onnx`` or would replace what is read.
        WeightsError: If the file cannot be read, or ONNX Runtime and torch do not agree; nothing is
            written then.
    """
    if out.suffix != ".onnx":
        raise ConfigError(f"--out {out}: it must end in .onnx")
    foreign = read(path)
    _keep_apart(foreign, out)
    check_out(out)
    given = {"padding": padding, "mask_resize": mask_resize, "fuse": fuse, "attention": attention}
    chosen: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    variant = replace(foreign.assumed.variant, **chosen)
    order = channel_order or foreign.assumed.channel_order
    network = build(foreign, variant, order)
    card = {
        "name": name or out.stem,
        "architecture": "deepfill",
        **_origin(foreign, order),
        "variant": asdict(variant),
        "sketch": foreign.sketch,
        "parameters": count_parameters(network),
        "gmac_512": round(count_macs(network, 512) / 1e9, 3),
        "storage": "float32, exactly the source's values",
        "licence": licence or foreign.assumed.licence,
        "made_with": made_with(),
    }
    model = to_onnx(network, half=False, guided=foreign.sketch)
    embed(model, card)
    content = model.SerializeToString()
    worst = check_parity(network, content, guided=foreign.sketch)
    card |= {
        "parity": {"largest_difference": worst, "range": "[-1, 1]"},
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
    }
    tensors = save(network.state_dict(), metadata=copy_of(card))
    if replaced := write_together(out, content, tensors, card):
        on_message(f"replaced: {', '.join(map(str, replaced))}")
    _report(foreign, card, order, channel_order is not None, licence, on_message)
    return card


def build(foreign: Foreign, variant: Variant, order: ChannelOrder) -> DeepFill:
    """Make a network of weights as they were found.

    Args:
        foreign: The weights.
        variant: How they are run.
        order: Order of their colours.

    Returns:
        A network that takes and gives RGB, in evaluation mode. Weights that need no turning are
        shared, not copied.

    Raises:
        WeightsError: If the variant does not exist.
    """
    try:
        network = DeepFill(foreign.sketch, variant)
    except ValueError as error:
        raise WeightsError(f"{foreign.path}: {error}") from None
    tensors: dict[str, Tensor] = foreign.tensors
    if order == "bgr":
        tensors = swap_colours(tensors)
    network.load_state_dict(tensors, assign=True)
    return network.requires_grad_(False).eval()


def _origin(foreign: Foreign, order: ChannelOrder) -> dict[str, Any]:
    """Find where weights come from: of an import of an import, where the first one did."""
    earlier = foreign.card.get("sources")
    if not isinstance(earlier, list) or not earlier:
        return {
            "layout": f"{foreign.layout}: {ABOUT[foreign.layout]}",
            "channel_order": f"{order} in the source, rgb here",
            "sources": foreign.sources,
            "paper": PAPER,
        }
    kept = {k: v for k, v in foreign.card.items() if k in ("layout", "channel_order")}
    paper = foreign.card.get("paper", PAPER)
    return kept | {"sources": earlier, "imported_from": foreign.sources, "paper": paper}


def _keep_apart(foreign: Foreign, out: Path) -> None:
    read_from = {foreign.path.resolve()}
    for ending in ENDINGS:
        if out.with_suffix(ending).resolve() in read_from:
            raise ConfigError(f"--out {out}: it would replace {foreign.path}, which is read")


def _report(
    foreign: Foreign,
    card: dict[str, Any],
    order: ChannelOrder,
    given: bool,
    licence: str | None,
    on_message: Callable[[str], None],
) -> None:
    variant = card["variant"]
    on_message(
        f"{foreign.path}: {ABOUT[foreign.layout]}, {card['parameters']:,} parameters, colours in "
        f"{order}, padding {variant['padding']}, mask resized in {variant['mask_resize']}, "
        f"attention {variant['attention']}, fuse "
        f"{'on' if variant['fuse'] else 'off'}"
    )
    if foreign.sketch:
        on_message(
            "these weights can be guided by a sketch ('freefill fill --sketch'); strokes of colour "
            "mean nothing to them"
        )
    if foreign.layout == "port-tf" and not given:
        on_message(
            "in which order such a file has its colours is not known for sure: bgr is assumed; "
            "'freefill weights verify' measures it"
        )
    if licence is None and card["licence"] == NON_COMMERCIAL:
        on_message(
            f"the released weights are {NON_COMMERCIAL}: not for commercial use; if you trained "
            "these yourself say --licence"
        )
