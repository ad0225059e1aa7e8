"""``freefill batch``."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from freefill.cli import options, records
from freefill.cli.console import (
    MODE,
    print_answer,
    print_error,
    print_notice,
    print_result,
    quiet_libraries,
    shows_bar,
)
from freefill.errors import plural

if TYPE_CHECKING:
    from freefill.batch.distributed.blocks import Done, Row
    from freefill.batch.distributed.prepare import Work

SHOWN = 20
"""Errors that are printed; the manifest has all of them."""


class Runner(StrEnum):
    """What runs a batch."""

    local = "local"
    ray = "ray"


@dataclass(frozen=True)
class Running:
    """What fills, and on how many cores."""

    runner: Annotated[
        Runner,
        typer.Option(help="'local' uses this machine; 'ray' a cluster, or processes here."),
    ] = Runner.local
    address: Annotated[
        str | None,
        typer.Option(
            help="Ray's cluster: 'auto' for the one that this machine is part of, or its address. "
            "Without it, a Ray is started here and ends with the batch.",
            show_default=False,
        ),
    ] = None
    workers: Annotated[
        int | None,
        typer.Option(
            help="Photos at a time, one a core (local); processes (ray). As many as there are "
            "cores by default.",
            min=1,
            show_default=False,
        ),
    ] = None
    cores: Annotated[int, typer.Option(help="Cores of each process (ray).", min=1)] = 1
    device: Annotated[
        options.DeviceChoice,
        typer.Option(
            help="What runs the network, as for 'freefill fill'; 'cuda' gives each process of ray "
            "a GPU of its own. One that fails ends the batch: another rounds otherwise."
        ),
    ] = options.DeviceChoice.cpu

    def check(self) -> None:
        """Refuse what does not go together.

        Raises:
            ConfigError: If it does not.
        """
        from freefill.errors import ConfigError

        if self.runner is Runner.ray:
            return
        if self.address is not None:
            raise ConfigError(f"--address {self.address} is for --runner ray")
        if self.cores > 1:
            raise ConfigError(
                f"--cores {self.cores} is for --runner ray; here --workers are the cores"
            )


@dataclass(frozen=True)
class Columns:
    """Which columns of a table hold what."""

    image_column: Annotated[
        str, typer.Option(help="Of Parquet files: bytes of photos, paths, or s3:// URLs.")
    ] = "image"
    mask_column: Annotated[str, typer.Option(help="The same of their masks.")] = "mask"


@dataclass(frozen=True)
class Commits:
    """What is done at a time, and what again."""

    block: Annotated[
        int,
        typer.Option(
            help="Photos that are committed at a time, and done again after a crash.", min=1
        ),
    ] = 64
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try again what failed before.")
    ] = False
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False


@options.spread
def batch(
    source: Annotated[
        str,
        typer.Argument(
            help="A folder, a glob ('photos/**/*.jpg'), WebDataset shards (.tar) or Parquet files; "
            "on this disk, or s3://BUCKET/FOLDER.",
            show_default=False,
            metavar="SRC",
        ),
    ],
    to: Annotated[
        str,
        typer.Argument(
            help="A folder for results and manifest, here or s3://; empty, or that of the same "
            "batch before.",
            show_default=False,
            metavar="DST",
        ),
    ],
    mask: Annotated[
        str | None,
        typer.Option(
            "--mask",
            "-m",
            help="White = fill. A file (for all photos), a folder (NAME_mask.png or NAME.png in "
            "it), or the word 'alpha'. Without it, NAME_mask.png beside each photo, KEY.mask.png "
            "in a shard, the column 'mask' of a table.",
            show_default=False,
        ),
    ] = None,
    how: options.Filling = options.AS_USUAL,
    suffix: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="Format of the results, e.g. png; by default each photo's own.",
            show_default=False,
        ),
    ] = None,
    table: Columns = Columns(),
    running: Running = Running(),
    commits: Commits = Commits(),
) -> None:
    """Fill very many photos, on one machine or on many.

    Results and a manifest (Parquet: input, output, sha256, ms, error) are written block by block.
    When it is stopped, in whatever way, the same command does what is missing. Examples:

      freefill batch photos/ filled/

      freefill batch s3://mine/photos s3://mine/filled --runner ray --address auto

      freefill batch 'shards/train-*.tar' filled/ --format jpg

      freefill batch photos.parquet filled/ --mask-column hole
    """
    _check_extra(running.runner)
    from freefill.batch.distributed.prepare import batch_of, prepared

    running.check()
    made, found = batch_of(
        source,
        to,
        mask,
        options=how.options(),
        ending=options.ending_of(suffix),
        model=how.model,
        device=running.device.value,
        image_column=table.image_column,
        mask_column=table.mask_column,
    )
    with prepared(
        made, found, commits.block, retry=commits.retry_failed, dry=commits.dry_run
    ) as work:
        if commits.dry_run:
            print_answer(_planned(work))
            return
        failed = _run(work, running)
    if failed:
        raise typer.Exit(1)


def _planned(work: Work) -> str:
    blocks = len(work.blocks)
    photos = plural(blocks, "shard") if work.photos is None else plural(work.photos, "photo")
    line = f"{photos} to fill in {plural(blocks, 'block')}, {work.before} done before"
    without = sum(item.mask is None for block in work.blocks for item in block.items)
    if work.failed_before:
        line += f", {work.failed_before} failed before (--retry-failed tries them again)"
    return line + (f"; {without} {'has' if without == 1 else 'have'} no mask" if without else "")


def _run(work: Work, running: Running) -> int:
    """Fill all of it with a progress bar, say in a line what became of it, give what failed."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    filled = failed = 0
    start = time.perf_counter()
    try:
        with Progress(*columns, console=console, disable=not shows_bar(console)) as bar:
            # Of shards, only reading them tells how many photos they hold.
            whole = work.photos is None
            task = bar.add_task(
                "shards" if whole else "filling", total=len(work.blocks) if whole else work.photos
            )

            def advance(photos: int) -> None:
                if not whole:
                    bar.advance(task, photos)

            with closing(_blocks(work, running, advance)) as coming:
                for done in coming:
                    for line in done.errors[: max(0, SHOWN - failed)]:
                        print_error(line)
                    filled, failed = filled + done.filled, failed + done.failed
                    if whole:
                        bar.advance(task)
    except KeyboardInterrupt:
        print_notice(
            f"stopped: {plural(filled + failed, 'photo')} done; the same command goes on from there"
        )
        raise typer.Exit(130) from None
    elapsed = time.perf_counter() - start
    line = f"{filled} filled in {elapsed:.1f} s ({filled / elapsed:.1f} photos/s)"
    if work.before:
        line += f", {work.before} done before"
    if failed + work.failed_before:
        line += f", {failed + work.failed_before} failed (see the manifest)"
    print_result(line)
    return failed + work.failed_before


