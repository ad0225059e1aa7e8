"""Pictures: what is read, what is written, and that nothing outside the hole changes."""

from __future__ import annotations

import functools
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms, JpegImagePlugin

from freefill.errors import FreefillError, FreefillWarning, ImageError
from freefill.imaging.atomic import write_atomically
from freefill.imaging.box import Box, bounds
from freefill.imaging.codecs import LUMA
from freefill.imaging.io import encode, format_of, read_picture, restore
from freefill.imaging.picture import Picture
from freefill.imaging.pillow import to_pillow

T = TypeVar("T")

ORIENTATION, MAKE, EXIF_FOLDER, TAKEN = 0x0112, 0x010F, 0x8769, 0x9003

MODES = ("RGB", "RGBA", "L", "LA", "P", "P index", "P alphas", "1", "I;16", "CMYK")

LOSSLESS = [
    ("RGB", "PNG"),
    ("RGB", "TIFF"),
    ("RGB", "BMP"),
    ("RGBA", "PNG"),
    ("RGBA", "TIFF"),
    ("L", "PNG"),
    ("L", "TIFF"),
    ("L", "BMP"),
    ("LA", "PNG"),
    ("LA", "TIFF"),
    ("P", "PNG"),
    ("P", "TIFF"),
    ("P", "BMP"),
    ("P", "GIF"),
    ("P index", "PNG"),
    ("P index", "GIF"),
    ("P alphas", "PNG"),
    ("1", "PNG"),
    ("1", "TIFF"),
    ("1", "BMP"),
    ("I;16", "PNG"),
    ("I;16", "TIFF"),
    ("CMYK", "TIFF"),
]

LOSSY = [
    ("RGB", "JPEG"),
    ("L", "JPEG"),
    ("CMYK", "JPEG"),
    ("RGB", "WEBP"),
    ("RGBA", "WEBP"),
    ("RGB", "AVIF"),
    ("RGBA", "AVIF"),
]


def image_of(mode: str, photo: NDArray[np.uint8]) -> Image.Image:
    """The photo in a mode; ``P index`` and ``P alphas`` are palettes with transparent colours."""
    colour = Image.fromarray(photo)
    opacity = np.tile(np.linspace(0, 255, photo.shape[1]).astype(np.uint8), (photo.shape[0], 1))
    if mode in ("RGBA", "LA"):
        image = colour.convert(mode[:-1])
        image.putalpha(Image.fromarray(opacity))
        return image
    if mode == "I;16":
        # Low bytes that a path through 8 bits would lose.
        grey = np.asarray(colour.convert("L")).astype(np.uint16)
        return Image.fromarray(grey * 256 + np.arange(photo.shape[1], dtype=np.uint16))
    if mode.startswith("P"):
        image = colour.quantize(24)
        if mode == "P index":
            image.info["transparency"] = 3
        if mode == "P alphas":
            image.info["transparency"] = bytes(range(100, 124))
        return image
    return colour.convert(mode)


def encoded(image: Image.Image, file_format: str, **options: Any) -> bytes:
    buffer = BytesIO()
    if "transparency" in image.info:
        options["transparency"] = image.info["transparency"]
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def opened(content: bytes) -> Image.Image:
    image = Image.open(BytesIO(content))
    image.load()
    return image


def attempt(work: Callable[[], T]) -> tuple[T | None, str]:
    """What comes of it, or why it was refused, where both are fine and a crash is not."""
    try:
        return work(), ""
    except ImageError as error:
        return None, str(error)


def filled(picture: Picture, hole: NDArray[np.bool_], opaque: bool = False) -> Picture:
    """Fill with noise: no sample of it is what was there."""
    box = bounds(hole)
    assert box is not None
    colours = np.random.default_rng(0).random((*box.size, 3), np.float32)
    return picture.filled([(box, hole[box.window], colours)], opaque)


