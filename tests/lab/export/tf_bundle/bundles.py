"""A writer of TensorFlow's checkpoints for the tests, which shares no line with the reader.

It follows the format's description, slowly: checksums bit by bit, tables with any number of blocks
and shards, and every value that a test may want to be wrong.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray]

TYPES = {"float32": 1, "float64": 2, "int32": 3, "int64": 9, "float16": 19}


def slow_crc(data: bytes) -> int:
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0x82F63B78 if register & 1 else 0)
    return ~register & 0xFFFFFFFF


def mask(crc: int) -> int:
    turned = (crc >> 15 | crc << 17) & 0xFFFFFFFF
    return (turned + 0xA282EAD8) % 2**32


def varint(value: int) -> bytes:
    value %= 2**64
    out = b""
    while value >= 128:
        out += bytes([value % 128 + 128])
        value //= 128
    return out + bytes([value])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, bytes):
        return varint(number * 8 + 2) + varint(len(value)) + value
    return varint(number * 8) + varint(value)


def entry(
    dtype: int,
    shape: tuple[int, ...],
    offset: int,
    size: int,
    crc: int,
    shard: int = 0,
    slices: bool = False,
) -> bytes:
    dims = b"".join(field(2, field(1, n) if n else b"") for n in shape)
    out = field(1, dtype) + field(2, dims)
    if shard:
        out += field(3, shard)
    if offset:
        out += field(4, offset)
    out += field(5, size) + varint(6 * 8 + 5) + struct.pack("<I", crc)
    return out + (field(7, b"") if slices else b"")


def header(shards: int = 1, endianness: int = 0) -> bytes:
    order = field(2, endianness) if endianness else b""
    return field(1, shards) + order + field(3, field(1, 1))


def block(entries: list[tuple[bytes, bytes]], every: int = 3) -> bytes:
    """Entries with shared beginnings, a key in full each ``every``."""
    out, restarts, last = b"", [], b""
    for number, (key, value) in enumerate(entries):
        shared = 0
        if number % every == 0:
            restarts.append(len(out))
        else:
            while shared < min(len(key), len(last)) and key[shared] == last[shared]:
                shared += 1
        rest = key[shared:]
        out += varint(shared) + varint(len(rest)) + varint(len(value)) + rest + value
        last = key
    restarts = restarts or [0]
    return out + b"".join(struct.pack("<I", r) for r in [*restarts, len(restarts)])


def table(
    entries: list[tuple[bytes, bytes]], per_block: int = 4, kind: int = 0, magic: bool = True
) -> bytes:
    out = b""

    def put(content: bytes) -> bytes:
        nonlocal out
        handle = varint(len(out)) + varint(len(content))
        typed = content + bytes([kind])
        out += typed + struct.pack("<I", mask(slow_crc(typed)))
        return handle

    handles = []
    for start in range(0, len(entries), per_block):
        part = entries[start : start + per_block]
        handles.append((part[-1][0], put(block(part))))
    kind, data_kind = 0, kind
    meta = put(block([]))
    index = put(block(handles, every=1))
    kind = data_kind
    tail = struct.pack("<Q", 0xDB4775248B80FB57 if magic else 0x1234)
    return out + (meta + index).ljust(40, b"\0") + tail


def write_bundle(
    prefix: Path,
    arrays: Arrays,
    *,
    shards: int = 1,
    per_block: int = 4,
    crc: Callable[[bytes], int] = slow_crc,
) -> Path:
    """Write arrays in turn into the shards; returns the prefix."""
    contents = [b""] * shards
    parts: list[list[bytes]] = [[] for _ in range(shards)]
    entries = [(b"", header(shards))]
    lengths = [0] * shards
    for number, name in enumerate(sorted(arrays, key=str.encode)):
        values = np.asarray(arrays[name])
        data = values.astype(values.dtype.newbyteorder("<")).tobytes(order="C")
        place = number % shards
        described = entry(
            TYPES[values.dtype.name],
            values.shape,
            lengths[place],
            len(data),
            mask(crc(data)),
            place,
        )
        parts[place].append(data)
        lengths[place] += len(data)
        entries.append((name.encode(), described))
    for number in range(shards):
        contents[number] = b"".join(parts[number])
        name = f"{prefix.name}.data-{number:05d}-of-{shards:05d}"
        prefix.with_name(name).write_bytes(contents[number])
    prefix.with_name(prefix.name + ".index").write_bytes(table(entries, per_block))
    return prefix
