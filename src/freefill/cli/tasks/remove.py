"""``freefill remove``: one photo in, one out, and masks to look at."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from freefill.cli import options
from freefill.cli.console import print_notice
from freefill.cli.tasks import common
from freefill.cli.tasks.doubts import write_doubt
from freefill.imaging.formats import MAX_PIXELS


def remove(
    task: Callable[..., Any],
    photo: common.Photo,
    out: common.Out,
    mask_out: Annotated[
        Path | None,
        typer.Option(
            help="Also write the mask of what was filled (white): to look at, or to change and "
            "give to 'freefill fill'. Where the object casts a shadow, a second one with it: "
            "NAME_shadow.",
            show_default=False,
        ),
    ] = None,
    model: options.Model = "light",
    strip: options.Strip = False,
    max_pixels: options.MaxPixels = MAX_PIXELS,
    overwrite: common.Overwrite = False,
    **given: Any,
) -> None:
    """Remove an object."""
    from freefill.errors import DoubtError
    from freefill.pipeline.inpainter import Inpainter

    shaded = mask_out and mask_out.with_name(f"{mask_out.stem}_shadow{mask_out.suffix}")
    wanted = [out, mask_out, None if given["shadow"] else shaded]
    common.check_outs([photo], wanted, overwrite)
    start = time.perf_counter()
    picture = common.read(photo, max_pixels)
    try:
        result = task(picture, **given, inpainter=Inpainter(model), max_pixels=max_pixels)
    except DoubtError as doubt:
        write_doubt(picture, doubt, out, mask_out)
        raise
    seconds = time.perf_counter() - start
    common.write(result, out, mask_out=mask_out, strip=strip, seconds=seconds)
    if shaded and not given["shadow"]:
        _write_with_shadow(picture, result.mask, shaded)


def _write_with_shadow(picture: Any, mask: Any, path: Path) -> None:
    from freefill.vision.segmentation.shadow import cast

    shadow = cast(picture, mask)
    if shadow.any():
        common.write_mask(mask | shadow, path)
        print_notice(f"{path}: the mask with the shadow, {shadow.mean():.1%} of the photo more")
