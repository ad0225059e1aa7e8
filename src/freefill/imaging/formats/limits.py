"""What is refused before any of its pixels are decoded: another format, too large, empty, a lie.

Only the formats of :data:`FORMATS` are decoded, by content and whatever a file is called. Pillow
knows many more, some of which start programs (PostScript) or unpack without a limit (FITS). Nothing
else in the package opens files with Pillow; a test holds that.

Pillow has a limit of its own, a global that every thread shares and that warns before it refuses.
Here the limit belongs to the call, and one line says what is wrong and which option moves it.
"""

from __future__ import annotations

import math
import re
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from PIL import Image, ImageFile, UnidentifiedImageError

from freefill.errors import ImageError
from freefill.imaging.formats.high_bit_depth import is_deep

READERS = (
    *("PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP", "PPM"),
    *("AVIF", "HEIF", "JPEG2000", "ICO", "DDS"),
)
"""Pillow's names of the readers that files are shown to, the frequent ones first."""

FORMATS = (*READERS, "MPO")
"""The formats that are decoded; MPO is what the reader of JPEG calls several pictures in a file."""

MAX_PIXELS_PER_BYTE = {
    **{"PNG": 8 * 1032, "JPEG": 512, "MPO": 512, "GIF": 2800},
    **{"PPM": 8, "DDS": 2},
}
"""How far a format can pack pixels. Deflate: 1032 bytes into one, of at most 8 pixels each. JPEG:
the 64 pixels of a block need a bit. GIF: a code of 12 bits stands for at most 4096 pixels. PPM: a
bit each. DDS: blocks of 16 pixels have 8 bytes."""

BYTES_PER_PIXEL = 4
"""Bytes that samples may have for each pixel that is allowed: so many megapixels of RGBA with 8
bits, half as many with 16."""

MAX_ICONS = 256
"""Pictures that one icon may hold."""

MAX_TEXT = 1 << 16
"""Bytes of a header of PPM."""

SMALL_RUNS, MAX_RUNS = 1_000_000, 16_000_000
"""Pixels of a BMP of runs that are decoded however few its bytes are, and at most."""

