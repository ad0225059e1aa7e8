"""Files that ask for far more time or memory than their bytes are worth.

``python tests/fuzz/attacks.py NAME`` reads one within limits of memory and prints what became of
it. Smaller ones of the kinds that formats are careful about are in ``tests/imaging/formats``.
"""

from __future__ import annotations

import gzip
import json
import pickle
import resource
import struct
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

SIGNATURE = b"\x89PNG\r\n\x1a\n"
ADDRESSES = 2 << 30
"""Bytes of addresses that the process may have, its libraries among them."""


def chunk(name: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + check


def packed(piece: bytes, size: int) -> bytes:
    """Pack a piece, again and again."""
    packer = zlib.compressobj(9)
    block = piece * max(1, (1 << 20) // len(piece))
    parts = [packer.compress(block) for _ in range(-(-size // len(block)))]
    return b"".join(parts) + packer.flush()


def png(
    *chunks: bytes, side: int = 32, depth: int = 8, colour: int = 2, late: bytes = b""
) -> bytes:
    """Give a black PNG that is whole, however large."""
    row = {0: 1, 2: 3, 6: 4}[colour] * depth // 8 * side + 1
    head = struct.pack(">IIBBBBB", side, side, depth, colour, 0, 0, 0)
    pixels = packed(bytes(row), row * side)
    pieces = [chunk(b"IHDR", head), *chunks, chunk(b"IDAT", pixels), late, chunk(b"IEND", b"")]
    return SIGNATURE + b"".join(pieces)


def claimed_png(side: int) -> bytes:
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(99))
    return SIGNATURE + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def tiff(tags: dict[int, tuple[int, int, int]], blob: bytes = b"", after: bytes = b"") -> bytes:
    """Give a grey TIFF of 16x16 whose further bytes begin at 264, before its directory."""
    base = 264 + len(blob) + len(blob) % 2
    own = {256: (4, 1, 16), 257: (4, 1, 16), 258: (3, 1, 8), 259: (3, 1, 1), 262: (3, 1, 1)}
    own |= {273: (4, 1, 8), 277: (3, 1, 1), 278: (4, 1, 16), 279: (4, 1, 256)}
    entries = sorted((own | tags).items())
    out = b"II*\0" + struct.pack("<I", base) + bytes(256) + blob + bytes(len(blob) % 2)
    out += struct.pack("<H", len(entries))
    out += b"".join(struct.pack("<HHII", number, *entry) for number, entry in entries)
    following = len(out) + 4 if after else 0
    return out + struct.pack("<I", following) + after


def chain(count: int, circle: bool) -> bytes:
    """Give a TIFF of many pages, each with one tag."""
    size, start = 18, len(tiff({}, after=b"x")) - 1
    last = start if circle else 0
    pages = [start + size * (i + 1) if i < count - 1 else last for i in range(count)]
    page = struct.pack("<HHHII", 1, 256, 4, 1, 16)
    return tiff({}, after=b"".join(page + struct.pack("<I", place) for place in pages))


def big_tiff(count: int) -> bytes:
    """Give a BigTIFF of 16x16 with private tags, whose numbers are signed and of 64 bits."""
    own = {256: 16, 257: 16, 258: 8, 259: 1, 262: 1, 273: 16, 277: 1, 278: 16, 279: 256}
    tags = {number: (4, value) for number, value in own.items()}
    tags |= {40_000 + i: (17, 2**64 - 1 - i) for i in range(count)}
    out = b"II" + struct.pack("<HHHQ", 43, 8, 0, 272) + bytes(256) + struct.pack("<Q", len(tags))
    for number, (kind, value) in sorted(tags.items()):
        out += struct.pack("<HHQQ", number, kind, 1, value)
    return out + struct.pack("<Q", 0)


def strips(rows: int, channels: int) -> bytes:
    """Give a TIFF of floats of 64 bits whose strips are all the same bytes."""
    blob = zlib.compress(bytes(rows * channels * 8), 9)
    blob += bytes(len(blob) % 2)
    places = 264 + len(blob)
    lists = struct.pack("<I", 264) * rows + struct.pack("<I", len(blob)) * rows
    tags = {256: (4, 1, rows), 257: (4, 1, rows), 258: (3, 1, 64), 259: (3, 1, 8)}
    tags |= {273: (4, rows, places), 277: (3, 1, channels), 278: (4, 1, 1)}
    tags |= {279: (4, rows, places + 4 * rows), 339: (3, 1, 3)}
    return tiff(tags, blob + lists)


def directories(depth: int) -> bytes:
    """Give EXIF within EXIF."""
    out = b"II*\0" + struct.pack("<I", 8)
    for i in range(depth):
        following = 8 + 18 * (i + 1) if i < depth - 1 else 0
        out += struct.pack("<HHHIII", 1, 34665, 4, 1, following, 0)
    return out


def scans(side: int, count: int) -> bytes:
    """Give a progressive JPEG whose scans of few bytes each go over all blocks.

    Of each table there is one code, of one bit: a run of 16,384 blocks without a coefficient, and
    14 bits more.
    """

    def segment(marker: int, content: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content

    def stuffed(bits: str) -> bytes:
        bits += "1" * (-len(bits) % 8)
        return int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")

    blocks = (side // 8) ** 2
    full, rest = divmod(blocks, 32_767)
    runs = ("0" + "1" * 14) * full
    if rest:
        runs += "0" + format(max(0, rest - 16_384), "014b")
    one_code = bytes([1] + [0] * 15)
    tables = b"\0" + one_code + b"\0" + b"\x10" + one_code + b"\xe0"
    head = segment(0xDB, b"\0" + b"\1" * 64)
    head += segment(0xC2, struct.pack(">BHHB", 8, side, side, 1) + b"\1\x11\0")
    head += segment(0xC4, tables) + segment(0xDA, b"\1\1\0\0\0\0") + stuffed("0" * blocks)
    again = segment(0xDA, b"\1\1\0\1\x3f\0") + stuffed(runs)
    return b"\xff\xd8" + head + again * count + b"\xff\xd9"


def grey_jpeg(between: bytes) -> bytes:
    """Give a JPEG of 16x16 with bytes behind its first marker."""
    return scans(16, 1)[:2] + between + scans(16, 1)[2:]


def frames(count: int) -> bytes:
    """Give a GIF of frames of one pixel."""
    head = b"GIF89a" + struct.pack("<HHBBB", 16, 16, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    return head + (b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\2\2\x4c\1\0") * count + b";"


def fits(size: int) -> bytes:
    """Give a FITS image that is unpacked by gzip."""

    def header(**cards: str) -> bytes:
        text = b"".join(f"{key:<8}= {value:>20}".ljust(80).encode() for key, value in cards.items())
        text += b"END".ljust(80)
        return text + b" " * (-len(text) % 2880)

    blob = gzip.compress(bytes(1 << 20)) * (size >> 20)
    table = {"BITPIX": "8", "NAXIS": "2", "NAXIS1": "8", "NAXIS2": "16", "PCOUNT": str(len(blob))}
    packing = {"GCOUNT": "1", "TFIELDS": "1", "ZIMAGE": "T", "ZCMPTYPE": "'GZIP_1  '"}
    pixels = {"ZBITPIX": "8", "ZNAXIS": "2", "ZNAXIS1": "16", "ZNAXIS2": "16"}
    first = header(SIMPLE="T", BITPIX="8", NAXIS="0", EXTEND="T")
    return first + header(XTENSION="'BINTABLE'", **table, **packing, **pixels) + bytes(128) + blob


class Touch:
    """What unpickling would run."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return open, ("/dev/full/freefill-must-not-open-this",)


GIB = 1 << 30
THUMBNAIL = b"<xmp:Thumbnails>"
XMP = b"XML:com.adobe.xmp\0"
SVG = (
    b'<?xml version="1.0"?><!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/hostname">]>'
    b'<svg xmlns="http://www.w3.org/2000/svg"><text>&x;</text></svg>'
)

READ: dict[str, Callable[[], bytes]] = {
    "text-1g.png": lambda: png(chunk(b"zTXt", b"Comment\0\0" + packed(b"A", GIB))),
    "xmp-1g.png": lambda: png(chunk(b"iTXt", XMP + b"\1\0\0\0" + packed(b"A", GIB))),
    "profile-1g.png": lambda: png(chunk(b"iCCP", b"p\0\0" + packed(b"A", GIB))),
    "profile-none.png": lambda: png(chunk(b"iCCP", b"p\0\0no stream")),
    "xmp-open.png": lambda: png(chunk(b"iTXt", XMP + b"\0\0\0\0" + THUMBNAIL * 65_536)),
    "exif-20m.png": lambda: png(chunk(b"eXIf", b"II*\0\x08\0\0\0" + b"\xff" * (20 << 20))),
    "exif-names.png": lambda: png(chunk(b"eXIf", b"Exif\0\0" * 2_000_000)),
    "text-20m.png": lambda: png(chunk(b"tEXt", b"A" * (20 << 20))),
    "frames.png": lambda: png(chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))),
    "texts-late.png": lambda: png(late=chunk(b"zTXt", b"a\0\0" + packed(b"A", 1 << 20)) * 5000),
    "large.png": lambda: png(side=9_000),
    "exif-nested.jpg": lambda: grey_jpeg(
        struct.pack(">HH", 0xFFE1, 63_008) + b"Exif\0\0" + directories(3500).ljust(63_000, b"\0")
    ),
    "fill-20m.jpg": lambda: grey_jpeg(b"\xff" * (20 << 20)),
    "pages-100k.tif": lambda: chain(100_000, circle=False),
    "pages-circle.tif": lambda: chain(3, circle=True),
    "resources-16m.tif": lambda: tiff(
        {34377: (7, 16 << 20, 264)}, (b"8BIM\x04\0" + bytes(6)) * ((16 << 20) // 12 + 1)
    ),
    "xmp-1m.tif": lambda: tiff({700: (1, 1 << 20, 264)}, THUMBNAIL * 65_536),
    "numbers.tif": lambda: big_tiff(40),
    "numbers-25k.tif": lambda: big_tiff(25_000),
    "frames-1m.gif": lambda: frames(1_000_000),
}
"""What is read: the picture is small, or as large as the limit lets in."""

REFUSED: dict[str, Callable[[], bytes]] = {
    "claimed-100k.png": lambda: claimed_png(100_000),
    "claimed-9k.png": lambda: claimed_png(9_000),
    "deep-9k.png": lambda: png(side=9_000, depth=16, colour=6),
    "chunks-100k.png": lambda: png(chunk(b"prVt", b"") * 100_000),
    "claimed.tif": lambda: tiff({256: (4, 1, 100_000), 257: (4, 1, 100_000)}),
    "tags-shared.tif": lambda: tiff(
        {40_000 + i: (7, 1 << 20, 264) for i in range(20_000)}, bytes(1 << 20)
    ),
    "strips-5g.tif": lambda: strips(1000, 640),
    "strips-100g.tif": lambda: strips(10_000, 128),
    "floats-25mp.tif": lambda: strips(5000, 4),
    "scans-1000.jpg": lambda: scans(4000, 1000),
    "scans-100mp.jpg": lambda: scans(9992, 1000),
    "comments-1m.jpg": lambda: grey_jpeg(b"\xff\xfe\0\2" * 1_000_000),
    "bomb.fits": lambda: fits(GIB),
    "entity.svg": lambda: SVG,
    "script.html": lambda: b"<html><script>alert(1)</script></html>",
    "program.pkl": lambda: pickle.dumps(Touch()),
    "program.ps": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) (w) file\n",
    "script.msl": lambda: b'<?xml version="1.0"?><image><read filename="/etc/hostname"/></image>',
}
"""What is refused."""


def attempt(content: bytes) -> dict[str, str | float]:
    """Read a file, and say what became of it."""
    from freefill.errors import FreefillError
    from freefill.imaging.io import read_picture

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, told = time.process_time(), "read"
    try:
        read_picture(content)
    except FreefillError as error:
        told = f"refused: {error}"
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"told": told, "seconds": time.process_time() - start, "MiB": grown / 1024}


if __name__ == "__main__":
    # Making some takes more memory than reading them may.
    path = Path(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    print(json.dumps(attempt(path.read_bytes())))
