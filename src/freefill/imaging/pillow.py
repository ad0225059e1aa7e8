"""Pictures as Pillow images."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from freefill.imaging.codecs import Samples
from freefill.imaging.picture import Picture


def to_pillow(picture: Picture) -> Image.Image:
    """Give a picture as a Pillow image of the same mode.

    Pillow has no mode for 16-bit colour or for floats: they are rounded to 8 bits.

    Args:
        picture: The picture.

    Returns:
        The image, with the picture's metadata in its ``info``.
    """
    samples, deep = picture.samples, _is_deeper(picture)
    image = pillow_image(eight_bits(samples) if deep else samples, picture.mode, picture.palette)
    # A transparent colour of 16 bits is none of those of 8.
    kept = {k: v for k, v in picture.info.items() if not deep or k != "transparency"}
    image.info.update(kept)
    return image


def rounded_by_pillow(picture: Picture) -> list[str]:
    """Say what a person should know of a picture as a Pillow image: that it is rounded, if so."""
    if not _is_deeper(picture):
        return []
    return [
        f"a Pillow image has no mode for {picture.samples.dtype} {picture.mode}: it is rounded to "
        "8 bits; an array, bytes, or a file by `fill_file`, keep all of them"
    ]


def _is_deeper(picture: Picture) -> bool:
    return picture.samples.dtype.itemsize > 1 and picture.mode != "I;16"


def save_jpeg(image: Image.Image, out: BinaryIO, **options: Any) -> None:
    """Write a JPEG as Pillow does, with room for any noise.

    Pillow gives the encoder a buffer of one or two bytes a pixel, into which a progressive or
    optimised JPEG has to fit as a whole. Noise at high quality has more.

    Args:
        image: The image.
        out: Where to.
        **options: Pillow's.
    """
    metadata = sum(len(value) for value in options.values() if isinstance(value, bytes))
    samples = image.width * image.height * len(image.getbands())
    with _room(LARGEST_SAMPLE * samples + metadata + SPARE):
        image.save(out, "JPEG", **options)


LARGEST_SAMPLE = 4
"""Bytes that a sample may need: ITU-T T.81 has at most 26 bits for each of 8 bits, and zeros are
stuffed in."""
SPARE = 1 << 16
"""Bytes for tables and the like."""

_rooms: list[int] = []
_usual = ImageFile.MAXBLOCK
_changing = threading.Lock()


@contextmanager
def _room(size: int) -> Iterator[None]:
    """Have Pillow's encoders use buffers of a size, a global, while any thread needs it."""
    global _usual
    with _changing:
        if not _rooms:
            _usual = ImageFile.MAXBLOCK
        _rooms.append(size)
        ImageFile.MAXBLOCK = max(_usual, *_rooms)
    try:
        yield
    finally:
        with _changing:
            _rooms.remove(size)
            ImageFile.MAXBLOCK = max([_usual, *_rooms])


def eight_bits(samples: Samples) -> NDArray[np.uint8]:
    """Round samples of 16 bits, or floats in [0, 1], to 8 bits."""
    if samples.dtype.kind == "f":
        rounded: NDArray[np.uint8] = np.rint(np.clip(samples, 0, 1) * 255).astype(np.uint8)
        return rounded
    # The nearest of x / 257, in whole numbers.
    wide = samples.astype(np.uint32)
    return ((wide * 255 + 32767) // 65535).astype(np.uint8)


def pillow_image(
    samples: Samples, mode: str, palette: NDArray[np.uint8] | None = None
) -> Image.Image:
    """Make a Pillow image of 8-bit samples, or 16 of grey.

    Args:
        samples: ``(H, W)`` or ``(H, W, C)``.
        mode: Pillow's name for them.
        palette: ``(N, 3)`` colours of mode ``P``.

    Returns:
        The image.
    """
    if samples.ndim == 3 and samples.shape[-1] == 1:
        samples = samples[..., 0]
    if mode == "P" and palette is not None:
        image = Image.fromarray(samples)
        image.putpalette(palette.tobytes())
        return image
    image = Image.fromarray(samples, None if mode != "CMYK" else "CMYK")
    if image.mode != mode:
        image = Image.frombytes(mode, image.size, samples.tobytes())
    return image
