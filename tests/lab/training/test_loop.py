"""The loop on a small network: it learns, stops, and goes on exactly where it was killed."""

from __future__ import annotations

import csv
import dataclasses
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from freefill.errors import CheckpointError, ConfigError, DataError, TrainingError
from freefill.lab.config import Config, load
from freefill.lab.data import banks, resident
from freefill.lab.data.packing.run import Options, pack
from freefill.lab.export import averages
from freefill.lab.models import build_discriminator, build_generator
from freefill.lab.models.lpips import Lpips
from freefill.lab.training import checkpoint, loop, losses, networks, start
from freefill.lab.training.ema import Ema
from freefill.lab.training.loop import Progress, train
from freefill.lab.training.schedule import rate_at

SMALL = (
    "model.channels=[8,8,16]",
    "model.dilations=[1,2]",
    "model.deep_dilations=[1]",
    "model.deepest_channels=8",
    "model.discriminator_width=4",
    "data.size=64",
    "data.holdout=2",
    "loss.perceptual=0",
    "train.precision=32-true",
    "train.warmup=5",
    "train.log_every=5",
    "train.preview_every=100",
    "train.save_every=10",
)


def small(*overrides: str, steps: int = 20) -> Config:
    stages = (
        f"train.stages=[{{steps={steps // 2}, crop=32, batch=2}}, "
        f"{{steps={steps - steps // 2}, crop=32, batch=2, adversarial=0.1}}]"
    )
    return load(None, [*SMALL, stages, *overrides])


def rows(run: Path) -> list[dict[str, str]]:
    """Read the log without the columns that measure time."""
    timed = ("minutes", "cpu_minutes", "img_s")
    with (run / "log.csv").open() as file:
        return [{k: v for k, v in row.items() if k not in timed} for row in csv.DictReader(file)]


GUIDED = ("guidance.sketch=0.7", "guidance.strokes=0.5", "loss.sketch=0.5")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FREEFILL_CACHE", str(tmp_path / "cache"))


def silent(_: str) -> None:
    pass


def test_loss_falls_and_everything_is_written(examples: Path, tmp_path: Path) -> None:
    seen: list[Progress] = []
    config = small("train.preview_every=30", "train.lr=2e-3", steps=60)
    train(examples, tmp_path / "run", config, on_message=silent, report=seen.append)
    # Ten photos and two a step: five steps, one row, are an epoch. Holes differ between rows.
    errors = [progress.values["l1"] for progress in seen]
    assert sum(errors[-4:]) < sum(errors[:4])
    assert seen[-1].values["epoch"] == 12
    assert seen[-1].step == seen[-1].steps == 60
    assert seen[-1].eta == 0
    # The discriminator rests in the first stage and works in the second.
    assert "discriminator" not in seen[3].values
    assert "score_fake" in seen[-1].values
    run = tmp_path / "run"
    assert {"last.pt", "log.csv", "config.toml", "tensorboard", "previews"} <= {
        p.name for p in run.iterdir()
    }
    assert [p.name for p in sorted((run / "previews").iterdir())] == [
        "step-000030.jpg",
        "step-000060.jpg",
    ]
    assert load(run / "config.toml") == config


def test_resumed_run_equals_an_uninterrupted_one(examples: Path, tmp_path: Path) -> None:
    config = small()
    train(examples, tmp_path / "whole", config, on_message=silent)
    # Stops in the adversarial stage, between two checkpoints' worth of steps.
    train(examples, tmp_path / "cut", config, stop_at=15, on_message=silent)
    train(examples, tmp_path / "cut", config, resume=True, on_message=silent)
    assert rows(tmp_path / "cut") == rows(tmp_path / "whole")
    one, two = (checkpoint.load(tmp_path / name) for name in ("cut", "whole"))
    for key in ("generator", "discriminator", "ema"):
        for name, tensor in one[key].items():
            torch.testing.assert_close(tensor, two[key][name], rtol=0, atol=0)


def test_resumed_in_the_middle_of_an_epoch_of_shards(examples: Path, tmp_path: Path) -> None:
    pack(examples, tmp_path / "shards", Options(size=64, per_shard=3), workers=1)
    config = small("data.window=2")
    train(tmp_path / "shards", tmp_path / "whole", config, on_message=silent)
    # Two photos a step and ten of twelve an epoch: step 8 lies in the middle of the second one.
    train(tmp_path / "shards", tmp_path / "cut", config, stop_at=8, on_message=silent)
    train(tmp_path / "shards", tmp_path / "cut", config, resume=True, on_message=silent)
    one, two = (checkpoint.load(tmp_path / name) for name in ("cut", "whole"))
    assert one["photos"] == 10
    for name, tensor in one["generator"].items():
        torch.testing.assert_close(tensor, two["generator"][name], rtol=0, atol=0)


