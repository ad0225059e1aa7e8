"""Photos as the lab reads them: upright 8-bit RGB of the same values as a fill sees."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageOps

import freefill
from freefill.errors import ImageError
from freefill.imaging.io import encode, read_picture
from freefill.imaging.preview import on_screen
from freefill.imaging.rgb import is_picture, read_rgb


@pytest.fixture
def grey(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(photo).convert("L"))


def deep(grey: NDArray[np.uint8], path: Path) -> None:
    wide = grey.astype(np.uint16) * 257
    if path.suffix == ".tif":
        tifffile.imwrite(path, wide)
    else:
        Image.fromarray(wide).save(path)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm"])
def test_16_bits_of_grey_are_scaled_and_not_cut(
    tmp_path: Path, grey: NDArray[np.uint8], name: str
) -> None:
    path = tmp_path / name
    if name == "a.pgm":
        size = f"{grey.shape[1]} {grey.shape[0]}"
        content = (grey.astype(np.uint16) * 257).astype(">u2").tobytes()
        path.write_bytes(f"P5\n{size}\n65535\n".encode() + content)
    else:
        deep(grey, path)
    np.testing.assert_array_equal(read_rgb(path), np.repeat(grey[..., None], 3, 2))


def test_16_bits_of_a_pgm_are_written_again(grey: NDArray[np.uint8]) -> None:
    head = f"P5\n{grey.shape[1]} {grey.shape[0]}\n".encode()
    for white, scale in ((65535, 257), (1000, 3)):
        content = (
            head + f"{white}\n".encode() + (grey.astype(np.uint16) * scale).astype(">u2").tobytes()
        )
        picture = read_picture(content)
        assert (picture.mode, picture.samples.dtype) == ("I;16", np.uint16)
        expected = grey.astype(np.float64) * scale / white * 65535
        np.testing.assert_allclose(picture.samples, expected, atol=0.51)
        for file_format in ("PPM", "PNG", "TIFF"):
            again, notices = encode(picture, file_format)
            assert notices == []
            np.testing.assert_array_equal(read_picture(again).samples, picture.samples)


def test_16_bits_of_colour_and_floats_are_scaled(tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    path = tmp_path / "a.tif"
    for samples in (photo.astype(np.uint16) * 257, (photo / 255).astype(np.float32)):
        tifffile.imwrite(path, samples, photometric="rgb")
        np.testing.assert_array_equal(read_rgb(path), photo)


@pytest.mark.parametrize("dtype", [np.int32, np.uint32, np.float32])
def test_what_a_fill_refuses_is_refused_by_name(
    tmp_path: Path, grey: NDArray[np.uint8], dtype: type
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, grey.astype(dtype))
    for read in (read_rgb, read_picture):
        with pytest.raises(ImageError, match=re.escape(str(path))):
            read(path)


@pytest.mark.parametrize("mode", ["RGB", "L", "LA", "RGBA", "P", "1", "CMYK"])
def test_photos_of_8_bits_are_as_they_were(
    tmp_path: Path, photo: NDArray[np.uint8], mode: str
) -> None:
    image = Image.fromarray(photo).convert(mode)
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    image.save(path)
    np.testing.assert_array_equal(read_rgb(path), np.asarray(image.convert("RGB")))


def test_a_large_jpeg_is_turned_and_shrunk_by_its_decoder(
    tmp_path: Path, photo: NDArray[np.uint8]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "a.jpg"
    Image.fromarray(photo).resize((960, 768)).save(path, quality=95, exif=exif)
    with Image.open(path) as opened:
        opened.draft("RGB", (200, 200))
        expected = ImageOps.exif_transpose(opened).convert("RGB")
        expected = expected.resize((100, 125), Image.Resampling.LANCZOS, reducing_gap=3.0)
    np.testing.assert_array_equal(read_rgb(path, shorter=100), np.asarray(expected))
    assert read_rgb(path).shape == on_screen(read_picture(path)).shape == (960, 768, 3)


def test_what_is_a_picture(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n")
    Image.new("RGB", (4, 4)).save(tmp_path / "b.bin", "JPEG")
    assert not is_picture(tmp_path / "a.png")
    assert is_picture(tmp_path / "b.bin")


def test_files_are_opened_in_one_place() -> None:
    root = Path(freefill.__file__).parent
    opening = re.compile(
        r"\bImage\.open\(|\bImageFile\.Parser|\bPIL\.Image\.open|imread\(|imdecode\(|Image\.OPEN\b"
    )
    found = {
        file.relative_to(root).as_posix()
        for file in root.rglob("*.py")
        if opening.search(file.read_text("utf-8"))
    }
    assert found == {"imaging/formats/limits.py"}
