"""Whether a container is whole: the sizes that it tells of, against what is there.

FFmpeg reads a file that was cut off, or that has a hole, to where it can, and says nothing. The
elements of Matroska and WebM and the chunks of AVI tell their sizes, so that one walk from head to
head finds where that is, however the frames lie in time.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

EBML, SEGMENT, CLUSTER, BLOCK = 0x1A45DFA3, 0x18538067, 0x1F43B675, 0xA3
VOID, CRC = 0xEC, 0xBF
LEVEL_1 = {
    *(0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1941A469, 0x1043A770, 0x1254C367),
    *(CLUSTER, VOID, CRC),
}
"""Matroska's elements in a segment (RFC 9559, section 5)."""
IN_CLUSTER = {0xE7, 0x5854, 0xA7, 0xAB, 0xA0, 0xAF, BLOCK, VOID, CRC}
"""And in a cluster."""
UNKNOWN = -1


def broken(path: Path, container: str) -> str | None:
    """Look for where a container breaks off.

    Args:
        path: The file.
        container: FFmpeg's name of what it is.

    Returns:
        What is wrong, as the end of a sentence about the file; ``None`` where it is whole or its
        container does not tell.

    Raises:
        OSError: If it cannot be read.
    """
    with path.open("rb") as file:
        length = file.seek(0, 2)
        file.seek(0)
        if container == "matroska,webm":
            return _matroska(file, length)
        if container == "avi":
            return _avi(file, length)
    return None


def _cut(length: int, needed: int) -> str:
    return f"it has {length} of the {needed} bytes that it tells of"


def _matroska(file: BinaryIO, length: int) -> str | None:
    while file.tell() < length:
        place = file.tell()
        head = _element(file)
        if head is None or head[0] not in (EBML, SEGMENT, VOID, CRC):
            # Behind the segment anything may lie; before it, FFmpeg has found its way.
            return None
        name, size = head
        if name != SEGMENT:
            file.seek(size, 1)
            continue
        stop = length if size == UNKNOWN else file.tell() + size
        if stop > length:
            return _cut(length, stop)
        if (wrong := _segment(file, stop)) is not None:
            return f"it is damaged at byte {max(wrong, place)}"
        file.seek(stop)
    return None


def _segment(file: BinaryIO, stop: int) -> int | None:
    """Walk through a segment and its clusters; give the place of what cannot be."""
    cluster = 0
    while (place := file.tell()) < stop:
        head = _element(file)
        if head is None:
            return place
        name, size = head
        inside = place < cluster and name in IN_CLUSTER
        if name not in LEVEL_1 and not inside:
            return place
        if name == CLUSTER:
            # Of unknown size: until something comes that is in none.
            cluster = stop if size == UNKNOWN else file.tell() + size
            if cluster > stop:
                return place
            continue
        start = file.tell()
        if size == UNKNOWN or start + size > stop or (name == BLOCK and _number(file, 8) is None):
            return place
        file.seek(start + size)
    return None


def _element(file: BinaryIO) -> tuple[int, int] | None:
    """Read an element's name and size (RFC 8794, section 4)."""
    name, size = _number(file, 4), _number(file, 8)
    if name is None or size is None:
        return None
    value, width = size
    value -= 1 << (7 * width)
    return name[0], UNKNOWN if value == (1 << (7 * width)) - 1 else value


def _number(file: BinaryIO, longest: int) -> tuple[int, int] | None:
    """Read a number with the bit that marks its width, and the width in bytes."""
    first = file.read(1)
    width = 9 - first[0].bit_length() if first else 9
    if width > longest:
        return None
    rest = file.read(width - 1)
    return (int.from_bytes(first + rest, "big"), width) if len(rest) == width - 1 else None


def _avi(file: BinaryIO, length: int) -> str | None:
    while file.tell() + 12 <= length:
        head = file.read(8)
        if head[:4] != b"RIFF":
            return None
        size = int.from_bytes(head[4:], "little")
        stop = file.tell() + size
        # 0: it was being written when it was left.
        if size and stop > length:
            return _cut(length, stop)
        if not size:
            return None
        file.seek(stop + size % 2)
    return None
