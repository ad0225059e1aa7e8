"""Parts that move: what is kept, what is filled, and that it beats cutting and pasting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from freefill.errors import ConfigError, MaskError
from freefill.imaging.box import Box
from freefill.imaging.io import encode, read_picture
from freefill.masks.morphology import grow
from freefill.pipeline.inpainter import Inpainter
from freefill.tasks import recompose

Photo = NDArray[np.uint8]


@pytest.fixture(scope="module")
def bee(examples: Path) -> tuple[Photo, NDArray[np.bool_]]:
    with Image.open(examples / "bee.jpg") as image, Image.open(examples / "bee_mask.png") as mask:
        return np.asarray(image.convert("RGB")), np.asarray(mask.convert("L")) > 127


def _ball(size: tuple[int, int], row: int, column: int, radius: int) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[: size[0], : size[1]]
    ball: NDArray[np.bool_] = np.hypot(rows - row, columns - column) < radius
    return ball


def test_pixels_that_are_neither_left_nor_covered_are_the_input(
    bee: tuple[Photo, NDArray[np.bool_]], inpainter: Inpainter
) -> None:
    photo, mask = bee
    result = recompose(photo, mask, by=(-50, 60), inpainter=inpainter)
    landed = np.roll(mask, (60, -50), (0, 1))
    changed = grow(mask, 2) | landed
    np.testing.assert_array_equal(result.image[~changed], photo[~changed])
    assert (result.image[mask] != photo[mask]).any(-1).mean() > 0.9
    np.testing.assert_array_equal(result.mask, grow(mask, 2) & ~landed | result.mask & landed)
    assert result.info["now"] == "44x54 at (43, 165)"


def test_the_inside_of_a_clean_outline_is_moved_bit_for_bit(inpainter: Inpainter) -> None:
    rng = np.random.default_rng(0)
    photo = rng.integers(60, 90, (96, 128, 3)).astype(np.uint16) * 257
    ball = _ball((96, 128), 40, 40, 14)
    photo[ball] = rng.integers(50000, 60000, (int(ball.sum()), 3))
    result = recompose(photo, ball, by=(50, 8), inpainter=inpainter)
    inside = np.roll(~grow(~ball, 3), (8, 50), (0, 1))
    assert result.image.dtype == np.uint16
    np.testing.assert_array_equal(result.image[inside], np.roll(photo, (8, 50), (0, 1))[inside])
    assert result.image[ball].max() < 40000


def test_ground_that_came_along_takes_the_colours_of_the_new_ground(inpainter: Inpainter) -> None:
    ramp = np.repeat(np.linspace(60, 200, 128)[None, :, None], 96, 0).repeat(3, 2)
    photo = ramp.astype(np.uint8)
    ball = _ball((96, 128), 48, 30, 8)
    photo[ball] = (220, 40, 30)
    box = Box(left=16, top=34, right=44, bottom=62)
    truth = ramp.astype(np.uint8)
    truth[np.roll(ball, 60, 1)] = (220, 40, 30)
    around = np.zeros((96, 128), bool)
    around[34:62, 76:104] = True
    around &= ~grow(np.roll(ball, 60, 1), 3)

    def apart(image: Any) -> float:
        return float(np.abs(image.astype(float) - truth)[around].mean())

    blended = recompose(photo, box=box, by=(60, 0), inpainter=inpainter)
    plain = recompose(photo, box=box, by=(60, 0), blend=False, inpainter=inpainter)
    assert apart(blended.image) < 0.25 * apart(plain.image)
    np.testing.assert_array_equal(blended.image[48, 90], (220, 40, 30))


def test_it_beats_cutting_filling_with_the_mean_and_pasting(
    examples: Path, inpainter: Inpainter
) -> None:
    with (
        Image.open(examples / "dandelion.jpg") as image,
        Image.open(examples / "fruit.jpg") as other,
    ):
        ground, fruit = (np.asarray(i.convert("RGB")) for i in (image, other))
    ball = _ball((256, 256), 90, 80, 30)
    rough, by = grow(ball, 6), (20, 90)
    start = np.where(ball[..., None], fruit, ground)
    moved = np.roll(ball, by[::-1], (0, 1))[..., None]
    truth = np.where(moved, np.roll(fruit, by[::-1], (0, 1)), ground)
    result = recompose(start, rough, by=by, inpainter=inpainter).image
    naive = start.copy()
    naive[rough] = start[grow(rough, 3) & ~rough].mean(0)
    landed = np.roll(rough, by[::-1], (0, 1))
    naive = np.where(landed[..., None], np.roll(start, by[::-1], (0, 1)), naive)

    def apart(image: Photo) -> float:
        return float(np.abs(image.astype(float) - truth)[rough | landed].mean())

    assert apart(result) < 0.9 * apart(naive)


def test_scaled_it_is_larger_about_its_centre_or_from_a_corner(inpainter: Inpainter) -> None:
    photo = np.full((96, 128, 3), 200, np.uint8)
    photo[40:50, 40:60] = 10
    box = Box(left=40, top=40, right=60, bottom=50)
    twice = recompose(photo, box=box, scale=2, inpainter=inpainter)
    dark = (twice.image < 100).all(-1)
    assert np.flatnonzero(dark.any(1))[[0, -1]].tolist() == [35, 54]
    assert np.flatnonzero(dark.any(0))[[0, -1]].tolist() == [30, 69]
    small = recompose(photo, box=box, to=(100, 80), scale=0.5, inpainter=inpainter)
    dark = (small.image < 100).all(-1)
    assert np.flatnonzero(dark.any(1))[[0, -1]].tolist() == [80, 84]
    assert np.flatnonzero(dark.any(0))[[0, -1]].tolist() == [100, 109]


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1"])
def test_every_mode_stays_itself(
    mode: str, bee: tuple[Photo, NDArray[np.bool_]], inpainter: Inpainter
) -> None:
    image = Image.fromarray(bee[0][80:200, 60:180]).convert(mode)
    result = recompose(
        image,
        box=Box(left=30, top=20, right=60, bottom=60),
        by=(20, 40),
        scale=1.3,
        inpainter=inpainter,
    )
    assert result.image.mode == mode
    assert result.image.size == image.size
    assert np.asarray(result.image)[0].tolist() == np.asarray(image)[0].tolist()


def test_an_object_on_a_transparent_ground_leaves_no_silhouette(inpainter: Inpainter) -> None:
    layer = np.zeros((64, 96, 4), np.uint8)
    layer[20:40, 10:30] = (200, 30, 30, 255)
    result = recompose(
        layer, box=Box(left=10, top=20, right=30, bottom=40), by=(50, 0), inpainter=inpainter
    ).image
    assert result[20:40, 10:30, 3].max() == 0
    np.testing.assert_array_equal(result[22:38, 62:78], layer[22:38, 12:28])


def test_what_lands_beyond_the_image_in_part_is_told(inpainter: Inpainter) -> None:
    photo = np.full((64, 96, 3), 120, np.uint8)
    photo[20:40, 10:30] = 10
    result = recompose(
        photo, box=Box(left=10, top=20, right=30, bottom=40), to=(-10, 20), inpainter=inpainter
    )
    assert "50%" in result.notices[0]
    assert (result.image[25, :9] < 60).all()
    assert (result.image[25, 14:] > 100).all()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"by": (0, 0)}, ConfigError, "stays where it is"),
        ({"by": (1, 1), "to": (2, 2)}, ConfigError, "one of them"),
        ({"by": 3}, MaskError, "`by` is 3; it must be 2 whole numbers"),
        ({"to": (1, 2, 3)}, MaskError, "`to` is"),
        ({"by": (5, 5), "box": (1, 2, 3)}, MaskError, "left, top, right, bottom"),
        ({"by": (5, 5), "mask": None}, MaskError, "either `mask` or `box=L,T,R,B`"),
        ({"by": (5, 5), "mask": np.eye(9), "box": (1, 2, 3, 4)}, MaskError, "either `mask` or"),
        ({"by": (5, 5), "grow": -1}, MaskError, "`grow` is -1; it must be a whole number, 0 to"),
        ({"by": (5, 5), "blend": "no"}, ConfigError, "True or False"),
        ({"by": (500, 0)}, ConfigError, "beyond the image of 96x64"),
        ({"scale": 0.0}, ConfigError, "0.05 to 20"),
        ({"scale": 19}, ConfigError, "more than 4 times"),
        ({"by": (5, 5), "box": Box.whole((70, 10))}, MaskError, "image of 96x64"),
        ({"by": (5, 5), "mask": np.zeros((64, 96), bool)}, MaskError, "empty"),
        ({"by": (5, 5), "mask": np.ones((64, 96), bool)}, MaskError, "whole image"),
        ({"by": (5, 5), "mask": np.zeros((6, 9), bool)}, MaskError, "9x6"),
        ({"by": (5, 5), "grow": 90}, ConfigError, "nothing is left"),
    ],
)
def test_what_cannot_be_done_is_told(
    options: dict[str, Any], error: type[Exception], words: str, inpainter: Inpainter
) -> None:
    photo = np.zeros((64, 96, 3), np.uint8)
    part = {} if {"mask", "box"} & set(options) else {"box": (10, 20, 30, 40)}
    with pytest.raises(error, match=words):
        recompose(photo, **part, **options, inpainter=inpainter)
    assert not photo.any()


def test_a_picture_keeps_its_metadata(inpainter: Inpainter) -> None:
    image = Image.fromarray(np.full((64, 96, 3), 120, np.uint8))
    image.info["dpi"] = (300, 300)
    picture = read_picture(image)
    result = recompose(
        picture, box=Box(left=10, top=20, right=30, bottom=40), by=(5, 5), inpainter=inpainter
    )
    assert result.image.info["dpi"] == (300, 300)


def test_a_jpeg_keeps_the_blocks_that_nothing_came_to(
    examples: Path, tmp_path: Path, inpainter: Inpainter
) -> None:
    with Image.open(examples / "coffee.jpg") as image:
        image.save(tmp_path / "photo.jpg", quality=80)
    before = read_picture(tmp_path / "photo.jpg")
    moved = recompose(
        before, box=Box(left=40, top=40, right=110, bottom=100), by=(60, 20), inpainter=inpainter
    )
    content, notices = encode(moved.picture, "JPEG")
    assert notices == []
    after = read_picture(content).samples
    np.testing.assert_array_equal(after[180:, 260:], before.samples[180:, 260:])
    assert (after[40:100, 40:110] != before.samples[40:100, 40:110]).any()


def test_a_mask_of_another_size_is_refused_without_a_choice_that_is_not_there(
    inpainter: Inpainter,
) -> None:
    photo, mask = np.zeros((40, 60, 3), np.uint8), np.ones((40, 50), bool)
    with pytest.raises(MaskError, match=r"mask is 50x40: resize the mask$"):
        recompose(photo, mask, by=(5, 0), inpainter=inpainter)
