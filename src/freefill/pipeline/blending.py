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
Planes = NDArray[np.float32]
"""``(C, H, W)``: each colour's rows lie together, which is how NumPy is fast."""

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
    hole = gap[window]
    missing = _doubled(_spread(_steps(completed[window], seen[window], share[window])), hole.shape)
    result = completed.copy()
    part = result[window]
    for channel, plane in enumerate(missing):
        part[..., channel] += plane * hole
    np.clip(part, 0, 1, out=part)
    return result


def _steps(part: Rgb, seen: Rgb, share: Share) -> Planes:
    """Add up the steps from pixels of the fill to what is known, in cells of 2 by 2.

    Smoother than pixels: what is a step from one pixel to the next is mostly the photo's texture.
    """
    hole = share < 1
    width = hole.shape[1]
    rows, columns = (-(-side // 2) for side in hole.shape)
    colours = part.reshape(-1, 3)
    # A pixel that is known in part should have the colour of that part; it counts as often as
    # all the neighbours that it could have.
    own = np.flatnonzero(hole & (share >= ENOUGH))
    places = [np.repeat(own, 4)]
    steps = [np.repeat(seen.reshape(-1, 3)[own] - colours[own], 4, 0)]
    # Beyond the border lies nothing that is known.
    around = np.pad(hole, 1, constant_values=True)
    for down, right in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        beside = around[1 + down :, 1 + right :][: hole.shape[0], :width]
        rim = np.flatnonzero(hole & ~beside)
        steps.append(colours[rim + down * width + right] - colours[rim])
        places.append(rim)
    row, column = np.divmod(np.concatenate(places), width)
    cell, step = row // 2 * columns + column // 2, np.concatenate(steps)
    sums = [np.bincount(cell, values, rows * columns) for values in (*step.T, None)]
    return np.stack(sums).reshape(4, rows, columns).astype(np.float32)


def spread(known: NDArray[np.float32]) -> Rgb:
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
    return np.ascontiguousarray(_spread(known.transpose(2, 0, 1)).transpose(1, 2, 0))


def _spread(known: Planes) -> Planes:
    weight = known[3:]
    own: Planes = np.divide(known[:3], np.maximum(weight, 1))
    if max(known.shape[1:]) <= 1:
        return own
    coarse = _doubled(_spread(_halved(known)), known.shape[1:])
    filled: Planes = own + coarse * (1 - np.minimum(weight, 1))
    return filled


def _halved(fine: Planes) -> Planes:
    rows, columns = (side % 2 for side in fine.shape[1:])
    if rows or columns:
        fine = np.pad(fine, ((0, 0), (0, rows), (0, columns)))
    tall = fine[:, ::2] + fine[:, 1::2]
    return tall[..., ::2] + tall[..., 1::2]


def _doubled(coarse: Planes, size: tuple[int, ...]) -> Planes:
    """Enlarge bilinearly by two, and cut to a size."""
    for axis in (1, 2):
        near = np.moveaxis(coarse * np.float32(0.75), axis, 0)
        far = np.moveaxis(coarse * np.float32(0.25), axis, 0)
        shape = list(coarse.shape)
        shape[axis] *= 2
        coarse = np.empty(shape, np.float32)
        both = np.moveaxis(coarse, axis, 0)
        # Each place becomes two, a quarter of the way to the one before it and to the one after.
        np.add(near[1:], far[:-1], out=both[2::2])
        np.add(near[:-1], far[1:], out=both[1:-1:2])
        both[0], both[-1] = near[0] + far[0], near[-1] + far[-1]
        coarse = coarse[:, : size[0]] if axis == 1 else coarse[..., : size[1]]
    return coarse
