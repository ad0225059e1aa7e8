"""LevelDB's sorted table, read whole: the format of the index of TensorFlow's checkpoints.

Only what such an index is: small, not compressed, sorted, each block behind the last. Everything in
it is checked, checksums and bounds both, before it is believed; a damaged or made-up file costs no
more memory than its own size and ends in an error that says where.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import google_crc32c

from freefill.errors import WeightsError

MAGIC = 0xDB4775248B80FB57
FOOTER = 48
"""Two handles, filled up with zeros to 40 bytes, and the magic number."""
TRAILER = 5
"""What follows each block: how it is compressed, and a checksum of both."""
MAX_ENTRIES = 20_000
"""A checkpoint of this network with its critic and its optimizers has about 500."""
MAX_KEY = 1024
"""Bytes. Keys share their beginnings in the file, but not in memory."""
MAX_VALUE = 4096
"""Bytes; what an index says about one variable takes fewer than 200."""
MASK = 0xA282EAD8
COMPRESSIONS = {1: "snappy", 2: "zlib", 4: "zstd"}


class Handle(NamedTuple):
    """Where a block lies, in bytes."""

    offset: int
    size: int

    @property
    def end(self) -> int:
        """First byte behind the block and its trailer."""
        return self.offset + self.size + TRAILER


def read_table(content: bytes) -> dict[bytes, bytes]:
    """Read all entries of a table.

    Args:
        content: The file.

    Returns:
        Key to value, in the table's order.

    Raises:
        WeightsError: If it is no such table, damaged, compressed, or larger than any checkpoint's.
    """
    meta, index = _footer(content)
    # Nothing in it is needed, but its checksum must be right, too.
    list(_entries(_block(content, meta, index.offset), "metaindex block"))
    table: dict[bytes, bytes] = {}
    last = None
    end = 0
    for _, value in _entries(_block(content, index, len(content) - FOOTER), "index block"):
        handle, used = _handle(value, 0)
        if used != len(value):
            raise WeightsError(f"a handle in its index block has {len(value)} bytes, not {used}")
        # A block that is listed again, whole or in part, would be copied each time.
        if handle.offset != end:
            raise WeightsError(
                f"its blocks are not in order: one begins at byte {handle.offset}, the one before "
                f"ends at {end}"
            )
        end = handle.end
        before = len(table)
        name = f"block at byte {handle.offset}"
        for key, data in _entries(_block(content, handle, meta.offset), name):
            if last is not None and key <= last:
                raise WeightsError(f"the keys of the {name} are not in order, {key[:80]!r} first")
            table[key] = data
            last = key
            if len(table) > MAX_ENTRIES:
                raise WeightsError(f"it has more than {MAX_ENTRIES:,} entries")
        if len(table) == before:
            raise WeightsError(f"the {name} is empty")
    if end != meta.offset:
        raise WeightsError(
            f"its blocks end at byte {end} and the metaindex block begins at {meta.offset}"
        )
    return table


def _footer(content: bytes) -> tuple[Handle, Handle]:
    """Give the places of the metaindex block and the index block."""
    if len(content) < FOOTER:
        raise WeightsError(
            f"it has {len(content)} bytes and a table ends in a footer of {FOOTER}: it is cut off "
            "or not an index"
        )
    footer = content[-FOOTER:]
    magic = int.from_bytes(footer[40:], "little")
    if magic != MAGIC:
        raise WeightsError(
            f"its last 8 bytes are {magic:#x}, those of an index {MAGIC:#x}: it is cut off or not "
            "an index"
        )
    meta, place = _handle(footer, 0)
    index, place = _handle(footer, place)
    if any(footer[place:40]):
        raise WeightsError("its footer is damaged: there is something between handles and magic")
    start = len(content) - FOOTER
    if index.end != start or meta.end != index.offset:
        raise WeightsError(
            f"its footer is damaged: the metaindex block ends at byte {meta.end}, the index block "
            f"is {index.offset} to {index.end} and the footer begins at {start}"
        )
    return meta, index


def read_varint(data: bytes, place: int) -> tuple[int, int]:
    """Read a number of up to 64 bits, seven to a byte, the lowest first.

    Args:
        data: Where it is in.
        place: Its first byte.

    Returns:
        The number, at least 0, and the place behind it.

    Raises:
        WeightsError: If it does not end, is larger, or takes more bytes than it needs, which no
            writer does.
    """
    value = 0
    for count, byte in enumerate(data[place : place + 10]):
        value |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            if value >= 1 << 64 or (count and not byte):
                break
            return value, place + count + 1
    raise WeightsError(f"a number at byte {place} of {len(data)} does not end within 64 bits")


def masked(crc: int) -> int:
    """Give a CRC-32C as it is stored: turned and offset, so that it can itself be checksummed.

    Examples:
        >>> hex(masked(0))
        '0xa282ead8'
    """
    return ((crc >> 15 | crc << 17) + MASK) & 0xFFFFFFFF


def _handle(data: bytes, place: int) -> tuple[Handle, int]:
    offset, place = read_varint(data, place)
    size, place = read_varint(data, place)
    return Handle(offset, size), place


def _block(content: bytes, handle: Handle, limit: int) -> bytes:
    """Give a block's content; it must lie before ``limit`` with its trailer."""
    if handle.end > limit:
        raise WeightsError(
            f"a block of {handle.size:,} bytes at byte {handle.offset:,} goes beyond byte {limit:,}"
        )
    end = handle.offset + handle.size
    stored = int.from_bytes(content[end + 1 : end + TRAILER], "little")
    found = masked(google_crc32c.value(content[handle.offset : end + 1]))
    if found != stored:
        raise WeightsError(
            f"the block at byte {handle.offset} is damaged: its checksum is {found:#010x}, the "
            f"file says {stored:#010x}"
        )
    if content[end]:
        kind = COMPRESSIONS.get(content[end], f"method {content[end]}")
        raise WeightsError(
            f"the block at byte {handle.offset} is compressed ({kind}); TensorFlow writes its "
            "checkpoints without, and only those can be read: save it again with TensorFlow"
        )
    return content[handle.offset : end]


