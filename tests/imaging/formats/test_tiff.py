"""TIFF: 16 bits and floats, every layout, and tags; written and read by tifffile as the judge."""

from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from freefill.errors import ImageError
from freefill.imaging.box import Box
from freefill.imaging.formats.ifd import (
    BadDirectory,
    Directory,
    Tag,
    block,
    header,
    packed,
    read,
    read_block,
    short,
)
from freefill.imaging.io import encode, read_picture, restore
from freefill.imaging.picture import Picture

EXIF_FOLDER, GPS_FOLDER, TAKEN, LATITUDE = 34665, 34853, 36867, 2


def written(samples: NDArray[Any], **options: Any) -> bytes:
    buffer = BytesIO()
    options.setdefault("photometric", "minisblack" if samples.ndim == 2 else "rgb")
    tifffile.imwrite(buffer, samples, **options)
    return buffer.getvalue()


def judged(content: bytes) -> NDArray[Any]:
    found: NDArray[Any] = tifffile.imread(BytesIO(content))
    return found


def values(channels: int, dtype: type = np.uint16) -> NDArray[Any]:
    rng = np.random.default_rng(channels)
    shape = (64, 48, channels) if channels > 1 else (64, 48)
    if np.dtype(dtype).kind == "f":
        return rng.random(shape).astype(dtype)
    return rng.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def refilled(picture: Picture) -> tuple[Picture, NDArray[np.bool_]]:
    hole = np.zeros(picture.size, bool)
    hole[20:31, 10:27] = True
    colours = np.random.default_rng(5).random((*picture.size, 3), np.float32)
    return picture.filled([(Box.whole(picture.size), hole, colours)], False), hole


LAYOUTS: list[dict[str, Any]] = [
    {},
    {"byteorder": ">"},
    {"bigtiff": True},
    {"compression": "zlib"},
    {"compression": "zlib", "predictor": True},
    {"compression": "zlib", "predictor": True, "byteorder": ">"},
    {"rowsperstrip": 7},
    {"tile": (16, 16)},
    {"tile": (32, 16), "compression": "zlib", "predictor": True},
]


@pytest.mark.parametrize("options", LAYOUTS, ids=str)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bits_stay_in_every_layout(channels: int, options: dict[str, Any]) -> None:
    before = values(channels)
    extra = {"extrasamples": ["unassalpha"]} if channels == 4 else {}
    picture, hole = refilled(read_picture(written(before, **options, **extra)))
    content = restore(picture)
    after = judged(content)
    assert (after.dtype, after.shape) == (np.uint16, before.shape)
    np.testing.assert_array_equal(after[~hole], before[~hole])
    assert (after[hole] != before[hole]).any()
    with tifffile.TiffFile(BytesIO(content)) as found:
        packed = options.get("compression") is not None
        assert found.pages[0].compression.name == ("ADOBE_DEFLATE" if packed else "NONE")
        assert found.byteorder == options.get("byteorder", "<")
    if channels == 4:
        np.testing.assert_array_equal(after[..., 3], before[..., 3])


@pytest.mark.parametrize("compression", ["tiff_lzw", "zstd", "lzma", "packbits"])
def test_16_bit_grey_of_any_compression(compression: str) -> None:
    before = values(1)
    buffer = BytesIO()
    Image.fromarray(before).save(buffer, "TIFF", compression=compression)
    picture, hole = refilled(read_picture(buffer.getvalue()))
    np.testing.assert_array_equal(judged(restore(picture))[~hole], before[~hole])


def test_16_bit_colour_with_lzw(tmp_path: Path) -> None:
    # To LZW samples are bytes: packed as grey, they are 16-bit colour once the tags say so.
    before = values(3)
    grey = np.ascontiguousarray(before, "<u2").view(np.uint8).reshape(64, -1)
    path = tmp_path / "a.tif"
    Image.fromarray(grey).save(path, compression="tiff_lzw")
    content = path.read_bytes()
    tags = read(BytesIO(content)).without([305])
    changed = {256: short("<", 48), 258: short("<", 16, 16, 16), 262: short("<", 2)}
    changed[277] = short("<", 3)
    start = len(content) + len(content) % 2
    colour = packed(Directory("<", tags.tags | changed), start)
    path.write_bytes(header("<", start) + content[8:].ljust(start - 8, b"\0") + colour)
    picture, hole = refilled(read_picture(path))
    assert picture.samples.dtype == np.uint16
    np.testing.assert_array_equal(picture.samples[~hole], before[~hole])
    np.testing.assert_array_equal(judged(encode(picture, "TIFF")[0])[~hole], before[~hole])


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"byteorder": ">"}], ids=str)
@pytest.mark.parametrize("channels", [3, 4])
def test_a_plane_for_each_channel(channels: int, options: dict[str, Any]) -> None:
    before = values(channels)
    planes = np.ascontiguousarray(np.moveaxis(before, -1, 0))
    extra = {"extrasamples": ["unassalpha"]} if channels == 4 else {}
    source = written(planes, planarconfig="separate", **options, **extra)
    picture, hole = refilled(read_picture(source))
    np.testing.assert_array_equal(judged(restore(picture))[~hole], before[~hole])


