"""The lines of every photo, found once: what sketches are made of where there is no time to look.

Finding the lines of a crop takes longer than a GPU needs for a step with it. So those of whole
photos are found ahead, at three levels of detail, and kept as one byte a pixel.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from freefill.lab.data.photos import PhotoStore
from freefill.lab.data.processes import on_all_cores
from freefill.masks.thinning import components
from freefill.vision.edges import edges_at

DETAILS = (0.6, 1.0, 1.5)
"""Levels of detail, from few lines to many."""
NAMES = 64
"""Connected lines are distinguished by a number below this, which two of a photo may share."""
VERSION = 1
"""Goes up when the lines of a photo, or their codes, change."""

Bytes = NDArray[np.uint8]


def encode(photo: Bytes) -> Bytes:
    """Find the lines of a photo.

    Args:
        photo: ``(H, W, 3)`` uint8 RGB.

    Returns:
        ``(H, W)`` uint8: 0 where there is no line; else 64 times 3 for a line that is found at the
        lowest detail, 2 or 1 for those that need more, plus a number that connected lines share.
    """
    found = edges_at(photo.astype(np.float32) / np.float32(255), DETAILS)
    label, _ = components(np.logical_or.reduce(found))
    # Neighbouring lines have neighbouring labels: spread them.
    name = (label.astype(np.int64) * 37) % NAMES
    code = np.zeros(photo.shape[:2], np.uint8)
    for level, lines in zip((1, 2, 3), reversed(found), strict=True):
        code[lines] = level
    return np.where(code > 0, code * NAMES + name, 0).astype(np.uint8)


def open_codes(
    store: PhotoStore, used: Sequence[int], progress: Callable[[int, int], None] | None = None
) -> Bytes:
    """Find the lines of photos, on all cores, or open what an earlier call found.

    Args:
        store: The photos; the result is kept beside its file.
        used: Which of them.
        progress: Called with (photos done, photos in all).

    Returns:
        Their codes, one photo after the other, ``(sum of H W,)`` uint8.
    """
    shapes = store.shapes[used].tolist()
    whole = sum(height * width for height, width in shapes)
    digest = hashlib.sha256(repr((VERSION, DETAILS, NAMES, list(used))).encode()).hexdigest()
    file = store.file.with_suffix(f".{digest[:12]}.lines")
    if not file.exists() or file.stat().st_size != whole:
        starts = store.starts[used].tolist()
        places = [(start, *shape) for start, shape in zip(starts, shapes, strict=True)]
        partly = file.with_suffix(f".{os.getpid()}.partial")
        found = on_all_cores(partial(_encode_at, store.file), places, 8)
        try:
            with partly.open("wb") as out:
                for done, code in enumerate(found, 1):
                    out.write(code.tobytes())
                    if progress and (done % 512 == 0 or done == len(places)):
                        progress(done, len(places))
            partly.replace(file)
        finally:
            found.close()
            partly.unlink(missing_ok=True)
    return np.memmap(file, np.uint8, "r")


def _encode_at(file: Path, place: tuple[int, int, int]) -> Bytes:
    start, height, width = place
    return encode(np.memmap(file, np.uint8, "r", start, (height, width, 3)))
