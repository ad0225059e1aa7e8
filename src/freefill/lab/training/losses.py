"""What training minimises: l1, the SN-PatchGAN hinge, a perceptual distance, and R1.

Pictures are ``(B, 3, H, W)`` in [-1, 1], holes ``(B, 1, H, W)`` with 1 = fill.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from freefill.lab.layers.places import pixel_of
from freefill.lab.layers.precision import float32
from freefill.lab.models.lpips import Lpips


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


def coarse_l1(predicted: Tensor, target: Tensor, hole: Tensor, known_weight: float = 1.0) -> Tensor:
    """l1 at the resolution of the prediction, against the mean colours of the target.

    Args:
        predicted: ``(B, 3, H / n, W / n)``.
        target: The true picture, ``(B, 3, H, W)``.
        hole: Where to fill, ``(B, 1, H, W)``.
        known_weight: Weight of known pixels, at least 0.

    Returns:
        A scalar.
    """
    factor = target.shape[-1] // predicted.shape[-1]
    small = F.avg_pool2d(torch.cat([target, hole], 1), factor)
    return l1(predicted, small[:, :-1], small[:, -1:], known_weight)


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


def edge_difference(
    predicted: Tensor, target: Tensor, lines: Tensor, near: Tensor | None = None
) -> Tensor:
    """Measure the difference between a picture's edges and the truth's along lines of a sketch.

    Where nothing else suggests a line, l1 is content with a blur, and the perceptual loss with a
    line anywhere. What is compared is how steep each channel is, not which way: a line does not
    say which side is the brighter one, and a step the wrong way round is nearer to the truth than
    none. A ridge drawn over the line is steep beside it and flat on it, and so costs twice.

    Args:
        predicted: The network's picture, ``(B, 3, H, W)`` in [-1, 1]; H and W multiples of 4.
        target: The true picture.
        lines: ``(B, 1, H, W)``, 1 on lines.
        near: What :func:`near_lines` gives for all lines, where these are a share of a batch: the
            mean over the shares is then the loss of the batch.

    Returns:
        A scalar: the mean difference of steepness near lines, at two scales, over :data:`PLAIN`;
        0 without lines.

    Examples:
        >>> step = torch.zeros(1, 3, 16, 16)
        >>> step[..., 8:] = 1
        >>> lines = torch.zeros(1, 1, 16, 16)
        >>> lines[..., 8] = 1
        >>> float(edge_difference(step, step, lines)), float(edge_difference(-step, step, lines))
        (0.0, 0.0)
        >>> float(edge_difference(step * 0, step, lines)) > 0.5
        True
    """
    total = predicted.new_zeros(())
    areas = near_lines(lines) if near is None else near
    for factor, area in zip(SCALES, areas, strict=True):
        difference = (_steepness(predicted, factor) - _steepness(target, factor)).abs().mean(1)
        mean = (difference * _near(lines, factor)[:, 0]).sum() / area.clamp(min=1)
        total = total + mean / PLAIN / len(SCALES)
    return total


def near_lines(lines: Tensor) -> Tensor:
    """Count the shrunken pixels near lines that :func:`edge_difference` takes a mean over.

    Args:
        lines: ``(B, 1, H, W)``, 1 on lines.

    Returns:
        ``(2,)``, one number a scale. Shares of a batch divide by the mean of theirs.
    """
    return torch.stack([_near(lines, factor).sum() for factor in SCALES])


def _near(lines: Tensor, factor: int) -> Tensor:
    return F.max_pool2d(F.max_pool2d(lines, factor), 2 * NEAR + 1, 1, NEAR)


SCALES = (2, 4)
"""How many times the pictures are shrunk before gradients are taken."""
NEAR = 2
"""Shrunken pixels to each side of a line that are compared."""
PLAIN = 0.1
"""Change per shrunken pixel, in [0, 1], that is plain to see: that of a step of 0.25 or so."""


def _steepness(picture: Tensor, factor: int) -> Tensor:
    """Give the length of each channel's gradient, ``(B, 3, h, w)``, per shrunken pixel."""
    small = F.pad(F.avg_pool2d(picture, factor) / 2, (1, 1, 1, 1), mode="replicate")
    # Sobel's filters.
    columns = small[..., :-2, :] + 2 * small[..., 1:-1, :] + small[..., 2:, :]
    rows = small[..., :, :-2] + 2 * small[..., :, 1:-1] + small[..., :, 2:]
    across = (columns[..., 2:] - columns[..., :-2]) / 8
    down = (rows[..., 2:, :] - rows[..., :-2, :]) / 8
    # The root of 0 has no gradient to follow.
    return (across.square() + down.square() + 1e-8).sqrt()


def r1(scores: Tensor, views: Sequence[Tensor]) -> Tensor:
    """R1 penalty (Mescheder et al., 2018): squared gradient of the true pictures' scores.

    Args:
        scores: What the discriminator gave for ``views``.
        views: The true pictures, or their features, with ``requires_grad`` set before they were
            scored.

    Returns:
        A scalar, the mean over the batch; differentiable.
    """
    gradients = torch.autograd.grad(scores.flatten(1).mean(1).sum(), views, create_graph=True)
    return torch.stack([g.square().flatten(1).sum(1).mean() for g in gradients]).sum()


