"""``freefill retarget``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from freefill.cli import options
from freefill.cli.tasks import common
from freefill.imaging.formats import MAX_PIXELS


def retarget(
    photo: common.Photo,
    out: common.Out,
    width: Annotated[
        int | None, typer.Option(help="In pixels; 0.4 to 2 times what it was.", show_default=False)
    ] = None,
    height: Annotated[
        int | None, typer.Option(help="In pixels; 0.4 to 2 times what it was.", show_default=False)
    ] = None,
    aspect: Annotated[
        str | None,
        typer.Option(help="WIDTH:HEIGHT, e.g. 4:3, instead of both.", show_default=False),
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(help="A mask: white where no seam may pass.", show_default=False),
    ] = None,
    heal: Annotated[bool, typer.Option(help="Fill joints that show anew.")] = True,
    mask_out: common.MaskOut = None,
    model: options.Model = "light",
    strip: options.Strip = False,
    max_pixels: options.MaxPixels = MAX_PIXELS,
    overwrite: common.Overwrite = False,
) -> None:
    """Bring a photo to another shape without scaling what is in it.

      freefill retarget photo.jpg --aspect 1:1 --out square.png

      freefill retarget photo.jpg --width 1600 --keep faces.png --out wider.png

    Seams of little content go or come. Lines may bend; --keep holds what must not.
    """
    from freefill.pipeline.inpainter import Inpainter
    from freefill.tasks import retarget as task

    inputs = [photo] if keep is None else [photo, keep]
    common.check_outs(inputs, [out, mask_out], overwrite)
    start = time.perf_counter()
    picture = common.read(photo, max_pixels)
    result = task(
        picture,
        width=width,
        height=height,
        aspect=aspect,
        keep=keep,
        heal=heal,
        inpainter=Inpainter(model),
    )
    seconds = time.perf_counter() - start
    common.write(result, out, mask_out=mask_out, strip=strip, seconds=seconds)
