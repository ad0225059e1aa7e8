"""A mask of what is pointed at: what :func:`freefill.tasks.remove` fills."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np

from freefill.errors import MaskError
from freefill.imaging.formats import MAX_PIXELS
from freefill.imaging.io import Source, read_picture
from freefill.imaging.picture import Picture
from freefill.masks.morphology import grow as grow_hole
from freefill.masks.region import Corners
from freefill.pipeline.inpainter import LARGEST_GROWTH
from freefill.pipeline.request import Result
from freefill.tasks.calls import checked
from freefill.tasks.options import Option
from freefill.types import Pixels
from freefill.vision.segmentation.choosing import Name
from freefill.vision.segmentation.choosing import segment as find
from freefill.vision.segmentation.prompt import MAX_POINTS, prompt

POINTS = r"^-?[0-9]{1,9},-?[0-9]{1,9}(;-?[0-9]{1,9},-?[0-9]{1,9})*$"
LONGEST = 21 * MAX_POINTS
"""Characters of as many points as are taken."""

At = Annotated[
    Sequence[Sequence[int]],
    Option(
        "A point on the object, in pixels from the top left.",
        form="X,Y",
        several=True,
        longest=LONGEST,
        pattern=POINTS,
    ),
]
Avoid = Annotated[
    Sequence[Sequence[int]],
    Option(
        "A point that is not of it.",
        form="X,Y",
        several=True,
        longest=LONGEST,
        pattern=POINTS,
    ),
]
Around = Annotated[
    Corners | None,
    Option(
        "A box around all of it.",
        form="L,T,R,B",
        longest=43,
        pattern=r"^-?[0-9]{1,9}(,-?[0-9]{1,9}){3}$",
    ),
]
Subject = Annotated[bool, Option("What the photo is of.", error=MaskError)]
Segmenter = Annotated[
    Name,
    Option(
        "Who finds it: classical (always there), u2netp or sam2 (once 'freefill references u2netp "
        "sam2' has fetched them), auto (the best that is there).",
        error=MaskError,
    ),
]
Grow = Annotated[
    int | None,
    Option(
        "Pixels by which the hole goes over its edge; by default 2 and what the segmenter may be "
        "off.",
        ge=0,
        le=LARGEST_GROWTH,
        error=MaskError,
    ),
]
"""Options that :func:`freefill.tasks.remove` has, too."""


@checked
def segment(
    image: Source | Picture,
    *,
    at: At = (),
    avoid: Avoid = (),
    box: Around = None,
    subject: Subject = False,
    segmenter: Segmenter = "auto",
    grow: Grow = None,
    max_pixels: int = MAX_PIXELS,
) -> Result[Pixels]:
    """Make a mask of an object: the one at a point, the one in a box, or what the photo is of.

    Args:
        image: The photo.
        at: ``(x, y)`` of points on the object, in pixels from the top left of the upright photo.
        avoid: ``(x, y)`` of points that are not of it.
        box: ``(left, top, right, bottom)`` around all of it, or a box.
        subject: Nothing is pointed at: what the photo is of.
        segmenter: ``"classical"`` (always there), ``"u2netp"``, ``"sam2"`` (where they have been
            fetched), or ``"auto"``: the best that is there.
        grow: Pixels by which the mask goes over the object's edge, 0 to 256; by default 2 and what
            the segmenter may be off, which is 3 to 5 in a photo of 512 pixels.
        max_pixels: The most that width times height of any file may be.

    Returns:
        The mask as a picture (8 bits, white = the object), with ``info["segmenter"]`` and
        ``info["object"]``, the share of the photo that is the object itself.

    Raises:
        MaskError: If nothing is pointed at, the place is not in the photo, or no object is there.
        ReferenceMissingError: If the segmenter has not been fetched.
        FreefillError: If the photo cannot be read.

    Examples:
        >>> photo = np.full((64, 64, 3), 200, np.uint8)
        >>> photo[20:40, 24:44] = 30, 90, 160
        >>> mask = segment(photo, at=[(30, 30)], segmenter="classical", grow=0)
        >>> int(mask.mask.sum()), bool(mask.mask[20:40, 24:44].all())
        (400, True)
    """
    picture = read_picture(image, max_pixels=max_pixels)
    found = find(picture, prompt(picture.size, at, avoid, box, subject), segmenter)
    mask = found.mask
    told: dict[str, float | str] = {"segmenter": found.segmenter, "object": float(mask.mean())}
    hole = grow_hole(mask, found.growth if grow is None else grow)
    drawn = read_picture(hole.astype(np.uint8) * np.uint8(255))
    return Result(drawn, hole, found.notices, told)
