"""Segmenters that are networks: places go in and masks come back where they belong."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import stand_ins
from numpy.typing import NDArray

from freefill.errors import MaskError, ReferenceMissingError, WeightsError
from freefill.imaging.io import read_picture
from freefill.vision.segmentation import networks, sam
from freefill.vision.segmentation.choosing import available, segment
from freefill.vision.segmentation.prompt import prompt
from freefill.weights import third_party


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv(third_party.FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setattr(sam, "_last", None)
    yield tmp_path
    for path in [path for path in networks._kept if path.parent == tmp_path]:
        del networks._kept[path]


def two_halves() -> NDArray[np.uint8]:
    """On grey, a thing of which one half is bright red and the other nearly black."""
    rng = np.random.default_rng(0)
    photo = rng.normal(150, 6, (120, 160, 3)).clip(0, 255).astype(np.uint8)
    photo[40:80, 50:80] = 230, 60, 60
    photo[40:80, 80:110] = 90, 5, 5
    return photo


def overlap(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float((one & other).sum() / (one | other).sum())


def test_saliency_finds_the_whole_where_colours_find_a_half(folder: Path) -> None:
    picture = read_picture(two_halves())
    truth = np.zeros(picture.size, bool)
    truth[40:80, 50:110] = True
    pointed = prompt(picture.size, at=[(65, 60)])
    alone = segment(picture, pointed, "classical")
    stand_ins.u2netp(folder)
    assert available() == ["u2netp", "classical"]
    found = segment(picture, pointed)
    assert found.segmenter == "u2netp"
    assert overlap(found.mask, truth) > 0.95
    assert overlap(alone.mask, truth) < 0.6


def test_the_bundled_network_is_there_and_makes_way_for_a_folder_of_ones_own(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundled = third_party.BUNDLED / "u2netp.onnx"
    assert third_party.find("u2netp") == bundled
    stand_ins.u2netp(folder)
    assert third_party.find("u2netp") == folder / "u2netp.onnx"
    # What an older version fetched into the cache has a side of its own and is left alone.
    monkeypatch.delenv(third_party.FOLDER_VARIABLE)
    monkeypatch.setattr(third_party, "folder", lambda: folder)
    assert third_party.find("u2netp") == bundled
    assert hashlib.sha256(bundled.read_bytes()).hexdigest().startswith("90af9b96a496")


def test_an_object_beside_the_salient_one_is_found_whole(folder: Path) -> None:
    """What a photo is of fills most of it; the click is on another thing, at its border."""
    stand_ins.u2netp(folder)
    photo = np.full((240, 320, 3), 150, np.uint8)
    photo[40:220, 20:180] = 230, 40, 40
    photo[100:130, 270:300] = 220, 50, 50
    found = segment(read_picture(photo), prompt((240, 320), at=[(285, 115)]))
    truth = np.zeros((240, 320), bool)
    truth[100:130, 270:300] = True
    assert overlap(found.mask, truth) > 0.9
    assert not found.doubts
    assert found.figures["agreement"] > 0.8


@pytest.mark.parametrize("at", [(160, 20), (250, 200)])
def test_where_the_network_sees_nothing_is_doubted(folder: Path, at: tuple[int, int]) -> None:
    stand_ins.u2netp(folder)
    rng = np.random.default_rng(2)
    photo = rng.normal(150, 10, (240, 320, 3)).clip(0, 255).astype(np.uint8)
    photo[60:180, 60:160] = 230, 40, 40
    try:
        found = segment(read_picture(photo), prompt((240, 320), at=[at]))
    except MaskError:
        return
    assert any("U^2-Net takes nothing there" in doubt for doubt in found.doubts)


def test_a_background_that_the_network_likes_is_doubted_with_numbers(folder: Path) -> None:
    stand_ins.u2netp(folder)
    photo = np.full((200, 300, 3), 150, np.uint8)
    photo[:70] = 230, 40, 40
    found = segment(read_picture(photo), prompt((200, 300), at=[(150, 30)]))
    assert found.figures["border"] > 0.4
    assert any("of the photo's border" in doubt for doubt in found.doubts)


@pytest.mark.parametrize("size", [(100, 200), (300, 180)])
def test_a_click_comes_to_sam_in_its_own_pixels(folder: Path, size: tuple[int, int]) -> None:
    stand_ins.sam2(folder, (0.3, 0.9, 0.5))
    height, width = size
    picture = read_picture(np.full((*size, 3), 90, np.uint8))
    at = (width // 4, 2 * height // 3)
    found = segment(picture, prompt(size, at=[at]))
    assert found.segmenter == "sam2"
    rows, columns = np.nonzero(found.mask)
    assert abs(rows.mean() + 0.5 - at[1]) < height / 256
    assert abs(columns.mean() + 0.5 - at[0]) < width / 256
    # 120 of 1024 pixels on each side, in a picture that the network saw as a square.
    assert np.ptp(rows) == pytest.approx(240 / 1024 * height, rel=0.12)
    assert np.ptp(columns) == pytest.approx(240 / 1024 * width, rel=0.12)


@pytest.mark.parametrize(
    ("scores", "points", "reach"),
    [
        ((0.9, 0.88, 0.5), 1, 120),
        ((0.9, 0.5, 0.86), 1, 240),
        # A part is thought of best, and the whole well: a click means the whole, two a part.
        ((0.95, 0.8, 0.75), 1, 240),
        ((0.95, 0.8, 0.75), 2, 60),
        ((0.95, 0.6, 0.5), 1, 60),
    ],
)
def test_of_masks_that_will_do_the_largest(
    folder: Path, scores: tuple[float, float, float], points: int, reach: int
) -> None:
    stand_ins.sam2(folder, scores)
    picture = read_picture(np.full((128, 128, 3), 90, np.uint8))
    at = [(64, 64), (65, 65)][:points]
    found = segment(picture, prompt((128, 128), at=at))
    assert np.ptp(np.nonzero(found.mask)[0]) == pytest.approx(reach / 4, abs=3.5)


def test_a_whole_whose_outline_moves_is_not_taken_for_one() -> None:
    rows, columns = np.mgrid[:64, :64] - 31.5
    far = np.hypot(rows, columns)
    masks = np.stack([8 - far, 14 - far, 0.1 * (20 - far)]).astype(np.float32)
    scores = np.array([0.95, 0.8, 0.85], np.float32)
    assert sam._chosen(np.stack([8 - far, 8 * (14 - far), 8 * (20 - far)]), scores, True) == 2
    assert sam._chosen(np.stack([8 - far, 8 * (14 - far), masks[2]]), scores, True) == 1
    # Most of the photo is around an object.
    assert sam._chosen(np.stack([8 - far, 8 * (14 - far), 8 * (30 - far)]), scores, True) == 1


def test_sam_that_is_unsure_is_not_believed(folder: Path) -> None:
    stand_ins.sam2(folder, (0.1, 0.31, 0.2))
    picture = read_picture(two_halves())
    pointed = prompt(picture.size, box=(45, 35, 115, 85))
    found = segment(picture, pointed)
    assert found.segmenter == "u2netp"
    assert "31%" in found.notices[0]
    assert (found.mask == segment(picture, pointed, "u2netp").mask).all()


def test_the_subject_is_asked_of_others_than_sam(folder: Path) -> None:
    stand_ins.sam2(folder, (0.9, 0.9, 0.9))
    picture = read_picture(two_halves())
    assert segment(picture, prompt(picture.size, subject=True)).segmenter == "u2netp"


def test_another_picture_is_encoded_anew(folder: Path) -> None:
    stand_ins.sam2(folder, (0.9, 0.1, 0.1))
    features = []
    for shade in (10, 10, 200):
        rgb = np.full((1024, 1024, 3), shade / 255, np.float32)
        features.append(sam._features(rgb)["image_embed"])
    assert features[0] is features[1]
    assert float(features[2].mean()) > float(features[0].mean()) + 1


def test_what_is_not_there_or_damaged_is_named(folder: Path) -> None:
    picture = read_picture(two_halves())
    pointed = prompt(picture.size, at=[(65, 60)])
    with pytest.raises(ReferenceMissingError, match="freefill references sam2"):
        segment(picture, pointed, "sam2")
    with pytest.raises(MaskError, match="classical, u2netp, sam2"):
        segment(picture, pointed, "sam3")  # type: ignore[arg-type]
    (folder / "u2netp.onnx").write_bytes(b"no network")
    with pytest.raises(WeightsError, match=r"u2netp\.onnx cannot be loaded"):
        segment(picture, pointed, "u2netp")