def test_16_bit_grey_with_alpha() -> None:
    before = values(2)
    source = written(before, photometric="minisblack", extrasamples=["unassalpha"])
    picture, hole = refilled(read_picture(source))
    assert picture.mode == "LA"
    after = judged(restore(picture))
    np.testing.assert_array_equal(after[~hole], before[~hole])
    np.testing.assert_array_equal(after[..., 1], before[..., 1])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_floats_stay_floats(channels: int, dtype: type) -> None:
    before = values(channels, dtype)
    extra = {"extrasamples": ["unassalpha"]} if channels == 4 else {}
    picture, hole = refilled(read_picture(written(before, compression="zlib", **extra)))
    after = judged(restore(picture))
    assert after.dtype == dtype
    np.testing.assert_array_equal(after[~hole], before[~hole])
    assert (after[hole] != before[hole]).any()
    deep = read_picture(encode(picture, "PNG")[0])
    assert deep.samples.dtype == np.uint16
    np.testing.assert_allclose(
        deep.samples / 65535, after, atol=1e-3 if dtype == np.float16 else 1e-5
    )


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (np.nan, ["3 of", "NaN"]),
        (np.inf, ["3 of", "infinite"]),
        (7.5, ["7.5", "[0, 1]"]),
        (-2, ["-2", "[0, 1]"]),
    ],
)
def test_floats_that_are_no_colours_are_refused(wrong: float, words: list[str]) -> None:
    samples = values(3, np.float32)
    samples[5, 6:9, 1] = wrong
    with pytest.raises(ImageError) as refused:
        read_picture(written(samples))
    assert all(word in str(refused.value) for word in words)


def test_white_is_zero_is_turned_round_as_in_8_bits() -> None:
    before = values(1)
    picture = read_picture(written(before, photometric="miniswhite"))
    np.testing.assert_array_equal(picture.samples, 65535 - before)
    np.testing.assert_array_equal(judged(restore(picture)), 65535 - before)


def test_premultiplied_16_bit_alpha_is_refused_where_it_matters() -> None:
    samples = values(4)
    source = written(samples, extrasamples=["assocalpha"])
    with pytest.raises(ImageError, match="straight"):
        read_picture(source)
    samples[..., 3] = 65535
    picture = read_picture(written(samples, extrasamples=["assocalpha"]))
    np.testing.assert_array_equal(picture.samples, samples)


def test_what_cannot_be_read_is_said_in_words() -> None:
    for samples, words in (
        (values(5), ["5 channels"]),
        (values(3, np.uint32), ["32-bit"]),
    ):
        options = (
            {"photometric": "minisblack", "planarconfig": "contig"}
            if samples.shape[-1] == 5
            else {}
        )
        with pytest.raises(ImageError) as refused:
            read_picture(written(samples, **options))
        assert any(word in str(refused.value) for word in words), refused.value


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "CMYK"])
def test_8_bit_modes_are_written_so_that_others_read_them(mode: str) -> None:
    image = Image.fromarray(values(3, np.uint8))
    image = image.quantize(30) if mode == "P" else image.convert(mode)
    content, _ = encode(read_picture(image), "TIFF")
    found = judged(content)
    expected = np.asarray(image)
    np.testing.assert_array_equal(found, expected)
    assert Image.open(BytesIO(content)).mode == mode
    if mode == "P":
        colours = np.asarray(Image.open(BytesIO(content)).convert("RGB"))
        np.testing.assert_array_equal(colours, np.asarray(image.convert("RGB")))


# --- tags ---------------------------------------------------------------------------------------


