"""Frames as a codec has them: planes of luma and of colour differences, never more than 16 bits.

What is kept of a frame is kept in these samples, so that nothing outside a hole is rounded on the
way through RGB. A *cell* is 2 by 2 pixels, which is what one colour sample of 4:2:0 covers: holes
are whole cells, so that a cell comes with luma and colour from one and the same frame.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from freefill.imaging.box import Box
from freefill.types import Mask, Rgb

Plane = NDArray[Any]
"""uint8 or uint16."""
CELL = 2

RATIOS = {"420": (2, 2), "422": (1, 2), "444": (1, 1)}
"""Pixels down and across for one sample of colour."""
FULL = 2
"""FFmpeg's number for samples that use the full range."""


class Matrix(NamedTuple):
    """Share of red and of blue in luma."""

    red: float
    blue: float


BT601, BT709, BT2020 = Matrix(0.299, 0.114), Matrix(0.2126, 0.0722), Matrix(0.2627, 0.0593)
MATRICES = {1: BT709, 4: Matrix(0.30, 0.11), 5: BT601, 6: BT601, 7: Matrix(0.212, 0.087)}
MATRICES |= {9: BT2020, 10: BT2020}
"""By FFmpeg's number of a colour space (ITU-T H.273)."""


@dataclass(frozen=True)
class Coding:
    """How the samples of a clip are to be understood.

    Attributes:
        size: Height and width in pixels, as the clip is seen (upright).
        pixels: FFmpeg's name of the samples, e.g. ``yuv420p``, ``gray10le``.
        depth: Bits of a sample.
        primaries: FFmpeg's number, as are the following.
        transfer: The curve from light to samples.
        space: The matrix between RGB and the planes.
        range: Whether samples use their full range (2) or a part of it (1); 0: not told.
    """

    size: tuple[int, int]
    pixels: str
    depth: int
    primaries: int
    transfer: int
    space: int
    range: int

    @property
    def cells(self) -> tuple[int, int]:
        """Height and width in cells; those at the border may have one row or column only."""
        return -(-self.size[0] // CELL), -(-self.size[1] // CELL)

    @property
    def ratios(self) -> list[tuple[int, int]]:
        """Of each plane: how many pixels a sample covers, down and across."""
        if self.pixels.startswith("gray"):
            return [(1, 1)]
        return [(1, 1), *[RATIOS[self.pixels[3:6]]] * 2]

    @property
    def matrix(self) -> Matrix:
        """Luma's shares; where the clip does not tell, what players take for its height."""
        return MATRICES.get(self.space, BT709 if self.size[0] >= 720 else BT601)

    @property
    def levels(self) -> tuple[float, float, float, float]:
        """Black, luma's span, grey, and the span of colour differences, in samples."""
        unit = float(1 << (self.depth - 8))
        if self.range == FULL or (self.range == 0 and self.pixels.startswith("gray")):
            peak = float((1 << self.depth) - 1)
            return 0.0, peak, 128 * unit, peak
        return 16 * unit, 219 * unit, 128 * unit, 224 * unit

    def window(self, box: Box, plane: int) -> tuple[slice, slice]:
        """Give what cuts a box of cells out of a plane."""
        down, across = (CELL // ratio for ratio in self.ratios[plane])
        return (
            slice(box.top * down, box.bottom * down),
            slice(box.left * across, box.right * across),
        )

    def spread(self, cells: Mask, plane: int) -> Mask:
        """Bring a map of cells to a plane's samples."""
        down, across = (CELL // ratio for ratio in self.ratios[plane])
        return cells.repeat(down, 0).repeat(across, 1)

    def to_rgb(self, planes: list[Plane]) -> Rgb:
        """Give the colours of planes, ``(h, w, 3)`` in [0, 1]; each colour sample covers a cell."""
        black, span, grey, colour = self.levels
        luma = (planes[0].astype(np.float32) - np.float32(black)) / np.float32(span)
        if len(planes) == 1:
            shades: Rgb = np.clip(luma, 0, 1)[..., None].repeat(3, 2)
            return shades
        blue, red = (
            ((plane.astype(np.float32) - np.float32(grey)) / np.float32(colour))
            .repeat(self.ratios[1][0], 0)
            .repeat(self.ratios[1][1], 1)
            for plane in planes[1:]
        )
        kr, kb = self.matrix
        r, b = luma + np.float32(2 - 2 * kr) * red, luma + np.float32(2 - 2 * kb) * blue
        g = (luma - np.float32(kr) * r - np.float32(kb) * b) / np.float32(1 - kr - kb)
        colours: Rgb = np.clip(np.stack([r, g, b], -1), 0, 1)
        return colours

    def from_rgb(self, rgb: Rgb) -> list[Plane]:
        """Give the planes of colours ``(h, w, 3)`` in [0, 1], of whole cells."""
        black, span, grey, colour = self.levels
        kr, kb = self.matrix
        luma = rgb @ np.array([kr, 1 - kr - kb, kb], np.float32)
        found = [luma * np.float32(span) + np.float32(black)]
        for number, channel, share in ((1, 2, kb), (2, 0, kr))[: len(self.ratios) - 1]:
            down, across = self.ratios[number]
            apart = (rgb[..., channel] - luma) / np.float32(2 - 2 * share)
            rows, columns = apart.shape[0] // down, apart.shape[1] // across
            means = apart.reshape(rows, down, columns, across).mean((1, 3))
            found.append(means * np.float32(colour) + np.float32(grey))
        return [self.quantised(plane) for plane in found]

    def quantised(self, plane: NDArray[np.float32]) -> Plane:
        """Round to the samples of this depth."""
        peak = (1 << self.depth) - 1
        return np.clip(np.rint(plane), 0, peak).astype(np.uint8 if self.depth == 8 else np.uint16)


@dataclass
class Frame:
    """One frame.

    Attributes:
        index: Its number in the clip, from 0.
        pts: When it is shown, in the clip's time base.
        duration: How long, in the same; 0: not told.
        planes: Its samples, padded to whole cells by their edge.
    """

    index: int
    pts: int
    duration: int
    planes: list[Plane]

    def copy(self) -> Frame:
        """Give one whose planes may be written to."""
        return replace(self, planes=[plane.copy() for plane in self.planes])


def to_cells(hole: Mask) -> Mask:
    """Give the cells that a hole reaches into.

    Args:
        hole: ``(H, W)`` bool, in pixels.

    Returns:
        ``(ceil(H / 2), ceil(W / 2))`` bool.

    Examples:
        >>> to_cells(np.array([[False, True, False]]))
        array([[ True, False]])
    """
    rows, columns = (side % CELL for side in hole.shape)
    if rows or columns:
        hole = np.pad(hole, ((0, rows), (0, columns)))
    tall = hole[::2] | hole[1::2]
    found: Mask = tall[:, ::2] | tall[:, 1::2]
    return found
