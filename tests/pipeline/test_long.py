"""Long runs, with ``-m slow``: training learns, filling does not leak, an ablation is resumed."""

from __future__ import annotations

import csv
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from freefill.lab.config import load
from freefill.lab.evaluation.ablation import CELLS, CONVOLUTIONS, LOSSES
from freefill.lab.models.lpips import Lpips, Trunk
from freefill.lab.training import checkpoint
from freefill.lab.training.loop import train
from freefill.masks.presets import free_form
from freefill.pipeline.inpainter import Inpainter

pytestmark = pytest.mark.slow


def test_training_beats_its_own_first_guess(
    examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FREEFILL_CACHE", str(tmp_path / "cache"))
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
    train(examples, tmp_path / "run", config, on_message=lambda _: None)
    with (tmp_path / "run/log.csv").open() as file:
        held_out = [float(row["val_l1"]) for row in csv.DictReader(file) if row["val_l1"]]
    # The first value is that of pull-push with copies chosen by colour, to which a fresh network
    # adds next to nothing.
    assert held_out[-1] < 0.97 * held_out[0]


def test_memory_stays_flat() -> None:
    inpainter = Inpainter(threads=1)
    rng = np.random.default_rng(0)

    def fill(count: int) -> int:
        for _ in range(count):
            height, width = rng.integers(100, 500, 2)
            image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
            inpainter(image=image, mask=free_form(height, width, rng))
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    # Peak memory settles once the largest sizes have been seen.
    warm = fill(150)
    assert fill(300) < 1.1 * warm


def random_network(trunk: Trunk, path: Path) -> None:
    """Write an LPIPS network of random weights as `freefill references` writes the real one."""
    metric, generator = Lpips(trunk), torch.Generator().manual_seed(5)
    tensors, place = {}, 0
    for layer in metric.features:
        if isinstance(layer, torch.nn.Conv2d):
            shape = layer.weight.shape
            scale = (2 / shape[1:].numel()) ** 0.5
            tensors[f"features.{place}.weight"] = torch.randn(shape, generator=generator) * scale
            tensors[f"features.{place}.bias"] = torch.zeros(shape[0])
        # The taps of the stages are not counted.
        place += not isinstance(layer, torch.nn.Identity)
    for name, buffer in metric.named_buffers():
        if name.startswith("lin"):
            tensors[name] = torch.rand(buffer.shape, generator=generator)
    save_file(tensors, path)


def test_ablation_that_was_killed_goes_on(examples: Path, tmp_path: Path) -> None:
    photos, references, out = tmp_path / "photos", tmp_path / "references", tmp_path / "out"
    photos.mkdir()
    references.mkdir()
    for name in ("bee", "coffee", "fruit", "street"):
        with Image.open(examples / f"{name}.jpg") as image:
            image.crop((100, 100, 228, 228)).save(photos / f"{name}.png")
    random_network("alex", references / "lpips_alex.safetensors")
    random_network("vgg", references / "lpips_vgg.safetensors")
    settings = (
        "model.channels=[8,8,8]",
        "model.dilations=[1]",
        "model.discriminator_width=4",
        "data.size=64",
        "data.holdout=1",
        "loss.perceptual_size=32",
        "train.stages.0.crop=64",
        "train.stages.0.batch=2",
        "train.log_every=5",
        "train.save_every=10",
        "train.preview_every=1000",
    )
    command = [
        *(sys.executable, "-m", "freefill", "ablate", "--data", str(photos)),
        *("--test", str(photos), "--out", str(out), "--seconds", "8", "--seeds", "1"),
        *("--protocol", "centre", *(x for s in settings for x in ("--set", s))),
    ]
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "FREEFILL_REFERENCES": str(references),
        "FREEFILL_CACHE": str(tmp_path / "cache"),
    }

    def exported() -> dict[str, int]:
        return {path.stem: path.stat().st_mtime_ns for path in sorted(out.rglob("*.onnx"))}

    with (tmp_path / "stderr").open("wb") as heard:
        process = subprocess.Popen(command, env=environment, stderr=heard)
        deadline = time.monotonic() + 600
        # The first cell is done, and the second has a checkpoint and most of its way before it.
        while not (out / "cells/partial-0/last.pt").exists():
            assert process.poll() is None, (tmp_path / "stderr").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(time.monotonic_ns() % 1000 / 1000)
        process.send_signal(signal.SIGKILL)
        process.wait()
    done, plan = exported(), (out / "plan.json").read_bytes()
    assert list(done) == ["plain-0"], "it was too fast to be killed in the second cell"
    killed_at = checkpoint.load(out / "cells/partial-0")["step"]
    steps = json.loads(plan)["steps"]
    assert killed_at < steps["partial"]

    rest = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert rest.returncode == 0, rest.stderr
    # No timing again, and the second cell from where it was.
    assert "s a step" not in rest.stderr
    assert f"at step {killed_at} of {steps['partial']}" in rest.stderr
    assert (out / "plan.json").read_bytes() == plan
    assert set(exported()) == {f"{name}-0" for name in CELLS}
    assert exported()["plain-0"] == done["plain-0"]
    for name in CELLS:
        assert checkpoint.load(out / f"cells/{name}-0")["step"] == steps[name] >= 24
        with (out / f"cells/{name}-0/log.csv").open(newline="") as file:
            logged = [int(row["step"]) for row in csv.DictReader(file)]
        assert logged == sorted({*range(5, steps[name] + 1, 5), steps[name]})

    sections = (out / "evaluation/ablation.md").read_text().split("\n## ")[1:]
    rows = {
        section.splitlines()[0]: [
            line.split("|")[1].strip() for line in section.splitlines() if line.startswith("| ")
        ][2:]
        for section in sections
    }
    assert rows == {
        "Runs": list(CELLS),
        "Convolution: centre, all": list(CONVOLUTIONS),
        "Loss: centre, all": list(LOSSES),
    }
    with (out / "evaluation/ablation.csv").open(newline="") as file:
        values = [float(row["lpips"]) for row in csv.DictReader(file)]
    assert len(values) == 4 * len(CELLS)
    assert min(values) > 0
    with Image.open(out / "evaluation/ablation.jpg") as sheet:
        sheet.load()
    # A third call has nothing left to do and says the same.
    before = (out / "evaluation/ablation.md").read_bytes()
    again = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert "step " not in again.stderr
    assert (out / "evaluation/ablation.md").read_bytes() == before
