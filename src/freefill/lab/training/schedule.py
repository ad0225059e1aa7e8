"""How the learning rate goes."""

from __future__ import annotations

import math

from freefill.lab.config import TrainConfig


def rate_at(step: int, settings: TrainConfig, share: float = 0.0) -> float:
    """Give the learning rate's factor: a linear rise, then perhaps half a cosine down to 0.01.

    Args:
        step: Number of the step, from 0.
        settings: Warm-up, decay and cool-down.
        share: Share of the time that has passed, where time is limited.

    Examples:
        >>> rate_at(0, TrainConfig(warmup=4))
        0.25
    """
    rise = min(1.0, (step + 1) / settings.warmup) if settings.warmup else 1.0
    if not settings.decay:
        return rise
    share = max(share, (step - settings.warmup) / max(1, settings.steps - settings.warmup))
    left = max(0.0, 1 - (1 - share) / settings.cooldown)
    return min(rise, 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, left))))
