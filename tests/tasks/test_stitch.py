"""Photos that are joined: views of one photo, which is the truth."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from freefill.errors import ExtraMissingError, ImageError
from freefill.pipeline.inpainter import Inpainter
from freefill.tasks import stitch

Photo = NDArray[np.uint8]


@pytest.fixture(scope="module")
def whole(examples: Path) -> Photo:
    with Image.open(examples / "pagoda.jpg") as image:
        return np.asarray(image.convert("RGB"))


def _view(photo: Photo, centre: tuple[int, int], angle: float, gain: float = 1) -> Photo:
    """A view of 260x240 around a place (column, row), turned and brighter."""
    turn = cv2.getRotationMatrix2D(centre, angle, 1)
    turn[:, 2] += np.array([130, 120]) - centre
    view = cv2.warpAffine(photo, turn, (260, 240), flags=cv2.INTER_CUBIC)
    return np.rint(np.clip(view * gain, 0, 255)).astype(np.uint8)


def _first_at(found: dict[str, float | str]) -> tuple[int, int]:
    left, top = str(found["first at"]).strip("()").split(",")
    return int(left), int(top)


def test_two_views_are_the_photo_again(whole: Photo, inpainter: Inpainter) -> None:
    first = whole[90:330, 80:340].copy()
    second = _view(whole, (350, 205), 3, 0.82)
    result = stitch(first, [second], inpainter=inpainter)
    left, top = _first_at(result.info)
    assert float(result.info["matches of photo 2"]) > 50
    height, width = result.image.shape[:2]
    kept = result.image[top : top + 240, left : left + 260]
    # Only the first shows its left 130 columns; beyond, the seam may lie anywhere.
    np.testing.assert_array_equal(kept[:, :130], first[:, :130])
    assert (kept == first).all(-1).mean() > 0.7
    truth = whole[90 - top : 90 - top + height, 80 - left : 80 - left + width]
    apart = np.abs(result.image.astype(float) - truth).mean(-1)
    assert width > 380
    assert apart[~result.mask].mean() < 3
    # Laid over as it is, the second view is darker by a fifth.
    assert np.abs(second.astype(float) / 0.82 - second).mean() > 20
    assert 0 < result.mask.mean() < 0.15
    assert apart[result.mask].mean() < 0.5 * truth[result.mask].mean()


def test_three_views_in_any_order(whole: Photo, inpainter: Inpainter) -> None:
    views = [_view(whole, (150, 220), 2), _view(whole, (300, 215), 0), _view(whole, (450, 210), -2)]
    result = stitch(views[0], [views[2], views[1]], inpainter=inpainter)
    assert result.image.shape[1] > 530
    assert {"matches of photo 2", "matches of photo 3"} <= set(result.info)


@pytest.mark.parametrize("mode", ["L", "RGBA"])
def test_every_mode_stays_itself(mode: str, whole: Photo, inpainter: Inpainter) -> None:
    first = Image.fromarray(whole[90:330, 80:340]).convert(mode)
    second = Image.fromarray(_view(whole, (350, 205), 2)).convert(mode)
    first.info["dpi"] = (300, 300)
    result = stitch(first, [second], inpainter=inpainter)
    assert result.image.mode == mode
    assert result.image.info["dpi"] == (300, 300)
    if mode == "RGBA":
        assert np.asarray(result.image.getchannel("A")).min() == 255


def test_sixteen_bits_stay(whole: Photo, inpainter: Inpainter) -> None:
    first = whole[90:330, 80:340].astype(np.uint16) * 257
    second = _view(whole, (350, 205), 2).astype(np.uint16) * 257
    result = stitch(first, [second], inpainter=inpainter)
    left, top = _first_at(result.info)
    kept = result.image[top : top + 240, left : left + 130]
    np.testing.assert_array_equal(kept, first[:, :130])


def test_what_cannot_be_joined_is_told(whole: Photo, examples: Path, inpainter: Inpainter) -> None:
    first = whole[90:330, 80:340]
    with Image.open(examples / "cat.jpg") as image:
        cat = np.asarray(image.convert("RGB"))
    with pytest.raises(ImageError, match=r"photo 2 overlaps none of the others: \d+ of \d+ match"):
        stitch(first, [cat], inpainter=inpainter)
    with pytest.raises(ImageError, match="photo 3 overlaps none"):
        stitch(first, [_view(whole, (350, 205), 2), cat], inpainter=inpainter)
    with pytest.raises(ImageError, match="photo 1 is RGB of uint8 but photo 2 is L of uint8"):
        stitch(first, [first[..., 0]], inpainter=inpainter)
    with pytest.raises(ImageError, match="1 photo: 2 to 6"):
        stitch(first, [], inpainter=inpainter)
    flat = np.full((240, 260, 3), 128, np.uint8)
    with pytest.raises(ImageError, match="0 of 0 matches"):
        stitch(first, [flat], inpainter=inpainter)
    with pytest.raises(ImageError, match="more than 70000 pixels"):
        stitch(first, [_view(whole, (350, 205), 2)], max_pixels=70_000, inpainter=inpainter)


def test_without_opencv_the_command_is_told(
    whole: Photo, inpainter: Inpainter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ExtraMissingError, match=r"pip install 'freefill\[stitch\]'"):
        stitch(whole, [whole], inpainter=inpainter)


def test_a_photo_that_shows_nothing_new_changes_nothing(
    examples: Path, inpainter: Inpainter
) -> None:
    with Image.open(examples / "pagoda.jpg") as image:
        photo = np.asarray(image.convert("RGB"))[:, :400]
    result = stitch(photo, [np.ascontiguousarray(photo[60:360, 50:350])], inpainter=inpainter)
    np.testing.assert_array_equal(result.image, photo)
