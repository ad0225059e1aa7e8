"""Photos as most of the lab wants them: upright, RGB of 8 bits, shrunk, and nothing else kept.

The file is read as for a fill, so that training, packing and evaluation see the photos that a fill
sees: 16 bits are scaled and not cut, and what a fill refuses is refused here.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from freefill.errors import ImageError
from freefill.imaging.formats import MAX_PIXELS, limits
from freefill.imaging.formats.reader import read_file
from freefill.imaging.picture import Picture
from freefill.imaging.pillow import eight_bits, pillow_image


def read_rgb(
    source: str | os.PathLike[str] | BinaryIO, *, shorter: int = 0, max_pixels: int = MAX_PIXELS
) -> NDArray[np.uint8]:
    """Read a photo as 8-bit RGB.

    Args:
        source: Its path, or the open file.
        shorter: Longest allowed shorter side, in pixels; a larger photo is shrunk. 0 for any.
        max_pixels: The most that width times height of the file may be.

    Returns:
        ``(H, W, 3)`` uint8 RGB, upright. Alpha is left out.

    Raises:
        ImageError: If it is no photo that can be read.
        OutOfMemoryError: If there is not enough memory for it.
        OSError: If the system cannot read the file.
    """
    if isinstance(source, str | os.PathLike):
        with Path(source).open("rb") as file:
            picture = read_file(file, "path", str(source), max_pixels, shorter=shorter)
    else:
        name = str(getattr(source, "name", "the open file"))
        picture = read_file(source, "bytes", name, max_pixels, shorter=shorter)
    image = _as_rgb(picture)
    if shorter and min(image.size) > shorter:
        least = min(image.size)
        width, height = (max(shorter, round(side * shorter / least)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return np.asarray(image)


def is_whole(path: Path) -> bool:
    """Whether a file is a picture that is complete, as far as its checksums tell."""
    try:
        with path.open("rb") as file:
            limits.opened(file, str(path), MAX_PIXELS).verify()
    except (OSError, ValueError, SyntaxError):  # the last is Pillow's for a broken PNG
        return False
    return True


def is_picture(path: Path) -> bool:
    """Whether a file is of a format that is read here, also where it is refused for its size."""
    try:
        with path.open("rb") as file:
            limits.opened(file, str(path), MAX_PIXELS)
    except ImageError:
        return True
    except Exception:
        return False
    return True


def _as_rgb(picture: Picture) -> Image.Image:
    samples, mode = picture.samples, picture.mode
    if samples.dtype.itemsize > 1:
        samples, mode = eight_bits(samples), "L" if mode == "I;16" else mode
    if mode == "LA":
        samples, mode = samples[..., 0], "L"
    return pillow_image(np.ascontiguousarray(samples), mode, picture.palette).convert("RGB")
