"""``POST /v1/recompose``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from freefill.imaging.picture import Picture
from freefill.masks.region import mask_or_box, parse_pair
from freefill.pipeline.inpainter import LARGEST_GROWTH, Inpainter
from freefill.pipeline.request import Result
from freefill.server.tasks.verb import Verb, VerbOptions
from freefill.tasks import recompose
from freefill.tasks._recompose import LARGEST, SMALLEST
from freefill.types import Progress


class RecomposeOptions(VerbOptions):
    """What moves, and where to."""

    box: Annotated[
        str | None,
        Field(max_length=60, description="`L,T,R,B` of what moves, in place of a mask."),
    ] = None
    by: Annotated[
        str | None, Field(max_length=30, description="`DX,DY`: pixels to the right and down.")
    ] = None
    to: Annotated[
        str | None,
        Field(max_length=30, description="`X,Y`: where its top left corner comes to lie."),
    ] = None
    scale: Annotated[
        float, Field(ge=SMALLEST, le=LARGEST, description="How much larger it becomes.")
    ] = 1.0
    grow: Annotated[
        int | None,
        Field(ge=0, le=LARGEST_GROWTH, description="Pixels by which its hole is wider."),
    ] = None
    blend: Annotated[
        bool, Field(description="Take the step of colour out where ground came along.")
    ] = True


def _run(
    inpainter: Inpainter,
    pictures: Mapping[str, Picture],
    options: RecomposeOptions,
    progress: Progress,
    max_pixels: int,
) -> Result:
    missing = "say what moves: either a file called 'mask', or the field 'box'"
    region = mask_or_box(pictures.get("mask"), options.box, missing)
    return recompose(
        pictures["image"],
        region,
        by=None if options.by is None else parse_pair(options.by, "by", "DX,DY"),
        to=None if options.to is None else parse_pair(options.to, "to", "X,Y"),
        scale=options.scale,
        grow=options.grow,
        blend=options.blend,
        inpainter=inpainter,
        progress=progress,
    )


RECOMPOSE = Verb(
    "recompose",
    "Move or scale a part of an image; the place it leaves is filled.",
    RecomposeOptions,
    _run,
    ("mask",),
)
