"""Odd files through the command: what goes in comes out, but for the hole."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

from freefill.errors import FreefillWarning, ImageError
from freefill.imaging.formats.png import chunk
from freefill.imaging.io import encode, format_of, read_picture
from freefill.imaging.pillow import rounded_by_pillow, to_pillow
from freefill.masks.convert import to_mask
from freefill.pipeline.inpainter import Inpainter
from freefill.types import Mask

Photo = NDArray[np.uint8]
Run = Callable[..., "subprocess.CompletedProcess[str]"]

ORIENTATION, MAKE, EXIF_FOLDER, TAKEN, GPS, LATITUDE = 0x0112, 0x010F, 0x8769, 0x9003, 0x8825, 2
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF rating="5"/></x:xmpmeta>'


def profile() -> bytes:
    """Display P3: sRGB's curve with wider primaries, named so."""
    found = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for name, xyz in (
        (b"rXYZ", (0.51512, 0.24120, -0.00105)),
        (b"gXYZ", (0.29198, 0.69225, 0.04189)),
        (b"bXYZ", (0.15710, 0.06657, 0.78407)),
    ):
        entry = found.index(name)
        (place,) = struct.unpack_from(">I", found, entry + 4)
        struct.pack_into(">iii", found, place + 8, *(round(v * 65536) for v in xyz))
    return bytes(found)


P3 = profile()


def exif(orientation: int = 1) -> bytes:
    found = Image.Exif()
    found[ORIENTATION], found[MAKE] = orientation, "A maker"
    found.get_ifd(EXIF_FOLDER)[TAKEN] = "2020:02:02 20:20:20"
    found.get_ifd(GPS)[LATITUDE] = (47.0, 30.0, 0.5)
    return found.tobytes()


@dataclass
class Case:
    """A file, and what has to be true of its result."""

    content: bytes
    suffix: str
    mode: str
    bits: int = 8
    has: tuple[str, ...] = ("icc", "exif", "dpi", "xmp")
    lossless: bool = True
    notices: tuple[str, ...] = ()
    flag: int = 1
    """The orientation that the result tells."""
    options: dict[str, Any] = field(default_factory=dict)


def saved(image: Image.Image, file_format: str, **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def stored(upright: NDArray[Any], orientation: int) -> NDArray[Any]:
    turned = upright.transpose(1, 0, 2) if upright.ndim == 3 else upright.T
    found = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: turned,
        6: turned[::-1],
        7: turned[::-1, ::-1],
        8: turned[:, ::-1],
    }[orientation]
    return np.ascontiguousarray(found)


def deep(photo: Photo, channels: int) -> NDArray[np.uint16]:
    rng = np.random.default_rng(channels)
    wide = photo.astype(np.uint16) * 257 ^ rng.integers(0, 256, photo.shape, np.uint16)
    alpha = rng.integers(0, 65536, (*photo.shape[:2], 1), np.uint16)
    found: NDArray[np.uint16] = {
        1: wide[..., 1],
        2: np.concatenate([wide[..., :1], alpha], -1),
        3: wide,
        4: np.concatenate([wide, alpha], -1),
    }[channels]
    return found


def deep_png(samples: NDArray[np.uint16], orientation: int = 1) -> bytes:
    channels = 1 if samples.ndim == 2 else samples.shape[2]
    head = struct.pack(
        ">IIBBBBB", *samples.shape[1::-1], 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0
    )
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"iCCP", b"P3\0\0" + zlib.compress(P3))
        + chunk(b"pHYs", struct.pack(">IIB", 9449, 9449, 1))
        + chunk(b"eXIf", exif(orientation).removeprefix(b"Exif\0\0"))
        + chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def png(image: Image.Image, orientation: int = 1) -> bytes:
    from PIL.PngImagePlugin import PngInfo

    text = PngInfo()
    text.add_itxt("XML:com.adobe.xmp", XMP.decode())
    return saved(image, "PNG", icc_profile=P3, dpi=(240, 240), exif=exif(orientation), pnginfo=text)


def tiff(samples: NDArray[Any], **options: Any) -> bytes:
    buffer = BytesIO()
    options.setdefault("photometric", "rgb" if samples.ndim == 3 else "minisblack")
    extra = [(271, "s", 0, "A maker", True), (700, "B", len(XMP), XMP, True)]
    tifffile.imwrite(
        buffer,
        samples,
        iccprofile=P3,
        resolution=(240, 240),
        resolutionunit="INCH",
        metadata=None,
        extratags=[*extra, *options.pop("extra", [])],
        **options,
    )
    return buffer.getvalue()


