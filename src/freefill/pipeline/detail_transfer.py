"""Detail at full resolution: the network's structure, the photo's own texture.

The network fills a large hole at a fraction of the photo's resolution. What that fraction lost is
taken from the photo: each patch of the small fill looks for the known patch that is most like it,
and gives its place to that patch's full-resolution pixels, corrected by the difference of the two
small ones. So colours and structure are the network's, and grain, focus and texture the photo's.
The idea is that of "Contextual Residual Aggregation" (Yi et al., CVPR 2020), which averages many
patches by attention; one patch has sharper texture than an average, and neighbours that choose in
step keep what continues from one patch into the next.

Only cells of the hole are computed, a few rows of them at a time, from the file's own samples: no
copy of the photo is made, whatever its size.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from freefill.imaging.box import Box
from freefill.imaging.picture import Picture
from freefill.types import Mask, Rgb

Places = NDArray[np.intp]

CELL = 8
"""Side of a cell of the small picture, in pixels. A patch has two by two cells."""
PARTS = 4
"""A cell is compared by the mean colours of this many parts in either direction."""
ROUGHNESS = 4.0
"""Weight of a cell's mean steps to the right and downwards, beside its colours."""
NEARNESS = 0.02
"""Weight of the distance between two patches, for each cell."""
PERIOD = 4
STEP = 0.02
"""What a patch costs that is half of :data:`PERIOD` cells out of step, a quarter of it: a choice in
step has neighbours that are neighbours in the photo, too."""
MARGIN = 2
"""Small pixels around a cell that enlarging it looks at."""
AT_ONCE = 2**19
"""Full-resolution pixels that are made at a time, at least one row of cells."""


class Sources(NamedTuple):
    """Where the detail of each patch comes from.

    Attributes:
        wanted: ``(h - 1, w - 1)`` bool for ``h`` by ``w`` cells: patches that touch the hole.
        places: ``(h - 1, w - 1, 2)``: row and column of the known patch of each.
    """

    wanted: Mask
    places: Places


