"""The weights that freefill knows, and their cards.

Weights are a file with a card beside it: ``NAME.onnx`` and ``NAME.json``. The bundled ones lie in
the package, those that were pulled in the user's cache; any other ONNX file that ``freefill
export`` wrote is named by its path. Nothing is fetched unless :func:`pull` is called.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from freefill.arguments import shown
from freefill.errors import WeightsError, those_there
from freefill.files.json_files import read_json
from freefill.weights import cache
from freefill.weights.entries import Entry, is_name, list_entries

if TYPE_CHECKING:
    from freefill.weights.download import Progress

__all__ = [
    "BUNDLED",
    "DEFAULT",
    "Entry",
    "Model",
    "Weights",
    "find",
    "find_entry",
    "list_entries",
    "list_weights",
    "pull",
    "remove",
]

DEFAULT = "light"
Model = str | os.PathLike[str]
"""Name of weights, or the path of an ONNX file."""
BUNDLED = Path(__file__).parent / "bundled"


@dataclass(frozen=True)
class Weights:
    """One weights file.

    Attributes:
        name: What ``--model`` takes.
        path: The ONNX file.
    """

    name: str
    path: Path

    @property
    def size(self) -> int:
        """Bytes of the ONNX file."""
        return self.path.stat().st_size

    @property
    def is_bundled(self) -> bool:
        """Whether the file came with freefill."""
        return self.path.parent == BUNDLED

    @property
    def card_path(self) -> Path:
        """The card beside the file."""
        return self.path.with_suffix(".json")

    @cached_property
    def card(self) -> dict[str, Any]:
        """The card's content.

        Raises:
            WeightsError: If there is no card, or it is not JSON.
        """
        try:
            card = read_json(self.card_path, WeightsError, "a card")
        except FileNotFoundError:
            raise WeightsError(f"{self.path} has no card: {self.card_path} is missing") from None
        return card

    @cached_property
    def short(self) -> str:
        """First 12 hex digits of the ONNX file's sha256: what tables of results name it by."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:12]

    def check_loaded(self) -> None:
        """Compare the file with its card, before it is loaded: see :meth:`check`.

        A file without a card, or whose card states no sha256, has nothing to be compared with.

        Raises:
            WeightsError: If the card cannot be read, or is that of another file.
        """
        # A card that cannot be looked at is one that cannot be read, not one that is missing.
        if os.path.lexists(self.card_path) and "sha256" in self.card:
            self.check()

    def check(self) -> None:
        """Compare the file with its card.

        Raises:
            WeightsError: If the size or the sha256 differs, or there is no card.
        """
        # The card first: what has none, or another size, is not read at all.
        expected, size = self.card.get("sha256"), self.card.get("bytes", self.size)
        if self.size != size:
            raise WeightsError(
                f"{self.path} is damaged: it has {self.size:,} bytes, its card says {size!r}"
            )
        with self.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != expected:
            raise WeightsError(
                f"{self.path} is damaged: its sha256 is {digest}, its card says {expected}"
            )


def list_weights() -> list[Weights]:
    """List the weights that are here: the bundled ones, then those that were pulled.

    Returns:
        Their names and files; each name, and each path, is a ``model`` to fill with.

    Examples:
        >>> list_weights()[0].name
        'light'
    """
    bundled = [Weights(path.stem, path) for path in sorted(BUNDLED.glob("*.onnx"))]
    taken = {weights.name for weights in bundled}
    pulled = [Weights(name, cache.path_of(name)) for name in cache.names() if name not in taken]
    return bundled + pulled


def find(model: Model) -> Weights:
    """Find weights by name or path.

    Args:
        model: A name from :func:`list_weights`, or the path of an ONNX file (or of a file that
            another engine opens).

    Returns:
        The weights.

    Raises:
        WeightsError: If there are none, or they are known and not here yet; the message lists the
            names that exist, or the command that fetches them.
    """
    try:
        path = Path(model)
    except TypeError:
        raise WeightsError(
            f"{shown('model', model)}: it must be the name of weights or the path of an .onnx file"
        ) from None
    for weights in list_weights():
        if weights.name == str(model):
            return weights
    # Which files can be opened is the engines' to say.
    if path.suffix and _is_file(path):
        return Weights(path.stem, path)
    if path.suffix == ".onnx":
        raise WeightsError(f"{path} does not exist")
    entry = find_entry(str(model))
    if entry.is_bundled:
        raise WeightsError(
            f"{entry.name} should be in {BUNDLED} and is not: freefill is damaged, install it again"
        )
    raise WeightsError(
        f"{entry.name} is not here yet: run `freefill weights pull {entry.name}` "
        f"({entry.bytes / 1e6:.1f} MB)"
    )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # its name is too long
        return False


def find_entry(name: str) -> Entry:
    """Find an entry of the registry.

    Args:
        name: Of the weights.

    Returns:
        The entry.

    Raises:
        WeightsError: If there is none; the message lists the names that exist.
    """
    here = [weights.name for weights in list_weights()]
    entries = list_entries()
    for entry in entries:
        if entry.name == name:
            return entry
    there = [entry.name for entry in entries if entry.name not in here]
    more = f"; 'freefill weights pull' fetches {', '.join(there)}" if there else ""
    raise WeightsError(
        f"no model {name!r}: {those_there(here)}{more}; the path of an .onnx file will do, too"
    )


def pull(name: str, progress: Progress = lambda done, size: None) -> Weights:
    """Bring weights of the registry into the user's cache.

    Args:
        name: Of the weights.
        progress: As for :func:`freefill.weights.cache.fetch`.

    Returns:
        The weights; bundled ones, and those that were pulled before, as they are.

    Raises:
        WeightsError: If there are no such weights, or they cannot be had.
    """
    entry = find_entry(name)
    return find(name) if entry.is_bundled else Weights(name, cache.fetch(entry, progress))


def remove(name: str) -> int:
    """Delete weights that were pulled, or what a pull that was stopped has left.

    Args:
        name: Of the weights.

    Returns:
        The bytes that this freed.

    Raises:
        WeightsError: If there are none, or they are bundled.
    """
    if is_name(name) and (BUNDLED / f"{name}.onnx").is_file():
        raise WeightsError(f"{name} is bundled: it is a part of freefill and is not removed")
    return cache.remove(name)