def jpeg(image: Image.Image, orientation: int = 1, **options: Any) -> bytes:
    return saved(
        image,
        "JPEG",
        quality=90,
        icc_profile=P3,
        dpi=(240, 240),
        exif=exif(orientation),
        xmp=XMP,
        **options,
    )


def boxed(image: Image.Image, file_format: str, **options: Any) -> bytes:
    return saved(image, file_format, icc_profile=P3, exif=exif(), xmp=XMP, **options)


def cases(photo: Photo) -> dict[str, Case]:
    image = Image.fromarray(photo)
    rgba = image.convert("RGBA")
    rgba.putalpha(image.convert("L"))
    frames = [Image.fromarray(255 - photo), Image.fromarray(photo[::-1].copy())]
    found = {
        "grey.png": Case(png(image.convert("L")), ".png", "L"),
        "alpha.png": Case(png(rgba), ".png", "RGBA"),
        "palette.png": Case(png(image.quantize(40)), ".png", "P", notices=("palette",)),
        "grey16.png": Case(deep_png(deep(photo, 1)), ".png", "I;16", 16),
        "grey16alpha.png": Case(deep_png(deep(photo, 2)), ".png", "LA", 16),
        "rgb16.png": Case(deep_png(deep(photo, 3)), ".png", "RGB", 16),
        "rgba16.png": Case(deep_png(deep(photo, 4)), ".png", "RGBA", 16),
        "grey16.tif": Case(tiff(deep(photo, 1)), ".tif", "I;16", 16),
        "rgb16.tif": Case(tiff(deep(photo, 3)), ".tif", "RGB", 16),
        "rgba16.tif": Case(
            tiff(deep(photo, 4), extrasamples=["unassalpha"], compression="zlib"),
            ".tif",
            "RGBA",
            16,
        ),
        "tiled.tif": Case(tiff(photo, tile=(32, 32), compression="zlib"), ".tif", "RGB"),
        "tiled16.tif": Case(tiff(deep(photo, 3), tile=(16, 32)), ".tif", "RGB", 16),
        "float.tif": Case(tiff((photo / 255).astype(np.float32)), ".tif", "RGB", 32),
        "planes16.tif": Case(
            tiff(np.moveaxis(deep(photo, 3), -1, 0), planarconfig="separate"), ".tif", "RGB", 16
        ),
        "photo.jpg": Case(jpeg(image), ".jpg", "RGB", lossless=False),
        "grey.jpg": Case(jpeg(image.convert("L")), ".jpg", "L", lossless=False),
        "progressive.jpg": Case(
            jpeg(image, progressive=True), ".jpg", "RGB", lossless=False, options={"progressive": 1}
        ),
        "ink.jpg": Case(
            jpeg(image.convert("CMYK")), ".jpg", "CMYK", lossless=False, notices=("CMYK",)
        ),
        "lossless.webp": Case(
            boxed(rgba, "WEBP", lossless=True, exact=True),
            ".webp",
            "RGBA",
            has=("icc", "exif", "xmp"),
        ),
        "lossy.webp": Case(
            boxed(image, "WEBP"), ".webp", "RGB", has=("icc", "exif", "xmp"), lossless=False
        ),
        "animated.webp": Case(
            boxed(image, "WEBP", lossless=True, save_all=True, append_images=frames),
            ".webp",
            "RGB",
            has=("icc", "exif", "xmp"),
            notices=("3 frames",),
            lossless=True,
        ),
        "photo.avif": Case(
            boxed(image, "AVIF"), ".avif", "RGB", has=("icc", "exif", "xmp"), lossless=False
        ),
        "animated.gif": Case(
            saved(image, "GIF", save_all=True, append_images=frames, comment=b"hello"),
            ".gif",
            "P",
            has=(),
            notices=("3 frames", "palette"),
        ),
    }
    for turn in range(2, 9):
        tag = [(ORIENTATION, "H", 1, turn, True)]
        found |= {
            f"turned{turn}.png": Case(
                png(Image.fromarray(stored(photo, turn)), turn), ".png", "RGB"
            ),
            f"turned{turn}-16.png": Case(
                deep_png(stored(deep(photo, 4), turn), turn), ".png", "RGBA", 16
            ),
            f"turned{turn}.tif": Case(tiff(stored(photo, turn), extra=tag), ".tif", "RGB"),
            f"turned{turn}-16.tif": Case(
                tiff(stored(deep(photo, 3), turn), extra=tag), ".tif", "RGB", 16
            ),
            f"turned{turn}.jpg": Case(
                jpeg(Image.fromarray(stored(photo, turn)), turn),
                ".jpg",
                "RGB",
                lossless=False,
                flag=turn,
            ),
        }
    return found


