"""Pictures for a screen: 8 bits, colours and alpha, in a file that every browser reads."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from freefill.imaging.box import Box, bounds
from freefill.imaging.picture import Picture

QUICK = 1
"""Of PNG's levels of compression: what goes to a page on the same machine is not worth more."""
QUALITY = 92
PROFILED = ("RGB", "RGBA", "L", "LA", "P", "I;16")
"""Modes whose colour profile fits the RGB that they are shown as; that of ink does not."""


def on_screen(picture: Picture, box: Box | None = None) -> NDArray[np.uint8]:
    """Give a picture as a screen takes it.

    Args:
        picture: Any.
        box: The part to give; by default all of it.

    Returns:
        ``(h, w, 3)`` or, where there is alpha, ``(h, w, 4)`` uint8.
    """
    box = box or Box.whole(picture.size)
    samples = picture.samples[box.window]
    if picture.mode in ("RGB", "RGBA") and samples.dtype == np.uint8:
        return samples
    colours = _eight_bits(picture.rgb(box))
    if not picture.has_alpha:
        return colours
    alpha = samples[..., -1:].astype(np.float32) / np.float32(picture.layout.peak)
    return np.concatenate([colours, _eight_bits(alpha)], -1)


def patch(picture: Picture) -> tuple[bytes, tuple[int, int]]:
    """Give what was filled, and nothing else.

    Args:
        picture: A picture that was filled.

    Returns:
        A PNG of the bounds of the hole, transparent outside it, and the left and top of these
        bounds in the picture. One transparent pixel if nothing was filled.
    """
    box = None if picture.changed_mask is None else bounds(picture.changed_mask)
    if picture.changed_mask is None or box is None:
        return _png(np.zeros((1, 1, 4), np.uint8), picture), (0, 0)
    pixels = on_screen(picture, box)
    hole = picture.changed_mask[box.window]
    out = np.zeros((*hole.shape, 4), np.uint8)
    out[hole, :3] = pixels[hole, :3]
    out[hole, 3] = pixels[hole, 3] if pixels.shape[-1] == 4 else 255
    return _png(out, picture), (box.left, box.top)


def preview(picture: Picture, longest: int) -> tuple[bytes, str]:
    """Give a picture that a browser could not read.

    Args:
        picture: Any.
        longest: The most that its longer side may have; a larger one is shrunk.

    Returns:
        The file, and its media type: a PNG where there is alpha, else a JPEG.
    """
    pixels = on_screen(picture)
    image = Image.fromarray(pixels)
    image.thumbnail((longest, longest), Image.Resampling.LANCZOS, reducing_gap=2.0)
    if pixels.shape[-1] == 4:
        return _png(np.asarray(image), picture), "image/png"
    out = BytesIO()
    image.save(out, "JPEG", quality=QUALITY, icc_profile=_profile(picture))
    return out.getvalue(), "image/jpeg"


def _eight_bits(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    return (np.clip(values, 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8)


def _profile(picture: Picture) -> bytes | None:
    return picture.info.get("icc_profile") if picture.mode in PROFILED else None


def _png(pixels: NDArray[np.uint8], picture: Picture) -> bytes:
    out = BytesIO()
    image = Image.fromarray(pixels)
    image.save(out, "PNG", compress_level=QUICK, icc_profile=_profile(picture))
    return out.getvalue()
