"""The paper's network written literally in eager torch, as its public ports are: what is compared.

Every patch is a filter of a convolution, every table of all patches by all patches is held whole,
fusing is a convolution of that table with an identity of 3x3, and each picture of a batch is looked
at alone. It computes the same numbers as ``freefill.lab.models.deepfill``, whose weights it takes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from freefill.lab.layers.padding import pad_same
from freefill.lab.layers.resize import nearest_aligned
from freefill.lab.models.deepfill import (
    COARSE,
    DILATED,
    JOINED,
    MATCHED,
    MATCHING,
    DeepFill,
    LayerSpec,
)


class Literal:
    """Runs the weights of a :class:`DeepFill` literally.

    Args:
        network: Gives the weights; its variant has to be that of the released code.
    """

    def __init__(self, network: DeepFill) -> None:
        self.layers = {name: layer.get_submodule("conv") for name, layer in network.layers.items()}

    @torch.no_grad()
    def __call__(self, image: Tensor, hole: Tensor) -> Tensor:
        """Predict whole pictures; shapes as for :class:`DeepFill`."""
        ones = torch.ones_like(hole)
        masked = image * (1 - hole)
        x1 = self.run(COARSE, torch.cat([masked, ones, ones * hole], 1))
        x = x1 * hole + masked
        dilated = self.run(DILATED, x)
        matched = self.run(MATCHING, x)
        small = nearest_aligned(hole, 4)
        matched = torch.cat([attend(m[None], s[None]) for m, s in zip(matched, small, strict=True)])
        matched = self.run(MATCHED, matched)
        return self.run(JOINED, torch.cat([dilated, matched], 1))

    def run(self, specs: tuple[LayerSpec, ...], x: Tensor) -> Tensor:
        """Run a list of layers."""
        for spec in specs:
            conv = self.layers[spec.name]
            assert isinstance(conv, nn.Conv2d)
            if spec.upsamples:
                x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = pad_same(x, spec.kernel, spec.stride, spec.dilation)
            x = F.conv2d(x, conv.weight, conv.bias, spec.stride, 0, spec.dilation)
            if spec.colours:
                return torch.tanh(x)
            features, gate = torch.split(x, spec.outputs // 2, 1)
            features = F.relu(features) if spec.name == "pmconv6" else F.elu(features)
            x = features * torch.sigmoid(gate)
        return x


def attend(x: Tensor, hole: Tensor) -> Tensor:
    """Contextual attention of one picture: ``(1, C, H, W)`` and its hole ``(1, 1, H, W)``."""
    height, width = x.shape[-2] // 2, x.shape[-1] // 2
    pasted = patches(x, 4, 2)
    small = nearest_aligned(x, 2)
    hole = nearest_aligned(hole, 2)
    filters = patches(small, 3, 1)
    known = (patches(hole, 3, 1).mean((1, 2, 3)) == 0).float().view(1, -1, 1, 1)
    norm = filters.square().sum((1, 2, 3), keepdim=True).sqrt().clamp(min=1e-4)
    scores = F.conv2d(F.pad(small, (1, 1, 1, 1)), filters / norm)

    identity = torch.eye(3).view(1, 1, 3, 3)
    n = height * width
    scores = F.conv2d(scores.view(1, 1, n, n), identity, padding=1)
    scores = scores.view(1, height, width, height, width).permute(0, 2, 1, 4, 3)
    scores = F.conv2d(scores.reshape(1, 1, n, n), identity, padding=1)
    scores = scores.view(1, width, height, width, height).permute(0, 2, 1, 4, 3)
    scores = scores.reshape(1, n, height, width)

    weights = torch.softmax(scores * known * 10, 1) * known
    return F.conv_transpose2d(weights, pasted, stride=2, padding=1) / 4


def patches(x: Tensor, kernel: int, stride: int) -> Tensor:
    """Cut patches with SAME padding, ``(1, C, H, W)`` to ``(N, C, kernel, kernel)``."""
    columns = F.unfold(pad_same(x, kernel, stride, 1), kernel, stride=stride)
    return columns[0].t().reshape(columns.shape[2], x.shape[1], kernel, kernel)
