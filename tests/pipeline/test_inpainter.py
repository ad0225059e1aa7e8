"""The pipeline: known pixels stay, holes are filled from what is known, nothing else counts."""

from __future__ import annotations

import pickle
import shutil
import warnings
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageFilter

import freefill
from freefill.errors import MaskError, WeightsError
from freefill.imaging.io import read_picture
from freefill.masks.convert import to_mask
from freefill.masks.morphology import grow
from freefill.masks.presets import PRESETS, sample
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import FillRequest
from freefill.pipeline.tiling import BUDGET, batches, plan
from freefill.types import Mask
from freefill.weights.registry import BUNDLED

Photo = NDArray[np.uint8]


def quiet(inpainter: Inpainter, image: Any, mask: Any, **options: Any) -> Any:
    """Fill where notices (an empty mask, a mask of everything) are no news."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", freefill.FreefillWarning)
        return inpainter(image=image, mask=mask, **options)


# --- what may not change ------------------------------------------------------------------------


@given(
    height=st.integers(1, 700),
    width=st.integers(1, 700),
    channels=st.sampled_from([(), (1,), (3,), (4,)]),
    dtype=st.sampled_from([np.uint8, np.uint16, np.float32, np.float64]),
    preset=st.sampled_from([*sorted(PRESETS), "noise"]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(deadline=None, max_examples=100)
def test_known_pixels_are_the_inputs_bit_for_bit(
    inpainter: Inpainter,
    height: int,
    width: int,
    channels: tuple[int, ...],
    dtype: type,
    preset: str,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    peak = 1 if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max
    image = (rng.random((height, width, *channels)) * peak).astype(dtype)
    noise = rng.random((height, width)) < rng.random() ** 4
    hole = noise if preset == "noise" else sample(preset, height, width, rng)
    image_before, hole_before = image.copy(), hole.copy()

    filled = quiet(inpainter, image, hole)

    assert (filled.shape, filled.dtype) == (image.shape, image.dtype)
    np.testing.assert_array_equal(filled[~hole], image[~hole])
    assert filled.min() >= 0
    assert filled.max() <= peak
    np.testing.assert_array_equal(image, image_before)
    np.testing.assert_array_equal(hole, hole_before)
    if channels == (4,):
        np.testing.assert_array_equal(filled[..., 3], image[..., 3])


@given(
    height=st.integers(1, 200),
    width=st.integers(1, 200),
    preset=st.sampled_from(sorted(PRESETS)),
    seed=st.integers(0, 2**32 - 1),
)
@settings(deadline=None, max_examples=15)
def test_what_lies_in_the_hole_has_no_influence(
    inpainter: Inpainter, height: int, width: int, preset: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3), np.uint8)
    hole = sample(preset, height, width, rng)
    other = image.copy()
    other[hole] = rng.integers(0, 256, (int(hole.sum()), 3))
    np.testing.assert_array_equal(quiet(inpainter, image, hole), quiet(inpainter, other, hole))


def scene(height: int, width: int) -> Photo:
    """Soft colours with some grain, of any size."""
    row, column = np.mgrid[0:height, 0:width].astype(np.float32)
    waves = np.stack([np.sin(row / 37), np.cos(column / 51), np.sin((row + column) / 83)], -1)
    grain = np.random.default_rng(5).normal(0, 6, (height, width, 3))
    return np.clip(127 + 90 * waves + grain, 0, 255).astype(np.uint8)


def test_what_lies_in_a_hole_that_is_seen_smaller_has_no_influence(inpainter: Inpainter) -> None:
    # Shrinking mixes pixels: none of the hole may leak into its surroundings.
    image = scene(700, 820)
    row, column = np.mgrid[0:700, 0:820]
    # Round, so that its edge runs through many pixels of the smaller picture.
    hole = ((row - 330) / 170) ** 2 + ((column - 420) / 220) ** 2 < 1
    (crop,) = plan(hole)
    assert crop.factor > 1
    other = image.copy()
    other[hole] = 255 - other[hole]
    filled = inpainter(image=image, mask=hole)
    np.testing.assert_array_equal(filled, inpainter(image=other, mask=hole))
    np.testing.assert_array_equal(filled[~hole], image[~hole])


def test_what_is_transparent_has_no_influence(inpainter: Inpainter, photo: Photo) -> None:
    # Editors leave any colour under what cannot be seen, often white or black.
    image = np.dstack([photo, np.full(photo.shape[:2], 255, np.uint8)])
    image[20:50, 20:40, 3] = 0
    hole = np.zeros(photo.shape[:2], bool)
    hole[30:60, 45:70] = True
    other = image.copy()
    other[20:50, 20:40, :3] = [255, 0, 255]
    filled, again = (inpainter(image=each, mask=hole) for each in (image, other))
    np.testing.assert_array_equal(filled[hole], again[hole])


def test_a_hole_is_filled_from_its_surroundings(
    inpainter: Inpainter, photo: Photo, hole: Mask
) -> None:
    # The counterpart: what is known does count, so equal results above are no accident.
    filled = inpainter(image=photo, mask=hole)
    other = inpainter(image=255 - photo, mask=hole)
    assert np.abs(filled[hole].astype(int) - other[hole]).mean() > 20


def test_what_is_far_away_has_no_influence(inpainter: Inpainter) -> None:
    image = scene(1100, 1300)
    hole = np.zeros((1100, 1300), bool)
    hole[100:160, 90:140] = True
    other = image.copy()
    other[600:, 700:] = 0
    filled, again = (inpainter(image=each, mask=hole) for each in (image, other))
    np.testing.assert_array_equal(filled[hole], again[hole])


def test_holes_that_lie_far_apart_are_filled_as_if_each_were_alone(inpainter: Inpainter) -> None:
    image = scene(900, 1000)
    first, second = np.zeros((2, 900, 1000), bool)
    first[100:130, 100:150] = True
    second[700:740, 800:830] = True
    both = inpainter(image=image, mask=first | second)
    for alone in (first, second):
        filled = inpainter(image=image, mask=alone)
        np.testing.assert_array_equal(both[alone], filled[alone])


# --- what comes out -----------------------------------------------------------------------------


def test_the_same_input_gives_the_same_output(
    inpainter: Inpainter, photo: Photo, hole: Mask
) -> None:
    filled = inpainter(image=photo, mask=hole)
    np.testing.assert_array_equal(filled, inpainter(image=photo, mask=hole))
    np.testing.assert_array_equal(filled, Inpainter(threads=1)(image=photo, mask=hole))


def test_threads_that_share_an_inpainter_do_not_disturb_each_other(
    inpainter: Inpainter, photo: Photo
) -> None:
    holes = [
        sample("free-form", *photo.shape[:2], np.random.default_rng(seed)) for seed in range(8)
    ]
    alone = [quiet(inpainter, photo, hole) for hole in holes]
    with ThreadPoolExecutor(4) as pool:
        together = pool.map(
            lambda hole: inpainter.run(FillRequest(read_picture(photo), hole)).picture, holes
        )
        for expected, picture in zip(alone, together, strict=True):
            np.testing.assert_array_equal(picture.samples, expected)


@pytest.mark.parametrize("shape", [(1, 1), (5, 300), (64, 64), (100, 37)])
def test_a_picture_that_is_all_hole_is_filled(inpainter: Inpainter, shape: tuple[int, int]) -> None:
    image = np.full((*shape, 3), 77, np.uint8)
    with pytest.warns(freefill.FreefillWarning, match="whole image"):
        filled = inpainter(image=image, mask=np.ones(shape, bool))
    # Nothing is known, so any picture will do, as long as it does not come from what was covered.
    assert filled.shape == image.shape
    np.testing.assert_array_equal(
        filled, quiet(inpainter, np.zeros_like(image), np.ones(shape, bool))
    )


@pytest.mark.parametrize("shape", [(1, 1), (5, 4000), (200, 20000), (17, 33)])
def test_odd_shapes_are_filled(inpainter: Inpainter, shape: tuple[int, int]) -> None:
    image = scene(*shape)
    hole = np.zeros(shape, bool)
    hole[shape[0] // 2, shape[1] // 2] = True
    filled = quiet(inpainter, image, hole)
    np.testing.assert_array_equal(filled[~hole], image[~hole])


def test_a_scratch_along_a_whole_panorama_is_filled(inpainter: Inpainter) -> None:
    image = np.tile(np.linspace(20, 200, 200).astype(np.uint8)[:, None, None], (1, 20000, 3))
    hole = np.zeros((200, 20000), bool)
    hole[95:101] = True
    filled = inpainter(image=np.where(hole[..., None], 255, image), mask=hole)
    np.testing.assert_array_equal(filled[~hole], image[~hole])
    assert np.abs(filled[hole].astype(int) - image[hole]).mean() <= 12


def test_specks_that_share_a_run_are_filled_as_alone(inpainter: Inpainter, photo: Photo) -> None:
    tiled = np.tile(photo, (7, 6, 1))
    places = [(y, x) for y in range(100, 600, 200) for x in range(100, 600, 200)]
    hole = np.zeros(tiled.shape[:2], bool)
    for y, x in places:
        hole[y : y + 5, x : x + 9] = True
    assert [len(batch) for batch in batches(plan(hole))] == [3, 3, 3]
    filled = inpainter(image=tiled, mask=hole)
    for y, x in places:
        one = np.zeros_like(hole)
        one[y : y + 5, x : x + 9] = True
        alone = inpainter(image=tiled, mask=one)
        np.testing.assert_array_equal(filled[one], alone[one])


def test_an_empty_hole_gives_the_picture_back(inpainter: Inpainter, photo: Photo) -> None:
    with pytest.warns(freefill.FreefillWarning, match="empty"):
        filled = inpainter(image=photo, mask=np.zeros(photo.shape[:2], bool))
    np.testing.assert_array_equal(filled, photo)
    assert not np.shares_memory(filled, photo), "the caller may write to what it gets"


@pytest.mark.parametrize(
    "colour", [(0, 0, 0), (128, 128, 128), (255, 255, 255), (200, 60, 40), (30, 90, 160)]
)
def test_a_constant_picture_stays_nearly_constant(
    inpainter: Inpainter, colour: tuple[int, int, int]
) -> None:
    image = np.tile(np.array(colour, np.uint8), (128, 128, 1))
    hole = np.zeros((128, 128), bool)
    hole[40:88, 44:84] = True
    damaged = np.where(hole[..., None], 255 - image, image)
    filled = inpainter(image=damaged, mask=hole)
    assert np.abs(filled[hole].astype(int) - image[hole]).mean() <= 12


@pytest.mark.parametrize("axis", [0, 1])
def test_a_gradient_is_continued(inpainter: Inpainter, axis: int) -> None:
    ramp = (np.indices((128, 128))[axis] * 1.9).astype(np.uint8)
    image = np.repeat(ramp[..., None], 3, 2)
    hole = np.zeros((128, 128), bool)
    hole[40:88, 40:88] = True
    filled = inpainter(image=np.where(hole[..., None], np.uint8(0), image), mask=hole)
    error = np.abs(filled[hole].astype(float) - image[hole]).mean()
    flat = np.abs(image[hole] - image[hole].mean()).mean()
    assert error <= 12
    # Well under what one even colour would be off by.
    assert error < flat / 2


def test_a_large_hole_is_filled_with_what_surrounds_it_and_without_a_jump(
    inpainter: Inpainter,
) -> None:
    # Larger than the network's budget: the fill is computed smaller, and must land in its place.
    row, column = np.mgrid[0:900, 0:1000]
    image = np.stack([row / 900 * 200 + 20, column / 1000 * 200 + 20, 0 * row + 90], -1)
    image = image.astype(np.uint8)
    hole = np.zeros((900, 1000), bool)
    hole[200:700, 250:750] = True
    (crop,) = plan(hole)
    assert crop.box.area > BUDGET
    filled = inpainter(image=np.where(hole[..., None], np.uint8(0), image), mask=hole)
    edge = hole & grow(~hole, 3)
    assert np.abs(filled[edge].astype(int) - image[edge]).mean() < 12


# --- kinds --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["path", "bytes", "pillow", "array"])
def test_every_kind_of_picture_and_mask_gives_the_same_fill(
    inpainter: Inpainter, photo: Photo, hole: Mask, tmp_path: Path, kind: str
) -> None:
    def of_kind(array: NDArray[np.uint8], name: str) -> Any:
        if kind == "array":
            return array
        image, path = Image.fromarray(array), tmp_path / name
        if kind == "pillow":
            return image
        image.save(path)
        return path if kind == "path" else path.read_bytes()

    filled = inpainter(
        image=of_kind(photo, "photo.png"), mask=of_kind(hole.astype(np.uint8) * 255, "m.png")
    )

    expected_type = {"array": np.ndarray, "bytes": bytes}.get(kind, Image.Image)
    assert isinstance(filled, expected_type)
    if isinstance(filled, bytes):
        filled = Image.open(BytesIO(filled))
    np.testing.assert_array_equal(np.asarray(filled), inpainter(image=photo, mask=hole))


def test_alpha_as_mask_fills_the_transparent_part_and_makes_it_opaque(
    inpainter: Inpainter, photo: Photo, hole: Mask
) -> None:
    image = np.dstack([photo, np.where(hole, 0, 200).astype(np.uint8)])
    filled = inpainter(image=image, mask="alpha")
    np.testing.assert_array_equal(filled[~hole], image[~hole])
    assert (filled[hole][:, 3] == 255).all()
    # The same network, the same hole: the colours are those of a fill without alpha.
    plain = inpainter(image=photo, mask=hole)
    np.testing.assert_array_equal(filled[hole][:, :3], plain[hole])


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("mask", ["alpha", None])
def test_what_a_soft_eraser_left_is_made_whole(
    inpainter: Inpainter, photo: Photo, hole: Mask, mode: str, mask: str | None
) -> None:
    erased = Image.fromarray(~hole).convert("L").filter(ImageFilter.GaussianBlur(4))
    image = Image.fromarray(photo).convert(mode[:-1])
    image.putalpha(erased)
    before = np.asarray(image)
    result = inpainter.run(FillRequest(image, mask))
    after = result.picture.samples
    assert (after[..., -1] == 255).all()
    assert ((before[..., -1] > 127) & (before[..., -1] < 255)).sum() > 500
    assert not any("transparent" in line for line in result.notices)
    untouched = before[..., -1] == 255
    np.testing.assert_array_equal(after[untouched], before[untouched])
    # The less was erased, the more of the photo is seen.
    step = np.abs(after[..., :-1].astype(int) - before[..., :-1]).max(-1)
    faint = (before[..., -1] >= 250) & ~untouched
    assert faint.any()
    assert step[faint].max() <= 12
    opened, _ = to_mask("alpha", read_picture(image))
    np.testing.assert_array_equal(result.mask | opened, result.mask)


def test_glass_away_from_the_hole_stays_and_is_told(inpainter: Inpainter) -> None:
    samples = np.full((40, 200, 4), 255, np.uint8)
    samples[10:20, 10:20, 3] = 0
    samples[10:20, 150:160, 3] = 128
    result = inpainter.run(FillRequest(samples, "alpha"))
    assert result.notices == ("100 half transparent pixels outside the hole stay half transparent",)
    assert (result.picture.samples[10:20, 150:160, 3] == 128).all()
    assert (result.picture.samples[:, :100, 3] == 255).all()


def test_a_mask_beside_alpha_leaves_alpha_alone(
    inpainter: Inpainter, photo: Photo, hole: Mask
) -> None:
    image = np.dstack([photo, np.full(photo.shape[:2], 99, np.uint8)])
    filled = inpainter(image=image, mask=hole)
    assert (filled[..., 3] == 99).all()
    assert (filled[hole][:, :3] != photo[hole]).any()


def test_grey_is_filled_with_grey(inpainter: Inpainter, photo: Photo, hole: Mask) -> None:
    grey = np.asarray(Image.fromarray(photo).convert("L"))
    filled = inpainter(image=grey, mask=hole)
    colour = inpainter(image=np.repeat(grey[..., None], 3, 2), mask=hole)
    brightness = np.asarray(Image.fromarray(colour).convert("L"))
    # The one fill, made grey before or after it is rounded.
    np.testing.assert_allclose(filled.astype(int), brightness, atol=1)


# --- options ------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", [-1, 257, 10_000])
def test_growth_out_of_bounds_is_refused(
    inpainter: Inpainter, photo: Photo, hole: Mask, by: int
) -> None:
    with pytest.raises(MaskError, match=rf"{by}\D.*256"):
        inpainter(image=photo, mask=hole, grow=by)


def test_growth_widens_the_hole_by_that_many_pixels(
    inpainter: Inpainter, photo: Photo, hole: Mask
) -> None:
    wide = grow(hole, 5)
    filled = inpainter(image=photo, mask=hole, grow=5)
    np.testing.assert_array_equal(filled, inpainter(image=photo, mask=wide))
    assert (filled[wide & ~hole] != photo[wide & ~hole]).any()


def test_the_largest_growth_works_on_a_small_picture(
    inpainter: Inpainter, photo: Photo, hole: Mask
) -> None:
    filled = quiet(inpainter, photo, hole, grow=256)
    everything = quiet(inpainter, photo, np.ones(photo.shape[:2], bool))
    np.testing.assert_array_equal(filled, everything)


def test_invert_and_resize_reach_the_mask(inpainter: Inpainter, photo: Photo) -> None:
    small = np.ones((48, 60), bool)
    small[10:20, 10:25] = False
    whole = ~small.repeat(2, 0).repeat(2, 1)
    filled = inpainter(image=photo, mask=small, invert=True, fit="resize")
    away = ~grow(whole, 2)
    np.testing.assert_array_equal(filled[away], photo[away])
    inside = ~grow(~whole, 2)
    expected = inpainter(image=photo, mask=whole)
    assert (filled[inside] != photo[inside]).any()
    # The corners of a resized mask are round, so the fills are alike and not the same.
    assert np.abs(filled[inside].astype(int) - expected[inside]).mean() < 12


def test_a_mask_of_another_size_is_refused(inpainter: Inpainter, photo: Photo) -> None:
    with pytest.raises(MaskError, match=r"120x96.*60x48"):
        inpainter(image=photo, mask=np.ones((48, 60), bool))


# --- weights ------------------------------------------------------------------------------------


def test_a_model_by_path_is_the_model_by_name(
    inpainter: Inpainter, photo: Photo, hole: Mask, tmp_path: Path
) -> None:
    path = tmp_path / "mine.onnx"
    shutil.copy(BUNDLED / "light.onnx", path)
    expected = inpainter(image=photo, mask=hole)
    for model in (path, str(path)):
        np.testing.assert_array_equal(Inpainter(model, threads=1)(image=photo, mask=hole), expected)


def test_a_model_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"'heavy'.*light"):
        Inpainter("heavy")
    with pytest.raises(WeightsError, match=r"mine\.onnx does not exist"):
        Inpainter(tmp_path / "mine.onnx")


def test_a_file_that_is_no_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    path.write_bytes(b"not a network")
    with pytest.raises(WeightsError, match=r"mine\.onnx cannot be loaded"):
        Inpainter(path)
    whole = (BUNDLED / "light.onnx").read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match=r"mine\.onnx cannot be loaded"):
        Inpainter(path)


def entry(number: int, content: bytes | int) -> bytes:
    """One entry of a protobuf message: enough of the format to write a network of one node."""
    if isinstance(content, int):
        return bytes([number << 3, content])
    return bytes([number << 3 | 2, len(content)]) + content


def test_a_network_with_other_inputs_is_refused(tmp_path: Path) -> None:
    # ONNX by hand, because the package that writes it belongs to the lab: y = Identity(x).
    shape = entry(2, entry(1, entry(1, 1)))
    kind = entry(2, entry(1, entry(1, 1) + shape))
    node = entry(1, b"x") + entry(2, b"y") + entry(4, b"Identity")
    graph = (
        entry(1, node)
        + entry(2, b"g")
        + entry(11, entry(1, b"x") + kind)
        + entry(12, entry(1, b"y") + kind)
    )
    path = tmp_path / "other.onnx"
    path.write_bytes(entry(1, 8) + entry(7, graph) + entry(8, entry(1, b"") + entry(2, 13)))
    with pytest.raises(WeightsError, match=r"other\.onnx is no network that .*x float32 1 and"):
        Inpainter(path)


# --- the function -------------------------------------------------------------------------------


def test_fill_is_the_inpainter_with_its_options(
    inpainter: Inpainter, photo: Photo, hole: Mask
) -> None:
    expected = inpainter(image=photo, mask=hole, grow=3)
    filled = freefill.fill(photo, ~hole, invert=True, grow=3)
    # The engine may use more threads here, and sum in another order.
    np.testing.assert_allclose(filled.astype(int), expected, atol=1)


def test_fill_takes_the_model_that_is_named(photo: Photo, hole: Mask) -> None:
    freefill.fill(photo, hole)
    # Also when another one is loaded already.
    with pytest.raises(WeightsError, match="heavy"):
        freefill.fill(photo, hole, model="heavy")


def test_notices_are_warnings_at_the_callers_line(inpainter: Inpainter, photo: Photo) -> None:
    empty = np.zeros(photo.shape[:2], bool)
    with pytest.warns(freefill.FreefillWarning, match="empty") as told:
        inpainter(image=photo, mask=empty)
    assert [warning.filename for warning in told] == [__file__]
    with pytest.warns(freefill.FreefillWarning, match="empty") as told:
        freefill.fill(photo, empty)
    assert [warning.filename for warning in told] == [__file__]


def test_fill_sees_that_a_weights_file_was_replaced(
    photo: Photo, hole: Mask, tmp_path: Path
) -> None:
    path = tmp_path / "mine.onnx"
    path.write_bytes(freefill.list_weights()[0].path.read_bytes())
    freefill.fill(photo, hole, model=path)
    path.write_bytes(b"no network")
    with pytest.raises(WeightsError, match=r"mine\.onnx"):
        freefill.fill(photo, hole, model=path)


def test_an_inpainter_is_sent_to_processes_that_start_afresh(
    inpainter: Inpainter, photo: Photo
) -> None:
    hole = np.zeros(photo.shape[:2], bool)
    hole[20:40, 30:60] = True
    again = pickle.loads(pickle.dumps(Inpainter(threads=1)))
    assert again.weights == inpainter.weights
    photos = [photo, photo[::-1]]
    with get_context("spawn").Pool(1) as pool:
        found = pool.starmap_async(again, [(each, hole) for each in photos]).get(timeout=120)
    for each, filled in zip(photos, found, strict=True):
        np.testing.assert_array_equal(filled, inpainter(each, hole))


class Watched(Inpainter):
    """Somebody's own kind."""


