"""The lab's commands, end to end: train, resume, export, fill with what came out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from freefill.cli import lab

Run = Callable[..., "CompletedProcess[str]"]

TINY = (
    "model.channels=[8,8,16]",
    "model.dilations=[1]",
    "model.deep_dilations=[1]",
    "data.size=64",
    "loss.perceptual=0",
    "train.log_every=2",
    "train.preview_every=4",
    "train.save_every=2",
    "train.stages=[{steps=4, crop=32, batch=2}]",
)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FREEFILL_CACHE", str(tmp_path / "cache"))


def test_train_export_fill_and_start_again(command: Run, examples: Path, tmp_path: Path) -> None:
    run, weights = tmp_path / "a run", tmp_path / "mine.onnx"
    settings = [part for setting in TINY for part in ("--set", setting)]
    trained = command("train", "--data", examples, "--out", run, *settings)
    assert trained.returncode == 0, trained.stderr
    assert "step 4/4" in trained.stderr
    assert "img/s" in trained.stderr
    assert f"Next: freefill export '{run}' --out '{run}/weights.onnx'" in trained.stdout

    notes = tmp_path / "notes.json"
    notes.write_text('{"licence": "CC0-1.0"}')
    exported = command("export", run, "--out", weights, "--notes", notes)
    assert exported.returncode == 0, exported.stderr
    card = json.loads(weights.with_suffix(".json").read_text())
    assert card["licence"] == "CC0-1.0"
    assert card["training"]["command"].startswith("freefill")
    assert card["training"]["photos"] == 9

    filled = command(
        "fill", examples / "bee.jpg", "--out", tmp_path / "out.png", "--model", weights
    )
    assert filled.returncode == 0, filled.stderr

    again = command(
        *("train", "--data", examples, "--out", tmp_path / "second", *settings),
        *("--init-from", weights),
    )
    assert again.returncode == 0, again.stderr
    assert "starting from" in again.stderr
    resumed = command("train", "--data", examples, "--out", run, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert "resuming" in resumed.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "--data", "nothing", "--out", "run"], "nothing is not a folder"),
        (["train", "--data", "x", "--out", "r", "--set", "a"], "key=value"),
        (["train", "--data", "x", "--out", "r", "--resume", "--set", "data.size=1"], "no run"),
        (["train", "--data", "x", "--out", "r", "--resume", "--init-from", "light"], "--resume"),
        (["train", "--data", "x", "--out", "r", "--init-from", "heavy"], "there is light"),
        (["train", "--data", "x", "--out", "r", "--resume"], "no run to go on with"),
        (["export", "nothing", "--out", "w.onnx"], "does not exist"),
        (["export", "nothing", "--out", "w.onnx", "--notes", "none.json"], "none.json"),
        (["references", "heavy"], "there are lpips_alex"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refused_in_one_line(
    command: Run,
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = command(*arguments)
    assert ran.returncode == 2
    (line,) = ran.stderr.splitlines()
    assert line.startswith("freefill: error: ")
    assert words in line
    assert not (tmp_path / "w.onnx").exists()


def test_references_are_listed(
    command: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FREEFILL_REFERENCES", str(tmp_path))
    (tmp_path / "migan.onnx").touch()
    ran = command("references")
    assert ran.returncode == 0
    states = {line.split(":")[0]: line.rsplit("; ", 1)[1] for line in ran.stdout.splitlines()}
    assert states == {
        "inception": "not fetched",
        "lpips_alex": "not fetched",
        "lpips_vgg": "not fetched",
        "migan": "there",
        "sam2_decoder": "not fetched",
        "sam2_encoder": "not fetched",
        "u2netp": "comes with freefill",
    }


def test_licence_and_variant_of_foreign_weights_are_kept(
    command: Run, examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import asdict

    from safetensors.torch import save_file

    from freefill.lab.models.deepfill import DeepFill, Variant

    # The paper's network is large: one size shows here that its files agree.
    monkeypatch.setattr("freefill.lab.export.onnx.SIZES", ((1, 64, 64),))
    theirs = tmp_path / "theirs.safetensors"
    save_file(DeepFill(variant=Variant(fuse=False)).state_dict(), theirs)
    imported = command(
        *("weights", "import", theirs, "--out", tmp_path / "port.onnx", "--no-fuse"),
        *("--licence", "CC BY-NC 4.0"),
    )
    assert imported.returncode == 0, imported.stderr
    card = json.loads((tmp_path / "port.json").read_text())
    assert card["variant"] == asdict(Variant(fuse=False))

    settings = [part for setting in TINY for part in ("--set", setting)]
    settings += ["--set", "model.name=deepfill"]
    settings += ["--set", "train.stages=[{steps=1, crop=32, batch=1}]"]
    going_on = ("train", "--data", examples, "--init-from", tmp_path / "port.safetensors")
    refused = command(*going_on, "--out", tmp_path / "a", *settings)
    assert refused.returncode == 2
    assert "--set model.fuse=false" in refused.stderr
    assert not (tmp_path / "a").exists()

    run = tmp_path / "b"
    trained = command(*going_on, "--out", run, *settings, "--set", "model.fuse=false")
    assert trained.returncode == 0, trained.stderr
    exported = command("export", run, "--out", tmp_path / "mine.onnx")
    assert exported.returncode == 0, exported.stderr
    card = json.loads((tmp_path / "mine.json").read_text())
    assert card["licence"] == "CC BY-NC 4.0"
    assert card["base"]["licence"] == "CC BY-NC 4.0"
    assert card["base"]["sources"][0]["file"] == "theirs.safetensors"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (59.6, "ETA 1:00  "),
        (3599, "ETA 59:59  "),
        (7384, "ETA 2:03:04  "),
        (86400, "ETA 24:00:00  "),
        (2e6, ""),
        (float("inf"), ""),
    ],
)
def test_time_that_is_left(seconds: float, text: str) -> None:
    assert lab._eta(seconds) == text
