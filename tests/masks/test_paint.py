"""Masks that are not white on black: paint, labels, painted copies, and photos that are none."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from freefill.errors import MaskError
from freefill.imaging.io import Source, read_picture
from freefill.masks.convert import softness, to_mask
from freefill.types import Mask

SIZE = (120, 160)


def shape(size: tuple[int, int] = SIZE) -> Mask:
    row, column = np.mgrid[0 : size[0], 0 : size[1]]
    found: Mask = ((row - 50) / 20) ** 2 + ((column - 60) / 35) ** 2 < 1
    found[90:100, 100:140] = True
    return found


def painted(paint: Any, ground: Any, mode: str = "RGB") -> Image.Image:
    image = Image.new(mode, SIZE[::-1], ground)
    image.paste(paint, mask=Image.fromarray(shape()))
    return image


def saved(image: Image.Image, file_format: str = "PNG", **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def smooth(paint: Any, ground: Any, mode: str = "RGB") -> Image.Image:
    """Give strokes with the soft edges of a brush."""
    large = Image.new("L", (SIZE[1] * 4, SIZE[0] * 4))
    ImageDraw.Draw(large).line([(100, 80), (300, 260), (520, 200)], fill=255, width=60)
    image = Image.new(mode, SIZE[::-1], ground)
    image.paste(paint, mask=large.resize(SIZE[::-1], Image.Resampling.LANCZOS))
    return image


def picture() -> Any:
    return read_picture(np.zeros((*SIZE, 3), np.uint8))


def labels(values: dict[int, Mask], palette: list[int] | None = None) -> Image.Image:
    cells = np.zeros(SIZE, np.uint8)
    for value, where in values.items():
        cells[where] = value
    image = Image.fromarray(cells)
    if palette is not None:
        image.putpalette(palette)
    return image


VOC = [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0, 0, 0, 128, *([0] * 750)]
VOC += [0] * (768 - len(VOC))
VOC[-3:] = [224, 224, 192]


@pytest.mark.parametrize(
    "mask",
    [
        pytest.param(painted((255, 0, 0, 255), (0, 0, 0, 0), "RGBA"), id="red on transparent"),
        pytest.param(painted((255, 0, 0, 255), (255, 255, 255, 0), "RGBA"), id="on hidden white"),
        pytest.param(painted((0, 0, 0, 255), (0, 0, 0, 0), "RGBA"), id="black on transparent"),
        pytest.param(painted((0, 255), (0, 0), "LA"), id="black on transparent, grey"),
        pytest.param(painted((90, 90, 90, 255), (0, 0, 0, 0), "RGBA"), id="grey on transparent"),
        pytest.param(painted("red", "black"), id="red on black"),
        pytest.param(painted((0, 100, 0), "black"), id="dark green on black"),
        pytest.param(painted("red", "white"), id="red on white"),
        pytest.param(painted("blue", "white"), id="blue on white"),
        pytest.param(painted("red", "lime"), id="red on green"),
        pytest.param(painted("red", (90, 90, 90)), id="red on grey"),
        pytest.param(painted((60, 60, 60), "black"), id="dark grey on black"),
        pytest.param(painted(7, 0, "L"), id="label 7"),
        pytest.param(painted(3, 0, "L"), id="label 3"),
        pytest.param(painted(100, 20, "L"), id="100 on 20"),
        pytest.param(labels({1: shape()}, VOC), id="a label in a palette"),
        pytest.param(labels({4: shape()}, VOC), id="another label in a palette"),
    ],
)
def test_paint_on_one_ground_is_the_hole(mask: Image.Image) -> None:
    for source in (mask, saved(mask), saved(mask, "TIFF")):
        hole, notices = to_mask(source, picture())
        np.testing.assert_array_equal(hole, shape())
        assert any(line.startswith("the mask is read as paint: ") for line in notices)
        np.testing.assert_array_equal(to_mask(source, picture(), invert=True)[0], ~shape())
        np.testing.assert_array_equal(softness(source, picture()) > 0.9, shape())


def test_paint_with_several_colours_on_a_transparent_ground_is_the_hole() -> None:
    layer = painted((255, 0, 0, 255), (0, 0, 0, 0), "RGBA")
    layer.paste((0, 0, 200, 255), (100, 90, 140, 100))
    np.testing.assert_array_equal(to_mask(layer, picture())[0], shape())


def test_a_palette_with_a_transparent_entry_is_a_layer() -> None:
    for file_format in ("GIF", "PNG"):
        image = labels({1: shape()}, [255, 255, 255, 255, 0, 0, *([0] * 762)])
        source = saved(image, file_format, transparency=0)
        np.testing.assert_array_equal(to_mask(source, picture())[0], shape())


@pytest.mark.parametrize(
    ("paint", "ground"), [("red", "black"), ("blue", "white"), ("red", "white"), ("navy", "black")]
)
def test_paint_in_a_jpeg_is_the_hole_to_its_edge(paint: str, ground: str) -> None:
    for quality in (60, 90):
        source = saved(painted(paint, ground), "JPEG", quality=quality)
        hole, _ = to_mask(source, picture())
        # Colours are stored at half the size: an edge is uncertain by two pixels.
        assert (hole != shape()).mean() < 0.02
        blurred = np.asarray(Image.fromarray(shape()).convert("L").filter(ImageFilter.BoxBlur(4)))
        assert hole[blurred == 255].all()
        assert not hole[blurred == 0].any()


def test_soft_strokes_of_any_colour_mark_what_white_ones_do() -> None:
    white, _ = to_mask(smooth("white", "black"), picture())
    for paint, ground in (("red", "black"), ("blue", "white"), ("red", "silver")):
        hole, _ = to_mask(smooth(paint, ground), picture())
        assert (hole != white).mean() < 0.01
    layer = Image.new("RGBA", SIZE[::-1], (255, 0, 0))
    layer.putalpha(smooth(255, 0, "L"))
    np.testing.assert_array_equal(to_mask(layer, picture())[0], white)


# --- what is doubtful ---------------------------------------------------------------------------


def void(inner: Mask) -> Mask:
    wide = np.asarray(Image.fromarray(inner).convert("L").filter(ImageFilter.MaxFilter(5))) > 0
    return wide & ~inner


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        pytest.param(
            labels({1: shape(), 2: shape()[::-1] & ~shape()}),
            ["3 values", "1 on", "2 on"],
            id="1, 2",
        ),
        pytest.param(
            labels({3: shape(), 50: shape()[::-1] & ~shape(), 90: shape()[:, ::-1] & ~shape()}),
            ["90 on", "50 on", "3 on"],
            id="labels",
        ),
        pytest.param(
            labels({1: shape(), 255: void(shape())}, VOC), ["#800000 on", "#e0e0c0 on"], id="void"
        ),
        pytest.param(
            labels({1: shape(), 2: shape()[::-1] & ~shape()}, VOC),
            ["#800000 on", "#008000 on"],
            id="classes",
        ),
        pytest.param(
            painted((0, 0, 0, 0), (0, 0, 0, 255), "RGBA"), ["opaque"], id="a hole in black"
        ),
    ],
)
def test_what_could_be_several_things_is_refused_with_what_was_seen(
    mask: Image.Image, words: list[str]
) -> None:
    with pytest.raises(MaskError, match=r"several ways.*paint what is to be filled") as refused:
        to_mask(saved(mask), picture())
    assert all(word in str(refused.value) for word in words)


# --- photos -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def large(examples: Path) -> Image.Image:
    with Image.open(examples / "coffee.jpg") as image:
        return image.convert("RGB").crop((100, 60, 260, 180))


def erased(image: Image.Image, soft: int = 0) -> Image.Image:
    alpha = Image.fromarray(~shape()).convert("L")
    copy = image.copy()
    copy.putalpha(alpha.filter(ImageFilter.GaussianBlur(soft)) if soft else alpha)
    return copy


def dabbed(image: Image.Image, paint: Any = "red") -> Image.Image:
    copy = image.copy()
    copy.paste(paint, mask=Image.fromarray(shape()))
    return copy


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize(
    "change",
    [
        dabbed,
        erased,
        lambda image: dabbed(image, 255 if image.mode == "L" else "white"),
        lambda image: dabbed(image, 0 if image.mode == "L" else "black"),
    ],
    ids=["red", "erased", "white", "black"],
)
def test_what_differs_in_a_painted_copy_is_the_hole(
    large: Image.Image, change: Callable[[Image.Image], Image.Image], mode: str
) -> None:
    photo = large.convert(mode)
    copy = change(photo)
    for source in (copy, saved(copy), saved(copy, "TIFF")):
        hole, notices = to_mask(source, read_picture(photo))
        # Where the photo has the very colour of the paint, nothing differs.
        assert not (hole & ~shape()).any()
        assert (shape() & ~hole).mean() < 0.005
        assert any("copy of the image" in line for line in notices)


@pytest.mark.parametrize("quality", [75, 95])
def test_a_painted_copy_may_be_a_jpeg(large: Image.Image, quality: int) -> None:
    source = saved(dabbed(large), "JPEG", quality=quality)
    hole, _ = to_mask(source, read_picture(large))
    assert hole[shape()].all()
    grown = np.asarray(Image.fromarray(shape()).convert("L").filter(ImageFilter.MaxFilter(21))) > 0
    assert not (hole & ~grown).any()


def test_a_soft_eraser_erases_to_its_end(large: Image.Image) -> None:
    soft = erased(large, soft=4)
    hole, _ = to_mask(saved(soft), read_picture(large))
    np.testing.assert_array_equal(hole, np.asarray(soft.getchannel("A")) < 254)


@pytest.mark.parametrize("mode", ["RGB", "L", "P"])
def test_another_photo_is_refused(large: Image.Image, mode: str) -> None:
    other = large.transpose(Image.Transpose.ROTATE_180).convert(mode)
    sources: list[Source] = [other, saved(other), saved(other.resize((90, 70)))]
    if mode == "RGB":
        sources += [saved(erased(other)), saved(other, "JPEG"), saved(dabbed(other))]
    for source in sources:
        with pytest.raises(MaskError, match=r"looks like a photo.*no painted copy"):
            to_mask(source, read_picture(large), fit="resize")


def test_the_photo_itself_marks_nothing(large: Image.Image) -> None:
    with pytest.raises(MaskError, match="is the image itself"):
        to_mask(saved(large), read_picture(large))


# --- what was understood before -----------------------------------------------------------------


def by_brightness(image: Image.Image) -> Mask:
    rgba = np.asarray(image.convert("RGBA")).astype(np.float32)
    light = rgba[..., :3] @ np.array([0.299, 0.587, 0.114], np.float32) / 255
    hole: Mask = light * (rgba[..., 3] / np.float32(255)) > 0.5
    return hole


def strokes(rng: np.random.Generator) -> Image.Image:
    """Give what a person paints: strokes and blobs with soft edges, at any size."""
    height, width = rng.integers(8, 140, 2)
    image = Image.new("L", (int(width) * 3, int(height) * 3))
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integers(1, 6)):
        points = [(int(x), int(y)) for x, y in rng.integers(0, 3 * width, (3, 2))]
        draw.line(points, fill=255, width=int(rng.integers(2, 60)), joint="curve")
    soft = image.resize((int(width), int(height)), Image.Resampling.BICUBIC)
    if rng.random() < 0.3:
        soft = soft.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.5, 12))))
    return soft


def kinds(grey: Image.Image) -> dict[str, Image.Image | bytes]:
    layer = Image.new("RGBA", grey.size, "white")
    layer.putalpha(grey)
    both = Image.merge("LA", (grey, Image.new("L", grey.size, 255)))
    bright = Image.new("RGB", grey.size)
    bright.paste((255, 255, 80), mask=grey)
    return {
        "grey": grey,
        "1 bit": grey.convert("1", dither=Image.Dither.NONE),
        "RGB": grey.convert("RGB"),
        "P": grey.convert("P"),
        "JPEG": saved(grey, "JPEG", quality=30),
        "JPEG in colour": saved(grey.convert("RGB"), "JPEG", quality=50),
        "WebP": saved(grey.convert("RGB"), "WEBP", quality=40),
        "layer": layer,
        "opaque": both,
        "black on white": Image.eval(grey, lambda value: 255 - value),
        "yellow": bright,
    }


@pytest.mark.parametrize("seed", range(40))
def test_white_on_black_in_any_way_is_what_it_was(seed: int) -> None:
    grey = strokes(np.random.default_rng(seed))
    for name, source in kinds(grey).items():
        image = Image.open(BytesIO(source)) if isinstance(source, bytes) else source
        expected = by_brightness(image)
        if not expected.any():
            continue
        stand_in = read_picture(np.zeros((*expected.shape, 3), np.uint8))
        hole, _ = to_mask(source, stand_in)
        np.testing.assert_array_equal(hole, expected, err_msg=name)
        if isinstance(source, Image.Image):
            np.testing.assert_array_equal(to_mask(saved(source), stand_in)[0], expected)
        inverted, _ = to_mask(source, stand_in, invert=True)
        np.testing.assert_array_equal(inverted, ~expected, err_msg=name)


@pytest.mark.parametrize("noise", [1, 4, 8])
def test_black_with_the_noise_of_compression_is_empty(noise: int) -> None:
    rng = np.random.default_rng(noise)
    black = rng.integers(0, noise + 1, SIZE).astype(np.uint8)
    black[0, 0] = max(noise, 2)
    hole, notices = to_mask(black, picture())
    assert not hole.any()
    assert "the mask is empty: nothing is filled" in notices


def test_a_wide_feather_is_no_photo() -> None:
    ramp = np.tile(np.linspace(0, 255, SIZE[1]).astype(np.uint8), (SIZE[0], 1))
    np.testing.assert_array_equal(to_mask(ramp, picture())[0], ramp > 127)
