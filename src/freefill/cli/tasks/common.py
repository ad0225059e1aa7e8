"""Options that tasks share, what most of them do, and what is done with a result."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from freefill.cli import options, records, streams
from freefill.cli.console import print_notice, print_result, quiet_libraries, write_out
from freefill.files.paths import STREAM
from freefill.imaging.formats import MAX_PIXELS

if TYPE_CHECKING:
    from freefill.imaging.picture import Picture
    from freefill.pipeline.request import Result
    from freefill.types import Mask

Photo = Annotated[Path, typer.Argument(help="The photo; - is standard input.", show_default=False)]
Out = Annotated[
    Path,
    typer.Option(
        "--out",
        "-o",
        help="The result; its ending sets the format, .png is lossless. - is standard output, in "
        "the photo's format.",
        show_default=False,
    ),
]
MaskOut = Annotated[
    Path | None,
    typer.Option(
        help="Also write the mask of what was filled (white): to look at, or to change and give to "
        "'freefill fill'.",
        show_default=False,
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a result that exists.")]


def fill_photo(
    task: Callable[..., Any],
    photo: Photo,
    out: Out,
    mask_out: MaskOut = None,
    model: options.Model = "light",
    strip: options.Strip = False,
    max_pixels: options.MaxPixels = MAX_PIXELS,
    overwrite: Overwrite = False,
    **given: Any,
) -> None:
    """Do what most tasks do: one photo in, one out, with files beside it among the options."""
    from freefill.pipeline.inpainter import Inpainter

    beside = [value for value in given.values() if isinstance(value, Path)]
    check_outs([photo, *beside], [out, mask_out], overwrite)
    given |= {name: streams.read(max_pixels) for name, value in given.items() if value == STREAM}
    start = time.perf_counter()
    with quiet_libraries():
        picture = read(photo, max_pixels)
        result = task(picture, **given, inpainter=Inpainter(model), max_pixels=max_pixels)
    seconds = time.perf_counter() - start
    write(result, out, mask_out=mask_out, strip=strip, seconds=seconds)


def check_outs(inputs: list[Path], outs: list[Path | None], overwrite: bool) -> None:
    """Refuse, before anything is done, what could not be written afterwards.

    Args:
        inputs: Files that are read.
        outs: Files that are to be written, the result first; ``None`` stands for one that is not
            wanted.
        overwrite: Whether they may exist.

    Raises:
        ConfigError: If standard input or output is asked for and cannot be had.
        ImageError: If one cannot be written, exists, or is among the inputs.
    """
    from freefill.errors import ImageError
    from freefill.imaging.io import format_of
    from freefill.pipeline.files import check_writable

    records.about(inputs[0], next((out for out in outs if out is not None), None))
    streams.check(inputs, outs[0])
    wanted = [
        out for number, out in enumerate(outs) if out is not None and (number or out != STREAM)
    ]
    read = {path.resolve() for path in inputs}
    for number, out in enumerate(wanted):
        format_of(out)
        if out.resolve() in read:
            raise ImageError(f"{out} is an input of this call: give the result another name")
        if any(out.resolve() == other.resolve() for other in wanted[:number]):
            raise ImageError(f"{out} is to be written twice: give two names")
        check_writable(out)
        if out.exists() and not overwrite:
            records.exists()
            raise ImageError(f"{out} exists: `overwrite=True` replaces it")


def read(path: Path, max_pixels: int) -> Picture:
    """Read a photo, with what is to be known about it as notices."""
    from freefill.imaging.io import read_picture

    source = streams.read(max_pixels) if path == STREAM else path
    picture = read_picture(source, max_pixels=max_pixels)
    for line in picture.notices:
        print_notice(line)
    return picture


def write(
    result: Result[Any],
    out: Path,
    *,
    mask_out: Path | None = None,
    strip: bool = False,
    seconds: float,
) -> None:
    """Write a result, to a file or to standard output, and say in a line what became of it.

    Args:
        result: Of a task.
        out: Where to.
        mask_out: Where its mask goes, if anywhere.
        strip: Whether personal metadata is left out.
        seconds: What it took.

    Raises:
        ImageError: If it cannot be written.
    """
    from freefill.imaging.atomic import remove_partials, target_of, write_atomically
    from freefill.imaging.io import format_of

    to_stdout = out == STREAM
    made = result.encode(None if to_stdout else format_of(out), strip=strip)
    left = [] if to_stdout else remove_partials(target_of(out).parent)
    for line in (*left, *made.notices):
        print_notice(line)
    if mask_out is not None:
        write_mask(result.mask, mask_out)
    if to_stdout:
        write_out(made.content)
    else:
        write_atomically(out, made.content)
    height, width = result.picture.size
    info = "".join(f", {name} {_number(value)}" for name, value in result.info.items())
    print_result(f"{out}: {width}x{height}, {result.share:.1%} filled{info}, {seconds:.2f} s")
    records.filled((height, width), result.share, seconds, info=result.info)


def write_mask(mask: Mask, path: Path) -> None:
    """Write a mask as a picture, white where it is true.

    Args:
        mask: ``(H, W)`` bool.
        path: Where to.

    Raises:
        ImageError: If it cannot be written.
    """
    import numpy as np

    from freefill.imaging.atomic import write_atomically
    from freefill.imaging.io import encode, format_of, read_picture

    white = read_picture(mask.astype(np.uint8) * np.uint8(255))
    write_atomically(path, encode(white, format_of(path))[0])


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"
