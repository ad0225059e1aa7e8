"""Straighten a photo that was held at an angle, without cutting anything off.

A turned photo leaves four corners empty. Editors cut the largest rectangle without them and enlarge
it; here the corners are filled ("Free-Form Image Inpainting with Gated Convolution", Yu et al.,
2019, names this use). The angle is given, or read from the photo's lines
(:mod:`freefill.vision.horizon`).
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from freefill.errors import ImageError
from freefill.imaging.formats import MAX_PIXELS
from freefill.imaging.formats.limits import check_size
from freefill.imaging.io import Source, read_picture
from freefill.imaging.picture import Picture
from freefill.imaging.rotate import expanded, turned
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import FillRequest, Result
from freefill.types import Mask, Progress, Rgb
from freefill.vision.edges import shrunk
from freefill.vision.horizon import LARGEST, tilt

MOST = 45.0
"""Degrees that a photo is turned at most: beyond, another side of it is level."""
ENOUGH = 0.06
"""Support that an estimated tilt needs."""
RIVAL = 0.5
"""Share of it that another tilt may have."""
SIDE = 256
"""Pixels of a side, the root of the area, at which lines are looked for: where a photo is larger,
its texture has lines of its own, and its straight lines are less straight."""
LEVEL = 0.1
"""Degrees that nobody sees: turning would only soften the photo."""


def straighten(
    image: Source | Picture,
    *,
    angle: float | None = None,
    expand: bool = False,
    inpainter: Inpainter,
    progress: Progress | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Result:
    """Turn a photo until it is level, and fill the corners that this leaves empty.

    Args:
        image: A picture, or what :meth:`freefill.imaging.io.read_picture` takes.
        angle: Degrees anticlockwise by which the photo is turned, -45 to 45. ``None``: as its own
            straight lines say, up to 15 degrees.
        expand: Enlarge the canvas until it holds the whole turned photo, instead of keeping its
            size and losing the photo's own corners.
        inpainter: The pipeline.
        progress: As for :meth:`freefill.pipeline.inpainter.Inpainter.run`.
        max_pixels: The most that width times height of an enlarged canvas may be.

    Returns:
        The level photo, and which of its pixels were filled. ``info`` has the ``angle`` and which
        share of the photo was ``kept``. Turned pixels are interpolated (bicubic, in the photo's
        own depth); with an angle of 0, or below 0.1 where it is read from the lines, every pixel
        is the input's.

    Raises:
        ImageError: If the image cannot be read, the angle is out of range, no angle was given and
            the photo has no lines that agree on one, or the canvas would be too large.

    Examples:
        >>> photo = np.full((96, 128, 3), 180, np.uint8)
        >>> result = straighten(photo, angle=3, inpainter=Inpainter())
        >>> result.image.shape, f"{result.mask.mean():.2f}", f"{result.info['kept']:.2f}"
        ((96, 128, 3), '0.04', '0.96')
    """
    if angle is not None and not -MOST <= angle <= MOST:
        raise ImageError(
            f"the angle is {angle:g} degrees; it must be {-MOST:g} to {MOST:g}: turn the photo by "
            "quarters first"
        )
    picture = read_picture(image)
    notices: list[str] = []
    if angle is None:
        angle = _estimated(picture)
        if abs(angle) < LEVEL:
            notices.append(
                f"the photo's lines are level to {abs(angle):.2f} degrees: it stays as it is"
            )
            angle = 0.0
    found: dict[str, float | str] = {"angle": angle}
    if not angle:
        hole = np.zeros(picture.size, bool)
        return Result(picture, hole, tuple(notices), found | {"kept": 1.0})
    size = picture.size
    if expand:
        size = expanded(size, angle)
        check_size(size[::-1], "the canvas for the whole turned photo", max_pixels)
    level, hole = turned(picture, angle, size)
    if hole.all():
        height, width = picture.size
        raise ImageError(
            f"turned by {angle:g} degrees, nothing of a photo of {width}x{height} is left"
        )
    kept = min(float(np.count_nonzero(~hole)) / math.prod(picture.size), 1.0)
    hole = _seen(level, hole)
    filled = inpainter.run(FillRequest(level, hole), progress=progress).picture
    return Result(filled, hole, tuple(notices), found | {"kept": kept})


def _estimated(picture: Picture) -> float:
    """Read the angle from the photo's lines.

    Raises:
        ImageError: If there are none that agree on one.
    """
    found = tilt(_small(picture))
    advice = "tell it with --angle (degrees anticlockwise)"
    if found.support < ENOUGH:
        raise ImageError(
            "the photo shows no level or upright lines that are long enough to tell its angle by "
            f"(evidence {found.support:.2f}, needed {ENOUGH:g}): {advice}"
        )
    if abs(found.angle) > LARGEST or found.rival > RIVAL * found.support:
        raise ImageError(
            f"the photo's lines do not agree on an angle of at most {LARGEST:g} degrees: most say "
            f"{-found.angle:.1f} (evidence {found.support:.2f}), others something else "
            f"({found.rival:.2f}): {advice}"
        )
    # It is turned back by what it is off.
    return round(-found.angle, 2)


def _small(picture: Picture) -> Rgb:
    """Give the colours of a picture, shrunk to what lines are best told at."""
    colours, _ = shrunk(picture)
    height, width = colours.shape[:2]
    scale = SIDE / math.sqrt(height * width)
    if scale >= 1:
        return colours
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    planes = [
        np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.LANCZOS))
        for plane in np.ascontiguousarray(colours.transpose(2, 0, 1))
    ]
    shown: Rgb = np.clip(np.stack(planes, -1), 0, 1)
    return shown


def _seen(picture: Picture, hole: Mask) -> Mask:
    """Leave out of a hole what is transparent: nothing of it would be seen."""
    return hole & (picture.samples[..., -1] > 0) if picture.has_alpha else hole
