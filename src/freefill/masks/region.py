"""A part of a picture that a person points at: by a mask, or by a rectangle."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from freefill.errors import MaskError
from freefill.imaging.box import Box, bounds
from freefill.imaging.io import Source
from freefill.imaging.picture import Picture
from freefill.imaging.pillow import to_pillow
from freefill.masks.convert import to_mask
from freefill.types import Mask

T = TypeVar("T")

BOX = "L,T,R,B"
SIDES = "LEFT,TOP,RIGHT,BOTTOM"
LARGEST_NUMBER = 10**9
"""Of a number that a person writes, without its sign."""


def to_region(region: Source | Picture | Box, picture: Picture) -> tuple[Mask, Box]:
    """Find out which pixels are meant.

    Args:
        region: A mask of the picture's size, white = in it, or a rectangle.
        picture: The picture.

    Returns:
        ``(H, W)`` bool, and the smallest box that holds it.

    Raises:
        MaskError: If it is empty, of another size, beyond the picture, or all of it.

    Examples:
        >>> from freefill.imaging.io import read_picture
        >>> picture = read_picture(np.zeros((4, 5, 3), np.uint8))
        >>> int(to_region(Box(left=1, top=1, right=4, bottom=3), picture)[0].sum())
        6
    """
    height, width = picture.size
    if isinstance(region, Box):
        inside = 0 <= region.top < region.bottom <= height
        if not (inside and 0 <= region.left < region.right <= width):
            (rows, columns) = region.size
            raise MaskError(
                f"the box of {columns}x{rows} at ({region.left}, {region.top}) does not lie in "
                f"the image of {width}x{height}"
            )
        mask = np.zeros((height, width), bool)
        mask[region.window] = True
    else:
        source = to_pillow(region) if isinstance(region, Picture) else region
        mask = to_mask(source, picture, fit=None)[0]
    box = bounds(mask)
    if box is None:
        raise MaskError("the mask is empty: paint white what is meant")
    if mask.all():
        raise MaskError(
            f"the mask covers the whole image of {width}x{height}: nothing around it is left"
        )
    return mask, box


def mask_or_box(mask: T | None, box: str | None, missing: str) -> T | Box:
    """Take a mask or a box, of which a person is to give one.

    Args:
        mask: A mask, of any kind.
        box: As :func:`parse_box` reads it.
        missing: What is said if there are none or both.

    Returns:
        Whichever there is.

    Raises:
        MaskError: If there are none or both, or the box cannot be read.
    """
    if mask is None and box is not None:
        return parse_box(box)
    if mask is None or box is not None:
        raise MaskError(missing)
    return mask


def parse_box(text: str, name: str = "the box") -> Box:
    """Read a rectangle as people write it.

    Args:
        text: ``L,T,R,B``, in pixels; right and bottom are the first beyond.
        name: What it is called, for the error.

    Returns:
        The box.

    Raises:
        MaskError: If it is anything else.

    Examples:
        >>> parse_box("10,20,40,60")
        Box(left=10, top=20, right=40, bottom=60)
    """
    left, top, right, bottom = numbers(name, text, BOX)
    return Box(left=left, top=top, right=right, bottom=bottom)


def parse_pair(text: str, name: str, form: str) -> tuple[int, int]:
    """Read two whole numbers; the arguments are those of :func:`numbers`.

    Examples:
        >>> parse_pair("40,-10", "--by", "DX,DY")
        (40, -10)
    """
    first, second = numbers(name, text, form)
    return first, second


def numbers(name: str, text: str, form: str) -> list[int]:
    """Read whole numbers that are written with commas between them.

    Args:
        name: What they are of, for the error.
        text: E.g. ``"40,-10"``.
        form: What each is, e.g. ``"DX,DY"``: as many are to be there.

    Returns:
        The numbers.

    Raises:
        MaskError: If it is anything else.

    Examples:
        >>> numbers("--at", "120, 80", "X,Y")
        [120, 80]
    """
    count = form.count(",") + 1
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        found = []
    if len(found) != count or max(map(abs, found)) > LARGEST_NUMBER:
        expected = f"{form} ({SIDES})" if form == BOX else form
        raise MaskError(f"{name} {text}: it is to be {count} whole numbers, {expected}")
    return found