NAMES = sorted(cases(np.zeros((96, 120, 3), np.uint8)))


@pytest.fixture(scope="module")
def made(photo: Photo) -> dict[str, Case]:
    return cases(photo)


def samples_of(path: Path) -> NDArray[Any]:
    """Upright samples as a reader other than the package's gives them, where there is one."""
    if path.suffix == ".tif":
        with tifffile.TiffFile(path) as file:
            page = file.pages[0]
            found: NDArray[Any] = page.asarray()
            if page.planarconfig == 2:
                found = np.moveaxis(found, 0, -1)
            tag = page.tags.get(ORIENTATION)
            return back(found, int(tag.value) if tag else 1)
    content = path.read_bytes()
    if path.suffix == ".png" and content[24] == 16:
        import cv2

        found = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
        assert found.dtype == np.uint16
        turn = Image.open(path).getexif().get(ORIENTATION, 1)
        if found.ndim == 3:
            found = found[..., [2, 1, 0, 3][: found.shape[2]]]
        return back(found, turn)
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image)
        return np.asarray(upright.convert("RGBA") if upright.mode == "P" else upright)


def back(samples: NDArray[Any], orientation: int) -> NDArray[Any]:
    return stored(samples, {6: 8, 8: 6}.get(orientation, orientation))


@pytest.mark.parametrize("name", NAMES)
def test_what_goes_in_comes_out(
    command: Run, tmp_path: Path, made: dict[str, Case], hole: Mask, name: str
) -> None:
    case = made[name]
    source, mask = tmp_path / name, tmp_path / "mask.png"
    target = tmp_path / f"out{case.suffix}"
    source.write_bytes(case.content)
    Image.fromarray(hole).save(mask)

    ran = command("fill", source, "-m", mask, "-o", target, "--threads", 1)

    assert ran.returncode == 0, ran.stderr
    lines = ran.stderr.splitlines()
    for word in case.notices:
        assert any(word in line for line in lines), lines
    if not case.notices:
        assert lines == []
    before, after = samples_of(source), samples_of(target)
    assert after.shape == before.shape
    assert after.dtype == before.dtype
    assert after.shape[:2] == hole.shape
    bits = 1 if after.dtype == bool else after.dtype.itemsize * 8
    assert bits == case.bits
    if case.lossless:
        np.testing.assert_array_equal(after[~hole], before[~hole])
    else:
        far = np.s_[:, :16]
        drift = np.abs(after[far].astype(float) - before[far])
        exact = case.suffix == ".jpg" and case.mode != "CMYK"
        assert drift.max() == 0 if exact else drift.mean() < 4
    assert (after[hole] != before[hole]).any()

    result = read_picture(target)
    assert result.mode == case.mode
    if case.bits != 32:
        with Image.open(target) as image:
            check_metadata(image, case)


def check_metadata(image: Image.Image, case: Case) -> None:
    assert getattr(image, "n_frames", 1) == 1
    if "icc" in case.has:
        assert image.info["icc_profile"] == P3
    if "dpi" in case.has:
        assert image.info["dpi"] == pytest.approx((240, 240), abs=0.02)
    if "xmp" in case.has:
        xmp = image.info["xmp"]
        assert (xmp if isinstance(xmp, bytes) else xmp.encode()).rstrip(b"\0") == XMP
    if "exif" in case.has:
        found = image.getexif()
        assert found[MAKE] == "A maker"
        assert found.get(ORIENTATION, 1) == case.flag
        if case.suffix != ".tif":
            assert found.get_ifd(EXIF_FOLDER)[TAKEN] == "2020:02:02 20:20:20"
            assert [float(v) for v in found.get_ifd(GPS)[LATITUDE]] == [47.0, 30.0, 0.5]
    if "progressive" in case.options:
        assert image.info["progressive"]


