"""The generator's half of a training step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from freefill.lab.config import Config, StageConfig
from freefill.lab.data.batches import Batch
from freefill.lab.registries import DISCRIMINATORS
from freefill.lab.training.losses import PerceptualOutput
from freefill.lab.training.means import add
from freefill.lab.training.networks import Networks, View
from freefill.lab.training.terms import LossContext, terms_at
from freefill.lab.training.windows import Windows


class GeneratorStep:
    """Sums the losses of the prediction and moves the generator.

    Args:
        fabric: Joins the processes, and knows the precision.
        config: All settings.
        networks: What is trained.
    """

    def __init__(self, fabric: Fabric, config: Config, networks: Networks) -> None:
        self.fabric, self.networks = fabric, networks
        self.settings = config.loss
        self.sees_features = DISCRIMINATORS[config.model.discriminator].sees_features

    def __call__(
        self,
        stage: StageConfig,
        parts: Sequence[Batch],
        windows: Sequence[Windows],
        near: Tensor | None,
    ) -> tuple[dict[str, Tensor], list[View]]:
        """Take one.

        Args:
            stage: Its weight of the adversarial loss.
            parts: The batch.
            windows: Of the perceptual loss, for each part; none without that loss.
            near: See :class:`~freefill.lab.training.terms.LossContext`.

        Returns:
            The losses, by name, and what the discriminator looks at in its own step.
        """
        generator, optimizer = self.networks.generator, self.networks.g_optimizer
        terms = terms_at(self.settings, stage)
        values: dict[str, Tensor] = {}
        views: list[View] = []
        for number, part in enumerate(parts):
            with self.fabric.no_backward_sync(generator, number + 1 < len(parts)):
                context = self._context(part, windows[number] if windows else None, near)
                found = [(term, term.compute(context)) for term in terms]
                pairs = [(term, value) for term, value in found if value is not None]
                loss = torch.stack([term.weight * value for term, value in pairs]).sum()
                for term, value in pairs:
                    add(values, term.name, value, len(parts))
                add(values, "generator", loss, len(parts))
                filled, true, conditions = self._view(context)
                views.append(([view.detach() for view in filled], true, conditions))
                self.fabric.backward(loss / len(parts))
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return values, views

    def fill(self, batch: Batch) -> View:
        """Fill a batch that the generator does not learn from, for the discriminator."""
        with self.fabric.autocast():
            filled = output_of(self.networks.bare_generator, batch)["filled"]
        return [composite(filled, batch)], [batch.image], batch.conditions

    def _context(self, part: Batch, windows: Windows | None, near: Tensor | None) -> LossContext:
        output = output_of(self.networks.generator, part)
        predicted = output["filled"].float()
        perceptual = self.networks.perceptual

        def see(context: LossContext) -> PerceptualOutput:
            assert perceptual is not None
            assert windows is not None
            with self.fabric.autocast():
                seen: PerceptualOutput = perceptual(
                    context.composite, part.image, part.conditions, *windows
                )
            return seen

        return LossContext(
            output,
            predicted,
            composite(predicted, part),
            part,
            self.settings,
            near,
            None if perceptual is None else see,
            self._score,
        )

    def _score(self, context: LossContext) -> Tensor:
        """Score the fill, without gradients of the discriminator's own."""
        discriminator = self.networks.bare_discriminator
        filled, _, conditions = self._view(context)
        discriminator.requires_grad_(False)
        with self.fabric.autocast():
            scores: Tensor = discriminator(*filled, conditions)
        discriminator.requires_grad_(True)
        return scores.float()

    def _view(self, context: LossContext) -> View:
        """Give what the discriminator looks at: pictures, or features of the perceptual loss."""
        batch, seen = context.batch, context.perceptual if self.sees_features else None
        if seen is None:
            return [context.composite], [batch.image], batch.conditions
        # The first stage of the features is the picture nearly as it is, at full resolution.
        return seen.filled[1:], seen.true[1:], seen.conditions


def composite(predicted: Tensor, batch: Batch) -> Tensor:
    """Put the prediction into the hole and the photo around it, ``(B, 3, H, W)``."""
    return predicted.float() * batch.hole + batch.image * (1 - batch.hole)


def output_of(generator: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """Call a generator; what gives a picture alone gives it as ``filled``."""
    given = () if batch.guidance is None else (batch.guidance,)
    output = generator(batch.image, batch.hole, *given)
    return {"filled": output} if isinstance(output, Tensor) else output
