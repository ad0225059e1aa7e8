"""Tables of photos: Parquet files with a column of images and one of masks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from freefill.batch.distributed import files
from freefill.batch.distributed.blocks import Batch, Block, Item, part_of
from freefill.errors import ConfigError, StorageError

ROWS = 16
"""Rows that are read at a time: they may hold the photos themselves."""


def blocks(batch: Batch, root: str, name: str) -> Iterator[Block]:
    """Give the groups of a table's rows, each of which is a block.

    Args:
        batch: Names the columns.
        root: The source.
        name: Of the table below it.

    Yields:
        The blocks.

    Raises:
        StorageError: If the table cannot be read.
        ConfigError: If it has no such columns.
    """
    location = f"{root}/{name}"
    with _table(location, name) as table:
        columns = table.schema_arrow.names
        for column in _columns(batch):
            if column not in columns:
                option = "image" if column == batch.image_column else "mask"
                raise ConfigError(
                    f"{name} has no column {column!r}: it has {', '.join(columns)} "
                    f"(--{option}-column names another)"
                )
        first = 0
        for group in range(table.num_row_groups):
            count = table.metadata.row_group(group).num_rows
            part = part_of([f"{name}#{group}"])
            yield Block(
                part, f"{name}#group {group}", (), location, group=group, first=first, count=count
            )
            first += count


def samples(batch: Batch, block: Block) -> Iterator[Item]:
    """Read the rows of a block.

    Args:
        batch: Names the columns. An image, and a mask, is the bytes of a file, or a path (relative
            to the table) or URL of one, or a struct of ``bytes`` and ``path``.
        block: The group of rows.

    Yields:
        One item a row.

    Raises:
        StorageError: If the table cannot be read.
        OSError: The same.
    """
    import pyarrow as pa

    assert block.location is not None
    name = block.name.rpartition("#")[0]
    folder = block.location.rpartition("/")[0]
    stem = name[: -len(".parquet")]
    with _table(block.location, name) as table:
        number = block.first
        try:
            for rows in table.iter_batches(ROWS, [block.group], _columns(batch)):
                for at in range(rows.num_rows):
                    title = f"{name}#{number}"
                    try:
                        row = {column: rows[column][at].as_py() for column in rows.schema.names}
                    except ValueError as error:  # a text that is not UTF-8
                        yield Item(title, "", trouble=f"{title} cannot be read: {error}")
                    else:
                        item = _item(batch, row, title, f"{stem}/{number:08}", folder)
                        yield replace(item, table=block.location)
                    number += 1
        except pa.ArrowException as error:
            raise StorageError(f"row {number} cannot be read: {error}") from None


def names_of(block: Block) -> Iterator[str]:
    """Give what the manifest calls the rows of a block."""
    name = block.name.rpartition("#")[0]
    for number in range(block.first, block.first + (block.count or 0)):
        yield f"{name}#{number}"


def _item(batch: Batch, row: dict[str, Any], name: str, out: str, folder: str) -> Item:
    photo = _file(row[batch.image_column], folder)
    if photo is None:
        return Item(name, out, trouble=f"{name} has no image")
    mask: str | bytes | None = batch.mask
    if mask is None:
        mask = _file(row[batch.mask_column], folder)
    trouble = f"{name} has no mask" if mask is None else None
    return Item(name, out + (batch.ending or ""), photo, mask, trouble)


def _file(value: Any, folder: str) -> str | bytes | None:
    """Understand a cell: bytes, a path, or both in a struct, of which the bytes come first."""
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if isinstance(value, str):
        return files.join(folder, value)
    return value if isinstance(value, bytes) else None


def _columns(batch: Batch) -> list[str]:
    return [batch.image_column] + ([batch.mask_column] if batch.mask is None else [])


def _table(location: str, name: str) -> Any:
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    try:
        return ParquetFile(files.opened(location, seekable=True))
    except (OSError, pa.ArrowException) as error:
        raise StorageError(
            f"{name} is not a Parquet file that can be read: {error}; mend it, or leave it out by "
            "a pattern"
        ) from None
