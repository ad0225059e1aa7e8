"""TIFF: its tags, kept byte for byte, and a writer for every mode.

TIFF 6.0 (Adobe, 1992) with the technical notes on deflate and on floating-point samples.
"""

from __future__ import annotations

import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO
from itertools import accumulate
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from freefill.errors import ImageError
from freefill.imaging.formats.ifd import (
    BYTE,
    EXIF,
    GPS,
    LAYERS,
    ORIENTATION,
    RATIONAL,
    UNDEFINED,
    BadDirectory,
    Directory,
    Tag,
    block,
    header,
    long,
    narrowed,
    packed,
    read,
    read_block,
    short,
)
from freefill.imaging.formats.metadata import NAME, clean_photoshop, clean_xmp, resized_xmp

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
STRIP_OFFSETS, CHANNELS, STRIP_ROWS, STRIP_BYTES = 273, 277, 278, 279
X_DPI, Y_DPI, PLANAR, DPI_UNIT, PREDICTOR, COLOUR_MAP = 282, 283, 284, 296, 317, 320
TILE_OFFSETS, TILE_BYTES, EXTRA, SAMPLE_FORMAT = 324, 325, 338, 339
EXIF_WIDTH, EXIF_HEIGHT = 40962, 40963
XMP, IPTC, PHOTOSHOP, ICC = 700, 33723, 34377, 34675

STRUCTURE = (
    254, 255, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, 263, 264, 265, 266, STRIP_OFFSETS,
    ORIENTATION, CHANNELS, STRIP_ROWS, STRIP_BYTES, 280, 281, PLANAR, 288, 289, 290, 291, 292, 293,
    301, PREDICTOR, COLOUR_MAP, 322, 323, TILE_OFFSETS, TILE_BYTES, 326, 327, 328, 330, EXTRA,
    SAMPLE_FORMAT, 340, 341, 347, *range(512, 522), 529, 530, 531, 532, ICC,
)  # fmt: skip
"""Tags about how the pixels are stored, and those that point at other pictures: written anew."""

ABOUT = (270, 271, 272, 305, 306, 315, 33432, EXIF, GPS)
"""Tags about the picture that other formats take over, as EXIF."""

IMPERSONAL = (X_DPI, Y_DPI, DPI_UNIT, 332, 333, 334, 336, 337, ICC)
"""What ``--strip`` leaves: resolution, inks, profile."""

PACKINGS = {1: 1, 5: 1400, 8: 1032, 32773: 64, 32946: 1032, 34925: 8000, 50000: 40000}
"""How many bytes one byte can stand for: none, LZW, deflate, PackBits, LZMA, Zstandard."""

RAW, DEFLATE = 1, 8
LARGEST = 0xFFFF_0000
"""Where the directory can begin: places in a TIFF have 32 bits."""

STRIP = 1 << 20
"""Bytes of a strip before it is packed."""

SHOWN = 10
"""Tags that a notice names."""

LEVEL = 6
"""Of zlib, where repetitions are searched for."""


def directory_of(file: BinaryIO) -> Directory:
    """Give the tags of a TIFF.

    Raises:
        ImageError: If they cannot be read.
    """
    try:
        return read(file)
    except BadDirectory as error:
        raise ImageError(f"the tags of the TIFF are cut off or damaged ({error})") from None


def classic(file: BinaryIO, tags: Directory) -> BinaryIO:
    """Give a BigTIFF as a TIFF with 32-bit places, whose pixels lie where they were.

    Args:
        file: The file.
        tags: Its directory.

    Returns:
        A copy in memory: a short header over the long one, and the directory again at the end.

    Raises:
        ImageError: If it is too large for 32 bits.
    """
    file.seek(0)
    content = bytearray(file.read())
    content += bytes(len(content) % 2)
    place = len(content)
    if place > LARGEST:
        raise ImageError(f"it has {place / 1e9:.1f} GB, big-endian: up to 4 GB of these are read")
    content[:8] = header(tags.order, place)
    return BytesIO(content + packed(tags, place))


