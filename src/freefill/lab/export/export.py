"""``freefill export``: from a run's folder to weights and their card."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from freefill import __version__, plugins
from freefill.errors import CheckpointError
from freefill.lab.config import from_dict
from freefill.lab.export import averages
from freefill.lab.export.files import card_of, check_out, copy_of, embed, write_together
from freefill.lab.export.onnx import check_parity, read_weights, round_to_half, to_onnx
from freefill.lab.export.pickles import check_size
from freefill.lab.models import build_generator
from freefill.lab.models.deepfill import DeepFill, Variant
from freefill.lab.models.light_names import completed, renamed
from freefill.lab.training import checkpoint
from freefill.weights import registry


def export(
    run: Path,
    out: Path,
    *,
    notes: dict[str, Any] | None = None,
    plugin_names: Sequence[str] = (),
    on_message: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Write the moving average of a run as ONNX, safetensors and a card.

    Args:
        run: The run's folder, one of its checkpoints, or average weights as
            :mod:`freefill.lab.export.averages` has them.
        out: The ONNX file; the others are written beside it with their own endings.
        notes: More entries for the card: data, licences, metrics.
        plugin_names: Plugins to import in the place of those that the run's settings name. For
            average weights, which may come from somebody else, no others are imported.
        on_message: Called with lines for people.

    Returns:
        The card.

    Raises:
        CheckpointError: If there is no checkpoint, or ``out`` does not end in ``.onnx``.
        WeightsError: If ONNX Runtime and torch do not agree; nothing is written then.
    """
    if out.suffix != ".onnx":
        raise CheckpointError(f"`out={out}`: it must end in .onnx")
    check_out(out)
    state = averages.load(run)
    plugins.load(plugin_names)
    trusted = not plugin_names and not averages.is_average(run)
    config = from_dict(state["config"], trusted=trusted)
    network = build_generator(config.model)
    checkpoint.restore(network, state["ema"], run)
    network.eval()
    round_to_half(network)
    card = {
        "name": out.stem,
        "architecture": config.model.name,
        "parameters": count_parameters(network),
        **{f"gmac_{side}": round(count_macs(network, side) / 1e9, 3) for side in (256, 512)},
        "storage": "fp16, computed in float32",
        "sketch": config.guidance.on,
        "training": {
            "photos": state["photos"],
            "steps": state["step"],
            "crops": config.train.crops(state["step"]),
            "minutes": round(state["seconds"] / 60, 1),
            "cpu_minutes": round(state["cpu_seconds"] / 60, 1),
            "hardware": state["hardware"],
            "command": state.get("command", ""),
            "started_from": state.get("started_from", "random weights"),
            "config": config.to_dict(),
        },
        "made_with": made_with(),
        **_inherited(state.get("source_card") or {}),
        **(notes or {}),
    }
    model = to_onnx(network, guided=config.guidance.on)
    embed(model, card)
    content = model.SerializeToString()
    worst = check_parity(network, content, guided=config.guidance.on)
    card = {
        **card,
        "parity": {"largest_difference": worst, "range": "[-1, 1]"},
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
    }
    tensors = {k: v.half().contiguous() for k, v in network.state_dict().items()}
    if replaced := write_together(out, content, save(tensors, metadata=copy_of(card)), card):
        on_message(f"replaced: {', '.join(map(str, replaced))}")
    on_message(
        f"{out}: {len(content) / 1e6:.2f} MB, {card['parameters']:,} parameters, "
        f"{card['gmac_512']} GMAC at 512x512, differs from torch by at most {worst:.1e}"
    )
    return card


def made_with() -> dict[str, str]:
    """Give the versions and the day that a card names."""
    return {
        "freefill": __version__,
        "torch": version("torch"),
        "python": sys.version.split()[0],
        "date": datetime.now(UTC).date().isoformat(),
    }


def _inherited(base: dict[str, Any]) -> dict[str, Any]:
    """Give what the card of a run says of the weights that it started from."""
    kept = {k: base[k] for k in ("name", "licence", "sources", "paper") if base.get(k)}
    found: dict[str, Any] = {"base": kept} if kept else {}
    # What is made of weights has their licence, unless whoever exports it says another.
    return found | ({"licence": base["licence"]} if base.get("licence") else {})


