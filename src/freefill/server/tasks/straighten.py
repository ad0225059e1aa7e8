"""``POST /v1/straighten``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from freefill.imaging.picture import Picture
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import Result
from freefill.server.tasks.verb import Verb, VerbOptions
from freefill.tasks import straighten
from freefill.types import Progress


class StraightenOptions(VerbOptions):
    """By how much, and on which canvas."""

    angle: Annotated[
        float | None,
        Field(
            ge=-45,
            le=45,
            description="Degrees anticlockwise; without it, as the photo's straight lines say.",
        ),
    ] = None
    expand: Annotated[
        bool, Field(description="Enlarge the picture until nothing of the photo is lost.")
    ] = False


def _run(
    inpainter: Inpainter,
    pictures: Mapping[str, Picture],
    options: StraightenOptions,
    progress: Progress,
    max_pixels: int,
) -> Result:
    return straighten(
        pictures["image"],
        angle=options.angle,
        expand=options.expand,
        inpainter=inpainter,
        max_pixels=max_pixels,
        progress=progress,
    )


STRAIGHTEN = Verb(
    "straighten",
    "Turn a photo until it is level, and fill its empty corners.",
    StraightenOptions,
    _run,
)
