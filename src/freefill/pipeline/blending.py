"""No edge where the hole was: the fill is brought to the colours that surround it.

A network's fill is a little too pale or too dark as a whole, and the eye sees that along the rim
before anything else. What is missing along the rim, the step from each pixel of the fill to its
known neighbours, is spread over the hole as smoothly as can be and added. That is the membrane of
"Poisson Image Editing" (Perez et al., 2003), spread by pull-push ("The Lumigraph", Gortler et al.,
1996; "Convolution Pyramids", Farbman et al., 2011) in time that grows with the pixels alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from freefill.imaging.box import bounds
from freefill.types import Rgb

Share = NDArray[np.float32]
Weighted = NDArray[np.float32]
"""``(H, W, 4)``: colours times their weight, and the weight, 0 or at least 1."""

ENOUGH = 0.1
"""Share of a shrunk pixel that must be known for its colour to count."""


def blend(completed: Rgb, seen: Rgb, share: Share) -> Rgb:
    """Take the step out of the rim of a fill.

    Args:
        completed: The picture, filled, ``(H, W, 3)`` in [0, 1].
        seen: The mean colour of what is known of each pixel, ``(H, W, 3)`` in [0, 1]; anything
            where nothing is.
        share: How much of each pixel is known, ``(H, W)`` in [0, 1]; what is below 1 was filled.

    Returns:
        The same with other colours in what was filled, in [0, 1].

    Examples:
        >>> seen, share = np.full((32, 32, 3), 0.5, np.float32), np.ones((32, 32), np.float32)
        >>> share[8:24, 8:24] = 0
        >>> pale = np.where(share[..., None] == 1, seen, np.float32(0.6))
        >>> bool(np.allclose(blend(pale, seen, share), seen))
        True
    """
    gap = share < 1
    box = bounds(gap)
    if box is None:
        return completed
    top, left = max(box.top - 1, 0), max(box.left - 1, 0)
    window = slice(top, box.bottom + 1), slice(left, box.right + 1)
    part, hole = completed[window], gap[window]
    missing = _doubled(spread(_steps(part, seen[window], share[window])), hole.shape)
    result = completed.copy()
    result[window][hole] = np.clip(part[hole] + missing[hole], 0, 1)
    return result


def _steps(part: Rgb, seen: Rgb, share: Share) -> Weighted:
    """Add up the steps from pixels of the fill to what is known, in cells of 2 by 2.

    Smoother than pixels: what is a step from one pixel to the next is mostly the photo's texture.
    """
    hole = share < 1
    rows, columns = (-(-side // 2) for side in hole.shape)
    # A pixel that is known in part should have the colour of that part; it counts as often as
    # all the neighbours that it could have.
    own = np.nonzero(hole & (share >= ENOUGH))
    cells, steps = (
        [np.repeat(own[0] // 2 * columns + own[1] // 2, 4)],
        [np.repeat(seen[own] - part[own], 4, 0)],
    )
    # Beyond the border lies nothing that is known.
    around = np.pad(hole, 1, constant_values=True)
    for down, right in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        beside = around[1 + down :, 1 + right :][: hole.shape[0], : hole.shape[1]]
        row, column = np.nonzero(hole & ~beside)
        steps.append(part[row + down, column + right] - part[row, column])
        cells.append(row // 2 * columns + column // 2)
    place, step = np.concatenate(cells), np.concatenate(steps)
    sums = [np.bincount(place, values, rows * columns) for values in (*step.T, None)]
    return np.stack(sums, -1).reshape(rows, columns, 4).astype(np.float32)


def spread(known: Weighted) -> Rgb:
    """Continue values into where there is no weight: coarser and coarser, and back.

    Args:
        known: ``(H, W, 4)``: values times their weight, and the weight, 0 or at least 1.

    Returns:
        ``(H, W, 3)``: the values where there is weight, and a smooth surface between them.

    Examples:
        >>> known = np.zeros((8, 8, 4), np.float32)
        >>> known[:, 0], known[:, 7] = (0, 0, 0, 1), (1, 1, 1, 1)
        >>> [round(float(value), 2) for value in spread(known)[4, :, 0]][::7]
        [0.0, 1.0]
    """
    if max(known.shape[:2]) <= 1:
        mean: Rgb = np.divide(known[..., :3], np.maximum(known[..., 3:], 1))
        return mean
    coarse = spread(_halved(known))
    weight = known[..., 3:]
    share = np.minimum(weight, 1)
    own = np.divide(known[..., :3], np.maximum(weight, 1))
    filled: Rgb = own + _doubled(coarse, known.shape[:2]) * (1 - share)
    return filled


def _halved(fine: Weighted) -> Weighted:
    rows, columns = (side % 2 for side in fine.shape[:2])
    if rows or columns:
        fine = np.pad(fine, ((0, rows), (0, columns), (0, 0)))
    tall = fine[::2] + fine[1::2]
    return tall[:, ::2] + tall[:, 1::2]


def _doubled(coarse: Rgb, size: tuple[int, ...]) -> Rgb:
    """Enlarge bilinearly by two, and cut to a size."""
    for axis in (0, 1):
        padded = np.pad(coarse, [(1, 1) if a == axis else (0, 0) for a in range(3)], "edge")
        padded = np.moveaxis(padded, axis, 0)
        near, far = padded[1:-1] * np.float32(0.75), padded * np.float32(0.25)
        both = np.stack([near + far[:-2], near + far[2:]], 1)
        coarse = np.moveaxis(both.reshape(-1, *near.shape[1:])[: size[axis]], 0, axis)
    return coarse
