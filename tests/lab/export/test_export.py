"""Export: the same numbers in ONNX Runtime, half the bytes, or nothing at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from freefill.errors import CheckpointError, WeightsError
from freefill.lab.config import from_dict
from freefill.lab.export import onnx as onnx_export
from freefill.lab.export.export import count_macs, export, starting_point
from freefill.lab.export.onnx import stored_in
from freefill.lab.models.light import Light
from freefill.lab.training import checkpoint
from freefill.pipeline.engines.onnx import OnnxEngine
from freefill.types import GUIDANCE_CHANNELS

MODEL = {"channels": (8, 8, 16), "dilations": (1, 2), "deep_dilations": (1,)}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    torch.manual_seed(0)
    network = Light(**MODEL)
    with torch.no_grad():
        for parameter in network.parameters():
            # Equal tensors (the zeros that biases start from) are stored once by the exporter.
            parameter.add_(torch.randn_like(parameter) * 0.01)
        network.guide.weight.zero_()
    checkpoint.save(
        folder,
        {
            "step": 3,
            "seconds": 60.0,
            "cpu_seconds": 120.0,
            "photos": 7,
            "hardware": "test",
            "started_from": "random weights",
            "command": "freefill train",
            "config": from_dict({"model": MODEL}).to_dict(),
            "ema": network.state_dict(),
        },
    )
    return folder


@pytest.fixture(scope="module")
def exported(run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The run's ONNX file, which no test changes, and the card that was given back."""
    out = tmp_path_factory.mktemp("exported") / "w.onnx"
    card = export(run, out, notes={"licence": "CC BY-NC 4.0"}, on_message=lambda _: None)
    return out, card


