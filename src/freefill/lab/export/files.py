"""Weights are three files that belong together: ONNX, safetensors, and the card of both.

They are written beside and then renamed, so that there is no card of another file; and what a
licence or a variant is does not get lost with the card: both other files carry a copy.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import onnx
from safetensors import safe_open

from freefill.errors import WeightsError
from freefill.files.json_files import parse_json, read_json
from freefill.lab.export.headers import check_header
from freefill.lab.export.onnx import model_metadata, read_model
from freefill.weights import registry

KEY = "freefill"
"""Where both files have their copy: JSON."""
KEPT = (
    *("architecture", "layout", "channel_order", "variant", "sketch"),
    *("licence", "sources", "imported_from", "paper", "training"),
)
"""Of the card, what the copy has: all but sums and measures of one of the files."""
COPY_LIMIT = 2**20
"""Bytes of a copy."""
ENDINGS = (".safetensors", ".json", ".onnx")
"""In the order in which they are put in place: who sees the new ONNX file sees its card."""


def copy_of(card: dict[str, Any]) -> dict[str, str]:
    """Give a card's copy as the metadata of a file.

    Args:
        card: The card.

    Returns:
        The metadata: one key, JSON.

    Examples:
        >>> copy_of({"licence": "CC0", "sha256": "0"})
        {'freefill': '{"licence": "CC0"}'}
    """
    return {KEY: json.dumps({key: card[key] for key in KEPT if key in card}, default=str)}


def embed(model: onnx.ModelProto, card: dict[str, Any]) -> None:
    """Write a card's copy into an ONNX file, in place."""
    onnx.helper.set_model_props(model, copy_of(card))


def read_copy(path: Path, metadata: dict[str, str]) -> dict[str, Any]:
    """Read a card's copy.

    Args:
        path: The file, for the message.
        metadata: Of the file.

    Returns:
        The copy; empty if there is none.

    Raises:
        WeightsError: If it is no JSON object, or too long for one.
    """
    text = metadata.get(KEY, "{}")
    if len(text) > COPY_LIMIT:
        raise WeightsError(f"{path}: the card in it has {len(text):,} characters: that is no card")
    return parse_json(text, f"{path}: the card in it", WeightsError, "a card")


def card_beside(path: Path) -> dict[str, Any]:
    """Give the card beside a file; nothing if there is none."""
    weights = registry.Weights(path.stem, path)
    return weights.card if weights.card_path.is_file() else {}


def card_of(path: Path) -> dict[str, Any]:
    """Give what is known of a file of freefill's.

    Args:
        path: ``.onnx`` or ``.safetensors``.

    Returns:
        The card beside it, and what only its copy in the file says.

    Raises:
        WeightsError: If the file or a card of it cannot be read.
        CheckpointError: If it is no ONNX file.
    """
    is_onnx = path.suffix == ".onnx"
    metadata = model_metadata(read_model(path)) if is_onnx else read_metadata(path)
    return {**read_copy(path, metadata), **card_beside(path)}


def read_metadata(path: Path) -> dict[str, str]:
    """Read the metadata of a safetensors file, none of its tensors.

    Args:
        path: The file.

    Returns:
        Key to text.

    Raises:
        WeightsError: If it does not exist, is too large, or no safetensors file.
    """
    check_header(path)
    try:
        with safe_open(path, framework="np") as opened:
            return dict(opened.metadata() or {})
    except Exception as error:  # its own exception type derives from Exception alone
        raise WeightsError(f"{path} cannot be read: {error}") from None


def check_out(out: Path) -> None:
    """Refuse, before any work, to write where the three files cannot be.

    Args:
        out: The ONNX file. It may be there and is then replaced.

    Raises:
        WeightsError: If one of the three is a folder, or one of the two that were not named is
            there and not freefill's.
    """
    for ending in ENDINGS:
        path = out.with_suffix(ending)
        if path.is_dir():
            raise WeightsError(f"{path} is a folder: a file is to be written there, rename one")
    card, tensors = out.with_suffix(".json"), out.with_suffix(".safetensors")
    for path, own in ((card, _is_card(card)), (tensors, _is_card(card) or _is_own(tensors))):
        if path.exists() and not own:
            raise WeightsError(
                f"{path} is there and not freefill's: it would be replaced. Rename it, or give "
                "another `out`"
            )


def write_together(out: Path, content: bytes, tensors: bytes, card: dict[str, Any]) -> list[Path]:
    """Write all three files or none.

    Args:
        out: The ONNX file; the others get its name with their own endings.
        content: Of the ONNX file.
        tensors: Of the safetensors file.
        card: The card.

    Returns:
        Those of them that were there and are replaced.

    Raises:
        WeightsError: If they cannot be written; what was there is as it was then.
    """
    text = (json.dumps(card, indent=2) + "\n").encode()
    contents = dict(zip(ENDINGS, (tensors, text, content), strict=True))
    # Short, so that a name of the greatest legal length still has room for the ending.
    partials = {
        ending: out.with_name(f".{out.stem[:40]}.{os.getpid()}{ending}.partial")
        for ending in ENDINGS
    }
    replaced = [out.with_suffix(ending) for ending in ENDINGS if out.with_suffix(ending).exists()]
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        try:
            for ending, partial in partials.items():
                partial.write_bytes(contents[ending])
            for ending, partial in partials.items():
                partial.replace(out.with_suffix(ending))
        finally:
            for partial in partials.values():
                partial.unlink(missing_ok=True)
    except OSError as error:
        raise WeightsError(f"{out} cannot be written: {error.strerror or error}") from None
    return replaced


def _is_card(path: Path) -> bool:
    try:
        card = read_json(path, WeightsError)
    except (FileNotFoundError, WeightsError):
        return False
    return {"sha256", "architecture"} <= card.keys()


def _is_own(path: Path) -> bool:
    try:
        return KEY in read_metadata(path)
    except (OSError, WeightsError):
        return False
