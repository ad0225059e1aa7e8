"""How far a photo was held out of level, by its straight lines.

The photo's lines (:mod:`freefill.vision.edges`) vote for the tilt under which most of them lie on
few long lines: for each tilt, pixels whose own direction fits it are counted along lines of that
tilt, and long lines count by the square of their length. That is the Hough transform (Duda and
Hart, "Use of the Hough Transformation to Detect Lines and Curves in Pictures", 1972) within a few
degrees of level and upright. Two things are known about photos beyond their lines: small tilts are
likelier than large ones, and what is upright in a scene is upright in its photo, while what is
level (the edge of a roof) slants with perspective: so upright lines count twice. NumPy alone.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from freefill.vision.edges import blurred, edges, gradient

LARGEST = 15.0
"""Degrees of the largest tilt that is looked for."""
USUAL = 8.0
"""Degrees; a tilt twice as large needs e**1.5 times the evidence of one that is as large."""
WINDOW = 2.0
"""Degrees by which a pixel's own direction may be off the line that it is counted for."""
SHORTEST = 0.1
"""Length of the shortest line that counts, as a share of the photo's side."""
UPRIGHT = 2.0
"""Weight of upright lines; that of level ones is 1."""
COARSE, FINE = 0.25, 0.05
"""Degrees from one tilt that is tried to the next, everywhere and around the best."""
APART = 1.5
"""Degrees from the best tilt from which on another counts as its rival."""


class Tilt(NamedTuple):
    """What a photo's lines say.

    Attributes:
        angle: Degrees anticlockwise by which the lines are off level and upright, in [-16, 16].
        support: Sum of the squared lengths of the lines that say so, in sides of the photo, beyond
            the shortest that counts; weighted.
        rival: The largest support of a clearly different tilt.
    """

    angle: float
    support: float
    rival: float


class _Lines(NamedTuple):
    """Pixels of near-level or near-upright lines, by their tilt in rising order."""

    tilt: NDArray[np.float32]
    across: NDArray[np.float32]
    along: NDArray[np.float32]


def tilt(rgb: NDArray[np.float32]) -> Tilt:
    """Measure how far a photo is out of level.

    Args:
        rgb: ``(H, W, 3)`` float32 in [0, 1]; about 200 to 1000 pixels a side.

    Returns:
        The tilt. It is worth something only where its support is large and its rival's is not.

    Examples:
        >>> row, column = np.mgrid[0:200, 0:300]
        >>> sea = np.clip(row + np.tan(np.radians(3)) * column - 110, 0, 1)
        >>> found = tilt(np.repeat(sea[..., None], 3, 2).astype(np.float32))
        >>> round(found.angle), found.support > 1.5, found.rival < 0.3
        (3, True, True)
    """
    lines = _lines(rgb)
    size = rgb.shape[0], rgb.shape[1]
    tried = np.arange(-LARGEST - 1, LARGEST + 1 + COARSE / 2, COARSE)
    support = np.array([_support(lines, angle, size) for angle in tried])
    around = tried[support.argmax()] + np.arange(-0.5, 0.5 + FINE / 2, FINE)
    close = np.array([_support(lines, angle, size) for angle in around])
    if not close.max() > 0:
        return Tilt(0.0, 0.0, 0.0)
    # A line of pixels fits a range of tilts equally well: the middle of them is meant.
    weight = np.where(close >= 0.7 * close.max(), close, 0)
    angle = float((around * weight).sum() / weight.sum())
    return Tilt(angle, float(close.max()), float(support[np.abs(tried - angle) > APART].max()))


def _lines(rgb: NDArray[np.float32]) -> tuple[_Lines, _Lines]:
    """Give the pixels of level and of upright lines: tilts, and places about the middle."""
    found = edges(rgb)
    planes = np.ascontiguousarray(rgb.transpose(2, 0, 1))
    across, down, _ = gradient(blurred(blurred(planes, 1), 1))
    row, column = np.nonzero(found)
    gx, gy = across[row, column], down[row, column]
    x = (column + 0.5 - found.shape[1] / 2).astype(np.float32)
    y = (row + 0.5 - found.shape[0] / 2).astype(np.float32)
    level = np.abs(gy) >= np.abs(gx)
    kinds = []
    for chosen, here, beside, place in ((level, gy, gx, (y, x)), (~level, gx, -gy, (x, -y))):
        off = np.degrees(np.arctan2(beside * np.sign(here), np.abs(here)))[chosen]
        order = np.argsort(off, kind="stable")
        kinds.append(_Lines(off[order], place[0][chosen][order], place[1][chosen][order]))
    return kinds[0], kinds[1]


def _support(kinds: tuple[_Lines, _Lines], angle: float, size: tuple[int, int]) -> float:
    side, reach = math.sqrt(size[0] * size[1]), max(size)
    turn = math.radians(angle)
    cosine, sine = np.float32(math.cos(turn)), np.float32(math.sin(turn))
    total = 0.0
    for lines, weight in zip(kinds, (1.0, UPRIGHT), strict=True):
        first, last = np.searchsorted(lines.tilt, (angle - WINDOW, angle + WINDOW))
        distance = lines.across[first:last] * cosine + lines.along[first:last] * sine
        # Nothing is further from the middle than the longer side.
        counts = np.bincount((distance + reach).astype(np.intp), minlength=2)
        # Two pixels wide, at each pixel: a line may lie on the border between two.
        lengths = (counts[1:] + counts[:-1]) / side - SHORTEST
        total += weight * float(np.square(np.maximum(lengths, 0)).sum())
    return total * math.exp(-((angle / USUAL) ** 2) / 2)