@dataclass(frozen=True)
class PerceptualOutput:
    """What the perceptual loss saw, for a discriminator that sees through the same network.

    Attributes:
        distance: The loss, a scalar.
        filled: Features of the filled pictures, with their gradient, one tensor a stage.
        true: Features of the true pictures.
        conditions: The windows' holes and guidance, ``(B, 1 or 6, size, size)``.
    """

    distance: Tensor
    filled: list[Tensor]
    true: list[Tensor]
    conditions: Tensor


class PerceptualLoss(nn.Module):
    """LPIPS over random windows at random scale, at the cost of one small picture.

    Each call takes, from every picture, a few windows around random pixels of the hole. A window
    has ``size``, ``2 size`` or ``4 size`` pixels (what fits) and is shrunk to ``size``: small ones
    judge texture at full resolution and large ones structure. As windows move, the grid of the
    network's pooling moves over the picture, so that it leaves no grid in the fill.

    Args:
        metric: The distance; LPIPS with the VGG16 trunk, so that the AlexNet one stays an
            independent measure.
        size: Side of what the metric sees, in pixels, at least 32.
        windows: How many a picture; those of one scale are cut from all pictures at once.
    """

    def __init__(self, metric: Lpips, size: int = 64, windows: int = 1) -> None:
        super().__init__()
        self.metric = metric
        self.size = size
        self.windows = windows

    def draw(self, batch: int, generator: torch.Generator) -> Tensor:
        """Draw the windows of a batch.

        Args:
            batch: Number of pictures.
            generator: Source of all randomness, on the CPU.

        Returns:
            ``(windows, 1 + batch)`` in [0, 1): the scale of a window, then its place in each
            picture. Columns of a share of the pictures, with the first one, are its windows.
        """
        return torch.rand(self.windows, 1 + batch, generator=generator)

    def forward(
        self,
        predicted: Tensor,
        target: Tensor,
        conditions: Tensor,
        scales: Sequence[float],
        places: Tensor,
    ) -> PerceptualOutput:
        """Give the mean distance of the windows, and the features it is made of.

        Args:
            predicted: Filled pictures, composited.
            target: True pictures.
            conditions: Where they differ, ``(B, 1, H, W)``, and any guidance after it.
            scales: First column of what :meth:`draw` gives, one for each window.
            places: Its other columns, for these pictures, on their device.
        """
        # Apart, so that the gradient of what needs none is not computed.
        given = torch.cat([target, conditions], 1)
        factors = [f for f in (1, 2, 4) if f * self.size <= min(given.shape[-2:])]
        if not factors:
            small = (self.size, self.size)
            given, predicted = (F.interpolate(x, small, mode="area") for x in (given, predicted))
            factors = [1]
        cuts, seen = [], []
        for scale, drawn in zip(scales, places, strict=True):
            factor = factors[int(scale * len(factors))]
            rows, columns = _windows(given[:, 3], drawn, factor, self.size)
            # In bf16 colours would be rounded to 1 in 128.
            with float32():
                cuts.append(rows @ predicted.float() @ columns)
                cut = rows @ given @ columns
            # A line of guidance is as strong in a small picture.
            lines = (cut[:, 4:] * factor).clamp(-1, 1)
            seen.append(torch.cat([cut[:, :4], lines], 1))
        known = torch.cat(seen)
        with torch.no_grad():
            true = self.metric.stages(known[:, :3])
        filled = self.metric.stages(torch.cat(cuts))
        return PerceptualOutput(
            self.metric.between(filled, true).mean(), filled, true, known[:, 3:]
        )


def _windows(hole: Tensor, drawn: Tensor, factor: int, size: int) -> tuple[Tensor, Tensor]:
    """Choose a square of each picture around one pixel of its hole.

    Squares are cut and shrunk by products with matrices, and not by slices: on a GPU a slice's
    place would have to be waited for.

    Args:
        hole: ``(B, H, W)``.
        drawn: ``(B,)`` in [0, 1): which pixel of the hole.
        factor: How many times a square is shrunk.
        size: Its side then.

    Returns:
        ``(B, 1, size, H)`` and ``(B, 1, W, size)``, to multiply a picture by from the left and from
        the right. A square is moved where it would reach over the border.
    """
    matrices = []
    for place, side in zip(pixel_of(hole, drawn), hole.shape[-2:], strict=True):
        first = (place - factor * size // 2).clamp(0, side - factor * size)
        starts = first[:, None] + factor * torch.arange(size, device=hole.device)
        offset = torch.arange(side, device=hole.device) - starts[..., None]
        matrices.append(((offset >= 0) & (offset < factor)).to(hole)[:, None] / factor)
    return matrices[0], matrices[1].transpose(2, 3)
