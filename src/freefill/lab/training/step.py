"""One step of training: the generator's, the discriminator's, and the average that follows.

The two share one batch and its composites, so that the generator runs once, unless
``train.separate_batches`` is set. No value is taken to the CPU in here and no size depends on the
data, so that a GPU never waits: a test runs the whole step on torch's ``meta`` device, where either
is an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer

from freefill.lab.config import Config, StageConfig, TrainConfig
from freefill.lab.data.batches import Batch
from freefill.lab.layers.copying import cell_means
from freefill.lab.models.feature_critic import FeatureCritic
from freefill.lab.training import losses
from freefill.lab.training.ema import Ema
from freefill.lab.training.means import add

View = tuple[list[Tensor], list[Tensor], Tensor]
"""What the discriminator looks at: filled, true, and the hole with any guidance."""
Windows = tuple[list[float], Tensor]
"""Scales and places of the perceptual loss's windows."""


@dataclass
class Networks:
    """What is trained, and by what.

    Attributes:
        generator: As several processes share it; so is ``discriminator``.
        discriminator: See above.
        bare_generator: The same weights, called where no gradients of theirs are wanted, which
            several processes would wait for; so is ``bare_discriminator``.
        bare_discriminator: See above.
        ema: The moving average of the generator.
        g_optimizer: The generator's.
        d_optimizer: The discriminator's.
        perceptual: The perceptual loss, if it has a weight.
    """

    generator: nn.Module
    discriminator: nn.Module
    bare_generator: nn.Module
    bare_discriminator: nn.Module
    ema: Ema
    g_optimizer: Optimizer
    d_optimizer: Optimizer
    perceptual: losses.PerceptualLoss | None

    def set_rate(self, settings: TrainConfig, factor: float) -> None:
        """Set both learning rates to ``factor`` of what the settings say."""
        for optimizer, base in (
            (self.g_optimizer, settings.lr),
            (self.d_optimizer, settings.discriminator_lr),
        ):
            for group in optimizer.param_groups:
                group["lr"] = base * factor


