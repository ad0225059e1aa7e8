"""What each filled picture is measured by: the registry of metrics, in the order of the tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from freefill.lab.evaluation.metrics.lpips import lpips
from freefill.lab.evaluation.metrics.pixel import l1, l2, psnr
from freefill.lab.evaluation.metrics.seam import seam
from freefill.lab.evaluation.metrics.ssim import ssim
from freefill.registry import Registry
from freefill.types import Mask, Pixels

Metric = Callable[[Pixels, Pixels, Mask | None], float]
"""Called with the fill and the true picture, ``(H, W, 3)`` uint8, and the hole, ``(H, W)``, or
``None`` for the whole picture."""


@dataclass(frozen=True)
class Column:
    """A metric as a column of the tables.

    Attributes:
        key: Its name in files.
        title: Its name for people.
        better: 1: more is better; -1: less is.
        metric: The function.
        hole: Whether it is measured over the hole alone, not the whole picture.
        digits: Digits after the point in a table.
    """

    key: str
    title: str
    better: int
    metric: Metric
    hole: bool
    digits: int = 3


METRICS: Registry[Column] = Registry("metric")
"""Every metric of a picture, by its key."""


def register_metric(
    key: str, title: str, *, better: int, hole: bool = False, digits: int = 3
) -> Callable[[Metric], Metric]:
    """Give a decorator that adds a metric; docs/extending.md has an example.

    Args:
        key: Its name in files.
        title: Its name in tables.
        better: 1 if more is better, -1 if less is.
        hole: Whether it is measured over the hole alone.
        digits: Digits after the point in tables.

    Raises:
        ConfigError: If the key is taken.
    """

    def register(metric: Metric) -> Metric:
        METRICS.add(key, Column(key, title, better, metric, hole, digits))
        return metric

    return register


def columns() -> list[Column]:
    """List all metrics in the order in which they were added."""
    return [column for _, column in METRICS.items()]


def _seam(predicted: Pixels, target: Pixels, hole: Mask | None) -> float:
    assert hole is not None
    return seam(predicted, target, hole)


_over_hole = partial(register_metric, hole=True)
register_metric("lpips", "LPIPS", better=-1, digits=4)(lpips)
register_metric("l1", "l1 %", better=-1, digits=2)(l1)
register_metric("l2", "l2 %", better=-1, digits=3)(l2)
register_metric("psnr", "PSNR dB", better=1, digits=2)(psnr)
register_metric("ssim", "SSIM", better=1, digits=4)(ssim)
_over_hole("seam", "seam %", better=-1, digits=2)(_seam)
_over_hole("hole_lpips", "LPIPS, hole", better=-1, digits=4)(lpips)
_over_hole("hole_l1", "l1 %, hole", better=-1, digits=2)(l1)
_over_hole("hole_l2", "l2 %, hole", better=-1, digits=3)(l2)
_over_hole("hole_psnr", "PSNR dB, hole", better=1, digits=2)(psnr)
_over_hole("hole_ssim", "SSIM, hole", better=1, digits=4)(ssim)
