"""The lines of every photo, found once: what sketches are made of where there is no time to look.

Finding the lines of a crop takes longer than a GPU needs for a step with it. So those of whole
photos are found ahead, at three levels of detail, and kept as one byte a pixel.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from freefill.guidance.edges import edges
from freefill.guidance.thinning import components

DETAILS = (0.6, 1.0, 1.5)
"""Levels of detail, from few lines to many."""
NAMES = 64
"""Connected lines are told apart by a number below this, which two of a photo may share."""

Bytes = NDArray[np.uint8]


def encode(photo: Bytes) -> Bytes:
    """Find the lines of a photo.

    Args:
        photo: ``(H, W, 3)`` uint8 RGB.

    Returns:
        ``(H, W)`` uint8: 0 where there is no line; else 64 times 3 for a line that is found at the
        lowest detail, 2 or 1 for those that need more, plus a number that connected lines share.
    """
    rgb = photo.astype(np.float32) / np.float32(255)
    found = [edges(rgb, detail) for detail in DETAILS]
    label, _ = components(found[-1] | found[0] | found[1])
    # Neighbouring lines have neighbouring labels: spread them.
    name = (label.astype(np.int64) * 37) % NAMES
    code = np.zeros(photo.shape[:2], np.uint8)
    for level, lines in zip((1, 2, 3), reversed(found), strict=True):
        code[lines] = level
    return np.where(code > 0, code * NAMES + name, 0).astype(np.uint8)


def open_codes(
    views: list[Bytes], pixels: Path, progress: Callable[[int, int], None] | None = None
) -> Bytes:
    """Find the lines of all photos, on all cores, or open what an earlier call found.

    Args:
        views: The photos.
        pixels: File that holds them; the result is kept beside it, for these photos of it.
        progress: Called with (photos done, photos in all).

    Returns:
        Their codes, one photo after the other, ``(sum of H W,)`` uint8.
    """
    sizes = repr([view.shape for view in views]).encode()
    file = pixels.with_suffix(f".{hashlib.sha256(sizes).hexdigest()[:12]}.lines")
    note = file.with_suffix(".lines.json")
    if not note.exists():
        partial = file.with_suffix(f".{os.getpid()}.partial")
        try:
            with partial.open("wb") as out, ProcessPoolExecutor(os.cpu_count()) as pool:
                for done, code in enumerate(pool.map(encode, views, chunksize=16), 1):
                    out.write(code.tobytes())
                    if progress and done % 64 == 0:
                        progress(done, len(views))
            partial.replace(file)
        finally:
            partial.unlink(missing_ok=True)
        note.write_text(json.dumps({"details": DETAILS}))
    return np.memmap(file, np.uint8, "r")
