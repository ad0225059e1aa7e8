"""What a person points at: points on an object, points beside it, a box around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from freefill.errors import MaskError
from freefill.imaging.box import Box
from freefill.masks.region import Corners, to_box, whole_numbers

Point = tuple[int, int]
"""Column and row, in pixels of the upright picture, as editors show them: (0, 0) is top left."""

MAX_POINTS = 32
"""Points of one prompt."""
LEAST = 8
"""Pixels of a picture's shorter side."""
SMALLEST = 4
"""Pixels of a box's shorter side."""


@dataclass(frozen=True)
class Prompt:
    """What is meant.

    Attributes:
        at: Points on the object.
        avoid: Points that are not of it.
        box: Around all of it.
    """

    at: tuple[Point, ...] = ()
    avoid: tuple[Point, ...] = ()
    box: Box | None = None

    @property
    def is_subject(self) -> bool:
        """Whether nothing is pointed at: the picture's subject is meant."""
        return not self.at and self.box is None


def prompt(
    size: tuple[int, int],
    at: Sequence[Sequence[int]] = (),
    avoid: Sequence[Sequence[int]] = (),
    box: Corners | None = None,
    subject: bool = False,
) -> Prompt:
    """Check what a person points at against the picture.

    Args:
        size: Height and width of the picture.
        at: ``(x, y)`` of points on the object.
        avoid: ``(x, y)`` of points that are not of it.
        box: ``(left, top, right, bottom)`` around all of it, or a box; right and bottom are
            outside.
        subject: Nothing is pointed at: what the picture is of.

    Returns:
        The prompt; a box that goes over the picture's border ends there.

    Raises:
        MaskError: If nothing is meant, or both subject and place, or a place is not in the picture.

    Examples:
        >>> prompt((100, 200), at=[(150, 20)]).at
        ((150, 20),)
        >>> prompt((100, 200), box=(150, 20, 300, 60)).box
        Box(left=150, top=20, right=200, bottom=60)
    """
    height, width = size
    if min(size) < LEAST:
        raise MaskError(
            f"the image is {width}x{height}: to find an object it needs {LEAST} pixels a side"
        )
    on, off = _points("at", at), _points("avoid", avoid)
    if not on and box is None and not subject:
        raise MaskError(
            "nothing is pointed at: give a point on the object (`at=X,Y`), a box around it "
            "(`box=L,T,R,B`), or ask for what the photo is of (`subject=True`)"
        )
    if subject and (on or box is not None or off):
        raise MaskError("the subject is asked for, and a place too: give one of the two")
    if len(on) + len(off) > MAX_POINTS:
        raise MaskError(f"there are {len(on) + len(off)} points; at most {MAX_POINTS} are taken")
    for name, points in (("at", on), ("avoid", off)):
        for x, y in points:
            if not (0 <= x < width and 0 <= y < height):
                raise MaskError(
                    f"the point {x},{y} (`{name}`) is not in the image, which is {width}x{height}: "
                    f"X is 0 to {width - 1}, Y is 0 to {height - 1}"
                )
    both = set(on) & set(off)
    if both:
        x, y = min(both)
        raise MaskError(f"the point {x},{y} is to be of the object and not of it: give it once")
    area = None if box is None else _within(size, to_box(box))
    for x, y in on:
        if area is not None and not (area.left <= x < area.right and area.top <= y < area.bottom):
            raise MaskError(
                f"the point {x},{y} is not in the box {area.left},{area.top},{area.right},"
                f"{area.bottom}: move one of them"
            )
    return Prompt(on, off, area)


def _points(name: str, given: Sequence[Sequence[int]]) -> tuple[Point, ...]:
    if not isinstance(given, Sequence | np.ndarray) or isinstance(given, str | bytes):
        raise MaskError(f"`{name}` is {given!r}; it must be a list of points, [(x, y), ...]")
    points = []
    for point in given:
        x, y = whole_numbers(point, name, "x, y")
        points.append((x, y))
    return tuple(points)


def _within(size: tuple[int, int], box: Box) -> Box:
    (height, width), text = size, ",".join(map(str, box.corners))
    if box.right <= box.left or box.bottom <= box.top:
        raise MaskError(
            f"the box {text} is empty: it is left,top,right,bottom with right above left and "
            "bottom above top"
        )
    found = Box(
        left=max(box.left, 0),
        top=max(box.top, 0),
        right=min(box.right, width),
        bottom=min(box.bottom, height),
    )
    if min(found.size) < SMALLEST:
        rows, columns = (max(side, 0) for side in found.size)
        raise MaskError(
            f"{columns}x{rows} pixels of the box {text} are in the image, which is "
            f"{width}x{height}: at least {SMALLEST}x{SMALLEST} are needed"
        )
    return found
