"""Fills blocks: the local runner is one of these, and so is each process of a batch on Ray."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from functools import cached_property
from pathlib import Path

from freefill.batch.distributed import files, manifest, ownership
from freefill.batch.distributed.blocks import AGAIN, NO_MEMORY, Batch, Block, Done, Item, Row
from freefill.batch.distributed.sources import items_of
from freefill.batch.fill_photo import pixels_of, reason_of
from freefill.batch.worker_pool import IN_WORK, WorkerSlots, in_order
from freefill.errors import FreefillError, MaskError, StorageError
from freefill.imaging.io import NamedBytes, format_of
from freefill.masks.convert import ALPHA
from freefill.pipeline.engines.blas_threads import use_one_thread
from freefill.pipeline.files import check_not_empty
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import FillRequest

WAITING = 3
"""Threads for each core, besides the one that computes, that read, write and wait for a server."""
MAX_WAITING = 32
SHOWN = 3
"""Errors of a block that are passed on; the manifest has all of them."""

Step = tuple[Block, Item | None]


class BatchWorker:
    """Holds a session, and fills photos on some cores.

    Args:
        batch: What is filled and how.
        cores: Photos that are computed at a time, each on one core: so results are the same bytes
            whoever computes them.

    Raises:
        WeightsError: If the weights cannot be loaded.
        ExtraMissingError: If the engine cannot use the device.
    """

    def __init__(self, batch: Batch, cores: int) -> None:
        self.batch = batch
        use_one_thread()
        self.inpainter = Inpainter(batch.model, threads=1, device=batch.device)
        network = getattr(self.inpainter.engine, "network", None)
        if network is not None:
            network.stay_on(batch.device)
        self.slots = WorkerSlots(cores, IN_WORK)
        self.threads = cores + min(WAITING * cores, MAX_WAITING)

    def run(
        self, blocks: Iterable[Block], on_row: Callable[[Row], None] = lambda row: None
    ) -> Generator[Done]:
        """Fill blocks, one after the other, and commit each when its last photo is done.

        Args:
            blocks: The blocks. The next is begun before one is done: no core waits for its end.
            on_row: Called with each photo's row, in their order.

        Yields:
            What became of each block.

        Raises:
            StorageError: If sources cannot be read at all, or results or the manifest not written.
        """
        rows, threads = list[Row](), self.threads
        steps = in_order(self._step, self._steps(blocks), threads, 2 * threads, use_one_thread)
        with closing(steps):
            for block, row in steps:
                if row is not None:
                    rows.append(row)
                    on_row(row)
                    continue
                yield self._commit(block, rows)
                rows = []

    def _steps(self, blocks: Iterable[Block]) -> Iterator[Step]:
        """Give the photos of all blocks, and after those of each a sign that it is at its end."""
        for block in blocks:
            for item in items_of(self.batch, block):
                yield block, item
            yield block, None

    def _step(self, step: Step) -> tuple[Block, Row | None]:
        block, item = step
        return block, None if item is None else self.row(item)

    def _commit(self, block: Block, rows: list[Row]) -> Done:
        if self.batch.token:
            ownership.check(self.batch.to, self.batch.token)
        try:
            manifest.commit(self.batch.to, block, rows)
        except OSError as error:
            raise self._unwritten("the manifest", error) from None
        errors = [row.error for row in rows if row.error]
        filled = len(rows) - len(errors)
        return Done(block.part, filled, len(errors), tuple(errors[:SHOWN]))

    def row(self, item: Item) -> Row:
        """Fill one photo and write its result.

        Args:
            item: The photo.

        Returns:
            Its row, which says why if it cannot be filled.

        Raises:
            StorageError: If nothing can be read or written: the disk is full, the server is gone.
        """
        if item.trouble is not None:
            return Row(item.name, error=item.trouble)
        try:
            photo, mask = self._read(item)
            with self.slots.taken(pixels_of(photo, self.batch.options.max_pixels)):
                start = time.perf_counter()
                file_format = format_of(Path(item.out)) if Path(item.out).suffix else None
                options = self.batch.options
                result = self.inpainter.run(FillRequest(photo, mask, options=options))
                check_not_empty(mask, result)
                made = result.encode(file_format, strip=options.strip)
                digest = hashlib.sha256(made.content).hexdigest()
                spent = time.perf_counter() - start
        except MemoryError:
            return Row(item.name, error=f"{item.name}: {NO_MEMORY}")
        except FreefillError as error:
            return Row(item.name, error=reason_of(error, item.name))
        except OSError as error:
            places = [place for place in (item.photo, item.mask) if isinstance(place, str)]
            if item.table is not None:
                if files.refused(error):
                    why = f"{item.name} cannot be read: {files.reason(error)}"
                    return Row(item.name, error=f"{why}; {AGAIN}")
                places = [place if files.is_remote(place) else item.table for place in places]
            if any(files.lost(place, error) for place in places if place != ALPHA):
                raise StorageError(
                    f"{item.name} cannot be read, nor what lies beside it: {files.reason(error)}; "
                    "what was committed stays, and the same command goes on from there"
                ) from None
            return Row(item.name, error=f"{item.name} cannot be read: {files.reason(error)}")
        except Exception as error:  # one photo must not stop millions of others
            return Row(item.name, error=f"{item.name}: {type(error).__name__}: {error}")
        out = item.out if Path(item.out).suffix else item.out + made.ending
        try:
            files.write(self.batch.to, out, made.content)
        except OSError as error:
            if error.errno in files.UNFIT:
                why = f"{item.name}: {out} cannot be written: {files.reason(error)}"
                return Row(item.name, error=why)
            raise self._unwritten(out, error) from None
        height, width = result.picture.size
        return Row(
            item.name,
            out,
            digest,
            len(made.content),
            round(spent * 1e3, 1),
            width=width,
            height=height,
            hole=result.share,
            notices="; ".join(made.notices) or None,
        )

    def _read(self, item: Item) -> tuple[bytes, str | bytes]:
        content = item.photo if isinstance(item.photo, bytes) else files.read(item.photo)
        photo = NamedBytes(content, item.name)
        if item.mask is None:
            raise MaskError(
                f"{item.name} has no mask: {Path(item.name).stem}_mask.png is looked for beside "
                "it, or in the folder that `mask` names"
            )
        if isinstance(item.mask, bytes):
            return photo, NamedBytes(item.mask, f"the mask of {item.name}")
        if item.mask == ALPHA:
            return photo, ALPHA
        if item.mask == self.batch.mask:
            return photo, self._one_mask
        return photo, NamedBytes(files.read(item.mask), item.mask)

    @cached_property
    def _one_mask(self) -> bytes:
        """The mask for all photos, which is read once."""
        assert self.batch.mask is not None
        return NamedBytes(files.read(self.batch.mask), self.batch.mask)

    def _unwritten(self, what: str, error: OSError) -> StorageError:
        return StorageError(f"{what} cannot be written to {self.batch.to}: {files.reason(error)}")
