"""TensorFlow's V2 checkpoints ("tensor bundles"), read without TensorFlow.

A bundle is ``PREFIX.index``, a sorted table of variables, and ``PREFIX.data-00000-of-00001`` (or
more such shards) with their values. Opening reads the index alone;
only variables that are asked for are read, after everything that is said about them was checked
against the files, and then their checksum.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from freefill.errors import WeightsError
from freefill.lab.export.tf_bundle.sstable import masked, read_table, read_varint

INDEX_LIMIT = 16 * 2**20
"""Bytes of an index; that of a released checkpoint has about 30,000."""
TENSOR_LIMIT = 512 * 2**20
"""Bytes of a variable that is read."""
CHUNK = 2**20
"""Bytes that are read at a time."""
LISTS = ("checkpoint", "checkpoint.txt")
"""Names of the file that says which checkpoint of a folder is the last; browsers add an ending."""
MAX_SHARDS = 1000
MAX_RANK = 8
DTYPES: dict[int, tuple[str, str]] = {
    1: ("float32", "<f4"),
    2: ("float64", "<f8"),
    3: ("int32", "<i4"),
    9: ("int64", "<i8"),
    14: ("bfloat16", "<u2"),
    19: ("float16", "<f2"),
}
"""TensorFlow's number of a type to its name and how it is stored."""
BFLOAT16 = 14


@dataclass(frozen=True)
class Entry:
    """What the index says about one variable; believed only when it is read.

    Attributes:
        dtype: TensorFlow's number of its type.
        shape: Its shape.
        shard: Which data file it is in.
        offset: Where it begins there, in bytes.
        size: Its bytes.
        checksum: Masked CRC-32C of its bytes.
        sliced: Whether it is only one of several parts.
    """

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    checksum: int
    sliced: bool = False


class Bundle:
    """One checkpoint.

    Args:
        prefix: What its files' names begin with.
        entries: Variable to what the index says about it.
        shards: Number of data files.
    """

    def __init__(self, prefix: Path, entries: dict[str, Entry], shards: int) -> None:
        self.prefix = prefix
        self.entries = entries
        self.shards = shards

    @classmethod
    def open(cls, path: Path) -> Bundle:
        """Read a checkpoint's index.

        Args:
            path: The prefix, any of its files, the folder, or the ``checkpoint`` file in it.

        Returns:
            The bundle, nothing of its data read.

        Raises:
            WeightsError: If there is none, or its index is damaged.
        """
        prefix = find_prefix(path)
        index = _beside(prefix, ".index")
        size = index.stat().st_size
        if size > INDEX_LIMIT:
            raise WeightsError(
                f"{index} has {size:,} bytes; the index of a checkpoint has at most {INDEX_LIMIT:,}"
            )
        try:
            table = read_table(index.read_bytes())
            if b"" not in table:
                raise WeightsError("it has no header: this is not a TensorFlow checkpoint")
            shards = _header(table.pop(b""))
            entries = {_name(key): _entry(key, value) for key, value in table.items()}
        except WeightsError as error:
            raise WeightsError(f"{index} cannot be read: {error}") from None
        return cls(prefix, entries, shards)

    @property
    def index(self) -> Path:
        """The index file."""
        return _beside(self.prefix, ".index")

    def shard(self, number: int) -> Path:
        """Give one of the data files; it need not exist."""
        return _beside(self.prefix, f".data-{number:05d}-of-{self.shards:05d}")

    def read(self, name: str) -> NDArray[Any]:
        """Read one variable.

        Args:
            name: Its name, without ``:0``.

        Returns:
            Its values; bfloat16 becomes float32, which holds them all.

        Raises:
            WeightsError: If there is none of that name, or it is damaged or not of a kind that can
                be read. Nothing is allocated before its size was checked.
        """
        if name not in self.entries:
            raise WeightsError(f"{self.index} has no variable {name!r}")
        entry = self.entries[name]
        shard = self.shard(entry.shard)
        try:
            dtype = self._check(entry, shard)
            content, crc = bytearray(), 0
            with shard.open("rb") as file:
                file.seek(entry.offset)
                # In pieces: the checksum is of bytes, the values are in memory that can be written.
                while piece := file.read(min(CHUNK, entry.size - len(content))):
                    content += piece
                    crc = google_crc32c.extend(crc, piece)
            if len(content) != entry.size:
                raise WeightsError(f"{shard} became shorter while it was read")
            if (found := masked(crc)) != entry.checksum:
                raise WeightsError(
                    f"its checksum in {shard.name} is {found:#010x}, the index says "
                    f"{entry.checksum:#010x}: one of the two files is damaged"
                )
        except WeightsError as error:
            raise WeightsError(f"{self.prefix}: {name} cannot be read: {error}") from None
        values = np.frombuffer(content, dtype).reshape(entry.shape)
        if entry.dtype == BFLOAT16:
            values = (values.astype("<u4") << 16).view("<f4")
        return values.astype(values.dtype.newbyteorder("="), copy=False)

    def _check(self, entry: Entry, shard: Path) -> np.dtype[Any]:
        if entry.sliced:
            raise WeightsError("it is stored in slices, as partitioned variables are")
        if entry.dtype not in DTYPES:
            known = ", ".join(name for name, _ in DTYPES.values())
            raise WeightsError(f"its type is number {entry.dtype}; types that can be read: {known}")
        name, stored = DTYPES[entry.dtype]
        dtype = np.dtype(stored)
        needed = math.prod(entry.shape) * dtype.itemsize
        if entry.size != needed:
            raise WeightsError(
                f"{'x'.join(map(str, entry.shape)) or 'one number'} of {name} is {needed:,} bytes, "
                f"the index says {entry.size:,}"
            )
        if entry.size > TENSOR_LIMIT:
            raise WeightsError(f"it has {entry.size:,} bytes, more than {TENSOR_LIMIT:,}")
        if not 0 <= entry.shard < self.shards:
            raise WeightsError(f"it is in shard {entry.shard}, and there are {self.shards}")
        if not shard.is_file():
            raise WeightsError(f"{shard} is missing: it belongs beside {self.index.name}")
        length = shard.stat().st_size
        if entry.offset + entry.size > length:
            raise WeightsError(
                f"it ends at byte {entry.offset + entry.size:,} of {shard.name}, which has "
                f"{length:,}: the file is cut off"
            )
        return dtype


