"""Straighten: the level photo is the true one with corners filled; angles are read from lines."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from starlette.testclient import TestClient

from freefill.errors import ImageError
from freefill.imaging.io import encode, read_picture
from freefill.pipeline.inpainter import Inpainter
from freefill.server.app import build
from freefill.server.settings import Settings
from freefill.tasks import straighten

Run = Callable[..., "CompletedProcess[str]"]

Pixels = NDArray[Any]


def _tilted(examples: Path, name: str, angle: float) -> tuple[Pixels, Pixels]:
    """Give the middle of a photo as it is, and as a camera at an angle would have shown it."""
    with Image.open(examples / f"{name}.jpg") as image:
        whole = image.convert("RGB")
    width, height = whole.size
    box = (width // 7, height // 7, width - width // 7, height - height // 7)
    turned = whole.rotate(angle, Image.Resampling.BICUBIC)
    return np.asarray(whole.crop(box)), np.asarray(turned.crop(box))


@pytest.mark.parametrize("name", ["pagoda", "coffee", "sunset", "fruit"])
def test_it_comes_closer_to_the_truth_than_cropping_does(
    examples: Path, inpainter: Inpainter, name: str
) -> None:
    truth, tilted = _tilted(examples, name, 4)
    result = straighten(tilted, angle=-4, inpainter=inpainter)
    height, width = truth.shape[:2]
    assert result.image.shape == truth.shape
    share = 1 / (
        np.cos(np.radians(4)) + np.sin(np.radians(4)) * max(width / height, height / width)
    )
    left, top = width * (1 - share) / 2, height * (1 - share) / 2
    level = Image.fromarray(tilted).rotate(-4, Image.Resampling.BICUBIC)
    box = (left, top, width - left, height - top)
    crop = np.asarray(level.resize((width, height), Image.Resampling.BICUBIC, box))

    def error(pixels: Pixels) -> float:
        return float(np.abs(pixels.astype(float) - truth).mean())

    assert error(result.image) < 0.5 * error(crop)
    # Turned twice by interpolation, and still the photo.
    known = ~result.mask
    assert np.abs(result.image.astype(float) - truth)[known].mean() < 6
    assert 0.9 < float(result.info["kept"]) < 1
    assert float(result.info["kept"]) == pytest.approx(known.mean())


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "1", "deep"])
def test_an_angle_of_nothing_changes_nothing(
    photo: Pixels, inpainter: Inpainter, mode: str
) -> None:
    source: Any = photo.astype(np.uint16) * 256 + 7 if mode == "deep" else Image.fromarray(photo)
    if mode != "deep":
        source = source.convert(mode)
    result = straighten(source, angle=0, inpainter=inpainter)
    assert (np.asarray(result.image) == np.asarray(source)).all()
    assert not result.mask.any()


@pytest.mark.parametrize("angle", [-4, 2.5, 5])
@pytest.mark.parametrize("name", ["mast", "sunset"])
def test_the_angle_is_read_from_lines(
    examples: Path, inpainter: Inpainter, name: str, angle: float
) -> None:
    level, tilted = _tilted(examples, name, angle)
    start = float(straighten(level, inpainter=inpainter).info["angle"])
    found = float(straighten(tilted, inpainter=inpainter).info["angle"])
    assert found == pytest.approx(start - angle, abs=0.7)


def test_a_level_photo_is_left_alone(examples: Path, inpainter: Inpainter) -> None:
    with Image.open(examples / "mast.jpg") as image:
        photo = np.asarray(image)
    result = straighten(photo, inpainter=inpainter)
    assert (result.image == photo).all()
    assert "stays as it is" in result.notices[0]


@pytest.mark.parametrize("name", ["cat", "galaxies", "dandelion"])
def test_without_lines_it_asks_for_the_angle(
    examples: Path, inpainter: Inpainter, name: str
) -> None:
    with pytest.raises(ImageError, match="`angle`"):
        straighten(examples / f"{name}.jpg", inpainter=inpainter)


def test_lines_that_disagree_are_no_evidence(inpainter: Inpainter) -> None:
    row, column = np.mgrid[0:200, 0:300]
    lines = [
        np.clip(np.abs(row - place + slope * column) - 1, 0, 1)
        for place in (60, 120, 180)
        for slope in (np.tan(np.radians(3)), -np.tan(np.radians(3)))
    ]
    drawn = np.minimum.reduce(lines).astype(np.float32)
    with pytest.raises(ImageError, match="do not agree"):
        straighten(drawn, inpainter=inpainter)


def test_expanding_keeps_all_of_the_photo(inpainter: Inpainter) -> None:
    photo = np.zeros((60, 100, 3), np.uint8)
    photo[:8, :8] = photo[-8:, -8:] = photo[:8, -8:] = photo[-8:, :8] = 255
    same = straighten(photo, angle=20, inpainter=inpainter)
    wide = straighten(photo, angle=20, expand=True, inpainter=inpainter)
    assert same.image.shape == (60, 100, 3)
    assert wide.image.shape == (91, 115, 3)
    bright = [(made.image[~made.mask] > 127).all(-1).sum() for made in (same, wide)]
    # Its four corners are bright: 256 pixels, less the half pixel along the border.
    assert bright[0] < 64
    assert 210 < bright[1] <= 256
    assert float(same.info["kept"]) < 0.85
    assert float(wide.info["kept"]) > 0.96


def test_it_turns_anticlockwise(inpainter: Inpainter) -> None:
    photo = np.zeros((101, 101), np.uint8)
    photo[48:53, 90:] = 255
    rows = np.nonzero(straighten(photo, angle=10, inpainter=inpainter).image > 127)[0]
    # Forty-five pixels from the middle, 10 degrees are eight rows.
    assert 41 < rows.mean() < 44


def test_every_kind_of_samples_comes_back_as_itself(photo: Pixels, inpainter: Inpainter) -> None:
    deep = photo.astype(np.uint16) * 257
    turned = straighten(deep, angle=3, inpainter=inpainter)
    eight = straighten(photo, angle=3, inpainter=inpainter)
    known = ~turned.mask
    assert turned.image.dtype == np.uint16
    assert np.abs(turned.image[known] / 257 - eight.image[known]).max() <= 0.51
    assert len(np.unique(turned.image[known] % 257)) > 200
    floats = straighten(photo.astype(np.float64) / 255, angle=3, inpainter=inpainter).image
    assert floats.dtype == np.float64
    assert np.abs(floats[known] * 255 - eight.image[known]).max() <= 0.51
    for mode in ("L", "LA", "P", "1", "CMYK"):
        made = straighten(Image.fromarray(photo).convert(mode), angle=3, inpainter=inpainter)
        assert made.image.mode == mode
        off = np.asarray(made.image.convert("L")).astype(int)
        off = off - np.asarray(Image.fromarray(eight.image).convert("L"))
        # Dithered pixels of a palette or of one bit are mixed, and their mean stays.
        assert abs(off[known].mean()) < 12
        if mode in ("L", "LA", "CMYK"):
            assert np.abs(off[known]).mean() < 2


def test_what_cannot_be_seen_does_not_bleed(inpainter: Inpainter) -> None:
    clear = np.zeros((80, 80, 4), np.uint8)
    clear[..., 0] = 255
    clear[20:60, 20:60] = (0, 200, 0, 255)
    result = straighten(clear, angle=10, inpainter=inpainter)
    seen = result.image[..., 3] > 20
    assert seen.sum() > 1500
    assert result.image[seen][:, 0].max() <= 2
    # Corners of a transparent photo are transparent, and nothing was made up.
    assert not result.mask.any()
    assert (result.image[0, 0] == result.image[0, 0] * (1, 1, 1, 0)).all()


@pytest.mark.parametrize("angle", [45.1, -90, float("nan"), float("inf")])
def test_angles_out_of_range_are_refused(photo: Pixels, inpainter: Inpainter, angle: float) -> None:
    with pytest.raises(ImageError, match="-45 to 45"):
        straighten(photo, angle=angle, inpainter=inpainter)


def test_a_canvas_beyond_the_limit_is_refused(photo: Pixels, inpainter: Inpainter) -> None:
    with pytest.raises(ImageError, match="canvas"):
        straighten(photo, angle=30, expand=True, inpainter=inpainter, max_pixels=12_000)


def test_the_command_levels_and_says_by_how_much(
    command: Run, examples: Path, tmp_path: Path
) -> None:
    _, tilted = _tilted(examples, "mast", 5)
    source, out = tmp_path / "in.png", tmp_path / "out.png"
    Image.fromarray(tilted).save(source)
    ran = command("straighten", source, "-o", out)
    assert ran.returncode == 0, ran.stderr
    assert ", angle -" in ran.stdout
    assert ", kept 0.9" in ran.stdout
    with Image.open(out) as made:
        assert made.size == tilted.shape[1::-1]
    refused = command("straighten", examples / "cat.jpg", "-o", tmp_path / "cat.png")
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "--angle" in refused.stderr
    assert not (tmp_path / "cat.png").exists()


def test_the_route_gives_the_functions_own_bytes(photo: Pixels, inpainter: Inpainter) -> None:
    content = encode(read_picture(photo), "PNG")[0]
    expected = straighten(photo, angle=-3, expand=True, inpainter=inpainter)
    with TestClient(build(Settings(workers=1)), base_url="http://127.0.0.1:8080") as client:

        def ask(**fields: str) -> Any:
            return client.post("/v1/straighten", files={"image": ("a.png", content)}, data=fields)

        answer = ask(angle="-3", expand="true")
        assert answer.status_code == 200, answer.text
        assert (np.asarray(Image.open(io.BytesIO(answer.content))) == expected.image).all()
        assert json.loads(answer.headers["fill-details"])["found"]["angle"] == -3
        assert ask(angle="50").status_code == 422
        assert ask(angle="nan").status_code == 422
        refused = ask()
        assert refused.status_code == 422
        assert "`angle`" in refused.json()["detail"]


def test_a_photo_of_which_nothing_would_be_left_is_refused(inpainter: Inpainter) -> None:
    with pytest.raises(ImageError, match="nothing of a photo of 1x200 is left"):
        straighten(np.zeros((200, 1, 3), np.uint8), angle=5, inpainter=inpainter)
