"""The folder of shards: what is written there in which order, and how far a run had come.

A shard is committed in three steps, each on the disk before the next: the tar under its name, its
rows in ``report.csv``, one line in ``progress.jsonl`` that tells how long the report then was.
Whatever comes after the last such line is done again and gives the same bytes. ``index.json`` comes
last, and the progress goes.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from freefill.errors import DataError
from freefill.files.json_files import parse_json, read_json
from freefill.lab.data.packing.disk import append, tar_of, write
from freefill.lab.data.packing.workers import Ready
from freefill.lab.data.shards import FORMAT, INDEX, MOST_INDEX
from freefill.weights.lock import file_lock

REPORT, SETTINGS, PROGRESS = "report.csv", "pack.json", "progress.jsonl"
LOCK = ".pack.lock"
COLUMNS = (
    "source", "state", "key", "shard", "phash", "duplicate_of", "distance", "reason",
)  # fmt: skip
OPTIONS = ("size", "quality", "per_shard", "distance", "smallest", "max_pixels")
GOES_ON = "; finished shards are kept, and the same command goes on from there"


@dataclass(frozen=True)
class Shard:
    """One tar: its name, the photos in it, its size in bytes, its sha256."""

    name: str
    photos: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Row:
    """One line of the report; what does not apply is empty."""

    source: str
    state: str
    """``"packed"``, ``"duplicate"`` or ``"broken"``."""
    key: str = ""
    shard: str = ""
    phash: str = ""
    duplicate_of: str = ""
    distance: str = ""
    reason: str = ""


@dataclass
class Batch:
    """What is committed together: a shard's photos, and a row for each file up to the last."""

    rows: list[Row] = field(default_factory=list)
    photos: list[tuple[str, Ready]] = field(default_factory=list)
    """Name of the source, and the photo."""


class Destination:
    """The folder that shards are written to; made by :func:`opened`.

    Attributes:
        folder: The folder.
        shards: What is committed.
        sources: Files that the committed rows of the report are about.
        finished: Whether nothing is left to do.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.folder, self.settings = folder, settings
        self.shards: list[Shard] = []
        self.sources = self._report_end = self._progress_end = 0
        self.finished = False

    @property
    def photos(self) -> int:
        """Photos that are committed: the next one's key."""
        return sum(shard.photos for shard in self.shards)

    def rows(self) -> Iterator[Row]:
        """Read the committed rows of the report.

        Raises:
            DataError: If the report is shorter than was committed, or holds something else.
        """
        path = self.folder / REPORT
        changed = f"{path} was changed since it was written: `overwrite=True` packs again"
        if not path.exists():
            if self.shards:
                raise DataError(changed)
            return
        with path.open("rb") as file:
            packed = 0
            cells = csv.reader(self._lines(file))
            try:
                if tuple(next(cells, COLUMNS)) != COLUMNS:
                    raise DataError(changed)
                for values in cells:
                    row = Row(*values)
                    if row.state == "packed":
                        int(row.phash, 16)
                        packed += 1
                    yield row
            except (csv.Error, TypeError, ValueError):
                raise DataError(changed) from None
        if packed != self.photos:
            raise DataError(changed)

    def _lines(self, file: io.BufferedReader) -> Iterator[str]:
        place = 0
        for line in file:
            place += len(line)
            if not self.finished and place > self._report_end:
                return
            yield line.decode("utf-8", "surrogateescape")

    def commit(self, batch: Batch) -> None:
        """Write a shard and its rows so that they stay.

        Args:
            batch: At least one photo, and the rows.

        Raises:
            DataError: If it cannot be written; nothing of it counts then.
        """
        with _told(self.folder, GOES_ON):
            shard = self._write_shard(batch)
            report_end = self._append_rows(batch.rows)
            sources = self.sources + len(batch.rows)
            entry = asdict(shard) | {"sources": sources, "report": report_end}
            line = (json.dumps(entry) + "\n").encode()
            append(self.folder / PROGRESS, self._progress_end, line)
        self.shards.append(shard)
        self.sources, self._report_end = sources, report_end
        self._progress_end += len(line)

    def finish(self, batch: Batch) -> None:
        """Write what is left, and the index.

        Args:
            batch: The last rows, and perhaps photos.

        Raises:
            DataError: If it cannot be written, or there is not one photo.
        """
        with _told(self.folder, GOES_ON):
            shards = list(self.shards)
            if batch.photos:
                shards.append(self._write_shard(batch))
            self._append_rows(batch.rows)
            if not shards:
                raise DataError(
                    f"none of {self.sources + len(batch.rows)} photos could be packed: "
                    f"{self.folder / REPORT} says of each why"
                )
            index = {
                "format": FORMAT,
                "size": self.settings["size"],
                "photos": sum(shard.photos for shard in shards),
                "bytes": sum(shard.bytes for shard in shards),
                "shards": [asdict(shard) for shard in shards],
            }
            write(self.folder / INDEX, [json.dumps(index, indent=1).encode() + b"\n"])
            (self.folder / PROGRESS).unlink(missing_ok=True)
        self.shards, self.finished = shards, True
        self.sources += len(batch.rows)

    def _write_shard(self, batch: Batch) -> Shard:
        name = shard_name(len(self.shards))
        digest, size = hashlib.sha256(), 0

        def content() -> Iterator[bytes]:
            nonlocal size
            for piece in tar_of(self.photos, batch.photos):
                digest.update(piece)
                size += len(piece)
                yield piece

        write(self.folder / name, content())
        return Shard(name, len(batch.photos), size, digest.hexdigest())

    def _append_rows(self, rows: Sequence[Row]) -> int:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if not self._report_end:
            writer.writerow(COLUMNS)
        for row in rows:
            writer.writerow([getattr(row, column) for column in COLUMNS])
        content = text.getvalue().encode("utf-8", "surrogateescape")
        append(self.folder / REPORT, self._report_end, content)
        return self._report_end + len(content)

    def load(self) -> None:
        """Take over what an earlier run has committed.

        Raises:
            DataError: If a shard is not there any more, or not as it was written.
        """
        for left in self.folder.glob(".*.partial"):
            left.unlink()
        index, progress = self.folder / INDEX, self.folder / PROGRESS
        if index.exists():
            self.shards = [Shard(**entry) for entry in _read(index)["shards"]]
            self.finished = True
            progress.unlink(missing_ok=True)
        elif progress.exists():
            for line in progress.read_bytes().splitlines(keepends=True):
                try:
                    entry = parse_json(line, str(progress), DataError)
                except DataError:
                    break
                if not line.endswith(b"\n"):
                    break
                self.sources, self._report_end = entry.pop("sources"), entry.pop("report")
                self.shards.append(Shard(**entry))
                self._progress_end += len(line)
        for shard in self.shards:
            path = self.folder / shard.name
            size = path.stat().st_size if path.exists() else None
            if size != shard.bytes:
                what = "is gone" if size is None else f"has {size} bytes, not {shard.bytes}"
                raise DataError(f"{path} {what}: put it back, or `overwrite=True` packs again")


