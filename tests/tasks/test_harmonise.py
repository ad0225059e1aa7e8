"""Pastes that are matched: by what is known to have been changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from freefill.errors import ConfigError, MaskError
from freefill.imaging.box import Box
from freefill.masks.morphology import grow
from freefill.pipeline.inpainter import Inpainter
from freefill.tasks import harmonise
from freefill.vision.compositing import rim

Photo = NDArray[np.uint8]


def _photo(examples: Path, name: str) -> Photo:
    with Image.open(examples / f"{name}.jpg") as image:
        return np.asarray(image.convert("RGB"))[:256, :256]


def _blob(size: tuple[int, ...]) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[: size[0], : size[1]]
    blob: NDArray[np.bool_] = np.hypot((rows - 130) / 1.3, columns - 110) < 40
    return blob


def _changed(photo: Photo, gain: float, warmth: float, gamma: float) -> Photo:
    light = np.clip(photo / 255 * gain * np.array([warmth, 1, 1 / warmth]), 0, 1) ** gamma
    return np.rint(light * 255).astype(np.uint8)


@pytest.mark.parametrize("name", ["street", "dandelion", "pagoda", "coffee", "sunset"])
@pytest.mark.parametrize("change", [(0.65, 1, 1), (1, 1.2, 1), (1.2, 0.85, 0.8)])
def test_a_changed_region_comes_closer_to_what_it_was(
    name: str, change: tuple[float, float, float], examples: Path, inpainter: Inpainter
) -> None:
    truth = _photo(examples, name)
    mask = _blob(truth.shape)
    paste = np.where(mask[..., None], _changed(truth, *change), truth)
    result = harmonise(paste, mask, inpainter=inpainter)

    def apart(image: Photo) -> float:
        return float(np.abs(image.astype(float) - truth)[mask].mean())

    assert apart(result.image) < 0.9 * apart(paste)
    np.testing.assert_array_equal(result.image[~grow(mask, 1)], paste[~grow(mask, 1)])


def test_it_tells_by_how_many_stops(examples: Path, inpainter: Inpainter) -> None:
    truth = _photo(examples, "dandelion")
    mask = _blob(truth.shape)
    paste = np.where(mask[..., None], truth // 2, truth)
    found = harmonise(paste, mask, inpainter=inpainter).info
    assert float(found["stops"]) == pytest.approx(1, abs=0.4)
    assert float(found["agreement"]) > 0.5


def test_half_the_strength_is_half_of_the_way(examples: Path, inpainter: Inpainter) -> None:
    truth = _photo(examples, "dandelion")
    mask = _blob(truth.shape)
    paste = np.where(mask[..., None], truth // 2, truth)
    none, half, full = (
        harmonise(paste, mask, strength=s, band=0, inpainter=inpainter).image for s in (0, 0.5, 1)
    )
    np.testing.assert_array_equal(none, paste)
    means = [float(image[mask].mean()) for image in (none, half, full)]
    assert means[0] < means[1] - 5 < means[2] - 10


def test_a_white_fringe_is_filled_by_the_band(examples: Path, inpainter: Inpainter) -> None:
    truth = _photo(examples, "pagoda")
    mask = _blob(truth.shape)
    edge = rim(mask)
    fringed = np.where(edge[..., None], np.uint8(235), truth)
    results = {b: harmonise(fringed, mask, band=b, inpainter=inpainter) for b in (0, 1)}
    apart = {b: np.abs(r.image.astype(float) - truth)[edge].mean() for b, r in results.items()}
    assert apart[1] < 0.5 * apart[0]
    assert not results[0].mask.any()
    assert results[1].mask[edge].all()
    assert results[1].mask.sum() < 3 * edge.sum()


def test_an_outline_without_anything_in_common_is_left_alone(inpainter: Inpainter) -> None:
    photo = np.full((96, 96, 3), 20, np.uint8)
    photo[:, 48:] = 230
    photo[30:66, 30:66] = 90
    result = harmonise(
        photo, box=Box(left=30, top=30, right=66, bottom=66), band=0, inpainter=inpainter
    )
    assert float(result.info["agreement"]) < 0.2
    assert "agree" in result.notices[0]
    assert np.abs(result.image.astype(int) - photo).mean() < 4


@pytest.mark.parametrize("mode", ["L", "P", "RGBA"])
def test_every_mode_stays_itself(mode: str, examples: Path, inpainter: Inpainter) -> None:
    image = Image.fromarray(_photo(examples, "coffee")).convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L"))
    result = harmonise(
        image, box=Box(left=60, top=60, right=140, bottom=120), inpainter=inpainter
    ).image
    assert result.mode == mode
    if mode == "RGBA":
        np.testing.assert_array_equal(
            np.asarray(result.getchannel("A")), np.asarray(image.getchannel("A"))
        )


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"strength": 1.5}, ConfigError, "0 to 1"),
        ({"band": 33}, ConfigError, "0 to 32"),
        ({"box": Box.whole((64, 97))}, MaskError, "97x64"),
        ({"mask": np.ones((64, 96), bool)}, MaskError, "whole image"),
        ({"box": Box.whole((30, 30)), "image": np.zeros((31, 31, 3), np.uint8), "band": 32},
         ConfigError, "narrower"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_told(
    options: dict[str, Any], error: type[Exception], words: str, inpainter: Inpainter
) -> None:
    photo = options.pop("image", np.zeros((64, 96, 3), np.uint8))
    part = {} if {"mask", "box"} & set(options) else {"box": (9, 9, 30, 30)}
    with pytest.raises(error, match=words):
        harmonise(photo, **part, **options, inpainter=inpainter)