def _entries(block: bytes, name: str) -> Iterator[tuple[bytes, bytes]]:
    """Take a block apart: entries, then where keys are written in full, then how often."""
    restarts = int.from_bytes(block[-4:], "little")
    end = len(block) - 4 * (restarts + 1)
    if len(block) < 8 or not restarts or end < 0:
        raise WeightsError(f"the {name} has {len(block)} bytes and {restarts} restarts in them")
    places = {int.from_bytes(block[i : i + 4], "little") for i in range(end, len(block) - 4, 4)}
    key = b""
    place = count = 0
    while place < end:
        start = place
        shared, place = read_varint(block, place)
        unshared, place = read_varint(block, place)
        length, place = read_varint(block, place)
        if shared > len(key) or place + unshared + length > end:
            raise WeightsError(
                f"an entry at byte {start} of the {name} shares {shared:,} of {len(key)} bytes and "
                f"goes on for {unshared + length:,}; {end - place} are left"
            )
        if shared + unshared > MAX_KEY:
            raise WeightsError(f"a key in the {name} has {shared + unshared:,} bytes")
        if length > MAX_VALUE:
            raise WeightsError(
                f"the value at byte {place} of the {name} has {length:,} bytes, more than "
                f"{MAX_VALUE:,}"
            )
        if start in places and shared:
            raise WeightsError(f"the key at byte {start} of the {name} should be written in full")
        key = key[:shared] + block[place : place + unshared]
        place += unshared
        count += 1
        if count > MAX_ENTRIES:
            raise WeightsError(f"the {name} has more than {MAX_ENTRIES:,} entries")
        yield key, block[place : place + length]
        place += length
