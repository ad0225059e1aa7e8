"""Long runs, with ``-m slow``: training learns something, and filling does not leak."""

from __future__ import annotations

import csv
import resource
from pathlib import Path

import numpy as np
import pytest

from freefill.config import load
from freefill.inpainter import Inpainter
from freefill.masks.presets import free_form
from freefill.training.loop import train

pytestmark = pytest.mark.slow


def test_training_beats_its_own_first_guess(
    examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    config = load(
        None,
        [
            "loss.perceptual=0",
            "data.size=128",
            "data.holdout=3",
            "train.lr=1e-3",
            "train.ema=0.98",
            "train.preview_every=25",
            "train.save_every=100",
            "train.stages=[{steps=400, crop=64, batch=16}]",
        ],
    )
    train(examples, tmp_path / "run", config, say=lambda _: None)
    with (tmp_path / "run/log.csv").open() as file:
        held_out = [float(row["val_l1"]) for row in csv.DictReader(file) if row["val_l1"]]
    # The first value is that of pull-push, to which a fresh network adds next to nothing.
    assert held_out[-1] < 0.97 * held_out[0]


def test_memory_stays_flat() -> None:
    inpainter = Inpainter(threads=1)
    rng = np.random.default_rng(0)

    def fill(count: int) -> int:
        for _ in range(count):
            height, width = rng.integers(100, 500, 2)
            image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
            inpainter(image=image, mask_image=free_form(height, width, rng))
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    # Peak memory settles once the largest sizes have been seen.
    warm = fill(150)
    assert fill(300) < 1.1 * warm
