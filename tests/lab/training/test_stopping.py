"""A run that is asked to stop saves first; one that is done can be made longer."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from freefill.errors import ConfigError
from freefill.lab.config import Config, load
from freefill.lab.training import checkpoint, reporting
from freefill.lab.training.loop import Progress, train
from freefill.lab.training.stopping import Stopping


class TerminatedError(Exception):
    """What stands for the end of the process."""


def small(*overrides: str) -> Config:
    return load(
        None,
        [
            *("model.channels=[8,8,16]", "model.dilations=[1]", "model.deep_dilations=[1]"),
            *("model.deepest_channels=8", "model.discriminator_width=4", "loss.perceptual=0"),
            *("data.size=64", "data.holdout=2", "train.precision='32-true'", "train.log_every=1"),
            *("train.stages=[{steps=12, crop=32, batch=2}]", "train.save_every=100"),
            *("train.preview_every=100", *overrides),
        ],
    )


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FREEFILL_CACHE", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def _ctrl_c_as_in_a_terminal() -> Iterator[None]:
    """A job in the background ignores Ctrl-C, and with it what it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def at_step(wanted: int, number: signal.Signals) -> Callable[[Progress], None]:
    def report(progress: Progress) -> None:
        if progress.step == wanted:
            os.kill(os.getpid(), number)

    return report


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_saves_and_nothing_is_lost(
    examples: Path, tmp_path: Path, number: signal.Signals
) -> None:
    def ended(*_: object) -> None:
        raise TerminatedError

    before = signal.signal(signal.SIGTERM, ended)
    try:
        lines: list[str] = []
        with pytest.raises(KeyboardInterrupt if number is signal.SIGINT else TerminatedError):
            train(
                *(examples, tmp_path / "cut", small()),
                on_message=lines.append,
                report=at_step(7, number),
            )
        assert signal.getsignal(signal.SIGTERM) is ended
    finally:
        signal.signal(signal.SIGTERM, before)
    assert "stopped after step 7 of 12" in lines[-1]
    assert checkpoint.load(tmp_path / "cut")["step"] == 7

    train(examples, tmp_path / "cut", small(), resume=True, on_message=lambda _: None)
    train(examples, tmp_path / "whole", small(), on_message=lambda _: None)
    one, two = (checkpoint.load(tmp_path / name) for name in ("cut", "whole"))
    for name, tensor in one["generator"].items():
        torch.testing.assert_close(tensor, two["generator"][name], rtol=0, atol=0)


def test_a_second_signal_ends_at_once() -> None:
    with Stopping() as stopping:
        os.kill(os.getpid(), signal.SIGINT)
        assert stopping.asked is signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Stopping() as stopping:
            os.kill(os.getpid(), signal.SIGINT)
        assert stopping.asked is None
        stopping.end()
    finally:
        signal.signal(signal.SIGINT, before)


def test_progress_is_told_by_time_between_rows(
    examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "TELL_EVERY", 0.0)
    seen: list[Progress] = []
    lines: list[str] = []
    train(
        *(
            examples,
            tmp_path / "run",
            small(*(f"train.{name}_every=6" for name in ("log", "save", "preview"))),
        ),
        on_message=lines.append,
        report=seen.append,
    )
    assert [progress.step for progress in seen] == list(range(1, 13))
    assert [progress.step for progress in seen if progress.values] == [6, 12]
    assert all(progress.eta > 0 for progress in seen[:-1])
    assert "12 steps of 2 crops of 32x32 pixels" in lines


def test_a_finished_run_becomes_longer(examples: Path, tmp_path: Path) -> None:
    run, lines = tmp_path / "run", list[str]()
    train(examples, run, small(), command="first", on_message=lambda _: None)
    train(examples, run, Config(), resume=True, on_message=lines.append)
    assert any("all 12 steps are done" in line for line in lines)

    train(
        *(examples, run, Config()),
        resume=True,
        changes=["train.stages.0.steps=15", "train.lr=1e-5"],
        command="second",
        on_message=lines.append,
    )
    assert "15 steps of 2 crops of 32x32 pixels; 12 steps are done" in lines
    state = checkpoint.load(run)
    assert state["step"] == 15
    assert state["config"]["train"]["lr"] == 1e-5
    assert state["command"] == "first && second"
    assert load(run / "config.toml").train.stages[0].steps == 15

    # Previews of both ends are among TensorBoard's pictures.
    board = EventAccumulator(str(run / "tensorboard"), size_guidance={"images": 0})
    board.Reload()
    assert [picture.step for picture in board.Images("preview")] == [12, 15]


def test_only_settings_of_training_can_be_changed(examples: Path, tmp_path: Path) -> None:
    train(examples, tmp_path / "run", small(), on_message=lambda _: None)
    with pytest.raises(ConfigError, match="only settings of train"):
        train(
            *(examples, tmp_path / "run", Config()),
            resume=True,
            changes=["model.channels=[4,4,4]"],
            on_message=lambda _: None,
        )
    with pytest.raises(ConfigError, match="gone on with"):
        train(examples, tmp_path / "new", Config(), changes=["train.lr=1e-4"])
