"""Networks from elsewhere get what their contract asks for, and fill like our own."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import networks
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from freefill.errors import FreefillWarning, GuidanceError, WeightsError
from freefill.pipeline.engines import foreign, open_engine, trial
from freefill.pipeline.engines.foreign import ForeignEngine, prepare_hole
from freefill.pipeline.engines.onnx import Network
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import FillRequest
from freefill.pipeline.tiling import plan
from freefill.weights.contracts import Contract, parse

COLOUR = (51, 102, 153)  # what the stand-in fills with


@pytest.fixture
def lama(tmp_path: Path) -> Path:
    return networks.lama(tmp_path / "big.onnx")


def opened(path: Path, **fields: Any) -> ForeignEngine:
    """Open a file by a contract of its own."""
    return ForeignEngine(Network(path, 1), parse({"kind": "a stand-in", **fields}, "test"))


def square(height: int, width: int, hole: tuple[slice, slice]) -> NDArray[np.bool_]:
    mask = np.zeros((height, width), bool)
    mask[hole] = True
    return mask


@pytest.mark.parametrize("shape", [(512, 512), (96, 120), (512, 700), (37, 2)], ids=str)
def test_lamas_contract_is_kept_at_any_size(lama: Path, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    mask = square(*shape, (slice(shape[0] // 3, shape[0] // 2), slice(0, shape[1] // 2)))
    inpainter = Inpainter(lama, threads=1)
    engine = inpainter.engine
    assert isinstance(engine, ForeignEngine)
    image = photo.transpose(2, 0, 1)[None].astype(np.float32) / 127.5 - 1
    if max(shape) <= 512:
        predicted = engine.predict(image, mask[None, None].astype(np.float32))
        levels = np.rint((predicted[0].transpose(1, 2, 0) + 1) * 127.5)
        assert (levels[mask] == COLOUR).all()
        assert (levels[~mask] == photo[~mask]).all()
    with pytest.warns(FreefillWarning, match=r"big\.onnx is taken for LaMa, 512x512, by its"):
        filled = inpainter(photo, mask)
    assert (filled[~mask] == photo[~mask]).all()
    assert (filled[mask] != photo[mask]).any()


def test_what_is_told_is_told_once(
    lama: Path, photo: NDArray[np.uint8], hole: NDArray[np.bool_]
) -> None:
    inpainter = Inpainter(lama, threads=1)
    first, second = (inpainter.run(FillRequest(photo, hole)).notices for _ in range(2))
    assert [line for line in first if line not in second] == [
        "big.onnx is taken for LaMa, 512x512, by its inputs and outputs: `freefill weights verify` "
        "checks it on a picture"
    ]


def test_the_network_never_sees_what_the_hole_hides(
    tmp_path: Path, photo: NDArray[np.uint8], hole: NDArray[np.bool_]
) -> None:
    # It gives back what was in the hole.
    engine = open_engine(networks.lama(tmp_path / "echo.onnx", colour=None), 1)
    secret = np.where(hole[..., None], np.uint8(255), photo)
    fills = []
    for picture in (photo, secret):
        image = picture.transpose(2, 0, 1)[None].astype(np.float32) / 127.5 - 1
        fills.append(engine.predict(image, hole[None, None].astype(np.float32)))
    assert np.array_equal(*fills)
    # Colours that are known, nowhere black.
    inside = fills[0][0].transpose(1, 2, 0)[hole]
    outside = photo[~hole] / 127.5 - 1
    assert inside.min() >= outside.min() - 1e-3
    assert np.abs(inside.mean(0) - outside.mean(0)).max() < 0.3


@pytest.mark.parametrize(("in_hole", "level"), [("black", 0.0), ("grey", 0.5)])
def test_a_hole_is_one_level_where_a_contract_says_so(in_hole: Any, level: float) -> None:
    colours = np.full((8, 8, 3), 0.9, np.float32)
    gap = np.eye(8, dtype=bool)
    made = prepare_hole(colours, gap, Contract("a", in_hole=in_hole))
    assert (made[gap] == np.float32(level)).all()
    assert (made[~gap] == np.float32(0.9)).all()


def test_a_hole_without_surroundings_has_no_colours_to_continue() -> None:
    colours = np.full((8, 8, 3), 0.9, np.float32)
    assert (prepare_hole(colours, np.ones((8, 8), bool), Contract("a")) == 0.5).all()


def test_bytes_and_masks_the_other_way_round(tmp_path: Path) -> None:
    engine = opened(
        networks.migan(tmp_path / "a.onnx"),
        output="result",
        dtype="uint8",
        range=[0, 255],
        output_range=[0, 255],
        mask_dtype="uint8",
        mask_hole=0,
        mask_keep=255,
    )
    seen: dict[str, NDArray[Any]] = {}
    run = engine.network.run

    def spy(output: str, given: dict[str, NDArray[Any]]) -> NDArray[Any]:
        seen.update(given)
        return run(output, given)

    engine.network.run = spy  # type: ignore[method-assign]
    image = np.linspace(-1, 1, 3 * 32 * 48, dtype=np.float32).reshape(1, 3, 32, 48)
    hole = np.zeros((1, 1, 32, 48), np.float32)
    hole[..., 10:20, 10:20] = 1
    predicted = engine.predict(image, hole)
    assert (seen["image"].dtype, seen["mask"].dtype) == (np.uint8, np.uint8)
    assert seen["image"].shape == (1, 3, 32, 48)
    assert (seen["mask"] == np.where(hole > 0, 0, 255)).all()
    known = np.broadcast_to(hole == 0, image.shape)
    assert np.abs(predicted - image)[known].max() <= 1 / 255 + 1e-6


@pytest.mark.parametrize("channels", ["rgb", "bgr"])
def test_the_order_of_colours_is_the_contracts(tmp_path: Path, channels: str) -> None:
    path = networks.lama(tmp_path / "a.onnx", side="s")
    engine = opened(path, channels=channels, output_range=[0, 255], multiple=8)
    image = np.full((1, 3, 32, 32), 0.5, np.float32)
    predicted = engine.predict(image, np.ones((1, 1, 32, 32), np.float32))
    found = tuple(np.rint((predicted[0, :, 0, 0] + 1) * 127.5))
    assert found == (COLOUR if channels == "rgb" else COLOUR[::-1])


def test_sides_are_padded_to_the_multiple_with_mirrored_photo(tmp_path: Path) -> None:
    path = networks.lama(tmp_path / "a.onnx", colour=None, side="s")
    engine = opened(path, output_range=[0, 255], multiple=96)
    shapes = []
    run = engine.network.run

    def spy(output: str, given: dict[str, NDArray[Any]]) -> NDArray[Any]:
        shapes.append(given["image"].shape)
        # What is beyond the photo is its mirror, and no hole is left out of it.
        assert (
            given["image"][..., 64:, :48] == given["image"][..., 32:64, :48][..., ::-1, :]
        ).all()
        return run(output, given)

    engine.network.run = spy  # type: ignore[method-assign]
    rng = np.random.default_rng(0)
    image = rng.uniform(-1, 1, (2, 3, 64, 48)).astype(np.float32)
    predicted = engine.predict(image, np.zeros((2, 1, 64, 48), np.float32))
    assert shapes == [(1, 3, 96, 96)] * 2  # one at a time
    np.testing.assert_allclose(predicted, image, atol=1e-5)


def test_an_output_that_is_no_picture_is_refused(tmp_path: Path) -> None:
    engine = opened(networks.lama(tmp_path / "wrong.onnx", side="s"), multiple=8)
    engine.network.run = lambda output, given: np.zeros((1, 3, 8, 8))  # type: ignore[method-assign]
    with pytest.raises(
        WeightsError, match=r"network wrong\.onnx gave float64 \(1, 3, 8, 8\) for a"
    ):
        engine.predict(np.zeros((1, 3, 16, 16), np.float32), np.ones((1, 1, 16, 16), np.float32))


@pytest.mark.parametrize(("height", "width"), [(3000, 4000), (600, 2000), (200, 300), (513, 513)])
def test_crops_are_what_the_network_takes(height: int, width: int) -> None:
    for size in (4, 100, 400, 1500):
        rows, columns = min(size, height - 2), min(size, width - 2)
        hole = square(height, width, (slice(1, 1 + rows), slice(width - 1 - columns, width - 1)))
        hole[-5:-1, :4] = True
        for crop in plan(hole, 512):
            assert max(crop.network_size) <= 512
            box = crop.box
            assert 0 <= box.left <= crop.hole.left < crop.hole.right <= box.right <= width
            assert 0 <= box.top <= crop.hole.top < crop.hole.bottom <= box.bottom <= height
            # As much of the photo as there is room for.
            assert box.size == (
                min(height, 512 * crop.factor),
                min(width, 512 * crop.factor),
            )
    assert [crop.factor for crop in plan(square(3000, 4000, (slice(900, 1300),) * 2), 512)] == [2]


def test_no_network_from_elsewhere_follows_a_sketch(
    lama: Path, photo: NDArray[np.uint8], hole: NDArray[np.bool_]
) -> None:
    lines = np.where(hole, np.uint8(255), np.uint8(0))
    with pytest.raises(GuidanceError, match="big cannot follow a sketch"):
        Inpainter(lama, threads=1)(photo, hole, sketch=lines)


@pytest.mark.filterwarnings("ignore::freefill.errors.FreefillWarning")
def test_files_keep_their_bits(lama: Path, hole: NDArray[np.bool_]) -> None:
    inpainter = Inpainter(lama, threads=1)
    deep = np.random.default_rng(0).integers(0, 2**16, (*hole.shape, 3), dtype=np.uint16)
    filled = inpainter(deep, hole)
    assert filled.dtype == np.uint16
    assert (filled[~hole] == deep[~hole]).all()
    assert (filled[hole] != deep[hole]).any()
    inks = np.random.default_rng(1).integers(0, 256, (*hole.shape, 4), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(inks, "CMYK").save(file, "TIFF")
    with Image.open(BytesIO(inpainter(file.getvalue(), hole))) as result:
        assert result.mode == "CMYK"
        assert (np.asarray(result)[~hole] == inks[~hole]).all()
        assert (np.asarray(result)[hole] != inks[hole]).any()


def test_the_card_beside_a_file_counts(
    tmp_path: Path, photo: NDArray[np.uint8], hole: NDArray[np.bool_]
) -> None:
    path = networks.lama(tmp_path / "mine.onnx", scale=1.0)
    card = {"licence": "MIT", "network": {"kind": "mine", "side": 512, "fixed": True}}
    path.with_suffix(".json").write_text(json.dumps(card))
    inpainter = Inpainter(path, threads=1)
    assert inpainter.engine.name.startswith("mine, ONNX Runtime")
    assert not inpainter.run(FillRequest(photo, hole)).notices
    card["network"]["output_range"] = [0, 0]  # type: ignore[index]
    path.with_suffix(".json").write_text(json.dumps(card))
    with pytest.raises(WeightsError, match=r"the card of .*mine\.onnx: a range from 0\.0 to 0\.0"):
        Inpainter(path, threads=1)


# --- verify --------------------------------------------------------------------------------------


def echo(path: Path, **fields: Any) -> ForeignEngine:
    return opened(networks.lama(path, colour=None, side="s"), multiple=8, composites=True, **fields)


def test_a_network_that_keeps_hues_passes(tmp_path: Path) -> None:
    engine = echo(tmp_path / "a.onnx", output_range=[0, 255])
    found = trial.two_colours(engine)
    assert found.failures(engine.contract) == []
    assert found.red[0] > 190 > 60 > found.red[2]
    assert found.known < 0.1


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"output_range": [0, 510]}, "known pixels change by"),
        ({"output_range": [255, 0]}, "hues are lost"),
        ({"output_range": [0, 1]}, "hues are lost"),
    ],
    ids=str,
)
def test_a_wrong_contract_shows(tmp_path: Path, fields: dict[str, Any], told: str) -> None:
    engine = echo(tmp_path / "a.onnx", **fields)
    assert told in " ".join(trial.two_colours(engine).failures(engine.contract))


def test_colours_that_come_out_in_another_order_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = echo(tmp_path / "a.onnx", output_range=[0, 255])
    run = engine.network.run
    monkeypatch.setattr(engine.network, "run", lambda *given: run(*given)[:, ::-1])
    (first, *_) = trial.two_colours(engine).failures(engine.contract)
    assert "hues are lost: its colours come out in another order" in first


def test_the_order_that_a_network_was_trained_with_fills_better(
    tmp_path: Path, examples: Path
) -> None:
    # One that knows that photos are redder than they are blue, in the order that it thinks is RGB.
    path = networks.lama(tmp_path / "a.onnx", colour=(0.7, 0.4, 0.1), side="s")
    engine = opened(path, output_range=[0, 255], multiple=8)
    errors = trial.errors_by_order(engine, examples / "fruit.jpg")
    assert errors["rgb"] < trial.CLEARLY * errors["bgr"]


def test_foreign_networks_are_not_given_more_than_they_take(tmp_path: Path) -> None:
    engine = opened(networks.lama(tmp_path / "a.onnx"), fixed=True, output_range=[0, 255])
    with pytest.raises(WeightsError, match=r"a\.onnx takes 512x512, the crop has 640x16"):
        engine.predict(np.zeros((1, 3, 16, 640), np.float32), np.ones((1, 1, 16, 640), np.float32))
    assert foreign.MULTIPLE == 16


def test_a_hole_has_the_colours_of_the_nearest_known_pixels() -> None:
    rng = np.random.default_rng(0)
    colours = rng.random((12, 16, 3), np.float32)
    gap = rng.random((12, 16)) < 0.7
    gap[3], gap[:, 5] = True, True  # a row and a column without anything known
    made = prepare_hole(colours, gap, Contract("a"))
    assert (made[~gap] == colours[~gap]).all()
    for row, column in np.argwhere(gap):
        beside = [(abs(c - column), row, c) for c in range(16) if not gap[row, c]]
        beside += [(abs(r - row), r, column) for r in range(12) if not gap[r, column]]
        if not beside:
            np.testing.assert_allclose(made[row, column], colours[~gap].mean(0), rtol=1e-5)
            continue
        nearest = min(beside)[0]
        found = [colours[r, c] for distance, r, c in beside if distance == nearest]
        assert any((made[row, column] == colour).all() for colour in found)
