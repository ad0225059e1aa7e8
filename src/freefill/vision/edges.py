"""The lines of a photo, as a person would draw them: what training sketches are made of.

The paper trains its sketch channel on HED, a network whose weights are not free. Here: Canny's
detector ("A Computational Approach to Edge Detection", 1986) on colours, at two scales. Lines are
found at the finer one, where they lie in their place; whether one stays is decided by the coarser
one, where contours are still strong and texture is not; and where a whole neighbourhood is full of
gradients, a line must stand out from it. NumPy alone: ``freefill edges`` runs in the base install.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from freefill.imaging.box import Box
from freefill.imaging.picture import Picture
from freefill.masks.thinning import components, thin
from freefill.types import Mask, Plane

LOW, HIGH = 0.012, 0.03
"""Change of colour, per pixel at the coarse scale, that a line needs: anywhere, and at its best
place. A sharp step of height h has 0.16 h there."""
SURROUNDED = 0.6
"""How much of the mean gradient around it is taken off a pixel's own."""
SHORTEST = 10
"""Pixels of the shortest line that is kept."""
LARGEST = 1024
"""Pixels of the longer side that lines are looked for in."""


def edges(rgb: NDArray[np.float32], detail: float = 1.0) -> Mask:
    """Draw the lines of a photo.

    Args:
        rgb: ``(H, W, 3)`` float32 in [0, 1]; about 200 to 1000 pixels a side.
        detail: More than 1 draws fainter lines too, less than 1 only strong ones.

    Returns:
        ``(H, W)`` bool, lines of one pixel.

    Raises:
        ValueError: If ``detail`` is not above 0.

    Examples:
        >>> photo = np.zeros((48, 64, 3), np.float32)
        >>> photo[:, 32:] = 1
        >>> lines = edges(photo)
        >>> np.flatnonzero(lines.any(0)).tolist(), int(lines.sum())
        ([32], 48)
    """
    return edges_at(rgb, [detail])[0]


def edges_at(rgb: NDArray[np.float32], details: Sequence[float]) -> list[Mask]:
    """Draw the lines of a photo at several levels of detail; most of the work is done once.

    Args:
        rgb: As for :func:`edges`.
        details: As for :func:`edges`.

    Returns:
        For each what :func:`edges` gives.

    Raises:
        ValueError: If one of ``details`` is not above 0.
    """
    for detail in details:
        if not detail > 0:
            raise ValueError(f"detail is {detail}; it must be above 0")
    planes = np.ascontiguousarray(rgb.transpose(2, 0, 1))
    fine = blurred(blurred(planes, 1), 1)
    coarse = blurred(blurred(blurred(fine, 2), 1), 1)
    across, down, strength = gradient(fine)
    ridge = _ridge(across, down, strength)
    contour = gradient(coarse)[2]
    around = contour[None]
    for spacing in (2, 4, 8):
        around = blurred(around, spacing)
    contour = contour - np.float32(SURROUNDED) * around[0]
    # The fine maximum may lie a pixel beside the coarse one.
    contour = _largest_near(contour)
    return [_chosen(ridge, contour, detail) for detail in details]


def _chosen(ridge: Mask, contour: Plane, detail: float) -> Mask:
    """Choose the lines of a ridge that stand out enough."""
    found = ridge & (contour > LOW / detail)
    found = thin(found)
    label, count = components(found)
    if not count:
        return found
    best = np.zeros(count, np.float32)
    rows, columns = np.nonzero(found)
    numbers = label[rows, columns]
    np.maximum.at(best, numbers, contour[rows, columns])
    kept = (best > HIGH / detail) & (np.bincount(numbers, minlength=count) >= SHORTEST)
    drawn = np.zeros_like(found)
    drawn[rows, columns] = kept[numbers]
    return drawn


