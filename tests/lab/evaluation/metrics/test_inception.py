"""Inception features: what reaches the network, through a module that gives its input back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from freefill.errors import ReferenceMissingError
from freefill.lab.evaluation.metrics.inception import features


class Echo(nn.Module):
    """Gives each picture's input, and how many came with it."""

    def forward(self, x: Tensor) -> Tensor:
        together = torch.full((x.shape[0], 1), float(x.shape[0]))
        return torch.cat([x.flatten(1), together], 1)


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("inception") / "echo.pt"
    torch.jit.script(Echo()).save(str(path))
    return path


def inputs(path: Path, *pictures: np.ndarray) -> np.ndarray:
    found = features(pictures, weights=path)
    assert found.dtype == np.float32
    return found[:, :-1].reshape(-1, 3, 299, 299)


def noise(*size: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)


def test_picture_of_the_right_size_is_only_scaled(echo: Path) -> None:
    picture = noise(299, 299)
    picture[0, :2, 0] = 0, 255
    (found,) = inputs(echo, picture)
    np.testing.assert_array_equal(
        found, (picture.transpose(2, 0, 1).astype(np.float32) - 128) / 128
    )
    assert (found.min(), found.max()) == (-1, 127 / 128)


def bicubic(length: int) -> np.ndarray:
    """Pillow's bicubic filter (a = -0.5), widened to antialias, as a matrix ``(299, length)``."""
    scale = max(length / 299, 1)
    centre = (np.arange(299)[:, None] + 0.5) * length / 299
    t = np.abs(np.arange(length) + 0.5 - centre) / scale
    near, far = 1.5 * t**3 - 2.5 * t**2 + 1, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    weight = np.where(t < 1, near, np.where(t < 2, far, 0))
    return weight / weight.sum(1, keepdims=True)


@pytest.mark.parametrize("size", [(64, 80), (299, 512), (700, 420)])
def test_resize(echo: Path, size: tuple[int, int]) -> None:
    # Black and white alone: the filter overshoots.
    picture = np.where(noise(*size) < 128, np.uint8(0), np.uint8(255))
    planes = bicubic(size[0]) @ picture.transpose(2, 0, 1) @ bicubic(size[1]).T
    assert planes.min() < 0
    assert planes.max() > 255
    expected = (planes.clip(0, 255) - 128) / 128
    # Pillow rounds to float32 between its passes, and to no grey level (which is 8e-3).
    np.testing.assert_allclose(inputs(echo, picture)[0], expected, atol=2e-6)


def test_order_and_batches(echo: Path) -> None:
    pictures = [np.full((30 + i, 40, 3), 10 * i, np.uint8) for i in range(7)]
    found = features(pictures, 3, echo)
    assert found.shape == (7, 3 * 299 * 299 + 1)
    assert found[:, -1].tolist() == [3, 3, 3, 3, 3, 3, 1]
    np.testing.assert_allclose(found[:, :-1].mean(1) * 128 + 128, 10 * np.arange(7), atol=1e-3)
    np.testing.assert_array_equal(features(pictures, 16, echo)[:, :-1], found[:, :-1])


def test_pictures_are_read_one_batch_at_a_time(echo: Path) -> None:
    class Counted(list[np.ndarray]):
        read = 0

        def __getitem__(self, index: object) -> np.ndarray:  # type: ignore[override]
            self.read += 1
            if self.read == 4:
                raise InterruptedError
            return super().__getitem__(index)  # type: ignore[index,no-any-return]

    pictures = Counted([noise(20, 20)] * 6)
    with pytest.raises(InterruptedError):
        features(pictures, 2, echo)
    assert pictures.read == 4


def test_refuses(echo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="not 0 and 16"):
        features([], weights=echo)
    with pytest.raises(ValueError, match="not 1 and 0"):
        features([noise(20, 20)], 0, echo)
    with pytest.raises(ValueError, match=r"features takes .*not \(20, 20\)"):
        features([noise(20, 20)[..., 0]], weights=echo)
    with pytest.raises(ValueError, match="float64"):
        features([noise(20, 20) / 255], weights=echo)
    monkeypatch.setenv("FREEFILL_REFERENCES", str(tmp_path))
    with pytest.raises(ReferenceMissingError, match="freefill references inception"):
        features([noise(20, 20)])