def find_prefix(path: Path) -> Path:
    """Find what the names of a checkpoint's files begin with.

    Args:
        path: The prefix, any of the files, the folder, or the ``checkpoint`` file in it.

    Returns:
        The prefix of an index that exists.

    Raises:
        WeightsError: If there is none, or several.
    """
    if path.is_dir():
        for name in LISTS:
            if (path / name).is_file():
                return find_prefix(path / name)
        found = sorted(file for file in path.glob("*.index") if file.is_file())
        if len(found) != 1:
            names = ", ".join(file.name for file in found[:5])
            raise WeightsError(
                f"{path} has {len(found)} .index files{names and f' ({names})'} and no file "
                "'checkpoint' that names one"
            )
        return found[0].with_suffix("")
    if path.name in LISTS and path.is_file():
        prefix = _named_by(path)
    else:
        prefix = path.with_name(re.sub(r"\.(index|meta|data-\d{5}-of-\d{5})$", "", path.name))
    index = _beside(prefix, ".index")
    if not index.is_file():
        raise WeightsError(f"{index} does not exist: {path} is no TensorFlow checkpoint")
    return prefix


def _named_by(listed: Path) -> Path:
    with listed.open("rb") as file:
        text = file.read(2**16).decode("utf-8", "replace")
    found = re.search(r'^\s*model_checkpoint_path:\s*"([^"\n]+)"', text, re.MULTILINE)
    if not found:
        raise WeightsError(f"{listed} has no line model_checkpoint_path: it names no checkpoint")
    named = listed.parent / found[1]
    if _beside(named, ".index").is_file():
        return named
    # Where it was trained the path may have been another one.
    return listed.parent / re.split(r"[/\\]", found[1])[-1]


def _beside(prefix: Path, ending: str) -> Path:
    if not prefix.name:
        raise WeightsError(f"{prefix} names no TensorFlow checkpoint")
    return prefix.with_name(prefix.name + ending)


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Take a protocol buffer apart: number and value of each field, those of 32 bits as int."""
    place = 0
    while place < len(data):
        tag, place = read_varint(data, place)
        kind = tag & 7
        value: int | bytes
        if kind == 0:
            value, place = read_varint(data, place)
        else:
            length = {1: 8, 5: 4}.get(kind)
            if kind == 2:
                length, place = read_varint(data, place)
            if length is None or place + length > len(data):
                raise WeightsError(f"a message of {len(data)} bytes breaks off at byte {place}")
            value = data[place : place + length]
            place += length
            if kind == 5:
                value = int.from_bytes(value, "little")
        yield tag >> 3, value


def _header(data: bytes) -> int:
    found = {number: value for number, value in _fields(data)}
    shards, order = found.get(1, 0), found.get(2, 0)
    if order != 0:
        raise WeightsError("its numbers are big-endian; only little-endian checkpoints can be read")
    if not isinstance(shards, int) or not 1 <= shards <= MAX_SHARDS:
        said = shards if isinstance(shards, int) else "no number of"
        raise WeightsError(f"its header says {said} shards; 1 to {MAX_SHARDS} are possible")
    return shards


def _name(key: bytes) -> str:
    try:
        return key.decode("utf-8")
    except UnicodeDecodeError:
        raise WeightsError(f"the key {key[:80]!r} is not text") from None


def _entry(key: bytes, data: bytes) -> Entry:
    numbers = {1: 0, 3: 0, 4: 0, 5: 0, 6: 0}
    shape: list[int] = []
    sliced = False
    for number, value in _fields(data):
        if number in numbers and isinstance(value, int):
            numbers[number] = value
        elif number == 2 and isinstance(value, bytes):
            dims = (dim for n, dim in _fields(value) if n == 2)
            shape = [_dimension(key, dim) for dim in islice(dims, MAX_RANK + 1)]
        elif number == 7:
            sliced = True
        elif number in (*numbers, 2):
            raise WeightsError(f"the entry of {_name(key)} is damaged in field {number}")
    if len(shape) > MAX_RANK:
        raise WeightsError(f"{_name(key)} has more than {MAX_RANK} dimensions")
    # int64 below zero is written as a number over 2**63.
    for what, number in (("offset", 4), ("size", 5)):
        if numbers[number] >= 1 << 62:
            raise WeightsError(f"{_name(key)} has the {what} {numbers[number]:,}")
    return Entry(numbers[1], tuple(shape), numbers[3], numbers[4], numbers[5], numbers[6], sliced)


def _dimension(key: bytes, dim: int | bytes) -> int:
    size = next((v for n, v in _fields(dim) if n == 1), 0) if isinstance(dim, bytes) else -1
    if not isinstance(size, int) or not 0 <= size < 1 << 31:
        raise WeightsError(
            f"{_name(key)} has a dimension of {size if isinstance(size, int) else '?'}"
        )
    return size
