"""Guidance for training: true to the photo, inside the hole, and as imperfect as a person's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from freefill.imaging.io import read_picture
from freefill.lab.data import guidance_samples
from freefill.masks.presets import free_form
from freefill.types import GUIDANCE_CHANNELS
from freefill.vision.edges import edges

EXAMPLES = Path(__file__).parents[3] / "examples"
ALWAYS = {"sketch": 1.0, "whole": 1.0, "strokes": 1.0, "drawn": 0.0}


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return np.asarray(read_picture(EXAMPLES / "bee.jpg").samples) / np.float32(255)


@pytest.mark.parametrize("seed", range(6))
def test_guidance_lies_in_the_hole_and_is_the_photos(photo: np.ndarray, seed: int) -> None:
    rng = np.random.default_rng(seed)
    hole = free_form(*photo.shape[:2], rng)
    changed, planes = guidance_samples.sample(photo, hole, rng, **ALWAYS)
    assert changed is photo
    assert planes.shape == (*hole.shape, GUIDANCE_CHANNELS)
    assert planes.dtype == np.float32
    assert not planes[~hole].any()
    lines = planes[..., 0] > 0
    assert set(np.unique(planes[..., :2])) <= {0.0, 1.0}
    # Each line is one of the photo's at the finest detail that is drawn, moved by a few pixels.
    away = distance_transform_edt(~edges(photo, 1.5))
    assert (away[lines] <= 3).mean() > 0.98
    there = planes[..., 1] > 0
    assert there.any()
    assert (np.abs(planes[there][:, 2:]) <= 1).all()
    # A stroke has the colour of what is under it, about.
    under = photo[there] * 2 - 1
    error = np.abs(planes[there][:, 2:] - under).mean()
    assert error < np.abs(under - (photo.mean((0, 1)) * 2 - 1)).mean()


def test_same_generator_state_same_guidance(photo: np.ndarray) -> None:
    hole = free_form(*photo.shape[:2], np.random.default_rng(0))
    chances = {**ALWAYS, "whole": 0.5, "drawn": 1.0}
    a = guidance_samples.sample(photo, hole, np.random.default_rng(5), **chances)
    b = guidance_samples.sample(photo, hole, np.random.default_rng(5), **chances)
    for one, other in zip(a, b, strict=True):
        np.testing.assert_array_equal(one, other)


def test_chances_are_kept(photo: np.ndarray) -> None:
    small = photo[64:192, 64:192]
    hole = np.ones(small.shape[:2], bool)
    chances = {"sketch": 0.5, "whole": 1.0, "strokes": 0.25, "drawn": 0.0}
    planes = [
        guidance_samples.sample(small, hole, np.random.default_rng(seed), **chances)[1]
        for seed in range(120)
    ]
    assert 0.35 < np.mean([p[..., 0].any() for p in planes]) < 0.65
    assert 0.12 < np.mean([p[..., 1].any() for p in planes]) < 0.38


def test_parts_of_a_sketch_are_left_out(photo: np.ndarray) -> None:
    hole = np.ones(photo.shape[:2], bool)
    shares = []
    for seed in range(8):
        whole = guidance_samples.sketch_of(photo, hole, np.random.default_rng(seed), whole=1.0)
        part = guidance_samples.sketch_of(photo, hole, np.random.default_rng(seed), whole=0.0)
        # The same generator draws the same lines first.
        assert not (part & ~whole).any()
        shares.append(part.sum() / whole.sum())
    assert max(shares) < 1
    assert 0.2 < np.mean(shares) < 0.8


def test_shapes_that_are_drawn_are_in_photo_and_sketch() -> None:
    hole = np.zeros((256, 256), bool)
    hole[60:200, 60:200] = True
    plain = np.full((256, 256, 3), 0.45, np.float32)
    chances = {"sketch": 1.0, "whole": 1.0, "strokes": 0.0, "drawn": 1.0}
    drawn = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        changed, planes = guidance_samples.sample(plain, hole, rng, **chances)
        other = np.abs(changed - plain).max(-1) > 0.1
        lines = planes[..., 0] > 0
        # Every line lies at the shape, and nothing else is in an even photo.
        assert (distance_transform_edt(~other)[lines] <= 4).all()
        drawn += bool(lines.any())
    assert (plain == np.float32(0.45)).all()
    # But for the photo's own content, which is even here, and what is too faint.
    assert drawn >= 8


def test_a_line_that_is_drawn_is_one_line_in_the_sketch() -> None:
    hole = np.ones((256, 256), bool)
    plain = np.full((256, 256, 3), 0.45, np.float32)
    found = 0
    for seed in range(12):
        changed, middle = guidance_samples.drawn_into(plain, hole, np.random.default_rng(seed))
        if middle is None:
            continue
        found += 1
        covered = np.abs(changed - plain).max(-1) > 0.02
        assert covered[middle].mean() > 0.95
        assert (distance_transform_edt(~middle)[covered] <= 5).all()
    assert found


def test_trembling_moves_lines_a_little() -> None:
    line = np.zeros((128, 128), bool)
    line[64, 8:120] = True
    moved = guidance_samples.trembled(line, np.random.default_rng(0), amount=1.0)
    away = distance_transform_edt(~line)[moved]
    assert 0 < away.mean() < 2
    assert away.max() < 6
    assert moved.any(0)[12:116].all()


def test_an_empty_hole_has_no_guidance(photo: np.ndarray) -> None:
    hole = np.zeros(photo.shape[:2], bool)
    chances = {**ALWAYS, "drawn": 1.0}
    _, planes = guidance_samples.sample(photo, hole, np.random.default_rng(0), **chances)
    assert not planes.any()
