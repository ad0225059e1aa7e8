"""Batches: pure functions of seed and step, in the promised range and shape."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from freefill.errors import ConfigError, DataError
from freefill.lab.config import Config, DataConfig, GuidanceConfig, StageConfig, TrainConfig
from freefill.lab.data.batches import Batch, Batches, Steps, color_jitter, crop
from freefill.lab.data.photos import PhotoStore, open_store
from freefill.lab.data.sources import Folder, open_source
from freefill.types import GUIDANCE_CHANNELS


@pytest.fixture(scope="module")
def store(examples: Path, tmp_path_factory: pytest.TempPathFactory) -> PhotoStore:
    return open_store(examples, 128, tmp_path_factory.mktemp("cache"))


def batches(
    store: PhotoStore,
    *stages: StageConfig,
    data: DataConfig | None = None,
    guidance: GuidanceConfig | None = None,
    seed: int = 0,
    separate: bool = False,
    rank: int = 0,
    processes: int = 1,
) -> Batches:
    data = data or DataConfig(holdout=0)
    train = TrainConfig(stages=stages, seed=seed, separate_batches=separate)
    config = Config(data=data, guidance=guidance or GuidanceConfig(), train=train)
    return Batches(Folder(store, data, seed), config, rank, processes)


def same(one: Batch, two: Batch) -> bool:
    return torch.equal(one.image, two.image) and torch.equal(one.hole, two.hole)


def test_same_seed_and_step_same_batch(store: PhotoStore) -> None:
    stage = StageConfig(steps=9, crop=64, batch=3)
    one, two = (batches(store, stage, seed=5).batch(7) for _ in range(2))
    torch.testing.assert_close(one.image, two.image, rtol=0, atol=0)
    torch.testing.assert_close(one.hole, two.hole, rtol=0, atol=0)
    other = batches(store, stage, seed=5).batch(8)
    assert not torch.equal(one.image, other.image)
    assert not torch.equal(one.image[0], one.image[1])


def test_shapes_and_ranges(store: PhotoStore) -> None:
    batch = batches(store, StageConfig(1, 96, 8)).batch(0)
    assert batch.image.shape == (8, 3, 96, 96)
    assert batch.hole.shape == (8, 1, 96, 96)
    assert batch.image.dtype == batch.hole.dtype == torch.float32
    assert -1 <= batch.image.min() < -0.5
    assert 0.5 < batch.image.max() <= 1
    assert set(batch.hole.unique().tolist()) == {0.0, 1.0}
    assert (batch.hole.mean((1, 2, 3)) > 0).all()


def test_ahead_gives_the_same_batches_in_order_from_any_step(store: PhotoStore) -> None:
    made = batches(store, StageConfig(4, 32, 2), StageConfig(6, 64, 1))
    whole = list(made.ahead(0))
    assert [b.image.shape[-1] for (b,) in whole] == [32] * 4 + [64] * 6
    for (late,), (early,) in zip(made.ahead(3), whole[3:], strict=True):
        torch.testing.assert_close(late.image, early.image, rtol=0, atol=0)


def test_guidance_comes_with_a_batch_and_does_not_change_its_holes(store: PhotoStore) -> None:
    stage = StageConfig(1, 64, 6)
    guided = GuidanceConfig(sketch=1.0, strokes=1.0, drawn=0.0)
    batch = batches(store, stage, guidance=guided).batch(0)
    plain = batches(store, stage).batch(0)
    none = batches(store, stage, guidance=GuidanceConfig()).batch(0)
    assert plain.guidance is None
    assert none.guidance is None
    assert batch.guidance is not None
    assert batch.guidance.shape == (6, GUIDANCE_CHANNELS, 64, 64)
    assert batch.guidance[:, 0].any()
    assert batch.guidance[:, 1].any()
    assert not (batch.guidance * (1 - batch.hole)).any()
    torch.testing.assert_close(batch.image, plain.image, rtol=0, atol=0)
    torch.testing.assert_close(batch.hole, plain.hole, rtol=0, atol=0)
    assert plain.conditions is plain.hole
    assert batch.conditions.shape == (6, 1 + GUIDANCE_CHANNELS, 64, 64)


def test_parts_of_a_batch_are_the_batch(store: PhotoStore) -> None:
    guided = GuidanceConfig(sketch=1.0)
    for given in (guided, None):
        batch = batches(store, StageConfig(1, 32, 5), guidance=given).batch(0)
        parts = batch.parts(2)
        assert [len(part.image) for part in parts] == [3, 2]
        for name in ("image", "hole", "conditions"):
            joined = torch.cat([getattr(part, name) for part in parts])
            torch.testing.assert_close(joined, getattr(batch, name), rtol=0, atol=0)


def test_crops_are_cut_from_photos_that_are_large_enough() -> None:
    shapes = np.array([[64, 90], [48, 200], [70, 64]])
    areas = shapes.prod(1) * 3
    pixels = np.repeat(np.array([10, 100, 200], np.uint8), areas)
    store = PhotoStore(("a", "b", "c"), shapes, pixels, Path("pixels.u8"))
    stages = StageConfig(1, 64, 40), StageConfig(1, 48, 40)

    def seen(enlarge: bool) -> list[list[int]]:
        made = batches(store, *stages, data=DataConfig(colour=0, holdout=0, enlarge=enlarge))
        found = [((made.batch(step).image + 1) * 127.5).round() for step in range(2)]
        return [sorted(set(image.flatten().int().tolist())) for image in found]

    assert seen(enlarge=True) == [[10, 100, 200]] * 2
    assert seen(enlarge=False) == [[10, 200], [10, 100, 200]]
    folder = Folder(store, DataConfig(holdout=0, enlarge=False), 0)
    assert [folder.count(side) for side in (32, 64)] == [3, 2]
    with pytest.raises(DataError, match=r"no photo has the 65 pixels .* largest of 3 has 64"):
        folder.count(65)


def test_only_chosen_photos_are_drawn() -> None:
    pixels = np.repeat(np.array([10, 200], np.uint8), 64 * 64 * 3)
    store = PhotoStore(("a", "b"), np.array([[64, 64], [64, 64]]), pixels, Path("pixels.u8"))
    data = DataConfig(colour=0, weights={"a": 0.0}, holdout=0)
    image = batches(store, StageConfig(1, 32, 16), data=data).batch(0).image
    assert set(image.unique().tolist()) == {np.float32(np.float32(200) / 255 * 2 - 1)}


def test_crop_scales_within_bounds_and_mirrors() -> None:
    photo = np.zeros((256, 256, 3), np.uint8)
    photo[..., 0] = np.arange(256)[None]
    rng = np.random.default_rng(0)
    steps = []
    for _ in range(60):
        row = crop(photo, 64, rng, DataConfig(min_scale=0.5))[32, :, 0].astype(int)
        steps.append((row[48] - row[16]) / 32)
    assert min(steps) < -1 < 1 < max(steps)
    assert all(0.95 <= abs(step) <= 2.05 for step in steps)


def test_small_photos_are_enlarged() -> None:
    assert crop(
        np.zeros((40, 20, 3), np.uint8), 64, np.random.default_rng(0), DataConfig()
    ).shape == (64, 64, 3)


def test_color_jitter_stays_in_range_and_can_be_off() -> None:
    pixels = np.random.default_rng(0).random((8, 8, 3), np.float32)
    assert color_jitter(pixels, np.random.default_rng(0), 0.0) is pixels
    changed = color_jitter(pixels, np.random.default_rng(0), 0.5)
    assert changed.dtype == np.float32
    assert 0 <= changed.min() <= changed.max() <= 1
    assert np.abs(changed - pixels).max() > 0.01


def test_the_discriminators_batch_is_another_one(store: PhotoStore) -> None:
    made = batches(store, StageConfig(3, 32, 2), separate=True)
    pairs = list(made.ahead(0))
    assert [len(pair) for pair in pairs] == [2, 2, 2]
    for step, (generators, discriminators) in enumerate(pairs):
        assert same(generators, made.batch(step))
        assert (generators.image != discriminators.image).any()
        assert (generators.hole != discriminators.hole).any()


def test_a_shared_hole_is_one_for_a_batch_and_another_for_the_next(store: PhotoStore) -> None:
    stage = StageConfig(3, 64, 4)
    made = batches(store, stage, data=DataConfig(shared_hole=True, holdout=0))
    first, second = (made.batch(0, number).hole for number in (0, 1))
    assert (first == first[:1]).all()
    assert (first != second).any()
    apart = batches(store, stage).batch(0).hole
    assert (apart != apart[:1]).any()
    pictures = made.batch(0).image
    assert (pictures != pictures[:1]).any()


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("processes", [2, 4])
def test_shares_of_all_processes_are_the_batch(
    store: PhotoStore, processes: int, shared: bool
) -> None:
    data = DataConfig(shared_hole=shared, holdout=0)
    stages = (StageConfig(2, 32, 4), StageConfig(2, 64, 8))
    whole = batches(store, *stages, data=data, separate=True)
    for step, number in ((0, 0), (1, 1), (3, 0), (3, 1)):
        shares = [
            batches(store, *stages, data=data, separate=True, rank=rank, processes=processes).batch(
                step, number
            )
            for rank in range(processes)
        ]
        expected = whole.batch(step, number)
        assert torch.equal(torch.cat([share.image for share in shares]), expected.image)
        assert torch.equal(torch.cat([share.hole for share in shares]), expected.hole)


def test_a_batch_that_cannot_be_shared_is_refused(store: PhotoStore) -> None:
    with pytest.raises(ConfigError, match=r"stages\.1\.batch is 6, which 4 processes"):
        batches(store, StageConfig(1, 32, 8), StageConfig(1, 32, 6), processes=4)


def test_worker_processes_make_the_same_batches(
    examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FREEFILL_CACHE", str(tmp_path))
    data = DataConfig(size=64, holdout=2, workers=2)
    train = TrainConfig(stages=(StageConfig(4, 32, 4), StageConfig(3, 64, 2)))
    config = Config(data=data, train=train)
    own = Batches(open_source(str(examples), data, 0, lambda _: None), config, 1, 2)
    made = list(Steps(str(examples), config, 1, 2).ahead(2))
    assert len(made) == 5
    for (mine,), (theirs,) in zip(own.ahead(2), made, strict=True):
        assert same(mine, theirs)


class Counting:
    """A source that notes what it is asked for."""

    photos = epoch = 12

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.held = [np.zeros((64, 64, 3), np.uint8)]

    def photo(self, number: int, side: int) -> np.ndarray:
        self.asked.append(number)
        return self.held[0]

    def count(self, side: int) -> int:
        return self.photos


@pytest.mark.parametrize("separate", [False, True])
def test_samples_of_a_run_have_numbers_without_gap_or_repetition(separate: bool) -> None:
    stages = (StageConfig(3, 32, 4), StageConfig(2, 32, 6))
    train = TrainConfig(stages=stages, separate_batches=separate)
    source = Counting()
    for rank in range(2):
        list(Batches(source, Config(train=train), rank, 2).ahead(0))
    assert sorted(source.asked) == list(range(24 * (1 + separate)))