def tagged(order: str = "<", **options: Any) -> bytes:
    extra = [
        (315, "s", 0, "An artist", True),
        (65000, "I", 3, (1, 2, 70_000), True),
        (65001, "B", 5, b"\1\2\3\4\5", True),
        (33550, "d", 3, (0.5, 0.25, 0.0), True),
        (700, "B", 9, b"<x:xmp/> ", True),
    ]
    return written(
        values(3, options.pop("dtype", np.uint16)),
        byteorder=order,
        description="A description",
        metadata=None,
        extratags=extra,
        resolution=(240, 240),
        resolutionunit="INCH",
        iccprofile=b"a profile for colours",
        **options,
    )


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tags_are_kept_byte_for_byte(dtype: type, order: str) -> None:
    source = tagged(order, dtype=dtype)
    before = read(BytesIO(source)).tags
    picture, _ = refilled(read_picture(source))
    content, notices = encode(picture, "TIFF")
    assert notices == []
    after = read(BytesIO(content)).tags
    for number in (270, 282, 283, 296, 305, 315, 700, 33550, 34675, 65000, 65001):
        assert after[number].value == before[number].value, number
    with tifffile.TiffFile(BytesIO(content)) as found:
        tags = found.pages[0].tags
        assert tags["ImageDescription"].value == "A description"
        assert tags[65000].value == (1, 2, 70_000)
        assert tags[33550].value == (0.5, 0.25, 0.0)
        assert tags["XResolution"].value == (240, 1)


def with_folders(samples: NDArray[Any]) -> bytes:
    """A TIFF with EXIF and GPS folders, as Pillow writes it."""
    exif = Image.Exif()
    exif[271] = "A maker"
    exif.get_ifd(EXIF_FOLDER)[TAKEN] = "2020:02:02 20:20:20"
    exif.get_ifd(GPS_FOLDER)[LATITUDE] = (47.0, 30.0, 0.5)
    buffer = BytesIO()
    Image.fromarray(samples).save(buffer, "TIFF", exif=exif.tobytes())
    return buffer.getvalue()


@pytest.mark.parametrize("target", ["TIFF", "PNG", "JPEG", "WEBP", "AVIF"])
def test_folders_of_tags_are_kept_in_any_format(target: str) -> None:
    picture, _ = refilled(read_picture(with_folders(values(3, np.uint8))))
    exif = Image.open(BytesIO(encode(picture, target)[0])).getexif()
    assert exif[271] == "A maker"
    assert exif.get_ifd(EXIF_FOLDER)[TAKEN] == "2020:02:02 20:20:20"
    assert [float(v) for v in exif.get_ifd(GPS_FOLDER)[LATITUDE]] == [47.0, 30.0, 0.5]


def test_an_opened_tiff_gives_exif_without_its_storage() -> None:
    image = Image.open(BytesIO(with_folders(values(3, np.uint8))))
    picture, _ = refilled(read_picture(image))
    exif = Image.open(BytesIO(encode(picture, "JPEG")[0])).getexif()
    assert set(exif) == {271, EXIF_FOLDER, GPS_FOLDER}
    assert exif.get_ifd(EXIF_FOLDER)[TAKEN] == "2020:02:02 20:20:20"
    plain = Image.open(BytesIO(written(values(3, np.uint8), metadata=None, software=False)))
    assert "exif" not in read_picture(plain).info


def test_strip_keeps_colour_and_resolution_alone() -> None:
    for source in (tagged(), with_folders(values(3, np.uint8))):
        content, _ = encode(read_picture(source), "TIFF", strip=True)
        after = read(BytesIO(content)).tags
        # A description, an artist, a place on a map, and whatever private tags tell.
        private = {270, 271, 305, 315, 700, 33550, 65000, 65001, EXIF_FOLDER, GPS_FOLDER}
        assert not private & set(after)
    content, _ = encode(read_picture(tagged()), "TIFF", strip=True)
    assert {282, 283, 296, 34675} <= set(read(BytesIO(content)).tags)


