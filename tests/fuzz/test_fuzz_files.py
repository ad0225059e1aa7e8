"""Files with something wrong: read, or refused in a sentence; never a crash, and never for long.

The corpus is made here: a small photo in each format, with all the metadata that the format takes.
Mutations are those that have found faults: bytes and numbers changed, pieces cut out, repeated and
moved, ends cut off, two files joined. A few seconds by default; ``-m slow`` runs many more.
"""

from __future__ import annotations

import functools
import resource
import struct
import time
import warnings
import zlib
from contextlib import suppress
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from freefill.errors import FreefillError
from freefill.imaging.formats.jpeg import APP1, APP2, APP13, PHOTOSHOP, XMP, Segment, written
from freefill.imaging.io import encode, read_picture
from freefill.imaging.rgb import read_rgb

MAX_PIXELS = 250_000
SECONDS = 5.0
"""Of one file, read and written: far more than the work takes, far less than what runs away."""
MEBIBYTES = 500

XMP_TEXT = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><d tiff:Orientation="6" tiff:ImageWidth="24"'
    b' GCamera:MotionPhoto="1" GPano:FullPanoWidthPixels="24"><xmp:Thumbnails>a</xmp:Thumbnails>'
    b"<Container:Directory><a/></Container:Directory></d></x:xmpmeta>"
)
RESOURCES = b"8BIM\x04\x04\0\0\0\0\0\x02ab" + b"8BIM\x04\x0c\0\0\0\0\0\x04abcd"
INTERESTING = (0, 1, 2, 7, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, 0xFFFF_FFFF)
TARGETS = ("PNG", "TIFF", "WEBP", "JPEG", "GIF")


def exif() -> Image.Exif:
    found = Image.Exif()
    found[0x0112], found[0x010F] = 6, "A maker"
    found.get_ifd(0x8769).update({0xA002: 24, 0xA003: 16, 0x9003: "2020:02:02 20:20:20"})
    found.get_ifd(0x8825)[1] = "N"
    return found


def chunk(name: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + check


def with_chunks(content: bytes) -> bytes:
    text = b"\nexif\n 4\n" + b"4d4d002a"
    more = [
        chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text)),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(XMP_TEXT)),
        chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(200))),
        chunk(b"prVt", b"private"),
    ]
    return content[:33] + b"".join(more) + content[33:]


