"""``POST /v1/retarget``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from freefill.imaging.picture import Picture
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import Result
from freefill.server.tasks.verb import Verb, VerbOptions
from freefill.tasks import retarget
from freefill.types import Progress


class RetargetOptions(VerbOptions):
    """The new shape."""

    width: Annotated[
        int | None, Field(ge=1, description="In pixels; 0.4 to 2 times what it was.")
    ] = None
    height: Annotated[
        int | None, Field(ge=1, description="In pixels; 0.4 to 2 times what it was.")
    ] = None
    aspect: Annotated[
        str | None,
        Field(max_length=30, description="`WIDTH:HEIGHT`, e.g. `4:3`, instead of both."),
    ] = None
    heal: Annotated[bool, Field(description="Fill joints that show anew.")] = True


def _run(
    inpainter: Inpainter,
    pictures: Mapping[str, Picture],
    options: RetargetOptions,
    progress: Progress,
    max_pixels: int,
) -> Result:
    return retarget(
        pictures["image"],
        width=options.width,
        height=options.height,
        aspect=options.aspect,
        keep=pictures.get("keep"),
        heal=options.heal,
        inpainter=inpainter,
        progress=progress,
    )


RETARGET = Verb(
    "retarget",
    "Bring an image to another shape without scaling what is in it.",
    RetargetOptions,
    _run,
    ("keep",),
)