@pytest.mark.slow
def test_kill_9_at_a_random_moment_and_resume(
    command: Callable[..., subprocess.CompletedProcess[str]], examples: Path, tmp_path: Path
) -> None:
    steps = 200
    stages = (
        "train.stages=[{steps=100,crop=32,batch=2},{steps=100,crop=32,batch=2,adversarial=0.1}]"
    )
    settings = [x for s in (*SMALL, stages) for x in ("--set", s)]
    whole, cut = (
        ("train", "--data", examples, "--out", tmp_path / name) for name in ("whole", "cut")
    )
    run = tmp_path / "cut"
    process = subprocess.Popen(
        [sys.executable, "-m", "freefill", *map(str, cut), *settings], stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not (run / "last.pt").exists():
        assert process.poll() is None, "it ended before its first checkpoint"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    # Any moment will do; the clock's last digits choose it.
    time.sleep(time.monotonic_ns() % 1000 / 1000)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(rows(run)) < steps // 5, "it was too fast to be killed in the middle"
    done = command(*cut, "--resume")
    assert done.returncode == 0, done.stderr
    assert "resuming" in done.stderr
    assert command(*whole, *settings).returncode == 0
    assert len(rows(tmp_path / "whole")) == steps // 5
    assert rows(run) == rows(tmp_path / "whole")


@pytest.mark.parametrize("discriminator", ["patch", "features"])
def test_r1_and_perceptual_losses_take_part(
    discriminator: str, examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Random features stand in for VGG16: the loss has to flow, not to judge.
    metric = Lpips("vgg")
    for buffer in ("lin0", "lin1", "lin2", "lin3", "lin4"):
        metric.get_buffer(buffer).fill_(1.0)
    monkeypatch.setattr("freefill.weights.third_party.fetch", lambda *_: tmp_path)
    monkeypatch.setattr(Lpips, "load", lambda *_: metric)
    config = small(
        f"model.discriminator={discriminator}",
        "loss.l1=0",
        "loss.coarse=0",
        "loss.perceptual=1",
        "loss.perceptual_size=32",
        "loss.r1=1",
        "loss.r1_every=2",
        steps=10,
    )
    train(examples, tmp_path / "run", config, on_message=silent)
    first, last = rows(tmp_path / "run")
    assert first["r1"] == ""
    assert float(last["r1"]) > 0
    assert float(first["perceptual"]) > 0
    # With the other losses off until the second stage, it was this one that moved the weights.
    torch.manual_seed(0)
    start = build_generator(config.model).state_dict()
    end = checkpoint.load(tmp_path / "run")["generator"]
    assert not torch.equal(start["to_rgb.weight"], end["to_rgb.weight"])
    # Both are trained in turn: the discriminator's scores part, and its weights have moved.
    assert float(last["score_real"]) != float(last["score_fake"])
    torch.manual_seed(0)
    build_generator(config.model)
    fresh = build_discriminator(config.model, 32).state_dict()
    judge = checkpoint.load(tmp_path / "run")["discriminator"]
    moved = [k for k in fresh if k.endswith("original") and not torch.equal(fresh[k], judge[k])]
    assert moved


def test_accumulation_gives_the_same_step(examples: Path, tmp_path: Path) -> None:
    for name, parts in (("one", 1), ("two", 2)):
        train(
            examples,
            tmp_path / name,
            small(f"train.accumulate={parts}", steps=10),
            stop_at=5,
            on_message=silent,
        )
    one, two = (checkpoint.load(tmp_path / name)["generator"] for name in ("one", "two"))
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, two[name], rtol=1e-3, atol=2e-5)


def test_stops_on_nan_with_the_last_good_checkpoint(examples: Path, tmp_path: Path) -> None:
    config = small("train.lr=1e30", "train.warmup=0")
    with pytest.raises(TrainingError, match=r"at step \d+: stopped.*train\.lr"):
        train(examples, tmp_path / "run", config, on_message=silent)


def test_refuses_to_overwrite_and_to_resume_nothing(examples: Path, tmp_path: Path) -> None:
    config = small(steps=10)
    train(examples, tmp_path / "run", config, stop_at=2, on_message=silent)
    with pytest.raises(CheckpointError, match="resume=True"):
        train(examples, tmp_path / "run", config, on_message=silent)
    with pytest.raises(CheckpointError, match="no run to go on with"):
        train(examples, tmp_path / "other", config, resume=True, on_message=silent)


def test_two_runs_into_one_folder_are_refused(examples: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(examples, run, small(steps=10), stop_at=2, on_message=silent)
    with start.run_lock(run), pytest.raises(CheckpointError, match="another run is writing"):
        train(examples, run, small(steps=10), resume=True, on_message=silent)
    # The one that was refused has touched nothing, and the folder is free again.
    assert checkpoint.load(run)["step"] == 2
    train(examples, run, small(steps=10), resume=True, on_message=silent)
    assert checkpoint.load(run)["step"] == 10


def test_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, {"step": 1})
    content = (tmp_path / "last.pt").read_bytes()
    (tmp_path / "last.pt").write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match="cannot be read"):
        checkpoint.load(tmp_path)
    torch.save({"format": 99}, tmp_path / "last.pt")
    with pytest.raises(CheckpointError, match="format 99"):
        checkpoint.load(tmp_path)


