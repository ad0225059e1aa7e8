"""One step of training: the generator's, the discriminator's, and the average that follows.

The two share one batch and its composites, so that the generator runs once, unless
``train.separate_batches`` is set. No value is taken to the CPU in here and no size depends on the
data, so that a GPU never waits: a test runs the whole step on torch's ``meta`` device, where either
is an error.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from lightning_fabric import Fabric
from torch import Tensor

from freefill.lab.config import Config
from freefill.lab.data.batches import Batch
from freefill.lab.training import losses
from freefill.lab.training.discriminator_step import DiscriminatorStep
from freefill.lab.training.generator_step import GeneratorStep
from freefill.lab.training.networks import Networks
from freefill.lab.training.windows import WindowTable


class Step:
    """Takes steps.

    Args:
        fabric: Joins the processes, and knows the precision.
        config: All settings.
        networks: What is trained.
    """

    def __init__(self, fabric: Fabric, config: Config, networks: Networks) -> None:
        self.fabric, self.config, self.networks = fabric, config, networks
        self.generate = GeneratorStep(fabric, config, networks)
        self.discriminate = DiscriminatorStep(fabric, config.loss, networks)
        self.windows: WindowTable | None = None
        if networks.perceptual is not None:
            device = next(networks.bare_generator.parameters()).device
            self.windows = WindowTable(fabric, config.train, networks.perceptual, device)

    def __call__(self, step: int, batch: Batch, own: Sequence[Batch] = ()) -> dict[str, Tensor]:
        """Take one.

        Args:
            step: Its number, from 0.
            batch: What the generator learns from, and the discriminator, too.
            own: One batch of the discriminator's own, if it has one; it steps first then.

        Returns:
            The losses, by name, as scalars on the device.
        """
        stage = self.config.train.stage_at(step)
        parts = batch.parts(self.config.train.accumulate)
        windows = self.windows.at(step) if self.windows is not None else []
        near = self._near_lines(batch, len(parts))
        values: dict[str, Tensor] = {}
        if own and stage.adversarial:
            with torch.no_grad():
                views = [self.generate.fill(part) for part in own[0].parts(len(parts))]
            values |= self.discriminate(step, views)
        made, views = self.generate(stage, parts, windows, near)
        values |= made
        if stage.adversarial and not own:
            values |= self.discriminate(step, views)
        self.networks.ema.update(self.networks.bare_generator, step)
        return values

    def _near_lines(self, batch: Batch, parts: int) -> Tensor | None:
        """Count pixels near lines over all processes, whose shares have more or fewer of them."""
        if not self.config.loss.sketch or batch.guidance is None:
            return None
        near: Tensor = self.fabric.all_reduce(losses.near_lines(batch.guidance[:, :1]))
        return near / parts
