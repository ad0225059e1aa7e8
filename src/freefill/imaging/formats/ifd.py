"""Directories of tags, as TIFF files and EXIF blocks have them (TIFF 6.0, section 2; BigTIFF).

Values are kept as the bytes they are, in the byte order of their file, so that what is not
understood here is still carried whole. Pillow's own reader turns them into Python values and back,
and loses types, private tags and whole folders on the way.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO, Literal

Order = Literal["<", ">"]

ORIENTATION = 274
EXIF, GPS, INTEROPERABILITY = 34665, 34853, 40965
FOLDERS = (EXIF, GPS, INTEROPERABILITY)
"""Tags that hold the place of another directory."""

BYTE, SHORT, LONG, RATIONAL, UNDEFINED = 1, 3, 4, 5, 7
WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
LONG8S = {16: 8, 17: 8, 18: 8}
"""Types of BigTIFF, 8 bytes each."""


class BadDirectory(Exception):  # noqa: N818  (not an error that a person sees)
    """The bytes are no directory of tags."""


@dataclass(frozen=True)
class Tag:
    """One value: its type, and its bytes or, for a folder, the directory."""

    kind: int
    value: bytes | Directory

    def numbers(self, order: Order) -> list[int]:
        """Give whole numbers (BYTE, SHORT, LONG, LONG8) as such."""
        assert isinstance(self.value, bytes)
        code = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}.get(self.kind)
        if code is None:
            raise BadDirectory(f"type {self.kind} where a whole number is due")
        count = len(self.value) // struct.calcsize(code)
        return list(struct.unpack(f"{order}{count}{code}", self.value))


@dataclass(frozen=True)
class Directory:
    """Tags by number, and the byte order that their values have."""

    order: Order
    tags: dict[int, Tag]
    next: int = 0
    """Place of the directory that follows (another page, a preview), 0 for none."""

    def first(self, tag: int, default: int) -> int:
        """Give the first whole number of a tag."""
        found = self.tags.get(tag)
        values = found.numbers(self.order) if found else []
        return values[0] if values else default

    def without(self, dropped: Iterable[int]) -> Directory:
        """Give the directory without some of its tags."""
        gone = set(dropped)
        return Directory(self.order, {k: v for k, v in self.tags.items() if k not in gone})


def short(order: Order, *values: int) -> Tag:
    """Make a tag of 16-bit numbers."""
    return Tag(SHORT, struct.pack(f"{order}{len(values)}H", *values))


def long(order: Order, *values: int) -> Tag:
    """Make a tag of 32-bit numbers."""
    return Tag(LONG, struct.pack(f"{order}{len(values)}I", *values))


def read(file: BinaryIO) -> Directory:
    """Read the first directory of a TIFF file or EXIF block.

    Args:
        file: The file; values lie anywhere in it.

    Returns:
        The directory, with its folders of EXIF and GPS tags. Tags whose values lie outside of the
        file are left out.

    Raises:
        BadDirectory: If the file does not begin as a TIFF, or the directory is cut off.
    """
    length = file.seek(0, 2)
    file.seek(0)
    head = file.read(16)
    order: Order
    if head[:2] == b"II":
        order = "<"
    elif head[:2] == b"MM":
        order = ">"
    else:
        raise BadDirectory("no byte order mark")
    try:
        (version,) = struct.unpack_from(f"{order}H", head, 2)
        big = version == 43
        (start,) = struct.unpack_from(f"{order}Q" if big else f"{order}I", head, 8 if big else 4)
        return _directory(file, start, order, big, length, set())
    except struct.error as error:
        raise BadDirectory(str(error)) from None


def _directory(
    file: BinaryIO, start: int, order: Order, big: bool, length: int, seen: set[int]
) -> Directory:
    if start in seen or not 0 < start < length:
        raise BadDirectory(f"a directory at byte {start} of {length}")
    seen.add(start)
    file.seek(start)
    head, entry_size, word = ("Q", 20, "Q") if big else ("H", 12, "I")
    (count,) = struct.unpack(order + head, file.read(struct.calcsize(head)))
    if count * entry_size > length:
        raise BadDirectory(f"{count} tags in {length} bytes")
    entries = file.read(count * entry_size)
    room = struct.calcsize(word)
    trailer = file.read(room)
    following = struct.unpack(order + word, trailer)[0] if len(trailer) == room else 0
    tags: dict[int, Tag] = {}
    for i in range(count):
        number, kind, amount = struct.unpack_from(f"{order}HH{word}", entries, i * entry_size)
        width = WIDTHS.get(kind) or LONG8S.get(kind)
        if width is None:
            continue
        field = entries[(i + 1) * entry_size - room : (i + 1) * entry_size]
        size = amount * width
        if size <= room:
            value = field[:size]
        else:
            (place,) = struct.unpack(order + word, field)
            if place + size > length:
                continue
            file.seek(place)
            value = file.read(size)
        if number in FOLDERS:
            try:
                places = Tag(kind, value).numbers(order)
                folder = _directory(file, places[0] if places else 0, order, big, length, seen)
            except (BadDirectory, struct.error):
                continue
            tags[number] = Tag(LONG, folder)
        else:
            tags[number] = Tag(kind, value)
    return Directory(order, tags, following)


def packed(directory: Directory, start: int) -> bytes:
    """Write a directory and what its tags hold, for a place in a file.

    Args:
        directory: The tags. Types of BigTIFF become those of TIFF.
        start: Where the bytes will lie.

    Returns:
        The directory's bytes; its values and folders follow it. No directory comes after it.
    """
    order = directory.order
    items = sorted(directory.tags.items())
    place = start + 2 + 12 * len(items) + 4
    entries, values = [], b""
    for number, tag in items:
        place += place % 2
        if isinstance(tag.value, Directory):
            body = packed(tag.value, place)
            entries.append(struct.pack(f"{order}HHII", number, LONG, 1, place))
        else:
            kind, body = tag.kind, tag.value
            if kind in LONG8S:
                kind, body = LONG, long(order, *tag.numbers(order)).value  # type: ignore[assignment]
            amount = len(body) // WIDTHS[kind]
            if len(body) <= 4:
                field = body.ljust(4, b"\0")
                entries.append(struct.pack(f"{order}HHI", number, kind, amount) + field)
                continue
            entries.append(struct.pack(f"{order}HHII", number, kind, amount, place))
        values = values.ljust(place - (start + 2 + 12 * len(items) + 4), b"\0") + body
        place += len(body)
    return struct.pack(f"{order}H", len(items)) + b"".join(entries) + bytes(4) + values


def header(order: Order, start: int) -> bytes:
    """Give the 8 bytes that a TIFF begins with: byte order, and where its directory lies."""
    return (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, start)


def block(directory: Directory) -> bytes:
    """Give a directory as an EXIF block, without the name that JPEG puts before it."""
    return header(directory.order, 8) + packed(directory, 8)


def read_block(content: bytes) -> Directory:
    """Read an EXIF block, with or without the name that JPEG puts before it."""
    return read(BytesIO(content.removeprefix(b"Exif\0\0")))
