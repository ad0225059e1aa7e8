"""``freefill uncrop``."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import Annotated

import typer

from freefill.cli import options
from freefill.cli.tasks import common
from freefill.imaging.formats import MAX_PIXELS


class AnchorChoice(StrEnum):
    """Where the photo stays in a result of another shape."""

    centre = "centre"
    left = "left"
    right = "right"
    top = "top"
    bottom = "bottom"


Side = Annotated[
    str,
    typer.Option(
        help="What is added on this side: pixels, or a share of the photo, as 120 or 10%. At most "
        "the photo's own size again.",
    ),
]


def uncrop(
    photo: common.Photo,
    out: common.Out,
    left: Side = "0",
    right: Side = "0",
    top: Side = "0",
    bottom: Side = "0",
    aspect: Annotated[
        str | None,
        typer.Option(
            help="Instead of sides: the shape of the result, width:height, as 16:9.",
            show_default=False,
        ),
    ] = None,
    anchor: Annotated[
        AnchorChoice, typer.Option(help="Where the photo stays in a result of another --aspect.")
    ] = AnchorChoice.centre,
    mask_out: common.MaskOut = None,
    model: options.Model = "light",
    strip: options.Strip = False,
    max_pixels: options.MaxPixels = MAX_PIXELS,
    overwrite: common.Overwrite = False,
) -> None:
    """Show more than a photo does, beyond its borders.

    Skies, water, walls and meadows go on; things that the border cuts do not become whole:

      freefill uncrop photo.jpg --left 120 --top 10% --out wider.png

      freefill uncrop portrait.jpg --aspect 16:9 --anchor left --out wide.jpg
    """
    from freefill.pipeline.inpainter import Inpainter
    from freefill.tasks import uncrop

    common.check_outs([photo], [out, mask_out], overwrite)
    start = time.perf_counter()
    result = uncrop(
        common.read(photo, max_pixels),
        left=left,
        right=right,
        top=top,
        bottom=bottom,
        aspect=aspect,
        anchor=anchor.value,
        inpainter=Inpainter(model),
        max_pixels=max_pixels,
    )
    seconds = time.perf_counter() - start
    common.write(result, out, mask_out=mask_out, strip=strip, seconds=seconds)
