"""``freefill straighten``."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from freefill.cli import options
from freefill.cli.tasks import common
from freefill.imaging.formats import MAX_PIXELS


def straighten(
    photo: common.Photo,
    out: common.Out,
    angle: Annotated[
        float | None,
        typer.Option(
            help="Degrees anticlockwise by which the photo is turned, -45 to 45. Without it, as "
            "its straight lines say.",
            show_default=False,
        ),
    ] = None,
    expand: Annotated[
        bool,
        typer.Option(
            "--expand",
            help="Enlarge the picture until nothing of the photo is lost at its corners.",
        ),
    ] = False,
    mask_out: common.MaskOut = None,
    model: options.Model = "light",
    strip: options.Strip = False,
    max_pixels: options.MaxPixels = MAX_PIXELS,
    overwrite: common.Overwrite = False,
) -> None:
    """Turn a photo until it is level; its empty corners are filled, not cut off.

    The angle is read from its straight lines, or given:

      freefill straighten photo.jpg --out level.jpg

      freefill straighten photo.jpg --angle -2.5 --expand --out level.png
    """
    from freefill.pipeline.inpainter import Inpainter
    from freefill.tasks import straighten

    common.check_outs([photo], [out, mask_out], overwrite)
    start = time.perf_counter()
    result = straighten(
        common.read(photo, max_pixels),
        angle=angle,
        expand=expand,
        inpainter=Inpainter(model),
        max_pixels=max_pixels,
    )
    seconds = time.perf_counter() - start
    common.write(result, out, mask_out=mask_out, strip=strip, seconds=seconds)
