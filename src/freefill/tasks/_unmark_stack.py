"""Take a watermark off photos of one's own that all carry it at the same place.

What differs from photo to photo is photo, what does not is the watermark
(:mod:`freefill.vision.overlays.stack`). Where enough of a photo comes through, it is computed back
from what is seen, which no fill could know; where not, the network's fill stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from freefill.errors import ImageError, MaskError, plural
from freefill.imaging.box import Box, bounds
from freefill.imaging.codecs import LUMA
from freefill.imaging.formats import MAX_PIXELS
from freefill.imaging.io import Source
from freefill.imaging.picture import Picture
from freefill.masks.morphology import grow
from freefill.masks.region import Corners, to_box
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import FillRequest, Result
from freefill.tasks.calls import chosen, read_all, stack_task
from freefill.types import Mask, Progress, Rgb
from freefill.vision.overlays import stack
from freefill.vision.overlays.finding import checked, looked_at

WIDENED = 2
"""Pixels by which the watermark's mask is widened: its edges are soft."""
FEW = 15
"""Photos under which faint parts of a watermark are easily missed."""


@stack_task
def unmark_stack(
    images: Sequence[Source | Picture],
    *,
    box: Corners | None = None,
    fill: bool = True,
    inpainter: Inpainter | None = None,
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
) -> list[Result[Any]]:
    """Find what photos share and take it off each.

    Args:
        images: Photos of one size, 8 at least, better 20, of different things.
        box: Where to look only, ``(left, top, right, bottom)``; everywhere by default.
        fill: Whether to take it off; otherwise pictures stay and only the hole is told.
        inpainter: The pipeline; by default that of the default weights, loaded once and kept.
        max_pixels: The most that width times height of any file may be.
        progress: Called with the photos that are done and with all there are.

    Returns:
        A result for each photo, in order, all with the same hole; ``info`` tells the median
        ``opacity`` of the watermark. Every pixel outside the hole is the input's.

    Raises:
        ImageError: If a photo cannot be read, there are too few, or sizes differ.
        MaskError: If they share nothing, or the box is impossible.
    """
    pictures = read_all(images, "images", max_pixels)
    _check(pictures)
    hole = _shared(pictures, None if box is None else to_box(box))
    notices = []
    if len(pictures) < FEW:
        notices.append(
            f"{len(pictures)} photos are few: faint parts of a watermark may be missed; {FEW} or "
            "more find it better"
        )
    if not fill:
        return [Result(picture, hole, tuple(notices)) for picture in pictures]
    guesses, inpainter = [], chosen(inpainter)
    for number, picture in enumerate(pictures):
        if progress is not None:
            progress(number, len(pictures))
        guesses.append(inpainter.run(FillRequest(picture, hole)).picture)
    seen = np.stack([_colours(picture, hole) for picture in pictures])
    guess = np.stack([_colours(picture, hole) for picture in guesses])
    matte = stack.matte(seen, guess, hole)
    covered = matte.through < 1 - stack.NOTHING
    opacity = float(1 - np.median(matte.through[covered])) if covered.any() else 0.0
    results: list[Result[Any]] = []
    for picture, one, other in zip(pictures, seen, guess, strict=True):
        colours = stack.uncovered(one, other, matte)
        result = picture.filled([_patch(hole, colours)], opaque=False)
        results.append(Result(result, hole, tuple(notices), {"opacity": round(opacity, 3)}))
    if progress is not None:
        progress(len(pictures), len(pictures))
    return results


def _check(pictures: Sequence[Picture]) -> None:
    if len(pictures) < stack.FEWEST:
        raise ImageError(
            f"a stack of {plural(len(pictures), 'photo')} is too small: {stack.FEWEST} are needed, "
            f"and {FEW} or more are better; for single photos give a mask to 'freefill fill'"
        )
    (height, width), others = pictures[0].size, {picture.size for picture in pictures}
    if len(others) > 1:
        rows, columns = next(size for size in sorted(others) if size != (height, width))
        raise ImageError(
            f"the photos of a stack are of one size: the first is {width}x{height}, another "
            f"{columns}x{rows}; put those of each size into a folder of their own"
        )


def _shared(pictures: Sequence[Picture], box: Box | None) -> Mask:
    """Find the hole, at the size at which photos are looked at."""
    height, width = pictures[0].size
    where = checked(Box.whole((height, width)) if box is None else box, height, width)
    looks = [looked_at(picture, where) for picture in pictures]
    factor = looks[0][1]
    small = grow(stack.shared(np.stack([rgb @ LUMA for rgb, _ in looks])), WIDENED)
    if not small.any():
        raise MaskError(
            f"these {len(pictures)} photos share nothing that can be told from chance: more photos "
            "find fainter watermarks; or paint a mask and give it to 'freefill fill'"
        )
    hole = np.zeros((height, width), bool)
    rows, columns = where.size
    hole[where.window] = small.repeat(factor, 0).repeat(factor, 1)[:rows, :columns]
    return hole


def _colours(picture: Picture, hole: Mask) -> Rgb:
    """Give the colours of the hole's pixels, ``(n, 3)``."""
    # Asked for as a picture one pixel high: of those pixels alone.
    colours: Rgb = picture.layout.to_rgb(picture.samples[hole][None])[0]
    return colours


def _patch(hole: Mask, colours: Rgb) -> tuple[Box, Mask, Rgb]:
    box = bounds(hole)
    assert box is not None
    local = hole[box.window]
    rgb = np.zeros((*box.size, 3), np.float32)
    rgb[local] = colours
    return box, local, rgb
