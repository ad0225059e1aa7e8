"""Holes with one colour all around are filled with it, exactly, and no network is asked."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from freefill.imaging.io import read_picture
from freefill.pipeline import flat
from freefill.pipeline.guidance import Guidance
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import FillRequest
from freefill.pipeline.tiling import plan

Samples = NDArray[Any]


class Unasked:
    """An engine that must not be asked."""

    guided = True

    def predict(self, *_: object) -> Samples:
        raise AssertionError("the network was asked")


class Unasking(Inpainter):
    def __init__(self) -> None:
        self.engine = Unasked()  # type: ignore[assignment]


def page() -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A speech bubble on hatching with three lines of text; the hole is the one in the middle."""
    image = Image.new("RGB", (360, 240), "white")
    draw = ImageDraw.Draw(image)
    for x in range(-240, 360, 6):
        draw.line((x, 240, x + 240, 0), "black")
    draw.ellipse((20, 20, 340, 220), "white", "black", 3)
    font = ImageFont.load_default(24)
    for y, text in ((70, "WHAT IS THIS"), (102, "DOING ON A"), (134, "PAGE OF MINE")):
        draw.text((180, y), text, "black", font, anchor="ma")
    hole = np.zeros((240, 360), bool)
    hole[103:129, 90:270] = True
    samples = np.array(image)
    assert (samples[hole] < 128).any()
    return samples, hole


def kinds() -> dict[str, Samples]:
    """The page in each kind of samples, its white some other colour."""
    rgb = page()[0]
    grey = rgb[..., 0]
    colour = np.where(rgb == 255, np.array([251, 249, 240], np.uint8), rgb)
    deep = colour.astype(np.uint16) * 257 ^ 0x33
    third = np.where(grey == 255, 1 / 3, 0)
    opaque = np.full(grey.shape, 255, np.uint8)
    return {
        "white": rgb,
        "cream": colour,
        "grey": np.where(grey == 255, np.uint8(200), grey),
        "deep": deep,
        "deep grey": deep[..., 2],
        "float": third.astype(np.float32),
        "double": np.stack([third, third * 2, third], -1),
        "alpha": np.dstack([colour, opaque]),
        "black": 255 - rgb,
    }


@pytest.mark.parametrize("kind", kinds())
def test_a_line_of_text_in_a_bubble_leaves_its_ground(kind: str) -> None:
    image, hole = kinds()[kind], page()[1]
    ground = image[100, 100]
    filled = Unasking()(image, hole)
    assert filled.dtype == image.dtype
    assert (filled[hole] == ground).all()
    np.testing.assert_array_equal(filled[~hole], image[~hole])


@pytest.mark.parametrize("mode", ["P", "CMYK", "1", "LA", "I;16"])
def test_files_of_each_mode_keep_the_number_of_their_ground(mode: str) -> None:
    rgb, hole = page()
    image = Image.fromarray(rgb)
    if mode == "I;16":
        image = Image.fromarray(rgb[..., 0].astype(np.uint16) * 129)
    elif mode == "P":
        image = image.convert("L").quantize(8)
    elif mode == "CMYK":
        # An ink that no colour is converted to.
        ink = np.dstack([255 - rgb, np.zeros(hole.shape, np.uint8)])
        ink[rgb[..., 0] == 255] = (30, 20, 10, 200)
        image = Image.frombytes("CMYK", image.size, ink.tobytes())
    else:
        image = image.convert(mode, dither=Image.Dither.NONE)
    ground = np.asarray(image)[100, 100]
    filled = Unasking().run(FillRequest(image, hole)).picture
    assert (filled.samples[hole] == ground).all()