@contextmanager
def opened(folder: Path, settings: dict[str, Any], *, overwrite: bool) -> Iterator[Destination]:
    """Open the folder that shards are written to, for this process alone.

    Args:
        folder: It is made if it does not exist.
        settings: What the bytes of the result depend on, for ``pack.json``.
        overwrite: Delete the shards of an earlier run first.

    Yields:
        The folder, with what an earlier run has committed.

    Raises:
        DataError: If it holds something else, or shards with other settings, or another process
            writes there.
    """

    def taken() -> None:
        raise DataError(f"{folder}: another process is packing there")

    with ExitStack() as stack:
        with _told(folder):
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / SETTINGS
            names = [entry.name for entry in folder.iterdir() if not entry.name.startswith(".")]
            # Before the lock, whose file stays: nothing is to be left in the folder of another.
            if names and not path.exists():
                raise DataError(
                    f"{folder} holds other files ({min(names)}): name a new folder for the shards"
                )
            stack.enter_context(file_lock(folder / LOCK, taken))
            if overwrite and path.exists():
                _clear(folder)
            if path.exists():
                _compare(folder, _read(path), settings)
            else:
                write(path, [json.dumps(settings, indent=1).encode() + b"\n"])
            destination = Destination(folder, settings)
            destination.load()
        yield destination


def shard_name(number: int) -> str:
    """Name a shard.

    Examples:
        >>> shard_name(12)
        'shard-000012.tar'
    """
    return f"shard-{number:06}.tar"


def _compare(folder: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    """Refuse to go on with other options or other photos, and say which."""
    if before.get("format") != FORMAT:
        raise DataError(f"{folder / SETTINGS} is of another version: `overwrite=True` packs again")
    options = [name for name in OPTIONS if before.get(name) != now[name]]
    if options:
        was, given = (" ".join(_option(name, of[name]) for name in options) for of in (before, now))
        raise DataError(
            f"{folder} was begun with {was}, not {given}: give the same, name another folder, or "
            "`overwrite=True` packs again"
        )
    if before["photos"] != now["photos"] or before["digest"] != now["digest"]:
        what = f"{now['photos']} photos, not {before['photos']}"
        if before["photos"] == now["photos"]:
            what = f"{now['photos']} photos as before, but with other names or sizes"
        raise DataError(
            f"{folder} was begun from other photos: there are {what}; name another folder, or "
            "`overwrite=True` packs again"
        )


def _option(name: str, value: object) -> str:
    if name == "distance" and value is None:
        return "--keep-duplicates"
    return f"--{name.replace('_', '-')} {value}"


def _read(path: Path) -> dict[str, Any]:
    try:
        return read_json(path, DataError, "what a run has packed", MOST_INDEX)
    except DataError as error:
        raise DataError(f"{path} is damaged: `overwrite=True` packs again ({error})") from None


def _clear(folder: Path) -> None:
    # The settings go last: as long as they are there, the folder is known to be ours.
    for name in (INDEX, PROGRESS, REPORT):
        (folder / name).unlink(missing_ok=True)
    for shard in folder.glob("shard-*.tar"):
        shard.unlink()
    (folder / SETTINGS).unlink()


@contextmanager
def _told(folder: Path, hint: str = "") -> Iterator[None]:
    """Turn what the system says into one line that tells what to do."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{folder} cannot be written to: {error.strerror or error}{hint}") from None
