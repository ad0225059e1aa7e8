"""LPIPS against an independent computation, with random weights (the real ones are not carried)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from freefill.errors import ReferenceMissingError
from freefill.lab.evaluation.metrics.lpips import lpips
from freefill.lab.models.lpips import Lpips

ALEX = {  # index in the published layout: (out, in, kernel, stride, padding, max-pool before)
    0: (64, 3, 11, 4, 2, False),
    3: (192, 64, 5, 1, 2, True),
    6: (384, 192, 3, 1, 1, True),
    8: (256, 384, 3, 1, 1, False),
    10: (256, 256, 3, 1, 1, False),
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    generator = torch.Generator().manual_seed(3)
    tensors = {}
    for number, (index, (o, i, k, *_)) in enumerate(ALEX.items()):
        tensors[f"features.{index}.weight"] = (
            torch.randn(o, i, k, k, generator=generator) / (i * k * k) ** 0.5
        )
        tensors[f"features.{index}.bias"] = torch.randn(o, generator=generator) * 0.1
        tensors[f"lin{number}"] = torch.rand(1, o, 1, 1, generator=generator)
    path = tmp_path_factory.mktemp("lpips") / "lpips_alex.safetensors"
    save_file(tensors, path)
    return path


def literal(path: Path, a: np.ndarray, b: np.ndarray) -> float:
    """Follow the paper's equation 1 stage by stage, in float64."""
    from safetensors.torch import load_file

    tensors = {k: v.double() for k, v in load_file(path).items()}
    shift = torch.tensor([-0.030, -0.088, -0.188], dtype=torch.float64)[None, :, None, None]
    scale = torch.tensor([0.458, 0.448, 0.450], dtype=torch.float64)[None, :, None, None]
    x, y = (
        (torch.from_numpy(p.astype(np.float64)).permute(2, 0, 1)[None] / 127.5 - 1 - shift) / scale
        for p in (a, b)
    )
    total = 0.0
    for number, (index, (_, _, _, stride, padding, pooled)) in enumerate(ALEX.items()):
        if pooled:
            x, y = F.max_pool2d(x, 3, 2), F.max_pool2d(y, 3, 2)
        w, bias = tensors[f"features.{index}.weight"], tensors[f"features.{index}.bias"]
        x, y = (F.relu(F.conv2d(p, w, bias, stride, padding)) for p in (x, y))
        lin = tensors[f"lin{number}"][0, :, 0, 0].numpy()
        u, v = x[0].numpy(), y[0].numpy()
        u = u / (np.linalg.norm(u, axis=0) + 1e-10)
        v = v / (np.linalg.norm(v, axis=0) + 1e-10)
        total += float(np.einsum("c,chw->hw", lin, (u - v) ** 2).mean())
    return total


@pytest.mark.parametrize("size", [(64, 64), (96, 71)])
def test_matches_literal(weights: Path, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 256, (*size, 3), dtype=np.uint8) for _ in range(2))
    assert lpips(a, b, weights=weights) == pytest.approx(literal(weights, a, b), rel=1e-4)


def test_is_zero_for_equal_and_grows_with_damage(weights: Path, photo: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 1, photo.shape)
    values = [
        lpips(np.clip(photo + s * noise, 0, 255).astype(np.uint8), photo, weights=weights)
        for s in (0, 8, 32)
    ]
    assert values[0] == 0
    assert values[0] < values[1] < values[2]


def test_only_the_first_picture_gets_a_gradient(weights: Path) -> None:
    metric = Lpips.load(weights, "alex")
    a, b = (torch.rand(1, 3, 64, 64, requires_grad=True) for _ in range(2))
    metric(a, b).sum().backward()
    assert a.grad is not None
    assert a.grad.abs().max() > 0
    assert b.grad is None
    assert all(p.grad is None for p in metric.parameters())


def test_refuses(weights: Path, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="target is"):
        lpips(photo, photo[:-1], weights=weights)
    with pytest.raises(ValueError, match="uint8"):
        lpips(photo / 255, photo, weights=weights)
    with pytest.raises(RuntimeError, match="Missing key"):
        Lpips.load(weights, "vgg")
    monkeypatch.setenv("FREEFILL_REFERENCES", str(weights.parent / "nothing"))
    with pytest.raises(ReferenceMissingError, match="freefill references lpips_alex"):
        lpips(photo, photo)
