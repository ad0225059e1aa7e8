"""A thin hole is seen large: what the network is shown of it has twice the photo's resolution.

The network draws with blocks of 3x3 at 1/4 of what it sees, and copies patches of 16 pixels. Across
a scratch of a few pixels that is coarse; twice as large it is fine enough.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from freefill.types import Rgb

MARGIN = 2
"""Pixels beyond a border that the filter looks at: the outermost ones are repeated there."""
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
    weight = _doubled(known)
    colours: Rgb = np.stack([_doubled(seen[..., c] * known) for c in range(3)], -1)
    colours /= weight.clip(LEAST)[..., None]
    return colours.clip(0, 1), known.repeat(2, 0).repeat(2, 1)


def _doubled(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    padded = Image.fromarray(np.pad(plane, MARGIN, "edge"))
    large = padded.resize((2 * padded.width, 2 * padded.height), Image.Resampling.BICUBIC)
    return np.asarray(large)[2 * MARGIN : -2 * MARGIN, 2 * MARGIN : -2 * MARGIN]
