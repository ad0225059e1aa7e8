"""PNG: 16 bits a channel, read and written; chunks byte for byte; what editors may not copy."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from freefill.errors import ImageError
from freefill.imaging.box import Box
from freefill.imaging.formats.png import START, Chunk, chunk, encode_deep, read_chunks
from freefill.imaging.io import encode, read_picture, restore
from freefill.imaging.picture import Picture

COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
PASSES = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2)]
PASSES.append((1, 0, 2, 1))


def by_hand(
    samples: NDArray[np.uint16], *, interlaced: bool = False, chunks: tuple[Chunk, ...] = ()
) -> bytes:
    """A PNG written from the specification, without filters and without the package's code."""
    height, width, channels = samples.shape
    head = struct.pack(">IIBBBBB", width, height, 16, COLOUR_TYPES[channels], 0, 0, interlaced)
    parts = [samples]
    if interlaced:
        parts = [samples[top::down, left::across] for top, left, down, across in PASSES]
    rows = b"".join(
        b"\0" + row.astype(">u2").tobytes() for part in parts if part.size for row in part
    )
    early = b"".join(piece(c.name, c.content) for c in chunks if not c.late)
    late = b"".join(piece(c.name, c.content) for c in chunks if c.late)
    body = piece(b"IHDR", head) + early + piece(b"IDAT", zlib.compress(rows)) + late
    return b"\x89PNG\r\n\x1a\n" + body + piece(b"IEND", b"")


