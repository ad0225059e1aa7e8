"""``POST /v1/stitch``."""

from __future__ import annotations

from collections.abc import Mapping

from freefill.errors import ImageError
from freefill.imaging.picture import Picture
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import Result
from freefill.server.tasks.verb import Verb, VerbOptions
from freefill.tasks import stitch
from freefill.types import Progress

OTHERS = ("second", "third", "fourth", "fifth", "sixth")


class StitchOptions(VerbOptions):
    """Nothing of its own."""


def _run(
    inpainter: Inpainter,
    pictures: Mapping[str, Picture],
    options: StitchOptions,
    progress: Progress,
    max_pixels: int,
) -> Result:
    others = [pictures[name] for name in OTHERS if name in pictures]
    if not others:
        raise ImageError("one photo alone: give more of them as 'second', 'third', up to 'sixth'")
    return stitch(
        pictures["image"],
        others,
        inpainter=inpainter,
        max_pixels=max_pixels,
        progress=progress,
    )


STITCH = Verb(
    "stitch",
    "Join overlapping photos of one scene; what none of them shows is filled.",
    StitchOptions,
    _run,
    OTHERS,
)
