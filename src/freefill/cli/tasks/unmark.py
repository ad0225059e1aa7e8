"""``freefill unmark``."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from freefill.cli import options
from freefill.cli.console import print_notice, quiet_libraries
from freefill.cli.tasks import common
from freefill.imaging.formats import MAX_PIXELS

if TYPE_CHECKING:
    from freefill.imaging.box import Box
    from freefill.imaging.picture import Picture
    from freefill.pipeline.request import Result


class KindChoice(StrEnum):
    """What is looked for."""

    auto = "auto"
    stamp = "stamp"
    text = "text"
    scratches = "scratches"
    dust = "dust"


def unmark(
    photo: Annotated[
        Path,
        typer.Argument(help="The photo; with --stack, a folder of photos.", show_default=False),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="The result; its ending sets the format, .png is lossless. With --stack, a folder "
            "for results of the photos' names.",
            show_default=False,
        ),
    ] = None,
    kind: Annotated[
        KindChoice,
        typer.Option(
            help="What to look for: a date near the upper or lower border (stamp), any line of "
            "text, scratches, dust, or all of them (auto)."
        ),
    ] = KindChoice.auto,
    box: Annotated[
        str | None,
        typer.Option(
            help="Look only there: LEFT,TOP,RIGHT,BOTTOM in pixels.",
            show_default=False,
            metavar="L,T,R,B",
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
) -> None:
    """Take date stamps, text, scratches and dust off your own photos.

    For photos that are yours: not to take other people's marks off other people's pictures.

    What is found can be wrong (a row of windows for text, a wire for a scratch, stars for dust).
    Look at the mask, change it in any editor, and fill that:

      freefill unmark photo.jpg --out clean.png --mask-out mask.png

      freefill unmark photo.jpg --kind stamp --box 900,700,1200,800 --out clean.png

      freefill unmark photo.jpg --kind scratches --mask-only --mask-out mask.png

      freefill fill photo.jpg --mask mask.png --out clean.png

    Photos of one size that carry the same watermark, 8 at least, better 20:

      freefill unmark photos/ --stack --out clean/

    If nothing is found, a line says so, nothing is written, and the exit code is 2.
    """
    from freefill.errors import ConfigError
    from freefill.masks.region import parse_box

    if mask_only and mask_out is None:
        raise ConfigError("--mask-only writes nothing without --mask-out: say where the mask goes")
    if mask_only and out is not None:
        raise ConfigError("--mask-only writes no result: leave out --out, or --mask-only")
    if not mask_only and out is None:
        raise ConfigError("where does the result go? Add --out, or --mask-only with --mask-out")
    if stack and kind is not KindChoice.auto:
        raise ConfigError(f"--stack finds what photos share, not --kind {kind}: leave it out")
    where = None if box is None else parse_box(box)
    if stack:
        _unmark_stack(photo, out, where, mask_out, model, strip, max_pixels, overwrite)
    else:
        _unmark_one(photo, out, kind, where, mask_out, model, strip, max_pixels, overwrite)


def _unmark_one(
    photo: Path,
    out: Path | None,
    kind: KindChoice,
    box: Box | None,
    mask_out: Path | None,
    model: str,
    strip: bool,
    max_pixels: int,
    overwrite: bool,
) -> None:
    from freefill.errors import ImageError
    from freefill.pipeline.inpainter import Inpainter
    from freefill.tasks import unmark as task

    if photo.is_dir():
        raise ImageError(
            f"{photo} is a folder: name a photo, or add --stack for a shared watermark"
        )
    common.check_outs([photo], [out, mask_out], overwrite)
    start = time.perf_counter()
    with quiet_libraries():
        picture = common.read(photo, max_pixels)
        result = task(
            picture, kind=kind.value, box=box, fill=out is not None, inpainter=Inpainter(model)
        )
    if out is None:
        assert mask_out is not None
        _write_mask(result, mask_out, time.perf_counter() - start)
        return
    seconds = time.perf_counter() - start
    common.write(result, out, mask_out=mask_out, strip=strip, seconds=seconds)


def _unmark_stack(
    folder: Path,
    out: Path | None,
    box: Box | None,
    mask_out: Path | None,
    model: str,
    strip: bool,
    max_pixels: int,
    overwrite: bool,
) -> None:
    from freefill.batch.mask_pairing import SUFFIXES
    from freefill.errors import ImageError
    from freefill.pipeline.inpainter import Inpainter
    from freefill.tasks import unmark_stack as task

    if not folder.is_dir():
        raise ImageError(f"{folder} is not a folder: --stack takes a folder of photos of one size")
    photos = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    outs: list[Path | None] = [] if out is None else [out / path.name for path in photos]
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
        pictures: list[Picture] = [common.read(path, max_pixels) for path in photos]
        results = task(pictures, box=box, fill=out is not None, inpainter=Inpainter(model))
    seconds = (time.perf_counter() - start) / len(photos)
    if mask_out is not None:
        _write_mask(results[0], mask_out, seconds * len(photos))
    if out is not None:
        out.mkdir(exist_ok=True)
    for target, result in zip(outs, results, strict=False):
        assert target is not None
        common.write(result, target, strip=strip, seconds=seconds)


def _write_mask(result: Result, path: Path, seconds: float) -> None:
    import numpy as np

    from freefill.imaging.atomic import write_atomically
    from freefill.imaging.io import encode, format_of, read_picture

    for line in result.notices:
        print_notice(line)
    mask = read_picture(result.mask.astype(np.uint8) * np.uint8(255))
    write_atomically(path, encode(mask, format_of(path))[0])
    height, width = result.picture.size
    what = result.info.get("kind", "what the photos share")
    typer.echo(f"{path}: {width}x{height}, {result.mask.mean():.1%} white, {what}, {seconds:.2f} s")
