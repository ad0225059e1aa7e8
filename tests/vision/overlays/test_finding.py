"""What the detectors find on real photos that were drawn on, and that they leave photos alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from freefill.errors import MaskError
from freefill.imaging.box import Box
from freefill.imaging.io import read_picture
from freefill.masks.morphology import grow
from freefill.masks.region import numbers
from freefill.vision.overlays.finding import Kind, find, looked_at
from freefill.vision.overlays.stack import matte, shared, uncovered

Photo = NDArray[np.uint8]
Drawn = tuple[Photo, NDArray[np.bool_]]


def read(path: Path) -> Photo:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def lettered(photo: Photo, text: str, at: tuple[int, int], colour: tuple[int, ...]) -> Drawn:
    image = Image.fromarray(photo)
    ImageDraw.Draw(image).text(at, text, fill=colour, font=ImageFont.load_default(24))
    drawn = np.asarray(image)
    return drawn, (drawn != photo).any(-1)


def scratched(photo: Photo) -> Drawn:
    image = Image.fromarray(photo)
    draw = ImageDraw.Draw(image)
    draw.line([(120, 10), (131, 380)], fill=(235, 235, 235), width=2)
    draw.line([(430, 30), (300, 390)], fill=(20, 20, 20), width=2)
    drawn = np.asarray(image)
    return drawn, (drawn != photo).any(-1)


def dusty(photo: Photo) -> Drawn:
    rng = np.random.default_rng(1)
    image = Image.fromarray(photo)
    for x, y in rng.uniform(20, 380, (25, 2)):
        ImageDraw.Draw(image).ellipse([x - 1.5, y - 1.5, x + 1.5, y + 1.5], fill=(250, 250, 250))
    drawn = np.asarray(image)
    return drawn, (np.abs(drawn.astype(int) - photo) > 40).any(-1)


def drawn_on(examples: Path, kind: str) -> Drawn:
    photo = read(examples / "coffee.jpg")
    if kind == "stamp":
        return lettered(photo, "'98 12 25", (470, 360), (255, 190, 60))
    if kind == "text":
        sky = read(examples / "pagoda.jpg")
        return lettered(sky, "Summer palace, June", (300, 60), (20, 20, 20))
    return scratched(photo) if kind == "scratches" else dusty(photo)


@pytest.mark.parametrize(
    ("kind", "recall", "precision"),
    [("stamp", 0.9, 0.5), ("text", 0.9, 0.6), ("scratches", 0.6, 0.5), ("dust", 0.5, 0.5)],
)
def test_each_kind_is_found_where_it_is(
    examples: Path, kind: Kind, recall: float, precision: float
) -> None:
    photo, true = drawn_on(examples, kind)
    hole, kinds = find(read_picture(photo), kind)
    assert kinds == [kind]
    assert (hole & true).sum() / true.sum() > recall
    assert (hole & grow(true, 3)).sum() / hole.sum() > precision


def test_a_box_leaves_everything_outside_it(examples: Path) -> None:
    photo, true = drawn_on(examples, "text")
    box = Box(left=280, top=50, right=600, bottom=110)
    hole, kinds = find(read_picture(photo), "text", box)
    assert "text" in kinds
    assert (hole & true).sum() / true.sum() > 0.9
    hole[box.window] = False
    assert not hole.any()


def test_clean_photos_have_no_stamp(examples: Path) -> None:
    for name in ("bee", "fruit", "sunset", "dandelion", "bricks"):
        assert find(read_picture(examples / f"{name}.jpg"), "stamp")[0].mean() < 0.01


def test_a_large_photo_is_looked_at_smaller_and_its_mask_is_as_large_as_it(examples: Path) -> None:
    photo, true = drawn_on(examples, "stamp")
    large = photo.repeat(2, 0).repeat(2, 1)[:-1, :-1]
    picture = read_picture(large)
    rgb, factor = looked_at(picture, Box.whole(picture.size))
    assert (factor, rgb.shape) == (2, (400, 600, 3))
    np.testing.assert_allclose(rgb[:399, :599] * 255, photo[:399, :599], atol=0.01)
    hole, _ = find(picture, "stamp")
    assert hole.shape == (799, 1199)
    wanted = true.repeat(2, 0).repeat(2, 1)[:-1, :-1]
    assert (hole & wanted).sum() / wanted.sum() > 0.9


def test_impossible_boxes_and_kinds_are_refused(examples: Path) -> None:
    picture = read_picture(examples / "fruit.jpg")
    with pytest.raises(MaskError, match=r"10,20,300,60 .* not within .* 256x256"):
        find(picture, "text", Box(left=10, top=20, right=300, bottom=60))
    with pytest.raises(MaskError, match=r"16x100 pixels are too few .* 32x32"):
        find(picture, "text", Box.whole((100, 16)))
    with pytest.raises(MaskError, match="must be one of auto, stamp"):
        find(picture, "logo")  # type: ignore[arg-type]
    for text in ("1,2,3", "a,b,c,d", ""):
        with pytest.raises(MaskError, match="LEFT,TOP,RIGHT,BOTTOM"):
            numbers("box", text, "L,T,R,B")


def test_what_a_stack_shares_is_found_and_chance_is_not() -> None:
    rng = np.random.default_rng(0)
    steps = rng.normal(0, 0.05, (20, 64, 64)).cumsum(1).cumsum(2)
    light = np.clip(0.5 + steps / np.abs(steps).max((1, 2), keepdims=True) / 2, 0, 1)
    light = light.astype(np.float32)
    assert not shared(light).any()
    mark = np.zeros((64, 64), bool)
    mark[20:26, 10:50] = True
    covered = np.where(mark, light * 0.5 + 0.5, light).astype(np.float32)
    found = shared(covered)
    assert (found & mark).sum() / mark.sum() > 0.9
    assert (found & ~grow(mark, 2)).sum() < 0.05 * mark.sum()


def test_an_overlay_is_estimated_and_taken_off() -> None:
    rng = np.random.default_rng(0)
    photos = rng.random((30, 50, 3)).astype(np.float32)
    guess = photos + rng.normal(0, 0.03, photos.shape).astype(np.float32)
    opacity = np.linspace(0, 0.9, 50, dtype=np.float32)[:, None]
    colour = np.array([1, 0.8, 0.2], np.float32)
    seen = photos * (1 - opacity) + opacity * colour
    found = matte(seen, guess, np.ones((1, 50), bool))
    np.testing.assert_allclose(found.through, 1 - opacity[:, 0], atol=0.05)
    np.testing.assert_allclose(found.added, opacity * colour, atol=0.05)
    back = uncovered(seen[0], guess[0], found)
    clear = opacity[:, 0] < 0.5
    assert np.abs(back - photos[0])[clear].mean() < 0.02
    # Where next to nothing comes through, the guess stays.
    hidden = opacity[:, 0] > 0.75
    np.testing.assert_array_equal(back[hidden], np.clip(guess[0], 0, 1)[hidden])
