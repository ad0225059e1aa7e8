"""The hole sampler: strokes, rectangles, borders and scratches as functions of a generator.

Follows the stroke simulator of "Free-Form Image Inpainting with Gated Convolution" (Yu et al., ICCV
2019, section 3.5) with the constants of the released code, which differ from the paper's Algorithm
1 in the law of the segment length (normal, not uniform). Two faults of that code are not kept: the
axes are not swapped for pictures that are not square, and the random flips do take effect.

Every function returns a ``bool`` array ``(height, width)`` in which ``True`` is *hole*, and draws
all its randomness from the ``rng`` that it is given: the same generator state gives the same bytes.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

from freefill.types import Mask

REFERENCE_SIDE = 256
"""The side, in pixels, of the training pictures for which the paper's stroke widths are given."""


def strokes(
    height: int,
    width: int,
    rng: np.random.Generator,
    *,
    count: tuple[int, int] = (1, 3),
    segments: tuple[int, int] = (4, 11),
    brush: tuple[float, float] = (12.0, 40.0),
) -> Mask:
    """Draw free-form strokes, as a person does who brushes over something.

    A stroke is a polyline that turns by about 2 pi / 5 at each vertex, to alternate sides, with
    segment lengths from a normal law around an eighth of the diagonal, round joints, and one width.

    Args:
        height: Rows of the picture, in pixels, at least 1.
        width: Columns of the picture, in pixels, at least 1.
        rng: Source of all randomness.
        count: Fewest and most strokes, both included.
        segments: Fewest and most segments of a stroke, both included.
        brush: Thinnest and thickest stroke at a 256-pixel picture; scaled by the shorter side.

    Returns:
        The hole, ``(height, width)``, at least one pixel of it ``True``.

    Raises:
        ValueError: If a side is smaller than 1.

    Examples:
        >>> hole = strokes(256, 256, np.random.default_rng(0))
        >>> hole.shape, hole.dtype, bool(0.01 < hole.mean() < 0.5)
        ((256, 256), dtype('bool'), True)
    """
    _check(height, width)
    canvas = Image.new("L", (width, height))
    draw = ImageDraw.Draw(canvas)
    scale = min(height, width) / REFERENCE_SIDE
    radius = math.hypot(height, width) / 8
    for _ in range(rng.integers(count[0], count[1] + 1)):
        low = 2 * math.pi / 5 - rng.uniform(0, 2 * math.pi / 15)
        high = 2 * math.pi / 5 + rng.uniform(0, 2 * math.pi / 15)
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        thickness = max(1, round(scale * rng.uniform(*brush)))
        points = [(x, y)]
        for i in range(rng.integers(segments[0], segments[1] + 1)):
            angle = rng.uniform(low, high)
            if i % 2 == 0:
                angle = 2 * math.pi - angle
            length = float(np.clip(rng.normal(radius, radius / 2), 0, 2 * radius))
            x = float(np.clip(x + length * math.cos(angle), 0, width - 1))
            y = float(np.clip(y + length * math.sin(angle), 0, height - 1))
            points.append((x, y))
        _polyline(draw, points, thickness)
    return _flip(np.asarray(canvas) > 0, rng)


