"""Time that is left: by the steps, or until the time is up."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from freefill.lab.config import load
from freefill.lab.training.loop import Progress, train
from freefill.lab.training.reporting import TimeLimit


def test_a_limit_counts_down() -> None:
    limit = TimeLimit(time.monotonic() - 30, 100)
    assert limit.left == pytest.approx(70, abs=5)
    assert TimeLimit(time.monotonic(), None).left == float("inf")


def test_an_open_ended_run_with_a_limit_has_its_eta(
    examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    config = load(
        None,
        [
            *("model.channels=[8,8,16]", "model.dilations=[1]", "model.deep_dilations=[1]"),
            *("model.deepest_channels=8", "model.discriminator_width=4", "loss.perceptual=0"),
            *("data.size=64", "data.holdout=2", "train.precision='32-true'", "train.log_every=1"),
            "train.stages=[{steps=1_000_000, crop=32, batch=2}]",
        ],
    )
    seen: list[Progress] = []
    options = {"on_message": lambda _: None, "report": seen.append}
    train(examples, tmp_path / "run", config, seconds_at_most=4, **options)
    assert all(0 <= progress.eta <= 4 for progress in seen)
    assert seen[-1].step < 1_000_000
