"""``freefill video``: a clip, with a bar of how far it is, and what to say when it is stopped."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from freefill.cli import records
from freefill.cli.console import print_notice, print_result, quiet_libraries, shows_bar
from freefill.cli.options import MaxPixels, Model
from freefill.cli.tasks.common import Overwrite
from freefill.errors import plural
from freefill.imaging.formats import MAX_PIXELS

if TYPE_CHECKING:
    from rich.progress import TaskID


def video(
    task: Callable[..., Any],
    clip: Annotated[Path, typer.Argument(help="The clip.", show_default=False)],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="The result: .mp4, .mov or .mkv.", show_default=False),
    ],
    model: Model = "light",
    max_pixels: MaxPixels = MAX_PIXELS,
    overwrite: Overwrite = False,
    **given: Any,
) -> None:
    """Fill a clip."""
    from freefill.pipeline.inpainter import Inpainter
    from freefill.video import load_av, load_cv2
    from freefill.video.patches import followed, partial_of

    records.about(clip, out)
    if followed(out).exists() and not overwrite:
        records.exists()
    load_av()
    load_cv2()
    start = time.perf_counter()
    bar = _Bar()
    try:
        with bar, quiet_libraries():
            filled = task(
                clip,
                out=out,
                **given,
                inpainter=Inpainter(model),
                overwrite=overwrite,
                max_pixels=max_pixels,
                progress=bar.show,
            )
    except KeyboardInterrupt:
        print_notice(
            f"stopped while {bar.stage}, {plural(bar.done, 'frame')} done: "
            f"{partial_of(followed(out))} keeps them, and the same command goes on from "
            "there (remove the folder to give up)"
        )
        raise typer.Exit(130) from None
    seconds = time.perf_counter() - start
    for line in filled.notices:
        print_notice(line)
    height, width = filled.size
    still = f", camera still in {filled.still}" if filled.still else ""
    print_result(
        f"{out}: {plural(filled.frames, 'frame')} of {width}x{height}{still}, "
        f"{filled.share:.1%} filled "
        f"({1 - filled.made:.0%} of it from other frames), {seconds:.1f} s"
    )
    records.filled((height, width), filled.share, seconds, frames=filled.frames)


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
        self.bar = Progress(*columns, console=console, disable=not shows_bar(console))
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