def wanted(hole: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The colours that :func:`filled` put into the hole, in the order of ``array[hole]``."""
    box = bounds(hole)
    assert box is not None
    colours = np.random.default_rng(0).random((*box.size, 3), np.float32)
    found: NDArray[np.float32] = colours[hole[box.window]]
    return found


def seen(image: Image.Image) -> NDArray[Any]:
    """Samples as they look: palettes are resolved, because a GIF may renumber its colours."""
    return np.asarray(image.convert("RGBA") if image.mode == "P" else image)


# --- every known sample -------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "file_format"), LOSSLESS)
def test_known_samples_are_the_inputs_bit_for_bit(
    photo: NDArray[np.uint8],
    hole: NDArray[np.bool_],
    tmp_path: Path,
    mode: str,
    file_format: str,
) -> None:
    path = tmp_path / "photo"
    path.write_bytes(encoded(image_of(mode, photo), file_format))
    before = opened(path.read_bytes())

    content, notices = encode(filled(read_picture(path), hole), file_format)

    after = opened(content)
    assert (after.mode, after.size, after.format) == (before.mode, before.size, file_format)
    assert notices == []
    np.testing.assert_array_equal(seen(after)[~hole], seen(before)[~hole])
    assert (seen(after)[hole] != seen(before)[hole]).any()
    if file_format != "GIF":
        np.testing.assert_array_equal(np.asarray(after)[~hole], np.asarray(before)[~hole])
        assert after.info.get("transparency") == before.info.get("transparency")


@pytest.mark.parametrize(("mode", "file_format"), LOSSY)
def test_lossy_formats_keep_mode_and_size(
    photo: NDArray[np.uint8], hole: NDArray[np.bool_], mode: str, file_format: str
) -> None:
    source = encoded(image_of(mode, photo), file_format)
    before = opened(source)
    after = opened(restore(filled(read_picture(source), hole)))
    assert (after.mode, after.size, after.format) == (before.mode, before.size, file_format)
    # Lossy, but the same picture: far from the hole it is seen again, not black, not inverted.
    far = np.s_[:, :24]
    drift = np.abs(np.asarray(after).astype(float)[far] - np.asarray(before).astype(float)[far])
    assert drift.mean() < 4


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "CMYK", "1", "P", "P index"])
def test_the_network_sees_the_colours_that_pillow_shows(
    photo: NDArray[np.uint8], mode: str
) -> None:
    image = image_of(mode, photo)
    box = Box(left=20, top=10, right=70, bottom=90)
    shown = np.asarray(image.convert("RGB"))[box.window]
    seen_by_it = read_picture(image).rgb(box)
    assert seen_by_it.dtype == np.float32
    # Pillow mixes ink in whole numbers; all other modes have nothing to round.
    levels = 1 if mode == "CMYK" else 1e-4
    np.testing.assert_allclose(seen_by_it * 255, shown, atol=levels)


def test_the_network_sees_all_of_16_bits(photo: NDArray[np.uint8]) -> None:
    image = image_of("I;16", photo)
    whole = Box.whole(photo.shape[:2])
    seen_by_it = read_picture(image).rgb(whole)
    expected = np.repeat(np.asarray(image)[..., None] / 65535, 3, 2)
    np.testing.assert_allclose(seen_by_it, expected, atol=1e-6)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "I;16", "CMYK", "1", "P"])
def test_filled_samples_show_the_colours_that_were_asked_for(
    photo: NDArray[np.uint8], hole: NDArray[np.bool_], mode: str
) -> None:
    after = to_pillow(filled(read_picture(image_of(mode, photo)), hole))
    colours = wanted(hole)
    grey = colours @ LUMA
    samples = np.asarray(after)[hole]
    if mode in ("RGB", "RGBA"):
        np.testing.assert_array_equal(samples[:, :3], np.rint(colours * 255))
    elif mode in ("L", "LA"):
        np.testing.assert_array_equal(samples.reshape(len(samples), -1)[:, 0], np.rint(grey * 255))
    elif mode == "I;16":
        np.testing.assert_allclose(samples, grey * 65535, atol=1)
    elif mode == "CMYK":
        # Pillow's own way back to RGB; two roundings lie between.
        shown = np.asarray(after.convert("RGB"))[hole]
        np.testing.assert_allclose(shown, colours * 255, atol=2)
    elif mode == "1":
        np.testing.assert_array_equal(samples, grey >= 0.5)
    else:
        palette = np.array(after.getpalette("RGB")).reshape(-1, 3)
        distance = np.linalg.norm(palette[None] - colours[:, None] * 255, axis=-1)
        chosen = distance[np.arange(len(samples)), samples]
        # Pillow finds the nearest for cells of 4 levels, so it can be off by a cell's diagonal.
        assert (chosen - distance.min(1)).max() <= 2 * 4 * np.sqrt(3)


@pytest.mark.parametrize("colours", [1, 2, 3, 200])
def test_palette_fill_stays_within_the_palette(
    photo: NDArray[np.uint8], hole: NDArray[np.bool_], colours: int
) -> None:
    picture = read_picture(encoded(Image.fromarray(photo).quantize(colours), "PNG"))
    assert picture.palette is not None
    assert filled(picture, hole).samples.max() < len(picture.palette)


def test_palette_fill_of_an_opaque_place_is_not_transparent(hole: NDArray[np.bool_]) -> None:
    # As in most GIFs: the transparent entry has a colour too, here the one that lies nearest.
    image = Image.frombytes("P", hole.shape[::-1], np.ones(hole.shape, np.uint8).tobytes())
    image.putpalette(bytes([60, 60, 60, 50, 50, 50]))
    picture = read_picture(encoded(image, "PNG", transparency=0))
    box = Box.whole(hole.shape)
    grey = np.full((*hole.shape, 3), 60 / 255, np.float32)
    after = opened(encode(picture.filled([(box, hole, grey)], opaque=False), "PNG")[0])
    assert np.asarray(after.convert("RGBA"))[..., 3].min() == 255


def test_palette_image_without_colours_is_read_or_refused() -> None:
    # Pillow makes one when nobody gives it a palette, e.g. for a map of labels.
    image = Image.new("P", (8, 6))
    colours, refusal = attempt(lambda: read_picture(image).rgb(Box.whole((6, 8))))
    assert "palette" in refusal if colours is None else colours.shape == (6, 8, 3)


def test_samples_beyond_the_palette_are_kept(hole: NDArray[np.bool_]) -> None:
    # A damaged file, or a map of labels with too few colours.
    image = Image.frombytes("P", hole.shape[::-1], np.full(hole.shape, 7, np.uint8).tobytes())
    image.putpalette(bytes([10, 20, 30, 40, 50, 60]))
    picture = read_picture(image)
    assert picture.rgb(Box.whole(hole.shape)).shape == (*hole.shape, 3)
    assert (filled(picture, hole).samples[~hole] == 7).all()


@pytest.mark.parametrize("file_format", ["JPEG", "WEBP", "TIFF", "BMP"])
def test_transparency_of_a_palette_is_not_lost_in_silence(
    photo: NDArray[np.uint8], file_format: str
) -> None:
    picture = read_picture(encoded(image_of("P index", photo), "PNG"))
    before = np.asarray(to_pillow(picture).convert("RGBA"))[..., 3]
    written, refusal = attempt(lambda: encode(picture, file_format))
    if written is None:
        assert "alpha" in refusal or "transparen" in refusal
        return
    after = np.asarray(opened(written[0]).convert("RGBA"))[..., 3]
    assert np.array_equal(after, before) or any("transparen" in line for line in written[1])


@pytest.mark.parametrize(
    "compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"]
)
def test_known_samples_survive_every_compression_of_tiff(
    photo: NDArray[np.uint8], hole: NDArray[np.bool_], compression: str
) -> None:
    # TIFF can hold JPEG data: writing it that way again would change what was decoded.
    picture = read_picture(encoded(Image.fromarray(photo), "TIFF", compression=compression))
    after = opened(encode(filled(picture, hole), "TIFF")[0])
    np.testing.assert_array_equal(np.asarray(after)[~hole], picture.samples[~hole])


@pytest.mark.parametrize("target", ["PNG", "TIFF"])
@pytest.mark.parametrize("source", ["BMP", "TIFF", "GIF", "JPEG", "WEBP"])
def test_known_samples_survive_a_change_to_a_lossless_format(
    photo: NDArray[np.uint8], hole: NDArray[np.bool_], source: str, target: str
) -> None:
    picture = read_picture(encoded(Image.fromarray(photo), source))
    after = opened(encode(filled(picture, hole), target)[0])
    np.testing.assert_array_equal(np.asarray(after)[~hole], picture.samples[~hole])


# --- alpha --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("opaque", [False, True])
def test_fill_leaves_alpha_or_makes_it_opaque(
    photo: NDArray[np.uint8], hole: NDArray[np.bool_], mode: str, opaque: bool
) -> None:
    picture = read_picture(image_of(mode, photo))
    after = filled(picture, hole, opaque).samples[..., -1]
    expected = picture.samples[..., -1].copy()
    if opaque:
        expected[hole] = 255
    np.testing.assert_array_equal(after, expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_opaque_is_the_peak_of_the_type(dtype: type) -> None:
    image = np.zeros((4, 4, 4), dtype)
    after = filled(read_picture(image), np.eye(4, dtype=bool), opaque=True)
    peak = 1 if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max
    np.testing.assert_array_equal(after.samples[..., 3], np.eye(4) * peak)


def test_alpha_of_a_picture_without_alpha_is_refused() -> None:
    with pytest.raises(ImageError, match="RGB"):
        read_picture(np.zeros((4, 4, 3), np.uint8)).alpha()


# --- metadata -----------------------------------------------------------------------------------


def exif() -> Image.Exif:
    found = Image.Exif()
    found[MAKE] = "A maker"
    found.get_ifd(EXIF_FOLDER)[TAKEN] = "2020:02:02 20:20:20"
    return found


@functools.cache  # A profile carries the second in which it was made.
def icc() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "JPEG"])
@pytest.mark.parametrize("what", ["icc", "dpi", "exif"])
def test_metadata_is_kept(
    photo: NDArray[np.uint8], hole: NDArray[np.bool_], file_format: str, what: str
) -> None:
    source = encoded(
        Image.fromarray(photo),
        file_format,
        icc_profile=icc(),
        dpi=(240, 240),
        # As bytes: of an Exif object, Pillow leaves the folders of tags out of a TIFF.
        exif=exif().tobytes(),
    )
    after = opened(encode(filled(read_picture(source), hole), file_format)[0])
    if what == "icc":
        assert after.info.get("icc_profile") == icc()
    elif what == "dpi":
        # PNG counts pixels per metre, in whole numbers.
        assert after.info.get("dpi") == pytest.approx((240, 240), abs=0.02)
    else:
        assert after.getexif().get(MAKE) == "A maker"
        assert after.getexif().get_ifd(EXIF_FOLDER).get(TAKEN) == "2020:02:02 20:20:20"


def test_a_profile_for_ink_is_not_written_into_an_rgb_file(photo: NDArray[np.uint8]) -> None:
    # The colour space of a profile stands at byte 16; viewers refuse or distort one that is wrong.
    profile = bytearray(icc())
    profile[16:20] = b"CMYK"
    source = encoded(image_of("CMYK", photo), "TIFF", icc_profile=bytes(profile))
    after = opened(encode(read_picture(source), "PNG")[0])
    assert after.mode == "RGB"
    assert after.info.get("icc_profile", b"")[16:20] != b"CMYK"


def stored(upright: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """What a camera stores, from the definition: which visual side row 0 and column 0 are."""
    turned = upright.transpose(1, 0, 2)
    return {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: turned,
        6: turned[::-1],
        7: turned[::-1, ::-1],
        8: turned[:, ::-1],
    }[orientation]


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_and_its_tag_says_so(
    photo: NDArray[np.uint8], hole: NDArray[np.bool_], orientation: int, file_format: str
) -> None:
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    pixels = np.ascontiguousarray(stored(photo, orientation))
    source = encoded(Image.fromarray(pixels), file_format, exif=tags)
    picture = read_picture(source)
    assert picture.size == photo.shape[:2]
    after = opened(encode(filled(picture, hole), file_format)[0])
    np.testing.assert_array_equal(np.asarray(after)[~hole], photo[~hole])
    # 1 says "as it is", which is what a file without the tag says too.
    assert after.getexif().get(ORIENTATION, 1) == 1


def test_turning_keeps_the_other_tags(photo: NDArray[np.uint8]) -> None:
    tags = exif()
    tags[ORIENTATION] = 6
    source = encoded(Image.fromarray(photo), "PNG", exif=tags)
    after = opened(encode(read_picture(source), "PNG")[0])
    assert after.size == (photo.shape[0], photo.shape[1])
    assert after.getexif()[MAKE] == "A maker"
    assert after.getexif().get(ORIENTATION, 1) == 1


# --- JPEG ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("quality", [55, 98])
def test_jpeg_to_jpeg_keeps_tables_and_subsampling(
    photo: NDArray[np.uint8], hole: NDArray[np.bool_], quality: int, subsampling: int
) -> None:
    source = encoded(Image.fromarray(photo), "JPEG", quality=quality, subsampling=subsampling)
    before = opened(source)
    after = opened(encode(filled(read_picture(source), hole), "JPEG")[0])
    assert isinstance(before, JpegImagePlugin.JpegImageFile)
    assert isinstance(after, JpegImagePlugin.JpegImageFile)
    assert after.quantization == before.quantization
    assert JpegImagePlugin.get_sampling(after) == subsampling


def test_grey_jpeg_keeps_its_table(photo: NDArray[np.uint8], hole: NDArray[np.bool_]) -> None:
    source = encoded(image_of("L", photo), "JPEG", quality=60)
    after = opened(encode(filled(read_picture(source), hole), "JPEG")[0])
    before = opened(source)
    assert isinstance(before, JpegImagePlugin.JpegImageFile)
    assert isinstance(after, JpegImagePlugin.JpegImageFile)
    assert after.mode == "L"
    assert after.quantization == before.quantization


def test_photos_of_phones_keep_their_tables_too(photo: NDArray[np.uint8]) -> None:
    # Many phones write JPEG with a second picture in it, which Pillow calls MPO.
    image = Image.fromarray(photo)
    source = encoded(image, "MPO", save_all=True, append_images=[image], quality=97)
    before, after = opened(source), opened(restore(read_picture(source)))
    assert isinstance(before, JpegImagePlugin.JpegImageFile)
    assert isinstance(after, JpegImagePlugin.JpegImageFile)
    assert after.quantization == before.quantization


# --- kinds --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_a_pillow_image_gives_a_pillow_image_of_its_mode(
    photo: NDArray[np.uint8], hole: NDArray[np.bool_], mode: str
) -> None:
    source = image_of(mode, photo)
    copy = source.copy()
    after = restore(filled(read_picture(source), hole))
    assert isinstance(after, Image.Image)
    assert (after.mode, after.size) == (source.mode, source.size)
    np.testing.assert_array_equal(seen(after)[~hole], seen(source)[~hole])
    assert source == copy


def test_a_pillow_image_stays_at_its_frame() -> None:
    frames = [Image.new("L", (8, 8), grey) for grey in (10, 100, 200)]
    image = Image.open(BytesIO(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])))
    image.seek(2)
    read_picture(image)
    assert image.tell() == 2


def test_a_path_gives_a_pillow_image(
    photo: NDArray[np.uint8], hole: NDArray[np.bool_], tmp_path: Path
) -> None:
    path = tmp_path / "photo.png"
    Image.fromarray(photo).save(path)
    for source in (path, str(path)):
        after = restore(filled(read_picture(source), hole))
        assert isinstance(after, Image.Image)
        np.testing.assert_array_equal(np.asarray(after)[~hole], photo[~hole])


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF", "AVIF"])
def test_bytes_give_bytes_of_their_format(
    photo: NDArray[np.uint8], hole: NDArray[np.bool_], file_format: str
) -> None:
    after = restore(filled(read_picture(encoded(Image.fromarray(photo), file_format)), hole))
    assert isinstance(after, bytes)
    assert opened(after).format == file_format


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("channels", [(), (1,), (3,), (4,)])
def test_an_array_gives_an_array_of_its_shape_and_type(
    hole: NDArray[np.bool_], dtype: type, channels: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(1)
    peak = 1 if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max
    image = (rng.random((*hole.shape, *channels)) * peak).astype(dtype)
    copy = image.copy()
    after = restore(filled(read_picture(image), hole))
    assert isinstance(after, np.ndarray)
    assert (after.shape, after.dtype) == (image.shape, image.dtype)
    np.testing.assert_array_equal(after[~hole], image[~hole])
    np.testing.assert_array_equal(image, copy)
    colours = wanted(hole)
    expected = colours if channels in ((3,), (4,)) else (colours @ LUMA)[:, None]
    got = after[hole].reshape(len(colours), -1)[:, : expected.shape[1]]
    # Half a step of 8 or 16 bits; floats are kept as they are.
    step = 1e-6 if peak == 1 else 0.5 / peak + 1e-6
    np.testing.assert_allclose(got / peak, expected, atol=step)


def test_arrays_that_cannot_be_written_to_or_are_strided_work(
    photo: NDArray[np.uint8], hole: NDArray[np.bool_]
) -> None:
    mirrored = photo[:, ::-1]
    after = restore(filled(read_picture(mirrored), hole))
    np.testing.assert_array_equal(after[~hole], mirrored[~hole])


# --- notices ------------------------------------------------------------------------------------


def test_of_an_animation_the_first_frame_is_used_and_it_is_said() -> None:
    frames = [Image.new("RGB", (20, 10), colour) for colour in ("red", "lime", "blue")]
    picture = read_picture(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    np.testing.assert_allclose(picture.rgb(Box.whole((10, 20)))[0, 0], [1, 0, 0])
    assert any("3 frames" in line for line in picture.notices)


def test_samples_of_one_bit_are_truth_values_of_numpy() -> None:
    # Pillow's are bytes of 255, which compare as unequal to True in some places of an array.
    white = read_picture(Image.new("1", (97, 31), 1)).samples
    assert np.unique(white.view(np.uint8)).tolist() == [1]
    white[5] = True
    assert (white.reshape(-1, 1) == white[5, :1]).all()


@pytest.mark.parametrize(("mode", "word"), [("P", "palette"), ("1", "1-bit"), ("CMYK", "CMYK")])
def test_modes_with_few_colours_are_told(photo: NDArray[np.uint8], mode: str, word: str) -> None:
    assert any(word in line for line in read_picture(image_of(mode, photo)).notices)


def png16(colour_type: int, channels: int) -> bytes:
    """A PNG of 16 bits a channel, which Pillow can read and not write."""

    def chunk(name: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    samples = np.random.default_rng(2).integers(0, 65536, (6, 5, channels)).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in samples)
    head = struct.pack(">IIBBBBB", 5, 6, 16, colour_type, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head)
    return start + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("colour_type", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_a_pillow_image_of_16_bit_colour_is_rounded_with_a_warning(
    colour_type: int, channels: int
) -> None:
    content = png16(colour_type, channels)
    picture = read_picture(content)
    assert picture.samples.dtype == np.uint16
    with pytest.warns(FreefillWarning, match="8 bits"):
        image = restore(replace(picture, kind="path"))
    np.testing.assert_array_equal(np.asarray(image), np.rint(picture.samples / 257))
    np.testing.assert_array_equal(np.asarray(to_pillow(picture)), np.asarray(image))
    # A Pillow image that was opened from such a file has lost them before it comes here.
    told = read_picture(Image.open(BytesIO(content))).notices
    assert any("16 bits" in line for line in told)


def test_sixteen_bits_of_grey_become_eight_only_with_a_notice(photo: NDArray[np.uint8]) -> None:
    picture = read_picture(image_of("I;16", photo))
    content, notices = encode(picture, "JPEG")
    assert any("16" in line and "8" in line for line in notices)
    shown = np.asarray(opened(content)).astype(float)
    # The same brightness, to within what JPEG loses.
    assert np.abs(shown - picture.samples / 257).mean() < 2
    white = read_picture(Image.fromarray(np.full((16, 16), 65535, np.uint16)))
    assert np.asarray(opened(encode(white, "JPEG")[0])).min() == 255


@pytest.mark.parametrize(("mode", "file_format"), [("CMYK", "PNG"), ("P", "JPEG"), ("RGB", "GIF")])
def test_a_change_of_mode_is_told(photo: NDArray[np.uint8], mode: str, file_format: str) -> None:
    content, notices = encode(read_picture(image_of(mode, photo)), file_format)
    assert len(notices) == 1
    assert file_format in notices[0]
    assert opened(content).size == photo.shape[1::-1]


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.array([[0, 1.5]]), ["1.5"]),
        (np.array([[-0.25, 1]]), ["-0.25"]),
        (np.array([[0, np.nan]], np.float32), ["nan"]),
        (np.array([[0, np.inf]], np.float32), ["inf"]),
        (np.zeros((4, 4), np.int32), ["int32"]),
        (np.zeros((4, 4), bool), ["bool"]),
        (np.zeros((4, 4), complex), ["complex128"]),
        (np.zeros(7, np.uint8), ["(7,)"]),
        (np.zeros((4, 5, 2), np.uint8), ["(4, 5, 2)"]),
        (np.zeros((2, 4, 5, 3), np.uint8), ["(2, 4, 5, 3)"]),
        (np.zeros((0, 5, 3), np.uint8), ["(0, 5, 3)"]),
    ],
    ids=str,
)
def test_arrays_that_are_no_image_are_refused(array: NDArray[Any], words: list[str]) -> None:
    with pytest.raises(ImageError) as refused:
        read_picture(array)
    assert all(word in str(refused.value) for word in words)
    assert isinstance(refused.value, FreefillError)
    assert isinstance(refused.value, ValueError)


def test_things_that_are_no_image_are_refused() -> None:
    source: Any = 12
    with pytest.raises(ImageError, match="int"):
        read_picture(source)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "TIFF", "GIF", "BMP", "WEBP", "AVIF"])
@pytest.mark.parametrize("share", [0.05, 0.6, 0.9])
def test_a_truncated_file_is_refused(
    photo: NDArray[np.uint8], tmp_path: Path, file_format: str, share: float
) -> None:
    whole = encoded(Image.fromarray(photo), file_format)
    path = tmp_path / "half.bin"
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ImageError, match=r"half\.bin"):
        read_picture(path)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG"])
def test_a_truncated_file_that_pillow_has_opened_is_refused(
    photo: NDArray[np.uint8], file_format: str
) -> None:
    # Pillow reads the samples only when they are asked for.
    whole = encoded(Image.fromarray(photo), file_format)
    image = Image.open(BytesIO(whole[: int(len(whole) * 0.6)]))
    with pytest.raises(ImageError):
        read_picture(image)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_a_tiff_with_a_damaged_chain_of_pages_is_read_or_refused(photo: NDArray[np.uint8]) -> None:
    # The pointer to the next page leads into nowhere; Pillow answers with a TypeError.
    content = bytearray(encoded(Image.fromarray(photo), "TIFF"))
    (first,) = struct.unpack_from("<I", content, 4)
    (tags,) = struct.unpack_from("<H", content, first)
    struct.pack_into("<I", content, first + 2 + 12 * tags, 1)
    picture, refusal = attempt(lambda: read_picture(bytes(content)))
    assert "cannot be read" in refusal if picture is None else picture.size == photo.shape[:2]


def test_files_that_are_no_image_are_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.jpg"
    text.write_text("not a picture\n" * 20)
    empty = tmp_path / "empty.png"
    empty.touch()
    for path, word in (
        (text, "not an image"),
        (empty, "0 bytes"),
        (tmp_path / "missing.png", "does not exist"),
        (tmp_path, "folder"),
    ):
        with pytest.raises(ImageError, match=word) as refused:
            read_picture(path)
        assert str(path) in str(refused.value)


@pytest.mark.parametrize("mode", ["F", "I", "LAB", "HSV", "YCbCr"])
def test_modes_that_are_not_supported_are_named(mode: str) -> None:
    with pytest.raises(ImageError, match=mode):
        read_picture(Image.new(mode, (4, 4)))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_not_written_into_a_jpeg(photo: NDArray[np.uint8], mode: str) -> None:
    with pytest.raises(ImageError, match="JPEG holds no alpha"):
        encode(read_picture(image_of(mode, photo)), "JPEG")


def test_a_palette_of_opacities_as_gif_is_written_or_refused(photo: NDArray[np.uint8]) -> None:
    picture = read_picture(encoded(image_of("P alphas", photo), "PNG"))
    # GIF has one transparent colour, not an opacity for each.
    written, refusal = attempt(lambda: encode(picture, "GIF"))
    assert "GIF" in refusal if written is None else opened(written[0]).size == photo.shape[1::-1]


@pytest.mark.parametrize("name", ["a.xyz", "a", "a.", ".png", "a.png.txt"])
def test_an_unknown_ending_is_refused(name: str) -> None:
    with pytest.raises(ImageError) as refused:
        format_of(Path(name))
    assert name in str(refused.value)
    assert "png" in str(refused.value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.jpg", "JPEG"),
        ("a.JPEG", "JPEG"),
        ("a.b.PNG", "PNG"),
        ("a.tif", "TIFF"),
        ("a.tiff", "TIFF"),
        ("a.webp", "WEBP"),
        ("a.avif", "AVIF"),
        ("a.bmp", "BMP"),
        ("a.gif", "GIF"),
    ],
)
def test_an_ending_names_the_format(name: str, expected: str) -> None:
    assert format_of(Path(name)) == expected


# --- writing ------------------------------------------------------------------------------------


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "result.png"
    path.write_bytes(b"a longer content than the new one")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_into_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="missing"):
        write_atomically(tmp_path / "missing" / "a.png", b"content")
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "a.png"
    folder.mkdir()
    with pytest.raises(ImageError, match=r"a\.png"):
        write_atomically(folder, b"content")
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("step", ["write_bytes", "replace"])
def test_a_write_that_is_interrupted_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    original = getattr(Path, step)

    def interrupted(self: Path, *args: Any) -> None:
        if step == "write_bytes":
            original(self, b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, step, interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"new")
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"old"


def test_a_lossless_webp_stays_lossless(photo: NDArray[np.uint8], hole: NDArray[np.bool_]) -> None:
    for lossless in (True, False):
        source = encoded(Image.fromarray(photo), "WEBP", lossless=lossless, quality=80)
        picture = read_picture(source)
        after = np.asarray(opened(encode(filled(picture, hole), "WEBP")[0]))
        assert np.array_equal(after[~hole], picture.samples[~hole]) == lossless


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_another_frame_keeps_mode_and_metadata(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x010E] = "what it shows"
    path = tmp_path / f"photo.{suffix}"
    rows, columns = np.mgrid[:24, :32]
    small = np.stack([rows * 8, columns * 6, 200 - rows * 4], -1).astype(np.uint8)
    Image.fromarray(small).save(path, exif=exif, dpi=(300, 300))
    picture = read_picture(path)
    wide = picture.reframed(np.pad(picture.samples, ((0, 24), (64, 0), (0, 0)), "edge"))
    content, _ = encode(wide, picture.format or "")
    with Image.open(BytesIO(content)) as again:
        assert again.size == (96, 48)
        assert again.getexif()[0x010E] == "what it shows"
        assert round(float(again.info["dpi"][0])) == 300
        seen = np.asarray(again.convert("RGB")).astype(int)
    assert np.abs(seen[:24, 64:] - picture.samples.astype(int)).mean() < 3
    with pytest.raises(ValueError, match="samples are uint8"):
        picture.reframed(np.zeros((4, 4), np.uint8))


def half_transparent(photo: NDArray[np.uint8]) -> Image.Image:
    rgba = Image.fromarray(photo).convert("RGBA")
    rgba.putalpha(Image.linear_gradient("L").resize(rgba.size))
    return rgba.quantize()


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "WEBP", "DDS", None])
def test_palettes_with_opacities_are_read_in_their_own_mode(
    photo: NDArray[np.uint8], file_format: str | None
) -> None:
    source = half_transparent(photo)
    assert source.palette is not None
    assert source.palette.mode == "RGBA"
    picture = read_picture(source)
    again = restore(picture)
    if file_format:
        with Image.open(BytesIO(encode(picture, file_format)[0])) as again:
            again.load()
    np.testing.assert_array_equal(
        np.asarray(again.convert("RGBA")), np.asarray(source.convert("RGBA"))
    )


def test_a_palette_of_dds(photo: NDArray[np.uint8]) -> None:
    source = half_transparent(photo)
    colours = source.getpalette("RGBA") or []
    height, width = photo.shape[:2]
    head = struct.pack("<7I44x", 124, 0x1007, height, width, 0, 0, 0)
    head += struct.pack("<8I", 32, 0x20, 0, 8, 0, 0, 0, 0) + struct.pack("<5I", 0x1000, 0, 0, 0, 0)
    content = b"DDS " + head + bytes(colours).ljust(1024, b"\0") + source.tobytes()
    picture = read_picture(content)
    assert (picture.format, picture.mode) == ("DDS", "P")
    with Image.open(BytesIO(encode(picture, "PNG")[0])) as image:
        shown = np.asarray(image.convert("RGBA"))
    np.testing.assert_array_equal(shown, np.asarray(source.convert("RGBA")))
