"""``freefill video``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from freefill.cli.console import print_notice, quiet_libraries
from freefill.cli.options import FitChoice, Invert, MaxPixels, Model
from freefill.cli.tasks.common import Overwrite
from freefill.imaging.formats import MAX_PIXELS

if TYPE_CHECKING:
    from rich.progress import TaskID


def video(
    clip: Annotated[Path, typer.Argument(help="The clip.", show_default=False)],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="The result: .mp4, .mov or .mkv.", show_default=False),
    ],
    mask: Annotated[
        Path | None,
        typer.Option(
            "--mask",
            "-m",
            help="White = fill. A folder of masks or a clip of masks, one for each frame; or one "
            "picture for all frames.",
            show_default=False,
        ),
    ] = None,
    box: Annotated[
        str | None,
        typer.Option(
            metavar="L,T,R,B",
            help="Instead of a mask: left, top, right and bottom of what is to go, in the first "
            "frame, in pixels. The box is followed through the clip.",
            show_default=False,
        ),
    ] = None,
    lossless: Annotated[
        bool,
        typer.Option("--lossless", help="FFV1 in .mkv: every pixel outside the mask stays."),
    ] = False,
    invert: Invert = False,
    grow: Annotated[
        int,
        typer.Option(
            help="Widen the holes by this many pixels: compressed clips have traces around "
            "what moves.",
            min=0,
            max=256,
        ),
    ] = 0,
    fit: Annotated[
        FitChoice, typer.Option(help="'resize' brings masks of another size to the clip's.")
    ] = FitChoice.exact,
    window: Annotated[
        int,
        typer.Option(
            help="Frames before and after each that it is filled from. More find more and need "
            "more memory: 6 bytes for each pixel of each of them.",
            min=1,
            max=240,
        ),
    ] = 16,
    model: Model = "light",
    max_pixels: MaxPixels = MAX_PIXELS,
    overwrite: Overwrite = False,
) -> None:
    """Fill the masked part of a clip, from other frames where they show it.

    What is filled is kept in RESULT.partial until the result is there: a run that was stopped goes
    on from there with the same command. Sound is copied as it is. Examples:

      freefill video clip.mp4 --mask masks/ --out filled.mp4

      freefill video clip.mp4 --box 120,80,260,300 --grow 6 --out filled.mp4

      freefill video clip.mp4 --mask logo.png --out filled.mkv --lossless
    """
    from freefill.masks.region import parse_box
    from freefill.pipeline.inpainter import Inpainter
    from freefill.tasks import video as fill_clip
    from freefill.video import load_av, load_cv2

    load_av()
    load_cv2()
    corners = None if box is None else parse_box(box, "--box")
    start = time.perf_counter()
    bar = _Bar()
    try:
        with bar, quiet_libraries():
            filled = fill_clip(
                clip,
                mask,
                out,
                inpainter=Inpainter(model),
                box=corners,
                invert=invert,
                grow=grow,
                fit=fit.value,
                lossless=lossless,
                window=window,
                overwrite=overwrite,
                max_pixels=max_pixels,
                progress=bar.show,
            )
    except KeyboardInterrupt:
        print_notice(
            f"stopped while {bar.stage}, {bar.done} frames done: {out}.partial keeps them, and the "
            "same command goes on from there (remove the folder to give up)"
        )
        raise typer.Exit(130) from None
    for line in filled.notices:
        print_notice(line)
    height, width = filled.size
    still = f", camera still in {filled.still}" if filled.still else ""
    typer.echo(
        f"{out}: {filled.frames} frames of {width}x{height}{still}, {filled.share:.1%} filled "
        f"({1 - filled.made:.0%} of it from other frames), {time.perf_counter() - start:.1f} s"
    )


class _Bar:
    """A progress bar with the time that is left, on a terminal."""

    def __init__(self) -> None:
        import os

        from rich.console import Console
        from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

        # The bar's own way to the terminal: stderr is kept quiet for the libraries in C.
        self.stream = os.fdopen(os.dup(2), "w")
        console = Console(file=self.stream)
        columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
        self.bar = Progress(*columns, console=console, disable=not console.is_terminal)
        self.stage, self.done = "starting", 0
        self.task: TaskID | None = None

    def __enter__(self) -> _Bar:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()
        self.stream.close()

    def show(self, stage: str, done: int, total: int) -> None:
        """Show how far the run is."""
        if stage != self.stage or self.task is None:
            if self.task is not None:
                self.bar.remove_task(self.task)
            self.task = self.bar.add_task(stage, total=total or None)
        self.stage, self.done = stage, done
        self.bar.update(self.task, completed=done)
