"""What tests of the tools share: a run from elsewhere, exported once, and networks of metrics."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from freefill.lab.config import from_dict
from freefill.lab.export.export import export
from freefill.lab.models.light import Light
from freefill.lab.models.lpips import Lpips
from freefill.weights import third_party

MODEL = {"channels": (8, 8, 16), "dilations": (1, 2), "deep_dilations": (1,)}


@pytest.fixture(scope="session")
def new(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the exported weights of a run, `run`: the one export of these tests."""
    folder = tmp_path_factory.mktemp("new")
    run = _run_elsewhere(folder / "run")
    with pytest.MonkeyPatch.context() as patch:
        # The time of a pass over 512x512, for a number that nothing here asks for.
        patch.setattr("freefill.lab.export.export.count_macs", lambda network, side: side * 10**7)
        export(run, folder / "light.onnx", on_message=lambda _: None)
    return folder


def _run_elsewhere(folder: Path) -> Path:
    torch.manual_seed(1)
    network = Light(**MODEL)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.01)
    folder.mkdir()
    tensors = {k: v.half().contiguous() for k, v in network.state_dict().items()}
    save_file(tensors, folder / "average.safetensors")
    config = from_dict({"model": MODEL, "guidance": {"sketch": 0.5}}).to_dict()
    said = {"step": 3, "seconds": 60, "cpu_seconds": 90, "photos": 7, "hardware": "a GPU"}
    (folder / "run.json").write_text(json.dumps(said | {"config": config}))
    return folder


@pytest.fixture(scope="session")
def ruined() -> Callable[[bytes], bytes]:
    """Give the same network with noise for detail; a wrong mean would be blended away."""

    def ruin(content: bytes) -> bytes:
        model = onnx.load_from_string(content)
        (weight,) = [t for t in model.graph.initializer if t.name.startswith("to_rgb.weight")]
        array = onnx.numpy_helper.to_array(weight)
        weight.CopyFrom(onnx.numpy_helper.from_array(array * array.dtype.type(40), weight.name))
        return model.SerializeToString()

    return ruin


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Any:
    """Small pictures are measured faster by one thread than by two that wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def _reference_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LPIPS with random weights."""
    generator = torch.Generator().manual_seed(5)
    convolutions = [m for m in Lpips("alex").features if isinstance(m, nn.Conv2d)]
    tensors = {}
    for number, (place, layer) in enumerate(zip((0, 3, 6, 8, 10), convolutions, strict=True)):
        shape = layer.weight.shape
        scale = shape[1:].numel() ** 0.5
        tensors[f"features.{place}.weight"] = torch.randn(shape, generator=generator) / scale
        tensors[f"features.{place}.bias"] = torch.zeros(shape[0])
        tensors[f"lin{number}"] = torch.rand(1, shape[0], 1, 1, generator=generator)
    folder = tmp_path_factory.mktemp("networks")
    save_file(tensors, folder / third_party.MODELS["lpips_alex"].file)
    return folder


@pytest.fixture(scope="module", autouse=True)
def _references(_reference_folder: Path) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(third_party.FOLDER_VARIABLE, str(_reference_folder))
        patch.setattr(third_party, "fetch", lambda name, on_message: third_party.path(name))
        yield
