"""Masks to holes: one threshold, one polarity, and errors that give both sizes."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from freefill.errors import MaskError
from freefill.imaging.io import Source, read_picture
from freefill.imaging.picture import Picture
from freefill.masks.convert import to_mask

HALF16, HALF32, HALF64 = np.float16(0.5), np.float32(0.5), np.float64(0.5)


def picture_for(mask: NDArray[Any]) -> Picture:
    return read_picture(np.zeros((*mask.shape[:2], 3), np.uint8))


def png(image: Image.Image, **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("keep", "fill"),
    [
        (np.array([[False]]), np.array([[True]])),
        (np.array([[127]], np.uint8), np.array([[128]], np.uint8)),
        (np.array([[0]], np.uint8), np.array([[255]], np.uint8)),
        (np.array([[32767]], np.uint16), np.array([[32768]], np.uint16)),
        (np.array([[HALF16]]), np.array([[np.nextafter(HALF16, np.float16(1))]])),
        (np.array([[HALF32]]), np.array([[np.nextafter(HALF32, np.float32(1))]])),
        (np.array([[HALF64]]), np.array([[np.nextafter(HALF64, 1.0)]])),
    ],
    ids=lambda array: f"{array.dtype}-{array[0, 0]}",
)
def test_threshold_of_arrays_is_half(keep: NDArray[Any], fill: NDArray[Any]) -> None:
    # Beside a pixel that settles the range, so that 0 and 1 are not taken for a bad uint8 mask.
    mask = np.concatenate([keep, fill, fill], axis=1)
    for shaped in (mask, mask[..., None]):
        hole, _ = to_mask(shaped, picture_for(shaped))
        assert hole.dtype == bool
        np.testing.assert_array_equal(hole, [[False, True, True]])


def grey_file(tmp_path: Path) -> Source:
    path = tmp_path / "mask.png"
    Image.fromarray(np.array([[127, 128]], np.uint8)).save(path)
    return path


def palette_image() -> Image.Image:
    # The darker colour has the higher index: it is the colour that counts.
    image = Image.frombytes("P", (2, 1), bytes([1, 0]))
    image.putpalette(bytes([128, 128, 128, 127, 127, 127]))
    return image


@pytest.mark.parametrize(
    "kind", ["path", "str", "bytes", "L", "I;16", "1", "P", "RGB", "RGBA", "layer"]
)
def test_threshold_of_pictures_is_half(tmp_path: Path, kind: str) -> None:
    grey = np.array([[127, 128]], np.uint8)
    colour = np.repeat(grey[..., None], 3, 2)
    sources: dict[str, Source] = {
        "path": grey_file(tmp_path),
        "str": str(grey_file(tmp_path)),
        "bytes": png(Image.fromarray(grey)),
        "L": Image.fromarray(grey),
        "I;16": Image.fromarray(np.array([[32767, 32768]], np.uint16)),
        "1": Image.fromarray(np.array([[False, True]])),
        "P": palette_image(),
        "RGB": Image.fromarray(colour),
        "RGBA": Image.fromarray(np.dstack([colour, np.full_like(grey, 255)])),
        # A mask painted on a transparent layer: all of it is white, and some of it is there.
        "layer": Image.fromarray(np.dstack([np.full_like(colour, 255), grey])),
    }
    hole, _ = to_mask(sources[kind], picture_for(grey))
    np.testing.assert_array_equal(hole, [[False, True]])


def test_colours_are_taken_by_their_brightness() -> None:
    colours = ["black", "red", "blue", "lime", "yellow", "white"]
    mask = Image.new("RGB", (len(colours), 1))
    for x, colour in enumerate(colours):
        mask.paste(colour, (x, 0, x + 1, 1))
    hole, _ = to_mask(mask, read_picture(np.zeros((1, len(colours), 3), np.uint8)))
    # Of the primaries only green is more than half as bright as white.
    np.testing.assert_array_equal(hole, [[False, False, False, True, True, True]])


def test_invert_swaps_fill_and_keep() -> None:
    mask = np.random.default_rng(0).integers(0, 256, (9, 7)).astype(np.uint8)
    picture = picture_for(mask)
    np.testing.assert_array_equal(
        to_mask(mask, picture, invert=True)[0], ~to_mask(mask, picture)[0]
    )


def test_the_mask_is_not_changed() -> None:
    mask = np.array([[True, False, False]])
    hole, _ = to_mask(mask, picture_for(mask), invert=True)
    np.testing.assert_array_equal(hole, [[False, True, True]])
    np.testing.assert_array_equal(mask, [[True, False, False]])


# --- alpha --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_marks_what_is_less_than_half_opaque(mode: str) -> None:
    image = Image.new(mode, (4, 1))
    image.putalpha(Image.fromarray(np.array([[0, 127, 128, 255]], np.uint8)))
    hole, _ = to_mask("alpha", read_picture(image))
    np.testing.assert_array_equal(hole, [[True, True, False, False]])
    inverted, _ = to_mask("alpha", read_picture(image), invert=True)
    np.testing.assert_array_equal(inverted, ~hole)


def test_alpha_of_a_picture_without_alpha_is_refused() -> None:
    with pytest.raises(MaskError, match=r"alpha.*mode is RGB"):
        to_mask("alpha", read_picture(np.zeros((4, 4, 3), np.uint8)))


# --- size ---------------------------------------------------------------------------------------


def test_another_size_is_refused_with_both_sizes_as_width_by_height() -> None:
    picture = read_picture(np.zeros((40, 60, 3), np.uint8))
    for mask in (np.zeros((30, 20), bool), Image.new("L", (20, 30))):
        with pytest.raises(MaskError, match=r"60x40.*20x30.*resize"):
            to_mask(mask, picture)


def test_the_same_area_turned_is_another_size() -> None:
    with pytest.raises(MaskError, match=r"60x40.*40x60"):
        to_mask(np.zeros((60, 40), bool), read_picture(np.zeros((40, 60, 3), np.uint8)))


@pytest.mark.parametrize("fit", ["exact", "resize", None])
@pytest.mark.parametrize("size", [(40, 60), (80, 120), (20, 30)])
@pytest.mark.parametrize(
    ("orientation", "words"),
    [
        (6, "EXIF orientation of 6.* clockwise,"),
        (8, "EXIF orientation of 8.*counterclockwise,"),
        (5, "EXIF orientation of 5.* clockwise, and mirror"),
        (1, "turned by 90 degrees against the image: turn the mask"),
    ],
)
def test_a_mask_of_a_photo_that_its_file_turns_is_never_resized(
    orientation: int, words: str, size: tuple[int, int], fit: Any
) -> None:
    if orientation == 1:  # no sign that it was turned, but for the very size
        size = (40, 60)
    tags = Image.Exif()
    tags[0x0112] = orientation
    across = (60, 40) if orientation > 4 else (40, 60)
    picture = read_picture(png(Image.new("RGB", across), exif=tags))
    assert picture.size == (60, 40)
    mask = Image.new("L", size[::-1])
    mask.paste(255, (2, 2, 9, 9))
    with pytest.raises(MaskError, match=words) as refused:
        to_mask(mask, picture, fit=fit)
    assert "resize" not in str(refused.value)


def test_what_is_nearly_square_does_not_lie_on_its_side() -> None:
    picture = read_picture(np.zeros((100, 101), np.uint8))
    mask = np.ones((50, 51), bool)
    assert to_mask(mask, picture, fit="resize")[0].shape == (100, 101)


@pytest.mark.parametrize("factor", [2, 3, 8])
def test_resize_brings_a_mask_up_to_the_picture(factor: int) -> None:
    mask = np.zeros((20, 30), bool)
    mask[5:12, 8:20] = True
    picture = read_picture(np.zeros((20 * factor, 30 * factor, 3), np.uint8))
    hole, _ = to_mask(mask, picture, fit="resize")
    exact = mask.repeat(factor, 0).repeat(factor, 1)
    assert hole.shape == exact.shape
    # Straight edges stay where they are; only the four corners can be rounded.
    assert (hole != exact).sum() <= 4 * (factor / 2) ** 2


def test_resize_brings_a_mask_down_to_the_picture() -> None:
    mask = np.zeros((400, 600), np.uint8)
    mask[100:200, 150:450] = 255
    hole, _ = to_mask(mask, read_picture(np.zeros((40, 60, 3), np.uint8)), fit="resize")
    expected = np.zeros((40, 60), bool)
    expected[10:20, 15:45] = True
    np.testing.assert_array_equal(hole, expected)


@pytest.mark.parametrize("density", [0.2, 0.8])
def test_resize_decides_by_the_share_of_each_pixel_that_is_hole(density: float) -> None:
    mask = np.random.default_rng(0).random((400, 600)) < density
    hole, _ = to_mask(mask, read_picture(np.zeros((40, 60, 3), np.uint8)), fit="resize")
    assert hole.all() if density > 0.5 else not hole.any()


def test_a_mask_is_turned_upright_as_its_photo_is() -> None:
    # 6: what is stored in row 0 is the right side of what is seen.
    tags = Image.Exif()
    tags[0x0112] = 6
    upright = np.zeros((4, 6), np.uint8)
    upright[0, 1] = 255
    stored = Image.fromarray(np.ascontiguousarray(upright.T[::-1]))
    hole, _ = to_mask(png(stored, exif=tags), read_picture(np.zeros((4, 6, 3), np.uint8)))
    np.testing.assert_array_equal(hole, upright > 0)


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_an_integer_mask_of_zeros_and_ones_is_refused(dtype: type) -> None:
    mask = np.eye(4, dtype=dtype)
    with pytest.raises(MaskError, match=rf"{np.iinfo(dtype).max}.*is 1.*astype\(bool\)"):
        to_mask(mask, picture_for(mask))


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (np.array([[0, 1.25]]), ["1.25"]),
        (np.array([[-0.5, 1]]), ["-0.5"]),
        (np.array([[0, 255.0]]), ["255"]),
        (np.array([[np.nan, 1]]), ["nan"]),
        (np.zeros((2, 2), np.int64), ["int64"]),
        (np.zeros((2, 2), complex), ["complex128"]),
        (np.zeros(4, bool), ["(4,)"]),
        (np.zeros((2, 2, 2), bool), ["(2, 2, 2)"]),
        (np.zeros((1, 2, 2, 1), bool), ["(1, 2, 2, 1)"]),
    ],
    ids=str,
)
def test_arrays_that_are_no_mask_are_refused(mask: NDArray[Any], words: list[str]) -> None:
    with pytest.raises(MaskError) as refused:
        to_mask(mask, read_picture(np.zeros((2, 2, 3), np.uint8)))
    assert all(word in str(refused.value) for word in words)


# --- notices ------------------------------------------------------------------------------------


def share(of: int) -> NDArray[np.bool_]:
    return np.arange(100).reshape(10, 10) < of


@pytest.mark.parametrize(
    ("of", "words"),
    [
        (0, ["empty"]),
        (1, []),
        (60, []),
        (61, ["61%", "invert=True"]),
        (99, ["99%", "invert=True"]),
        (100, ["whole"]),
    ],
)
def test_suspicious_masks_are_told(of: int, words: list[str]) -> None:
    _, notices = to_mask(share(of), picture_for(share(of)))
    assert len(notices) == bool(words)
    assert all(word in notices[0] for word in words)


def test_the_notice_is_about_the_hole_that_results() -> None:
    _, notices = to_mask(share(100), picture_for(share(100)), invert=True)
    assert len(notices) == 1
    assert "empty" in notices[0]


def test_of_an_animated_mask_the_first_frame_is_used_and_it_is_said() -> None:
    frames = [Image.fromarray(np.full((4, 4), v, np.uint8)) for v in (0, 255)]
    frames[0].paste(255, (0, 0, 2, 4))
    buffer = BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    hole, notices = to_mask(buffer.getvalue(), read_picture(np.zeros((4, 4, 3), np.uint8)))
    np.testing.assert_array_equal(hole, np.tile([True, True, False, False], (4, 1)))
    assert any("2 frames" in line for line in notices)


def test_fit_is_one_of_two_words() -> None:
    grey = np.zeros((2, 2), np.uint8)
    with pytest.raises(MaskError, match=r'"stretch".*exact or resize'):
        to_mask(grey, picture_for(grey), fit="stretch")  # type: ignore[arg-type]
