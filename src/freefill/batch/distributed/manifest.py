"""What is done: one Parquet file for each block, written when all of its results are.

A part is the commit of its block. Who finds a part finds all results that it tells of; who finds
none does the block again, and writes the same results and the same part.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from io import BytesIO
from typing import Any

from freefill.batch.distributed import files
from freefill.batch.distributed.blocks import AGAIN, Batch, Block, Outcome, Row
from freefill.batch.distributed.files import PRIVATE
from freefill.errors import ConfigError, StorageError, plural

# Readers of Parquet leave out what begins with an underscore: the folder is one table to them.
JOB = f"{PRIVATE}/_job.json"
LOCK = f"{PRIVATE}/_lock"
DRIVER = "driver"
"""The key of the run that owns the destination, beside the settings; there while it runs."""
READERS = 16
"""Parts that are read at a time: in S3 each takes a while, and no core."""


def check(batch: Batch) -> bool:
    """Make sure that the destination is empty, or holds the results of this very batch.

    Args:
        batch: The batch.

    Returns:
        Whether it was begun before.

    Raises:
        ConfigError: If it holds anything else, or what it holds was made in another way.
    """
    wanted = batch.definition()
    try:
        before = files.read_json(files.join(batch.to, JOB), ConfigError, "the settings of a batch")
    except FileNotFoundError:
        others = _results(batch.to)
        if others:
            raise ConfigError(
                f"{batch.to} is not empty and is not the destination of a batch ({JOB} is missing; "
                f"{plural(len(others), 'file')}, such as {others[0]}): name another"
            ) from None
        return False
    except OSError as error:
        raise StorageError(f"{batch.to} cannot be read: {files.reason(error)}") from None
    except ConfigError as error:
        raise ConfigError(f"{batch.to}/{JOB} is damaged: {error}") from None
    driver = before.pop(DRIVER, None)
    names = [name for name in {**before, **wanted} if before.get(name) != wanted.get(name)]
    if names and {JOB} >= set(_results(batch.to)) and not (driver and files.is_remote(batch.to)):
        # It was begun and nothing was done: that binds nobody. On disk a lock tells whether it is
        # being done just now.
        return False
    if names:
        differences = ", ".join(
            f"{name} was {_shown(before.get(name))} and is {_shown(wanted.get(name))}"
            for name in names
        )
        raise ConfigError(
            f"{batch.to} was begun in another way: {differences}. Go on as it was begun, or "
            "name another destination"
        )
    return True


def _results(to: str) -> list[str]:
    """List what is there, but for what a run that was killed at once may have left."""
    return [
        name
        for name in files.listing(to)
        if name != LOCK and not name.startswith(f"{files.PARTIAL}/")
    ]


def begin(batch: Batch, driver: dict[str, Any] | None = None) -> None:
    """Write down what the results depend on, and which run makes them.

    Args:
        batch: The batch.
        driver: What tells the run from others; ``None`` if it has ended.
    """
    settings = batch.definition() | ({} if driver is None else {DRIVER: driver})
    content = json.dumps(settings, indent=1) + "\n"
    try:
        files.write(batch.to, JOB, content.encode())
    except OSError as error:
        raise StorageError(f"{batch.to} cannot be written to: {files.reason(error)}") from None


def driver(to: str) -> dict[str, Any] | None:
    """Give the run that owns a destination, if there is one and it has not ended by itself.

    Raises:
        OSError: If that cannot be read.
    """
    try:
        found = files.read_json(files.join(to, JOB), ConfigError, "the settings of a batch")
    except (FileNotFoundError, ConfigError):
        return None
    owner = found.get(DRIVER)
    return owner if isinstance(owner, dict) else None


def parts(to: str) -> list[str]:
    """List the parts that there are, by name."""
    return [name for name in files.listing(f"{to}/{PRIVATE}", deep=False) if _is_part(name)]


def done(to: str) -> dict[str, Outcome]:
    """Read what is done.

    Args:
        to: The destination.

    Returns:
        By part, what became of the inputs that it tells of.

    Raises:
        StorageError: If a part cannot be read.
    """
    names = parts(to)

    def outcome(name: str) -> Outcome:
        rows = _read(to, name, ["input", "error"])
        failed = [row for row in rows if row["error"]]
        return Outcome(
            [row["input"] for row in rows],
            [row["input"] for row in failed],
            [row["input"] for row in failed if row["error"].endswith(AGAIN)],
        )

    with ThreadPoolExecutor(READERS) as pool:
        return dict(zip([_part(name) for name in names], pool.map(outcome, names), strict=True))


def rows(to: str) -> list[dict[str, Any]]:
    """Read the whole manifest.

    Args:
        to: The destination.

    Returns:
        One entry a photo, in the order of the parts' names.
    """
    return [row for name in parts(to) for row in _read(to, name, None)]


def rows_of(to: str, part: str) -> list[dict[str, Any]]:
    """Read one part; arguments and rows as for :func:`rows`.

    Raises:
        StorageError: If it cannot be read.
    """
    return _read(to, f"{part}.parquet", None)


def commit(to: str, block: Block, found: Sequence[Row]) -> None:
    """Write a block's part; all of its results have been written.

    Args:
        to: The destination.
        block: The block; where only some of its photos were done, the rest of the part stays.
        found: Its rows.

    Raises:
        OSError: If it cannot be written.
    """
    new = [_printable(asdict(row)) for row in found]
    if block.only is not None:
        again = {row["input"]: row for row in new}
        before = _read(to, f"{block.part}.parquet", None)
        kept = [again.pop(row["input"], row) for row in before]
        new = [*kept, *again.values()]
    files.write(to, f"{PRIVATE}/{block.part}.parquet", _encoded(new))


def _printable(row: dict[str, Any]) -> dict[str, Any]:
    """Write out what is not UTF-8, which a name or an error from elsewhere may hold."""
    return {k: files.printable(v) if isinstance(v, str) else v for k, v in row.items()}


def _encoded(found: Iterable[dict[str, Any]]) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    schema = pa.schema(
        [
            pa.field("input", pa.string(), nullable=False),
            ("output", pa.string()),
            ("sha256", pa.string()),
            ("bytes", pa.int64()),
            ("ms", pa.float32()),
            ("error", pa.string()),
            ("width", pa.int32()),
            ("height", pa.int32()),
            ("hole", pa.float32()),
            ("notices", pa.string()),
        ]
    )
    out = BytesIO()
    table = pa.Table.from_pylist(list(found), schema=schema)
    parquet.write_table(table, out, compression="zstd")
    return out.getvalue()


def _read(to: str, name: str, columns: list[str] | None) -> list[dict[str, Any]]:
    import pyarrow as pa
    from pyarrow import parquet

    location = f"{to}/{PRIVATE}/{name}"
    try:
        content = BytesIO(files.read(location))
        found: list[dict[str, Any]] = parquet.read_table(content, columns=columns).to_pylist()
    except OSError as error:
        raise StorageError(f"{location} cannot be read: {files.reason(error)}") from None
    except pa.ArrowException as error:
        raise StorageError(
            f"{location} is damaged ({error}): remove it, and its photos are filled again"
        ) from None
    return found


def _is_part(name: str) -> bool:
    return name.startswith("part-") and name.endswith(".parquet")


def _part(name: str) -> str:
    return name.removesuffix(".parquet")


def _shown(value: Any) -> str:
    return "not set" if value is None else f"{value!r}"
