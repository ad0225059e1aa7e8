"""Bytes for the disk: the tar of a shard, and writing so that it outlasts a failure of power."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from freefill.lab.data.packing.workers import Ready

BLOCK, RECORD = 512, 10240
"""Bytes: members of a tar are filled up to the first, a whole tar to the second."""


def key_of(number: int) -> str:
    """Name a photo.

    Examples:
        >>> key_of(12)
        '00000012'
    """
    return f"{number:08}"


def tar_of(first: int, photos: Sequence[tuple[str, Ready]]) -> Iterator[bytes]:
    """Make a tar that depends on nothing but the photos: no times, no owners.

    Args:
        first: The first photo's key.
        photos: Name of the source, and the photo.

    Yields:
        Its bytes, member by member.
    """
    size = 0
    for number, (name, ready) in enumerate(photos, first):
        facts = {
            "name": name,
            "width": ready.width,
            "height": ready.height,
            "phash": f"{ready.phash:016x}",
        }
        for ending, content in (("jpg", ready.jpeg), ("json", json.dumps(facts).encode())):
            member = tarfile.TarInfo(f"{key_of(number)}.{ending}")
            member.size, member.mode = len(content), 0o644
            piece = member.tobuf(tarfile.USTAR_FORMAT) + content + bytes(-len(content) % BLOCK)
            size += len(piece)
            yield piece
    end = size + 2 * BLOCK
    yield bytes(2 * BLOCK + -end % RECORD)


def write(path: Path, pieces: Iterator[bytes] | Sequence[bytes]) -> None:
    """Write a file that is there whole, also after the power fails, or not at all.

    Args:
        path: The file.
        pieces: Its bytes.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    # The name is on the disk when the folder is; Windows has no such thing.
    with suppress(OSError):
        handle = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def append(path: Path, end: int, content: bytes) -> None:
    """Write behind what is known to be whole, in the place of whatever else there is.

    Args:
        path: The file; it is made if it does not exist.
        end: Length in bytes of what is known to be whole.
        content: What comes behind it.
    """
    with path.open("r+b" if path.exists() else "w+b") as file:
        file.truncate(end)
        file.seek(end)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
