"""One picture laid into another: soft edges, and what to do about the step of colour there.

Poisson cloning (Perez et al., 2003) brings the whole of what is pasted to the colours along its
edge. That is right where the edge runs through the ground that came along with an object, and
wrong where it is the object's own outline: a red ball on grass would turn green. So the step is
taken out only where the picture that the part was cut from shows no step of its own
(:func:`continuity`), spread as a membrane by pull-push (:func:`membrane`), and added where the part
looks like that ground (:func:`likeness`). NumPy and Pillow.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from freefill.pipeline.blending import spread
from freefill.types import Rgb

Mask = NDArray[np.bool_]
Share = NDArray[np.float32]

NEAR = 3
"""Pixels on each side of an edge whose mean colour is compared."""
STEP = 0.06
"""Step of colour, root of the mean square of the channels, at which an outline is as likely as a
ground that goes on."""

LIKE = 0.1
"""The same for pixels that may be of a ground, which has some texture."""


def soft(mask: Mask, continued: Share) -> Share:
    """Give a mask a soft edge inside it: of a pixel along outlines, of two where a ground goes on.

    Args:
        mask: ``(H, W)`` bool.
        continued: ``(H, W)`` in [0, 1]: along the rim, how likely a ground goes on there.

    Returns:
        ``(H, W)`` in [0, 1], 0 outside the mask, 1 from the third pixel inwards.

    Examples:
        >>> mask = np.zeros((9, 9), bool)
        >>> mask[:, 2:7] = True
        >>> [round(float(s), 2) for s in soft(mask, np.zeros((9, 9), np.float32))[4]]
        [0.0, 0.0, 0.67, 1.0, 1.0, 1.0, 0.67, 0.0, 0.0]
        >>> [round(float(s), 2) for s in soft(mask, np.ones((9, 9), np.float32))[4]]
        [0.0, 0.0, 0.2, 0.6, 1.0, 0.6, 0.2, 0.0, 0.0]
    """
    # What lies beyond the picture is no part of the mask.
    padded = np.pad(mask, 2)
    image = Image.fromarray(padded.astype(np.uint8) * 255)
    sharp, wide = (
        np.asarray(image.filter(ImageFilter.BoxBlur(radius)))[2:-2, 2:-2] / np.float32(255)
        for radius in (1, 2)
    )
    edge = rim(mask)
    goes_on = membrane(np.repeat(continued[..., None], 3, 2), edge)[..., 0] if edge.any() else 0
    share = sharp + goes_on * (np.clip(2 * wide - 1, 0, 1) - sharp)
    return np.where(mask, np.clip(share, 0, 1), 0).astype(np.float32)


def rim(mask: Mask) -> Mask:
    """Give the pixels of a mask that have a neighbour (of four) outside it, in the picture.

    Args:
        mask: ``(H, W)`` bool.

    Returns:
        ``(H, W)`` bool.
    """
    around = np.pad(mask, 1, constant_values=True)
    inside = around[:-2, 1:-1] & around[2:, 1:-1] & around[1:-1, :-2] & around[1:-1, 2:]
    found: Mask = mask & ~inside
    return found


def local_means(rgb: Rgb, where: Mask, radius: int) -> Rgb:
    """Give the mean colour of some pixels, in a square around each pixel.

    Args:
        rgb: ``(H, W, 3)``.
        where: Pixels that count.
        radius: Of the square: its side is twice this and one.

    Returns:
        ``(H, W, 3)``; 0 where none is near.
    """
    sums: NDArray[Any] = np.dstack([rgb * where[..., None], where]).astype(np.float32)
    for axis in (0, 1):
        padding = [(0, 0)] * 3
        padding[axis] = (radius + 1, radius)
        summed = np.cumsum(np.pad(sums, padding), axis=axis, dtype=np.float64)
        count = sums.shape[axis]
        last = np.take(summed, np.arange(count) + 2 * radius + 1, axis)
        sums = np.asarray(last - np.take(summed, np.arange(count), axis), np.float32)
    means: Rgb = sums[..., :3] / np.maximum(sums[..., 3:], np.float32(0.5))
    return means


def continuity(rgb: Rgb, mask: Mask) -> Share:
    """Tell where the edge of a mask runs through something that goes on behind it.

    Args:
        rgb: ``(H, W, 3)`` in [0, 1]: the picture that the part was cut from.
        mask: ``(H, W)`` bool.

    Returns:
        ``(H, W)``: along the rim 1 where both sides look alike, 0 where they do not; else 0.
    """
    edge = rim(mask)
    inside, outside = (local_means(rgb, where, NEAR)[edge] for where in (mask, ~mask))
    squared = np.square(outside - inside).mean(-1) / np.float32(STEP * STEP)
    share = np.zeros(mask.shape, np.float32)
    share[edge] = 1 / (1 + np.square(squared))
    return share


def likeness(rgb: Rgb, ground: Rgb) -> Share:
    """Tell how much each place of a picture looks like a smooth ground.

    Args:
        rgb: ``(H, W, 3)`` in [0, 1].
        ground: ``(H, W, 3)`` in [0, 1].

    Returns:
        ``(H, W)`` in [0, 1]; a hundredth and less is 0.
    """
    everywhere = np.ones(rgb.shape[:2], bool)
    apart = np.square(local_means(rgb, everywhere, 1) - ground).mean(-1)
    alike = 1 / (1 + np.square(apart / np.float32(LIKE * LIKE)))
    # A single pixel says little: its neighbours have a say.
    blurred = local_means(np.repeat(alike[..., None], 3, 2), everywhere, 2)[..., 0]
    return np.where(blurred > 0.01, blurred, np.float32(0))


def membrane(steps: Rgb, edge: Mask) -> Rgb:
    """Spread what is known along an edge over the whole picture.

    Args:
        steps: ``(H, W, 3)``: what is to be added, along the edge.
        edge: ``(H, W)`` bool: where it is known.

    Returns:
        ``(H, W, 3)``.
    """
    known = np.dstack([steps * edge[..., None], edge]).astype(np.float32)
    return spread(known)