@functools.cache
def corpus() -> dict[str, bytes]:
    """Give a small file for each way of holding a photo."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (16, 24, 3), np.uint8)
    rgb = Image.fromarray(pixels)
    rgba = rgb.convert("RGBA")
    profile = bytes(200)

    def saved(image: Image.Image, file_format: str, **options: Any) -> bytes:
        out = BytesIO()
        image.save(out, file_format, **options)
        return out.getvalue()

    def tiff(samples: Any, **options: Any) -> bytes:
        out = BytesIO()
        tifffile.imwrite(out, samples, **options)
        return out.getvalue()

    jpeg = saved(rgb, "JPEG", exif=exif(), icc_profile=profile, comment=b"a comment")
    more = [
        Segment(APP1, XMP + XMP_TEXT),
        Segment(APP13, PHOTOSHOP + RESOURCES),
        Segment(APP2, b"urn:iso:std:iso:ts:21496:-1\0"),
    ]
    frames = {"save_all": True, "append_images": [rgb, rgb]}
    photoshop = [
        (34377, 7, len(RESOURCES), RESOURCES, True),
        (700, 1, len(XMP_TEXT), XMP_TEXT, True),
    ]
    return {
        "jpeg": jpeg[:2] + written(more) + jpeg[2:] + b"a video",
        "progressive": saved(rgb, "JPEG", progressive=True),
        "cmyk": saved(rgb.convert("CMYK"), "JPEG"),
        "mpo": saved(rgb, "MPO", **frames),
        "png": with_chunks(saved(rgb, "PNG", exif=exif(), dpi=(72, 72))),
        "palette": saved(rgba.quantize(), "PNG"),
        "apng": saved(rgb, "PNG", **frames),
        "deep png": saved(
            Image.fromarray(rng.integers(0, 65536, (16, 24)).astype(np.uint16)), "PNG"
        ),
        "webp": saved(rgba, "WEBP", exif=exif(), xmp=XMP_TEXT, icc_profile=profile),
        "animation": saved(rgb, "WEBP", **frames),
        "gif": saved(rgb, "GIF", comment=b"a comment", **frames),
        "tiff": tiff(pixels, photometric="rgb", rowsperstrip=4, extratags=photoshop),
        "deflate": tiff(pixels.astype(np.uint16), photometric="rgb", compression="zlib"),
        "tiles": tiff(pixels, photometric="rgb", tile=(16, 16), byteorder=">"),
        "floats": tiff(pixels.astype(np.float32) / 255, photometric="rgb"),
        "bigtiff": tiff(pixels, photometric="rgb", bigtiff=True, byteorder=">"),
        "planes": tiff(pixels.astype(np.uint16).transpose(2, 0, 1), planarconfig="separate"),
        "bmp": saved(rgb, "BMP"),
        "ppm": saved(rgb, "PPM"),
        "pgm": b"P5\n4 4\n65535\n" + bytes(32),
        "plain": b"P3\n2 2\n255\n" + b"1 2 3 " * 4,
        "ico": saved(rgba, "ICO", sizes=[(16, 16)]),
        "bmp ico": saved(rgba, "ICO", sizes=[(16, 16)], bitmap_format="bmp"),
        "dds": saved(rgba, "DDS"),
        "jpeg 2000": saved(rgb, "JPEG2000"),
        "avif": saved(rgb, "AVIF", exif=exif()),
    }


def mutated(data: st.DataObject, source: bytes) -> bytes:
    """Change a file a few times."""
    content = bytearray(source)
    draw = data.draw
    for _ in range(draw(st.integers(1, 4))):
        if not content:
            break
        # Headers and tables, where faults are, lie at the ends.
        place = draw(st.integers(0, len(content) - 1))
        place = draw(st.sampled_from((place, place % 200, len(content) - 1 - place % 200)))
        place = max(0, min(place, len(content) - 1))
        size = draw(st.integers(1, 64))
        kind = draw(st.sampled_from(("byte", "number", "cut", "repeat", "move", "end", "join")))
        if kind == "byte":
            content[place] = draw(st.integers(0, 255))
        elif kind == "number":
            code = draw(st.sampled_from(("<H", ">H", "<I", ">I", "<Q", ">Q")))
            number = draw(st.sampled_from(INTERESTING)) & (256 ** struct.calcsize(code) - 1)
            content[place : place + struct.calcsize(code)] = struct.pack(code, number)
        elif kind == "cut":
            del content[place : place + size]
        elif kind == "repeat":
            times = draw(st.sampled_from((2, 50, 2000)))
            content[place:place] = content[place : place + size] * times
        elif kind == "move":
            piece = content[place : place + size]
            del content[place : place + size]
            to = draw(st.integers(0, len(content)))
            content[to:to] = piece
        elif kind == "end":
            del content[place:]
        else:
            other = corpus()[draw(st.sampled_from(sorted(corpus())))]
            content = content[:place] + other[place % len(other) :]
    return bytes(content)


def check(content: bytes) -> None:
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        picture = None
        with suppress(FreefillError):
            picture = read_picture(content, max_pixels=MAX_PIXELS)
        if picture is not None:
            for strip in (False, True):
                for target in TARGETS:
                    try:
                        written = encode(picture, target, strip=strip)[0]
                    except FreefillError:
                        continue
                    # What is written can be read, too: damage does not spread.
                    assert read_picture(written, max_pixels=MAX_PIXELS).size == picture.size
        with suppress(FreefillError):
            assert read_rgb(BytesIO(content), shorter=8, max_pixels=MAX_PIXELS).shape[2:] == (3,)
    assert time.process_time() - start < SECONDS
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < MEBIBYTES * 1024


QUIET = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example)


@pytest.mark.parametrize("name", sorted(corpus()))
def test_the_corpus_is_read(name: str) -> None:
    read_picture(corpus()[name], max_pixels=MAX_PIXELS)
    check(corpus()[name])


@settings(max_examples=150, deadline=None, suppress_health_check=QUIET)
@given(st.data(), st.sampled_from(sorted(corpus())))
def test_mutated_files(data: st.DataObject, name: str) -> None:
    check(mutated(data, corpus()[name]))


@pytest.mark.slow
@settings(max_examples=20_000, deadline=None, suppress_health_check=QUIET)
@given(st.data(), st.sampled_from(sorted(corpus())))
def test_many_mutated_files(data: st.DataObject, name: str) -> None:
    check(mutated(data, corpus()[name]))
