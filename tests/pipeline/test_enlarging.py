"""What the network sees of a thin hole, twice as large."""

from __future__ import annotations

import numpy as np
from PIL import Image

from freefill.imaging.box import Box
from freefill.pipeline.enlarging import enlarged
from freefill.pipeline.guidance import Guidance
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.tiling import plan


def test_what_is_known_is_that_of_a_bicubic_filter() -> None:
    pixels = np.random.default_rng(0).integers(60, 200, (20, 30, 3), dtype=np.uint8)
    colours, known = enlarged(
        np.float32(1 / 255) * pixels.astype(np.float32), np.ones((20, 30), np.float32)
    )
    expected = np.asarray(Image.fromarray(pixels).resize((60, 40), Image.Resampling.BICUBIC))
    # Pillow weighs anew at the border, where pixels are repeated here.
    inside = (slice(4, -4), slice(4, -4))
    assert np.abs(colours[inside] * 255 - expected[inside]).max() < 1.5
    assert known.shape == (40, 60)


def test_nothing_of_the_hole_gets_into_what_is_known() -> None:
    rng = np.random.default_rng(1)
    seen = rng.random((24, 24, 3), dtype=np.float32)
    known = np.ones((24, 24), np.float32)
    known[10:13, 3:20] = 0
    other = np.where(known[..., None] > 0, seen, 1 - seen)
    first, there = enlarged(seen, known)
    second, _ = enlarged(other, known)
    np.testing.assert_array_equal(first[there > 0], second[there > 0])
    assert there.sum() == 4 * known.sum()


def test_even_colours_stay_even_up_to_a_hole() -> None:
    known = np.ones((16, 16), np.float32)
    known[::3, 5:9] = 0
    colours, there = enlarged(np.full((16, 16, 3), 0.7, np.float32), known)
    np.testing.assert_allclose(colours[there > 0], 0.7, atol=1e-6)


def test_a_thin_hole_is_filled_at_twice_the_size_and_lands_in_its_place() -> None:
    """A ramp, whose colour tells its place: a fill that is half a pixel off would be seen."""
    row, column = np.mgrid[0:200, 0:200]
    photo = np.stack([row + 20, column + 20, (row + column) // 2 + 20], -1).astype(np.uint8)
    hole = np.zeros((200, 200), bool)
    hole[95:101, 40:160] = True
    hole[40:160, 95:101] = True
    (crop,) = plan(hole)
    assert (crop.zoom, crop.network_size) == (2, (400, 400))
    filled = Inpainter()(photo, hole)
    np.testing.assert_array_equal(filled[~hole], photo[~hole])
    off = filled[hole].astype(int) - photo[hole]
    assert np.abs(off).mean() < 2
    assert np.abs(off.mean(0)).max() < 1


def test_guidance_is_twice_as_large_with_lines_of_one_pixel() -> None:
    lines = np.zeros((32, 32), bool)
    lines[16, 4:28] = True
    planes = Guidance(lines).seen(Box.whole((32, 32)), 1, (64, 64), zoom=2)
    rows, columns = planes[..., 0].nonzero()
    assert set(rows) <= {32, 33}
    assert len(set(columns)) == len(columns)
    assert columns.min() in (8, 9)
    assert columns.max() in (54, 55)