@pytest.mark.parametrize("target", ["png", "tif", "jpg", "webp", "avif"])
@pytest.mark.parametrize("name", ["photo.jpg", "turned6.png", "lossless.webp", "rgb16.tif"])
def test_strip_in_every_format(
    command: Run, tmp_path: Path, made: dict[str, Case], hole: Mask, name: str, target: str
) -> None:
    if name == "lossless.webp" and target == "jpg":
        return  # it has alpha
    source, mask = tmp_path / name, tmp_path / "mask.png"
    source.write_bytes(made[name].content)
    Image.fromarray(hole).save(mask)
    for strip in (True, False):
        out = tmp_path / f"out{strip}.{target}"
        options = ["--strip"] if strip else []
        ran = command("fill", source, "-m", mask, "-o", out, "--threads", 1, *options)
        assert ran.returncode == 0, ran.stderr
        content = out.read_bytes()
        with Image.open(out) as image:
            assert image.info["icc_profile"] == P3
            assert (MAKE in image.getexif()) != strip
            assert ("xmp" in image.info) != strip
            if target in ("png", "tif", "jpg") and name != "lossless.webp":
                assert image.info["dpi"] == pytest.approx((240, 240), abs=1)
        assert (b"A maker" in content) != strip
        assert (b"2020:02:02" in content) != (strip or name == "rgb16.tif")


# --- HEIC ---------------------------------------------------------------------------------------


def heic(photo: Photo) -> bytes:
    import pillow_heif

    pillow_heif.register_heif_opener()
    return saved(Image.fromarray(photo), "HEIF", quality=95, icc_profile=P3, exif=exif(), xmp=XMP)


@pytest.mark.parametrize("target", ["out.heic", "out.png"])
def test_heic_where_its_reader_is_installed(
    command: Run, tmp_path: Path, photo: Photo, hole: Mask, target: str
) -> None:
    (tmp_path / "a.heic").write_bytes(heic(photo))
    Image.fromarray(hole).save(tmp_path / "mask.png")
    out = tmp_path / target
    ran = command("fill", tmp_path / "a.heic", "-m", tmp_path / "mask.png", "-o", out)
    assert ran.returncode == 0, ran.stderr
    before, after = read_picture(tmp_path / "a.heic"), read_picture(out)
    assert after.size == before.size
    assert after.info["icc_profile"] == P3
    with Image.open(out) as image:
        assert image.getexif()[MAKE] == "A maker"
        assert image.getexif().get_ifd(GPS)[LATITUDE][0] == 47
    if target == "out.png":
        np.testing.assert_array_equal(after.samples[~hole], before.samples[~hole])


