"""From the values of photos to one number for each network, and how sure a difference is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from freefill.lab.evaluation.metrics.statistics import Paired, paired
from scoring.measuring import METRICS, Values
from scoring.photos import KINDS, MASKS, Photo

LPIPS, PSNR = (METRICS.index(name) for name in ("lpips", "psnr"))
SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Score:
    """What networks are chosen by.

    Attributes:
        score: Mean of the columns' LPIPS: less is better.
        columns: Title, e.g. ``free-form, 256``, to mean LPIPS.
        photos: Title to how many photos.
        psnr: Mean of the columns' PSNR in the hole, dB.
        each: One value for each photo, whose mean is the score.
    """

    score: float
    columns: dict[str, float]
    photos: dict[str, int]
    psnr: float
    each: NDArray[np.float64]


def score(photos: Sequence[Photo], values: Values) -> Score:
    """Sum up one network's values.

    Args:
        photos: Of all sides.
        values: Of these photos.

    Returns:
        The score. A photo's own value is its mean over the kinds of holes (a kind's seeds are
        averaged first), times a weight by which each side counts alike, however many photos it has.

    Examples:
        >>> small, large = (np.zeros((side, side, 3), np.uint8) for side in (64, 96))
        >>> photos = [Photo("a", 0, small), Photo("b", 1, small), Photo("c", 0, large)]
        >>> values = np.zeros((3, 4, 2))
        >>> values[2, 3, 0] = 0.4  # LPIPS of the centre hole of the only large photo
        >>> score(photos, values).score
        0.1
    """
    kinds = np.array([kind for kind, _ in MASKS])
    by_kind = np.stack([values[:, kinds == kind].mean(1) for kind in KINDS], 1)
    sides = np.array([photo.side for photo in photos])
    columns: dict[str, float] = {}
    counts: dict[str, int] = {}
    ratios = []
    weights = np.zeros(len(photos))
    known = sorted(set(sides.tolist()))
    for side in known:
        here = sides == side
        for number, kind in enumerate(KINDS):
            title = f"{kind}, {side}"
            columns[title] = float(by_kind[here, number, LPIPS].mean())
            counts[title] = int(here.sum())
            ratios.append(float(by_kind[here, number, PSNR].mean()))
        weights[here] = len(photos) / (len(known) * here.sum())
    each = by_kind[:, :, LPIPS].mean(1) * weights
    return Score(
        float(np.mean(list(columns.values()))), columns, counts, float(np.mean(ratios)), each
    )


def compare(first: Score, other: Score) -> Paired:
    """Compare two networks on the same photos.

    Args:
        first: What the other is compared with.
        other: Of the same photos.

    Returns:
        The other's score less the first's, its 95 % bootstrap interval over photos, and the p
        value of Wilcoxon's signed-rank test over photos, each photo with its weight.
    """
    return paired(first.each, other.each)


def verdict(first: str, found: Paired) -> str:
    """Say what a comparison means.

    Args:
        first: Name of what was compared with.
        found: The comparison.

    Examples:
        >>> verdict("light", Paired(-0.01, -0.02, -0.005, 0.0004))
        'better than light: -0.0100 [-0.0200, -0.0050], p = 0.0004'
        >>> verdict("light", Paired(0.001, -0.002, 0.003, 0.4))
        'no significant difference to light (p = 0.4): +0.0010 [-0.0020, +0.0030]'
    """
    by = f"{found.difference:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"
    if found.p >= SIGNIFICANT:
        return f"no significant difference to {first} (p = {found.p:.2g}): {by}"
    word = "better" if found.difference < 0 else "worse"
    return f"{word} than {first}: {by}, p = {found.p:.2g}"
