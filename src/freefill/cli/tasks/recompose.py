"""``freefill recompose``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from freefill.cli import options
from freefill.cli.tasks import common
from freefill.imaging.formats import MAX_PIXELS


def recompose(
    photo: common.Photo,
    out: common.Out,
    mask: Annotated[
        Path | None, typer.Option("--mask", "-m", help="White = what moves.", show_default=False)
    ] = None,
    box: Annotated[
        str | None,
        typer.Option(help="L,T,R,B of what moves, without a mask.", show_default=False),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(help="DX,DY: pixels to the right and down.", show_default=False),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(help="X,Y: where its top left corner comes to lie.", show_default=False),
    ] = None,
    scale: Annotated[float, typer.Option(help="How much larger it becomes.")] = 1.0,
    grow: Annotated[
        int | None,
        typer.Option(
            help="Pixels by which the hole it leaves is wider; by default a 128th of the longer "
            "side.",
            min=0,
            max=256,
            show_default=False,
        ),
    ] = None,
    blend: Annotated[
        bool,
        typer.Option(help="Take the step of colour out where ground came along."),
    ] = True,
    mask_out: common.MaskOut = None,
    model: options.Model = "light",
    strip: options.Strip = False,
    max_pixels: options.MaxPixels = MAX_PIXELS,
    overwrite: common.Overwrite = False,
) -> None:
    """Move or scale a part of a photo; the place it leaves is filled.

      freefill recompose photo.jpg --mask bee.png --by -50,60 --out moved.png

      freefill recompose photo.jpg --box 120,80,210,140 --to 10,20 --scale 1.5 --out moved.png

    Shadows and reflections stay where they were, unless the mask takes them along.
    """
    from freefill.masks.region import mask_or_box, parse_pair
    from freefill.pipeline.inpainter import Inpainter
    from freefill.tasks import recompose as task

    region = mask_or_box(mask, box, "say what moves: either --mask FILE or --box L,T,R,B")
    moved = None if by is None else parse_pair(by, "--by", "DX,DY")
    place = None if to is None else parse_pair(to, "--to", "X,Y")
    inputs = [photo] if mask is None else [photo, mask]
    common.check_outs(inputs, [out, mask_out], overwrite)
    start = time.perf_counter()
    picture = common.read(photo, max_pixels)
    result = task(
        picture,
        region,
        by=moved,
        to=place,
        scale=scale,
        grow=grow,
        blend=blend,
        inpainter=Inpainter(model),
    )
    seconds = time.perf_counter() - start
    common.write(result, out, mask_out=mask_out, strip=strip, seconds=seconds)
