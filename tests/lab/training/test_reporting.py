"""Time that is left: by the steps, or until the time is up."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from freefill.lab.config import load
from freefill.lab.training import loop
from freefill.lab.training.loop import Progress, train
from freefill.lab.training.reporting import TimeLimit
from freefill.lab.training.state import RunState


def test_a_limit_counts_down() -> None:
    limit = TimeLimit(time.monotonic() - 30, 100)
    assert limit.left == pytest.approx(70, abs=5)
    assert TimeLimit(time.monotonic(), None).left == float("inf")


SMALL = (
    *("model.channels=[8,8,16]", "model.dilations=[1]", "model.deep_dilations=[1]"),
    *("model.deepest_channels=8", "model.discriminator_width=4", "loss.perceptual=0"),
    *("data.size=64", "data.holdout=2", "train.precision='32-true'"),
    "train.stages=[{steps=1_000_000, crop=32, batch=2}]",
)


def test_an_open_ended_run_with_a_limit_has_its_eta(
    examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FREEFILL_CACHE", str(tmp_path / "cache"))
    config = load(None, [*SMALL, "train.log_every=1"])
    seen: list[Progress] = []
    options = {"on_message": lambda _: None, "report": seen.append}
    train(examples, tmp_path / "run", config, seconds_at_most=4, **options)
    assert all(0 <= progress.eta <= 4 for progress in seen)
    assert seen[-1].step < 1_000_000


def test_time_and_average_do_not_wait_for_a_row_of_the_log(
    examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FREEFILL_CACHE", str(tmp_path / "cache"))
    rows = "train.log_every=1_000_000", "train.preview_every=1_000_000"
    config = load(None, [*SMALL, *rows, "train.save_every=1_000_000"])
    seen: list[Progress] = []
    averages = []
    kept = RunState.save_average
    monkeypatch.setattr(
        RunState, "save_average", lambda run: averages.append(run.step) or kept(run)
    )
    options: dict[str, Any] = {"on_message": lambda _: None, "report": seen.append}
    train(examples, tmp_path / "run", config, seconds_at_most=6, average_every=0.5, **options)
    (row,) = list(csv.DictReader((tmp_path / "run/log.csv").open()))
    assert int(row["step"]) == seen[-1].step == averages[-1] < 1_000_000
    # Some were written on the way, not one at the end alone.
    assert len(set(averages)) > 2


def test_what_is_made_before_the_first_step_is_not_its_speed(
    examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FREEFILL_CACHE", str(tmp_path / "cache"))
    config = load(None, [*SMALL, "train.log_every=1"])
    made = loop._source

    class Late:
        def __init__(self, *given: Any) -> None:
            self.source = made(*given)

        def ahead(self, step: int) -> Iterator[Any]:
            time.sleep(4)
            yield from self.source.ahead(step)

    monkeypatch.setattr(loop, "_source", Late)
    seen: list[Progress] = []
    options = {"on_message": lambda _: None, "report": seen.append}
    train(examples, tmp_path / "run", config, stop_at=2, **options)
    # Two crops in 4 seconds would be less than 0.5.
    assert seen[0].images_per_second > 0.5
    assert seen[0].values["minutes"] > 4 / 60
