"""Named kinds of holes: what training mixes and what evaluation is measured on.

``free-form`` is the paper's training and test distribution: one rectangle and one to three strokes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from freefill.masks import strokes
from freefill.registry import Registry
from freefill.types import Mask

Sampler = Callable[[int, int, np.random.Generator], Mask]
"""Called with height, width and a source of randomness; gives the hole, ``(height, width)``."""

PRESETS: Registry[Sampler] = Registry("mask preset")
"""Every preset by name."""


def register_preset(name: str) -> Callable[[Sampler], Sampler]:
    """Give a decorator that adds a preset; docs/extending.md has an example.

    Args:
        name: What configurations call it.

    Raises:
        ConfigError: If the name is taken.
    """
    return PRESETS.register(name)


def centre(height: int, width: int, rng: np.random.Generator | None = None) -> Mask:
    """Cut the paper's centre rectangle: half of each side.

    Args:
        height: Rows of the picture, in pixels, at least 2.
        width: Columns of the picture, in pixels, at least 2.
        rng: Unused; accepted so that every preset has the same signature.

    Returns:
        The hole, ``(height, width)``.

    Examples:
        >>> int(centre(256, 256).sum()) == 128 * 128
        True
    """
    hole = np.zeros((height, width), bool)
    hole[height // 4 : height // 4 + height // 2, width // 4 : width // 4 + width // 2] = True
    return hole


def free_form(height: int, width: int, rng: np.random.Generator) -> Mask:
    """Draw the paper's training mask: a rectangle together with one to three strokes.

    Args:
        height: Rows of the picture, in pixels.
        width: Columns of the picture, in pixels.
        rng: Source of all randomness.

    Returns:
        The hole, ``(height, width)``; a quarter to a third of the picture on average.
    """
    return strokes.rectangle(height, width, rng) | strokes.strokes(height, width, rng)


def released(height: int, width: int, rng: np.random.Generator) -> Mask:
    """Draw the training mask of the released code with its faults, for the paper's recipes.

    Its random flips have no effect there, and rectangle and strokes follow slightly other laws than
    :func:`free_form`'s.

    Args:
        height: Rows of the picture, in pixels.
        width: Columns of the picture, in pixels.
        rng: Source of all randomness.

    Returns:
        The hole, ``(height, width)``.
    """
    box = strokes.released_rectangle(height, width, rng)
    return box | strokes.released_strokes(height, width, rng)


def by_ratio(
    height: int, width: int, rng: np.random.Generator, *, ratio: tuple[float, float]
) -> Mask:
    """Draw strokes until they cover a given share, as the "irregular masks" of the field do.

    Liu et al. (ECCV 2018) sort masks by 1 to 10 %, 10 to 20 % and so on; here the share is drawn
    from the range first, and strokes of every width are added until it is reached.

    Args:
        height: Rows of the picture, in pixels, at least 16.
        width: Columns of the picture, in pixels, at least 16.
        rng: Source of all randomness.
        ratio: Least and largest share of the picture that is hole, in (0, 1).

    Returns:
        The hole, ``(height, width)``, its share inside the range.

    Raises:
        ValueError: If the range cannot be met.

    Examples:
        >>> hole = by_ratio(64, 64, np.random.default_rng(0), ratio=(0.1, 0.2))
        >>> bool(0.1 <= hole.mean() < 0.2)
        True
    """
    low, high = ratio
    target = rng.uniform(low, high)
    hole = np.zeros((height, width), bool)
    for attempt in range(ATTEMPTS):
        # Near the end only thin strokes still fit below the upper bound.
        thickest = max(2.0, 40.0 * (1 - attempt / ATTEMPTS))
        stroke = strokes.strokes(
            height, width, rng, count=(1, 1), segments=(1, 8), brush=(1.0, thickest)
        )
        joined = hole | stroke
        share = joined.mean()
        if share < high:
            hole = joined
            if share >= target or (attempt > ATTEMPTS // 2 and share >= low):
                return hole
    if hole.mean() >= low:  # so near the upper bound that no other stroke fitted below it
        return hole
    raise ValueError(
        f"no strokes cover {low:.0%} to {high:.0%} of {width}x{height} pixels ({hole.mean():.1%} "
        f"after {ATTEMPTS} attempts)"
    )


ATTEMPTS = 200

_BUILT_IN: dict[str, Sampler] = {
    "free-form": free_form,
    "released": released,
    "centre": centre,
    "strokes": strokes.strokes,
    "thin": partial(strokes.strokes, count=(2, 6), brush=(4.0, 12.0)),
    "thick": partial(strokes.strokes, count=(1, 3), segments=(2, 6), brush=(36.0, 72.0)),
    "rectangle": partial(strokes.rectangle, side=(0.2, 0.6)),
    "objects": strokes.objects,
    "border": strokes.border,
    "scratches": strokes.scratches,
}
for _name, _sampler in _BUILT_IN.items():
    PRESETS.add(_name, _sampler)


def sample(name: str, height: int, width: int, rng: np.random.Generator) -> Mask:
    """Draw a hole of a named kind.

    Args:
        name: A key of :data:`PRESETS`.
        height: Rows of the picture, in pixels.
        width: Columns of the picture, in pixels.
        rng: Source of all randomness.

    Returns:
        The hole, ``(height, width)``.

    Raises:
        ConfigError: If there is no such preset; the message lists those that exist.

    Examples:
        >>> float(sample("centre", 8, 8, np.random.default_rng(0)).mean())
        0.25
    """
    return PRESETS[name](height, width, rng)


def mixture(
    weights: Mapping[str, float], height: int, width: int, rng: np.random.Generator
) -> Mask:
    """Draw a hole from a mixture of presets.

    Args:
        weights: Preset name to relative weight; they need not add up to 1.
        height: Rows of the picture, in pixels.
        width: Columns of the picture, in pixels.
        rng: Source of all randomness.

    Returns:
        The hole, ``(height, width)``.

    Raises:
        ConfigError: If a preset does not exist.
    """
    names = list(weights)
    share = np.array([weights[name] for name in names], float)
    return sample(names[int(rng.choice(len(names), p=share / share.sum()))], height, width, rng)
