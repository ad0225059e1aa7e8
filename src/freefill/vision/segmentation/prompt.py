"""What a person points at: points on an object, points beside it, a box around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from freefill.errors import MaskError
from freefill.imaging.box import Box

Point = tuple[int, int]
"""Column and row, in pixels of the upright picture, as editors show them: (0, 0) is top left."""

MOST = 32
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
    box: Sequence[int] | None = None,
    subject: bool = False,
) -> Prompt:
    """Check what a person points at against the picture.

    Args:
        size: Height and width of the picture.
        at: ``(x, y)`` of points on the object.
        avoid: ``(x, y)`` of points that are not of it.
        box: ``(left, top, right, bottom)`` around all of it; right and bottom are outside.
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
    if bool(at) + (box is not None) + subject == 0:
        raise MaskError(
            "nothing is pointed at: give a point on the object (--at X,Y), a box around it "
            "(--box L,T,R,B), or ask for what the photo is of (--subject)"
        )
    if subject and (at or box is not None or avoid):
        raise MaskError("the subject is asked for, and a place too: give one of the two")
    if len(at) + len(avoid) > MOST:
        raise MaskError(f"there are {len(at) + len(avoid)} points; at most {MOST} are taken")
    for kind, points in (("at", at), ("not", avoid)):
        for point in points:
            if len(point) != 2 or not (0 <= point[0] < width and 0 <= point[1] < height):
                text = ",".join(map(str, point))
                raise MaskError(
                    f"the point {text} ({kind}) is not in the image, which is {width}x{height}: "
                    f"X is 0 to {width - 1}, Y is 0 to {height - 1}"
                )
    both = {tuple(point) for point in at} & {tuple(point) for point in avoid}
    if both:
        x, y = min(both)
        raise MaskError(f"the point {x},{y} is to be of the object and not of it: give it once")
    area = None if box is None else _box(size, box)
    for x, y in at:
        if area is not None and not (area.left <= x < area.right and area.top <= y < area.bottom):
            raise MaskError(
                f"the point {x},{y} is not in the box {area.left},{area.top},{area.right},"
                f"{area.bottom}: move one of them"
            )
    return Prompt(
        tuple((int(x), int(y)) for x, y in at), tuple((int(x), int(y)) for x, y in avoid), area
    )


def _box(size: tuple[int, int], box: Sequence[int]) -> Box:
    height, width = size
    text = ",".join(map(str, box))
    if len(box) != 4:
        raise MaskError(f"a box has 4 numbers (left,top,right,bottom); {text} has {len(box)}")
    left, top, right, bottom = (int(side) for side in box)
    if right <= left or bottom <= top:
        raise MaskError(
            f"the box {text} is empty: it is left,top,right,bottom with right above left and "
            "bottom above top"
        )
    found = Box(
        left=max(left, 0), top=max(top, 0), right=min(right, width), bottom=min(bottom, height)
    )
    if min(found.size) < SMALLEST:
        rows, columns = (max(side, 0) for side in found.size)
        raise MaskError(
            f"{columns}x{rows} pixels of the box {text} are in the image, which is "
            f"{width}x{height}: at least {SMALLEST}x{SMALLEST} are needed"
        )
    return found
