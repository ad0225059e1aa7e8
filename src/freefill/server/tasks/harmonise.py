"""``POST /v1/harmonise``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from freefill.imaging.picture import Picture
from freefill.masks.region import mask_or_box
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import Result
from freefill.server.tasks.verb import Verb, VerbOptions
from freefill.tasks import harmonise
from freefill.tasks._harmonise import LARGEST_BAND
from freefill.types import Progress


class HarmoniseOptions(VerbOptions):
    """What was pasted, and how far to go."""

    box: Annotated[
        str | None,
        Field(max_length=60, description="`L,T,R,B` of the part, in place of a mask."),
    ] = None
    strength: Annotated[float, Field(ge=0, le=1, description="Share of the change.")] = 1.0
    band: Annotated[
        int,
        Field(ge=0, le=LARGEST_BAND, description="Pixels beside the edge that are filled anew."),
    ] = 1


def _run(
    inpainter: Inpainter,
    pictures: Mapping[str, Picture],
    options: HarmoniseOptions,
    progress: Progress,
    max_pixels: int,
) -> Result:
    missing = "say what was pasted: either a file called 'mask', or the field 'box'"
    region = mask_or_box(pictures.get("mask"), options.box, missing)
    return harmonise(
        pictures["image"],
        region,
        strength=options.strength,
        band=options.band,
        inpainter=inpainter,
        progress=progress,
    )


HARMONISE = Verb(
    "harmonise",
    "Match a pasted part to its surroundings, in colour and light.",
    HarmoniseOptions,
    _run,
    ("mask",),
)
