"""From a folder of photos to shards for training: small, each once, and shuffled.

    DST/shard-000000.tar ...  00000000.jpg, 00000000.json, 00000001.jpg, ... (WebDataset)
    DST/index.json            the shards with their sha256; there when all is done
    DST/report.csv            what became of each file
    DST/pack.json             what the result depends on

Workers decode, shrink, hash and encode; this process looks for duplicates, in the order of the
photos, and a thread writes. So the result does not depend on the number of workers, and a run that
was killed goes on to the same bytes. Of photos that look alike the first is kept: it is written
before the others have been seen.
"""

from __future__ import annotations

import time
from array import array
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from freefill.errors import DataError
from freefill.imaging.formats import MAX_PIXELS
from freefill.lab.data.packing.disk import key_of
from freefill.lab.data.packing.duplicates import MAX_DISTANCE, NearHashes
from freefill.lab.data.packing.files import REPORT, Batch, Destination, Row, opened, shard_name
from freefill.lab.data.packing.sources import Sources, find_sources
from freefill.lab.data.packing.workers import Broken, Made, Recipe, Workers
from freefill.lab.data.shards import FORMAT

UNREAD = 100
"""So many files in a row that the system cannot read: then it is not the files."""
EVERY = 0.2
"""Seconds between two calls of progress."""