def sketch(picture: Picture, detail: float = 1.0) -> Mask:
    """Draw the lines of a picture of any size.

    Args:
        picture: Any; one of more than :data:`LARGEST` pixels a side is looked at smaller, as a fill
            would look at it, and its lines are as much wider.
        detail: As for :func:`edges`.

    Returns:
        ``(H, W)`` bool.

    Raises:
        ValueError: If ``detail`` is not above 0.
    """
    height, width = picture.size
    small, factor = shrunk(picture)
    lines = edges(small, detail)
    return lines.repeat(factor, 0).repeat(factor, 1)[:height, :width]


def shrunk(picture: Picture) -> tuple[NDArray[np.float32], int]:
    """Shrink a picture, by a whole factor, to what lines are looked for in.

    Args:
        picture: Any.

    Returns:
        ``(h, w, 3)`` float32 in [0, 1], at most :data:`LARGEST` pixels a side, and the factor.
    """
    height, width = picture.size
    factor = -(-max(height, width) // LARGEST)
    return picture.shrunk(Box.whole((height, width)), factor), factor


def blurred(planes: Plane, spacing: int) -> Plane:
    """Weigh each pixel with its neighbours 1 2 1 on both axes: a variance of spacing² / 2 more."""
    for axis in (1, 2):
        padding = [(0, 0), (0, 0), (0, 0)]
        padding[axis] = spacing, spacing
        wide = np.pad(planes, padding, "edge")
        before, here, after = (
            wide[(slice(None),) * axis + (slice(first, first + planes.shape[axis]),)]
            for first in (0, spacing, 2 * spacing)
        )
        summed = before + after
        summed *= np.float32(0.25)
        summed += np.float32(0.5) * here
        planes = summed
    return planes


def gradient(planes: Plane) -> tuple[Plane, Plane, Plane]:
    """Give the gradient of the channel that changes most: across, down, and its length."""
    wide = np.pad(planes, ((0, 0), (1, 1), (1, 1)), "edge")
    across = (wide[:, 1:-1, 2:] - wide[:, 1:-1, :-2]) * np.float32(0.5)
    down = (wide[:, 2:, 1:-1] - wide[:, :-2, 1:-1]) * np.float32(0.5)
    squared = across * across + down * down
    first, *others = zip(across, down, squared, strict=True)
    for other in others:
        more = other[2] > first[2]
        first = tuple(np.where(more, b, a) for a, b in zip(first, other, strict=True))
    return first[0], first[1], np.sqrt(first[2])


def _ridge(across: Plane, down: Plane, strength: Plane) -> Mask:
    """Find where the gradient is largest along its own direction."""
    wide = np.pad(strength, 1, constant_values=0)
    height, width = strength.shape

    def beside(y: int, x: int) -> Plane:
        return wide[1 + y : 1 + y + height, 1 + x : 1 + x + width]

    flat, steep = np.abs(across), np.abs(down)
    # Of the two neighbours that the direction passes between, each by its share.
    share = np.minimum(flat, steep) / np.maximum(np.maximum(flat, steep), np.float32(1e-12))
    level = flat >= steep
    falling = across * down >= 0
    first = np.where(level, beside(0, 1), beside(1, 0))
    last = np.where(level, beside(0, -1), beside(-1, 0))
    corner = np.where(falling, beside(1, 1), np.where(level, beside(-1, 1), beside(1, -1)))
    opposite = np.where(falling, beside(-1, -1), np.where(level, beside(1, -1), beside(-1, 1)))
    ahead = first + share * (corner - first)
    behind = last + share * (opposite - last)
    ridge: Mask = (strength >= behind) & (strength > ahead) & (strength > 0)
    return ridge


def _largest_near(plane: Plane) -> Plane:
    wide = np.pad(plane, 1, "edge")
    tall = np.maximum(np.maximum(wide[:-2], wide[1:-1]), wide[2:])
    most: Plane = np.maximum(np.maximum(tall[:, :-2], tall[:, 1:-1]), tall[:, 2:])
    return most