def piece(name: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + check


def unfiltered(content: bytes) -> NDArray[np.uint16]:
    """Decode a PNG of 16 bits slowly, byte by byte, as section 9 of the specification has it."""
    head, place, data = b"", 8, b""
    while place < len(content):
        size, name = struct.unpack_from(">I4s", content, place)
        body = content[place + 8 : place + 8 + size]
        assert zlib.crc32(name + body) == struct.unpack_from(">I", content, place + 8 + size)[0]
        head = body if name == b"IHDR" else head
        data += body if name == b"IDAT" else b""
        place += 12 + size
    width, height, depth, kind, *rest = struct.unpack(">IIBBBBB", head)
    assert (depth, rest) == (16, [0, 0, 0])
    channels = {number: count for count, number in COLOUR_TYPES.items()}[kind]
    step, length = 2 * channels, 2 * channels * width
    raw = zlib.decompress(data)
    assert len(raw) == height * (length + 1)
    before = [0] * length
    rows = []
    for y in range(height):
        filtered = raw[y * (length + 1) : (y + 1) * (length + 1)]
        row: list[int] = []
        for x, value in enumerate(filtered[1:]):
            a = row[x - step] if x >= step else 0
            b, c = before[x], before[x - step] if x >= step else 0
            p = a + b - c
            nearest = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            row.append((value + [0, a, b, (a + b) // 2, nearest][filtered[0]]) & 255)
        rows.append(row)
        before = row
    return np.array(rows, np.uint8).view(">u2").reshape(height, width, channels).astype(np.uint16)


def deep(channels: int, height: int = 37, width: int = 53, seed: int = 0) -> NDArray[np.uint16]:
    """Smooth colours with low bytes that a path through 8 bits would lose."""
    rng = np.random.default_rng(seed)
    ramps = np.linspace(0, 60_000, width)[None, :, None] + np.arange(height)[:, None, None] * 31
    found: NDArray[np.uint16] = (ramps + rng.integers(0, 900, (height, width, channels))).astype(
        np.uint16
    )
    return found


def refilled(picture: Picture) -> tuple[Picture, NDArray[np.bool_]]:
    height, width = picture.size
    hole = np.zeros((height, width), bool)
    hole[height // 3 : height // 2, width // 3 : width // 2] = True
    colours = np.random.default_rng(5).random((height, width, 3), np.float32)
    return picture.filled([(Box.whole((height, width)), hole, colours)], False), hole


samples_of_any_kind = st.builds(
    lambda height, width, channels, seed, kind: {
        "noise": np.random.default_rng(seed).integers(0, 65536, (height, width, channels)),
        "flat": np.full((height, width, channels), seed % 65536),
        "smooth": np.cumsum(
            np.random.default_rng(seed).integers(0, 90, (height, width, channels)), axis=1
        )
        % 65536,
    }[kind].astype(np.uint16),
    st.integers(1, 12),
    st.integers(1, 12),
    st.integers(1, 4),
    st.integers(0, 2**31),
    st.sampled_from(["noise", "flat", "smooth"]),
)


@settings(max_examples=150, deadline=None)
@given(samples_of_any_kind)
def test_what_is_written_is_read_by_a_decoder_from_the_specification(
    samples: NDArray[np.uint16],
) -> None:
    np.testing.assert_array_equal(unfiltered(encode_deep(samples)), samples)


@settings(max_examples=150, deadline=None)
@given(samples_of_any_kind, st.booleans())
def test_every_bit_of_what_others_write_is_read(
    samples: NDArray[np.uint16], interlaced: bool
) -> None:
    picture = read_picture(by_hand(samples, interlaced=interlaced))
    assert picture.samples.dtype == np.uint16
    assert picture.mode == {1: "I;16", 2: "LA", 3: "RGB", 4: "RGBA"}[samples.shape[2]]
    np.testing.assert_array_equal(picture.samples.reshape(samples.shape), samples)


@settings(max_examples=60, deadline=None)
@given(samples_of_any_kind)
def test_what_is_written_is_read_back(samples: NDArray[np.uint16]) -> None:
    found = read_picture(encode_deep(samples)).samples
    np.testing.assert_array_equal(found.reshape(samples.shape), samples)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_blocks_on_several_threads_make_one_stream(
    channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("freefill.imaging.formats.png.BLOCK", 1000)
    samples = deep(channels)
    np.testing.assert_array_equal(unfiltered(encode_deep(samples)), samples)


@pytest.mark.parametrize("channels", [2, 3, 4])
@pytest.mark.parametrize("interlaced", [False, True])
def test_16_bit_colour_stays(channels: int, interlaced: bool) -> None:
    before = deep(channels)
    picture, hole = refilled(read_picture(by_hand(before, interlaced=interlaced)))
    content = restore(picture)
    after = unfiltered(content)
    np.testing.assert_array_equal(after[~hole], before[~hole])
    assert (after[hole] != before[hole]).any()
    # The filled samples have 16 bits too: most are no multiple of 257.
    assert (after[hole][:, 0] % 257 != 0).mean() > 0.9
    if channels in (2, 4):
        np.testing.assert_array_equal(after[..., -1], before[..., -1])


def test_a_transparent_colour_of_16_bits_is_kept_and_seen() -> None:
    samples = deep(3)
    colour = tuple(int(value) for value in samples[3, 4])
    hidden = Chunk(b"tRNS", struct.pack(">3H", *colour))
    picture = read_picture(by_hand(samples, chunks=(hidden,)))
    content, notices = encode(picture, "PNG")
    assert notices == []
    assert piece(*hidden[:2]) in content
    content, notices = encode(picture, "TIFF")
    alpha = read_picture(content)
    assert alpha.mode == "RGBA"
    expected = np.where((samples == samples[3, 4]).all(-1), 0, 65535)
    np.testing.assert_array_equal(alpha.samples[..., 3], expected)
    assert any("transparent" in line for line in notices)


def test_a_transparent_grey_of_16_bits_becomes_alpha_elsewhere() -> None:
    samples = deep(1)
    hidden = Chunk(b"tRNS", struct.pack(">H", int(samples[3, 4, 0])))
    picture = read_picture(by_hand(samples, chunks=(hidden,)))
    assert piece(*hidden[:2]) in encode(picture, "PNG")[0]
    alpha = np.where(samples[..., 0] == samples[3, 4, 0], 0, 65535)
    found = read_picture(encode(picture, "TIFF")[0])
    assert (found.mode, found.samples.dtype) == ("LA", np.uint16)
    np.testing.assert_array_equal(found.samples[..., 1], alpha)
    np.testing.assert_array_equal(found.samples[..., 0], samples[..., 0])
    seen = Image.open(BytesIO(encode(picture, "WEBP")[0])).convert("RGBA")
    np.testing.assert_array_equal(np.asarray(seen)[..., 3], alpha // 257)


# --- chunks -------------------------------------------------------------------------------------

PROFILE = b"a profile" * 40
KEPT = (
    Chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)),
    Chunk(b"gAMA", struct.pack(">I", 45455)),
    Chunk(b"iCCP", b"Display P3\0\0" + zlib.compress(PROFILE, 1)),
    Chunk(b"sBIT", bytes([12, 12, 12])),
    Chunk(b"cICP", bytes([12, 13, 0, 1])),
    Chunk(b"bKGD", struct.pack(">3H", 1, 2, 3)),
    Chunk(b"pHYs", struct.pack(">IIB", 11811, 11812, 1)),
    Chunk(b"tEXt", b"Author\0Somebody"),
    Chunk(b"zTXt", b"Title\0\0" + zlib.compress(b"A title")),
    Chunk(b"iTXt", b"Description\0\0\0de\0Beschreibung\0Ein Bild"),
    Chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x:xmpmeta>rating 5</x:xmpmeta>"),
    Chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\x01\x01\x0f\0\x02\0\0\0\x08\0\0\0\x1a\0\0\0\0A maker\0"),
    Chunk(b"prVt", b"private, and safe to copy"),
    Chunk(b"tIME", struct.pack(">HBBBBB", 2020, 2, 2, 20, 20, 20), late=True),
    Chunk(b"tEXt", b"Comment\0after the pixels", late=True),
)


@pytest.mark.parametrize("bits", [8, 16])
def test_chunks_are_kept_byte_for_byte_and_in_order(bits: int) -> None:
    source = by_hand(deep(3), chunks=KEPT)
    if bits == 8:
        source = eight(source)
    picture, _ = refilled(read_picture(source))
    content, notices = encode(picture, "PNG")
    assert notices == []
    _, chunks = read_chunks(BytesIO(content))
    assert sorted(chunks) == sorted(KEPT)
    names = [name for name, _ in every(content)]
    assert names[0] == b"IHDR"
    assert max(names.index(n) for n in (b"cHRM", b"gAMA", b"iCCP")) < names.index(b"IDAT")
    assert len(names) - 1 - names[::-1].index(b"IDAT") < names.index(b"tIME")
    assert Image.open(BytesIO(content)).info["icc_profile"] == PROFILE


def eight(content: bytes) -> bytes:
    """The same chunks around 8-bit pixels."""
    image = Image.fromarray((read_picture(content).samples >> 8).astype(np.uint8))
    buffer = BytesIO()
    image.save(buffer, "PNG")
    start, middle, end = buffer.getvalue(), [], []
    for entry in KEPT:
        (end if entry.late else middle).append(piece(entry.name, entry.content))
    pixels = start.index(b"IDAT") - 4
    return start[:pixels] + b"".join(middle) + start[pixels:-12] + b"".join(end) + start[-12:]


def every(content: bytes) -> list[tuple[bytes, bytes]]:
    found, place = [], 8
    while place < len(content):
        size, name = struct.unpack_from(">I4s", content, place)
        found.append((name, content[place + 8 : place + 8 + size]))
        place += 12 + size
    return found


def test_colour_stands_before_a_palette() -> None:
    image = Image.fromarray((deep(3) >> 8).astype(np.uint8)).quantize(16)
    buffer = BytesIO()
    image.save(buffer, "PNG")
    content = buffer.getvalue()
    place = content.index(b"PLTE") - 4
    content = content[:place] + piece(*KEPT[1][:2]) + content[place:]
    names = [name for name, _ in every(encode(read_picture(content), "PNG")[0])]
    assert names.index(b"gAMA") < names.index(b"PLTE") < names.index(b"IDAT")


def test_what_depends_on_the_old_pixels_is_left_out_and_named() -> None:
    preview = Chunk(b"prVW", b"the picture as it was")
    source = by_hand(deep(3), chunks=(preview, *KEPT))
    content, notices = encode(read_picture(source), "PNG")
    assert b"prVW" not in content
    assert any("prVW" in line for line in notices)


def test_strip_keeps_colour_and_resolution_alone() -> None:
    picture = read_picture(by_hand(deep(3), chunks=KEPT))
    content, notices = encode(picture, "PNG", strip=True)
    names = {name for name, _ in every(content)} - {b"IHDR", b"IDAT", b"IEND"}
    assert names == {b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"cICP", b"bKGD", b"pHYs"}
    assert notices == []


def test_texts_that_another_format_cannot_hold_are_named() -> None:
    picture = read_picture(eight(by_hand(deep(3), chunks=KEPT)))
    _, notices = encode(picture, "JPEG")
    (line,) = [line for line in notices if "texts" in line]
    assert all(name in line for name in ("Author", "Title", "Description", "Comment"))
    _, notices = encode(picture, "JPEG", strip=True)
    assert notices == []


@pytest.mark.parametrize("packed", [False, True])
def test_xmp_of_a_turned_picture_says_upright(packed: bool) -> None:
    xmp = b'<rdf:Description tiff:Orientation="6" note="stays"/>'
    body = zlib.compress(xmp) if packed else xmp
    text = Chunk(b"iTXt", b"XML:com.adobe.xmp\0" + bytes([packed, 0, 0, 0]) + body)
    exif = Chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0")
    picture = read_picture(by_hand(deep(3), chunks=(text, exif)))
    assert picture.size == (53, 37)
    content, _ = encode(picture, "PNG")
    found = Image.open(BytesIO(content))
    assert b'tiff:Orientation="1" note="stays"' in xmp_of(found.info["xmp"])
    assert found.getexif()[0x112] == 1


def xmp_of(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def test_exif_as_text_does_not_turn_a_picture_twice() -> None:
    exif = Image.Exif()
    exif[0x112], exif[0x10F] = 6, "A maker"
    body = exif.tobytes()
    text = f"\nexif\n{len(body):8}\n{body.hex()}\n".encode()
    raw = Chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text))
    picture = read_picture(by_hand(deep(3), chunks=(raw,)))
    assert picture.size == (53, 37)
    again = read_picture(encode(picture, "PNG")[0])
    assert again.size == (53, 37)
    assert Image.open(BytesIO(encode(picture, "PNG")[0])).getexif()[0x10F] == "A maker"


def test_an_animated_png_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (20, 10), colour) for colour in ("red", "lime", "blue")]
    path = tmp_path / "a.png"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    picture = read_picture(path)
    assert any("3 frames" in line for line in picture.notices)
    content, _ = encode(picture, "PNG")
    assert getattr(Image.open(BytesIO(content)), "n_frames", 1) == 1
    assert not {b"acTL", b"fcTL", b"fdAT"} & {name for name, _ in every(content)}


@pytest.mark.parametrize("share", [0.01, 0.3, 0.97])
def test_a_truncated_png_says_where(tmp_path: Path, share: float) -> None:
    whole = by_hand(deep(3))
    path = tmp_path / "half.png"
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ImageError, match=r"half\.png"):
        read_picture(path)


def test_a_chunk_is_what_the_specification_says() -> None:
    assert chunk(b"IEND", b"") == b"\0\0\0\0IEND\xaeB`\x82"
    assert START == b"\x89PNG\r\n\x1a\n"


def test_samples_beyond_the_palette_stay_black() -> None:
    head = struct.pack(">IIBBBBB", 3, 2, 8, 3, 0, 0, 0)
    rows = bytes([0, 0, 1, 200, 0, 2, 1, 0])
    source = START + piece(b"IHDR", head) + piece(b"PLTE", bytes(range(30, 39)))
    source += piece(b"IDAT", zlib.compress(rows)) + piece(b"IEND", b"")
    picture = read_picture(source)
    again = Image.open(BytesIO(encode(picture, "PNG")[0]))
    np.testing.assert_array_equal(again, [[0, 1, 200], [2, 1, 0]])
    assert again.convert("RGB").getpixel((2, 0)) == (0, 0, 0)


@pytest.mark.parametrize("name", ["Workflow", "XML:com.adobe.xmp"])
def test_a_text_longer_than_pillow_unpacks_is_kept(name: str) -> None:
    info = PngInfo()
    info.add_itxt(name, "a step of it; " * 100_000, zip=True)
    buffer = BytesIO()
    Image.new("RGB", (9, 7), "teal").save(buffer, "PNG", pnginfo=info)
    picture = read_picture(buffer.getvalue())
    texts = [c for c in read_chunks(buffer)[1] if c.name == b"iTXt"]
    content, _ = encode(picture, "PNG")
    assert [c for c in read_chunks(BytesIO(content))[1] if c.name == b"iTXt"] == texts
    assert any(name in line for line in encode(picture, "TIFF")[1])