def test_the_network_gives_another_colour_and_so_it_is_not_asked(
    inpainter: Inpainter, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, hole = page()
    assert (inpainter(image, hole)[hole] == 255).all()
    monkeypatch.setattr(flat, "find", lambda *_: [])
    assert not (inpainter(image, hole)[hole] == 255).all()


def test_holes_of_one_mask_are_told_apart(inpainter: Inpainter, examples: Path) -> None:
    with Image.open(examples / "bricks.jpg") as opened:
        image = np.array(opened.convert("RGB").crop((0, 0, 400, 300)))
    image[20:120, 20:150] = (255, 255, 255)
    image[20:120, 170:300] = (20, 30, 40)
    hole = np.zeros(image.shape[:2], bool)
    hole[50:80, 40:130] = hole[50:80, 190:280] = True
    hole[150:180, 60:90] = True  # on the bricks, seen together with the others
    alone = np.zeros_like(hole)
    alone[150:180, 60:90] = True
    told: list[tuple[int, int]] = []
    result = inpainter.run(FillRequest(image, hole), lambda *now: told.append(now))
    assert told == [(2, 3), (3, 3)]
    filled = result.picture.samples
    assert (filled[50:80, 40:130] == 255).all()
    assert (filled[50:80, 190:280] == (20, 30, 40)).all()
    assert filled[alone].std() > 5
    assert [crop.hole.corners for crop in result.crops] == [(60, 150, 90, 180)]
    assert [box.corners for box in result.even] == [(40, 50, 130, 80), (190, 50, 280, 80)]
    np.testing.assert_array_equal(result.mask, hole)
    np.testing.assert_array_equal(result.picture.changed_mask, hole)
    # To the network they are known: it gives what it gives where they were empty all along.
    emptied = np.where((hole & ~alone)[..., None], filled, image)
    np.testing.assert_array_equal(filled[alone], inpainter(emptied, alone)[alone])


def test_explain_says_it(command: Any, tmp_path: Path) -> None:
    image, hole = page()
    hole[20:40, 2:20] = True  # in the hatching
    Image.fromarray(image).save(tmp_path / "page.png")
    Image.fromarray(hole).save(tmp_path / "mask.png")
    out = tmp_path / "out.png"
    ran = command(
        "fill", tmp_path / "page.png", "-m", tmp_path / "mask.png", "-o", out, "--explain"
    )
    assert ran.returncode == 0, ran.stderr
    first, second, _ = ran.stdout.splitlines()
    assert first.startswith("hole 18x20 at (2, 20): seen with its surroundings")
    assert second == "hole 180x26 at (90, 103): one colour all around, filled with it"
    with Image.open(out) as filled:
        assert (np.asarray(filled)[103:129, 90:270] == 255).all()


def found(image: Samples, hole: NDArray[np.bool_], guidance: Guidance | None = None) -> list[Any]:
    picture = read_picture(image)
    unknown = hole | (picture.samples[..., -1] == 0) if picture.has_alpha else hole
    return [part.colour.tolist() for part in flat.find(picture, hole, unknown, guidance)]


def square(value: int = 255, size: int = 120) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    image, hole = np.full((size, size, 3), value, np.uint8), np.zeros((size, size), bool)
    hole[40:80, 40:80] = True
    image[hole] = 7
    return image, hole


@pytest.mark.parametrize(("row", "expected"), [(39, False), (38, False), (37, True), (81, False)])
def test_one_other_pixel_in_the_rim_is_enough(row: int, expected: bool) -> None:
    image, hole = square()
    image[row, 60, 1] = 100
    assert bool(found(image, hole)) is expected
    assert found(np.rot90(image), np.rot90(hole)) == found(image, hole)


def test_a_thick_hole_has_a_wider_rim() -> None:
    image, hole = np.full((500, 500), 255, np.uint8), np.zeros((500, 500), bool)
    hole[100:400, 100:400] = True
    for row, expected in ((90, []), (50, [[255]])):
        changed = image.copy()
        changed[row, 250] = 0
        assert found(changed, hole) == expected


def test_nothing_beyond_the_border_or_transparent_counts() -> None:
    image, hole = square()
    assert found(image[:70, :70], hole[:70, :70]) == [[255] * 3]
    cutout = np.dstack([image, np.full(hole.shape, 255, np.uint8)])
    cutout[:, 60:] = (9, 9, 9, 0)
    assert found(cutout, hole) == [[255] * 3]
    cutout[:, 60:, 3] = 1
    assert not found(cutout, hole)
    assert not found(cutout, np.ones_like(hole))
    assert not found(image, np.zeros_like(hole))


def test_an_island_within_a_hole_counts() -> None:
    image, hole = square()
    hole[52:68, 52:68] = False
    assert not found(image, hole)
    image[52:68, 52:68] = 255
    assert found(image, hole) == [[255] * 3]


def test_a_line_or_a_stroke_in_a_hole_asks_the_network() -> None:
    image, hole = square()
    lines, strokes = np.zeros(hole.shape, bool), np.zeros((*hole.shape, 4), np.uint8)
    for place, expected in (((60, 60), []), ((10, 10), [[255] * 3])):
        drawn, dab = lines.copy(), strokes.copy()
        drawn[place], dab[place] = True, (255, 0, 0, 255)
        assert found(image, hole, Guidance.read(hole.shape, drawn)) == expected
        assert found(image, hole, Guidance.read(hole.shape, None, dab)) == expected


@pytest.mark.parametrize("quality", [95, 90])
@pytest.mark.parametrize("at", [(0, 0), (3, 5), (4, 4)], ids=str)
def test_paper_and_ink_of_a_jpeg_are_white_and_black(quality: int, at: tuple[int, int]) -> None:
    image, hole = page()
    image, hole = np.roll(image, at, (0, 1)), flat._widened(np.roll(hole, at, (0, 1)), 2)
    for samples, ground in ((image, 255), (255 - image, 0)):
        coded = BytesIO()
        Image.fromarray(samples).save(coded, "JPEG", quality=quality)
        with Image.open(coded) as opened:
            noisy = np.array(opened)
        assert (Unasking()(noisy, hole)[hole] == ground).all()


@pytest.mark.parametrize(
    ("ground", "off", "share"),
    [(255, 9, 0.1), (255, 2, 0.7), (128, 1, 0.1), (0, 9, 0.1)],
    ids=["too far off", "too often", "no end of the range", "ink too far off"],
)
def test_noise_is_no_colour(ground: int, off: int, share: float) -> None:
    image, hole = square(ground)
    noisy = np.random.default_rng(3).random(hole.shape) < share
    image[noisy & ~hole] = abs(ground - off)
    assert not found(image, hole)


def test_no_part_of_the_examples_is_one_colour(examples: Path) -> None:
    rng = np.random.default_rng(8)
    for path in sorted(examples.glob("*.jpg")):
        picture = read_picture(path)
        hole = np.zeros(picture.size, bool)
        for top, left in rng.integers(0, np.array(picture.size) - 40, (20, 2)):
            hole[top : top + 30, left : left + 30] = True
        assert not flat.find(picture, hole, hole), path.name
        assert plan(hole)
