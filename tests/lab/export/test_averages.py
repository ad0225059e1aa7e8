"""Average weights of a run made elsewhere: exported and started from as the run itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from freefill.errors import CheckpointError, WeightsError
from freefill.lab.config import from_dict
from freefill.lab.export import averages
from freefill.lab.export.export import export, starting_point
from freefill.lab.models.light import Light
from freefill.lab.training import checkpoint

MODEL = {"channels": (8, 8, 16), "dilations": (1, 2), "deep_dilations": (1,)}
SAID: dict[str, Any] = {
    "step": 3,
    "seconds": 60.0,
    "cpu_seconds": 120.0,
    "photos": 7,
    "hardware": "a GPU elsewhere",
    "started_from": "light",
    "source_card": {"name": "light", "licence": "Apache-2.0"},
    "command": "elsewhere.py",
    "config": from_dict({"model": MODEL}).to_dict(),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    found = tmp_path / "elsewhere"
    found.mkdir()
    tensors = {k: torch.randn_like(v) * 0.05 for k, v in Light(**MODEL).state_dict().items()}
    tensors = {k: v * (not k.startswith("guide.")) for k, v in tensors.items()}
    save_file({k: v.half() for k, v in tensors.items()}, found / "average.safetensors")
    (found / "run.json").write_text(json.dumps(SAID))
    return found


def test_is_exported_with_what_the_run_says(folder: Path, tmp_path: Path) -> None:
    card = export(folder, tmp_path / "w.onnx", on_message=lambda _: None)
    assert card["training"]["hardware"] == "a GPU elsewhere"
    assert (card["training"]["steps"], card["training"]["started_from"]) == (3, "light")
    assert card["base"] == {"name": "light", "licence": "Apache-2.0"}
    given, written = load_file(folder / averages.TENSORS), load_file(tmp_path / "w.safetensors")
    assert given.keys() == written.keys()
    assert all(torch.equal(given[k], written[k]) for k in given)


@pytest.mark.parametrize("name", ["", averages.TENSORS])
def test_a_run_starts_from_the_folder_and_from_its_tensors(folder: Path, name: str) -> None:
    given = load_file(folder / averages.TENSORS)
    found = starting_point(str(folder / name)).weights
    assert found.keys() == given.keys()
    assert all(torch.equal(found[k], given[k].float()) for k in given)
    card = starting_point(str(folder / name)).card
    assert card["licence"] == "Apache-2.0"
    assert card["training"]["config"]["model"]["channels"] == [8, 8, 16]


def test_a_folder_with_a_checkpoint_is_a_run(folder: Path) -> None:
    checkpoint.save(folder, SAID | {"step": 4, "ema": {}})
    assert not averages.is_average(folder)
    assert averages.load(folder)["step"] == 4


def test_what_is_missing_or_damaged_is_named(folder: Path) -> None:
    said = folder / averages.RUN
    said.write_text(json.dumps({k: v for k, v in SAID.items() if k not in ("photos", "config")}))
    with pytest.raises(CheckpointError, match=r"run\.json lacks photos, config"):
        averages.load(folder)
    said.write_text("[]")
    with pytest.raises(CheckpointError, match="holds a list"):
        averages.load(folder)
    said.write_text("{")
    with pytest.raises(CheckpointError, match=r"run\.json is not JSON"):
        averages.load(folder)
    said.unlink()
    with pytest.raises(CheckpointError, match=r"run\.json"):
        averages.load(folder / averages.TENSORS)
    said.write_text(json.dumps(SAID))
    (folder / averages.TENSORS).write_bytes(b"x" * 100)
    with pytest.raises(WeightsError, match="no safetensors file"):
        averages.load(folder)
