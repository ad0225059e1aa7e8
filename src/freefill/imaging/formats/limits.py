"""What is refused before any of its pixels are decoded: too large, empty, or a header that lies.

Pillow has a limit of its own, a global that every thread shares and that warns before it refuses.
Here the limit belongs to the call, and one line says what is wrong and which option moves it.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from PIL import Image, ImageFile, UnidentifiedImageError

from freefill.errors import ImageError

MAX_PIXELS_PER_BYTE = {"PNG": 8 * 1032, "JPEG": 512, "MPO": 512, "GIF": 2800}
"""How far a format can pack pixels. Deflate: 1032 bytes into one, of at most 8 pixels each. JPEG:
the 64 pixels of a block need a bit. GIF: a code of 12 bits stands for at most 4096 pixels."""

HEADER = 4096
"""Bytes that any file of pixels needs besides them, so that small pictures are not suspected."""


def opened(file: BinaryIO, name: str, max_pixels: int) -> ImageFile.ImageFile:
    """Open a file of pixels: its header is read, its pixels are not.

    Args:
        file: The file, at any place.
        name: What errors call it.
        max_pixels: The most that its width times its height may be.

    Returns:
        Pillow's image, not loaded.

    Raises:
        ImageError: If it is too large, has no pixels, or is too short for the size it claims.
        UnidentifiedImageError: If no reader knows it.
    """
    with lifted(max_pixels // 2):
        image = _identified(file)
    # Some readers (DDS) leave their pixels for later, and read on from here.
    place = file.tell()
    check_size(image.size, name, max_pixels)
    length = file.seek(0, 2)
    allowed = MAX_PIXELS_PER_BYTE.get(image.format or "")
    pixels = image.width * image.height
    if allowed and pixels > allowed * (length + HEADER):
        raise ImageError(
            f"{name} says that it is {image.width}x{image.height}, but its {length} bytes cannot "
            "hold that: it is damaged or was made to do harm"
        )
    file.seek(place)
    return image


PILLOWS = 89_478_485
"""Pillow's own limit, above which it warns; it refuses at twice that."""

_lifting = threading.RLock()


@contextmanager
def lifted(pixels: int) -> Iterator[None]:
    """Set Pillow's own limit aside where it is lower than what is allowed here.

    It is a global, so this is done only for pictures that need it, one at a time.
    """
    limit = Image.MAX_IMAGE_PIXELS
    if pixels <= PILLOWS and (limit is None or pixels <= limit):
        yield
        return
    with _lifting:
        limit = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def check_size(size: tuple[int, int], name: str, max_pixels: int) -> None:
    """Refuse a size (width, height) that is empty or beyond the limit.

    Args:
        size: Width and height.
        name: What errors call it.
        max_pixels: The limit.

    Raises:
        ImageError: If there are no pixels, or too many.
    """
    width, height = size
    if width <= 0 or height <= 0:
        raise ImageError(f"{name} is {width}x{height}: there is nothing in it")
    if width * height > max_pixels:
        raise ImageError(
            f"{name} is {width}x{height}, {_mega(width * height)} megapixels; the limit is "
            f"{_mega(max_pixels)}: `max_pixels={width * height}` lets it in"
        )


def check_whole(file: BinaryIO, name: str) -> None:
    """Refuse a file that is empty, or shorter than it says itself.

    Args:
        file: The file.
        name: What errors call it.

    Raises:
        ImageError: If there is nothing in it, or if it is truncated (WebP, AVIF, HEIF; of other
            formats the readers find out).
    """
    length = file.seek(0, 2)
    if not length:
        raise ImageError(f"{name} is empty: it has 0 bytes")
    file.seek(0)
    head = file.read(12)
    needed = 0
    if head[:4] == b"RIFF" and head[8:] == b"WEBP":
        needed = 8 + int.from_bytes(head[4:8], "little")
    elif head[4:8] == b"ftyp":
        place = 0
        while place + 8 <= length:
            file.seek(place)
            size = int.from_bytes(file.read(4), "big")
            # 0: to the end of the file; 1: 64 bits of size, which no picture here needs.
            if size < 8:
                break
            place += size
        needed = place
    if needed > length:
        raise ImageError(
            f"{name} cannot be read: it has {length} of the {needed} bytes that it tells of: it is "
            "truncated"
        )


def _mega(pixels: int) -> str:
    return f"{pixels / 1e6:.1f}" if pixels >= 1e5 else f"{pixels / 1e6:.6f}".rstrip("0")


def _identified(file: BinaryIO) -> ImageFile.ImageFile:
    """Find the reader as ``Image.open`` does, without its global limit."""
    file.seek(0)
    prefix = file.read(16)
    tried: set[str] = set()
    for load in (Image.preinit, Image.init):
        load()
        for format_name in [known for known in Image.ID if known not in tried]:
            tried.add(format_name)
            factory, accept = Image.OPEN[format_name]
            file.seek(0)
            try:
                answer = accept(prefix) if accept is not None else True
                # A string is the reason why the format is known but cannot be read here.
                if not answer or isinstance(answer, str):
                    continue
                image: ImageFile.ImageFile = factory(file, "")
            except (SyntaxError, IndexError, TypeError, struct.error):
                continue
            return image
    raise UnidentifiedImageError("no reader knows it")
