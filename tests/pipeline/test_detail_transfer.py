"""Detail: what a small fill lost comes back from the known part of the photo."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from freefill.imaging.box import Box
from freefill.imaging.io import read_picture
from freefill.pipeline import detail_transfer

Floats = NDArray[np.float32]


def shrink(pixels: Floats, factor: int) -> Floats:
    height, width = pixels.shape[0] // factor, pixels.shape[1] // factor
    return pixels.reshape(height, factor, width, factor, -1).mean((1, 3))


def run(
    pixels: NDArray[Any], hole: NDArray[np.bool_], factor: int, small: Floats | None = None
) -> Floats:
    """Fill a whole picture whose true small picture (or another) is what the network gave."""
    picture = read_picture(pixels)
    height, width = hole.shape
    completed = shrink(picture.rgb(Box.whole((height, width))), factor) if small is None else small
    gap = shrink(hole[..., None].astype(np.float32), factor)[..., 0] > 0
    rows, columns = np.nonzero(hole)
    box = Box(
        left=int(columns.min()),
        top=int(rows.min()),
        right=int(columns.max()) + 1,
        bottom=int(rows.max()) + 1,
    )
    result = np.full((height, width, 3), np.nan, np.float32)
    whole = Box.whole((height, width))
    for part, inside, colours in detail_transfer.bands(
        picture, whole, box, hole[box.window], completed, gap, factor
    ):
        result[part.window][inside] = colours[inside]
    assert not np.isnan(result[hole]).any()
    assert np.isnan(result[~hole]).all()
    return result


def stripes(height: int, width: int) -> NDArray[np.uint8]:
    """Draw stripes that a small picture cannot hold, on a slow gradient."""
    row, column = np.mgrid[:height, :width]
    grey = 90 + 60 * np.sin(column / 150) + 40 * (row % 2)
    return np.repeat(grey[..., None], 3, 2).astype(np.uint8)


def block(height: int, width: int) -> NDArray[np.bool_]:
    hole = np.zeros((height, width), bool)
    hole[height // 3 : height * 2 // 3, width // 3 : width * 2 // 3 + 5] = True
    return hole


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_texture_that_the_small_picture_lost_comes_back(factor: int) -> None:
    side = 96 * factor
    pixels, hole = stripes(side, side), block(side, side)
    filled = run(pixels, hole, factor)
    # Cells start at even rows, so the stripes even fall into their places.
    error = np.abs(filled[hole] * 255 - pixels[hole])
    assert error.mean() < 3
    small = shrink(pixels.astype(np.float32) / 255, factor)
    enlarged = np.asarray(
        Image.fromarray((small * 255).astype(np.uint8)).resize(
            (side, side), Image.Resampling.BICUBIC
        )
    )
    assert np.abs(enlarged[hole].astype(float) - pixels[hole]).mean() > 10


def test_colours_are_those_of_the_small_picture() -> None:
    rng = np.random.default_rng(0)
    pixels, hole = rng.integers(60, 180, (256, 256, 3), np.uint8), block(256, 256)
    # The network wants the hole darker than anything around it.
    small = shrink(pixels.astype(np.float32) / 255, 4)
    gap = shrink(hole[..., None].astype(np.float32), 4)[..., 0] > 0
    small[gap] -= 0.15
    filled = run(pixels, hole, 4, small)
    inner = (slice(100, 156), slice(100, 156))
    assert abs(float(filled[inner].mean()) - float(small[25:39, 25:39].mean())) < 0.01
    # And with the grain of the photo.
    grain = pixels.std() / 255
    assert 0.6 * grain < float(filled[inner].std()) < 1.2 * grain


def test_a_smooth_photo_stays_smooth() -> None:
    row, column = np.mgrid[:256, :256]
    pixels = np.stack([row, column, 255 - row], -1).astype(np.uint8)
    hole = block(256, 256)
    assert float(np.abs(run(pixels, hole, 4)[hole] * 255 - pixels[hole]).max()) < 1.5


def test_what_lies_in_the_hole_has_no_influence() -> None:
    rng = np.random.default_rng(1)
    pixels, hole = rng.integers(0, 256, (160, 224, 3), np.uint8), block(160, 224)
    other = pixels.copy()
    other[hole] = 255 - other[hole]
    small = shrink(pixels.astype(np.float32) / 255, 2)
    np.testing.assert_array_equal(run(pixels, hole, 2, small), run(other, hole, 2, small))


def test_rows_made_at_a_time_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    pixels, hole = rng.integers(0, 256, (256, 192, 3), np.uint8), block(256, 192)
    together = run(pixels, hole, 4)
    monkeypatch.setattr(detail_transfer, "AT_ONCE", 1)
    np.testing.assert_array_equal(run(pixels, hole, 4), together)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [(), (1,), (3,), (4,)])
def test_every_kind_of_samples(dtype: type, channels: tuple[int, ...]) -> None:
    rng = np.random.default_rng(3)
    peak = 1 if dtype is np.float32 else np.iinfo(dtype).max
    values = rng.random((64, 96, *channels))
    if channels == (4,):
        values[..., 3] = 1
    hole = block(64, 96)
    filled = run((values * peak).astype(dtype), hole, 2)
    assert float(filled[hole].std()) > 0.1
    if channels in ((), (1,)):
        np.testing.assert_allclose(filled[hole][:, 0], filled[hole][:, 2], atol=1e-6)


def test_where_nothing_is_known_the_small_picture_is_enlarged() -> None:
    rng = np.random.default_rng(4)
    small = rng.random((32, 32, 3)).astype(np.float32)
    hole = np.ones((64, 64), bool)
    filled = run(np.zeros((64, 64, 3), np.uint8), hole, 2, small)
    planes = [
        np.asarray(Image.fromarray(small[..., c]).resize((64, 64), Image.Resampling.BICUBIC))
        for c in range(3)
    ]
    # Pillow weighs what lies beyond the border otherwise.
    inner = (slice(4, -4), slice(4, -4))
    np.testing.assert_allclose(filled[inner], np.stack(planes, -1)[inner], atol=1e-5)


@given(
    height=st.integers(2, 12),
    width=st.integers(2, 12),
    seed=st.integers(0, 2**32 - 1),
    share=st.floats(0.001, 0.3),
)
@settings(deadline=None, max_examples=60)
def test_sources_are_known_photo_and_nothing_else(
    height: int, width: int, seed: int, share: float
) -> None:
    rng = np.random.default_rng(seed)
    completed = rng.random((8 * height, 8 * width, 3)).astype(np.float32)
    gap = rng.random(completed.shape[:2]) < share / 10
    size = (8 * height - int(rng.integers(0, 9)), 8 * width - int(rng.integers(0, 9)))
    sources = detail_transfer.choose(completed, gap, size)
    known = [
        (r, c)
        for r in range(height - 1)
        for c in range(width - 1)
        if not gap[8 * r : 8 * r + 16, 8 * c : 8 * c + 16].any()
        and 8 * r + 16 <= size[0]
        and 8 * c + 16 <= size[1]
    ]
    assert (sources is None) == (not known)
    if sources is None:
        return
    for place in zip(*np.nonzero(sources.wanted), strict=True):
        r, c = place
        assert gap[8 * r : 8 * r + 16, 8 * c : 8 * c + 16].any()
        assert tuple(sources.places[place]) in known


def test_a_copy_is_recognised() -> None:
    rng = np.random.default_rng(5)
    completed = rng.random((128, 128, 3)).astype(np.float32)
    gap = np.zeros((128, 128), bool)
    gap[64:96, 64:96] = True
    # Four cells away in both directions, as two neighbours in step are.
    completed[56:104, 56:104] = completed[24:72, 24:72]
    completed[24:56, 24:56] = completed[56:88, 56:88]
    sources = detail_transfer.choose(completed, gap, (128, 128))
    assert sources is not None
    assert sources.places[8, 8].tolist() == [4, 4]
