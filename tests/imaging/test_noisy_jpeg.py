"""JPEG of noise, which needs more room than Pillow gives its encoder."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from freefill.imaging.io import encode, read_picture
from freefill.imaging.picture import Picture
from freefill.imaging.pillow import save_jpeg
from freefill.lab.data.packing.workers import Ready, Recipe, make_ready


def noise(side: int, mode: str) -> Image.Image:
    channels = {"L": (), "RGB": (3,), "CMYK": (4,)}[mode]
    # Black and white alone: the most that blocks can hold.
    samples = (
        np.random.default_rng(0).integers(0, 2, (side, side, *channels)).astype(np.uint8) * 255
    )
    return Image.fromarray(samples, "CMYK") if mode == "CMYK" else Image.fromarray(samples)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("options", [{"progressive": True}, {"optimize": True}, {}])
@pytest.mark.parametrize("quality", [90, 95, 100])
def test_noise_is_written(mode: str, options: dict[str, bool], quality: int) -> None:
    out = BytesIO()
    usual = ImageFile.MAXBLOCK
    save_jpeg(noise(400, mode), out, quality=quality, subsampling=0, **options)
    assert usual == ImageFile.MAXBLOCK
    with Image.open(out) as image:
        image.load()
        assert image.size == (400, 400)


@pytest.mark.parametrize("file_format", ["JPEG", "MPO"])
def test_a_progressive_photo_of_high_quality_is_written_again(file_format: str) -> None:
    out = BytesIO()
    save_jpeg(noise(400, "RGB"), out, quality=100, subsampling=0, progressive=True)
    picture = read_picture(out.getvalue())
    alone = Picture(picture.samples, "RGB", "bytes", file_format, picture.info)
    assert read_picture(encode(alone, file_format)[0]).size == (400, 400)


def test_noise_is_packed(tmp_path: Path) -> None:
    noise(400, "RGB").save(tmp_path / "a.png")
    recipe = Recipe(size=400, quality=100, smallest=8, max_pixels=1_000_000)
    assert isinstance(make_ready(tmp_path / "a.png", recipe), Ready)
