"""Files that the site reads and writes itself, against Pillow."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from in_node import run_node
from PIL import Image, ImageCms, PngImagePlugin

HERE = Path(__file__).parent
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _ran(site: Path, folder: Path) -> dict[str, dict[str, object]]:
    lines = run_node(HERE / "photos.mjs", site, folder)
    return {line["name"]: line for line in map(json.loads, lines)}


def test_png_files_are_read_sample_for_sample(site: Path, tmp_path: Path, examples: Path) -> None:
    with Image.open(examples / "pagoda.jpg") as image:
        photo = image.crop((100, 100, 233, 177)).convert("RGB")
    grey = photo.convert("L")
    alpha = photo.copy()
    alpha.putalpha(grey)
    kinds = {
        "rgb": (photo, "RGB"),
        "rgba": (alpha, "RGBA"),
        "grey": (grey, "L"),
        "la": (alpha.convert("LA"), "LA"),
        "bits": (grey.convert("1"), "L"),
        "palette": (photo.quantize(200), "RGB"),
        "few": (photo.quantize(4), "RGB"),  # 2 bits a sample
        "sixteen": (photo.quantize(16), "RGB"),  # 4 bits
    }
    for name, (image, _) in kinds.items():
        image.save(tmp_path / f"{name}.png")
    photo.quantize(16).save(tmp_path / "hidden.png", transparency=3)
    colour = photo.getpixel((5, 5))
    photo.save(tmp_path / "key.png", transparency=colour)
    told = _ran(site, tmp_path)
    for name, (_, mode) in {**kinds, "hidden": (None, "RGBA"), "key": (None, "RGBA")}.items():
        with Image.open(tmp_path / f"{name}.png") as file:
            expected = np.asarray(file.convert(mode))
        assert told[f"{name}.png"]["channels"] == (1 if expected.ndim == 2 else expected.shape[2])
        found = np.fromfile(tmp_path / f"{name}.png.raw", np.uint8).reshape(expected.shape)
        assert (found == expected).all(), name
        with Image.open(tmp_path / f"{name}.png.again") as file:
            file.load()
            assert file.mode == mode
            assert (np.asarray(file) == expected).all(), name


def test_metadata_of_a_png_are_kept(site: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "A maker"
    exif[0x0112] = 6
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Title", "Ein Bild")
    image = Image.new("RGB", (9, 7), "red")
    image.save(tmp_path / "a.png", exif=exif, icc_profile=PROFILE, dpi=(300, 300), pnginfo=texts)
    assert _ran(site, tmp_path)["a.png"]["turned"] is True
    with Image.open(tmp_path / "a.png.again") as again:
        again.load()
        assert again.info["icc_profile"] == PROFILE
        assert again.info["Title"] == "Ein Bild"
        assert round(again.info["dpi"][0]) == 300
        assert dict(again.getexif()) == {0x010F: "A maker", 0x0112: 1}


@pytest.mark.parametrize("damage", ["cut", "deep"])
def test_what_cannot_be_read_is_said(site: Path, tmp_path: Path, damage: str) -> None:
    if damage == "deep":
        Image.fromarray(np.zeros((4, 4), np.uint16)).save(tmp_path / "a.png")
    else:
        noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), np.uint8)
        content = io.BytesIO()
        Image.fromarray(noise).save(content, "PNG")
        (tmp_path / "a.png").write_bytes(content.getvalue()[:5000])
    error = str(_ran(site, tmp_path)["a.png"]["error"])
    assert ("16 bits" in error) == (damage == "deep")


def test_metadata_of_a_jpeg_are_kept_and_its_thumbnail_is_not(site: Path, tmp_path: Path) -> None:
    """A thumbnail would show what was filled."""
    inside = io.BytesIO()
    Image.new("RGB", (16, 12), "blue").save(inside, "JPEG", comment=b"what was there")
    thumbnail = inside.getvalue()
    exif = Image.Exif()
    exif[0x010F] = "A maker"
    exif[0x0112] = 6
    exif.get_ifd(0x8825)[1] = "N"
    block = _with_thumbnail(exif, thumbnail)
    image = Image.new("RGB", (40, 30), "red")
    long_profile = PROFILE + bytes(100_000)  # in several segments
    image.save(tmp_path / "a.jpg", exif=block, icc_profile=long_profile, comment=b"hello")
    image.save(tmp_path / "plain.jpeg")
    assert b"what was there" in (tmp_path / "a.jpg").read_bytes()
    _ran(site, tmp_path)
    content = (tmp_path / "a.jpg.again").read_bytes()
    assert b"what was there" not in content
    with Image.open(io.BytesIO(content)) as again:
        again.load()
        assert again.info["icc_profile"] == long_profile
        assert again.info["comment"] == b"hello"
        found = again.getexif()
        assert (found[0x010F], found[0x0112]) == ("A maker", 1)
        assert found.get_ifd(0x8825)[1] == "N"
        assert not found.get_ifd(1)


def _with_thumbnail(exif: Image.Exif, thumbnail: bytes) -> bytes:
    """Put a second folder behind the first: where a thumbnail is, and how long."""
    content = bytearray(exif.tobytes()[6:])
    order = "little" if content[:2] == b"II" else "big"

    def number(value: int, size: int) -> bytes:
        return value.to_bytes(size, order)  # type: ignore[arg-type]

    first = int.from_bytes(content[4:8], order)  # type: ignore[arg-type]
    count = int.from_bytes(content[first : first + 2], order)  # type: ignore[arg-type]
    pointer = first + 2 + 12 * count
    content[pointer : pointer + 4] = number(len(content), 4)
    place = len(content) + 2 + 2 * 12 + 4
    content += number(2, 2)
    for tag, value in ((0x0201, place), (0x0202, len(thumbnail))):
        content += number(tag, 2) + number(4, 2) + number(1, 4) + number(value, 4)
    content += number(0, 4) + thumbnail
    return b"Exif\0\0" + bytes(content)
