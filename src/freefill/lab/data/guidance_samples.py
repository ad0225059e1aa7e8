"""Guidance for training, made of the photos themselves: nobody has to draw anything.

Lines come from :func:`freefill.vision.edges.edges`, strokes of colour from the photo under them.
Both are then made as imperfect as a person's: lines tremble, parts of them are missing, a stroke
has one colour. Into some photos a shape is drawn first, so that lines occur which nothing around
the hole suggests: a network that has only seen true outlines learns to overrule odd ones.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from freefill.masks.thinning import components, thin
from freefill.types import GUIDANCE_CHANNELS, Mask, Rgb
from freefill.vision.edges import edges

TREMBLE = 0.6
"""Standard deviation of a line's displacement, in pixels."""
OVERSAMPLED = 4


def sketch_of(rgb: Rgb, hole: Mask, rng: np.random.Generator, whole: float) -> Mask:
    """Draw the lines inside a hole as a person might.

    Args:
        rgb: The true photo, ``(H, W, 3)`` in [0, 1].
        hole: ``(H, W)``, True = fill.
        rng: Source of all randomness.
        whole: Chance that no line is missing.

    Returns:
        ``(H, W)`` bool, nowhere outside the hole.
    """
    lines = edges(rgb, detail=math.exp(rng.uniform(math.log(0.5), math.log(1.5))))
    lines = trembled(lines, rng)
    if rng.random() >= whole:
        label, count = components(lines)
        kept = np.append(rng.random(count) < rng.uniform(0.1, 0.9), False)
        lines = kept[label]
    return lines & hole


def trembled(lines: Mask, rng: np.random.Generator, amount: float = TREMBLE) -> Mask:
    """Move lines about, smoothly, as an unsteady hand does.

    Args:
        lines: ``(H, W)`` bool.
        rng: Source of all randomness.
        amount: Standard deviation of the displacement, in pixels.

    Returns:
        Lines of one pixel, of the same shape.
    """
    height, width = lines.shape
    rows, columns = np.nonzero(lines)
    coarse = (max(2, height // 24), max(2, width // 24))
    moved = []
    for places in (rows, columns):
        noise = rng.normal(0, amount, coarse).astype(np.float32)
        field = np.asarray(Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC))
        moved.append(places + field[rows, columns])
    drawn = np.zeros_like(lines)
    # Rounded twice, half a pixel apart, so that no gap opens where neighbours move apart.
    for shift in (0.25, 0.75):
        y, x = (np.floor(places + shift).astype(np.int64) for places in moved)
        drawn[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)] = True
    return thin(drawn)


def strokes_of(rgb: Rgb, hole: Mask, rng: np.random.Generator) -> NDArray[np.float32]:
    """Dab a few strokes of the photo's own colours into a hole.

    Args:
        rgb: The true photo, ``(H, W, 3)`` in [0, 1].
        hole: ``(H, W)``, True = fill.
        rng: Source of all randomness.

    Returns:
        ``(H, W, 4)`` float32: 1 where there is a stroke, and its colour in [-1, 1]; 0 elsewhere.
    """
    height, width = hole.shape
    painted = np.zeros((height, width, 4), np.float32)
    places = np.argwhere(hole)
    if not len(places):
        return painted
    scale = min(height, width) / 256
    for _ in range(rng.integers(1, 7)):
        y, x = places[rng.integers(len(places))]
        angle = rng.uniform(0, 2 * math.pi)
        points = [(float(x), float(y))]
        for _ in range(rng.integers(1, 5)):
            angle += rng.normal(0, 0.5)
            length = scale * rng.uniform(4, 16)
            last_x, last_y = points[-1]
            points.append((last_x + length * math.cos(angle), last_y + length * math.sin(angle)))
        canvas = Image.new("L", (width, height))
        thickness = max(2, round(scale * rng.uniform(3, 12)))
        ImageDraw.Draw(canvas).line(points, fill=255, width=thickness, joint="curve")
        under = np.asarray(canvas) > 0
        if not under.any():
            continue
        # Of the commonest side, where the stroke lies across an outline: a mean would be neither.
        colour = np.median(rgb[under], 0) + rng.normal(0, 0.02, 3)
        painted[under & hole] = (1, *(np.clip(colour, 0, 1) * 2 - 1))
    return painted


def drawn_into(rgb: Rgb, hole: Mask, rng: np.random.Generator) -> tuple[Rgb, Mask | None]:
    """Draw a shape into a photo: a patch of other colours or content, or a line.

    Args:
        rgb: The photo, ``(H, W, 3)`` in [0, 1].
        hole: Where, about.
        rng: Source of all randomness.

    Returns:
        The changed photo, and for a line its middle: :func:`~freefill.vision.edges.edges` would
        give both sides of it.
    """
    height, width = hole.shape
    places = np.argwhere(hole)
    if not len(places):
        return rgb, None
    y, x = places[rng.integers(len(places))]
    scale = min(height, width) / 256
    if rng.random() < 0.4:
        points = curve(float(x), float(y), scale, rng)
        middle = Image.new("L", (width, height))
        ImageDraw.Draw(middle).line(points, fill=255, width=1)
        lines = np.asarray(middle) > 0
        share = covered(points, (height, width), scale * rng.uniform(1.5, 5))
        under = rgb[lines].mean(0) if lines.any() else np.full(3, 0.5)
        change = rng.uniform(0.2, 0.7) * (-1 if rng.random() < float(under.mean()) else 1)
        colour = np.clip(under + change + rng.normal(0, 0.08, 3), 0, 1).astype(np.float32)
        return rgb + share[..., None] * (colour - rgb), thin(lines)
    share = covered(blob(float(x), float(y), scale, rng), (height, width), 0)[..., None]
    kind = rng.random()
    if kind < 0.5:
        gain = 1 + rng.uniform(0.15, 0.5) * rng.choice([-1, 1])
        other = np.clip(rgb * gain + rng.normal(0, 0.06, 3).astype(np.float32), 0, 1)
    elif kind < 0.75:
        # The photo's own content from elsewhere.
        other = np.roll(rgb, (int(rng.integers(height)), int(rng.integers(width))), (0, 1))
    else:
        other = np.broadcast_to(rng.uniform(0, 1, 3).astype(np.float32), rgb.shape)
    return (rgb + share * (other - rgb)).astype(np.float32), None