def _blocks(work: Work, running: Running, advance: Callable[[int], None]) -> Generator[Done]:
    if not work.blocks:
        return
    if running.runner is Runner.ray:
        from freefill.batch.distributed import manifest, on_ray

        for done in on_ray.run(
            work.batch,
            work.blocks,
            cores=running.cores,
            workers=running.workers,
            address=running.address,
            on_message=print_notice,
        ):
            advance(done.filled + done.failed)
            if MODE.json:
                for row in manifest.rows_of(work.batch.to, done.part):
                    _record(row)
            yield done
        return
    from freefill.batch.distributed.worker import BatchWorker
    from freefill.pipeline.engines.cpu_count import available_cores

    worker = BatchWorker(work.batch, running.workers or available_cores())

    def show(row: Row) -> None:
        _record(asdict(row))
        advance(1)

    with quiet_libraries():
        yield from worker.run(work.blocks, show)


def _record(row: Mapping[str, Any]) -> None:
    """Tell of a photo what the manifest does."""
    from freefill.batch.distributed.blocks import AGAIN

    error, ms = row["error"], row["ms"]
    failed = "failed" if error and error.endswith(AGAIN) else "refused"
    records.tell(
        row["input"],
        row["output"],
        failed if error else "filled",
        size=None if error else (row["height"], row["width"]),
        hole=row["hole"],
        seconds=None if ms is None else ms / 1e3,
        notices=row["notices"].split("; ") if row["notices"] else (),
        error=error,
    )


def _check_extra(runner: Runner) -> None:
    from freefill.errors import ExtraMissingError

    try:
        import pyarrow  # noqa: F401

        if runner is Runner.ray:
            import ray.data  # noqa: F401
    except ImportError as error:
        extra = "batch" if runner is Runner.local else "ray"
        raise ExtraMissingError(
            f"{error.name} is missing: pip install 'freefill[{extra}]'"
        ) from None
