"""``freefill stitch``: the one task of several photos."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from freefill.cli import options
from freefill.cli.console import quiet_libraries
from freefill.cli.tasks import common
from freefill.imaging.formats import MAX_PIXELS


def stitch(
    task: Callable[..., Any],
    photos: Annotated[
        list[Path],
        typer.Argument(
            help="Two to six photos; the first one's frame is kept, so begin with the middle one.",
            show_default=False,
        ),
    ],
    out: common.Out,
    mask_out: common.MaskOut = None,
    model: options.Model = "light",
    strip: options.Strip = False,
    max_pixels: options.MaxPixels = MAX_PIXELS,
    overwrite: common.Overwrite = False,
    **given: Any,
) -> None:
    """Join photos."""
    from freefill.errors import ImageError
    from freefill.pipeline.inpainter import Inpainter

    if len(photos) < 2:
        raise ImageError(f"{photos[0]} alone: stitch takes two photos or more")
    common.check_outs(photos, [out, mask_out], overwrite)
    start = time.perf_counter()
    with quiet_libraries():
        first, *others = (common.read(photo, max_pixels) for photo in photos)
        result = task(first, others, max_pixels=max_pixels, inpainter=Inpainter(model), **given)
    seconds = time.perf_counter() - start
    common.write(result, out, mask_out=mask_out, strip=strip, seconds=seconds)