class Step:
    """Takes steps.

    Args:
        fabric: Joins the processes, and knows the precision.
        config: All settings.
        networks: What is trained.
    """

    def __init__(self, fabric: Fabric, config: Config, networks: Networks) -> None:
        self.fabric, self.networks = fabric, networks
        self.settings, self.weights = config.train, config.loss
        self.block: tuple[int, list[Windows]] = (-1, [])

    def __call__(self, step: int, batch: Batch, own: Sequence[Batch] = ()) -> dict[str, Tensor]:
        """Take one.

        Args:
            step: Its number, from 0.
            batch: What the generator learns from, and the discriminator, too.
            own: One batch of the discriminator's own, if it has one; it steps first then.

        Returns:
            The losses, by name, as scalars on the device.
        """
        stage = self.settings.stage_at(step)
        parts = batch.parts(self.settings.accumulate)
        windows: Sequence[Windows] = ()
        near = None
        if self.networks.perceptual is not None:
            windows = self._windows(self.networks.perceptual, step)
        if self.weights.sketch and batch.guidance is not None:
            # Shares and parts of a batch have more or fewer lines.
            near = losses.near_lines(batch.guidance[:, :1])
            near = self.fabric.all_reduce(near) / len(parts)
        values: dict[str, Tensor] = {}
        if own and stage.adversarial:
            with torch.no_grad():
                views = [self._view(part) for part in own[0].parts(len(parts))]
            values |= self._discriminate(step, views)
        made, views = self._generate(stage, parts, windows, near)
        values |= made
        if stage.adversarial and not own:
            values |= self._discriminate(step, views)
        self.networks.ema.update(self.networks.bare_generator, step)
        return values

    def _discriminate(self, step: int, views: list[View]) -> dict[str, Tensor]:
        """Take the discriminator's step: true pictures above 1, filled ones below -1."""
        discriminator, optimizer = self.networks.discriminator, self.networks.d_optimizer
        weights = self.weights
        values: dict[str, Tensor] = {}
        for number, (fake, real, conditions) in enumerate(views, 1):
            penalise = weights.r1 > 0 and step % weights.r1_every == 0
            if penalise:
                real = [r.detach().requires_grad_() for r in real]
            pairs = [torch.cat(pair) for pair in zip(real, fake, strict=True)]
            with self.fabric.no_backward_sync(discriminator, number < len(views)):
                scores = discriminator(*pairs, conditions.repeat(2, 1, 1, 1))
                real_scores, fake_scores = scores.float().chunk(2)
                d_loss = losses.hinge_discriminator(real_scores, fake_scores)
                add(values, "discriminator", d_loss, len(views))
                add(values, "score_real", real_scores.mean(), len(views))
                add(values, "score_fake", fake_scores.mean(), len(views))
                if penalise:
                    penalty = losses.r1(real_scores, real)
                    add(values, "r1", penalty, len(views))
                    d_loss = d_loss + weights.r1 / 2 * weights.r1_every * penalty
                self.fabric.backward(d_loss / len(views))
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return values

    def _generate(
        self,
        stage: StageConfig,
        parts: list[Batch],
        windows: Sequence[Windows],
        near: Tensor | None,
    ) -> tuple[dict[str, Tensor], list[View]]:
        """Take the generator's step: l1 on the prediction, the other losses on the composite.

        What the discriminator looks at, filled and true, is kept for its own step.
        """
        networks, weights = self.networks, self.weights
        values: dict[str, Tensor] = {}
        views: list[View] = []
        for number, part in enumerate(parts):
            with self.fabric.no_backward_sync(networks.generator, number + 1 < len(parts)):
                output = _output(networks.generator, part)
                predicted = output["filled"].float()
                filled = composite(predicted, part)
                filled_view, true_view, conditions = [filled], [part.image], part.conditions
                terms = self._terms(output, predicted, part, near)
                if networks.perceptual is not None:
                    with self.fabric.autocast():
                        look = networks.perceptual(
                            filled, part.image, part.conditions, *windows[number]
                        )
                    terms["perceptual"] = (weights.perceptual, look.distance)
                    if isinstance(networks.bare_discriminator, FeatureCritic):
                        # Its first stage is the picture nearly as it is, at full resolution.
                        filled_view, true_view = look.filled[1:], look.true[1:]
                        conditions = look.conditions
                if stage.adversarial:
                    networks.bare_discriminator.requires_grad_(False)
                    with self.fabric.autocast():
                        scores = networks.bare_discriminator(*filled_view, conditions)
                    networks.bare_discriminator.requires_grad_(True)
                    score = losses.hinge_generator(scores.float())
                    terms["adversarial"] = (stage.adversarial, score)
                views.append(([v.detach() for v in filled_view], true_view, conditions))
                g_loss = torch.stack([weight * value for weight, value in terms.values()]).sum()
                for name, (_, value) in terms.items():
                    add(values, name, value, len(parts))
                add(values, "generator", g_loss, len(parts))
                self.fabric.backward(g_loss / len(parts))
        networks.g_optimizer.step()
        networks.g_optimizer.zero_grad(set_to_none=True)
        return values, views

    def _terms(
        self, output: dict[str, Tensor], predicted: Tensor, part: Batch, near: Tensor | None
    ) -> dict[str, tuple[float, Tensor]]:
        """Give weight and value of each loss that compares the prediction with the photo."""
        weights, known = self.weights, self.weights.known
        terms = {"l1": (weights.l1, losses.l1(predicted, part.image, part.hole, known))}
        if weights.low:
            local = cell_means(predicted)
            error = losses.coarse_l1(local, part.image, part.hole, known)
            terms["low"] = (weights.low, error)
        if weights.lower:
            local = torch.nn.functional.avg_pool2d(predicted, LARGE_CELL)
            error = losses.coarse_l1(local, part.image, part.hole, known)
            terms["lower"] = (weights.lower, error)
        if "coarse" in output:
            coarse = output["coarse"].float()
            error = losses.coarse_l1(coarse, part.image, part.hole, known)
            terms["coarse"] = (weights.coarse, error)
        if "match" in output:
            terms["match"] = (weights.match, output["match"])
        if weights.sketch and part.guidance is not None:
            lines = part.guidance[:, :1]
            error = losses.edge_difference(predicted, part.image, lines, near)
            terms["sketch"] = (weights.sketch, error)
        return terms

    def _view(self, batch: Batch) -> View:
        generator = self.networks.bare_generator
        with self.fabric.autocast():
            filled = _output(generator, batch)["filled"]
        return [composite(filled, batch)], [batch.image], batch.conditions

    def _windows(self, perceptual: losses.PerceptualLoss, step: int) -> list[Windows]:
        """Draw the windows of a step, and give those of this process's share, part by part.

        They depend on the step alone: there is nothing to save. They are drawn for many steps at
        once, as a GPU waits for each table that is brought to it.
        """
        block = step // BLOCK
        if block != self.block[0]:
            tables = []
            for number in range(block * BLOCK, min((block + 1) * BLOCK, self.settings.steps)):
                source = torch.Generator().manual_seed(self.settings.seed * 1_000_003 + number)
                tables.append(perceptual.draw(self.settings.stage_at(number).batch, source))
            device = next(self.networks.bare_generator.parameters()).device
            places = torch.cat([table[:, 1:] for table in tables], 1).to(device)
            drawn, first = list[Windows](), 0
            for table in tables:
                last = first + table.shape[1] - 1
                drawn.append((table[:, 0].tolist(), places[:, first:last]))
                first = last
            self.block = (block, drawn)
        scales, taken = self.block[1][step % BLOCK]
        mine = taken.chunk(self.fabric.world_size, 1)[self.fabric.global_rank]
        return [(scales, part) for part in mine.chunk(self.settings.accumulate, 1)]


BLOCK = 64
"""Steps that windows are drawn for at once."""
LARGE_CELL = 32
"""Side of the cells of the loss ``lower``, in pixels."""


def composite(predicted: Tensor, batch: Batch) -> Tensor:
    """Put the prediction into the hole and the photo around it, ``(B, 3, H, W)``."""
    return predicted.float() * batch.hole + batch.image * (1 - batch.hole)


def _output(generator: nn.Module, batch: Batch) -> dict[str, Tensor]:
    given = () if batch.guidance is None else (batch.guidance,)
    output = generator(batch.image, batch.hole, *given)
    return {"filled": output} if isinstance(output, Tensor) else output
