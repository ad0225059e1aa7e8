"""A mask of what is pointed at: what :func:`freefill.tasks.remove` fills."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np

from freefill.errors import DoubtError, MaskError
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
from freefill.vision.segmentation.choosing import Name, told
from freefill.vision.segmentation.choosing import segment as find
from freefill.vision.segmentation.prompt import MAX_POINTS, prompt
from freefill.vision.segmentation.reflection import mirrored
from freefill.vision.segmentation.shadow import cast as cast_shadow

POINTS = r"^-?[0-9]{1,9},-?[0-9]{1,9}(;-?[0-9]{1,9},-?[0-9]{1,9})*$"
LONGEST = 21 * MAX_POINTS
"""Characters of as many points as are taken."""

ADVICE = (
    "Point at the middle of an object, add a point, give a box around it (`box=L,T,R,B`), or go on "
    "with it (`force=True`)"
)

REFLECTED = "what looks like its reflection stays: `reflection` takes it along"
"""Said where one is seen and was not asked for."""

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
        "Who finds it: classical (by colours and edges), u2netp (a small network, always there), "
        "sam2 (once 'freefill references sam2' has fetched it), auto (the best that is there).",
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
Shadow = Annotated[
    bool,
    Option(
        "Take along the shadow that it casts, where that falls on even ground.", error=MaskError
    ),
]
Reflection = Annotated[
    bool,
    Option("Take along its reflection below it, in water or on a floor.", error=MaskError),
]
Force = Annotated[
    bool,
    Option("Go on where what was found is doubtful.", error=MaskError),
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
    shadow: Shadow = False,
    reflection: Reflection = False,
    force: Force = False,
    max_pixels: int = MAX_PIXELS,
) -> Result[Pixels]:
    """Make a mask of an object: the one at a point, the one in a box, or what the photo is of.

    Args:
        image: The photo.
        at: ``(x, y)`` of points on the object, in pixels from the top left of the upright photo.
        avoid: ``(x, y)`` of points that are not of it.
        box: ``(left, top, right, bottom)`` around all of it, or a box.
        subject: Nothing is pointed at: what the photo is of.
        segmenter: ``"classical"``, ``"u2netp"`` (both always there), ``"sam2"`` (where it has been
            fetched), or ``"auto"``: the best that is there.
        grow: Pixels by which the mask goes over the object's edge, 0 to 256; by default 2 and what
            the segmenter may be off, which is 3 to 5 in a photo of 512 pixels.
        shadow: Take along the shadow that it casts. Seen are those on even ground.
        reflection: Take along its reflection in water or on a floor, below it. Where one is seen
            and not taken along, a notice says so.
        force: Give what was found where that is doubtful, too, with a notice that says so.
        max_pixels: The most that width times height of any file may be.

    Returns:
        The mask as a picture (8 bits, white = the object), with ``info["segmenter"]``,
        ``info["object"]``, the share of the photo that is the object itself, and what is known of
        how sure that is: ``border`` (share of the photo's border), ``edge`` (change of colour
        across the outline), ``agreement`` (IoU of two looks), each 0 to 1; ``doubt`` in words
        where ``force`` was needed.

    Raises:
        DoubtError: If what was found is doubtful; it holds figures and mask.
        MaskError: If nothing is pointed at, the place is not in the photo, or nothing is found.
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
    pointed = prompt(picture.size, at, avoid, box, subject)
    found = find(picture, pointed, segmenter)
    figures = {name: value for name, value in found.figures.items() if name != "share"}
    info: dict[str, float | str] = {
        "segmenter": found.segmenter,
        "object": float(found.mask.mean()),
    }
    growth = found.growth if grow is None else grow
    whole, notices, offered = found.mask, found.notices, {}
    if shadow:
        whole = whole | cast_shadow(picture, found.mask)
    mirror_image = mirrored(picture, found.mask)
    if reflection:
        whole = whole | mirror_image
    elif mirror_image.any():
        notices = (*notices, REFLECTED)
        offered["reflection"] = grow_hole(whole | mirror_image, growth)
    hole = grow_hole(whole, growth)
    if found.doubts:
        height, width = picture.size
        doubt = f"what {found.segmenter} found {told(pointed)} ({width}x{height}) is doubtful: "
        doubt += "; ".join(found.doubts)
        if not force:
            raise DoubtError(f"{doubt}. {ADVICE}", found.figures, hole)
        notices = (*notices, doubt)
        info["doubt"] = "; ".join(found.doubts)
    drawn = read_picture(hole.astype(np.uint8) * np.uint8(255))
    return Result(drawn, hole, notices, {**info, **figures}, offered=offered)