@dataclass(frozen=True)
class StartingPoint:
    """Weights that a run starts from.

    Attributes:
        weights: Parameter name to tensor; an unguided file has no guidance branch, which then
            starts at zero.
        discriminator: The discriminator's, if average weights come with one.
        card: What is known of them: licence, variant, sources. The card beside the file and, for
            what only that has, the one in it. Of a run the card of what it started from in its
            turn, if its checkpoint has that as ``source_card``, and its settings as a card has
            them. Empty if nothing is known.
    """

    weights: dict[str, Tensor]
    discriminator: dict[str, Tensor] | None
    card: dict[str, Any]


def starting_point(name: str) -> StartingPoint:
    """Read the weights that a run starts from; each file is read once.

    Args:
        name: A bundled name, an ``.onnx`` or ``.safetensors`` file, a run's folder, or one of
            average weights.

    Raises:
        CheckpointError: If it cannot be read.
        WeightsError: If there is no such name, the file is larger than any of freefill's, or its
            card cannot be read.
    """
    path = Path(name)
    if path.is_dir() or averages.is_average(path):
        state = averages.load(path)
        critic = state.get("discriminator") if averages.is_average(path) else None
        card = {**(state.get("source_card") or {}), "training": {"config": state["config"]}}
        return StartingPoint(renamed(state["ema"]), critic, card)
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        check_size(path)
        try:
            tensors = load_file(path)
        except Exception as error:  # its own exception type derives from Exception alone
            raise CheckpointError(f"{path} cannot be read: {error}") from None
        return StartingPoint(renamed(tensors), None, card_of(path))
    path = registry.find(name).path
    return StartingPoint(renamed(read_weights(path)), None, card_of(path))


def count_parameters(network: nn.Module) -> int:
    """Count all parameters, the unused guidance branch included."""
    return sum(p.numel() for p in network.parameters())


def count_macs(network: nn.Module, side: int) -> int:
    """Count the multiplications of one unguided pass over a square picture.

    Args:
        network: The generator.
        side: Side of the picture, in pixels.

    Returns:
        Multiply-accumulate operations of all convolutions and products of matrices. One half of
        the picture is a hole: comparing what is missing with what is known costs most then.
    """
    try:
        # Shapes alone, in a twentieth of the time.
        return _count_on("meta", deepcopy(network).to("meta"), side)
    except RuntimeError:
        # What it computes depends on values.
        return _count_on("cpu", network, side)


def _count_on(device: str, network: nn.Module, side: int) -> int:
    with torch.device(device), torch.no_grad(), FlopCounterMode(display=False) as counter:
        hole = torch.zeros(1, 1, side, side)
        hole[..., : side // 2] = 1
        network(torch.zeros(1, 3, side, side), hole)
    return int(counter.get_total_flops() // 2)


def load_network(name: str) -> nn.Module:
    """Make the generator that weights or a run belong to, in evaluation mode.

    Args:
        name: What :func:`starting_point` takes.

    Returns:
        The network. Plugins are imported for the checkpoint of a run alone, not for what a card or
        average weights name.

    Raises:
        CheckpointError: If the weights cannot be read, or their card does not tell the network.
        WeightsError: If there is no such name.
    """
    start = starting_point(name)
    tensors, card = start.weights, start.card
    network: nn.Module
    if card.get("architecture") == "deepfill" and "variant" in card:
        network = DeepFill(card.get("sketch") is True, Variant(**card["variant"]))
    else:
        config = card.get("training", {}).get("config")
        if config is None:
            raise CheckpointError(f"{name}: its card does not tell which network it is of")
        own_run = Path(name).is_dir() and not averages.is_average(Path(name))
        network = build_generator(from_dict(completed(config), trusted=own_run).model)
    own = network.state_dict()
    # Weights that were trained without guidance have no branch for it.
    branch = {k: v for k, v in own.items() if k.startswith("guide.") and k not in tensors}
    checkpoint.restore(network, {**tensors, **branch}, Path(name))
    return network.requires_grad_(False).eval()
