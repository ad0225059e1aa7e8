"""Remove an object that is pointed at: a click or a box, to a mask, to a fill."""

from __future__ import annotations

from collections.abc import Sequence

from freefill.imaging.io import Source, read_picture
from freefill.imaging.picture import Picture
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import FillRequest, Result
from freefill.tasks.segment import segment
from freefill.types import Progress
from freefill.vision.segmentation.choosing import Name


def remove(
    image: Source | Picture,
    *,
    at: Sequence[Sequence[int]] = (),
    avoid: Sequence[Sequence[int]] = (),
    box: Sequence[int] | None = None,
    subject: bool = False,
    segmenter: Name = "auto",
    grow: int | None = None,
    inpainter: Inpainter,
    progress: Progress | None = None,
) -> Result:
    """Remove an object from a photo.

    Args:
        image: The photo.
        at: As for :func:`freefill.tasks.segment.segment`, as are the next five.
        avoid: Points that are not of the object.
        box: Around all of it.
        subject: Remove what the photo is of.
        segmenter: Who finds it.
        grow: Pixels by which the hole goes over the object's edge.
        inpainter: The pipeline.
        progress: As for :meth:`freefill.pipeline.inpainter.Inpainter.run`.

    Returns:
        The photo without it; every pixel outside ``mask`` is the photo's own. ``info`` is that of
        :func:`~freefill.tasks.segment.segment`.

    Raises:
        MaskError: If nothing is pointed at, the place is not in the photo, or no object is there.
        ReferenceMissingError: If the segmenter has not been fetched.
        FreefillError: If the photo cannot be read.

    Examples:
        >>> import numpy as np
        >>> photo = np.full((64, 64, 3), 200, np.uint8)
        >>> photo[20:40, 24:44] = 30, 90, 160
        >>> gone = remove(photo, at=[(30, 30)], segmenter="classical", inpainter=Inpainter())
        >>> int(np.abs(gone.image.astype(int) - 200).max()) < 16
        True
    """
    picture = read_picture(image)
    mask = segment(
        picture,
        at=at,
        avoid=avoid,
        box=box,
        subject=subject,
        segmenter=segmenter,
        grow=grow,
    )
    filled = inpainter.run(FillRequest(picture, mask.mask), progress=progress).picture
    return Result(filled, mask.mask, mask.notices, mask.info)
