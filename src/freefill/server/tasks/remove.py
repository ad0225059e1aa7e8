"""``POST /v1/segment`` and ``POST /v1/remove``: an object that is pointed at, its mask, its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from freefill.imaging.picture import Picture
from freefill.masks.region import numbers
from freefill.pipeline.inpainter import LARGEST_GROWTH, Inpainter
from freefill.pipeline.request import Result
from freefill.server.tasks.verb import Verb, VerbOptions
from freefill.tasks import remove, segment
from freefill.types import Progress
from freefill.vision.segmentation.choosing import Name
from freefill.vision.segmentation.prompt import MOST

POINTS = r"^-?[0-9]{1,9},-?[0-9]{1,9}(;-?[0-9]{1,9},-?[0-9]{1,9})*$"
BOX = r"^-?[0-9]{1,9}(,-?[0-9]{1,9}){3}$"
LONGEST = 21 * MOST


class SegmentOptions(VerbOptions):
    """What is pointed at."""

    at: Annotated[
        str | None,
        Field(
            pattern=POINTS,
            max_length=LONGEST,
            description="Points on the object, `X,Y;X,Y`, in pixels of the upright image.",
        ),
    ] = None
    avoid: Annotated[
        str | None,
        Field(pattern=POINTS, max_length=LONGEST, description="Points that are not of it."),
    ] = None
    box: Annotated[
        str | None,
        Field(pattern=BOX, max_length=43, description="`L,T,R,B`, around all of it."),
    ] = None
    subject: Annotated[bool, Field(description="What the image is of.")] = False
    segmenter: Annotated[
        Name, Field(description="Who finds it; `auto`: the best that is there.")
    ] = "auto"
    grow: Annotated[
        int | None,
        Field(
            ge=0,
            le=LARGEST_GROWTH,
            description="Pixels by which the mask goes over its edge; by default 2 and what the "
            "segmenter may be off.",
        ),
    ] = None

    def pointed(self) -> dict[str, Any]:
        """Give the arguments of the task."""
        return {
            "at": _points("at", self.at),
            "avoid": _points("avoid", self.avoid),
            "box": None if self.box is None else numbers("box", self.box, "L,T,R,B"),
            "subject": self.subject,
            "segmenter": self.segmenter,
            "grow": self.grow,
        }


class MaskOptions(SegmentOptions):
    """The same; a mask is a PNG unless another format is asked for."""

    format: Annotated[
        Literal["png", "webp", "tiff", "bmp"] | None,
        Field(description="Of the mask."),
    ] = "png"


def _points(name: str, text: str | None) -> list[list[int]]:
    return [numbers(name, part, "X,Y") for part in text.split(";")] if text else []


def _segment(
    inpainter: Inpainter,
    pictures: Mapping[str, Picture],
    options: Any,
    progress: Progress,
    max_pixels: int,
) -> Result:
    return segment(pictures["image"], **options.pointed())


def _remove(
    inpainter: Inpainter,
    pictures: Mapping[str, Picture],
    options: Any,
    progress: Progress,
    max_pixels: int,
) -> Result:
    return remove(pictures["image"], **options.pointed(), inpainter=inpainter, progress=progress)


SEGMENT = Verb(
    "segment",
    "Give the mask (white) of an object that is pointed at: what `/v1/remove` would fill.",
    MaskOptions,
    _segment,
)
REMOVE = Verb("remove", "Remove an object that is pointed at.", SegmentOptions, _remove)