@dataclass(frozen=True)
class Options:
    """How photos are packed; together with the photos they decide every byte of the result.

    Attributes:
        size: Shorter side that larger photos are shrunk to, at least 64 pixels.
        quality: Of the JPEGs, 1 to 100.
        per_shard: Photos a shard.
        distance: Bits in which the pHashes of two photos that count as one may differ, 0 to 12;
            ``None`` keeps all.
        smallest: Least shorter side of a photo that is taken, in pixels.
        max_pixels: The most that width times height of a file may be.
    """

    size: int = 512
    quality: int = 92
    per_shard: int = 1000
    distance: int | None = 2
    smallest: int = 64
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        for name, low, high in (
            ("size", 64, 65_500),
            ("quality", 1, 100),
            ("per_shard", 1, 1_000_000),
            ("distance", 0, MAX_DISTANCE),
            ("smallest", 1, self.size),
            ("max_pixels", 1, None),
        ):
            value = getattr(self, name)
            if value is not None and (value < low or (high is not None and value > high)):
                reach = f"at least {low}" if high is None else f"{low} to {high}"
                raise DataError(f"{name} is {reach}, not {value}")


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        done: Files that are done, those of earlier runs included.
        total: All files.
        first: Files that were done when this run began.
        packed: Photos packed.
        duplicates: Files left out because they show what another shows.
        broken: Files that cannot be packed.
        kept: Files up to the last one whose shard is finished: where a rerun goes on.
    """

    done: int
    total: int
    first: int
    packed: int
    duplicates: int
    broken: int
    kept: int


@dataclass(frozen=True)
class Summary:
    """What came out.

    Attributes:
        packed: Photos in the shards.
        duplicates: Files left out because they show what another shows.
        broken: Files that cannot be packed.
        shards: Number of shards.
        bytes: Of all shards.
        report: The file that tells what became of each photo.
        fresh: Files that this run has done.
        seconds: How long it took for them.
    """

    packed: int
    duplicates: int
    broken: int
    shards: int
    bytes: int
    report: Path
    fresh: int
    seconds: float


def pack(
    src: Path,
    dst: Path,
    options: Options | None = None,
    *,
    workers: int = 0,
    overwrite: bool = False,
    progress: Callable[[Progress], None] | None = None,
    listing: Callable[[int], None] | None = None,
) -> Summary:
    """Pack the photos of a folder, or go on where an earlier call was stopped.

    Args:
        src: Folder of photos, searched with its subfolders.
        dst: Folder of the shards: new, or one that was begun with the same options and photos.
        options: How.
        workers: Processes that decode; 0 does everything in this one. The bytes are the same. A
            script that asks for workers needs ``if __name__ == "__main__":`` around the call.
        overwrite: Delete the shards of an earlier call first.
        progress: Called now and then.
        listing: Called with the number of photos found so far.

    Returns:
        What came out.

    Raises:
        DataError: If there are no photos, the folders lie in each other, ``dst`` holds something
            else, cannot be written to, or not one photo can be packed.
    """
    options = options or Options()
    _check_apart(src, dst)
    sources = find_sources(src, listing)
    settings = {"format": FORMAT, **asdict(options), "photos": len(sources)}
    settings["digest"] = sources.digest
    with opened(dst, settings, overwrite=overwrite) as destination:
        run = _Run(sources, destination, options, progress)
        if not destination.finished:
            run.go_on(workers)
        return run.summary()


class _Run:
    """One call: the hashes so far, and what waits to be committed."""

    def __init__(
        self,
        sources: Sources,
        destination: Destination,
        options: Options,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self.sources, self.destination, self.options = sources, destination, options
        self.progress = progress
        self.hashes = None if options.distance is None else NearHashes(options.distance)
        self.places = array("I")
        """Place in the order of each photo that is packed: so that its name can be given."""
        self.counts: Counter[str] = Counter()
        for place, row in enumerate(destination.rows()):
            self.counts[row.state] += 1
            if row.state == "packed":
                self._remember(int(row.phash, 16), place)
        self.first = self.done = self.counts.total()
        self.unread = 0
        self.start = self.reported = time.monotonic()

    def go_on(self, workers: int) -> None:
        options, batch = self.options, Batch()
        recipe = Recipe(options.size, options.quality, options.smallest, options.max_pixels)
        writing: Future[None] | None = None
        self._tell(at_once=True)
        try:
            with (
                ThreadPoolExecutor(1, "shards") as writer,
                Workers(self.sources.folder, self.sources, recipe, workers) as made_ready,
            ):
                for made in made_ready.results(self.first):
                    self._take(made, batch)
                    if writing is not None and writing.done():
                        writing.result()
                    if len(batch.photos) == options.per_shard:
                        # No more than one shard waits for the disk while the next is filled.
                        if writing is not None:
                            writing.result()
                        writing, batch = writer.submit(self.destination.commit, batch), Batch()
                    self._tell()
                if writing is not None:
                    writing.result()
                self.destination.finish(batch)
        finally:
            # Whoever stops hears of the shard, too, that was being written.
            self._tell(at_once=True)

    def _take(self, made: Made, batch: Batch) -> None:
        """Decide what becomes of the next photo."""
        place, name = self.done, self.sources[self.done]
        self.done += 1
        if isinstance(made, Broken):
            self._check_readable(made)
            row = Row(name, "broken", reason=made.reason)
        else:
            self.unread = 0
            phash = f"{made.phash:016x}"
            near = self.hashes.nearest(made.phash) if self.hashes is not None else None
            if near is not None:
                original = self.sources[self.places[near[0]]]
                row = Row(
                    name, "duplicate", phash=phash, duplicate_of=original, distance=str(near[1])
                )
            else:
                number = self.counts["packed"]
                shard = shard_name(number // self.options.per_shard)
                row = Row(name, "packed", key_of(number), shard, phash)
                batch.photos.append((name, made))
                self._remember(made.phash, place)
        self.counts[row.state] += 1
        batch.rows.append(row)

    def _remember(self, phash: int, place: int) -> None:
        if self.hashes is not None:
            self.hashes.add(phash)
            self.places.append(place)

    def _check_readable(self, broken: Broken) -> None:
        """Stop when a disk has gone away, before all the rest is listed as broken."""
        self.unread = self.unread + 1 if broken.unread else 0
        if self.unread == min(UNREAD, len(self.sources)):
            raise DataError(
                f"{self.unread} files in a row cannot be read ({broken.reason}): is "
                f"{self.sources.folder} still there? The same command goes on from the last shard"
            )

    def _tell(self, at_once: bool = False) -> None:
        now = time.monotonic()
        if self.progress is None or (now < self.reported + EVERY and not at_once):
            return
        self.reported = now
        self.progress(
            Progress(
                self.done,
                len(self.sources),
                self.first,
                self.counts["packed"],
                self.counts["duplicate"],
                self.counts["broken"],
                self.destination.sources,
            )
        )

    def summary(self) -> Summary:
        shards = self.destination.shards
        return Summary(
            self.counts["packed"],
            self.counts["duplicate"],
            self.counts["broken"],
            len(shards),
            sum(shard.bytes for shard in shards),
            self.destination.folder / REPORT,
            self.done - self.first,
            time.monotonic() - self.start,
        )


def _check_apart(src: Path, dst: Path) -> None:
    inner, outer = dst.resolve(), src.resolve()
    if inner == outer or inner.is_relative_to(outer):
        raise DataError(f"{dst} lies in {src}: shards are no photos; name a folder outside it")
    if outer.is_relative_to(inner):
        raise DataError(f"{src} lies in {dst}: name a folder of its own for the shards")
    if dst.exists() and not dst.is_dir():
        raise DataError(f"{dst} is a file: name a folder for the shards")
