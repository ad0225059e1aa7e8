"""A watermark that several photos share: where it is, how opaque it is, and what is under it.

Where: Dekel et al., "On the Effectiveness of Visible Watermarks" (CVPR 2017): edges of photos
differ from one to the next, those of the watermark do not, so the median of all gradients is the
watermark's own, and an integral of that (Poisson's equation) gives its shape.

What is under it: they solve for matte, watermark and photos in turn. Here the network fills the
place in each photo first, which is a guess of what was there; across the stack, a regression of
what is seen on that guess gives for each pixel how much of the photo still comes through (the
guess's errors do not depend on it, so they do not bend the slope) and what was added. Where enough
comes through the photo is computed back; where not, the guess stays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from freefill.types import Mask, Plane
from freefill.vision.overlays.morphology import mean_around
from freefill.vision.overlays.parts import Parts, grown_from

FEWEST = 8
"""Photos in a stack."""
CERTAIN, LIKELY = 4.0, 2.5
"""Standard errors that a median gradient is away from 0 on an edge of the watermark: where it is
clearest, and next to that."""
ROUNDING = 0.5 / 255
"""What is added to them: samples are whole numbers."""
FAINTEST = 1.5 / 255
"""And how large it is, per pixel."""
BODY = 0.35
"""Share of the height of the watermark's edge at which its inside begins."""
REACH = 12
"""Pixels from an edge to the furthest inside."""
SMALLEST = 0.0004
"""Share of the photo that a part of it covers at least."""
CALMED = 2
"""Pixels on each side over which estimates are smoothed."""
LEAST_THROUGH = 0.3
"""Share of the photo that must come through for it to be computed back."""
NOTHING = 0.05
"""Opacity under which a pixel counts as not covered."""


def shared(light: NDArray[np.float32]) -> Mask:
    """Find what is at the same place in all photos.

    Args:
        light: ``(N, H, W)`` brightness in [0, 1] of at least :data:`FEWEST` photos.

    Returns:
        ``(H, W)`` bool.
    """
    count = len(light)
    medians = []
    certainty = np.zeros(light.shape[1:], np.float32)
    for axis in (1, 2):
        gradient = np.diff(light, axis=axis, append=np.take(light, [-1], axis))
        median = np.median(gradient, 0).astype(np.float32)
        # The error of a median, by the median deviation: most photos are calm at most places.
        error = 1.4826 * np.median(np.abs(gradient - median), 0) * 1.2533 / np.sqrt(count)
        medians.append(median)
        sure = np.abs(median) / (error + np.float32(ROUNDING))
        np.maximum(certainty, np.where(np.abs(median) > FAINTEST, sure, 0), out=certainty)
    # One sure pixel may be chance; a few side by side are not.
    sure = (certainty > CERTAIN).astype(np.float32)
    edge = grown_from((sure > 0) & (mean_around(sure, 2) > 0.24), certainty > LIKELY)
    if not edge.any():
        return edge
    # Gradients away from edges are what chance has left of the photos.
    near = mean_around(edge.astype(np.float32), 1) > 0
    shape = _integrated(*(np.where(near, median, 0) for median in medians))
    return _body(shape, near)


def _integrated(down: Plane, across: Plane) -> Plane:
    """Solve Poisson's equation for gradients, with nothing going over the border (cosines)."""
    height, width = down.shape
    source = np.zeros((height, width))
    source += np.diff(down[:-1], axis=0, prepend=0, append=0)
    source += np.diff(across[:, :-1], axis=1, prepend=0, append=0)
    mirrored = np.concatenate([source, source[::-1]])
    mirrored = np.concatenate([mirrored, mirrored[:, ::-1]], 1)
    rows = 2 - 2 * np.cos(np.pi * np.arange(2 * height) / height)
    columns = 2 - 2 * np.cos(np.pi * np.arange(2 * width) / width)
    power = rows[:, None] + columns
    power[0, 0] = 1
    spectrum = np.fft.fft2(mirrored) / -power
    spectrum[0, 0] = 0
    return np.fft.ifft2(spectrum).real[:height, :width].astype(np.float32)


