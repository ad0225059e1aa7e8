"""PNG: its chunks, kept byte for byte, and a writer for 16 bits a channel, which Pillow has not.

PNG Specification, third edition (W3C, 2025): sections 5 (chunks), 9 (filters), 14 (editors and
what they may copy).
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from freefill.errors import ImageError, plural
from freefill.imaging.formats.metadata import (
    clean_exif,
    clean_xmp,
    resized_exif,
    resized_xmp,
)

START = b"\x89PNG\r\n\x1a\n"

PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT")
"""Written again, or of an animation of which one frame is left."""

COLOUR = (b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"cICP", b"mDCV", b"cLLI")
"""What the samples mean; has to stand before the palette."""

OF_MODE = (b"sBIT", b"bKGD", b"hIST")
"""Of no use when the samples are stored in another way than they were."""

KNOWN = (*COLOUR, b"bKGD", b"hIST", b"pHYs", b"sPLT", b"eXIf", b"tIME", b"tEXt", b"zTXt", b"iTXt")

PRIVATE = (b"eXIf", b"tIME", b"tEXt", b"zTXt", b"iTXt")
"""What ``--strip`` takes out."""

XMP = b"XML:com.adobe.xmp"
RAW_EXIF = (b"Raw profile type exif", b"Raw profile type APP1")

COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
"""Channels to PNG's number for them."""

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""The same the other way round, and palettes."""

LARGEST_TEXT = 1 << 20
"""Bytes of a packed text, or of a packed profile, that Pillow unpacks."""

LARGEST_TEXTS = 1 << 24
"""Bytes that packed texts may have together for Pillow to see them; and that a profile, or the XMP,
may have to be kept."""

MAX_CHUNKS = 10_000
"""Chunks that are not of pixels."""

NAMED = 10
"""Kinds of chunks that a notice names."""

PACKING = (1, zlib.DEFLATED, -15, 8, zlib.Z_RLE)
"""For zlib: runs alone. After the filters 16-bit photographs get no smaller with a search for
repetitions (57 MB at 12 megapixels, either way), which takes four times as long."""

BLOCK = 1 << 22
"""Bytes that are filtered and packed at a time, each block on a thread of its own."""


class Chunk(NamedTuple):
    """A named piece of a PNG that is not its pixels."""

    name: bytes
    content: bytes
    late: bool = False
    """Whether it came after the pixels."""


class Head(NamedTuple):
    """What the first chunk says."""

    width: int
    height: int
    depth: int
    colour: int
    interlaced: bool


def read_chunks(file: BinaryIO) -> tuple[Head, list[Chunk]]:
    """Read what a PNG holds besides its pixels.

    Args:
        file: The file.

    Returns:
        Its header, and its chunks without those of pixels, in their order.

    Raises:
        ImageError: If the file is cut off inside a chunk, or has too many.
    """
    length = file.seek(0, 2)
    file.seek(len(START))
    found: list[Chunk] = []
    head, late = None, False
    while True:
        start = file.read(8)
        if len(start) < 8:
            break
        size, name = struct.unpack(">I4s", start)
        if file.tell() + size > length:
            raise ImageError(
                f"it ends after {plural(length, 'byte')}, inside a piece of "
                f"{plural(size, 'byte')}: it is truncated"
            )
        if name == b"IHDR":
            head = Head(*struct.unpack(">IIBBxxB", file.read(13)[:13]))
            file.seek(size - 13 + 4, 1)
        elif name == b"IEND":
            break
        elif name in PIXELS:
            late = late or name == b"IDAT"
            file.seek(size + 4, 1)
        elif len(found) == MAX_CHUNKS:
            raise ImageError(f"it has more than {MAX_CHUNKS} chunks: it was made to do harm")
        else:
            found.append(Chunk(name, file.read(size), late))
            file.seek(4, 1)
    if head is None:
        raise ImageError("it has no header: it is damaged")
    return head, found


def has_long_texts(chunks: list[Chunk]) -> bool:
    """Whether packed texts are longer than Pillow unpacks: it then refuses the whole file."""
    total = 0
    for name, content, _ in chunks:
        if name not in (b"zTXt", b"iTXt"):
            continue
        _, _, rest = content.partition(b"\0")
        # zTXt: one byte, how it is packed. iTXt: whether, how, and two names.
        body = rest[1:] if name == b"zTXt" else rest[2:].split(b"\0", 2)[-1]
        if name == b"iTXt" and rest[:1] != b"\1":
            continue
        with suppress(zlib.error):
            size = len(zlib.decompressobj().decompress(body, LARGEST_TEXT + 1))
            total += size
            if size > LARGEST_TEXT or total > LARGEST_TEXTS:
                return True
    return False


def is_raw_exif(chunk: Chunk) -> bool:
    """Whether a chunk is EXIF as ImageMagick writes it: as text."""
    return chunk.content.split(b"\0")[0] in RAW_EXIF


def profile_of(chunk: Chunk) -> bytes | None:
    """Unpack the colour profile of a chunk ``iCCP``; ``None`` if it is damaged, or far too long."""
    _, _, rest = chunk.content.partition(b"\0")
    packed = zlib.decompressobj()
    try:
        found = packed.decompress(rest[1:], LARGEST_TEXTS)
    except zlib.error:
        return None
    return found if packed.eof and rest[:1] == b"\0" and found else None


def without(file: BinaryIO, names: tuple[bytes, ...]) -> bytes:
    """Give a PNG, of which all chunks are whole, without those of some names."""
    file.seek(len(START))
    out = [START]
    while len(start := file.read(8)) == 8:
        size, name = struct.unpack(">I4s", start)
        body = file.read(size + 4)
        if name not in names:
            out += [start, body]
    return b"".join(out)


def kept_chunks(
    chunks: list[Chunk], *, turned: bool, same_mode: bool, strip: bool
) -> tuple[list[Chunk], list[str]]:
    """Choose what goes into the result, and mend what would be wrong there.

    Args:
        chunks: Those of the source.
        turned: Whether the picture was turned upright.
        same_mode: Whether samples are stored as they were.
        strip: Whether to leave out what tells about people, places and programs.

    Returns:
        The chunks, and names of those left out because they depend on pixels in an unknown way.
    """
    kept: list[Chunk] = []
    left: list[str] = []
    xmp = False
    for chunk in chunks:
        name, content, late = chunk
        if (strip and name in PRIVATE) or (not same_mode and name in OF_MODE):
            continue
        if name not in KNOWN:
            # The case of the fourth letter says whether an editor that does not know it may copy.
            safe = bool(name[3] & 32)
            if strip or not safe:
                left += [] if safe else [name.decode("latin-1")]
                continue
        if name == b"eXIf":
            content = clean_exif(content)
        elif turned and is_raw_exif(chunk):
            # ImageMagick's way to write EXIF, as text: what it says about turning no longer holds.
            continue
        elif name == b"iTXt" and content.startswith(XMP + b"\0"):
            # There is one at most. What cannot be looked into may show the old picture.
            clean = None if xmp else _clean_text(content)
            xmp = True
            if clean is None:
                left.append("iTXt")
                continue
            content = clean
        kept.append(Chunk(name, content, late))
    names = sorted(set(left))
    return kept, names[:NAMED] + (["..."] if len(names) > NAMED else [])


def resized(chunks: list[Chunk], size: tuple[int, int]) -> list[Chunk]:
    """Let EXIF and XMP tell another height and width, where they tell any."""
    new = []
    for chunk in chunks:
        content: bytes | None = chunk.content
        if chunk.name == b"eXIf":
            content = resized_exif(chunk.content, size)
        elif chunk.name == b"iTXt" and chunk.content.startswith(XMP + b"\0"):
            content = _clean_text(chunk.content, lambda xmp: resized_xmp(xmp, size))
        new.append(chunk._replace(content=chunk.content if content is None else content))
    return new


def _clean_text(content: bytes, clean_xmp: Callable[[bytes], bytes] = clean_xmp) -> bytes | None:
    """Mend the XMP of a chunk of text, packed or not; ``None`` if it cannot be unpacked."""
    matched = re.match(rb"(" + re.escape(XMP) + rb"\0)(.)(.)([^\0]*\0[^\0]*\0)", content, re.DOTALL)
    if matched is None:
        return content
    start, packed, method, names = matched.groups()
    body = content[matched.end() :]
    if packed == b"\0":
        return start + packed + method + names + clean_xmp(body)
    packer = zlib.decompressobj()
    try:
        unpacked = packer.decompress(body, LARGEST_TEXTS)
    except zlib.error:
        return None
    if not packer.eof:
        return None
    clean = clean_xmp(unpacked)
    return content if clean == unpacked else start + packed + method + names + zlib.compress(clean)


def chunks_of(info: dict[str, Any]) -> list[Chunk]:
    """Make chunks of the metadata that came with a file of another format."""
    found = []
    if info.get("icc_profile"):
        found.append(Chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(info["icc_profile"])))
    elif info.get("gamma"):
        found.append(Chunk(b"gAMA", struct.pack(">I", round(info["gamma"] * 100_000))))
    if info.get("dpi"):
        per_metre = [max(0, round(float(value) / 0.0254)) for value in info["dpi"]]
        found.append(Chunk(b"pHYs", struct.pack(">IIB", *per_metre, 1)))
    if info.get("exif"):
        found.append(Chunk(b"eXIf", info["exif"].removeprefix(b"Exif\0\0")))
    if info.get("xmp"):
        found.append(Chunk(b"iTXt", XMP + b"\0\0\0\0\0" + info["xmp"]))
    if info.get("comment"):
        comment = info["comment"]
        text = comment if isinstance(comment, bytes) else str(comment).encode()
        found.append(Chunk(b"iTXt", b"Comment\0\0\0\0\0" + text.replace(b"\0", b"")))
    return found


def with_chunks(content: bytes, chunks: list[Chunk]) -> bytes:
    """Put chunks into a PNG that has none but those of its pixels.

    Args:
        content: The PNG.
        chunks: Early ones go before the pixels, those of colour before the palette, late ones to
            the end.

    Returns:
        The PNG with them.
    """
    parts = {
        b"IHDR": [c for c in chunks if not c.late and c.name in COLOUR],
        b"IDAT": [c for c in chunks if not c.late and c.name not in COLOUR],
        b"IEND": [c for c in chunks if c.late],
    }
    out, place, seen = [START], len(START), False
    while place < len(content):
        size, name = struct.unpack_from(">I4s", content, place)
        piece = content[place : place + 12 + size]
        place += 12 + size
        before = b"" if seen and name == b"IDAT" else _written(parts.get(name, []))
        seen = seen or name == b"IDAT"
        out += [piece, before] if name == b"IHDR" else [before, piece]
    return b"".join(out)


def _written(chunks: list[Chunk]) -> bytes:
    return b"".join(chunk(c.name, c.content) for c in chunks)


def chunk(name: bytes, content: bytes) -> bytes:
    """Give a chunk as it stands in a file: length, name, content, checksum."""
    check = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + check


def encode_deep(samples: NDArray[np.uint16], transparent: tuple[int, ...] | None = None) -> bytes:
    """Write 16-bit samples as PNG.

    Args:
        samples: ``(H, W)`` or ``(H, W, C)`` uint16, C 1 to 4 (2 and 4 with alpha).
        transparent: The colour, of as many numbers as there are channels, that is not seen.

    Returns:
        The PNG, with no chunks but those of pixels.
    """
    height, width = samples.shape[:2]
    channels = 1 if samples.ndim == 2 else samples.shape[2]
    step = max(1, BLOCK // (2 * channels * width))
    starts = range(0, height, step)

    def work(start: int) -> tuple[bytes, int, int]:
        # One row more: filters look at the row above.
        part = samples[max(0, start - 1) : start + step]
        rows = np.ascontiguousarray(part, ">u2").view(np.uint8).reshape(len(part), -1)
        filtered = _filtered(rows, 2 * channels, first=start == 0)
        packer = zlib.compressobj(*PACKING)
        body = packer.compress(filtered)
        # Whole blocks of deflate, each without memory of the one before, can be put end to end.
        body += packer.flush(zlib.Z_FINISH if start + step >= height else zlib.Z_FULL_FLUSH)
        return body, zlib.adler32(filtered), len(filtered)

    check, bodies = 1, []
    with ThreadPoolExecutor(min(len(starts), os.cpu_count() or 1)) as pool:
        for body, block_check, length in pool.map(work, starts):
            check = _adler_of_both(check, block_check, length)
            bodies.append(body)
    head = struct.pack(">IIBBBBB", width, height, 16, COLOUR_TYPES[channels], 0, 0, 0)
    out = [START, chunk(b"IHDR", head)]
    if transparent is not None:
        out.append(chunk(b"tRNS", struct.pack(f">{len(transparent)}H", *transparent)))
    bodies[0] = b"\x78\x01" + bodies[0]
    bodies[-1] += struct.pack(">I", check)
    out += [chunk(b"IDAT", body) for body in bodies]
    return b"".join([*out, chunk(b"IEND", b"")])


def _adler_of_both(first: int, second: int, length: int) -> int:
    """Give the checksum of two blocks from those of each (RFC 1950), the second of a length."""
    low = (first & 0xFFFF) + (second & 0xFFFF) - 1
    high = (first >> 16) + (second >> 16) + length * ((first & 0xFFFF) - 1)
    return (high % 65521) << 16 | low % 65521


def _filtered(rows: NDArray[np.uint8], pixel: int, *, first: bool) -> bytes:
    """Filter rows, each in the way whose differences are the smallest in sum (section 12.7).

    Args:
        rows: Bytes of the rows; the first of them is only looked at by the one below.
        pixel: Bytes of a pixel.
        first: Whether nothing is above the first row, and it is filtered, too.

    Returns:
        The filtered rows, each with the number of its filter in front.
    """
    if first:
        rows = np.concatenate([np.zeros_like(rows[:1]), rows])
    here, above = rows[1:], rows[:-1]
    left, corner = np.zeros_like(here), np.zeros_like(here)
    left[:, pixel:], corner[:, pixel:] = here[:, :-pixel], above[:, :-pixel]
    # Average leaves out the bit that a sum of two bytes carries over, hence the masks.
    average = (left & above) + ((left ^ above) >> 1)
    across = above.astype(np.int16) - corner
    down = left.astype(np.int16) - corner
    to_left, to_above, to_corner = np.abs(across), np.abs(down), np.abs(across + down)
    paeth = np.where(
        (to_left <= to_above) & (to_left <= to_corner),
        left,
        np.where(to_above <= to_corner, above, corner),
    )
    best = here
    cost = np.abs(here.view(np.int8).astype(np.int16)).sum(1, dtype=np.int64)
    kind = np.zeros(len(here), np.uint8)
    for number, guess in enumerate((left, above, average, paeth), 1):
        difference = here - guess
        size = np.abs(difference.view(np.int8).astype(np.int16)).sum(1, dtype=np.int64)
        better = size < cost
        best = np.where(better[:, None], difference, best)
        kind[better], cost = number, np.minimum(cost, size)
    return np.concatenate([kind[:, None], best], 1).tobytes()
