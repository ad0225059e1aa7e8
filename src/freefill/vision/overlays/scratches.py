"""Scratches: long thin lines that are brighter, or darker, than what lies on both sides of them.

For each direction the photo is sheared until lines of that direction stand upright. Short pieces of
a line are seen where they stand out from both of their sides and these are calm: hair, blinds and
grass have other lines beside them, edges of things have two different sides. A scratch is a run of
pieces, most of which are seen.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from freefill.imaging.codecs import LUMA
from freefill.types import Plane, Rgb
from freefill.vision.overlays.judging import Findings, Judge, magnitude
from freefill.vision.overlays.parts import Numbers, Parts

Mask = NDArray[np.bool_]

PIECE = 9
"""Pixels of a piece along its line."""
SIDES = 3
"""Pixels between a line and its sides, and between these and what they are compared with."""
SLOPES = 12
"""Directions between upright and 45 degrees, on each side."""
STRONG, WEAK = 0.04, 0.02
"""By how much, of full intensity, a piece stands out that counts, and one that goes with others."""
CALM = 0.8
"""How much of the difference within and between its sides is taken off that."""
LONG = 0.11, 36
"""Length of a run, as a share of the photo's shorter side, and in pixels at least."""
SEEN = 0.75
"""Share of a run's pieces that must count."""
BRIDGED = 8
"""Pixels of gaps in a run that are closed."""


JUDGE = Judge(
    {"length": 1.87, "apart": 0.704, "even": 2.36, "level": 1.16, "colour": 2.37, "others": -0.27},
    1.3,
    0.4,
)


def scratches(rgb: Rgb, within: Mask | None = None) -> Mask:
    """Find scratches.

    Args:
        rgb: ``(H, W, 3)`` in [0, 1].
        within: ``(H, W)`` bool: where a person said that there are some.

    Returns:
        ``(H, W)`` bool, lines about as wide as they are seen.

    Examples:
        >>> rgb = np.full((128, 128, 3), 0.4, np.float32)
        >>> rgb[10:100, 60] = 0.9
        >>> found = scratches(rgb)
        >>> bool(found[20:90, 60].all()), bool(found[:, :50].any())
        (True, False)
    """
    return find_scratches(rgb, within).mask


def find_scratches(rgb: Rgb, within: Mask | None = None) -> Findings:
    """Find them with how likely each is one; as :func:`scratches`."""
    found, odds = np.zeros(rgb.shape[:2], bool), []
    for parts, measures in candidates(rgb):
        taken = JUDGE.taken(measures, within is not None)
        found |= parts.kept(taken > 0)
        odds += taken[taken > 0].tolist()
    return Findings.of(found if within is None else found & within, odds)


def candidates(rgb: Rgb) -> Iterator[tuple[Parts, dict[str, Numbers]]]:
    """Give lines with their measures: bright and dark ones, and those of each sector apart."""
    light = rgb @ LUMA
    colour = rgb.max(-1) - rgb.min(-1)
    levels = rgb.min(-1), 1 - rgb.max(-1)
    run = max(round(LONG[0] * min(light.shape)), LONG[1])
    slopes = np.linspace(-1, 1, 2 * SLOPES + 1)
    for turned in (False, True):
        plane = light.T if turned else light
        for sector in np.array_split(slopes, 3):
            best = np.zeros((2, *plane.shape), np.float32)
            for slope in sector:
                _look_along(plane, float(slope), run, best)
            if turned:
                best = best.swapaxes(1, 2)
            for strength, level in zip(best, levels, strict=True):
                parts = Parts.of(strength > 0)
                yield parts, _measures(parts, strength, level, colour)


def _measures(parts: Parts, strength: Plane, level: Plane, colour: Plane) -> dict[str, Numbers]:
    length = np.maximum(np.hypot(parts.height, parts.width), 1)
    mean = parts.mean(strength)
    spread = np.sqrt(np.maximum(parts.mean(strength * strength) - mean * mean, 0))
    return {
        "length": magnitude(length / min(strength.shape)),
        "apart": magnitude(mean),
        "even": spread / np.maximum(mean, 1e-3),
        "level": parts.mean(level),
        "colour": parts.mean(colour),
        "others": magnitude(np.full(length.size, float((strength > 0).mean()) * 100)),
    }


def _look_along(plane: Plane, slope: float, run: int, best: NDArray[np.float32]) -> None:
    """Take over how much lines stand out that move ``slope`` columns with each row.

    Args:
        plane: ``(H, W)``.
        slope: In [-1, 1].
        run: Pixels of the shortest line.
        best: ``(2, H, W)``: how much bright and dark lines stood out so far, 0 without any.
    """
    height, width = plane.shape
    shift = np.rint(np.arange(height) * slope).astype(int)
    first, last = -int(shift.max()), width - int(shift.min())
    # Column c of what is sheared is the line that crosses row 0 at c; beyond the photo its
    # border goes on.
    sheared = np.empty((height, last - first), np.float32)
    starts = shift + first
    for row, start in enumerate(starts):
        sheared[row, : -start or None] = plane[row, 0]
        sheared[row, -start : width - start] = plane[row]
        sheared[row, width - start :] = plane[row, -1]
    for target, apart in zip(best, _apart(_mean_along(sheared, PIECE)), strict=True):
        counts = apart > STRONG
        # Few columns have enough pieces; the rest of the work is for those.
        columns = np.flatnonzero(np.count_nonzero(counts, 0) >= SEEN * run)
        if not columns.size:
            continue
        apart = apart[:, columns]
        dense = _mean_along(counts[:, columns].astype(np.float32), run) >= SEEN
        inside = _mean_along(dense.astype(np.float32), run) > 0.5 / run
        inside &= _bridged(apart > WEAK)
        rows, which = np.nonzero(inside)
        place = rows, columns[which] + starts[rows]
        within = (place[1] >= 0) & (place[1] < width)
        rows, where = rows[within], place[1][within]
        values = np.maximum(apart[inside][within], np.float32(WEAK))
        target[rows, where] = np.maximum(target[rows, where], values)


def _apart(piece: Plane) -> tuple[Plane, Plane]:
    """Give how much pieces stand out from calm sides, as bright lines and as dark ones."""
    width = piece.shape[1]
    wide = np.pad(piece, ((0, 0), (2 * SIDES, 2 * SIDES)), "edge")
    far, left, _, right, beyond = (wide[:, k * SIDES :][:, :width] for k in range(5))
    unrest = np.maximum(np.abs(left - far), np.abs(right - beyond))
    np.maximum(unrest, np.abs(left - right), out=unrest)
    unrest *= np.float32(CALM)
    return piece - np.maximum(left, right) - unrest, np.minimum(left, right) - piece - unrest


def _mean_along(plane: Plane, length: int) -> Plane:
    """Give the mean of the piece of a column around each pixel."""
    before = length // 2
    padded = np.pad(plane, ((before + 1, length - 1 - before), (0, 0)), "edge")
    sums = np.cumsum(padded, 0, dtype=np.float32)
    means: Plane = (sums[length:] - sums[:-length]) / np.float32(length)
    return means


def _bridged(seen: Mask) -> Mask:
    """Close short gaps along columns."""
    half = BRIDGED // 2
    spread = _mean_along(seen.astype(np.float32), 2 * half + 1) > 0.5 / (2 * half + 1)
    shrunk: Mask = _mean_along(spread.astype(np.float32), 2 * half + 1) > 1 - 0.5 / (2 * half + 1)
    return shrunk
