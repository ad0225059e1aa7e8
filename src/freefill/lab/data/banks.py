"""Holes, shapes and strokes, drawn ahead and kept where the network is.

A bank holds a few thousand drawings; each is turned and mirrored in eight ways, and shapes are
moved, so that hardly any two samples of a run are alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from freefill import plugins
from freefill.lab.data import guidance_samples
from freefill.lab.data.processes import on_all_cores
from freefill.masks.presets import mixture
from freefill.masks.thinning import thin

if TYPE_CHECKING:
    from torch import Tensor

SHAPES = 1024
"""Shapes and sets of strokes in a bank."""
STROKES = 6
"""Most strokes in a set."""
LINES = 0.4
"""Share of the shapes that are lines."""
AT_ONCE = 64
"""Drawings that are made with one generator, in one process."""

Planes = NDArray[np.uint8]


def holes(
    count: int, side: int, masks: Mapping[str, float], seed: int, modules: Sequence[str] = ()
) -> Tensor:
    """Draw holes.

    Args:
        count: How many.
        side: Their side, in pixels.
        masks: Mask preset to its share.
        seed: Of the drawings.
        modules: Plugins that presets may be of, for the processes that draw.

    Returns:
        ``(count, side, side)`` uint8 of 0 and 1.
    """
    return _drawn(partial(_holes, side, dict(masks), seed, tuple(modules)), count)


def shapes(side: int, seed: int) -> Tensor:
    """Draw shapes that are laid into photos: patches and lines, around the middle.

    Returns:
        ``(SHAPES, 3, side, side)`` uint8: how much of each pixel is covered, of 255; the outline of
        a patch, or the middle of a line; and 1 where the shape is a line, everywhere or nowhere.
    """
    return _drawn(partial(_shapes, side, seed), SHAPES)


def strokes(side: int, seed: int) -> Tensor:
    """Draw sets of up to six strokes of a brush, around the middle.

    Returns:
        ``(SHAPES, side, side)`` uint8: the number of the stroke, 0 where there is none.
    """
    return _drawn(partial(_strokes, side, seed), SHAPES)


def _drawn(draw: Callable[[int], Planes], count: int) -> Tensor:
    # The processes that draw load this module, and have no use for torch.
    import torch

    made = list(on_all_cores(draw, range(-(-count // AT_ONCE))))
    return torch.from_numpy(np.concatenate(made)[:count])


def _holes(
    side: int, masks: dict[str, float], seed: int, modules: tuple[str, ...], part: int
) -> Planes:
    plugins.load(modules)
    rng = np.random.default_rng([seed, part, 1])
    made = [mixture(masks, side, side, rng) for _ in range(AT_ONCE)]
    return np.stack(made).astype(np.uint8)


def _shapes(side: int, seed: int, part: int) -> Planes:
    rng = np.random.default_rng([seed, part, 2])
    scale, middle = side / 256, side / 2
    made = []
    for _ in range(AT_ONCE):
        if rng.random() < LINES:
            points = guidance_samples.curve(middle, middle, scale, rng)
            line = Image.new("L", (side, side))
            ImageDraw.Draw(line).line(points, fill=255, width=1)
            covered = guidance_samples.covered(points, (side, side), scale * rng.uniform(1.5, 5))
            edge, kind = thin(np.asarray(line) > 0), 1
        else:
            points = guidance_samples.blob(middle, middle, scale, rng)
            covered = guidance_samples.covered(points, (side, side), 0)
            inside = np.pad(covered >= 0.5, 1)
            core = inside[1:-1, 1:-1] & inside[:-2, 1:-1] & inside[2:, 1:-1]
            core = core & inside[1:-1, :-2] & inside[1:-1, 2:]
            edge, kind = inside[1:-1, 1:-1] & ~core, 0
        planes = [np.round(covered * 255), edge, np.full((side, side), kind)]
        made.append(np.stack(planes).astype(np.uint8))
    return np.stack(made)


def _strokes(side: int, seed: int, part: int) -> Planes:
    rng = np.random.default_rng([seed, part, 3])
    scale, made = side / 256, []
    for _ in range(AT_ONCE):
        canvas = Image.new("L", (side, side))
        for number in range(1, int(rng.integers(2, STROKES + 2))):
            angle = rng.uniform(0, 2 * math.pi)
            points = [tuple(side / 2 + rng.normal(0, side / 8, 2))]
            for _ in range(rng.integers(1, 5)):
                angle += rng.normal(0, 0.5)
                length = scale * rng.uniform(4, 16)
                x, y = points[-1]
                points.append((x + length * math.cos(angle), y + length * math.sin(angle)))
            width = max(2, round(scale * rng.uniform(3, 12)))
            ImageDraw.Draw(canvas).line(points, fill=number, width=width, joint="curve")
        made.append(np.asarray(canvas))
    return np.stack(made)