def check_strips(file: BinaryIO, tags: Directory) -> None:
    """Refuse a TIFF whose pixels lie outside of it, or are too few for its size.

    Args:
        file: The file.
        tags: Its directory.

    Raises:
        ImageError: With the strip or tile, or with the sizes that do not fit.
    """
    length = file.seek(0, 2)
    for what, places, sizes in (
        ("strip", STRIP_OFFSETS, STRIP_BYTES),
        ("tile", TILE_OFFSETS, TILE_BYTES),
    ):
        if places not in tags.tags or sizes not in tags.tags:
            continue
        starts = tags.tags[places].numbers(tags.order)
        counts = tags.tags[sizes].numbers(tags.order)
        for i, (start, count) in enumerate(zip(starts, counts, strict=False), 1):
            if start + count > length:
                raise ImageError(
                    f"{what} {i} of {len(starts)} ends at byte {start + count}, but the file has "
                    f"{length}: it is truncated"
                )
        # Strips that overlap would let a few bytes stand for any number of pixels.
        covered = _covered(starts, counts)
        ratio = PACKINGS.get(tags.first(COMPRESSION, RAW))
        width, height = tags.first(WIDTH, 0), tags.first(HEIGHT, 0)
        bits = tags.first(BITS, 1) * tags.first(CHANNELS, 1)
        needed = width * height * bits // 8
        if ratio and needed > ratio * (covered + 64):
            raise ImageError(
                f"it says that it is {width}x{height}, which is {needed} bytes of pixels; its "
                f"{covered} bytes cannot hold that: it is damaged or was made to do harm"
            )


def _covered(starts: list[int], counts: list[int]) -> int:
    """Count the bytes of a file that strips lie on."""
    total = end = 0
    for start, count in sorted(zip(starts, counts, strict=False)):
        total += max(0, start + count - max(start, end))
        end = max(end, start + count)
    return total


def exif_of(tags: Directory) -> bytes | None:
    """Give what a TIFF says about its picture as an EXIF block for other formats."""
    about = {number: tag for number, tag in tags.tags.items() if number in ABOUT}
    if not about:
        return None
    return NAME + block(Directory(tags.order, about))


def resized(tags: Directory, size: tuple[int, int]) -> Directory:
    """Let EXIF and XMP among tags tell another height and width, where they tell any."""
    new = dict(tags.tags)
    xmp, exif = new.get(XMP), new.get(EXIF)
    if xmp is not None and isinstance(xmp.value, bytes):
        new[XMP] = Tag(xmp.kind, resized_xmp(xmp.value, size))
    if exif is not None and isinstance(exif.value, Directory):
        told = zip((EXIF_HEIGHT, EXIF_WIDTH), size, strict=True)
        folder = {n: long(tags.order, side) for n, side in told if n in exif.value.tags}
        new[EXIF] = Tag(exif.kind, replace(exif.value, tags=exif.value.tags | folder))
    return replace(tags, tags=new)


def tags_of(
    info: dict[str, Any], source: Directory | None, *, strip: bool
) -> tuple[Directory, list[str]]:
    """Collect the tags of a result that are not about how its pixels are stored.

    Args:
        info: Metadata as Pillow names it; resolution and profile come from here.
        source: The tags of the TIFF that it was, if it was one.
        strip: Whether to leave out what tells about people, places and programs.

    Returns:
        The tags, and lines that a person should read about those that are left out.
    """
    about = source
    lines: list[str] = []
    if about is None:
        try:
            about = read_block(info["exif"]) if info.get("exif") else Directory("<", {})
        except BadDirectory:
            about = Directory("<", {})
            lines.append("TIFF: its EXIF is damaged and left out")
    kept = dict(about.without(STRUCTURE).tags)
    order = about.order
    if X_DPI not in kept and info.get("dpi"):
        for number, value in zip((X_DPI, Y_DPI), info["dpi"], strict=True):
            dots = struct.pack(f"{order}II", round(float(value) * 10_000), 10_000)
            kept[number] = Tag(RATIONAL, dots)
        kept[DPI_UNIT] = short(order, 2)
    if info.get("xmp") and XMP not in kept:
        kept[XMP] = Tag(BYTE, info["xmp"])
    for number, clean in ((XMP, clean_xmp), (PHOTOSHOP, clean_photoshop)):
        found = kept.get(number)
        if found is not None and isinstance(found.value, bytes):
            kept[number] = Tag(found.kind, clean(found.value))
    # Photoshop's layers show the picture before it was filled.
    kept.pop(LAYERS, None)
    if info.get("icc_profile"):
        kept[ICC] = Tag(UNDEFINED, info["icc_profile"])
    if strip:
        # Private tags can hold anything, a map's can hold a place: only what is known stays.
        kept = {number: tag for number, tag in kept.items() if number in IMPERSONAL}
    tags, lost = narrowed(Directory(order, kept))
    if lost:
        numbers = ", ".join(map(str, lost[:SHOWN])) + (", ..." if len(lost) > SHOWN else "")
        lines.append(f"TIFF holds no numbers of 64 bits: tags {numbers} are left out")
    return tags, lines


