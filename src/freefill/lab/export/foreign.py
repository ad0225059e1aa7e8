"""DeepFill v2's weights from elsewhere: what a file is, and how it is to be run.

The same 84 tensors are found in TensorFlow's checkpoints, in a PyTorch port's two layouts and in
freefill's own files. A file says whose names it uses; it does not say in which order its colours
are, nor which variant of the network it was trained in. That is assumed by layout
(:data:`ASSUMED`), can be given, and can be measured (:mod:`freefill.lab.export.verifying`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from safetensors import safe_open
from torch import Tensor

from freefill.errors import WeightsError
from freefill.lab.export.files import card_beside, read_copy
from freefill.lab.export.headers import check_header
from freefill.lab.export.onnx import model_metadata, read_model, stored_in, to_tensor
from freefill.lab.export.pickles import check_size, load_pickle
from freefill.lab.export.tf_bundle.bundle import Bundle
from freefill.lab.models.deepfill import Variant
from freefill.lab.models.deepfill_names import Layout, Match, match, to_own
from freefill.lab.training import checkpoint
from freefill.weights import registry

ChannelOrder = Literal["rgb", "bgr"]

PICKLES = (".pth", ".pt", ".ckpt", ".bin", ".tar")
BUNDLES = re.compile(r"\.(index|meta|data-\d{5}-of-\d{5})$|^checkpoint(\.txt)?$")
"""Files of a TensorFlow checkpoint."""
NON_COMMERCIAL = "CC BY-NC 4.0"


class Assumed(NamedTuple):
    """What is assumed of a layout unless something else is given."""

    channel_order: ChannelOrder
    variant: Variant
    licence: str


ASSUMED: dict[Layout, Assumed] = {
    "tensorflow": Assumed("bgr", Variant("same", "two-step", True), NON_COMMERCIAL),
    # Converted from TensorFlow; whether they were turned to RGB on the way is nowhere written.
    "port-tf": Assumed("bgr", Variant("same", "two-step", True), NON_COMMERCIAL),
    "port": Assumed("rgb", Variant("symmetric", "one-step", True, "port"), NON_COMMERCIAL),
    "freefill": Assumed("rgb", Variant(), "not stated"),
}


@dataclass(frozen=True)
class Foreign:
    """Weights as they were found.

    Attributes:
        path: What was read.
        layout: Whose names they had.
        sketch: Whether the first layer takes a sketch.
        tensors: Own name to float32 tensor, colours in the file's order.
        assumed: What is taken for true of them.
        sources: ``file``, ``bytes`` and ``sha256`` of each file that was read.
        card: What freefill's own files say of themselves: the card beside them, or in them.
    """

    path: Path
    layout: Layout
    sketch: bool
    tensors: dict[str, Tensor]
    assumed: Assumed
    sources: list[dict[str, Any]]
    card: dict[str, Any] = field(default_factory=dict)


def read(path: Path) -> Foreign:
    """Read DeepFill v2's weights in any of the layouts that are known.

    Args:
        path: A TensorFlow checkpoint (its folder, its prefix, or one of its files); a ``.pth`` of
            the PyTorch port; a ``.safetensors`` in any of the layouts; an ``.onnx`` of freefill's
            or the folder of a run. A bundled name stands for its file.

    Returns:
        The weights.

    Raises:
        WeightsError: If they cannot be read, are another network's, or not whole. Nothing that
            they contain is run, and nothing large is read before it has been checked.
        CheckpointError: If an ONNX file cannot be read.
    """
    if not path.exists() and path.name == str(path) and not path.suffix:
        path = next((w.path for w in registry.list_weights() if w.name == path.name), path)
    if path.is_dir() and (path / checkpoint.NAME).is_file():
        return _read_pickle(path / checkpoint.NAME)
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    if path.suffix == ".onnx":
        return _read_onnx(path)
    # A prefix may well be called model.ckpt.
    if path.suffix in PICKLES and (
        path.exists() or not path.with_name(path.name + ".index").is_file()
    ):
        return _read_pickle(path)
    if path.is_file() and not BUNDLES.search(path.name):
        raise WeightsError(
            f"{path}: its ending is of no kind that can be read: a TensorFlow checkpoint (folder, "
            f"prefix or .index), {', '.join(PICKLES)}, .safetensors or .onnx"
        )
    if path.is_dir():
        _check_folder(path)
    return _read_bundle(path)


def _check_folder(path: Path) -> None:
    """Name the file to give instead of a folder that holds weights and no checkpoint."""
    inside = sorted(file.name for file in path.iterdir() if file.is_file())
    if any(BUNDLES.search(name) for name in inside):
        return
    named = [name for name in inside if Path(name).suffix in (*PICKLES, ".safetensors", ".onnx")]
    if named:
        more = f" (or {', '.join(named[1:4])})" if named[1:] else ""
        raise WeightsError(
            f"{path} is a folder without a TensorFlow checkpoint: give the file in it, "
            f"{path / named[0]}{more}"
        )


def _match(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> Match:
    """Match, and name the file in what is wrong with it: all other errors name it themselves."""
    try:
        return match(shapes)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None


def _read_bundle(path: Path) -> Foreign:
    bundle = Bundle.open(path)
    found = _match(path, {name: entry.shape for name, entry in bundle.entries.items()})
    shards = {bundle.entries[name].shard for name in found.names.values()}
    files = [bundle.index, *(bundle.shard(number) for number in sorted(shards))]
    # Their sizes first: they are hashed whole, though only parts are needed.
    for file in files:
        check_size(file)
    return _finish(
        path,
        ASSUMED[found.layout],
        found,
        {name: torch.from_numpy(bundle.read(name)) for name in found.names.values()},
        files,
    )


def _read_safetensors(path: Path) -> Foreign:
    check_header(path)
    try:
        with safe_open(path, framework="pt") as opened:
            shapes = {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
            found = _match(path, shapes)
            tensors = {name: opened.get_tensor(name) for name in found.names.values()}
            metadata = opened.metadata() or {}
    except WeightsError:
        raise
    except Exception as error:  # its own exception type derives from Exception alone
        raise WeightsError(f"{path} cannot be read: {error}") from None
    return _gather(path, tensors, metadata)


def _read_onnx(path: Path) -> Foreign:
    model = read_model(path)
    stored = stored_in(model)
    # Shapes first: what is no weight of the network is never converted.
    found = _match(path, {name: tuple(tensor.dims) for name, tensor in stored.items()})
    tensors = {name: to_tensor(path, stored[name]) for name in found.names.values()}
    return _gather(path, tensors, model_metadata(model))


def _read_pickle(path: Path) -> Foreign:
    state = load_pickle(path)
    card = None
    if isinstance(state, dict) and {"ema", "config"} <= set(state):
        # A run of freefill's; its settings are where a card has them.
        card = {"training": {"config": state["config"]}}
        state = state["ema"]
    else:
        for key in ("G", "state_dict"):
            if isinstance(state, dict) and key in state and isinstance(state[key], dict):
                state = state[key]
                break
    if not isinstance(state, dict):
        raise WeightsError(f"{path} holds a {type(state).__name__}, not a dict of tensors")
    # Not state.items(): an OrderedDict can carry anything under that name.
    state = {name: tensor for name, tensor in dict.items(state)}
    for name, tensor in state.items():
        if not isinstance(name, str):
            raise WeightsError(
                f"{path} is no dict of tensors: one of its keys is a {type(name).__name__}"
            )
        if not isinstance(tensor, Tensor):
            raise WeightsError(
                f"{path} is no dict of tensors: {name[:80]!r} is a {type(tensor).__name__}"
            )
    return _gather(path, state, {}, card)


def _gather(
    path: Path,
    tensors: Mapping[str, Tensor],
    metadata: dict[str, str],
    card: dict[str, Any] | None = None,
) -> Foreign:
    found = _match(path, {name: tuple(tensor.shape) for name, tensor in tensors.items()})
    assumed = ASSUMED[found.layout]
    if found.layout != "freefill":
        return _finish(path, assumed, found, tensors, [path])
    card = card or {**read_copy(path, metadata), **card_beside(path)}
    licence = str(card.get("licence", assumed.licence))
    assumed = Assumed("rgb", _variant(path, card), licence)
    return replace(_finish(path, assumed, found, tensors, [path]), card=card)


def _finish(
    path: Path, assumed: Assumed, found: Match, tensors: Mapping[str, Tensor], files: list[Path]
) -> Foreign:
    own: dict[str, Tensor] = {}
    for name, foreign in found.names.items():
        tensor = tensors[foreign]
        if tensor.layout != torch.strided or tensor.is_meta or not tensor.is_floating_point():
            raise WeightsError(f"{path}: {foreign} holds {tensor.dtype}, not numbers of a network")
        own[name] = to_own(found.layout, tensor)
        if not bool(own[name].isfinite().all()):
            raise WeightsError(f"{path}: {foreign} holds values that are not finite numbers")
    return Foreign(path, found.layout, found.sketch, own, assumed, [_source(f) for f in files])


def _source(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": digest}


def _variant(path: Path, card: dict[str, Any]) -> Variant:
    """Find the variant on a card: an imported file's, or in the settings of a training."""
    training = card.get("training")
    settings = training.get("config") if isinstance(training, dict) else None
    model = settings.get("model") if isinstance(settings, dict) else None
    said = card.get("variant", model)
    if said is None:
        return Variant()
    try:
        return Variant(**{part.name: said[part.name] for part in fields(Variant)})
    except (TypeError, KeyError) as error:
        raise WeightsError(f"{path}: its card names no whole variant: {error}") from None
