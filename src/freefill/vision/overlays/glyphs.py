"""Letters and digits laid over a photo: parts of one colour and one height, side by side on a line.

Top-hats at the scale of strokes find what is thin and brighter (or darker, or warmer) than what is
around it; its connected parts are taken for glyphs where at least three of like height and colour
stand in a row, close to each other. That is how text is found without reading it (as in Epshtein et
al., "Detecting Text in Natural Scenes with Stroke Width Transform", 2010, whose rules for letters
and chains these are, in place of its strokes).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from freefill.imaging.codecs import LUMA
from freefill.masks.morphology import grow
from freefill.types import Plane, Rgb
from freefill.vision.overlays.judging import Findings, Judge, magnitude
from freefill.vision.overlays.morphology import highest, opened
from freefill.vision.overlays.parts import Numbers, Parts

Mask = NDArray[np.bool_]
Index = NDArray[np.int64]

STROKE = 0.022
"""Half of the square that no stroke fills, as a share of the photo's shorter side."""
LOWEST, TALLEST = 6, 0.16
"""Height of a glyph: pixels at least, share of the shorter side at most."""
MARGIN = 0.22
"""Share of the photo at each end in which a stamp lies."""


OUTER = 0.9
"""Where a stamp mostly is: 0 is the middle of the height, 1 the border."""
STRONG = 0.12, 0.3
"""By how much, of full intensity, a pixel of a stroke stands out: with the higher one, bright
letters come off the faint things that they touch."""
WEAK = 0.06
"""And one next to it."""
UNIFORM = 0.14
"""Standard deviation of the colour in a glyph, at most."""
ALIKE = 0.25
"""Difference of colour between neighbours, at most."""
LEAST = 3
"""Letters in a row."""
STAMP = Judge(
    {
        "letters": -1.35,
        "glyphs": 4.43,
        "across": -0.969,
        "within": 0.996,
        "apart": 0.885,
        "unlike": -10.2,
        "uneven": -11.1,
        "steep": -1.18,
        "extreme": -0.337,
        "warm": 4.31,
        "own": 1.21,
        "tall": -1.71,
        "filled": 0.354,
        "outer": 12.2,
    },
    -18.5,
    0.5,
)
TEXT = Judge(
    {
        "letters": -1.89,
        "glyphs": 3.73,
        "across": -1.36,
        "within": 0.991,
        "apart": 2.02,
        "unlike": -5.85,
        "uneven": -5.71,
        "steep": 3.82,
        "extreme": 1.3,
        "warm": 0.777,
        "own": 4.99,
        "tall": -1.24,
        "filled": -3.84,
        "outer": -0.681,
    },
    -11.8,
    0.3,
)


@dataclass(frozen=True, eq=False)
class Rows:
    """Candidates: rows of glyphs.

    Attributes:
        masks: ``(H, W)`` bool of each.
        measures: By name, one number a row.
    """

    masks: list[Mask]
    measures: dict[str, Numbers]

    def kept(self, judge: Judge, asked: bool) -> list[tuple[Mask, float]]:
        """Give the masks of those that a judge takes, with how likely each is text."""
        if not self.masks:
            return []
        taken = judge.taken(self.measures, asked).tolist()
        return [(mask, odds) for mask, odds in zip(self.masks, taken, strict=True) if odds]


def stamp(rgb: Rgb, within: Mask | None = None) -> Mask:
    """Find date stamps: rows of warm or white glyphs near the upper or lower border.

    Args:
        rgb: ``(H, W, 3)`` in [0, 1].
        within: ``(H, W)`` bool: where a person said that there is one.

    Returns:
        ``(H, W)`` bool.
    """
    return find_stamp(rgb, within).mask


def find_stamp(rgb: Rgb, within: Mask | None = None) -> Findings:
    """Find them with how likely each row is one; as :func:`stamp`."""
    return _taken(stamp_candidates(rgb, within), STAMP, rgb.shape[:2], within is not None)


def text(rgb: Rgb, within: Mask | None = None) -> Mask:
    """Find captions: rows of bright or dark glyphs of any colour, anywhere.

    Args:
        rgb: ``(H, W, 3)`` in [0, 1].
        within: ``(H, W)`` bool: where a person said that there is one.

    Returns:
        ``(H, W)`` bool.
    """
    return find_text(rgb, within).mask


def find_text(rgb: Rgb, within: Mask | None = None) -> Findings:
    """Find them with how likely each row is one; as :func:`text`."""
    return _taken(text_candidates(rgb, within), TEXT, rgb.shape[:2], within is not None)


