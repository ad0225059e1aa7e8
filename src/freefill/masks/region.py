"""A part of a picture that a person points at: by a mask, or by a rectangle."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real

import numpy as np

from freefill.errors import MaskError
from freefill.imaging.box import Box, bounds
from freefill.imaging.formats import MAX_PIXELS
from freefill.imaging.io import Source
from freefill.imaging.picture import Picture
from freefill.imaging.pillow import to_pillow
from freefill.masks.convert import to_mask
from freefill.types import Mask

Corners = Box | Sequence[int]
"""A rectangle as callers give it: left, top, right and bottom, or a box."""

BOX = "L,T,R,B"
SIDES = "LEFT,TOP,RIGHT,BOTTOM"
LARGEST_NUMBER = 10**9
"""Of a number that a person writes, without its sign."""


def to_region(
    mask: Source | Picture | None,
    box: Corners | None,
    picture: Picture,
    what: str,
    *,
    max_pixels: int = MAX_PIXELS,
) -> tuple[Mask, Box]:
    """Find out which pixels are meant.

    Args:
        mask: Of the picture's size, white = in it; or ``None``.
        box: A rectangle; or ``None``.
        picture: The picture.
        what: What is to be said by one of them, for the error: ``"what moves"``.
        max_pixels: The most that width times height of a mask's file may be.

    Returns:
        ``(H, W)`` bool, and the smallest box that holds it.

    Raises:
        MaskError: If neither or both are given; if it is empty, of another size, beyond the
            picture, or all of it.
        ImageError: If the mask cannot be read.

    Examples:
        >>> from freefill.imaging.io import read_picture
        >>> picture = read_picture(np.zeros((4, 5, 3), np.uint8))
        >>> int(to_region(None, (1, 1, 4, 3), picture, "what moves")[0].sum())
        6
    """
    height, width = picture.size
    if (mask is None) == (box is None):
        raise MaskError(f"say {what}: either `mask` or `box=L,T,R,B`")
    if box is not None:
        area = to_box(box)
        inside = 0 <= area.top < area.bottom <= height
        if not (inside and 0 <= area.left < area.right <= width):
            (rows, columns) = area.size
            raise MaskError(
                f"the box of {columns}x{rows} at ({area.left}, {area.top}) does not lie in "
                f"the image of {width}x{height}"
            )
        meant = np.zeros((height, width), bool)
        meant[area.window] = True
    else:
        source = to_pillow(mask) if isinstance(mask, Picture) else mask
        meant = to_mask(source, picture, fit=None, max_pixels=max_pixels)[0]
    found = bounds(meant)
    if found is None:
        raise MaskError("the mask is empty: paint white what is meant")
    if meant.all():
        raise MaskError(
            f"the mask covers the whole image of {width}x{height}: nothing around it is left"
        )
    return meant, found


def to_box(box: Corners) -> Box:
    """Give a rectangle as a box.

    Args:
        box: A box, or left, top, right and bottom.

    Returns:
        The box.

    Raises:
        MaskError: If it is anything else.

    Examples:
        >>> to_box((10, 20, 40, 60))
        Box(left=10, top=20, right=40, bottom=60)
    """
    if isinstance(box, Box):
        return box
    return Box.of(whole_numbers(box, "box", "left, top, right, bottom"))


def whole_numbers(value: object, name: str, form: str) -> tuple[int, ...]:
    """Give several whole numbers that a caller has passed for one.

    Args:
        value: A sequence of them, it is to be hoped.
        name: The argument.
        form: What each is, with commas between: as many are to be there.

    Returns:
        The numbers.

    Raises:
        MaskError: If it is anything else.

    Examples:
        >>> whole_numbers([40, -10.0], "by", "right, down")
        (40, -10)
    """
    parts = form.split(", ")
    given = tuple(value) if isinstance(value, Sequence | np.ndarray) else ()
    whole = [one for one in given if isinstance(one, Real) and float(one).is_integer()]
    if len(given) != len(parts) or len(whole) != len(parts):
        raise MaskError(f"`{name}` is {value!r}; it must be {len(parts)} whole numbers, ({form})")
    return tuple(int(float(one)) for one in whole)


def numbers(name: str, text: str, form: str) -> tuple[int, ...]:
    """Read whole numbers that are written with commas between them.

    Args:
        name: The argument that they are for.
        text: E.g. ``"40,-10"``.
        form: What each is, e.g. ``"DX,DY"``: as many are to be there.

    Returns:
        The numbers.

    Raises:
        MaskError: If it is anything else.

    Examples:
        >>> numbers("at", "120, 80", "X,Y")
        (120, 80)
    """
    count = form.count(",") + 1
    try:
        found = tuple(int(part) for part in text.split(","))
    except ValueError:
        found = ()
    if len(found) != count or max(map(abs, found)) > LARGEST_NUMBER:
        expected = f"{form} ({SIDES})" if form == BOX else form
        raise MaskError(f"`{name}={text}`: it is to be {count} whole numbers, {expected}")
    return found
