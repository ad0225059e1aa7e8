"""The connected parts of a mask, and what can be said of each without looking at it again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from freefill.masks.thinning import components

Mask = NDArray[np.bool_]
Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Parts:
    """Connected parts; all arrays have one entry a part.

    Attributes:
        label: ``(H, W)`` int32, the number of each pixel's part, -1 where there is none.
        top: First row.
        left: First column.
        bottom: Row after the last.
        right: Column after the last.
        area: Pixels.
    """

    label: NDArray[np.int32]
    top: Numbers
    left: Numbers
    bottom: Numbers
    right: Numbers
    area: Numbers

    @classmethod
    def of(cls, mask: Mask) -> Parts:
        """Find the parts of ``(H, W)`` bool; pixels that touch at a corner are connected."""
        if not mask.any():
            return cls(np.full(mask.shape, -1, np.int32), *np.zeros((5, 0)))
        label, count = components(mask)
        rows, columns = np.nonzero(mask)
        number = label[rows, columns]
        first = np.full((2, count), max(mask.shape))
        last = np.zeros((2, count), int)
        for axis, places in enumerate((rows, columns)):
            np.minimum.at(first[axis], number, places)
            np.maximum.at(last[axis], number, places + 1)
        area = np.bincount(number, minlength=count)
        ends = [*first, *last, area]
        return cls(label, *(np.asarray(end, float) for end in ends))

    @property
    def height(self) -> Numbers:
        """Rows of each box."""
        return self.bottom - self.top

    @property
    def width(self) -> Numbers:
        """Columns of each box."""
        return self.right - self.left

    def mean(self, plane: NDArray[np.float32]) -> Numbers:
        """Give the mean of a plane ``(H, W)`` over each part."""
        inside = self.label >= 0
        sums = np.bincount(self.label[inside], plane[inside], minlength=self.area.size)
        return sums / np.maximum(self.area, 1)

    def most(self, plane: NDArray[np.float32]) -> Numbers:
        """Give the maximum of a plane ``(H, W)`` over each part."""
        best = np.full(self.area.size, -np.inf)
        inside = self.label >= 0
        np.maximum.at(best, self.label[inside], plane[inside])
        return best

    def only(self, wanted: Mask) -> Parts:
        """Give some of the parts, ``wanted`` with one bool a part, numbered again."""
        number = np.where(wanted, np.cumsum(wanted) - 1, -1)
        label = np.append(number, -1)[self.label].astype(np.int32)
        ends = self.top, self.left, self.bottom, self.right, self.area
        return Parts(label, *(end[wanted] for end in ends))

    def kept(self, wanted: Mask) -> Mask:
        """Give the mask of some parts, ``wanted`` with one bool a part."""
        # The last entry is what a label of -1 points to.
        return np.append(wanted, False)[self.label]


def grown_from(seeds: Mask, ground: Mask) -> Mask:
    """Give the parts of ``ground`` that hold a pixel of ``seeds`` (hysteresis).

    Examples:
        >>> ground = np.array([[True, True, False, True]])
        >>> grown_from(np.array([[True, False, False, False]]), ground).tolist()
        [[True, True, False, False]]
    """
    parts = Parts.of(ground)
    seeded = np.zeros(parts.area.size, bool)
    seeded[parts.label[seeds & ground]] = True
    return parts.kept(seeded)