def test_starting_weights_are_taken_where_they_fit(examples: Path, tmp_path: Path) -> None:
    config = small(steps=10)
    train(examples, tmp_path / "a", config, stop_at=2, on_message=silent)
    ema = checkpoint.load(tmp_path / "a")["ema"]
    # A step that changes nothing: what is saved is what it started from.
    still = small("train.lr=1e-12", "train.warmup=0", steps=10)
    lines: list[str] = []
    train(examples, tmp_path / "b", still, init=ema, stop_at=1, on_message=lines.append)
    assert not any("fresh" in line for line in lines)
    begun = checkpoint.load(tmp_path / "b")["generator"]
    torch.testing.assert_close(begun["down2.conv.weight"], ema["down2.conv.weight"])

    missing = {k: v for k, v in ema.items() if k != "stem.conv.weight"}
    missing["to_rgb.bias"] = torch.full((3,), 9.0)  # of another shape
    train(examples, tmp_path / "c", still, init=missing, stop_at=1, on_message=lines.append)
    assert any("2 tensors start fresh" in line and "stem.conv.weight" in line for line in lines)
    begun = checkpoint.load(tmp_path / "c")["generator"]
    torch.testing.assert_close(begun["down2.conv.weight"], ema["down2.conv.weight"])
    assert not torch.allclose(begun["stem.conv.weight"], ema["stem.conv.weight"])
    assert begun["to_rgb.bias"].shape == ema["to_rgb.bias"].shape

    few = {k: v for k, v in ema.items() if k.startswith("down")}
    with pytest.raises(CheckpointError, match=r"do not fit.*4 of its"):
        train(examples, tmp_path / "d", config, init=few, on_message=silent)


