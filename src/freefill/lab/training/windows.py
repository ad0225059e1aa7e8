"""Which windows the perceptual loss looks through in a step: a function of seed and step alone."""

from __future__ import annotations

import torch
from lightning_fabric import Fabric
from torch import Tensor

from freefill.lab.config import TrainConfig
from freefill.lab.training.losses import PerceptualLoss

Windows = tuple[list[float], Tensor]
"""Scales and places of the perceptual loss's windows."""
BLOCK = 64
"""Steps that windows are drawn for at once."""


class WindowTable:
    """Draws windows for many steps at once, as a GPU waits for each table that is brought to it.

    Args:
        fabric: Joins the processes, each of which has its share of the windows.
        settings: Seed, stages and number of parts.
        perceptual: What looks through them.
        device: Where the network is.
    """

    def __init__(
        self,
        fabric: Fabric,
        settings: TrainConfig,
        perceptual: PerceptualLoss,
        device: torch.device,
    ) -> None:
        self.fabric, self.settings = fabric, settings
        self.perceptual, self.device = perceptual, device
        self.block: tuple[int, list[Windows]] = (-1, [])

    def at(self, step: int) -> list[Windows]:
        """Give the windows of this process's share of a step, part by part."""
        if step // BLOCK != self.block[0]:
            self.block = (step // BLOCK, self._drawn(step // BLOCK))
        scales, taken = self.block[1][step % BLOCK]
        mine = taken.chunk(self.fabric.world_size, 1)[self.fabric.global_rank]
        return [(scales, part) for part in mine.chunk(self.settings.accumulate, 1)]

    def _drawn(self, block: int) -> list[Windows]:
        tables = []
        for number in range(block * BLOCK, min((block + 1) * BLOCK, self.settings.steps)):
            source = torch.Generator().manual_seed(self.settings.seed * 1_000_003 + number)
            tables.append(self.perceptual.draw(self.settings.stage_at(number).batch, source))
        places = torch.cat([table[:, 1:] for table in tables], 1).to(self.device)
        drawn, first = list[Windows](), 0
        for table in tables:
            last = first + table.shape[1] - 1
            drawn.append((table[:, 0].tolist(), places[:, first:last]))
            first = last
        return drawn
