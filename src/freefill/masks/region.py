"""A part of a picture that a person points at: by a mask, or by a rectangle."""

from __future__ import annotations

import numpy as np

from freefill.errors import MaskError
from freefill.image import Box, Picture, Source
from freefill.masks.convert import Hole, to_hole
from freefill.masks.shape import bounds


def to_region(region: Source | Picture | Box, picture: Picture) -> tuple[Hole, Box]:
    """Find out which pixels are meant.

    Args:
        region: A mask of the picture's size, white = in it, or a rectangle.
        picture: The picture.

    Returns:
        ``(H, W)`` bool, and the smallest box that holds it.

    Raises:
        MaskError: If it is empty, of another size, beyond the picture, or all of it.

    Examples:
        >>> picture = Picture.read(np.zeros((4, 5, 3), np.uint8))
        >>> int(to_region(Box(1, 1, 3, 4), picture)[0].sum())
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
        source = region.to_pillow() if isinstance(region, Picture) else region
        try:
            mask = to_hole(source, picture)[0]
        except MaskError as error:
            # A part that is moved is not stretched first: there is no fit to pass.
            raise MaskError(str(error).partition(", or pass fit")[0]) from None
    box = bounds(mask)
    if box is None:
        raise MaskError("the mask is empty: paint white what is meant")
    if mask.all():
        raise MaskError(
            f"the mask covers the whole image of {width}x{height}: nothing around it is left"
        )
    return mask, box


def parse_box(text: str) -> Box:
    """Read a rectangle as people write it.

    Args:
        text: ``L,T,R,B``, in pixels; right and bottom are the first beyond.

    Returns:
        The box.

    Raises:
        MaskError: If it is anything else.

    Examples:
        >>> parse_box("10,20,40,60")
        Box(top=20, left=10, bottom=60, right=40)
    """
    left, top, right, bottom = _numbers(text, "L,T,R,B")
    return Box(top, left, bottom, right)


def parse_pair(text: str, form: str) -> tuple[int, int]:
    """Read two whole numbers, e.g. ``40,-10``.

    Args:
        text: What a person wrote.
        form: What it should be, for the error.

    Returns:
        The numbers.

    Raises:
        MaskError: If it is anything else.

    Examples:
        >>> parse_pair("40,-10", "DX,DY")
        (40, -10)
    """
    first, second = _numbers(text, form)
    return first, second


def _numbers(text: str, form: str) -> list[int]:
    count = form.count(",") + 1
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != count or max(map(abs, numbers)) > 10**6:
        raise MaskError(f"{text!r} is not {form}: {count} whole numbers with commas between them")
    return numbers