def test_files_agree_with_each_other(exported: tuple[Path, dict[str, Any]]) -> None:
    out, card = exported
    assert json.loads(out.with_suffix(".json").read_text()) == card
    assert card["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert card["licence"] == "CC BY-NC 4.0"
    assert card["training"]["photos"] == 7
    assert card["parity"]["largest_difference"] < onnx_export.TOLERANCE
    tensors = load_file(out.with_suffix(".safetensors"))
    assert card["parameters"] == sum(t.numel() for t in tensors.values())
    assert all(t.dtype == torch.float16 for t in tensors.values())

    # An independent look: torch with the safetensors' weights, ONNX through the runtime's engine.
    network = Light(**MODEL).eval()
    network.load_state_dict({k: v.float() for k, v in tensors.items()})
    image, hole = torch.rand(2, 3, 80, 48) * 2 - 1, (torch.rand(2, 1, 80, 48) < 0.5).float()
    with torch.no_grad():
        expected = network(image, hole).numpy()
    found = OnnxEngine(out, 1).predict(image.numpy(), hole.numpy())
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_guided_weights_follow_and_take_none_at_no_cost(
    run: Path, exported: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    state = checkpoint.load(run)
    state["ema"]["guide.weight"].normal_(0, 0.1)
    config = {"model": MODEL, "guidance": {"sketch": 0.5}}
    checkpoint.save(tmp_path, state | {"config": from_dict(config).to_dict()})
    out = tmp_path / "weights.onnx"
    card = export(tmp_path, out, on_message=lambda _: None)
    assert card["sketch"] is True
    engine = OnnxEngine(out, 1)
    assert engine.guided
    network = Light(**MODEL).eval()
    network.load_state_dict(
        {k: v.float() for k, v in load_file(out.with_suffix(".safetensors")).items()}
    )
    image, hole = torch.rand(2, 3, 48, 80) * 2 - 1, (torch.rand(2, 1, 48, 80) < 0.5).float()
    guidance = torch.rand(2, GUIDANCE_CHANNELS, 48, 80) * hole
    for given in ((), (guidance,)):
        with torch.no_grad():
            expected = network(image, hole, *given).numpy()
        found = engine.predict(image.numpy(), hole.numpy(), *(g.numpy() for g in given))
        np.testing.assert_allclose(found, expected, atol=1e-4)
    assert "guide.weight" in starting_point(str(out)).weights
    # The run that was not guided made a file without the input.
    assert not OnnxEngine(exported[0], 1).guided


def test_weights_are_stored_as_half(exported: tuple[Path, dict[str, Any]]) -> None:
    model = onnx.load(exported[0])
    stored = stored_in(model)
    kinds = {t.data_type for t in stored.values() if np.prod(t.dims) >= 16}
    assert kinds == {onnx.TensorProto.FLOAT16}
    # What else is stored are constants, and little.
    others = len(model.SerializeToString()) - sum(len(t.raw_data) for t in stored.values())
    assert others < 200_000


def test_what_is_constant_is_computed_before_the_file_is_written(
    exported: tuple[Path, dict[str, Any]],
) -> None:
    graph = onnx.load(exported[0]).graph
    constant = {tensor.name for tensor in graph.initializer}
    given = constant | {value.name for value in graph.input}
    assert len(given) == len(constant) + len(graph.input)
    folded = [node.op_type for node in graph.node if constant.issuperset(filter(None, node.input))]
    # What is left is computed from weights, when the file is loaded.
    assert set(folded) <= {"Cast", "Div"}


def test_exported_weights_can_be_started_from(
    run: Path, exported: tuple[Path, dict[str, Any]]
) -> None:
    out, _ = exported
    tensors = load_file(out.with_suffix(".safetensors"))
    read = starting_point(str(out)).weights
    assert set(tensors) - set(read) == {"guide.weight"}
    for name, tensor in read.items():
        torch.testing.assert_close(tensor, tensors[name].float(), rtol=0, atol=0)
    assert set(starting_point(str(run)).weights) == set(tensors)
    assert set(starting_point(str(out.with_suffix(".safetensors"))).weights) == set(tensors)


def test_what_a_run_starts_from_keeps_its_licence(
    run: Path, exported: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    # Without the card beside them.
    for ending in (".onnx", ".safetensors"):
        shutil.copy(exported[0].with_suffix(ending), tmp_path)
    for name in ("w.onnx", "w.safetensors"):
        card = starting_point(str(tmp_path / name)).card
        assert card["licence"] == "CC BY-NC 4.0"
        assert card["architecture"] == "light"
        assert "sha256" not in card
    assert starting_point("light").card["licence"]
    state = checkpoint.load(run)
    checkpoint.save(tmp_path, state | {"source_card": {"licence": "CC0", "training": 3}})
    card = starting_point(str(tmp_path)).card
    assert card == {"licence": "CC0", "training": {"config": state["config"]}}
    assert set(starting_point(str(run)).card) == {"training"}
    with pytest.raises(WeightsError, match="there is light"):
        starting_point("heavy")


def test_refuses_when_torch_and_onnx_differ(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = onnx_export.to_onnx

    def wrong(network: torch.nn.Module, *, guided: bool) -> onnx.ModelProto:
        model = honest(network, guided=guided)
        with torch.no_grad():
            network.to_rgb.bias.add_(0.01)
        return model

    monkeypatch.setattr("freefill.lab.export.export.to_onnx", wrong)
    with pytest.raises(WeightsError, match=r"differ by 0\.01"):
        export(run, tmp_path / "w.onnx", on_message=lambda _: None)
    assert not list(tmp_path.iterdir())


def test_multiplications_are_counted_by_shapes_where_these_decide() -> None:
    network = nn.Conv2d(3, 4, 3, padding=1)

    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = network

        def forward(self, image: torch.Tensor, hole: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self.layer(image * (1 - hole))
            return found

    class Choosing(Plain):
        """Works on the columns that have a hole, as many as there are."""

        def forward(self, image: torch.Tensor, hole: torch.Tensor) -> torch.Tensor:
            return super().forward(image[..., hole[0, 0, 0] > 0], hole[..., :1])

    assert count_macs(Plain(), 32) == 32 * 32 * 4 * 3 * 9
    assert count_macs(Choosing(), 32) == 16 * 32 * 4 * 3 * 9
    # Neither has left the device where it was.
    assert network.weight.device.type == "cpu"


@pytest.mark.parametrize("name", ["big.onnx", "big.safetensors"])
def test_ten_gigabytes_are_not_started_from(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.touch()
    os.truncate(path, 10 * 2**30)
    start = time.perf_counter()
    with pytest.raises(WeightsError, match=r"has 10,737,418,240 bytes, more than 536,870,912"):
        starting_point(str(path))
    assert time.perf_counter() - start < 1


def test_refuses_other_endings_and_missing_runs(run: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"\.onnx"):
        export(run, tmp_path / "w.pt")
    with pytest.raises(CheckpointError, match="does not exist"):
        export(tmp_path / "nothing", tmp_path / "w.onnx")
    (tmp_path / "bad.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(CheckpointError, match=r"bad\.safetensors"):
        starting_point(str(tmp_path / "bad.safetensors"))
    with pytest.raises(WeightsError, match="there is light"):
        starting_point("heavy")
