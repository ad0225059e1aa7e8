"""Sketches and strokes of any kind, to what the network sees of them."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from freefill.errors import GuidanceError
from freefill.imaging.box import Box
from freefill.pipeline.guidance import Guidance, read_lines
from freefill.types import GUIDANCE_CHANNELS

SIZE = (40, 60)


@pytest.fixture
def lines() -> np.ndarray:
    drawn = np.zeros(SIZE, bool)
    drawn[20, 5:55] = True
    drawn[5:35, 30] = True
    return drawn


def test_every_way_to_draw_the_same_lines(lines: np.ndarray) -> None:
    dark = np.where(lines, 0, 255).astype(np.uint8)
    layer = np.zeros((*SIZE, 4), np.uint8)
    layer[lines] = (200, 30, 30, 255)
    black_layer = np.zeros((*SIZE, 4), np.uint8)
    black_layer[lines, 3] = 255
    file = BytesIO()
    Image.fromarray(lines).save(file, "PNG")
    coloured = np.full((*SIZE, 3), 250, np.uint8)
    coloured[lines] = (0, 0, 160)
    for source in (
        lines,
        dark,
        255 - dark,
        layer,
        black_layer,
        coloured,
        Image.fromarray(dark),
        file.getvalue(),
        np.where(lines, 1.0, 0.0).astype(np.float32),
    ):
        np.testing.assert_array_equal(read_lines(source), lines)


def test_a_blank_sheet_has_no_lines() -> None:
    for value in (0, 255):
        assert not read_lines(np.full(SIZE, value, np.uint8)).any()
    assert not read_lines(np.zeros((*SIZE, 4), np.uint8)).any()


def test_an_opaque_layer_counts_by_its_brightness(lines: np.ndarray) -> None:
    layer = np.full((*SIZE, 4), 255, np.uint8)
    layer[lines, :3] = 0
    np.testing.assert_array_equal(read_lines(layer), lines)


def test_another_size_is_refused_or_brought_to_the_photos(lines: np.ndarray) -> None:
    with pytest.raises(GuidanceError, match=r"image is 120x80 but the sketch is 60x40"):
        Guidance.read((80, 120), lines)
    larger = Guidance.read((80, 120), lines, fit="resize").lines
    assert larger is not None
    assert larger[40:42, 12:108].all()
    smaller = Guidance.read((10, 15), lines, fit="resize").lines
    assert smaller is not None
    # A line of one pixel does not vanish where it is shrunk.
    assert smaller[5, 2:13].all()
    assert smaller.mean() < 0.4


def test_what_cannot_be_used_is_refused_by_name() -> None:
    with pytest.raises(GuidanceError, match="mode RGB, without transparency"):
        Guidance.read(SIZE, colour=np.zeros((*SIZE, 3), np.uint8))
    with pytest.raises(GuidanceError, match="strokes: "):
        Guidance.read(SIZE, colour=b"no image")
    with pytest.raises(GuidanceError, match="sketch: "):
        Guidance.read(SIZE, b"no image")
    with pytest.raises(GuidanceError, match=r"\(H, W\)"):
        read_lines(np.zeros((4, 4, 2), bool))
    layer = np.zeros((*SIZE, 4), np.uint8)
    with pytest.raises(GuidanceError, match="picture of strokes is 60x40"):
        Guidance.read((41, 60), colour=layer)


@pytest.mark.parametrize("width", [1, 2, 3, 5, 8])
def test_lines_of_any_width_are_seen_as_one_pixel_in_their_middle(width: int) -> None:
    drawn = np.zeros((48, 64), bool)
    top = 24 - width // 2
    drawn[top : top + width, 4:60] = True
    planes = Guidance(drawn).seen(Box.whole((48, 64)), 1, (48, 64))
    assert planes.shape == (48, 64, GUIDANCE_CHANNELS)
    middle = planes[:, 10:54, 0]
    assert (middle.sum(0) == 1).all()
    assert np.abs(middle.argmax(0) - (top + (width - 1) / 2)).max() <= 1
    assert not planes[..., 1:].any()


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_a_shrunken_crop_keeps_every_line(factor: int) -> None:
    drawn = np.zeros((90, 150), bool)
    drawn[47, :] = True
    box = Box(left=20, top=10, right=121, bottom=77)
    rows, columns = -(-67 // factor), -(-101 // factor)
    planes = Guidance(drawn).seen(box, factor, (rows + 3, columns + 5))
    assert planes.shape == (rows + 3, columns + 5, GUIDANCE_CHANNELS)
    expected = np.zeros((rows + 3, columns + 5))
    expected[(47 - 10) // factor, :columns] = 1
    # Thinning shortens a line by no more than its ends.
    assert np.abs(planes[..., 0] - expected).sum() <= 2


def test_colours_are_means_over_the_strokes_alone() -> None:
    layer = np.zeros((32, 32, 4), np.uint8)
    layer[..., :3] = 77  # of what is transparent, whatever it is
    layer[8:12, 8:16] = (255, 0, 128, 255)
    layer[8, 8] = (0, 255, 0, 100)  # not half opaque: no stroke
    guidance = Guidance.read((32, 32), colour=layer)
    planes = guidance.seen(Box.whole((32, 32)), 4, (16, 16))
    there = planes[..., 1] > 0
    assert np.argwhere(there).tolist() == [[2, 2], [2, 3]]
    np.testing.assert_allclose(planes[there][:, 2:], [[1, -1, 128 / 127.5 - 1]] * 2, atol=1e-6)
    assert not planes[~there].any()


def test_strokes_of_another_size_keep_their_colours() -> None:
    layer = np.zeros((16, 16, 4), np.uint8)
    layer[4:8, 4:8] = (10, 200, 30, 255)
    guidance = Guidance.read((32, 32), colour=layer, fit="resize")
    assert guidance.painted is not None
    assert np.argwhere(guidance.painted).min(0).tolist() == [8, 8]
    assert guidance.painted.sum() == 64
    colours = guidance.seen(Box(left=8, top=8, right=16, bottom=16), 1, (8, 8))[..., 2:].reshape(
        -1, 3
    )
    np.testing.assert_allclose(colours, [np.array([10, 200, 30]) / 127.5 - 1] * 64, atol=1e-6)


def test_what_lies_outside_the_hole_is_told(lines: np.ndarray) -> None:
    hole = np.zeros(SIZE, bool)
    hole[:3, :3] = True
    layer = np.zeros((*SIZE, 4), np.uint8)
    layer[0, 0, 3] = 255
    (notice,) = Guidance.read(SIZE, lines, layer).notices(hole)
    assert f"no line in the hole ({lines.sum()} pixels outside it)" in notice
    (notice,) = Guidance.read(SIZE, np.zeros(SIZE, bool)).notices(hole)
    assert "no line in the hole: nothing" in notice
