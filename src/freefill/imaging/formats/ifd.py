"""Directories of tags, as TIFF files and EXIF blocks have them (TIFF 6.0, section 2; BigTIFF).

Values are kept as the bytes they are, in the byte order of their file, so that what is not
understood here is still carried whole. Pillow's own reader turns them into Python values and back,
and loses types, private tags and whole folders on the way.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from io import BytesIO
from typing import BinaryIO, Literal

Order = Literal["<", ">"]

ORIENTATION = 274
EXIF, GPS, INTEROPERABILITY = 34665, 34853, 40965
FOLDERS = (EXIF, GPS, INTEROPERABILITY)
"""Tags that hold the place of another directory."""

BYTE, SHORT, LONG, RATIONAL, UNDEFINED, SLONG8 = 1, 3, 4, 5, 7, 17
WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
LONG8S = {16: 8, 17: 8, 18: 8}
"""Types of BigTIFF, 8 bytes each."""

LAYERS = 37724
"""Photoshop's layers: often most of a file, and never carried on."""

MAX_DEPTH = 3
"""Directories inside each other: TIFF, EXIF, interoperability."""
MAX_TAGS = 5000
"""Tags of one directory that are read. Cameras write a hundred."""
SLACK = 1 << 16
"""Bytes that values may have beyond those of the file: writers let two small tags share a value."""


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
        code = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 17: "q", 18: "Q"}.get(self.kind)
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
        file, folders in too deep folders, and Photoshop's layers are left out.

    Raises:
        BadDirectory: If the file does not begin as a TIFF, the directory is cut off, or its values
            have more bytes than the file: each is read, so they must not share them.
    """
    order, big, start = _begin(file)
    length = file.seek(0, 2)
    try:
        return _directory(file, start, order, big, _Reading(length, length + SLACK))
    except struct.error as error:
        raise BadDirectory(str(error)) from None


def pages(file: BinaryIO, most: int) -> int:
    """Count the directories that follow each other in a TIFF, without reading them.

    Args:
        file: The file.
        most: Where to stop.

    Returns:
        Their number, at least 1 and at most one more than ``most``.
    """
    seen: set[int] = set()
    try:
        order, big, place = _begin(file)
        head, entry_size, word = _SIZES[big]
        while place and place not in seen and len(seen) <= most:
            file.seek(place)
            (count,) = struct.unpack(order + head, file.read(struct.calcsize(head)))
            seen.add(place)
            file.seek(count * entry_size, 1)
            (place,) = struct.unpack(order + word, file.read(struct.calcsize(word)))
    except (BadDirectory, struct.error, OverflowError, OSError, ValueError):
        pass
    return max(1, len(seen))


_SIZES = {False: ("H", 12, "I"), True: ("Q", 20, "Q")}
"""Of TIFF and BigTIFF: the type of the number of tags, bytes of a tag, type of a place."""


@dataclass
class _Reading:
    """What all directories of a file share while it is read."""

    length: int
    left: int
    """Bytes of values that may still be read."""
    seen: set[int] = field(default_factory=set)


def _begin(file: BinaryIO) -> tuple[Order, bool, int]:
    """Give byte order, whether it is a BigTIFF, and the place of the first directory."""
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
        return order, big, start
    except struct.error as error:
        raise BadDirectory(str(error)) from None


def _directory(
    file: BinaryIO, start: int, order: Order, big: bool, reading: _Reading, depth: int = 1
) -> Directory:
    length = reading.length
    if start in reading.seen or not 0 < start < length or depth > MAX_DEPTH:
        raise BadDirectory(f"a directory at byte {start} of {length}")
    reading.seen.add(start)
    file.seek(start)
    head, entry_size, word = _SIZES[big]
    (count,) = struct.unpack(order + head, file.read(struct.calcsize(head)))
    if count * entry_size > length:
        raise BadDirectory(f"{count} tags in {length} bytes")
    entries = file.read(count * entry_size)
    room = struct.calcsize(word)
    trailer = file.read(room)
    following = struct.unpack(order + word, trailer)[0] if len(trailer) == room else 0
    tags: dict[int, Tag] = {}
    for i in range(min(count, MAX_TAGS)):
        number, kind, amount = struct.unpack_from(f"{order}HH{word}", entries, i * entry_size)
        width = WIDTHS.get(kind) or LONG8S.get(kind)
        if width is None or number == LAYERS:
            continue
        field = entries[(i + 1) * entry_size - room : (i + 1) * entry_size]
        size = amount * width
        if size <= room:
            value = field[:size]
        else:
            (place,) = struct.unpack(order + word, field)
            if place + size > length:
                continue
            reading.left -= size
            if reading.left < 0:
                raise BadDirectory("its tags share bytes, or it was made to do harm")
            file.seek(place)
            value = file.read(size)
        if number in FOLDERS:
            try:
                places = Tag(kind, value).numbers(order)
                place = places[0] if places else 0
                folder = _directory(file, place, order, big, reading, depth + 1)
            except (BadDirectory, struct.error):
                continue
            tags[number] = Tag(LONG, folder)
        else:
            tags[number] = Tag(kind, value)
    return Directory(order, tags, following)


def narrowed(directory: Directory) -> tuple[Directory, list[int]]:
    """Give a directory with TIFF's types in the place of BigTIFF's.

    Args:
        directory: The tags.

    Returns:
        The directory, and the numbers of tags that are left out: theirs do not fit into 32 bits.
    """
    kept: dict[int, Tag] = {}
    lost: list[int] = []
    for number, tag in directory.tags.items():
        if isinstance(tag.value, Directory):
            folder, more = narrowed(tag.value)
            kept[number] = Tag(tag.kind, folder)
            lost += more
        elif tag.kind in LONG8S:
            kind, code = (9, "i") if tag.kind == SLONG8 else (LONG, "I")
            values = tag.numbers(directory.order)
            try:
                kept[number] = Tag(
                    kind, struct.pack(f"{directory.order}{len(values)}{code}", *values)
                )
            except struct.error:
                lost.append(number)
        else:
            kept[number] = tag
    return Directory(directory.order, kept, directory.next), lost


def packed(directory: Directory, start: int) -> bytes:
    """Write a directory and what its tags hold, for a place in a file.

    Args:
        directory: The tags. Types of BigTIFF become those of TIFF, as :func:`narrowed` has it.
        start: Where the bytes will lie.

    Returns:
        The directory's bytes; its values and folders follow it. No directory comes after it.
    """
    order = directory.order
    items = sorted(narrowed(directory)[0].tags.items())
    first = start + 2 + 12 * len(items) + 4
    entries, values = bytearray(), bytearray()
    for number, tag in items:
        values += bytes((first + len(values)) % 2)
        place = first + len(values)
        if isinstance(tag.value, Directory):
            entries += struct.pack(f"{order}HHII", number, LONG, 1, place)
            values += packed(tag.value, place)
            continue
        amount = len(tag.value) // WIDTHS[tag.kind]
        entries += struct.pack(f"{order}HHI", number, tag.kind, amount)
        if len(tag.value) <= 4:
            entries += tag.value.ljust(4, b"\0")
        else:
            entries += struct.pack(f"{order}I", place)
            values += tag.value
    return struct.pack(f"{order}H", len(items)) + entries + bytes(4) + values


def header(order: Order, start: int) -> bytes:
    """Give the 8 bytes that a TIFF begins with: byte order, and where its directory lies."""
    return (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, start)


def block(directory: Directory) -> bytes:
    """Give a directory as an EXIF block, without the name that JPEG puts before it."""
    return header(directory.order, 8) + packed(directory, 8)


def read_block(content: bytes) -> Directory:
    """Read an EXIF block, with or without the name that JPEG puts before it."""
    return read(BytesIO(content.removeprefix(b"Exif\0\0")))
