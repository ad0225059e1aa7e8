"""``freefill harmonise``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from freefill.cli import options
from freefill.cli.tasks import common
from freefill.imaging.formats import MAX_PIXELS


def harmonise(
    photo: common.Photo,
    out: common.Out,
    mask: Annotated[
        Path | None,
        typer.Option("--mask", "-m", help="White = what was pasted.", show_default=False),
    ] = None,
    box: Annotated[
        str | None,
        typer.Option(help="L,T,R,B of what was pasted, without a mask.", show_default=False),
    ] = None,
    strength: Annotated[float, typer.Option(help="Share of the change, 0 to 1.")] = 1.0,
    band: Annotated[
        int,
        typer.Option(
            help="Pixels on each side of its edge that are filled anew, 0 to 32; 0 leaves it."
        ),
    ] = 1,
    mask_out: common.MaskOut = None,
    model: options.Model = "light",
    strip: options.Strip = False,
    max_pixels: options.MaxPixels = MAX_PIXELS,
    overwrite: common.Overwrite = False,
) -> None:
    """Match a pasted part to its surroundings, in colour and light.

      freefill harmonise pasted.png --mask part.png --out matched.png

    It is told by what goes on across the edge: where nothing does, little is changed.
    """
    from freefill.masks.region import mask_or_box
    from freefill.pipeline.inpainter import Inpainter
    from freefill.tasks import harmonise as task

    region = mask_or_box(mask, box, "say what was pasted: either --mask FILE or --box L,T,R,B")
    inputs = [photo] if mask is None else [photo, mask]
    common.check_outs(inputs, [out, mask_out], overwrite)
    start = time.perf_counter()
    picture = common.read(photo, max_pixels)
    result = task(picture, region, strength=strength, band=band, inpainter=Inpainter(model))
    seconds = time.perf_counter() - start
    common.write(result, out, mask_out=mask_out, strip=strip, seconds=seconds)