def test_heic_without_its_reader_names_the_extra(
    command: Run, tmp_path: Path, photo: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.heic").write_bytes(heic(photo))
    Image.new("L", photo.shape[1::-1], 255).save(tmp_path / "mask.png")
    Image.fromarray(photo).save(tmp_path / "a.png")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    for photo_name, out in (("a.heic", "out.png"), ("a.png", "out.heic")):
        work = ("fill", tmp_path / photo_name, "-m", tmp_path / "mask.png", "-o", tmp_path / out)
        ran = command(*work)
        assert ran.returncode == 2
        (line,) = ran.stderr.splitlines()
        assert "HEIC" in line
        assert "freefill[heif]" in line
        assert not (tmp_path / out).exists()


def test_an_ending_of_heic_names_its_format() -> None:
    assert format_of(Path("a.HEIC")) == "HEIF"


# --- from one kind to another -------------------------------------------------------------------


def test_floats_become_8_bits_where_there_is_no_room_for_more(photo: Photo) -> None:
    picture = read_picture(tiff((photo / 255).astype(np.float32)))
    for target in ("WEBP", "PNG", "JPEG"):
        content, notices = encode(picture, target)
        assert any("rounded" in line for line in notices)
        shown = np.asarray(Image.open(BytesIO(content)).convert("RGB")).astype(float)
        assert np.abs(shown - photo).mean() < (1 if target != "JPEG" else 4)
    np.testing.assert_array_equal(np.asarray(to_pillow(picture)), photo)
    assert any("float32" in line for line in rounded_by_pillow(picture))


def test_a_path_of_16_bit_colour_warns_that_pillow_images_have_8(
    tmp_path: Path, photo: Photo, hole: Mask, inpainter: Inpainter
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(deep_png(deep(photo, 3)))
    with pytest.warns(FreefillWarning, match="8 bits"):
        image = inpainter(image=path, mask=hole)
    assert image.mode == "RGB"
    content = inpainter(image=path.read_bytes(), mask=hole)
    after = read_picture(content).samples
    assert after.dtype == np.uint16
    np.testing.assert_array_equal(after[~hole], deep(photo, 3)[~hole])


def test_a_mask_of_16_bit_colour_or_floats_is_a_mask(photo: Photo, hole: Mask) -> None:
    picture = read_picture(photo)
    colour = np.repeat(hole[..., None] * np.uint16(65535), 3, -1)
    for mask in (
        deep_png(colour),
        tiff(colour),
        tiff(hole.astype(np.float32)),
        tiff(np.float32(1) - hole, photometric="miniswhite"),
    ):
        np.testing.assert_array_equal(to_mask(mask, picture)[0], hole)


def test_a_pipe_is_read(tmp_path: Path, photo: Photo) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(png(Image.fromarray(photo)),))
    writer.start()
    try:
        np.testing.assert_array_equal(read_picture(path).samples, photo)
    finally:
        writer.join()


def test_what_a_jpeg_says_goes_into_a_png_and_back(photo: Photo) -> None:
    picture = read_picture(jpeg(Image.fromarray(photo), comment=b"a comment"))
    content, notices = encode(picture, "PNG")
    assert notices == []
    with Image.open(BytesIO(content)) as image:
        image.load()
        assert image.text["Comment"] == "a comment"  # type: ignore[attr-defined]
        assert image.info["icc_profile"] == P3
        assert image.info["dpi"] == pytest.approx((240, 240), abs=0.02)
        assert image.getexif().get_ifd(GPS)[LATITUDE][0] == 47
        assert image.info["xmp"] == XMP


def test_a_profile_for_grey_is_not_written_into_a_colour_file(photo: Photo) -> None:
    grey = bytearray(P3)
    grey[16:20] = b"GRAY"
    image = Image.fromarray(photo).convert("L")
    picture = read_picture(saved(image, "PNG", icc_profile=bytes(grey)))
    for target in ("WEBP", "AVIF"):
        content, notices = encode(picture, target)
        assert "icc_profile" not in Image.open(BytesIO(content)).info
        assert any("grey" in line for line in notices)
    content, notices = encode(picture, "JPEG")
    assert Image.open(BytesIO(content)).info["icc_profile"] == bytes(grey)
    assert notices == []


def test_gamma_of_a_png_goes_into_another_png(photo: Photo) -> None:
    picture = read_picture(photo)
    picture.info["gamma"] = 0.45455
    assert Image.open(BytesIO(encode(picture, "PNG")[0])).info["gamma"] == 0.45455


def test_planes_in_a_compression_that_is_not_installed_name_what_reads_it(photo: Photo) -> None:
    source = bytearray(
        tiff(np.moveaxis(deep(photo, 3), -1, 0), planarconfig="separate", compression="zlib")
    )
    (start,) = struct.unpack_from("<I", source, 4)
    for i in range(struct.unpack_from("<H", source, start)[0]):
        place = start + 2 + 12 * i
        if struct.unpack_from("<H", source, place)[0] == 259:
            struct.pack_into("<H", source, place + 8, 5)
    with pytest.raises(ImageError, match="pip install imagecodecs"):
        read_picture(bytes(source))


def test_a_damaged_exif_block_does_not_stop_a_tiff(photo: Photo) -> None:
    picture = read_picture(photo)
    picture.info["exif"] = b"Exif\0\0nothing of the kind"
    np.testing.assert_array_equal(tifffile.imread(BytesIO(encode(picture, "TIFF")[0])), photo)


def test_a_tiff_of_more_than_4_gb_is_refused(photo: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("freefill.imaging.formats.tiff.LARGEST", 1000)
    with pytest.raises(ImageError, match="do not fit into a TIFF"):
        encode(read_picture(photo), "TIFF")


def test_half_transparent_palette_entries_are_seen_in_a_gif_or_not_at_all() -> None:
    image = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3))
    image.putpalette(bytes(range(18)))
    buffer = BytesIO()
    image.save(buffer, "PNG", transparency=bytes([255, 200, 127, 0]))
    content, notices = encode(read_picture(buffer.getvalue()), "GIF")
    assert any("half transparent" in line for line in notices)
    after = np.asarray(Image.open(BytesIO(content)).convert("RGBA"))
    before = np.asarray(image.convert("RGB"))
    seen = np.array([[True, True, False], [False, True, True]])
    np.testing.assert_array_equal(after[..., 3], seen * 255)
    np.testing.assert_array_equal(after[seen, :3], before[seen])


def test_a_reader_that_goes_on_where_it_stopped_is_not_sent_back(photo: Photo) -> None:
    buffer = BytesIO()
    Image.fromarray(photo).save(buffer, "DDS")
    np.testing.assert_array_equal(read_picture(buffer.getvalue()).samples, photo)
