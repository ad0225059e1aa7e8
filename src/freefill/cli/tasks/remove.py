"""``freefill remove``: an object that is pointed at goes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, cast

import typer

from freefill.cli import options
from freefill.cli.tasks import common
from freefill.imaging.formats import MAX_PIXELS

if TYPE_CHECKING:
    from freefill.vision.segmentation.choosing import Name


def remove(
    photo: common.Photo,
    out: common.Out,
    at: Annotated[
        list[str] | None,
        typer.Option(help="A point on the object, from the top left; repeatable.", metavar="X,Y"),
    ] = None,
    not_: Annotated[
        list[str] | None,
        typer.Option("--not", help="A point that is not of it; repeatable.", metavar="X,Y"),
    ] = None,
    box: Annotated[
        str | None,
        typer.Option(help="A box around all of it.", metavar="L,T,R,B", show_default=False),
    ] = None,
    subject: Annotated[bool, typer.Option("--subject", help="What the photo is of.")] = False,
    grow: Annotated[
        int | None,
        typer.Option(
            help="Pixels by which the hole goes over its edge; by default 2 and what the segmenter "
            "may be off.",
            show_default=False,
        ),
    ] = None,
    segmenter: Annotated[
        str,
        typer.Option(
            help="Who finds it: classical (always there), u2netp or sam2 (once 'freefill "
            "references u2netp sam2' has fetched them), auto (the best that is there)."
        ),
    ] = "auto",
    mask_out: common.MaskOut = None,
    model: options.Model = "light",
    strip: options.Strip = False,
    max_pixels: options.MaxPixels = MAX_PIXELS,
    overwrite: common.Overwrite = False,
) -> None:
    """Remove an object: point at it, or draw a box around it.

      freefill remove street.jpg --at 68,185 --out empty.png

      freefill remove street.jpg --box 20,145,105,215 --out empty.png --mask-out mask.png

    Look at the mask with --mask-out. Part of it missing? One more --at. Too much in it? A --not
    there, or a --box. Clicks are best with a network that finds objects, 151 MB, fetched once:
    'freefill references sam2'.
    """
    common.check_outs([photo], [out, mask_out], overwrite)
    points, others = _points("--at", at), _points("--not", not_)
    sides = None if box is None else _numbers("--box", box, "L,T,R,B")
    from freefill.pipeline.inpainter import Inpainter
    from freefill.tasks import remove as run

    start = time.perf_counter()
    picture = common.read(photo, max_pixels)
    result = run(
        picture,
        at=points,
        avoid=others,
        box=sides,
        subject=subject,
        segmenter=cast("Name", segmenter),  # the task refuses other names
        grow=grow,
        inpainter=Inpainter(model),
    )
    seconds = time.perf_counter() - start
    common.write(result, out, mask_out=mask_out, strip=strip, seconds=seconds)


def _points(option: str, given: list[str] | None) -> list[list[int]]:
    return [_numbers(option, text, "X,Y") for text in given or []]


def _numbers(option: str, text: str, form: str) -> list[int]:
    from freefill.masks.region import numbers

    return numbers(option, text, form)