def curve(x: float, y: float, scale: float, rng: np.random.Generator) -> list[tuple[float, float]]:
    """Draw a line that bends smoothly.

    Args:
        x: Where it begins, in pixels.
        y: Where it begins, in pixels.
        scale: 1 for a picture of 256 pixels.
        rng: Source of all randomness.

    Returns:
        Its points.
    """
    angle, bend = rng.uniform(0, 2 * math.pi), rng.normal(0, 0.06)
    points = [(x, y)]
    for _ in range(rng.integers(8, 40)):
        bend = 0.9 * bend + rng.normal(0, 0.03)
        angle += bend
        x, y = x + 3 * scale * math.cos(angle), y + 3 * scale * math.sin(angle)
        points.append((x, y))
    return points


def blob(x: float, y: float, scale: float, rng: np.random.Generator) -> list[tuple[float, float]]:
    """Draw a shape with three to five corners, or one with a wavy outline.

    Args:
        x: Its middle, in pixels.
        y: Its middle, in pixels.
        scale: 1 for a picture of 256 pixels.
        rng: Source of all randomness.

    Returns:
        The points of its outline.
    """
    if rng.random() < 0.3:
        corners = rng.integers(3, 6)
        angles = np.sort(rng.uniform(0, 2 * math.pi, corners))
        radii = scale * rng.uniform(15, 60, corners)
    else:
        angles = np.linspace(0, 2 * math.pi, 48, endpoint=False)
        radii = np.full(48, scale * rng.uniform(12, 45))
        for wave in (1, 2, 3, 4):
            size = rng.uniform(0, 0.35) / wave
            radii = radii * (1 + size * np.cos(wave * angles + rng.uniform(0, 2 * math.pi)))
    return [(x + r * math.cos(a), y + r * math.sin(a)) for a, r in zip(angles, radii, strict=True)]


def covered(
    points: list[tuple[float, float]], size: tuple[int, int], thickness: float
) -> NDArray[np.float32]:
    """Give how much of each pixel a line, or without a thickness a polygon, covers.

    Args:
        points: Of the line or the outline, each x and y in pixels.
        size: Height and width.
        thickness: In pixels.

    Returns:
        ``(H, W)`` float32 in [0, 1].
    """
    height, width = size
    canvas = Image.new("L", (width * OVERSAMPLED, height * OVERSAMPLED))
    fine = [(x * OVERSAMPLED, y * OVERSAMPLED) for x, y in points]
    if thickness:
        wide = max(1, round(thickness * OVERSAMPLED))
        ImageDraw.Draw(canvas).line(fine, fill=255, width=wide, joint="curve")
    else:
        ImageDraw.Draw(canvas).polygon(fine, fill=255)
    return np.asarray(canvas.reduce(OVERSAMPLED), np.float32) / np.float32(255)


def sample(
    rgb: Rgb,
    hole: Mask,
    rng: np.random.Generator,
    *,
    sketch: float,
    whole: float,
    strokes: float,
    drawn: float,
) -> tuple[Rgb, NDArray[np.float32]]:
    """Draw the guidance of one training sample.

    Args:
        rgb: The photo, ``(H, W, 3)`` float32 in [0, 1].
        hole: ``(H, W)``, True = fill.
        rng: Source of all randomness.
        sketch: Chance of a sketch.
        whole: Chance that a sketch has all its lines.
        strokes: Chance of strokes of colour.
        drawn: Chance that a shape is drawn into the photo first, where there is a sketch.

    Returns:
        The photo, changed perhaps, and ``(H, W, 5)`` float32: lines, where there are strokes, and
        their colours.
    """
    guidance = np.zeros((*hole.shape, GUIDANCE_CHANNELS), np.float32)
    if rng.random() < sketch:
        middle = None
        if rng.random() < drawn:
            rgb, middle = drawn_into(rgb, hole, rng)
        lines = sketch_of(rgb, hole, rng, whole)
        if middle is not None:
            near = np.asarray(Image.fromarray(middle).convert("L")) > 0
            for _ in range(3):
                near = _spread(near)
            lines = (lines & ~near) | (middle & hole)
        guidance[..., 0] = lines
    if rng.random() < strokes:
        guidance[..., 1:] = strokes_of(rgb, hole, rng)
    return rgb, guidance


def _spread(lines: Mask) -> Mask:
    wide = np.pad(lines, 1)
    tall = wide[:-2] | wide[1:-1] | wide[2:]
    spread: Mask = tall[:, :-2] | tall[:, 1:-1] | tall[:, 2:]
    return spread