def stamp_candidates(rgb: Rgb, within: Mask | None = None) -> Iterator[Rows]:
    """Give rows that are brighter than their ground, then those that are warmer."""
    height = rgb.shape[0]
    where = _stamp_coloured(rgb)
    if within is None:
        band = round(MARGIN * height)
        where[band : height - band] = False
    else:
        where &= within
    for plane in (rgb @ LUMA, np.clip(rgb[..., 0] - rgb[..., 2], 0, 1)):
        for rows in _rows(plane, rgb, where):
            if within is not None and rows.masks:
                # A person knows better than a rule where it is.
                rows.measures["outer"][:] = OUTER
            yield rows


def text_candidates(rgb: Rgb, within: Mask | None = None) -> Iterator[Rows]:
    """Give rows that are brighter than their ground, then those that are darker."""
    light = rgb @ LUMA
    for plane in (light, 1 - light):
        yield from _rows(plane, rgb, np.ones(light.shape, bool) if within is None else within)


def _taken(found: Iterator[Rows], judge: Judge, size: tuple[int, ...], asked: bool) -> Findings:
    total, all_odds = np.zeros(size, bool), []
    for rows in found:
        for mask, odds in rows.kept(judge, asked):
            total |= mask
            all_odds.append(odds)
    return Findings.of(total, all_odds)


def _stamp_coloured(rgb: Rgb) -> Mask:
    """Tell where a colour is that of a glowing digit, or white."""
    red, green, blue = np.moveaxis(rgb, -1, 0)
    warm = (red > 0.55) & (red - blue > 0.15) & (red >= green - 0.05)
    white = rgb.min(-1) > 0.65
    tinted: Mask = warm | white
    return tinted


def _rows(plane: Plane, rgb: Rgb, where: Mask) -> Iterator[Rows]:
    """Find rows of glyphs that are brighter in a plane than what is around them."""
    hat = plane - opened(plane, max(3, round(STROKE * min(plane.shape))))
    # Half of what the stroke's middle has: a stroke's edge, whatever its contrast.
    edge = 0.5 * highest(hat, 2)
    for least in STRONG:
        yield _rows_of(
            Parts.of((hat > np.maximum(np.float32(least), edge)) & where), plane, rgb, hat
        )


def _rows_of(parts: Parts, plane: Plane, rgb: Rgb, hat: Plane) -> Rows:
    """Find rows among parts."""
    if parts.area.size < 2:
        return Rows([], {})
    side = min(plane.shape)
    colour, spread = _colours(parts, rgb, hat)
    fits = _glyph_like(parts, side) & (spread < UNIFORM)
    rows = _chained(parts, colour, fits)
    slope = np.hypot(*np.gradient(plane)).astype(np.float32)
    glyphs = Glyphs(parts, colour, spread, parts.most(hat), parts.most(slope))
    masks = [_with_marks(glyphs, row, rgb, hat) for row in rows]
    found = [_measures(glyphs, row, hat) for row in rows]
    measures = {name: np.array([one[name] for one in found]) for name in found[0]} if found else {}
    return Rows(masks, measures)


@dataclass(frozen=True, eq=False)
class Glyphs:
    """Parts with what the measures are made of, one entry a part; colours are ``(n, 3)``."""

    parts: Parts
    colour: Numbers
    spread: Numbers
    apart: Numbers
    steepest: Numbers


def _measures(glyphs: Glyphs, row: Index, hat: Plane) -> dict[str, float]:
    parts = glyphs.parts
    tall, colour = parts.height[row], glyphs.colour[row]
    mean = colour.mean(0)
    apart = glyphs.apart[row].mean()
    top, bottom = int(parts.top[row].min()), int(parts.bottom[row].max())
    left, right = int(parts.left[row].min()), int(parts.right[row].max())
    standing = float((hat[top:bottom, left:right] > STRONG[0]).sum())
    level = min(parts.bottom[row].std(), parts.top[row].std())
    letters = _letters(parts, row)
    return {
        "letters": float(np.log(letters)),
        "glyphs": float(np.log(row.size)),
        "across": float(magnitude(colour.std(0).mean() + 0.01)),
        "within": float(magnitude(glyphs.spread[row].mean() + 0.01)),
        "apart": float(magnitude(apart)),
        "unlike": float(tall.std() / tall.mean()),
        "uneven": float(level / tall.mean()),
        "steep": float((glyphs.steepest[row] / glyphs.apart[row]).mean()),
        "extreme": float(max(mean.min(), 1 - mean.max())),
        "warm": float(mean[0] - mean[2]),
        "own": float(parts.area[row].sum() / max(standing, 1)),
        "tall": float(np.log(tall.mean() / min(hat.shape))),
        "filled": float(parts.area[row].sum() / ((bottom - top) * (right - left))),
        "outer": abs((top + bottom) / hat.shape[0] - 1),
    }


