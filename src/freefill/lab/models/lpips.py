"""LPIPS v0.1: the distance between two pictures in the features of a classification network.

"The Unreasonable Effectiveness of Deep Features as a Perceptual Metric" (Zhang et al., CVPR 2018).
With the AlexNet trunk it is the reported metric; with VGG16 it is a training loss. The two are
kept apart on purpose: weights trained on the metric they are measured with flatter themselves.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

Trunk = Literal["alex", "vgg"]


class Lpips(nn.Module):
    """The LPIPS distance, frozen.

    Args:
        trunk: ``"alex"`` or ``"vgg"``.

    Shape:
        Two batches ``(B, 3, H, W)`` in [-1, 1], RGB, at least 32 pixels a side; returns ``(B,)``.

    Raises:
        ValueError: If ``trunk`` is neither.
    """

    def __init__(self, trunk: Trunk = "alex") -> None:
        super().__init__()
        if trunk == "alex":
            self.features, widths = _alexnet()
        elif trunk == "vgg":
            self.features, widths = _vgg16()
        else:
            raise ValueError(f"trunk is {trunk!r}; it must be 'alex' or 'vgg'")
        self.taps = {i for i, m in enumerate(self.features) if isinstance(m, nn.Identity)}
        for i, width in enumerate(widths):
            self.register_buffer(f"lin{i}", torch.zeros(1, width, 1, 1))
        self.register_buffer("shift", torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1))
        self.requires_grad_(False).eval()

    @classmethod
    def load(cls, path: Path, trunk: Trunk = "alex") -> Lpips:
        """Read the weights of a reference file.

        Args:
            path: ``lpips_alex.safetensors`` or ``lpips_vgg.safetensors``.
            trunk: The trunk that the file holds.

        Returns:
            The metric, in eval mode, without gradients for its own weights.

        Raises:
            RuntimeError: If the file holds other tensors.
        """
        metric = cls(trunk)
        state = load_file(path) | {"shift": metric.shift, "scale": metric.scale}
        # The file numbers layers without the Identity taps that are put behind each stage here.
        plain = [i for i, m in enumerate(metric.features) if not isinstance(m, nn.Identity)]
        renamed = {}
        for key, value in state.items():
            if key.startswith("features."):
                _, number, kind = key.split(".")
                key = f"features.{plain[int(number)]}.{kind}"
            renamed[key] = value
        metric.load_state_dict(renamed, strict=True)
        return metric

    def stages(self, x: Tensor) -> list[Tensor]:
        """Give the unit-length features of the five stages, each ``(B, C, h, w)``."""
        x = (x - self.get_buffer("shift")) / self.get_buffer("scale")
        found = []
        for i, layer in enumerate(self.features):
            x = layer(x)
            if i in self.taps:
                # float32: the squares of bf16 features lose what the distance is made of.
                y = x.float()
                found.append(y / (y.square().sum(1, keepdim=True).sqrt() + 1e-10))
        return found

    def between(self, a: list[Tensor], b: list[Tensor]) -> Tensor:
        """Give the distance of each pair, ``(B,)``, from what :meth:`stages` gave for both."""
        total = torch.zeros(a[0].shape[0], device=a[0].device)
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            lin = self.get_buffer(f"lin{i}")
            total = total + F.conv2d((x - y).square(), lin).mean((1, 2, 3))
        return total

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Give the distance of each pair, ``(B,)``; ``b`` gets no gradient."""
        with torch.no_grad():
            target = self.stages(b)
        return self.between(self.stages(a), target)


def _alexnet() -> tuple[nn.Sequential, tuple[int, ...]]:
    layers = nn.Sequential(
        *(nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.Identity()),
        *(nn.MaxPool2d(3, 2), nn.Conv2d(64, 192, 5, 1, 2), nn.ReLU(), nn.Identity()),
        *(nn.MaxPool2d(3, 2), nn.Conv2d(192, 384, 3, 1, 1), nn.ReLU(), nn.Identity()),
        *(nn.Conv2d(384, 256, 3, 1, 1), nn.ReLU(), nn.Identity()),
        *(nn.Conv2d(256, 256, 3, 1, 1), nn.ReLU(), nn.Identity()),
    )
    return layers, (64, 192, 384, 256, 256)


def _vgg16() -> tuple[nn.Sequential, tuple[int, ...]]:
    layers: list[nn.Module] = []
    channels = 3
    widths = (64, 128, 256, 512, 512)
    for stage, (repeats, width) in enumerate(zip((2, 2, 3, 3, 3), widths, strict=True)):
        if stage:
            layers.append(nn.MaxPool2d(2))
        for _ in range(repeats):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
        layers.append(nn.Identity())
    return nn.Sequential(*layers), widths
