"""A discriminator that sees through a frozen classification network.

"Projected GANs Converge Faster" (Sauer et al., NeurIPS 2021): small discriminators on the features
of a trained network learn what texture looks like in a fraction of the steps that a discriminator
of pixels needs. The features are those that the perceptual loss computes anyway, so that on a CPU
this one costs next to nothing. Where it differs: no random projections, the stages of VGG16 as they
are, and each place also sees how much of it is hole, and any guidance there.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

WIDTHS = (128, 256, 512, 512)
"""Channels of the features that are looked at: VGG16's second to fifth stage."""
GAIN = 4.0
"""Size of each channel of the features, on average, as the first layer sees them."""


class FeatureCritic(nn.Module):
    """Score every place of several stages of features as real or filled.

    Args:
        widths: Channels of each stage.
        hidden: Channels inside.
        guidance: Channels of guidance.

    Shape:
        One ``(B, C, h, w)`` of unit length in C for each stage, then the hole with any guidance,
        ``(B, 1 + guidance, H, W)``; returns ``(B, N)``, a score for every place of every stage.

    Examples:
        >>> critic = FeatureCritic((8, 16), hidden=4)
        >>> stages = torch.zeros(2, 8, 8, 8), torch.zeros(2, 16, 4, 4)
        >>> critic(*stages, torch.zeros(2, 1, 16, 16)).shape
        torch.Size([2, 80])
    """

    def __init__(
        self, widths: tuple[int, ...] = WIDTHS, hidden: int = 64, guidance: int = 0
    ) -> None:
        super().__init__()
        self.enter = nn.ModuleList(spectral_norm(nn.Conv2d(width, hidden, 1)) for width in widths)
        self.around = nn.ModuleList(
            spectral_norm(nn.Conv2d(hidden + 1 + guidance, hidden, 3, padding=1)) for _ in widths
        )
        self.score = nn.ModuleList(spectral_norm(nn.Conv2d(hidden, 1, 1)) for _ in widths)

    def forward(self, *views: Tensor) -> Tensor:
        """Score the features; see the class for shapes."""
        *stages, conditions = views
        hole, guidance = conditions[:, :1], conditions[:, 1:]
        scores = []
        for features, enter, around, score in zip(
            stages, self.enter, self.around, self.score, strict=True
        ):
            # Of unit length, the many channels of a late stage would each be nearly 0; and layers
            # of norm one need differences that are worth seeing.
            x = F.leaky_relu(enter(features * (GAIN * features.shape[1] ** 0.5)), 0.2)
            size = (x.shape[-2], x.shape[-1])
            # A line covers little of a place: it counts whole wherever it passes.
            seen = [F.adaptive_avg_pool2d(hole, size)]
            if guidance.shape[1]:
                seen.append(F.adaptive_max_pool2d(guidance, size))
            x = F.leaky_relu(around(torch.cat([x, *seen], 1)), 0.2)
            scores.append(score(x).flatten(1))
        return torch.cat(scores, 1)
