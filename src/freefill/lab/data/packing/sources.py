"""The photos of a folder, by the million: their names in little memory, in a shuffled order."""

from __future__ import annotations

import hashlib
import os
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from freefill.batch import mask_pairing
from freefill.errors import DataError
from freefill.files.paths import is_hidden
from freefill.lab.data.photos import SUFFIXES

LISTED = 10_000
"""Photos between two calls of progress while a folder is listed."""


@dataclass(frozen=True)
class Sources:
    """The photos below a folder, in the order in which they are packed.

    Names are kept one after the other as bytes: with the numbers, 20 bytes a photo more than the
    names themselves.

    Attributes:
        folder: The folder.
        digest: sha256 of all names and sizes in bytes, in hex: what a rerun is compared by.
    """

    folder: Path
    digest: str
    _names: bytearray
    _ends: NDArray[np.uint64]
    _order: NDArray[np.uint32]

    def __len__(self) -> int:
        """Count the photos."""
        return len(self._order)

    def __getitem__(self, position: int) -> str:
        """Give the name, relative to the folder and with ``/``, at a place in the order."""
        number = int(self._order[position])
        start = int(self._ends[number - 1]) if number else 0
        return os.fsdecode(bytes(self._names[start : int(self._ends[number])]))


def find_sources(folder: Path, progress: Callable[[int], None] | None = None) -> Sources:
    """List the photos that ``freefill.lab.data.photos.list_photos`` would, in a shuffled order.

    The order is that of a hash of the names: the same everywhere, whatever the order on the disk.

    Args:
        folder: Searched with all its subfolders.
        progress: Called with the number of photos found so far.

    Returns:
        The photos.

    Raises:
        DataError: If the folder, or one below it, cannot be read, or holds no photo.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder: name a folder of photos")
    names, ends, sizes = bytearray(), array("Q"), array("Q")
    keys = bytearray()
    for name, size in _walk(str(folder), b""):
        names += name
        ends.append(len(names))
        sizes.append(size)
        keys += hashlib.blake2b(name, digest_size=16).digest()
        if progress and len(ends) % LISTED == 0:
            progress(len(ends))
    if not ends:
        kinds = ", ".join(sorted(SUFFIXES))
        raise DataError(f"{folder} holds no photos (looked for {kinds} in it and below)")
    halves = np.frombuffer(keys, ">u8").reshape(-1, 2)
    order = np.lexsort((halves[:, 1], halves[:, 0])).astype(np.uint32)
    sources = Sources(folder, "", names, np.frombuffer(ends, np.uint64), order)
    digest = hashlib.sha256()
    for position in range(len(sources)):
        digest.update(os.fsencode(sources[position]) + b"\0%d\0" % sizes[order[position]])
    return replace(sources, digest=digest.hexdigest())


def _is_mask(folder: str, stem: str) -> bool:
    """Whether a file is the mask of a photo beside it, and not a photo of a gas mask."""
    photo = stem.removesuffix("_mask")
    if photo in ("", stem):
        return False
    beside = mask_pairing.first([photo], lambda name: os.path.exists(os.path.join(folder, name)))
    return beside is not None


def _walk(folder: str, below: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield the name, relative and with ``/``, and the size of each photo; links are no folders."""
    waiting = [(folder, below)]
    while waiting:
        folder, below = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if is_hidden(entry.name):
                        continue
                    name = below + os.fsencode(entry.name)
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append((entry.path, name + b"/"))
                        continue
                    stem, suffix = os.path.splitext(entry.name)
                    if suffix.lower() not in SUFFIXES or _is_mask(folder, stem):
                        continue
                    if entry.is_file():
                        yield name, entry.stat().st_size
        except OSError as error:
            raise DataError(
                f"{error.filename or folder} cannot be listed: {error.strerror or error}"
            ) from None
