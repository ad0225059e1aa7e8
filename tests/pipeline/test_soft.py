"""Soft masks: the same hole, and a fill through which the photo is seen towards its edge."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from freefill.errors import MaskError
from freefill.imaging.io import read_picture
from freefill.masks.convert import softness
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import FillOptions, FillRequest

Photo = NDArray[np.uint8]


@pytest.fixture(scope="module")
def ramp() -> Image.Image:
    """White in the middle, black at the sides."""
    across = np.interp(np.arange(120), [20, 50, 70, 100], [0, 255, 255, 0])
    return Image.fromarray(np.tile(across.round().astype(np.uint8), (96, 1)))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "I;16"])
def test_the_photo_shows_more_the_darker_the_mask_is(
    inpainter: Inpainter, photo: Photo, ramp: Image.Image, mode: str
) -> None:
    source = Image.fromarray(photo)
    image = source.convert("L").convert("I").point(lambda v: v * 257) if mode == "I;16" else source
    picture = read_picture(image.convert(mode))
    hard = inpainter.run(FillRequest(picture, ramp)).picture
    soft = inpainter.run(FillRequest(picture, ramp, options=FillOptions(soft=True))).picture
    before, full, mixed = (p.samples.astype(float) for p in (picture, hard, soft))
    if before.ndim == 2:
        before, full, mixed = (x[..., None] for x in (before, full, mixed))
    level = np.asarray(ramp)[..., None] / 255
    share = np.clip(2 * level - 1, 0, 1)
    expected = share * full + (1 - share) * before
    assert np.abs(mixed - expected).max() <= 1
    assert (mixed[:, np.asarray(ramp)[0] <= 127] == before[:, np.asarray(ramp)[0] <= 127]).all()
    assert (mixed[:, 50:71] == full[:, 50:71]).all()
    assert picture.mode == soft.mode == mode


def test_a_mask_without_soft_pixels_gives_the_hard_fill(
    inpainter: Inpainter, photo: Photo, hole: NDArray[np.bool_]
) -> None:
    out = io.BytesIO()
    Image.fromarray(hole).save(out, "PNG")
    picture = read_picture(photo)
    hard = inpainter.run(FillRequest(picture, out.getvalue())).picture
    soft = inpainter.run(
        FillRequest(picture, out.getvalue(), options=FillOptions(soft=True))
    ).picture
    assert (hard.samples == soft.samples).all()
    empty = Image.new("L", (120, 96))
    assert (
        inpainter.run(FillRequest(picture, empty, options=FillOptions(soft=True))).picture.samples
        == photo
    ).all()


def test_inverted_and_resized_like_the_hole(ramp: Image.Image, photo: Photo) -> None:
    picture = read_picture(photo)
    turned = softness(ramp, picture, invert=True)
    assert turned[:, 0].tolist() == [1.0] * 96
    assert turned[:, 60].max() == 0
    small = ramp.resize((60, 48), Image.Resampling.BOX)
    assert np.abs(softness(small, picture, fit="resize") - softness(ramp, picture)).max() < 0.05
    with pytest.raises(MaskError, match="120x96"):
        softness(small, picture)


@pytest.mark.parametrize(
    "options", [{"grow": 1}, {"mask": "alpha"}, {"mask": np.ones((96, 120), bool)}]
)
def test_what_would_harden_a_soft_mask_is_refused(
    inpainter: Inpainter, photo: Photo, ramp: Image.Image, options: dict[str, Any]
) -> None:
    mask = options.pop("mask", ramp)
    with pytest.raises(MaskError, match="soft mask"):
        inpainter.run(
            FillRequest(read_picture(photo), mask, options=FillOptions(soft=True, **options))
        )


def test_progress_is_told_before_each_run_and_can_stop_it(
    inpainter: Inpainter, photo: Photo
) -> None:
    picture = read_picture(np.tile(photo, (12, 12, 1)))
    hole = np.zeros(picture.size, bool)
    for row, column in [(100, 100), (500, 700), (900, 200), (1000, 1300)]:
        hole[row : row + 40, column : column + 60] = True
    told: list[tuple[int, int]] = []
    inpainter.run(FillRequest(picture, hole), progress=lambda *now: told.append(now))
    assert told[0] == (0, 4)
    assert told[-1] == (4, 4)
    assert told == sorted(told)

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        inpainter.run(FillRequest(picture, hole), progress=stop)
