"""``POST /v1/uncrop``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from freefill.imaging.picture import Picture
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import Result
from freefill.server.tasks.verb import Verb, VerbOptions
from freefill.tasks import uncrop
from freefill.types import Progress

Side = Annotated[
    str,
    Field(
        max_length=20,
        pattern=r"^[0-9]+(px)?$|^[0-9]+(\.[0-9]+)?%$",
        description="What is added on this side: pixels or a share of the photo, `120` or `10%`.",
    ),
]


class UncropOptions(VerbOptions):
    """How far, or to which shape."""

    left: Side = "0"
    right: Side = "0"
    top: Side = "0"
    bottom: Side = "0"
    aspect: Annotated[
        str | None,
        Field(max_length=20, description="Instead of sides: the result's shape, e.g. `16:9`."),
    ] = None
    anchor: Annotated[
        Literal["centre", "left", "right", "top", "bottom"],
        Field(description="Where the photo stays in a result of another `aspect`."),
    ] = "centre"


def _run(
    inpainter: Inpainter,
    pictures: Mapping[str, Picture],
    options: UncropOptions,
    progress: Progress,
    max_pixels: int,
) -> Result:
    return uncrop(
        pictures["image"],
        left=options.left,
        right=options.right,
        top=options.top,
        bottom=options.bottom,
        aspect=options.aspect,
        anchor=options.anchor,
        inpainter=inpainter,
        max_pixels=max_pixels,
        progress=progress,
    )


UNCROP = Verb("uncrop", "Show more than a photo does, beyond its borders.", UncropOptions, _run)
