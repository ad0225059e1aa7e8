"""Dust: specks that are brighter, or darker, than everything close around them, which is calm.

Top-hat and black-hat on a square a little larger than a speck find them; whether one stays is
decided by a few measures, of which the calm of the ring around it weighs most: leaves and grain
are specks, too, but next to others.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from freefill.imaging.codecs import LUMA
from freefill.types import Plane, Rgb
from freefill.vision.overlays.judging import Findings, Judge, magnitude
from freefill.vision.overlays.morphology import closed, highest, opened
from freefill.vision.overlays.parts import Numbers, Parts, grown_from

Mask = NDArray[np.bool_]

RADIUS = 4
"""Half of the square that no speck fills, in pixels."""
LONGEST_SPECK = 36
"""Pixels of the longest hair."""
STRONG = 0.05
"""By how much, of full intensity, a speck stands out at its best place."""
SHARE = 0.4
"""And everywhere, as a share of the most that anything does close by."""
NEAR, FAR = 2, 7
"""Pixels from a speck's box at which the ring around it begins and ends."""
JUDGE = Judge(
    {
        "apart": 2.01,
        "unrest": -1.76,
        "area": -0.544,
        "length": -0.903,
        "steep": 0.279,
        "level": 4.04,
        "colour": -0.0719,
        "around": -1.54,
        "colour around": 1.98,
    },
    -4.02,
    0.3,
)


def dust(rgb: Rgb, within: Mask | None = None) -> Mask:
    """Find specks and short hairs.

    Args:
        rgb: ``(H, W, 3)`` in [0, 1].
        within: ``(H, W)`` bool: where a person said that there is some.

    Returns:
        ``(H, W)`` bool.

    Examples:
        >>> rgb = np.full((64, 64, 3), 0.4, np.float32)
        >>> rgb[20:23, 30:32] = 0.9
        >>> int(dust(rgb).sum())
        6
    """
    return find_dust(rgb, within).mask


def find_dust(rgb: Rgb, within: Mask | None = None) -> Findings:
    """Find them with how likely each is one; as :func:`dust`."""
    found, odds = np.zeros(rgb.shape[:2], bool), []
    for parts, measures in candidates(rgb):
        taken = JUDGE.taken(measures, within is not None)
        found |= parts.kept(taken > 0)
        odds += taken[taken > 0].tolist()
    return Findings.of(found if within is None else found & within, odds)


def candidates(rgb: Rgb) -> Iterator[tuple[Parts, dict[str, Numbers]]]:
    """Give bright specks, then dark ones, with their measures."""
    light = rgb @ LUMA
    hats = light - opened(light, RADIUS), closed(light, RADIUS) - light
    unrest = np.maximum(*hats) ** 2
    slope = np.hypot(*np.gradient(light)).astype(np.float32)
    colour = rgb.max(-1) - rgb.min(-1)
    # How far it has gone to white, or to black.
    levels = rgb.min(-1), 1 - rgb.max(-1)
    for hat, level in zip(hats, levels, strict=True):
        ground = hat > np.maximum(SHARE * highest(hat, RADIUS), np.float32(STRONG * SHARE))
        parts = Parts.of(grown_from(hat > STRONG, ground))
        length = np.hypot(parts.height, parts.width)
        parts = parts.only((length < LONGEST_SPECK) & (parts.area < 5 * length))
        length = np.hypot(parts.height, parts.width)
        apart = parts.most(hat)
        yield (
            parts,
            {
                "apart": magnitude(apart),
                "unrest": magnitude(np.sqrt(_mean_in_ring(parts, unrest))),
                "area": magnitude(parts.area),
                "length": magnitude(length),
                "steep": parts.most(slope) / np.maximum(apart, 1e-3),
                "level": parts.most(level),
                "colour": parts.mean(colour),
                "around": _mean_in_ring(parts, level),
                "colour around": _mean_in_ring(parts, colour),
            },
        )


def _mean_in_ring(parts: Parts, plane: Plane) -> Numbers:
    """Give the mean of a plane in a rectangular ring around each part."""
    height, width = plane.shape
    sums = np.zeros((height + 1, width + 1))
    sums[1:, 1:] = plane.astype(np.float64).cumsum(0).cumsum(1)

    def inside(margin: int) -> tuple[Numbers, Numbers]:
        top, left = (np.maximum(e - margin, 0).astype(int) for e in (parts.top, parts.left))
        bottom = np.minimum(parts.bottom + margin, height).astype(int)
        right = np.minimum(parts.right + margin, width).astype(int)
        total = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
        return total, ((bottom - top) * (right - left)).astype(float)

    (outer, more), (inner, less) = inside(FAR), inside(NEAR)
    mean: Numbers = (outer - inner) / np.maximum(more - less, 1)
    return np.maximum(mean, 0)