MAX_FRAMES = 1000
"""Frames are counted so far, and blocks of a GIF a hundred times as far."""

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
        UnidentifiedImageError: If it is of no format in :data:`FORMATS`.
    """
    check_icon(file, name, max_pixels)
    _check_ppm(file, name)
    _check_bmp(file, name)
    with lifted(max_pixels // 2):
        image = _identified(file)
    # Some readers (DDS) leave their pixels for later, and read on from here.
    place = file.tell()
    check_size(image.size, name, max_pixels)
    check_samples(image.size, _bytes_per_pixel(image), name, max_pixels)
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


def check_samples(
    size: tuple[int, int], bytes_per_pixel: float, name: str, max_pixels: int
) -> None:
    """Refuse a size whose samples would take more than :data:`BYTES_PER_PIXEL` allows.

    Args:
        size: Width and height.
        bytes_per_pixel: Of all channels together.
        name: What errors call it.
        max_pixels: The limit.

    Raises:
        ImageError: If they would.
    """
    width, height = size
    needed = math.ceil(width * height * bytes_per_pixel)
    wide = f"{bytes_per_pixel:g} bytes a pixel"
    if needed > BYTES_PER_PIXEL * max_pixels:
        raise ImageError(
            f"{name} is {width}x{height} with {wide}, {needed / 1e6:.0f} MB of samples; "
            f"the limit is {BYTES_PER_PIXEL * max_pixels / 1e6:.0f}: "
            f"`max_pixels={-(-needed // BYTES_PER_PIXEL)}` lets it in"
        )


def _bytes_per_pixel(image: Image.Image) -> int:
    wide = {"I": 4, "F": 4}.get(image.mode, 2 if "16" in image.mode or is_deep(image) else 1)
    return wide * len(image.getbands())


def check_unopened(image: Image.Image) -> None:
    """Refuse a Pillow image whose file is not read yet, and is of a format not read here.

    Args:
        image: Any. What is in memory already is never refused.

    Raises:
        ImageError: If asking for its pixels would start such a reader.
    """
    if not isinstance(image, ImageFile.ImageFile) or image.format in FORMATS:
        return
    if image.tile or getattr(image, "_im", None) is None:
        raise ImageError(
            f"the image is an open file of the format {image.format}, which is not decoded here: "
            "call its load() first, if its source is to be trusted"
        )


def is_icon(prefix: bytes) -> bool:
    """Whether the first bytes of a file are those of an icon."""
    return prefix[:4] == b"\0\0\1\0"


def check_icon(file: BinaryIO, name: str, max_pixels: int) -> int:
    """Check the sizes inside an icon, which Pillow decodes as soon as it opens it.

    Args:
        file: Any file.
        name: What errors call it.
        max_pixels: The most that width times height of each may be.

    Returns:
        The most pixels that one of them has; 0 if it is no icon.

    Raises:
        ImageError: If one is too large, or there are too many.
    """
    file.seek(0)
    head = file.read(6)
    if not is_icon(head):
        return 0
    (count,) = struct.unpack_from("<H", head, 4)
    if count > MAX_ICONS:
        raise ImageError(f"{name} holds {count} icons; up to {MAX_ICONS} are read")
    table = file.read(16 * count)
    largest = 0
    for (place,) in struct.iter_unpack("<12xI", table[: len(table) // 16 * 16]):
        file.seek(place)
        start = file.read(24)
        if start[:8] == b"\x89PNG\r\n\x1a\n":
            size, each = struct.unpack(">II", start[16:24].ljust(8, b"\0")), 8
        else:
            # A bitmap: its colours, and below them as many rows of what is seen of them.
            width, height = struct.unpack("<ii", start[4:12].ljust(8, b"\0"))
            size, each = (abs(width), abs(height) // 2), 4
        check_size(size, name, max_pixels)
        check_samples(size, each, name, max_pixels)
        largest = max(largest, size[0] * size[1])
    return largest


def _check_ppm(file: BinaryIO, name: str) -> None:
    """Refuse a header, which Pillow reads byte by byte, that goes on for long."""
    file.seek(0)
    head = file.read(MAX_TEXT + 1)
    if len(head) <= MAX_TEXT or head[:1] != b"P" or head[1:2] not in b"0123456fy":
        return
    # Name, width, height, white: what follows them may look like more words.
    words = re.sub(rb"#[^\r\n]*", b"", head).split(maxsplit=4)
    if len(words) < (4 if head[1:2] in b"14" else 5):
        raise ImageError(f"{name} cannot be read: its header has more than {MAX_TEXT} bytes")


def _check_bmp(file: BinaryIO, name: str) -> None:
    """Refuse a large BMP of runs, which Pillow decodes in Python, pixel by pixel."""
    file.seek(0)
    head = file.read(34)
    if head[:2] != b"BM" or len(head) < 34:
        return
    size, width, height, _, _, packing = struct.unpack_from("<IiiHHI", head, 14)
    pixels = abs(width) * abs(height)
    if size < 40 or packing not in (1, 2) or pixels <= SMALL_RUNS:
        return
    length = file.seek(0, 2)
    if pixels > MAX_RUNS or pixels > 256 * length:
        raise ImageError(
            f"{name} is {abs(width)}x{abs(height)} in {length} bytes of runs; up to "
            f"{_mega(min(MAX_RUNS, 256 * length))} megapixels of them are read"
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
        place = boxes = 0
        while place + 8 <= length and (boxes := boxes + 1) < MAX_FRAMES:
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
    Image.preinit()
    for format_name in READERS:
        if format_name not in Image.OPEN:
            # Pillow's rarer readers; HEIF is registered where a file needs it.
            Image.init()
        if format_name not in Image.OPEN:
            continue
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


def gif_frames(file: BinaryIO) -> int:
    """Count the frames of a GIF, up to one more than :data:`MAX_FRAMES`.

    Pillow would read all of them.
    """
    file.seek(0)
    head = file.read(13)
    if len(head) < 13:
        return 1
    file.seek(13 + _colours(head[10]))
    frames, inside = 0, False
    for _ in range(100 * MAX_FRAMES):
        mark = file.read(1)
        if inside:
            # The length of a block of data, 0 behind the last.
            inside = mark > b"\0"
            file.seek(mark[0] if inside else 0, 1)
        elif mark == b",":
            frames += 1
            place = file.read(9)
            if frames > MAX_FRAMES or len(place) < 9:
                break
            # Colours, and the size of codes.
            file.seek(_colours(place[8]) + 1, 1)
            inside = True
        elif mark == b"!":
            file.seek(1, 1)
            inside = True
        elif mark in (b";", b""):
            break
    return max(1, frames)


def _colours(flags: int) -> int:
    """Give the bytes of a table of colours."""
    return 3 * 2 ** ((flags & 7) + 1) if flags & 128 else 0