def released_strokes(height: int, width: int, rng: np.random.Generator) -> Mask:
    """Draw the strokes of the released code, exactly: whole pixels, and no flip.

    Widths are whole and do not depend on the picture's size, vertices are cut to whole pixels and
    may lie one beyond the border, and a joint is a disc of twice half the width, rounded down. All
    in all they cover some 4 % less than :func:`strokes`.

    Args:
        height: Rows of the picture, in pixels.
        width: Columns of the picture, in pixels.
        rng: Source of all randomness.

    Returns:
        The hole, ``(height, width)``.

    Examples:
        >>> hole = released_strokes(256, 256, np.random.default_rng(0))
        >>> bool(0.01 < hole.mean() < 0.5)
        True
    """
    _check(height, width)
    canvas = Image.new("L", (width, height))
    draw = ImageDraw.Draw(canvas)
    radius = math.hypot(height, width) / 8
    for _ in range(rng.integers(1, 4)):
        segments = int(rng.integers(4, 12))
        low = 2 * math.pi / 5 - rng.uniform(0, 2 * math.pi / 15)
        high = 2 * math.pi / 5 + rng.uniform(0, 2 * math.pi / 15)
        angles = [rng.uniform(low, high) for _ in range(segments)]
        points = [(int(rng.integers(0, width)), int(rng.integers(0, height)))]
        for i, angle in enumerate(angles):
            turned = 2 * math.pi - angle if i % 2 == 0 else angle
            length = float(np.clip(rng.normal(radius, radius // 2), 0, 2 * radius))
            x = float(np.clip(points[-1][0] + length * math.cos(turned), 0, width))
            y = float(np.clip(points[-1][1] + length * math.sin(turned), 0, height))
            points.append((int(x), int(y)))
        thickness = int(rng.uniform(12, 40))
        draw.line(points, fill=1, width=thickness)
        half = thickness // 2
        for x, y in points:
            draw.ellipse((x - half, y - half, x + half, y + half), fill=1)
    return np.asarray(canvas) > 0


def released_rectangle(height: int, width: int, rng: np.random.Generator) -> Mask:
    """Draw the rectangle of the released code, exactly.

    A box of half of each side at a random place, then made smaller by up to a sixteenth of the
    picture on each side: smaller boxes lie nearer the middle than those of :func:`rectangle`.

    Args:
        height: Rows of the picture, in pixels, at least 2.
        width: Columns of the picture, in pixels, at least 2.
        rng: Source of all randomness.

    Returns:
        The hole, ``(height, width)``.

    Examples:
        >>> hole = released_rectangle(256, 256, np.random.default_rng(0))
        >>> 96**2 <= hole.sum() <= 128**2
        np.True_
    """
    _check(height, width)
    spans = []
    for side in (height, width):
        first = int(rng.integers(0, max(1, side - side // 2)))
        inset = int(rng.integers(0, side // 16 + 1))
        spans.append(slice(first + inset, first + max(1, side // 2) - inset))
    hole = np.zeros((height, width), bool)
    hole[spans[0], spans[1]] = True
    return hole


def rectangle(
    height: int,
    width: int,
    rng: np.random.Generator,
    *,
    side: tuple[float, float] = (0.375, 0.5),
) -> Mask:
    """Draw one rectangle at a random place.

    The released code's box of 128 pixels less up to 16 on each side, at 256 pixels, is the default:
    each side is 0.375 to 0.5 of the picture's.

    Args:
        height: Rows of the picture, in pixels.
        width: Columns of the picture, in pixels.
        rng: Source of all randomness.
        side: Smallest and largest side as a share of the picture's side, in (0, 1].

    Returns:
        The hole, ``(height, width)``.

    Raises:
        ValueError: If a side of the picture is smaller than 1.

    Examples:
        >>> hole = rectangle(256, 256, np.random.default_rng(0))
        >>> 96**2 <= hole.sum() <= 128**2
        np.True_
    """
    _check(height, width)
    rows = max(1, round(height * rng.uniform(*side)))
    columns = max(1, round(width * rng.uniform(*side)))
    top = int(rng.integers(0, height - rows + 1))
    left = int(rng.integers(0, width - columns + 1))
    hole = np.zeros((height, width), bool)
    hole[top : top + rows, left : left + columns] = True
    return hole


def border(
    height: int,
    width: int,
    rng: np.random.Generator,
    *,
    depth: tuple[float, float] = (0.1, 0.35),
) -> Mask:
    """Cut away one to three sides, as un-cropping and straightening do.

    Args:
        height: Rows of the picture, in pixels.
        width: Columns of the picture, in pixels.
        rng: Source of all randomness.
        depth: Shallowest and deepest cut as a share of the picture's side, in (0, 0.5).

    Returns:
        The hole, ``(height, width)``.

    Raises:
        ValueError: If a side of the picture is smaller than 1.

    Examples:
        >>> hole = border(64, 64, np.random.default_rng(1))
        >>> bool(hole.any()), bool(hole.all())
        (True, False)
    """
    _check(height, width)
    hole = np.zeros((height, width), bool)
    for side in rng.permutation(4)[: rng.integers(1, 4)]:
        # rot90 makes each side the top one in turn, and is a view: writing to it writes to `hole`.
        turned = np.rot90(hole, int(side))
        turned[: max(1, round(turned.shape[0] * rng.uniform(*depth)))] = True
    return hole


def objects(
    height: int,
    width: int,
    rng: np.random.Generator,
    *,
    share: tuple[float, float] = (0.1, 0.45),
) -> Mask:
    """Draw one to three shapes as large as things in a photo are.

    Each has a smooth outline around a middle, wavy at four scales, and one of every three is
    stretched. They grow together until they cover a share that is drawn first.

    Args:
        height: Rows of the picture, in pixels.
        width: Columns of the picture, in pixels.
        rng: Source of all randomness.
        share: Least and largest share of the picture, in (0, 1); what reaches over its border
            counts for nothing.

    Returns:
        The hole, ``(height, width)``.

    Raises:
        ValueError: If a side of the picture is smaller than 1.

    Examples:
        >>> hole = objects(256, 256, np.random.default_rng(0))
        >>> bool(0.1 <= hole.mean() <= 0.5)
        True
    """
    _check(height, width)
    wanted = rng.uniform(*share)
    angles = np.linspace(0, 2 * math.pi, 64, endpoint=False)
    outlines = []
    for _ in range(rng.integers(1, 4)):
        radii = np.full(64, rng.uniform(0.5, 1.0))
        for wave in (1, 2, 3, 4):
            size = rng.uniform(0, 0.4) / wave
            radii = radii * (1 + size * np.cos(wave * angles + rng.uniform(0, 2 * math.pi)))
        stretched = rng.uniform(0.3, 1.0) if rng.random() < 0.33 else 1.0
        turn = rng.uniform(0, 2 * math.pi)
        x, y = radii * np.cos(angles), stretched * radii * np.sin(angles)
        x, y = x * math.cos(turn) - y * math.sin(turn), x * math.sin(turn) + y * math.cos(turn)
        left, top = rng.uniform(0.2, 0.8) * width, rng.uniform(0.2, 0.8) * height
        outlines.append((left, top, x, y))
    hole = np.zeros((height, width), bool)
    low, high = 0.0, 1.5 * math.hypot(height, width)
    for _ in range(8):
        size = (low + high) / 2
        canvas = Image.new("L", (width, height))
        draw = ImageDraw.Draw(canvas)
        for left, top, x, y in outlines:
            draw.polygon(list(zip(left + size * x, top + size * y, strict=True)), fill=255)
        hole = np.asarray(canvas) > 0
        low, high = (size, high) if hole.mean() < wanted else (low, size)
    return hole


def scratches(
    height: int,
    width: int,
    rng: np.random.Generator,
    *,
    count: tuple[int, int] = (2, 10),
    brush: tuple[float, float] = (1.0, 5.0),
) -> Mask:
    """Draw long thin scratches and specks, as on an old print.

    Args:
        height: Rows of the picture, in pixels.
        width: Columns of the picture, in pixels.
        rng: Source of all randomness.
        count: Fewest and most scratches, both included; as many specks are added.
        brush: Thinnest and thickest scratch at a 256-pixel picture; scaled by the shorter side.

    Returns:
        The hole, ``(height, width)``.

    Raises:
        ValueError: If a side of the picture is smaller than 1.

    Examples:
        >>> hole = scratches(256, 256, np.random.default_rng(0))
        >>> 0.001 < hole.mean() < 0.2
        np.True_
    """
    _check(height, width)
    canvas = Image.new("L", (width, height))
    draw = ImageDraw.Draw(canvas)
    scale = min(height, width) / REFERENCE_SIDE
    for _ in range(rng.integers(count[0], count[1] + 1)):
        angle = rng.uniform(0, 2 * math.pi)
        step = math.hypot(height, width) / 24
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        points = [(x, y)]
        for _ in range(rng.integers(4, 25)):
            angle += rng.normal(0, 0.15)
            x, y = x + step * math.cos(angle), y + step * math.sin(angle)
            points.append((x, y))
        _polyline(draw, points, max(1, round(scale * rng.uniform(*brush))))
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        _disc(draw, x, y, scale * rng.uniform(*brush))
    return np.asarray(canvas) > 0


def _polyline(draw: ImageDraw.ImageDraw, points: list[tuple[float, float]], width: int) -> None:
    draw.line(points, fill=255, width=width)
    for x, y in points:
        _disc(draw, x, y, width / 2)


def _disc(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float) -> None:
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)


def _flip(hole: Mask, rng: np.random.Generator) -> Mask:
    vertical, horizontal = rng.random(2) < 0.5
    return hole[:: -1 if vertical else 1, :: -1 if horizontal else 1]


def _check(height: int, width: int) -> None:
    if height < 1 or width < 1:
        raise ValueError(f"a hole needs a picture of at least 1x1, not {width}x{height}")
