"""The discriminator's half of a training step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from lightning_fabric import Fabric
from torch import Tensor

from freefill.lab.config import LossConfig
from freefill.lab.training import losses
from freefill.lab.training.means import add
from freefill.lab.training.networks import Networks, View


class DiscriminatorStep:
    """Pushes the scores of true pictures above 1 and those of filled ones below -1.

    Args:
        fabric: Joins the processes, and knows the precision.
        settings: The R1 penalty.
        networks: What is trained.
    """

    def __init__(self, fabric: Fabric, settings: LossConfig, networks: Networks) -> None:
        self.fabric, self.settings, self.networks = fabric, settings, networks

    def __call__(self, step: int, views: Sequence[View]) -> dict[str, Tensor]:
        """Take one.

        Args:
            step: Its number, which says whether the R1 penalty is due.
            views: What it looks at, part by part.

        Returns:
            The losses and mean scores, by name.
        """
        discriminator, optimizer = self.networks.discriminator, self.networks.d_optimizer
        weight, every = self.settings.r1, self.settings.r1_every
        penalise = weight > 0 and step % every == 0
        values: dict[str, Tensor] = {}
        for number, (fake, real, conditions) in enumerate(views, 1):
            if penalise:
                real = [r.detach().requires_grad_() for r in real]
            pairs = [torch.cat(pair) for pair in zip(real, fake, strict=True)]
            with self.fabric.no_backward_sync(discriminator, number < len(views)):
                scores = discriminator(*pairs, conditions.repeat(2, 1, 1, 1))
                real_scores, fake_scores = scores.float().chunk(2)
                loss = losses.hinge_discriminator(real_scores, fake_scores)
                add(values, "discriminator", loss, len(views))
                add(values, "score_real", real_scores.mean(), len(views))
                add(values, "score_fake", fake_scores.mean(), len(views))
                if penalise:
                    penalty = losses.r1(real_scores, real)
                    add(values, "r1", penalty, len(views))
                    loss = loss + weight / 2 * every * penalty
                self.fabric.backward(loss / len(views))
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return values
