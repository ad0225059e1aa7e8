"""``freefill pack``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from freefill.cli.console import print_notice, print_result
from freefill.imaging.formats import MAX_PIXELS
from freefill.pipeline.engines.cpu_count import available_cores

if TYPE_CHECKING:
    from freefill.lab.data.packing.run import Progress

EVERY = 30
"""Seconds between two lines of progress where there is no terminal to draw a bar on."""


def pack(
    src: Annotated[
        Path,
        typer.Argument(
            metavar="SRC",
            help="Folder of photos, searched with its subfolders.",
            show_default=False,
        ),
    ],
    dst: Annotated[
        Path, typer.Argument(metavar="DST", help="Folder of the shards.", show_default=False)
    ],
    size: Annotated[
        int,
        typer.Option(
            help="Shorter side that larger photos are shrunk to; none is enlarged.", min=64
        ),
    ] = 512,
    quality: Annotated[int, typer.Option(help="Of the JPEGs.", min=1, max=100)] = 92,
    per_shard: Annotated[
        int, typer.Option(help="Photos a shard. Memory holds two shards at a time.", min=1)
    ] = 1000,
    distance: Annotated[
        int,
        typer.Option(
            help="Bits of 64 in which the perceptual hashes of two photos may differ that count as "
            "one. 2 finds other sizes and compressions of a photo; from 4 on, portraits of "
            "different people are taken for one.",
            min=0,
            max=12,
        ),
    ] = 2,
    keep_duplicates: Annotated[
        bool, typer.Option("--keep-duplicates", help="Pack photos that look alike, too.")
    ] = False,
    smallest: Annotated[
        int, typer.Option(help="Photos with a shorter side under this are left out.", min=1)
    ] = 64,
    max_pixels: Annotated[
        int,
        typer.Option(
            help="Leave out files whose width times height is more, before they are decoded.", min=1
        ),
    ] = MAX_PIXELS,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Processes that decode and encode; one a core by default. The result is the same.",
            min=1,
            show_default=False,
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Delete the shards that DST holds, and pack anew.")
    ] = False,
) -> None:
    """Pack a folder of photos into shards for training (WebDataset).

    Photos are shrunk, shuffled, and each is packed once: what looks like one before it is left out.
    Files that are broken are listed with the reason in DST/report.csv, and stop nothing. Examples:

      freefill pack photos/ shards/

      freefill pack photos/ shards/ --size 256 --distance 0 --workers 64

    Stopped or killed, the same command goes on from the last finished shard, and the result is the
    same, byte for byte.
    """
    from freefill.errors import DataError
    from freefill.lab.data.packing.run import Options, Progress
    from freefill.lab.data.packing.run import pack as run_packing

    if smallest > size:
        raise DataError(f"--smallest {smallest} is more than --size {size}: it would leave out all")
    options = Options(
        size, quality, per_shard, None if keep_duplicates else distance, smallest, max_pixels
    )
    last = Progress(0, 0, 0, 0, 0, 0, 0)

    def remember(progress: Progress) -> None:
        nonlocal last
        last = progress
        show(progress)

    try:
        with _shown() as (show, listing):
            summary = run_packing(
                src,
                dst,
                options,
                workers=workers or available_cores(),
                overwrite=overwrite,
                progress=remember,
                listing=listing,
            )
    except KeyboardInterrupt:
        print_notice(
            f"stopped: {last.done} of {last.total} files done, {last.kept} of them in finished "
            "shards; the same command goes on from there"
            if last.total
            else "stopped while the photos were listed: the same command begins there again"
        )
        raise typer.Exit(130) from None
    if not summary.fresh:
        print_notice(f"{dst} is packed already: --overwrite packs it anew")
    rate = f", {summary.fresh / summary.seconds:.0f} photos/s" if summary.fresh else ""
    broken = f" ({summary.report} says why)" if summary.broken else ""
    print_result(
        f"{summary.packed} packed into {_counted(summary.shards, 'shard')} of "
        f"{summary.bytes / 1e6:.1f} MB in all, {_counted(summary.duplicates, 'duplicate')}, "
        f"{summary.broken} broken{broken}{rate}"
    )


Shown = tuple["Callable[[Progress], None]", Callable[[int], None]]


@contextmanager
def _shown() -> Iterator[Shown]:
    """Draw a bar on a terminal; print a line now and then elsewhere."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lines_of_progress(time.monotonic(), print_notice)
        return
    columns = (*Bar.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, TextColumn("{task.fields[more]}"), console=console) as bar:
        task = bar.add_task("listing", total=None, more="")
        begun = False

        def show(progress: Progress) -> None:
            nonlocal begun
            if not begun:
                begun = True
                # A task of its own: the time left goes by the speed of this run alone.
                bar.remove_task(task)
                bar.add_task("packing", total=progress.total, completed=progress.first, more="")
            current = bar.task_ids[-1]
            more = f"{progress.duplicates} duplicates, {progress.broken} broken"
            bar.update(current, completed=progress.done, more=more)

        yield show, lambda count: bar.update(task, completed=count)


def lines_of_progress(start: float, say: Callable[[str], None]) -> Shown:
    """Tell of progress in lines, one every 30 seconds: for logs.

    Args:
        start: When the work began, by ``time.monotonic``.
        say: Prints a line.

    Returns:
        What is called while photos are packed, and while they are listed.
    """
    last_line = start

    def due() -> bool:
        nonlocal last_line
        now = time.monotonic()
        if now < last_line + EVERY:
            return False
        last_line = now
        return True

    begun: float | None = None

    def show(progress: Progress) -> None:
        nonlocal begun
        now = time.monotonic()
        if begun is None:
            begun = now
            if progress.first:
                say(f"going on from {progress.first} of {progress.total} files")
        fresh = progress.done - progress.first
        if due() and fresh:
            rate = fresh / (now - begun)
            minutes, seconds = divmod(round((progress.total - progress.done) / rate), 60)
            say(
                f"{progress.done}/{progress.total} files  {progress.packed} packed  "
                f"{progress.duplicates} duplicates  {progress.broken} broken  "
                f"{rate:.0f} photos/s  ETA {minutes}:{seconds:02}"
            )

    def listing(count: int) -> None:
        if due():
            say(f"listing: {count} photos so far")

    return show, listing


def _counted(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
