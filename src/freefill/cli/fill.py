"""``freefill fill``."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from freefill.cli import options, records, streams
from freefill.cli.console import (
    print_answer,
    print_error,
    print_notice,
    print_result,
    quiet_libraries,
    shows_bar,
    write_out,
)
from freefill.errors import plural
from freefill.files.paths import STREAM

if TYPE_CHECKING:
    from freefill.batch.fill_photo import Options
    from freefill.batch.local_files import Job, Outcome
    from freefill.pipeline.inpainter import Inpainter


@options.spread
def fill(
    photos: Annotated[
        list[Path],
        typer.Argument(
            help="Photos and folders of photos; - is standard input.",
            show_default=False,
            metavar="PHOTO...",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="The result: a file for one photo (its ending sets the format; .png is lossless), "
            "a folder for several, - for standard output.",
            show_default=False,
        ),
    ],
    mask: Annotated[
        str | None,
        typer.Option(
            "--mask",
            "-m",
            help="White = fill. A file (for all photos), a folder (NAME_mask.png or NAME.png in "
            "it), or the word 'alpha' (the photo's transparent part). Without it, NAME_mask.png "
            "beside each photo.",
            show_default=False,
        ),
    ] = None,
    sketch: Annotated[
        Path | None,
        typer.Option(
            help="Lines that the fill is to follow: a picture of them (drawn on a transparent "
            "ground, dark on bright, or bright on dark; only those in the hole count), or a folder "
            "(NAME_sketch.png or NAME.png in it).",
            show_default=False,
        ),
    ] = None,
    colour: Annotated[
        Path | None,
        typer.Option(
            help="Strokes of colour that it is to take up, on a transparent ground; or a folder "
            "(NAME_colour.png or NAME.png in it).",
            show_default=False,
        ),
    ] = None,
    how: options.Filling = options.AS_USUAL,
    suffix: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="Format of the results in a folder or on standard output, e.g. png; by default "
            "each photo's own.",
            show_default=False,
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace results that exist.")
    ] = False,
    sheet: Annotated[
        Path | None,
        typer.Option(
            help="Also draw input, hole and result side by side into this picture.",
            show_default=False,
        ),
    ] = None,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Tell what the network was shown, and which holes have one colour all around.",
        ),
    ] = False,
    threads: Annotated[
        int | None,
        typer.Option(
            help="Cores to use: photos at a time, or threads for a single one; all by default.",
            min=1,
            show_default=False,
        ),
    ] = None,
    device: options.Device = options.DeviceChoice.cpu,
) -> None:
    """Fill the masked part of photos.

    Every pixel outside the mask stays as it was (in a lossless format, such as png). Examples:

      freefill fill photo.jpg --mask mask.png --out filled.png

      freefill fill photos/ --out filled/        (photos/a.jpg with photos/a_mask.png, and so on)

      freefill fill cutout.png --mask alpha --out filled.png

      freefill fill photo.jpg --mask mask.png --sketch lines.png --out filled.png

      freefill fill photo.jpg --mask mask.png --out filled.png --model migan    (see 'weights list')
      curl https://example.org/photo.jpg | freefill fill - --mask mask.png --out - > filled.jpg
    """
    from freefill.batch import local_files
    from freefill.pipeline.engines.cpu_count import available_cores
    from freefill.pipeline.inpainter import Inpainter

    chosen = how.options(overwrite=overwrite, explain=explain)
    streams.check([*photos, mask, sketch, colour], out)
    work = local_files.collect(
        photos, mask, out, options.ending_of(suffix), sketch=sketch, colour=colour
    )
    if sheet is not None:
        _check_sheet(sheet, work)
    if STREAM in (*photos, sketch, colour) or mask == str(STREAM):
        stream = streams.read(how.max_pixels)
        work = [replace(job, stream=stream) for job in work]
    if len(photos) == 1 and not photos[0].is_dir():
        records.about(work[0].photo, work[0].out)
        if work[0].is_done(chosen):
            records.exists()
        inpainter = Inpainter(how.model, threads=threads, device=device.value)
        with quiet_libraries():
            outcomes = [local_files.run(inpainter, work[0], chosen)]
        _tell(outcomes[0])
    else:
        workers = min(threads or available_cores(), len(work))
        # One core a photo: decoding and encoding then have as many cores as the network.
        each = 1 if workers > 1 else threads
        inpainter = Inpainter(how.model, threads=each, device=device.value)
        outcomes = _fill_many(inpainter, work, chosen, workers)
    if sheet is not None:
        _draw(sheet, outcomes, chosen)
    if any(outcome.state == "failed" for outcome in outcomes):
        raise typer.Exit(1)


def _check_sheet(sheet: Path, work: Sequence[Job]) -> None:
    from freefill.errors import ImageError
    from freefill.imaging.io import format_of

    format_of(sheet)
    if any(STREAM in (job.photo, job.out) for job in work):
        raise ImageError(f"{sheet} cannot be drawn: --sheet reads photo and result from files")
    used = {path.resolve() for job in work for path in (*job.inputs, job.out)}
    if sheet.resolve() in used:
        raise ImageError(
            f"{sheet} is a photo, mask, sketch or result of this call: name another --sheet"
        )
    folders = {job.out.parent.resolve() for job in work}
    if not sheet.parent.is_dir() and sheet.parent.resolve() not in folders:
        raise ImageError(f"{sheet} cannot be written: the folder {sheet.parent} does not exist")


def _tell(outcome: Outcome) -> None:
    if outcome.content:
        write_out(outcome.content)
    for line in outcome.plan:
        print_answer(line)
    for line in outcome.notices:
        print_notice(line)
    print_result(
        f"{outcome.job.out}: {outcome.width}x{outcome.height}, {outcome.hole:.1%} filled, "
        f"{outcome.seconds:.2f} s"
    )
    _record(outcome)


def _record(outcome: Outcome) -> None:
    job = outcome.job
    plan: dict[str, Any] = {"plan": outcome.plan} if outcome.plan else {}
    if outcome.state == "filled":
        records.tell(
            job.photo,
            job.out,
            "filled",
            size=(outcome.height, outcome.width),
            hole=outcome.hole,
            seconds=outcome.seconds,
            notices=outcome.notices,
            **plan,
        )
        return
    failed = "failed" if outcome.again else "refused"
    status = "exists" if outcome.state == "skipped" else failed
    records.tell(job.photo, job.out, status, error=outcome.notices[0])


def _fill_many(
    inpainter: Inpainter, work: Sequence[Job], options: Options, workers: int
) -> list[Outcome]:
    """Fill all of them with a progress bar, then say in a few lines what became of them."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    from freefill.batch import local_files

    outcomes: list[Outcome] = []
    console = Console(stderr=True)
    start = time.perf_counter()
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with (
            quiet_libraries(),
            Progress(*columns, console=console, disable=not shows_bar(console)) as bar,
            closing(local_files.run_all(inpainter, work, options, workers)) as coming,
        ):
            task = bar.add_task("filling", total=len(work))
            for outcome in coming:
                outcomes.append(outcome)
                if outcome.state == "failed":
                    print_error(outcome.notices[0])
                elif outcome.state == "filled":
                    for line in outcome.notices:
                        print_notice(f"{outcome.job.photo}: {line}")
                    for line in outcome.plan:
                        print_notice(f"{outcome.job.photo}: {line}")
                _record(outcome)
                bar.advance(task)
    except KeyboardInterrupt:
        print_notice(
            f"stopped: {len(outcomes)} of {len(work)} done; the same command goes on from there"
        )
        raise typer.Exit(130) from None
    counts = Counter(outcome.state for outcome in outcomes)
    elapsed = time.perf_counter() - start
    line = f"{counts['filled']} filled in {elapsed:.1f} s"
    if counts["skipped"]:
        line += f", {counts['skipped']} skipped (the result exists: --overwrite replaces it)"
    if counts["failed"]:
        line += f", {counts['failed']} failed"
    print_result(line)
    return outcomes


def _draw(path: Path, outcomes: Sequence[Outcome], options: Options) -> None:
    from freefill.imaging.atomic import write_atomically
    from freefill.imaging.contact_sheet import panel, sheet
    from freefill.imaging.io import encode, format_of, read_picture

    file_format = format_of(path)
    panels = []
    for outcome in outcomes:
        if outcome.state != "failed" and outcome.job.mask is not None:
            photo = read_picture(outcome.job.photo, max_pixels=options.max_pixels)
            request = outcome.job.request(options)
            hole, _ = request.hole_in(photo)
            result = read_picture(outcome.job.out, max_pixels=options.max_pixels)
            picture = panel(photo, hole, result)
            panels.append((f"{outcome.job.photo.stem}  {hole.mean():.1%}", picture))
    if not panels:
        print_notice(f"{path} was not drawn: nothing was filled")
        return
    page = read_picture(sheet(panels, columns=1 if len(panels) < 3 else 2))
    write_atomically(path, encode(page, file_format)[0])
    print_result(f"{path}: {plural(len(panels), 'photo')} side by side")
