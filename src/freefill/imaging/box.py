"""Rectangles of pixels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from freefill.types import Mask


class Box(NamedTuple):
    """A rectangle of pixels: ``top <= row < bottom``, ``left <= column < right``."""

    top: int
    left: int
    bottom: int
    right: int

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
        Box(top=0, left=1, bottom=1, right=2)
    """
    rows = np.flatnonzero(hole.any(1))
    if not rows.size:
        return None
    columns = np.flatnonzero(hole[rows[0] : rows[-1] + 1].any(0))
    return Box(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