def _letters(parts: Parts, row: Index) -> float:
    """Count the letters of a row: those that touch are one part, as wide as they are many."""
    return float(np.maximum(1, np.rint(parts.width[row] / (0.8 * parts.height[row]))).sum())


def _colours(parts: Parts, rgb: Rgb, weight: Plane) -> tuple[Numbers, Numbers]:
    """Give mean colour ``(n, 3)`` and deviation of each part, mostly by the middle of strokes."""
    inside = parts.label >= 0
    label, heavy = parts.label[inside], weight[inside].astype(np.float64) ** 2
    count = parts.area.size
    total = np.maximum(np.bincount(label, heavy, count), 1e-9)
    mean, spread = np.zeros((count, 3)), np.zeros(count)
    for channel in range(3):
        values = rgb[..., channel][inside].astype(np.float64)
        mean[:, channel] = np.bincount(label, heavy * values, count) / total
        spread += np.bincount(label, heavy * (values - mean[label, channel]) ** 2, count) / total
    return mean, np.sqrt(spread / 3)


def _glyph_like(parts: Parts, side: int) -> Mask:
    """Tell which parts could be a glyph, or a few that touch."""
    tall, wide = parts.height, parts.width
    filled = parts.area / np.maximum(tall * wide, 1)
    fits: Mask = (
        (tall >= LOWEST) & (tall <= TALLEST * side) & (wide <= 8 * tall)
        & (filled > 0.12) & ((filled < 0.8) | (wide < 0.5 * tall))
    )  # fmt: skip
    return fits


def _chained(parts: Parts, colour: Numbers, fits: Mask) -> list[Index]:
    """Join neighbours of like height and colour that stand on a line; give rows of enough."""
    members = np.flatnonzero(fits)
    members = members[np.argsort(parts.left[members])]
    if members.size < 2:
        return []
    tall, bottom, left, right = (
        values[members] for values in (parts.height, parts.bottom, parts.left, parts.right)
    )
    top = bottom - tall
    gap = left[None] - right[:, None]
    larger = np.maximum(tall[:, None], tall[None])
    smaller = np.minimum(tall[:, None], tall[None])
    apart = np.abs(colour[members][:, None] - colour[members][None]).max(-1)
    level = np.minimum(np.abs(bottom[:, None] - bottom[None]), np.abs(top[:, None] - top[None]))
    beside = (
        (gap > -0.3 * smaller) & (gap < 1.3 * larger) & (smaller > 0.55 * larger)
        & (level <= 0.15 * larger + 1) & (apart < ALIKE) & (left[None] > left[:, None])
    )  # fmt: skip
    row_of = np.arange(members.size)
    for first, second in zip(*np.nonzero(beside), strict=True):
        row_of[row_of == row_of[second]] = row_of[first]
    rows = []
    for number in np.unique(row_of):
        row = members[row_of == number]
        if row.size >= 2 and _letters(parts, row) >= LEAST:
            rows.append(row)
    return rows


def _with_marks(glyphs: Glyphs, row: Index, rgb: Rgb, hat: Plane) -> Mask:
    """Give a row with what has its colour between its lines: more letters, dots, faint strokes."""
    parts = glyphs.parts
    tall = float(np.median(parts.height[row]))
    height, width = hat.shape
    top = max(int(parts.top[row].min() - 0.3 * tall), 0)
    bottom = min(int(parts.bottom[row].max() + 0.3 * tall), height)
    colour = np.median(glyphs.colour[row], 0)
    near = np.abs(glyphs.colour - colour).max(-1) < ALIKE / 2
    between = near & (parts.top >= top) & (parts.bottom <= bottom) & (parts.width < 3 * tall)
    left, right = parts.left[row].min(), parts.right[row].max()
    own = np.zeros(parts.area.size, bool)
    own[row] = True
    while True:
        # As far as the next letter can be: a word's space is about as wide as it is tall.
        more = between & (parts.right > left - tall) & (parts.left < right + tall) & ~own
        if not more.any():
            break
        own |= more
        left, right = parts.left[own].min(), parts.right[own].max()
    window = slice(top, bottom), slice(max(int(left - tall), 0), min(int(right + tall), width))
    mask = parts.kept(own)
    close = np.abs(rgb[window] - colour).max(-1) < ALIKE / 2
    # Only next to what is there: on wood or sand the same colour goes on and on.
    mask[window] |= (hat[window] > WEAK) & close & grow(mask[window], 2)
    return mask
