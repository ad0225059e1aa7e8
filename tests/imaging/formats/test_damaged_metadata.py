"""Metadata that is damaged, or that a format cannot hold, is dropped with a line: no traceback."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from freefill.errors import ImageError
from freefill.imaging.formats import writer
from freefill.imaging.formats.ifd import read, read_block
from freefill.imaging.io import encode, read_picture
from freefill.imaging.picture import Picture

FORMATS = ("PNG", "WEBP", "TIFF", "JPEG", "AVIF", "GIF", "BMP", "JPEG2000")


def chunk(name: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + check


def png(photo: NDArray[np.uint8], *chunks: bytes) -> bytes:
    buffer = BytesIO()
    Image.fromarray(photo).save(buffer, "PNG")
    content = buffer.getvalue()
    # Behind the signature and the header.
    return content[:33] + b"".join(chunks) + content[33:]


def exif_text(digits: str) -> bytes:
    return f"\nexif\n{len(digits) // 2:>8}\n{digits}\n".encode()


def nested(depth: int) -> bytes:
    out = b"II*\0" + struct.pack("<I", 8)
    for i in range(depth):
        following = 8 + 18 * (i + 1) if i < depth - 1 else 0
        out += struct.pack("<HHHIII", 1, 34665, 4, 1, following, 0)
    return out


def big_tiff(*tags: tuple[int, int, int], order: str = "<") -> bytes:
    """A BigTIFF of 8x8 grey pixels, with tags of one number of 64 bits."""
    data = bytes(range(64))
    own = {256: 8, 257: 8, 258: 8, 259: 1, 262: 1, 273: 16, 277: 1, 278: 8, 279: 64}
    entries = [
        (number, 4 if number not in (273, 279) else 16, value) for number, value in own.items()
    ]
    entries = sorted([*entries, *tags])
    out = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HHHQ", 43, 8, 0, 80) + data
    out += struct.pack(f"{order}Q", len(entries))
    for number, kind, value in entries:
        code = {4: "I4x", 16: "Q", 17: "q", 18: "Q"}[kind]
        body = struct.pack(order + code, value)
        out += struct.pack(f"{order}HHQ", number, kind, 1) + body
    return out + struct.pack(f"{order}Q", 0)


def unpacked(content: bytes) -> NDArray[Any]:
    with Image.open(BytesIO(content)) as image:
        return np.asarray(image)


@pytest.mark.parametrize(
    "profile",
    [b"p\0\0not zlib", b"p\0\0" + zlib.compress(b"A" * 900)[:-7], b"p\0\0", b"p", b"p\0\1xxx"],
    ids=["noise", "cut off", "empty", "no packing", "unknown packing"],
)
def test_a_damaged_profile_is_dropped(photo: NDArray[np.uint8], profile: bytes) -> None:
    picture = read_picture(png(photo, chunk(b"iCCP", profile)))
    assert any("damaged colour profile: it is left out" in line for line in picture.notices)
    np.testing.assert_array_equal(picture.samples, photo)
    for file_format in FORMATS:
        content, _ = encode(picture, file_format)
        assert b"iCCP" not in content
    np.testing.assert_array_equal(unpacked(encode(picture, "WEBP")[0]), photo)


def test_pieces_of_a_profile_that_do_not_fit_together(photo: NDArray[np.uint8]) -> None:
    buffer = BytesIO()
    Image.fromarray(photo).save(buffer, "JPEG")
    piece = b"ICC_PROFILE\0\1\2" + bytes(200)
    content = buffer.getvalue()
    content = content[:2] + struct.pack(">HH", 0xFFE2, len(piece) + 2) + piece + content[2:]
    picture = read_picture(content)
    assert any("damaged colour profile" in line for line in picture.notices)
    for file_format in FORMATS:
        encode(picture, file_format)


def test_a_long_profile_is_kept(photo: NDArray[np.uint8]) -> None:
    profile = np.random.default_rng(0).bytes(3 << 20)
    picture = read_picture(png(photo, chunk(b"iCCP", b"p\0\0" + zlib.compress(profile))))
    assert picture.info["icc_profile"] == profile
    assert chunk(b"iCCP", b"p\0\0" + zlib.compress(profile)) in encode(picture, "PNG")[0]


@pytest.mark.parametrize("name", [b"tEXt", b"zTXt", b"iTXt"])
@pytest.mark.parametrize("digits", ["4d4d002a0000zz", "4d4d0", "é", "0x12"])
def test_a_damaged_text_of_exif_is_dropped(
    photo: NDArray[np.uint8], name: bytes, digits: str
) -> None:
    text = exif_text(digits)
    body = {b"tEXt": b"\0" + text, b"zTXt": b"\0\0" + zlib.compress(text)}
    content = b"Raw profile type exif" + body.get(name, b"\0\0\0\0\0" + text)
    picture = read_picture(png(photo, chunk(name, content)))
    assert any("damaged text of EXIF: it is left out" in line for line in picture.notices)
    np.testing.assert_array_equal(picture.samples, photo)
    for file_format in FORMATS:
        assert b"Raw profile" not in encode(picture, file_format)[0]


def test_a_damaged_text_in_an_image_of_pillow(photo: NDArray[np.uint8]) -> None:
    content = png(photo, chunk(b"tEXt", b"Raw profile type exif\0" + exif_text("xyz")))
    with Image.open(BytesIO(content)) as image:
        picture = read_picture(image)
    assert picture.notices == ["the image has damaged EXIF: it is left out"]
    np.testing.assert_array_equal(picture.samples, photo)


def test_a_text_of_exif_is_read(photo: NDArray[np.uint8]) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "A maker"
    text = b"Raw profile type exif\0" + exif_text(exif.tobytes().hex())
    picture = read_picture(png(photo, chunk(b"tEXt", text)))
    assert picture.notices == []
    assert picture.size == photo.shape[1::-1]
    for file_format in ("PNG", "JPEG", "TIFF", "WEBP"):
        with Image.open(BytesIO(encode(picture, file_format)[0])) as image:
            found = image.getexif()
        assert found[0x010F] == "A maker"
        assert found.get(0x0112, 1) == 1


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("block", [nested(3500), b"II*\0\xff\xff\xff\xff", b"no EXIF", b"MM"])
def test_exif_that_cannot_be_understood(
    photo: NDArray[np.uint8], block: bytes, file_format: str
) -> None:
    picture = read_picture(png(photo, chunk(b"eXIf", block)))
    content, _ = encode(picture, file_format)
    assert read_picture(content).size == photo.shape[:2]


@pytest.mark.parametrize("source", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("names", [0, 1, 2, 3])
def test_exif_that_is_named_twice_turns_the_result_for_nobody(names: int, source: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    block = b"Exif\0\0" * names + exif.tobytes().removeprefix(b"Exif\0\0")
    photo = np.zeros((16, 24, 3), np.uint8)
    buffer = BytesIO()
    if source == "PNG":
        content = png(photo, chunk(b"eXIf", block))
    elif source == "WEBP":
        # Pillow takes one name off.
        Image.fromarray(photo).save(buffer, "WEBP", exif=b"Exif\0\0" + block)
        content = buffer.getvalue()
    else:
        Image.fromarray(photo).save(buffer, "JPEG")
        whole = buffer.getvalue()
        content = whole[:2] + struct.pack(">HH", 0xFFE1, len(block) + 2) + block + whole[2:]
    picture = read_picture(content)
    read = {"JPEG": (1,), "PNG": (0,), "WEBP": (0, 1)}[source]
    turned = names in read
    assert picture.size == ((24, 16) if turned else (16, 24))
    for file_format in FORMATS:
        made, notices = encode(picture, file_format)
        with Image.open(BytesIO(made)) as image:
            assert read_picture(made).size == picture.size
            if file_format != source:
                # What a lenient reader finds there must be true of the result, too.
                assert image.getexif().get(0x0112, 1) == 1
        lost = [line for line in notices if "EXIF is damaged" in line]
        own = file_format == source and source != "WEBP"
        damaged = names > max(read) and not own
        assert lost == damaged * [f"{file_format}: its EXIF is damaged and left out"]


def test_directories_inside_each_other_are_read_so_deep() -> None:
    tags, depth = read_block(nested(3500)).tags, 1
    while 34665 in tags:
        folder = tags[34665].value
        assert not isinstance(folder, bytes)
        tags, depth = folder.tags, depth + 1
    assert depth == 3


@pytest.mark.parametrize("order", ["<", ">"])
def test_numbers_of_64_bits(order: str) -> None:
    tags = [(40001, 17, -5), (40002, 16, 7), (40003, 18, 9)]
    picture = read_picture(
        big_tiff(*tags, (40004, 16, 1 << 40), (40005, 17, -1 << 40), order=order)
    )
    content, notices = encode(picture, "TIFF")
    found = read(BytesIO(content))
    assert found.tags[40001].kind == 9
    assert found.tags[40001].value == struct.pack(f"{found.order}i", -5)
    assert (found.first(40002, 0), found.first(40003, 0)) == (7, 9)
    assert 40004 not in found.tags
    (line,) = [line for line in notices if "64 bits" in line]
    assert "40004, 40005" in line
    np.testing.assert_array_equal(unpacked(content), np.arange(64).reshape(8, 8))
    for file_format in ("PNG", "WEBP", "JPEG"):
        encode(picture, file_format)


def test_what_a_writer_trips_over_is_left_out(
    monkeypatch: pytest.MonkeyPatch, photo: NDArray[np.uint8]
) -> None:
    picture = Picture(photo, "RGB", "bytes", "PNG", {"exif": b"MM", "icc_profile": b"p" * 200})
    saved = writer._saved

    def fussy(image: Any, file_format: str, mode: str, options: dict[str, Any]) -> bytes:
        if "exif" in options:
            raise ImageError("no EXIF, please")
        return saved(image, file_format, mode, options)

    monkeypatch.setattr(writer, "_saved", fussy)
    content, notices = encode(picture, "WEBP")
    assert notices == ["WEBP: its EXIF cannot be written: left out"]
    with Image.open(BytesIO(content)) as image:
        assert image.info["icc_profile"] == b"p" * 200


def test_any_other_fault_of_a_writer_is_one_of_ours(
    monkeypatch: pytest.MonkeyPatch, photo: NDArray[np.uint8]
) -> None:
    def trips(*arguments: Any) -> Any:
        raise RecursionError

    monkeypatch.setattr(writer, "_for_format", trips)
    with pytest.raises(ImageError, match="WEBP cannot be written: RecursionError"):
        encode(Picture(photo, "RGB", "array"), "WEBP")
