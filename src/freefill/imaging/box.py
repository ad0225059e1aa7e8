"""Rectangles of pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from freefill.types import Mask


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A rectangle of pixels: ``left <= column < right``, ``top <= row < bottom``.

    Wherever four numbers stand for one, they are left, top, right, bottom, as in Pillow.

    Examples:
        >>> Box(left=10, top=20, right=40, bottom=60).size
        (40, 30)
    """

    left: int
    top: int
    right: int
    bottom: int

    @classmethod
    def of(cls, corners: Sequence[int]) -> Box:
        """Make a box of left, top, right and bottom."""
        left, top, right, bottom = corners
        return cls(left=int(left), top=int(top), right=int(right), bottom=int(bottom))

    @classmethod
    def whole(cls, size: tuple[int, int]) -> Box:
        """Make the box of a whole picture of a height and width."""
        return cls(left=0, top=0, right=size[1], bottom=size[0])

    @property
    def corners(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom."""
        return self.left, self.top, self.right, self.bottom

    @property
    def reading_order(self) -> tuple[int, int, int, int]:
        """What boxes are sorted by: top, left, bottom, right."""
        return self.top, self.left, self.bottom, self.right

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.bottom - self.top, self.right - self.left

    @property
    def area(self) -> int:
        """Number of pixels."""
        return (self.bottom - self.top) * (self.right - self.left)

    @property
    def window(self) -> tuple[slice, slice]:
        """What cuts this box out of an array."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


def bounds(hole: Mask) -> Box | None:
    """Give the smallest box that holds a hole.

    Args:
        hole: ``(H, W)`` bool.

    Returns:
        The box, or ``None`` for an empty hole.

    Examples:
        >>> bounds(np.array([[False, True], [False, False]]))
        Box(left=1, top=0, right=2, bottom=1)
    """
    rows = np.flatnonzero(hole.any(1))
    if not rows.size:
        return None
    columns = np.flatnonzero(hole[rows[0] : rows[-1] + 1].any(0))
    return Box(
        left=int(columns[0]), top=int(rows[0]), right=int(columns[-1]) + 1, bottom=int(rows[-1]) + 1
    )
