"""Spectral normalisation as the released DeepFill v2 code computes it.

"Spectral Normalization for Generative Adversarial Networks" (Miyato et al., ICLR 2018), with one
power iteration at each use. ``torch``'s own differs in two things: it keeps the right singular
vector and starts from that, and it takes both vectors as constants. Here the left one is kept, as
in released checkpoints, and the gradient passes through the iteration.
"""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from freefill.lab.layers.precision import float32

EPSILON = 1e-12
"""Added to a norm before dividing by it."""

Layer = TypeVar("Layer", nn.Conv2d, nn.Linear)


class SpectralNorm(nn.Module):
    """Divides a weight by an estimate of its largest singular value.

    Args:
        channels: Outputs of the layer.

    Shape:
        ``(channels, ...)`` to the same shape; the matrix is ``channels`` by everything else. In
        training mode the estimate is kept for the next use.
    """

    u: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("u", nn.init.trunc_normal_(torch.empty(channels)))

    def forward(self, weight: Tensor) -> Tensor:
        """Normalise a weight."""
        # In bf16 the estimate would be off by more than it changes from step to step.
        with float32():
            matrix = weight.flatten(1)
            # A copy: the layer may be used again, and changed, before the gradient is asked for.
            v = _unit(matrix.t() @ self.u.to(matrix).clone())
            u = _unit(matrix @ v)
            if self.training:
                with torch.no_grad():
                    self.u.copy_(u)
            largest = u @ (matrix @ v)
            return weight / largest


def spectral_norm(layer: Layer) -> Layer:
    """Normalise the weight of a layer, in place.

    Args:
        layer: A convolution or a linear layer.

    Returns:
        The same layer.

    Examples:
        >>> layer = spectral_norm(nn.Linear(3, 2))
        >>> for _ in range(50):
        ...     weight = layer.weight
        >>> bool(torch.linalg.matrix_norm(weight, 2) < 1.001)
        True
    """
    parametrize.register_parametrization(layer, "weight", SpectralNorm(layer.weight.shape[0]))
    return layer


def _unit(vector: Tensor) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(vector)
    return vector / (norm + EPSILON)