def _body(shape: Plane, near: Mask) -> Mask:
    """Give edges and what they enclose, which lies as far from the ground as they do."""
    ground = float(np.median(shape[~near])) if not near.all() else 0.0
    level = np.abs(shape - ground)
    height = float(np.percentile(level[near], 80))
    beside = mean_around(near.astype(np.float32), REACH) > 0
    parts = Parts.of(near | (level > BODY * height) & beside)
    return parts.kept(parts.area > max(SMALLEST * near.size, 12))


Values = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Matte:
    """What was laid over the pixels of a hole, one entry a pixel.

    Attributes:
        through: ``(n,)``: share of the photo that comes through, in [0, 1].
        added: ``(n, 3)``: what was added to it, 0 to 1.
    """

    through: NDArray[np.float32]
    added: NDArray[np.float32]


def matte(seen: NDArray[np.float32], guess: NDArray[np.float32], hole: Mask) -> Matte:
    """Estimate the overlay from what is seen and what is thought to be under it.

    Args:
        seen: ``(N, n, 3)`` colours of the hole's pixels in each photo.
        guess: The same of the fills.
        hole: ``(H, W)`` bool with ``n`` pixels; neighbours in it are smoothed as far as they
            differ by no more than chance.

    Returns:
        The overlay. The share is the same for all channels, what was added is not.
    """
    count = len(seen)
    mean_seen, mean_guess = seen.mean(0), guess.mean(0)
    apart, other = guess - mean_guess, seen - mean_seen
    power = np.maximum((apart * apart).sum((0, 2)), 1e-4)
    slope = (apart * other).sum((0, 2)) / power
    unexplained = np.maximum((other * other).sum((0, 2)) - slope * slope * power, 0)
    noise = unexplained / max(3 * (count - 1) - 1, 1)
    through = np.clip(_calmed(slope, noise / power, hole), 0, 1)
    added = mean_seen - through[:, None] * mean_guess
    channels = [_calmed(channel, noise / count, hole) for channel in added.T]
    return Matte(through, np.stack(channels, -1))


def _calmed(values: NDArray[np.float32], noise: NDArray[np.float32], hole: Mask) -> Values:
    """Draw pixels to the mean of their neighbours in a hole, as far as chance explains them.

    Wiener's filter in its local form (Lee, "Digital Image Enhancement and Noise Filtering by Use of
    Local Statistics", 1980), with the variance that the regression tells of each value.
    """

    def around(pixels: NDArray[np.float32]) -> Plane:
        plane = np.zeros(hole.shape, np.float32)
        plane[hole] = pixels
        return mean_around(plane, CALMED)[hole]

    share = around(np.ones_like(values))
    mean = around(values) / share
    variance = np.maximum(around((values - mean) ** 2) / share, 1e-9)
    chance = around(noise) / share
    calmed: Values = mean + np.clip(1 - chance / variance, 0, 1) * (values - mean)
    return calmed


def uncovered(
    seen: NDArray[np.float32], guess: NDArray[np.float32], found: Matte
) -> NDArray[np.float32]:
    """Compute back what is under an overlay, as far as it comes through.

    Args:
        seen: ``(n, 3)`` colours of one photo.
        guess: ``(n, 3)`` of its fill.
        found: Of the stack.

    Returns:
        ``(n, 3)`` in [0, 1].
    """
    through = np.maximum(found.through, LEAST_THROUGH)[:, None]
    back = (seen - found.added) / through
    # From where little comes through to where much does, trust moves from the fill to the photo.
    trust = np.clip((found.through - LEAST_THROUGH) / 0.2, 0, 1)[:, None]
    colours: NDArray[np.float32] = np.clip(guess + trust * (back - guess), 0, 1)
    return colours