def test_a_run_of_another_architecture_is_named(examples: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(examples, run, small(steps=10), stop_at=2, on_message=silent)
    state = checkpoint.load(run)
    state["ema"]["old.weight"] = torch.zeros(3)
    checkpoint.save(run, state)
    with pytest.raises(CheckpointError, match=r"1 tensors differ, old\.weight.*init_from"):
        train(examples, run, small(), resume=True, on_message=silent)


def test_colours_and_choice_of_patches_have_losses_of_their_own(
    examples: Path, tmp_path: Path
) -> None:
    seen: list[Progress] = []
    config = small(
        "loss.l1=0", "loss.coarse=3", "loss.match=0.5", "loss.low=2", "loss.lower=1.5",
        "train.log_every=1", steps=4,
    )  # fmt: skip
    train(examples, tmp_path / "run", config, stop_at=2, on_message=silent, report=seen.append)
    values = seen[0].values
    assert values["coarse"] > 0
    assert values["match"] > 0
    assert values["low"] > 0
    expected = 3 * values["coarse"] + 0.5 * values["match"] + 2 * values["low"]
    expected += 1.5 * values["lower"]
    assert values["generator"] == pytest.approx(expected, rel=1e-4)


def test_moving_average_follows() -> None:
    network = torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        network.weight.fill_(0)
        ema = Ema(network, decay=0.9)
        network.weight.fill_(1)
        for step in range(1000, 1010):
            ema.update(network, step)
    assert float(ema.network.weight) == pytest.approx(1 - 0.9**10, rel=1e-5)
    with torch.no_grad():
        early = Ema(torch.nn.Linear(1, 1, bias=False), decay=0.9)
        early.network.weight.fill_(0)
        early.update(network, 0)
    assert float(early.network.weight) == pytest.approx(0.9, rel=1e-5)


@pytest.mark.parametrize("separate", [False, True])
def test_who_steps_first_and_on_what(
    separate: bool, examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Record what each network sees in one step, and in which order the optimizers move."""
    order: list[str] = []
    seen: dict[str, list[torch.Tensor]] = {"generator": [], "discriminator": []}
    build = {
        "generator": networks.build_generator,
        "discriminator": networks.build_discriminator,
    }

    def watched(kind: str) -> Callable[..., torch.nn.Module]:
        def make(*arguments: Any) -> torch.nn.Module:
            network = build[kind](*arguments)
            network.register_forward_pre_hook(
                lambda module, inputs: seen[kind].append(inputs[0].detach().clone())
            )
            return network

        return make

    for kind in build:
        monkeypatch.setattr(networks, f"build_{kind}", watched(kind))
    for name in ("hinge_generator", "hinge_discriminator"):
        original = getattr(losses, name)
        monkeypatch.setattr(
            losses, name, lambda *a, n=name, f=original: (order.append(n), f(*a))[1]
        )
    config = small(
        f"train.separate_batches={str(separate).lower()}",
        "train.stages=[{steps=1, crop=64, batch=2, adversarial=1.0}]",
        "train.log_every=1",
        "train.preview_every=1",
        "train.save_every=1",
    )
    written = (0.0, np.zeros((4, 4, 3), np.uint8))
    monkeypatch.setattr(loop.previews.Preview, "write", lambda *a: written)
    train(examples, tmp_path / "run", config, on_message=silent)

    batches = loop.Batches(loop.open_source(str(examples), config.data, 0, silent), config)
    first, second = batches.batch(0).image, batches.batch(0, 1).image
    if separate:
        assert order == ["hinge_discriminator", "hinge_generator"]
        expected = [second, first]
        judged, filled = seen["discriminator"]
    else:
        assert order == ["hinge_generator", "hinge_discriminator"]
        expected = [first]
        filled, judged = seen["discriminator"]
    assert len(seen["generator"]) == len(expected)
    for found, wanted in zip(seen["generator"], expected, strict=True):
        torch.testing.assert_close(found, wanted)
    # True pictures first, then filled ones that differ from them only in the hole.
    torch.testing.assert_close(judged[:2], expected[0])
    assert (judged[2:] != judged[:2]).any()
    assert filled.shape == (2, 3, 64, 64)


def test_without_decay_the_rate_stays(examples: Path, tmp_path: Path) -> None:
    train(
        examples, tmp_path / "run", small("train.decay=false", "train.warmup=0"), on_message=silent
    )
    assert {row["lr"] for row in rows(tmp_path / "run")} == {"0.0004"}


def test_the_rate_falls_at_the_end_alone_where_there_is_a_cooldown() -> None:
    whole, late = (
        load(None, ["train.warmup=10", "train.stages=[{steps=110}]", f"train.cooldown={share}"])
        for share in (1.0, 0.2)
    )
    rates = [rate_at(step, late.train) for step in range(110)]
    assert rates[4] == 0.5
    assert set(rates[10:90]) == {1.0}
    assert rates[90:] == sorted(rates[90:], reverse=True)
    assert rates[100] == pytest.approx(0.505, abs=0.01)
    assert rates[-1] < 0.03
    assert rate_at(60, whole.train) == pytest.approx(0.505, abs=1e-6)
    # Where time is limited, the share of it that has passed counts if it is more.
    assert rate_at(20, late.train, 0.9) == pytest.approx(rates[100], abs=1e-6)
    assert rate_at(20, late.train, 1.5) == pytest.approx(0.01)
    assert rate_at(4, late.train, 1.0) == pytest.approx(0.01)  # in the warm-up as well
    assert rate_at(100, late.train, 0.1) == rates[100]


def test_a_run_stops_when_its_time_is_up_and_leaves_average_weights(
    examples: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    config = small("train.log_every=1", "train.save_every=1000", steps=2000)
    config = dataclasses.replace(
        config, train=dataclasses.replace(config.train, preview_every=1000)
    )
    begun = time.monotonic()
    run = tmp_path / "run"
    train(
        examples, run, config, seconds_at_most=3, average_every=0.001, command="typed",
        on_message=said.append,
    )  # fmt: skip
    assert 3 <= time.monotonic() - begun < 60
    state = checkpoint.load(run)
    assert 0 < state["step"] < 2000
    assert said[-1] == f"stopped after step {state['step']}, as the time is up"
    # The rate has fallen to its end.
    assert float(rows(run)[-1]["lr"]) < 0.2 * config.train.lr
    # The weights are those of the checkpoint, rounded; what is needed for a card lies beside.
    average = averages.load(run / "average")
    assert average["step"] == state["step"]
    assert average["command"] == "typed"
    for name, tensor in state["ema"].items():
        torch.testing.assert_close(average["ema"][name], tensor.half().float())
    critic = average["discriminator"]
    for name, tensor in state["discriminator"].items():
        torch.testing.assert_close(critic[name], tensor.half().float())
    # The next run goes on from both.
    begun = small(steps=2)
    train(examples, tmp_path / "on", begun, stop_at=1, init=average["ema"],
          init_discriminator=critic, on_message=said.append)  # fmt: skip
    assert "the discriminator goes on from the one that was given" in said
    kept = checkpoint.load(tmp_path / "on")["discriminator"]  # it rests in the first stage
    for name, tensor in critic.items():
        torch.testing.assert_close(kept[name], tensor)
    other = {name: tensor[:1] for name, tensor in critic.items()}
    train(
        examples,
        tmp_path / "off",
        begun,
        stop_at=1,
        init_discriminator=other,
        on_message=said.append,
    )
    assert any(line.startswith("the discriminator starts fresh") for line in said)
    assert not list((run / "average").glob("*.partial"))


def test_a_list_chooses_the_photos(examples: Path, tmp_path: Path) -> None:
    names = sorted(p.name for p in examples.glob("*.jpg"))
    listed = tmp_path / "photos.csv"
    uses = ["train"] * 5 + ["held-out-256"] * 2 + ["other"]
    lines = [f"{name},{use}" for name, use in zip(names, uses, strict=False)]
    listed.write_text("\n".join(["file,use", *lines]))
    said: list[str] = []
    config = small(f"data.list='{listed}'", steps=2)
    train(examples, tmp_path / "run", config, on_message=said.append)
    assert "5 photos to train on, 2 to look at" in said
    assert checkpoint.load(tmp_path / "run")["config"]["data"]["list"] == str(listed)
    listed.write_text("\n".join(["file,use", *lines, "gone.jpg,train", "too.jpg,train"]))
    with pytest.raises(DataError, match=r"2 of the photos .* not there, gone\.jpg among them"):
        train(examples, tmp_path / "other", config, on_message=silent)


def test_resident_photos_train_and_are_refused_where_they_cannot(
    examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resident, "HOLES", 8)
    monkeypatch.setattr(banks, "SHAPES", 8)
    config = small("data.resident=true", "data.synthetic=0.5", *GUIDED, steps=4)
    train(examples, tmp_path / "a", config, on_message=silent)
    train(examples, tmp_path / "b", config, stop_at=2, on_message=silent)
    train(examples, tmp_path / "b", config, resume=True, on_message=silent)
    one, two = (checkpoint.load(tmp_path / name) for name in "ab")
    for name, tensor in one["generator"].items():
        torch.testing.assert_close(two["generator"][name], tensor, rtol=0, atol=0)
    pack(examples, tmp_path / "shards", Options(size=64, per_shard=3), workers=1)
    with pytest.raises(ConfigError, match="names a folder of photos"):
        train(tmp_path / "shards", tmp_path / "c", config, on_message=silent)


def test_guided_training_learns_the_branch_and_resumes_exactly(
    examples: Path, tmp_path: Path
) -> None:
    config = small(*GUIDED, "train.lr=2e-3", "data.size=128")
    train(examples, tmp_path / "a", config, on_message=silent)
    train(examples, tmp_path / "b", config, on_message=silent, stop_at=10)
    train(examples, tmp_path / "b", config, on_message=silent, resume=True)
    one, two = (checkpoint.load(tmp_path / name) for name in "ab")
    assert one["ema"]["guide.weight"].abs().max() > 0
    for name, tensor in one["generator"].items():
        torch.testing.assert_close(two["generator"][name], tensor, rtol=0, atol=0)
    assert rows(tmp_path / "a") == rows(tmp_path / "b")
    assert all(0 <= float(row["sketch"]) <= 1 for row in rows(tmp_path / "a"))
    # The discriminator is told: one input for the hole and one for each channel of guidance.
    first = next(v for k, v in one["discriminator"].items() if v.dim() == 4)
    assert first.shape[1] == 3 + 1 + config.model.guidance
    sheet = next((tmp_path / "a" / "previews").iterdir())
    assert sheet.stat().st_size > 0


def test_an_unguided_run_leaves_the_branch_alone(examples: Path, tmp_path: Path) -> None:
    train(examples, tmp_path / "run", small(), on_message=silent)
    assert not checkpoint.load(tmp_path / "run")["ema"]["guide.weight"].any()