def test_layers_and_previews_do_not_show_what_was_there() -> None:
    resources = b"".join(
        b"8BIM" + struct.pack(">HHI", number, 0, len(body)) + body
        for number, body in ((1036, b"a preview!"), (1005, b"resolution"), (1033, b"older!"))
    )
    extra = [
        (34377, "B", len(resources), resources, True),
        (37724, "B", 6, b"layers", True),
    ]
    source = written(values(3, np.uint8), extratags=extra)
    after = read(BytesIO(encode(read_picture(source), "TIFF")[0])).tags
    assert 37724 not in after
    kept = after[34377].value
    assert isinstance(kept, bytes)
    assert b"resolution" in kept
    assert b"preview" not in kept
    assert b"older" not in kept


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_orientation_is_applied_once(orientation: int, dtype: type) -> None:
    stored = values(3, dtype)
    source = written(stored, extratags=[(274, "H", 1, orientation, True)])
    upright = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.transpose(1, 0, 2),
        6: stored.transpose(1, 0, 2)[:, ::-1],
        7: stored.transpose(1, 0, 2)[::-1, ::-1],
        8: stored.transpose(1, 0, 2)[::-1],
    }[orientation]
    picture = read_picture(source)
    np.testing.assert_array_equal(picture.samples, upright)
    content = encode(picture, "TIFF")[0]
    np.testing.assert_array_equal(judged(content), upright)
    assert 274 not in read(BytesIO(content)).tags


def test_further_pages_are_left_out_with_a_notice() -> None:
    for dtype in (np.uint8, np.uint16, np.float32):
        pages = np.stack([values(3, dtype)] * 3)
        picture = read_picture(written(pages))
        assert any("frames" in line for line in picture.notices)
        np.testing.assert_array_equal(picture.samples, pages[0])


# --- directories --------------------------------------------------------------------------------


def test_a_block_is_read_back() -> None:
    for order in ("<", ">"):
        folder = Directory(order, {1: short(order, 7), 9: Tag(2, b"a text that is long\0")})
        before = Directory(order, {274: short(order, 6), EXIF_FOLDER: Tag(4, folder)})
        after = read_block(block(before))
        assert after == before
        assert after.first(274, 1) == 6


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"II*\0",
        b"XX*\0\x08\0\0\0\1\0",
        b"II*\0\xff\0\0\0",
        b"II*\0\x08\0\0\0\xff\xff",
        b"II*\0\x08\0\0\0",
    ],
)
def test_what_is_no_directory_is_said(content: bytes) -> None:
    with pytest.raises(BadDirectory):
        read(BytesIO(content))


def test_a_folder_that_contains_itself_ends() -> None:
    content = b"II*\0\x08\0\0\0\1\0" + struct.pack("<HHII", EXIF_FOLDER, 4, 1, 8) + bytes(4)
    assert read(BytesIO(content)).tags == {}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_ink_keeps_its_bits(dtype: type) -> None:
    before = values(4, dtype)
    picture, hole = refilled(read_picture(written(before, photometric="separated")))
    assert picture.mode == "CMYK"
    after = judged(restore(picture))
    assert after.dtype == dtype
    np.testing.assert_array_equal(after[~hole], before[~hole])
    # The colours that the network sees are those of the same ink at 8 bits.
    whole = Box.whole(picture.size)
    peak = np.iinfo(dtype).max
    ink = 1 - before / peak
    seen = picture.rgb(whole)[~hole]
    np.testing.assert_allclose(seen, (ink[..., :3] * ink[..., 3:])[~hole], atol=1e-5)
    content, notices = encode(picture, "PNG")
    assert Image.open(BytesIO(content)).mode == "RGB"
    assert any("16 bits" in line for line in notices) == (dtype == np.uint16)


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"tile": (16, 16)}], ids=str)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_big_endian_bigtiff(channels: int, dtype: type, options: dict[str, Any]) -> None:
    before = values(channels, dtype)
    turn = [(274, "H", 1, 3, True)]
    source = written(before, bigtiff=True, byteorder=">", extratags=turn, **options)
    picture, hole = refilled(read_picture(source))
    after = judged(encode(picture, "TIFF")[0])
    assert after.dtype == dtype
    np.testing.assert_array_equal(after[~hole], before[::-1, ::-1][~hole])


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_further_pages_of_a_bigtiff_are_told(dtype: type, order: str) -> None:
    pages = np.stack([values(3, dtype)] * 3)
    picture = read_picture(written(pages, bigtiff=True, byteorder=order))
    assert any("frames" in line for line in picture.notices)


def test_floats_in_zstandard_name_what_reads_them() -> None:
    buffer = BytesIO()
    Image.fromarray(values(1, np.float32)).save(buffer, "TIFF", compression="zstd")
    with pytest.raises(ImageError, match="pip install imagecodecs"):
        read_picture(buffer.getvalue())
