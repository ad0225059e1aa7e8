"""Weights of before go on under the names of today."""

from __future__ import annotations

import re

import numpy as np
import torch

from freefill.lab.config import from_dict
from freefill.lab.export.export import load_network
from freefill.lab.models import build_generator
from freefill.lab.models.light import Light
from freefill.lab.models.light_names import completed, renamed
from freefill.pipeline.engines.onnx import OnnxEngine
from freefill.weights.registry import find


def before(name: str) -> str:
    """Give the name that a tensor had."""
    if match := re.match(r"deep([12])\.(\d)\.(.*)", name):
        return f"deep.{int(match[2]) + 2 * (int(match[1]) - 1)}.{match[3]}"
    name = name.replace("to_queries", "to_wanted").replace("to_keys", "to_offered")
    return (
        re.sub(r"^(refine|embed)([12])\.(?:0\.(?=conv\.))?", r"\1\2.", name)
        .replace("refine", "mend")
        .replace("embed", "see")
    )


def test_every_tensor_finds_its_name() -> None:
    network = Light(deepest_dilations=(), attention=0)
    state = network.state_dict()
    old = {before(name): tensor for name, tensor in state.items()}
    assert "mend1.conv.conv.weight" in old
    assert "deep.3.conv.conv.bias" in old
    again = renamed(old)
    assert again.keys() == state.keys()
    assert all(torch.equal(again[name], tensor) for name, tensor in state.items())
    # Those of today keep theirs.
    assert renamed(state).keys() == state.keys()


def test_a_card_of_before_gives_a_network_without_what_came_later() -> None:
    old = {"model": {"name": "light", "deep_dilations": [1, 2]}, "train": {"lr": 0.1}}
    network = build_generator(from_dict(completed(old)).model)
    assert not len(network.deepest)
    assert not len(network.attention)
    assert "deepest_dilations" not in old["model"]
    new = {"model": {"name": "light", "deepest_dilations": [1]}}
    assert completed(new) is new
    other = {"model": {"name": "deepfill"}}
    assert completed(other) is other


def test_the_bundled_network_in_torch_fills_as_its_onnx_file() -> None:
    rng = np.random.default_rng(0)
    image = rng.uniform(-1, 1, (1, 3, 96, 96)).astype(np.float32)
    hole = np.zeros((1, 1, 96, 96), np.float32)
    hole[..., 24:48, 24:64] = 1
    network = load_network("light")
    with torch.no_grad():
        found = network(torch.from_numpy(image), torch.from_numpy(hole)).numpy()
    expected = OnnxEngine(find("light").path, 1).predict(image, hole, None)
    np.testing.assert_allclose(found, expected, atol=1e-3)
