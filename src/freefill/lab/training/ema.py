"""The exponential moving average of the generator's weights: what is previewed and exported."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class Ema:
    """Keeps a smoothed copy of a network.

    Args:
        network: The network that is trained.
        decay: Share of the old average that each step keeps. Early steps keep less
            (``(1 + t) / (10 + t)``), so that the first random weights are soon forgotten.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).requires_grad_(False).eval()
        self.decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Take in the weights after ``step`` (from 0)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        ours: list[Tensor] = list(self.network.parameters())
        torch._foreach_lerp_(ours, [p.detach().float() for p in network.parameters()], 1 - decay)
