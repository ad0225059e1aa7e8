"""A stranger's tasks, each one new file and the command line: the files are docs/extending.md's."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from freefill import plugins
from freefill.lab.config import load
from freefill.lab.models.lpips import Lpips
from freefill.masks import presets
from freefill.pipeline.engines import open_engine
from freefill.pipeline.inpainter import Inpainter
from freefill.weights import third_party

Page = Callable[[str], Path]
Run = Callable[..., Any]
Settings = Callable[..., Path]


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "log.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.usefixtures("registries")
def test_add_a_model(
    command: Run, cli: Run, page: Page, settings: Settings, examples: Path, tmp_path: Path
) -> None:
    page("my_model.py")
    config = settings("my_model.py", model='name = "unet"\noptions = { width = 8 }')
    run = tmp_path / "run"
    done = command("train", "--data", examples, "--out", run, "--config", config)
    assert done.returncode == 0, done.stderr
    assert float(rows(run)[-1]["adversarial"]) != 0
    # The checkpoint finds the file again, from anywhere.
    done = cli("export", run, "--out", tmp_path / "unet.onnx", cwd=examples)
    assert done.returncode == 0, done.stderr
    hole = np.zeros((96, 120), np.uint8)
    hole[20:50, 30:80] = 255
    Image.fromarray(hole).save(tmp_path / "mask.png")
    with Image.open(examples / "coffee.jpg") as photo:
        photo.crop((120, 96, 240, 192)).save(tmp_path / "photo.png")
    # What was exported needs no plugin.
    done = cli(
        *("fill", tmp_path / "photo.png", "--mask", tmp_path / "mask.png"),
        *("--out", tmp_path / "filled.png", "--model", tmp_path / "unet.onnx"),
    )
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "photo.png") as a, Image.open(tmp_path / "filled.png") as b:
        changed = (np.asarray(a) != np.asarray(b)).any(-1)
    assert changed.any()
    assert not changed[hole == 0].any()


@pytest.mark.usefixtures("registries")
def test_go_on_with_a_model_whose_file_has_moved(
    command: Run, cli: Run, page: Page, settings: Settings, examples: Path, tmp_path: Path
) -> None:
    path = page("my_model.py")
    config = settings("my_model.py", model='name = "unet"')
    run = tmp_path / "run"
    arguments = ("train", "--data", examples, "--out", run)
    done = command(
        *arguments, "--config", config, "--set", "train.stages=[{steps=2, crop=32, batch=2}]"
    )
    assert done.returncode == 0, done.stderr
    done = command(*arguments, "--resume")
    assert done.returncode == 0, done.stderr
    assert "resuming" in done.stderr
    moved = path.rename(tmp_path / "elsewhere.py")
    done = command("export", run, "--out", tmp_path / "unet.onnx")
    assert done.returncode == 2
    assert f"the plugin {path} is not there" in done.stderr
    # Where nothing knows the model yet.
    done = cli("export", run, "--out", tmp_path / "unet.onnx", "--plugin", moved)
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("registries")
def test_add_a_loss(
    command: Run, page: Page, settings: Settings, examples: Path, tmp_path: Path
) -> None:
    page("my_loss.py")
    config = settings("my_loss.py", loss="extra = { tv = 0.5 }\nmatch = 0.0\ncoarse = 0.0")
    run = tmp_path / "run"
    done = command("train", "--data", examples, "--out", run, "--config", config)
    assert done.returncode == 0, done.stderr
    first = rows(run)[0]
    assert float(first["tv"]) > 0
    total = 2 * float(first["l1"]) + 0.5 * float(first["tv"])
    assert float(first["generator"]) == pytest.approx(total, rel=1e-4)


@pytest.mark.usefixtures("registries")
def test_add_a_mask_preset(
    cli: Run, page: Page, settings: Settings, examples: Path, tmp_path: Path
) -> None:
    page("my_preset.py")
    config = settings("my_preset.py", data="masks = { checkerboard = 1.0 }\nworkers = 1")
    run = tmp_path / "run"
    # The process that makes the batches has to know it as well.
    done = cli("train", "--data", examples, "--out", run, "--config", config)
    assert done.returncode == 0, done.stderr
    assert load(run / "config.toml").data.masks == {"checkerboard": 1.0}


@pytest.mark.usefixtures("registries")
def test_holes_of_a_new_preset(page: Page) -> None:
    plugins.load([str(page("my_preset.py"))])
    one, two = (presets.sample("checkerboard", 96, 64, np.random.default_rng(3)) for _ in range(2))
    assert one.shape == (96, 64)
    assert one.dtype == bool
    assert 0.3 < one.mean() < 0.7
    assert (one == two).all()


@pytest.mark.usefixtures("registries")
def test_add_an_engine(page: Page, tmp_path: Path) -> None:
    plugins.load([str(page("my_engine.py"))])
    path = tmp_path / "mean.npz"
    np.savez(path, colour=np.array([1.0, -1.0, 0.0]))
    assert open_engine(path).name == "one colour"
    photo = np.full((64, 64, 3), 100, np.uint8)
    hole = np.zeros((64, 64), bool)
    hole[20:40, 20:40] = True
    filled = Inpainter(path)(image=photo, mask_image=hole)
    assert (filled[~hole] == 100).all()


@pytest.mark.usefixtures("registries")
def test_add_a_baseline_and_a_metric(
    command: Run,
    page: Page,
    examples: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("bee", "coffee"):
        with Image.open(examples / f"{name}.jpg") as photo:
            photo.crop((0, 0, 96, 96)).save(photos / f"{name}.png")
    # Random features stand in for LPIPS: what is registered is asked, not the numbers.
    generator = torch.Generator().manual_seed(0)
    convolutions = [m for m in Lpips("alex").features if isinstance(m, torch.nn.Conv2d)]
    state = {}
    for number, (place, layer) in enumerate(zip((0, 3, 6, 8, 10), convolutions, strict=True)):
        shape = layer.weight.shape
        state[f"features.{place}.weight"] = torch.randn(shape, generator=generator) / 30
        state[f"features.{place}.bias"] = torch.zeros(shape[0])
        state[f"lin{number}"] = torch.ones(1, shape[0], 1, 1)
    save_file(state, tmp_path / third_party.MODELS["lpips_alex"].file)
    monkeypatch.setenv(third_party.FOLDER_VARIABLE, str(tmp_path))
    done = command(
        *("evaluate", "--data", photos, "--protocol", "centre", "--no-kid"),
        *("--fill", "mean_colour,median", "--out", tmp_path / "report"),
        *("--plugin", page("my_baseline.py"), "--plugin", page("my_metric.py")),
    )
    assert done.returncode == 0, done.stderr
    report = (tmp_path / "report" / "report.md").read_text()
    assert "worst pixel ↓" in report
    with (tmp_path / "report" / "table.csv").open() as file:
        found = {(row["method"], row["metric"]): row["value"] for row in csv.DictReader(file)}
    assert 0 < float(found["median", "worst"]) <= 255
