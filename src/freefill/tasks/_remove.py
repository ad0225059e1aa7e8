"""Remove an object that is pointed at: a click or a box, to a mask, to a fill."""

from __future__ import annotations

from typing import Any

from freefill.imaging.formats import MAX_PIXELS
from freefill.imaging.io import Source, read_picture
from freefill.imaging.picture import Picture
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import FillRequest, Result
from freefill.tasks._segment import (
    Around,
    At,
    Avoid,
    Force,
    Grow,
    Reflection,
    Segmenter,
    Shadow,
    Subject,
    segment,
)
from freefill.tasks.calls import chosen, task
from freefill.types import Progress


@task
def remove(
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
    inpainter: Inpainter | None = None,
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
) -> Result[Any]:
    """Remove an object from a photo.

    Args:
        image: The photo.
        at: As for :func:`freefill.tasks.segment`, as are the next eight.
        avoid: Points that are not of the object.
        box: Around all of it.
        subject: Remove what the photo is of.
        segmenter: Who finds it.
        grow: Pixels by which the hole goes over the object's edge.
        shadow: Fill the shadow that it casts, too.
        reflection: Fill its reflection below it, too.
        force: Fill what was found where that is doubtful, too.
        inpainter: The pipeline; by default that of the default weights, loaded once and kept.
        max_pixels: The most that width times height of any file may be.
        progress: Called with the crops that are done and all there are.

    Returns:
        The photo without it; every pixel outside ``mask`` is the photo's own. ``info`` is that of
        :func:`~freefill.tasks.segment`.

    Raises:
        DoubtError: If what was found is doubtful, and ``force`` is not given.
        MaskError: If nothing is pointed at, the place is not in the photo, or nothing is found.
        ReferenceMissingError: If the segmenter has not been fetched.
        FreefillError: If the photo cannot be read.

    Examples:
        >>> import numpy as np
        >>> photo = np.full((64, 64, 3), 200, np.uint8)
        >>> photo[20:40, 24:44] = 30, 90, 160
        >>> gone = remove(photo, at=[(30, 30)], segmenter="classical")
        >>> int(np.abs(gone.image.astype(int) - 200).max()) < 16
        True
    """
    picture = read_picture(image, max_pixels=max_pixels)
    mask = segment(
        picture,
        at=at,
        avoid=avoid,
        box=box,
        subject=subject,
        segmenter=segmenter,
        grow=grow,
        shadow=shadow,
        reflection=reflection,
        force=force,
    )
    filled = chosen(inpainter).run(FillRequest(picture, mask.mask), progress=progress).picture
    return Result(filled, mask.mask, mask.notices, mask.info, offered=mask.offered)
