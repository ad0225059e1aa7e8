"""Batches: pure functions of seed and step, in the promised range and shape."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from freefill.config import DataConfig, GuidanceConfig, StageConfig, TrainConfig
from freefill.data.batches import Batches, crop, recolour
from freefill.data.photos import PhotoStore, open_store
from freefill.guidance.sketch import CHANNELS


@pytest.fixture(scope="module")
def store(examples: Path, tmp_path_factory: pytest.TempPathFactory) -> PhotoStore:
    return open_store(examples, 128, tmp_path_factory.mktemp("cache"))


def test_same_seed_and_step_same_batch(store: PhotoStore) -> None:
    stage = StageConfig(steps=1, crop=64, batch=3)
    one, two = (Batches(store, range(12), DataConfig(), 5).batch(7, stage) for _ in range(2))
    torch.testing.assert_close(one.image, two.image, rtol=0, atol=0)
    torch.testing.assert_close(one.hole, two.hole, rtol=0, atol=0)
    other = Batches(store, range(12), DataConfig(), 5).batch(8, stage)
    assert not torch.equal(one.image, other.image)
    assert not torch.equal(one.image[0], one.image[1])


def test_shapes_and_ranges(store: PhotoStore) -> None:
    batch = Batches(store, range(12), DataConfig(), 0).batch(0, StageConfig(1, 96, 8))
    assert batch.image.shape == (8, 3, 96, 96)
    assert batch.hole.shape == (8, 1, 96, 96)
    assert batch.image.dtype == batch.hole.dtype == torch.float32
    assert -1 <= batch.image.min() < -0.5
    assert 0.5 < batch.image.max() <= 1
    assert set(batch.hole.unique().tolist()) == {0.0, 1.0}
    assert (batch.hole.mean((1, 2, 3)) > 0).all()


def test_ahead_gives_the_same_batches_in_order_from_any_step(store: PhotoStore) -> None:
    train = TrainConfig(stages=(StageConfig(4, 32, 2), StageConfig(6, 64, 1)))
    batches = Batches(store, range(12), DataConfig(), 0)
    whole = list(batches.ahead(0, train))
    assert [b.image.shape[-1] for (b,) in whole] == [32] * 4 + [64] * 6
    for (late,), (early,) in zip(batches.ahead(3, train), whole[3:], strict=True):
        torch.testing.assert_close(late.image, early.image, rtol=0, atol=0)


def test_guidance_comes_with_a_batch_and_does_not_change_its_holes(store: PhotoStore) -> None:
    stage = StageConfig(1, 64, 6)
    guided = GuidanceConfig(sketch=1.0, strokes=1.0, drawn=0.0)
    batch = Batches(store, range(12), DataConfig(), 3, guided).batch(0, stage)
    plain = Batches(store, range(12), DataConfig(), 3).batch(0, stage)
    none = Batches(store, range(12), DataConfig(), 3, GuidanceConfig()).batch(0, stage)
    assert plain.guidance is None
    assert none.guidance is None
    assert batch.guidance is not None
    assert batch.guidance.shape == (6, CHANNELS, 64, 64)
    assert batch.guidance[:, 0].any()
    assert batch.guidance[:, 1].any()
    assert not (batch.guidance * (1 - batch.hole)).any()
    torch.testing.assert_close(batch.image, plain.image, rtol=0, atol=0)
    torch.testing.assert_close(batch.hole, plain.hole, rtol=0, atol=0)
    assert plain.conditions is plain.hole
    assert batch.conditions.shape == (6, 1 + CHANNELS, 64, 64)


def test_parts_of_a_batch_are_the_batch(store: PhotoStore) -> None:
    guided = GuidanceConfig(sketch=1.0)
    for given in (guided, None):
        batch = Batches(store, range(12), DataConfig(), 3, given).batch(0, StageConfig(1, 32, 5))
        parts = batch.parts(2)
        assert [len(part.image) for part in parts] == [3, 2]
        for name in ("image", "hole", "conditions"):
            joined = torch.cat([getattr(part, name) for part in parts])
            torch.testing.assert_close(joined, getattr(batch, name), rtol=0, atol=0)


def test_only_chosen_photos_are_drawn() -> None:
    pixels = np.repeat(np.array([10, 200], np.uint8), 64 * 64 * 3)
    store = PhotoStore(("a", "b"), np.array([[64, 64], [64, 64]]), pixels)
    data = DataConfig(colour=0, weights={"a": 0.0})
    image = Batches(store, [0, 1], data, 0).batch(0, StageConfig(1, 32, 16)).image
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


def test_recolour_stays_in_range_and_can_be_off() -> None:
    pixels = np.random.default_rng(0).random((8, 8, 3), np.float32)
    assert recolour(pixels, np.random.default_rng(0), 0.0) is pixels
    changed = recolour(pixels, np.random.default_rng(0), 0.5)
    assert changed.dtype == np.float32
    assert 0 <= changed.min() <= changed.max() <= 1
    assert np.abs(changed - pixels).max() > 0.01


def test_the_discriminators_batch_is_another_one(store: PhotoStore) -> None:
    train = TrainConfig(stages=(StageConfig(3, 32, 2),), separate_batches=True)
    batches = Batches(store, range(12), DataConfig(), 0)
    pairs = list(batches.ahead(0, train))
    assert [len(pair) for pair in pairs] == [2, 2, 2]
    for step, (generators, discriminators) in enumerate(pairs):
        expected = batches.batch(step, train.stages[0])
        torch.testing.assert_close(generators.image, expected.image, rtol=0, atol=0)
        assert (generators.image != discriminators.image).any()
        assert (generators.hole != discriminators.hole).any()


def test_a_shared_hole_is_one_for_a_batch_and_another_for_the_next(store: PhotoStore) -> None:
    stage = StageConfig(3, 64, 4)
    batches = Batches(store, range(12), DataConfig(shared_hole=True), 0)
    first, second = (batches.batch(0, stage, number).hole for number in (0, 1))
    assert (first == first[:1]).all()
    assert (first != second).any()
    apart = Batches(store, range(12), DataConfig(), 0).batch(0, stage).hole
    assert (apart != apart[:1]).any()
    pictures = batches.batch(0, stage).image
    assert (pictures != pictures[:1]).any()
