"""What training minimises: l1, the SN-PatchGAN hinge, a perceptual distance, and R1.

Pictures are ``(B, 3, H, W)`` in [-1, 1], holes ``(B, 1, H, W)`` with 1 = fill.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from freefill.models.lpips import Lpips


def l1(predicted: Tensor, target: Tensor, hole: Tensor, known_weight: float = 1.0) -> Tensor:
    """Mean absolute error over all pixels, those outside the hole weighted.

    The paper weighs both sides alike (``known_weight=1``) and takes the raw prediction, not the
    composite: a network that reproduces what it can see also continues it.

    Args:
        predicted: The network's picture.
        target: The true picture.
        hole: Where to fill.
        known_weight: Weight of known pixels, at least 0.

    Returns:
        A scalar.

    Examples:
        >>> hole = torch.tensor([[[[1.0, 0.0]]]])
        >>> float(l1(torch.ones(1, 3, 1, 2), torch.zeros(1, 3, 1, 2), hole, known_weight=0.0))
        0.5
    """
    return ((predicted - target).abs() * (hole + known_weight * (1 - hole))).mean()


def hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """Hinge loss of the discriminator, halved as in the released code.

    Args:
        real: Scores of true pictures, any shape.
        fake: Scores of filled pictures.

    Returns:
        A scalar, 0 when every true score is over 1 and every filled one under -1.

    Examples:
        >>> float(hinge_discriminator(torch.tensor([1.0]), torch.tensor([0.0])))
        0.5
    """
    return 0.5 * (F.relu(1 - real).mean() + F.relu(1 + fake).mean())


def hinge_generator(fake: Tensor) -> Tensor:
    """Adversarial loss of the generator: minus the mean score.

    Args:
        fake: Scores of filled pictures, any shape.

    Returns:
        A scalar.
    """
    return -fake.mean()


def r1(scores: Tensor, picture: Tensor) -> Tensor:
    """R1 penalty (Mescheder et al., 2018): squared gradient of the true pictures' scores.

    Args:
        scores: What the discriminator gave for ``picture``.
        picture: The true pictures, with ``requires_grad`` set before they were scored.

    Returns:
        A scalar, the mean over the batch; differentiable.
    """
    (gradient,) = torch.autograd.grad(scores.flatten(1).mean(1).sum(), picture, create_graph=True)
    return gradient.square().flatten(1).sum(1).mean()


class PerceptualLoss(nn.Module):
    """LPIPS over random windows at random scale, at the cost of one small picture.

    Each call takes, from every picture, one window of ``size``, ``2 size`` or ``4 size`` pixels
    (what fits) at a random place and shrinks it to ``size``. Small windows judge texture at full
    resolution and large ones structure. As the window moves, the grid of the network's pooling
    moves over the picture, so that it leaves no grid in the fill.

    Args:
        metric: The distance; LPIPS with the VGG16 trunk, so that the AlexNet one stays a fair
            judge.
        size: Side of what the metric sees, in pixels, at least 32.
    """

    def __init__(self, metric: Lpips, size: int = 64) -> None:
        super().__init__()
        self.metric = metric
        self.size = size

    def forward(self, predicted: Tensor, target: Tensor, generator: torch.Generator) -> Tensor:
        """Give the mean distance of the windows.

        Args:
            predicted: Filled pictures, composited.
            target: True pictures.
            generator: Source of the windows' places and scale, on the CPU.

        Returns:
            A scalar.
        """
        pair = torch.cat([predicted, target], 1)
        side = min(pair.shape[-2:])
        factors = [f for f in (1, 2, 4) if f * self.size <= side]
        if not factors:
            pair = F.interpolate(pair, (self.size, self.size), mode="area")
            factors, side = [1], self.size
        factor = factors[int(torch.randint(len(factors), (), generator=generator))]
        window = factor * self.size
        places = torch.rand(pair.shape[0], 2, generator=generator).tolist()
        rows, columns = (n - window + 1 for n in pair.shape[-2:])
        cut = torch.stack(
            [
                sample[:, int(y * rows) :, int(x * columns) :][:, :window, :window]
                for sample, (y, x) in zip(pair, places, strict=True)
            ]
        )
        if factor > 1:
            cut = F.avg_pool2d(cut, factor)
        return cast(Tensor, self.metric(cut[:, :3], cut[:, 3:]).mean())