def test_a_pickle_keeps_the_class_and_what_it_was_made_of() -> None:
    again = pickle.loads(pickle.dumps(Watched("light", threads=2)))
    assert type(again) is Watched
    assert (again.weights.name, again.engine.threads) == ("light", 2)


def tint(samples: NDArray[Any]) -> float:
    colours = samples[..., :3].astype(float)
    return float((colours.max(-1) - colours.min(-1)).max())


@pytest.mark.parametrize("kind", ["RGB", "RGBA", "16 bits", "float", "JPEG"])
def test_grey_that_is_stored_in_colours_stays_grey(
    inpainter: Inpainter, photo: NDArray[np.uint8], hole: NDArray[np.bool_], kind: str
) -> None:
    grey = np.repeat(np.asarray(Image.fromarray(photo).convert("L"))[..., None], 3, 2)
    grey[hole] = (255, 0, 0)
    source: Any = grey
    if kind == "RGBA":
        source = np.concatenate([grey, np.full((*hole.shape, 1), 255, np.uint8)], -1)
        # What cannot be seen may have any colour.
        source[:3, :3] = (0, 255, 0, 0)
    elif kind == "16 bits":
        source = grey.astype(np.uint16) * 257
    elif kind == "float":
        source = grey.astype(np.float32) / 255
    elif kind == "JPEG":
        out = BytesIO()
        Image.fromarray(np.repeat(grey[..., 1:2], 3, 2)).save(out, "JPEG", quality=90)
        source = out.getvalue()
    filled = inpainter.run(FillRequest(source, hole)).picture.samples
    assert tint(filled[hole]) <= (1e-6 if kind == "float" else 0)
    assert filled[hole].std() > 0


def test_a_little_colour_anywhere_lets_the_fill_have_some(
    inpainter: Inpainter, photo: NDArray[np.uint8], hole: NDArray[np.bool_]
) -> None:
    grey = np.repeat(np.asarray(Image.fromarray(photo).convert("L"))[..., None], 3, 2)
    grey[1, 1] = (90, 60, 30)
    assert tint(inpainter.run(FillRequest(grey, hole)).picture.samples[hole]) > 0