def choose(completed: Rgb, gap: Mask, size: tuple[int, int]) -> Sources | None:
    """Find the known patch that is most like each patch of the fill.

    Args:
        completed: The small picture, filled, ``(H, W, 3)``; H and W multiples of 8.
        gap: What was filled, ``(H, W)``.
        size: Height and width of what is photo; beyond is padding, which gives nothing.

    Returns:
        The choice, the same for the same input; ``None`` where no patch is wholly known.
    """
    colours = _cells(completed, PARTS).reshape(*(side // CELL for side in gap.shape), -1)
    grey = completed.mean(-1)
    steps = np.stack([np.zeros_like(grey)] * 2, -1)
    steps[:, :-1, 0] = np.abs(np.diff(grey, axis=1))
    steps[:-1, :, 1] = np.abs(np.diff(grey, axis=0))
    features = [colours / PARTS, _cells(steps, 1)[..., 0, 0, :] * ROUGHNESS]
    cells = np.concatenate(features, -1)
    patches = np.concatenate(_corners(cells), -1)
    rows, columns = np.mgrid[: patches.shape[0], : patches.shape[1]].astype(np.float32)
    turn = 2 * math.pi / PERIOD
    places = [rows * NEARNESS, columns * NEARNESS]
    places += [
        math.sqrt(STEP) * wave(line * turn) for line in (rows, columns) for wave in (np.cos, np.sin)
    ]
    patches = np.concatenate([patches, np.stack(places, -1)], -1).astype(np.float32)

    missing = _cells(gap[..., None].astype(np.float32), 1)[..., 0, 0, :] > 0
    wanted = np.logical_or.reduce(_corners(missing), axis=0)[..., 0]
    whole = (rows + 2) * CELL <= size[0], (columns + 2) * CELL <= size[1]
    given = np.flatnonzero((~wanted & whole[0] & whole[1]).ravel())
    if not given.size:
        return None
    flat = patches.reshape(-1, patches.shape[-1])
    offers = flat[given]
    fit = 2 * flat[wanted.ravel()] @ offers.T - np.square(offers).sum(1)
    best = given[fit.argmax(1)]
    found = np.zeros((*wanted.shape, 2), np.intp)
    found[wanted] = np.stack(np.divmod(best, wanted.shape[1]), -1)
    return Sources(wanted, found)


def bands(
    picture: Picture, box: Box, hole_box: Box, hole: Mask, completed: Rgb, gap: Mask, factor: int
) -> Iterator[tuple[Box, Mask, Rgb]]:
    """Make the full-resolution colours of a hole, a few rows of cells at a time.

    Args:
        picture: The photo.
        box: Which part of it the small picture shows.
        hole_box: Where colours are wanted, within ``box``.
        hole: The hole in ``hole_box``, ``(h, w)``.
        completed: The small picture, filled, padded to multiples of 8.
        gap: What was filled in it.
        factor: How many times smaller it is, a whole number.

    Yields:
        Box, hole and colours, ``(h, w, 3)`` in about [0, 1], of each band of rows.
    """
    side = CELL * factor
    shown = box.size[0] // factor, box.size[1] // factor
    sources = choose(completed, gap, shown)
    enlarge = _enlarging(factor)
    padded = np.pad(completed, ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)), "edge")
    # The hole's box in cells of the crop.
    top, left = hole_box.top - box.top, hole_box.left - box.left
    bottom, right = hole_box.bottom - box.top, hole_box.right - box.left
    columns = np.arange(left // side, -(-right // side))
    per_row = side * side * len(columns)
    together = max(1, AT_ONCE // per_row)
    for first in range(top // side, -(-bottom // side), together):
        last = min(first + together, -(-bottom // side))
        start, end = max(first * side, top), min(last * side, bottom)
        local = hole[start - top : end - top]
        if not local.any():
            continue
        canvas = np.zeros((last - first, side, len(columns), side, 3), np.float32)
        inside = np.zeros((canvas.shape[0] * side, canvas.shape[2] * side), bool)
        inside[start - first * side : end - first * side, left - columns[0] * side :][
            :, : right - left
        ] = local
        needed = inside.reshape(canvas.shape[:4]).any((1, 3))
        row, column = np.nonzero(needed)
        colours = _detailed(
            picture, box, padded, sources, enlarge, np.stack([row + first, column + columns[0]], -1)
        )
        canvas[row, :, column] = colours
        band = canvas.reshape(*inside.shape, 3)[
            start - first * side : end - first * side, left - columns[0] * side :
        ][:, : right - left]
        yield (
            Box(
                left=hole_box.left, top=box.top + start, right=hole_box.right, bottom=box.top + end
            ),
            local,
            band,
        )


def _detailed(
    picture: Picture,
    box: Box,
    padded: Rgb,
    sources: Sources | None,
    enlarge: NDArray[np.float32],
    cells: Places,
) -> Rgb:
    """Make the colours of cells ``(N, 2)`` of the crop, ``(N, side, side, 3)``."""
    side = len(enlarge)
    small = _around(padded, cells)
    if sources is None:
        return _enlarged(enlarge, small)
    total = np.zeros((len(cells), side, side, 3), np.float32)
    weight = np.zeros((len(cells), side, side, 1), np.float32)
    height, width = sources.wanted.shape
    for a in (0, 1):
        for b in (0, 1):
            # This cell is the (a, b) quarter of the patch that starts a rows and b columns before.
            row, column = cells[:, 0] - a, cells[:, 1] - b
            has = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            index = np.flatnonzero(has)
            origin = sources.places[row[index], column[index]] + (a, b)
            pixels = _pixels(picture, box, origin, side)
            difference = small[index] - _around(padded, origin)
            window = _window(side, a)[:, None, None] * _window(side, b)[:, None]
            total[index] += (pixels + _enlarged(enlarge, difference)) * window
            weight[index] += window
    return total / weight


def _pixels(picture: Picture, box: Box, cells: Places, side: int) -> Rgb:
    """Read cells of the photo, ``(N, side, side, 3)`` in [0, 1]."""
    within = np.arange(side)
    rows = box.top + cells[:, :1] * side + within
    columns = box.left + cells[:, 1:] * side + within
    samples = picture.samples[rows[:, :, None], columns[:, None, :]]
    flat = samples.reshape(-1, side, *samples.shape[3:])
    return picture.layout.to_rgb(flat).reshape(len(cells), side, side, 3)


def _around(padded: Rgb, cells: Places) -> Rgb:
    """Read cells of the small picture with a margin, ``(N, 8 + 4, 8 + 4, 3)``."""
    within = np.arange(CELL + 2 * MARGIN)
    rows = cells[:, :1] * CELL + within
    columns = cells[:, 1:] * CELL + within
    found: Rgb = padded[rows[:, :, None], columns[:, None, :]]
    return found


def _enlarging(factor: int) -> NDArray[np.float32]:
    """Give the matrix that enlarges a cell with its margin along one axis, bicubic (a = -0.5)."""
    places = (np.arange(CELL * factor) + 0.5) / factor - 0.5 + MARGIN
    distance = np.abs(places[:, None] - np.arange(CELL + 2 * MARGIN))
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0)).astype(np.float32)


def _enlarged(enlarge: NDArray[np.float32], small: Rgb) -> Rgb:
    tall = np.tensordot(small, enlarge, (1, 1))  # (N, w, 3, side)
    wide: Rgb = np.tensordot(tall, enlarge, (1, 1))  # (N, 3, side, side)
    return wide.transpose(0, 2, 3, 1)


def _window(side: int, quarter: int) -> NDArray[np.float32]:
    """Give one half of a raised cosine over two cells; never quite 0, for the photo's border."""
    places = np.arange(quarter * side, (quarter + 1) * side) + 0.5
    wave: NDArray[np.float64] = np.cos(math.pi * places / side)
    return (0.5 - 0.5 * wave + 1e-3).astype(np.float32)


def _cells(picture: Rgb, parts: int) -> Rgb:
    """Average the parts of each cell, ``(H, W, C)`` to ``(H / 8, W / 8, parts, parts, C)``."""
    height, width, channels = picture.shape
    size = CELL // parts
    blocks = picture.reshape(height // CELL, parts, size, width // CELL, parts, size, channels)
    means: Rgb = blocks.mean((2, 5))
    return means.transpose(0, 2, 1, 3, 4)


def _corners(cells: NDArray[np.generic]) -> list[NDArray[np.generic]]:
    """List the four cells of each patch, each ``(h - 1, w - 1, C)``."""
    height, width = cells.shape[0] - 1, cells.shape[1] - 1
    return [cells[a : a + height, b : b + width] for a in (0, 1) for b in (0, 1)]