def encode(
    samples: NDArray[Any],
    mode: str,
    tags: Directory,
    *,
    palette: NDArray[np.uint8] | None = None,
    compress: bool = True,
) -> bytes:
    """Write samples as TIFF: strips, deflate with a predictor, or nothing.

    Args:
        samples: ``(H, W[, C])``, bool for mode ``1``.
        mode: Pillow's name, which with the type of the samples says how they are stored.
        tags: What else to write; its byte order becomes the file's.
        palette: Colours of mode ``P``.
        compress: Whether to pack the strips.

    Returns:
        The file.

    Raises:
        ImageError: If it would be larger than 4 GB.
    """
    order = tags.order
    height, width = samples.shape[:2]
    channels = 1 if samples.ndim == 2 else samples.shape[2]
    bits = 1 if mode == "1" else samples.dtype.itemsize * 8
    floats = samples.dtype.kind == "f"
    # Differences of palette entries say nothing; those of floats need another predictor.
    predicted = compress and mode not in ("1", "P") and not floats
    rows_each = max(1, STRIP // max(1, width * channels * bits // 8))
    starts = range(0, height, rows_each)

    def strip(start: int) -> bytes:
        rows = samples[start : start + rows_each]
        if mode == "1":
            body = np.packbits(rows, axis=1).tobytes()
        else:
            if predicted:
                rows = rows.reshape(len(rows), width, channels).copy()
                rows[:, 1:] -= rows[:, :-1].copy()
            body = rows.astype(rows.dtype.newbyteorder(order)).tobytes()
        if not compress:
            return body
        # As for PNG: differences of 16 bits repeat in runs or not at all.
        runs = zlib.Z_RLE if predicted and bits == 16 else zlib.Z_DEFAULT_STRATEGY
        packer = zlib.compressobj(LEVEL, strategy=runs)
        return packer.compress(body) + packer.flush()

    with ThreadPoolExecutor() as pool:
        strips = list(pool.map(strip, starts))
    sizes = [len(body) for body in strips]
    offsets = [8, *(8 + end for end in accumulate(sizes[:-1]))]
    place = offsets[-1] + sizes[-1]
    place += place % 2
    if place > LARGEST:
        raise ImageError(f"{place / 1e9:.1f} GB do not fit into a TIFF, which ends at 4")
    alpha = mode in ("LA", "RGBA")
    photometric = {"RGB": 2, "RGBA": 2, "P": 3, "CMYK": 5}.get(mode, 1)
    layout = {
        WIDTH: long(order, width),
        HEIGHT: long(order, height),
        BITS: short(order, *[bits] * channels),
        COMPRESSION: short(order, DEFLATE if compress else RAW),
        PHOTOMETRIC: short(order, photometric),
        STRIP_OFFSETS: long(order, *offsets),
        CHANNELS: short(order, channels),
        STRIP_ROWS: long(order, rows_each),
        STRIP_BYTES: long(order, *sizes),
        PLANAR: short(order, 1),
    }
    if predicted:
        layout[PREDICTOR] = short(order, 2)
    if alpha:
        layout[EXTRA] = short(order, 2)
    if floats:
        layout[SAMPLE_FORMAT] = short(order, *[3] * channels)
    if palette is not None:
        table = np.zeros((3, 256), np.uint16)
        table[:, : len(palette)] = palette.T.astype(np.uint16) * 257
        layout[COLOUR_MAP] = short(order, *table.ravel().tolist())
    out = BytesIO()
    out.write(header(order, place))
    out.writelines(strips)
    out.write(bytes(place - out.tell()))
    out.write(packed(Directory(order, tags.tags | layout), place))
    return out.getvalue()
