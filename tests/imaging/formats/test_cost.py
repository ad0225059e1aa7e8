"""Time and memory follow the bytes: no small file takes long, or becomes many times its size."""

from __future__ import annotations

import resource
import struct
import time
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from freefill.errors import ImageError, OutOfMemoryError
from freefill.imaging.formats import jpeg, limits, reader
from freefill.imaging.formats.metadata import clean_photoshop, clean_xmp
from freefill.imaging.io import encode, read_picture

SECONDS = 4.0
"""Far more than any of these takes, far less than any of them took."""
MEBIBYTES = 300

Content = Callable[[], bytes]


def saved(image: Image.Image, file_format: str, **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


# --- PNG ---


def chunk(name: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + check


def png(*chunks: bytes, size: tuple[int, int] = (8, 8), depth: int = 8, colour: int = 2) -> bytes:
    head = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0)
    rows = zlib.compress(bytes(8 * 25))
    pieces = [chunk(b"IHDR", head), *chunks, chunk(b"IDAT", rows), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(pieces)


def packed(piece: bytes, total: int) -> bytes:
    packer = zlib.compressobj(9)
    block = piece * ((1 << 20) // len(piece))
    return b"".join(packer.compress(block) for _ in range(total >> 20)) + packer.flush()


PREVIEW = b"<xmp:Thumbnails>"
XMP = b"XML:com.adobe.xmp\0"


def nested(depth: int) -> bytes:
    """EXIF inside EXIF inside EXIF."""
    out = b"II*\0" + struct.pack("<I", 8)
    for i in range(depth):
        following = 8 + 18 * (i + 1) if i < depth - 1 else 0
        out += struct.pack("<HHHIII", 1, 34665, 4, 1, following, 0)
    return out


# --- TIFF ---


def tiff(tags: list[tuple[int, int, int, int]], data: bytes = bytes(64), after: int = 0) -> bytes:
    """A TIFF whose pixels begin at byte 8, and whose directory follows ``data``."""
    base = 8 + len(data) + len(data) % 2
    own = {256: (4, 1, 8), 257: (4, 1, 8), 258: (3, 1, 8), 259: (3, 1, 1), 262: (3, 1, 1)}
    own |= {273: (4, 1, 8), 277: (3, 1, 1), 278: (4, 1, 8), 279: (4, 1, 64)}
    entries = sorted((own | {t[0]: t[1:] for t in tags}).items())
    out = struct.pack("<H", len(entries))
    out += b"".join(struct.pack("<HHII", n, *values) for n, values in entries)
    out += struct.pack("<I", after)
    return b"II*\0" + struct.pack("<I", base) + data.ljust(base - 8, b"\0") + out


def tags_that_share(count: int, size: int) -> bytes:
    return tiff([(40_000 + i, 7, size, 72) for i in range(count)], bytes(64 + size))


def pages(count: int, circle: bool = False) -> bytes:
    first = tiff([])
    start = len(first)
    body = bytearray(first)
    struct.pack_into("<I", body, start - 4, start)
    last = 72 if circle else 0
    more = [start + 6 * (i + 1) if i < count - 1 else last for i in range(count)]
    return bytes(body) + b"".join(struct.pack("<HI", 0, place) for place in more)


def overlapping() -> bytes:
    """1000 strips of the same bytes: 1000x1000 floats of RGB."""
    rows = 1000
    blob = zlib.compress(bytes(rows * 4 * 3), 9)
    data = blob + bytes(len(blob) % 2)
    places = 8 + len(data)
    data += struct.pack("<I", 8) * rows + struct.pack("<I", len(blob)) * rows
    tags = [
        (256, 4, 1, rows),
        (257, 4, 1, rows),
        (258, 3, 1, 32),
        (259, 3, 1, 8),
        (277, 3, 1, 3),
        (262, 3, 1, 2),
    ]
    tags += [(273, 4, rows, places), (278, 4, 1, 1), (279, 4, rows, places + 4 * rows)]
    return tiff([*tags, (339, 3, 1, 3)], data)


def resources(size: int) -> bytes:
    return b"8BIM\x04\x00\0\0\0\0\0\0" * (size // 12)


def with_block(number: int, content: bytes) -> bytes:
    return tiff([(number, 7, len(content), 72)], bytes(64) + content)


# --- JPEG ---


def progressive(side: int, scans: int) -> bytes:
    """One colour, each scan of which is a few bytes that stand for all blocks."""

    def segment(marker: int, content: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content

    def bits(text: str) -> bytes:
        text += "1" * (-len(text) % 8)
        found = bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8))
        return found.replace(b"\xff", b"\xff\0")

    left, runs = (side // 8) ** 2, ""
    blocks = left
    while left > 0:
        run = min(left, 32_767)
        runs += "0" + ("0" * 14 if run < 16_384 else format(run - 16_384, "014b"))
        left -= max(run, 16_384)
    out = b"\xff\xd8" + segment(0xDB, b"\0" + b"\1" * 64)
    out += segment(0xC2, struct.pack(">BHHB", 8, side, side, 1) + b"\1\x11\0")
    table = bytes([1] + [0] * 15)
    out += segment(0xC4, b"\0" + table + b"\0") + segment(0xC4, b"\x10" + table + b"\xe0")
    out += segment(0xDA, b"\1\1\0\0\0\0") + bits("0" * blocks)
    return out + (segment(0xDA, b"\1\1\0\1\x3f\0") + bits(runs)) * scans + b"\xff\xd9"


def plain_jpeg(between: bytes = b"") -> bytes:
    content = saved(Image.new("L", (16, 16), 90), "JPEG")
    return content[:2] + between + content[2:]


# --- GIF, ICO ---


def gif(frames: int) -> bytes:
    head = b"GIF89a" + struct.pack("<HHBBB", 8, 8, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = b"!\xf9\x04\0\0\0\0\0," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\2\2\x4c\1\0"
    return head + frame * frames + b";"


def icon(content: bytes, count: int = 1) -> bytes:
    place = 6 + 16 * count
    entry = struct.pack("<BBBBHHII", 8, 8, 0, 0, 1, 32, len(content), place)
    return struct.pack("<HHH", 0, 1, count) + entry * count + content


READ: dict[str, Content] = {
    "xmp.png": lambda: png(chunk(b"iTXt", XMP + b"\0\0\0\0" + PREVIEW * 65_000)),
    "xmp-packed.png": lambda: png(chunk(b"iTXt", XMP + b"\1\0\0\0" + packed(PREVIEW, 1 << 26))),
    "xmp-twice.png": lambda: png(
        *[chunk(b"iTXt", XMP + b"\1\0\0\0" + packed(PREVIEW, 1 << 24))] * 200
    ),
    "texts.png": lambda: png(*[chunk(b"zTXt", b"a\0\0" + packed(b"A", 1 << 20))] * 5000),
    "exif-nested.png": lambda: png(chunk(b"eXIf", nested(50_000))),
    "exif-shared.png": lambda: png(chunk(b"eXIf", tags_that_share(20_000, 1 << 20))),
    "profile.png": lambda: png(chunk(b"iCCP", b"p\0\0" + packed(b"A", 1 << 28))),
    "exif-nested.jpg": lambda: saved(
        Image.new("L", (8, 8)), "JPEG", exif=b"Exif\0\0" + nested(3500)
    ),
    "exif-shared.webp": lambda: saved(
        Image.new("RGB", (8, 8)), "WEBP", exif=tags_that_share(9000, 1 << 20)
    ),
    "fill.jpg": lambda: plain_jpeg(b"\xff" * (10 << 20)),
    "pages.tif": lambda: pages(100_000),
    "circle.tif": lambda: pages(3, circle=True),
    "resources.tif": lambda: with_block(34377, resources(8 << 20)),
    "xmp.tif": lambda: with_block(700, PREVIEW * 65_000),
    "layers.tif": lambda: with_block(37724, bytes(1 << 20)),
    "frames.gif": lambda: gif(1_000_000),
    "icons.ico": lambda: icon(png(), 200),
    "comment.gif": lambda: gif(1)[:19] + b"!\xfe" + (b"\xff" * 256) * 20_000 + b"\0" + gif(1)[19:],
    "lines.bmp": lambda: runs(900, 900, b"\1\1\0\0" * 900 + b"\0\1"),
    "pieces.png": lambda: png(*[chunk(b"IDAT", b"")] * 100_000),
}
"""Files that are read, and written, quickly."""


def runs(width: int, height: int, data: bytes) -> bytes:
    """A BMP that is coded in runs."""
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(data), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 1078 + len(data), 0, 0, 1078) + head + bytes(1024) + data


REFUSED: dict[str, Content] = {
    "chunks.png": lambda: png(*[chunk(b"prVt", b"")] * 200_000),
    "deep.png": lambda: png(size=(9999, 9999), depth=16, colour=6),
    "tags.tif": lambda: tags_that_share(20_000, 1 << 20),
    "strips.tif": overlapping,
    "channels.tif": lambda: tiff([(256, 4, 1, 9000), (257, 4, 1, 9000), (277, 3, 1, 640)]),
    "scans.jpg": lambda: progressive(4000, 1000),
    "some-scans.jpg": lambda: progressive(9992, 90),
    "segments.jpg": lambda: plain_jpeg(b"\xff\xfe\0\2" * 1_000_000),
    "large.ico": lambda: icon(png(size=(12_000, 12_000))),
    "large-bitmap.ico": lambda: icon(
        struct.pack("<IiiHHIIiiII", 40, 12_000, 24_000, 1, 32, 0, 0, 0, 0, 0, 0)
    ),
    "blank.ppm": lambda: b"P5" + b" " * (10 << 20) + b"8 8 255\n" + bytes(64),
    "blank-later.ppm": lambda: b"P5 8 8" + b"\n" * (10 << 20) + b"255\n" + bytes(64),
    "comment.ppm": lambda: b"P6\n#" + b" " * (10 << 20) + b"\n8 8 255\n" + bytes(192),
    "lines.bmp": lambda: runs(10_000, 9_999, b"\1\1\0\0" * 9_999 + b"\0\1"),
    "many.ico": lambda: icon(png(), 60_000),
}
"""Files that are refused, quickly, in a sentence that names them."""


def measured(work: Callable[[], Any]) -> tuple[float, float]:
    """Give seconds of this process, and how much the most memory that it had has grown."""
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    work()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return time.process_time() - start, grown / 1024


@pytest.mark.parametrize("name", READ)
def test_what_is_read(name: str) -> None:
    content = READ[name]()

    def work() -> None:
        picture = read_picture(content)
        for file_format in (picture.format or "", "TIFF", "WEBP"):
            if file_format != "ICO":
                encode(picture, file_format)

    seconds, grown = measured(work)
    assert seconds < SECONDS
    assert grown < MEBIBYTES


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    content = REFUSED[name]()

    def work() -> None:
        with pytest.raises(ImageError, match="the image of"):
            read_picture(content)

    seconds, grown = measured(work)
    assert seconds < SECONDS
    assert grown < MEBIBYTES


def test_photos_with_many_scans_are_decoded() -> None:
    assert read_picture(progressive(800, 60)).size == (800, 800)
    assert jpeg.checked(progressive(4000, 15))


def test_fill_bytes_do_not_change_a_photo() -> None:
    for count in (1, 5000):
        filled = read_picture(plain_jpeg(b"\xff" * count))
        np.testing.assert_array_equal(filled.samples, read_picture(plain_jpeg()).samples)
        assert filled.source_metadata.jpeg == plain_jpeg(b"\xff" * count)


def test_frames_and_pages_are_counted_so_far() -> None:
    for content, said in (
        (gif(1), None),
        (gif(7), "7 frames"),
        (gif(1001), "more than 1000 frames"),
        (pages(4), "5 frames"),
        (pages(5000), "more than 1000 frames"),
    ):
        notices = [line for line in read_picture(content).notices if "frames" in line]
        assert len(notices) == (said is not None)
        assert said is None or f"has {said}:" in notices[0]


def test_gif_frames_as_pillow_counts_them() -> None:
    rng = np.random.default_rng(0)
    images = [Image.fromarray(rng.integers(0, 256, (30, 40), np.uint8)) for _ in range(9)]
    content = saved(images[0], "GIF", save_all=True, append_images=images[1:], comment=b"!,;" * 99)
    assert limits.gif_frames(BytesIO(content)) == 9
    assert limits.gif_frames(BytesIO(content[:10])) == 1


def test_long_blocks_of_metadata_are_cleaned_in_one_go() -> None:
    whole = b"<a/>" + (PREVIEW + b" x </xmp:Thumbnails>") * 50_000 + PREVIEW * 50_000
    seconds, _ = measured(lambda: clean_xmp(whole))
    assert seconds < 1
    assert clean_xmp(whole) == b"<a/>" + PREVIEW * 50_000
    seconds, _ = measured(lambda: clean_photoshop(resources(4 << 20)))
    assert seconds < 1


def test_samples_are_limited_like_pixels() -> None:
    deep = png(size=(40, 30), depth=16, colour=6)
    # 8 bytes a pixel: two of those that a pixel may have.
    with pytest.raises(ImageError, match=r"8 bytes a pixel.*`max_pixels=2400` lets it in"):
        read_picture(deep, max_pixels=2399)
    with pytest.raises(ImageError, match="damaged|truncated"):  # noqa: RUF043
        read_picture(deep, max_pixels=2400)


def test_too_little_memory_is_said_and_is_not_the_photos_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = saved(Image.new("RGB", (8, 8)), "PNG")
    picture = read_picture(content)

    def full(*arguments: Any, **options: Any) -> Any:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(reader, "from_pillow", full)
        with pytest.raises(OutOfMemoryError, match="not enough memory to read the image of"):
            read_picture(content)
    assert not issubclass(OutOfMemoryError, ImageError)
    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OutOfMemoryError, match="not enough memory to write PNG of 8x8 pixels"):
        encode(picture, "PNG")
