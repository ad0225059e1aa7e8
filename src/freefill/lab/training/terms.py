"""The losses of the generator, one function each, in the order in which they are summed.

What a loss may look at is in a :class:`LossContext`. Its weight is the setting of its name in
``[loss]``, or in ``loss.extra`` for a loss that a plugin registers. The step takes what
:func:`terms_at` lists and names none of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from freefill.lab.config import LossConfig, StageConfig
from freefill.lab.data.batches import Batch
from freefill.lab.layers.copying import cell_means
from freefill.lab.registries import LOSSES, register_loss
from freefill.lab.training import losses

if TYPE_CHECKING:
    from freefill.lab.registries import Loss

LARGE_CELL = 32
"""Side of the cells of the loss ``lower``, in pixels."""
ADVERSARIAL = "adversarial"
"""The one loss whose weight is that of the stage."""


@dataclass(frozen=True)
class Term:
    """One summand of the generator's loss.

    Attributes:
        name: As it is registered; the column of the log.
        weight: What the value is multiplied by.
        compute: Gives the value, a scalar, or ``None`` where the loss does not apply.
    """

    name: str
    weight: float
    compute: Loss


@dataclass
class LossContext:
    """What a loss may look at: one batch (or one part of it), filled.

    Attributes:
        output: What the generator gave: its picture as ``filled``, and whatever else it gives while
            it is trained.
        predicted: The picture in float32, ``(B, 3, H, W)`` in about [-1, 1].
        composite: The picture inside the hole, the photo around it.
        batch: Photo, hole (1 = fill) and any guidance.
        settings: The section ``[loss]``.
        near: How many pixels lie near the lines of a sketch, over the batch of all processes; see
            :func:`freefill.lab.training.losses.near_lines`.
        see: Gives the composite as the perceptual loss sees it; ``None`` without that loss.
        score: Gives the discriminator's scores of the composite.
    """

    output: dict[str, Tensor]
    predicted: Tensor
    composite: Tensor
    batch: Batch
    settings: LossConfig
    near: Tensor | None
    see: Callable[[LossContext], losses.PerceptualOutput] | None
    score: Callable[[LossContext], Tensor]

    @cached_property
    def perceptual(self) -> losses.PerceptualOutput | None:
        """Distance and features of the perceptual loss, computed when first asked for."""
        return None if self.see is None else self.see(self)

    @cached_property
    def scores(self) -> Tensor:
        """The discriminator's scores of the composite, in float32; asked for once a step."""
        return self.score(self)


def terms_at(settings: LossConfig, stage: StageConfig) -> list[Term]:
    """List the losses of a stage that have a weight, in the order in which they are summed."""
    found: list[Term] = []
    for name, entry in LOSSES.items():
        if name == ADVERSARIAL:
            weight = stage.adversarial
        else:
            weight = getattr(settings, name, settings.extra.get(name, 0.0))
        if weight or entry.at_zero:
            found.append(Term(name, weight, entry.compute))
    return found


@register_loss("l1", at_zero=True)
def l1(context: LossContext) -> Tensor:
    """Mean absolute error of the prediction."""
    batch = context.batch
    return losses.l1(context.predicted, batch.image, batch.hole, context.settings.known)


@register_loss("low")
def low(context: LossContext) -> Tensor:
    """l1 between means of 8x8 pixels."""
    return _coarse_l1(context, cell_means(context.predicted))


@register_loss("lower")
def lower(context: LossContext) -> Tensor:
    """l1 between means of 32x32 pixels."""
    return _coarse_l1(context, torch.nn.functional.avg_pool2d(context.predicted, LARGE_CELL))


@register_loss("coarse", at_zero=True)
def coarse(context: LossContext) -> Tensor | None:
    """l1 of the coarse picture of a generator that has one."""
    if "coarse" not in context.output:
        return None
    return _coarse_l1(context, context.output["coarse"].float())


@register_loss("match", at_zero=True)
def match(context: LossContext) -> Tensor | None:
    """Cross-entropy of the choice of patches, which the generator itself computes."""
    return context.output.get("match")


@register_loss("sketch")
def sketch(context: LossContext) -> Tensor | None:
    """Difference of the edges along the lines of a sketch."""
    batch = context.batch
    if batch.guidance is None:
        return None
    lines = batch.guidance[:, :1]
    return losses.edge_difference(context.predicted, batch.image, lines, context.near)


@register_loss("perceptual")
def perceptual(context: LossContext) -> Tensor | None:
    """LPIPS of windows around the hole."""
    return None if context.perceptual is None else context.perceptual.distance


@register_loss(ADVERSARIAL)
def adversarial(context: LossContext) -> Tensor:
    """Hinge loss of the generator."""
    return losses.hinge_generator(context.scores)


def _coarse_l1(context: LossContext, small: Tensor) -> Tensor:
    batch = context.batch
    return losses.coarse_l1(small, batch.image, batch.hole, context.settings.known)
