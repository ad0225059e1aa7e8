"""A thin hole is seen large: what the network is shown of it has twice the photo's resolution.

The network draws with blocks of 3x3 at 1/4 of what it sees, and copies patches of 16 pixels. Across
a scratch of a few pixels that is coarse; twice as large it is fine enough.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from freefill.types import Rgb

TAPS = ((-3, 29, 111, -9), (-9, 111, 29, -3))
"""Bicubic weights (a = -0.5) of both halves of a pixel, in 128ths: of the four pixels from two
before it, and of those from one before it."""
LEAST = 0.5
"""Weight of what is known below which a half pixel has no known colour of its own; where the pixel
itself is known there is more."""


def enlarged(seen: Rgb, known: NDArray[np.float32]) -> tuple[Rgb, NDArray[np.float32]]:
    """Double a crop, with nothing of what is unknown in what is known.

    Args:
        seen: ``(h, w, 3)`` in [0, 1], anything where nothing is known.
        known: ``(h, w)``, 1 or 0.

    Returns:
        Colours in [0, 1] and what is known, ``(2h, 2w, 3)`` and ``(2h, 2w)``.

    Examples:
        >>> known = np.ones((8, 8), np.float32)
        >>> known[3:5] = 0
        >>> large, there = enlarged(np.full((8, 8, 3), 0.25, np.float32), known)
        >>> large.shape, bool(np.allclose(large[there > 0], 0.25))
        ((16, 16, 3), True)
    """
    weight = known[..., None]
    total = _doubled(np.concatenate([seen * weight, weight], -1))
    colours: Rgb = np.divide(total[..., :3], total[..., 3:].clip(LEAST), dtype=np.float32)
    return colours.clip(0, 1), known.repeat(2, 0).repeat(2, 1)


def _doubled(values: NDArray[np.float32]) -> NDArray[np.float32]:
    for axis in (0, 1):
        length = values.shape[axis]
        padding = [(2, 2) if a == axis else (0, 0) for a in range(values.ndim)]
        padded = np.pad(values, padding, "edge")
        halves = []
        for first, taps in enumerate(TAPS):
            parts = (
                padded.take(range(first + i, first + i + length), axis) * np.float32(tap / 128)
                for i, tap in enumerate(taps)
            )
            halves.append(sum(parts))
        shape = list(values.shape)
        shape[axis] *= 2
        values = np.stack(halves, axis + 1).reshape(shape)
    return values
