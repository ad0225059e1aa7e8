"""``POST /v1/unmark``; a stack of photos is for the command line, because a route takes one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

import numpy as np
from pydantic import Field

from freefill.imaging.io import read_picture
from freefill.imaging.picture import Picture
from freefill.masks.region import parse_box
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import Result
from freefill.server.tasks.verb import Verb, VerbOptions
from freefill.tasks import unmark
from freefill.types import Progress
from freefill.vision.overlays.finding import Kind


class UnmarkOptions(VerbOptions):
    """What it can be told."""

    kind: Annotated[Kind, Field(description="What to look for.")] = "auto"
    box: Annotated[
        str | None,
        Field(max_length=60, description="Look only there: `LEFT,TOP,RIGHT,BOTTOM` in pixels."),
    ] = None
    mask: Annotated[
        bool, Field(description="Answer with the mask (white = found) in place of the photo.")
    ] = False


def _run(
    inpainter: Inpainter,
    pictures: Mapping[str, Picture],
    options: UnmarkOptions,
    progress: Progress,
    max_pixels: int,
) -> Result:
    box = None if options.box is None else parse_box(options.box)
    result = unmark(
        pictures["image"],
        kind=options.kind,
        box=box,
        fill=not options.mask,
        inpainter=inpainter,
        progress=progress,
    )
    if options.mask:
        white = read_picture(result.mask.astype(np.uint8) * np.uint8(255))
        return replace(result, picture=white)
    return result


UNMARK = Verb(
    "unmark",
    "Take date stamps, text, scratches and dust off a photo of one's own. 422 if none are found.",
    UnmarkOptions,
    _run,
)
