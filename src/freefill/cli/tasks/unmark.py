"""``freefill unmark``: a photo, or a folder of them; a result, its mask, or both."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from freefill.cli import options, records
from freefill.cli.console import print_notice, print_result, quiet_libraries
from freefill.cli.tasks import common
from freefill.cli.tasks.doubts import write_doubt
from freefill.imaging.formats import MAX_PIXELS

if TYPE_CHECKING:
    from freefill.pipeline.request import Result


def unmark(
    task: Callable[..., Any],
    photo: Annotated[
        Path,
        typer.Argument(
            help="The photo (- is standard input); with --stack, a folder of photos.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="The result; its ending sets the format, .png is lossless. - is standard output, "
            "in the photo's format. With --stack, a folder for results of the photos' names.",
            show_default=False,
        ),
    ] = None,
    stack: Annotated[
        bool,
        typer.Option(
            "--stack",
            help="Take off the watermark that all photos of a folder carry at the same place.",
        ),
    ] = False,
    mask_out: common.MaskOut = None,
    mask_only: Annotated[
        bool,
        typer.Option("--mask-only", help="Write the mask (--mask-out) and nothing else."),
    ] = False,
    model: options.Model = "light",
    strip: options.Strip = False,
    max_pixels: options.MaxPixels = MAX_PIXELS,
    overwrite: common.Overwrite = False,
    **given: Any,
) -> None:
    """Take overlays off a photo, or a watermark off all photos of a folder."""
    from freefill.errors import ConfigError, DoubtError, ImageError
    from freefill.pipeline.inpainter import Inpainter

    if mask_only and mask_out is None:
        raise ConfigError("--mask-only writes nothing without --mask-out: say where the mask goes")
    if mask_only and out is not None:
        raise ConfigError("--mask-only writes no result: leave out --out, or --mask-only")
    if not mask_only and out is None:
        raise ConfigError("where does the result go? Add --out, or --mask-only with --mask-out")
    if stack:
        if (kind := given.pop("kind")) != "auto":
            raise ConfigError(f"--stack finds what photos share, not --kind {kind}: leave it out")
        if given.pop("apply"):
            raise ConfigError("--stack has no weak evidence to apply: leave out --apply")
        _unmark_stack(photo, out, mask_out, model, strip, max_pixels, overwrite, given)
        return
    if photo.is_dir():
        raise ImageError(
            f"{photo} is a folder: name a photo, or add --stack for a shared watermark"
        )
    common.check_outs([photo], [out, mask_out], overwrite)
    start = time.perf_counter()
    with quiet_libraries():
        picture = common.read(photo, max_pixels)
        try:
            result = task(picture, **given, fill=out is not None, inpainter=Inpainter(model))
        except DoubtError as doubt:
            if out is not None:
                write_doubt(picture, doubt, out, mask_out)
            raise
    seconds = time.perf_counter() - start
    if out is not None:
        common.write(result, out, mask_out=mask_out, strip=strip, seconds=seconds)
    elif mask_out is not None:
        _write_mask(result, mask_out, seconds)


def _unmark_stack(
    folder: Path,
    out: Path | None,
    mask_out: Path | None,
    model: str,
    strip: bool,
    max_pixels: int,
    overwrite: bool,
    given: dict[str, Any],
) -> None:
    from freefill.batch.mask_pairing import SUFFIXES
    from freefill.errors import ImageError
    from freefill.files.paths import is_hidden
    from freefill.pipeline.inpainter import Inpainter
    from freefill.tasks import unmark_stack

    if not folder.is_dir():
        raise ImageError(f"{folder} is not a folder: --stack takes a folder of photos of one size")
    try:
        listed = [path for path in folder.iterdir() if not is_hidden(path.name)]
    except OSError as error:
        raise ImageError(f"{folder} cannot be listed: {error.strerror or error}") from None
    photos = sorted(path for path in listed if path.suffix.lower() in SUFFIXES)
    outs = [] if out is None else [out / path.name for path in photos]
    if out is not None and not out.is_dir():
        if out.exists():
            raise ImageError(f"{out} is a file: --stack writes into a folder")
        if not out.parent.is_dir():
            raise ImageError(f"{out} cannot be written: the folder {out.parent} does not exist")
        # It is made when there is something to put into it.
        common.check_outs(photos, [mask_out], overwrite)
    else:
        common.check_outs(photos, [*outs, mask_out], overwrite)
    start = time.perf_counter()
    with quiet_libraries():
        pictures = [common.read(path, max_pixels) for path in photos]
        results = unmark_stack(pictures, **given, fill=out is not None, inpainter=Inpainter(model))
    seconds = (time.perf_counter() - start) / len(photos)
    if mask_out is not None:
        _write_mask(results[0], mask_out, seconds * len(photos))
    if out is not None:
        out.mkdir(exist_ok=True)
    for photo, target, result in zip(photos, outs, results, strict=False):
        records.about(photo, target)
        common.write(result, target, strip=strip, seconds=seconds)


def _write_mask(result: Result[Any], path: Path, seconds: float) -> None:
    for line in result.notices:
        print_notice(line)
    common.write_mask(result.mask, path)
    height, width = result.picture.size
    what = result.info.get("kind", "what the photos share")
    print_result(
        f"{path}: {width}x{height}, {result.mask.mean():.1%} white, {what}, {seconds:.2f} s"
    )
    records.filled((height, width), result.share, seconds, out=path, info=result.info)
