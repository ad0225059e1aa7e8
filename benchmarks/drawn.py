"""Overlays with known masks: stamps, captions, scratches, dust, a watermark.

For benchmarks/unmark.py. Each is drawn four times as large and shrunk, so that its edges are as
soft as real ones. Sizes follow the photo's shorter side. Fonts are Pillow's own, OpenCV's strokes
(Hershey), and seven segments.
"""

from __future__ import annotations

import io

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Pixels = np.ndarray
Mask = np.ndarray
FINER = 4
SEEN = 8
"""By how much of 255 a channel must have been changed for a pixel to belong to the true mask: white
dust on white snow is not there."""
STAMPS = (
    "'98 12 25",
    "2004 07 31",
    "10.06.2009",
    "31/12/99 23:58",
    "'03  8 14",
    "12:45 PM 5/17/2011",
)
CAPTIONS = (
    "Holiday by the sea",
    "Summer 2009",
    "At grandmother's house",
    "Sample Text",
    "IMG 4711",
    "All rights reserved",
    "Family Archive No. 12",
    "First day of school",
)
WARM = ((255, 138, 32), (255, 96, 24), (255, 200, 40), (240, 60, 30), (255, 160, 70))
SEGMENTS = {
    "0": "abcdef", "1": "bc", "2": "abged", "3": "abgcd", "4": "fgbc", "5": "afgcd", "6": "afgedc",
    "7": "abc", "8": "abcdefg", "9": "abcdfg",
}  # fmt: skip


def stamp(photo: Pixels, rng: np.random.Generator) -> tuple[Pixels, Mask]:
    """A camera's date in a corner: warm or white digits, opaque or nearly so, some glowing."""
    height, width = photo.shape[:2]
    text = STAMPS[rng.integers(len(STAMPS))]
    size = max(9, round(min(height, width) * rng.uniform(0.035, 0.06)))
    style = rng.choice(["segments", "pillow", "hershey"], p=[0.4, 0.3, 0.3])
    drawn = lettered(text, size, str(style), rng)
    while drawn.shape[1] > 0.8 * width:
        size -= 1
        drawn = lettered(text, size, str(style), rng)
    margin = round(min(height, width) * rng.uniform(0.03, 0.07))
    rows, columns = drawn.shape
    left = width - margin - columns if rng.random() < 0.75 else margin
    top = height - margin - rows if rng.random() < 0.85 else margin
    opacity = placed(drawn, photo.shape[:2], top, left) * rng.uniform(0.88, 1)
    colour = WARM[rng.integers(len(WARM))] if rng.random() < 0.8 else (255, 255, 255)
    if rng.random() < 0.4:  # the glow of a date that was exposed on film
        image = Image.fromarray((opacity * 255).astype(np.uint8))
        glow = np.asarray(image.filter(ImageFilter.GaussianBlur(size / 14))) / 255
        opacity = np.maximum(opacity * 0.9, glow)
    return seen(photo, mixed(photo, opacity, colour))


def text(photo: Pixels, rng: np.random.Generator) -> tuple[Pixels, Mask]:
    """A caption anywhere, white, black or coloured."""
    height, width = photo.shape[:2]
    words = CAPTIONS[rng.integers(len(CAPTIONS))]
    size = max(11, round(min(height, width) * rng.uniform(0.045, 0.09)))
    style = str(rng.choice(["pillow", "hershey"], p=[0.6, 0.4]))
    drawn = lettered(words, size, style, rng)
    while drawn.shape[1] > 0.9 * width:
        size -= 1
        drawn = lettered(words, size, style, rng)
    top = int(rng.integers(4, height - drawn.shape[0] - 4))
    left = int(rng.integers(4, width - drawn.shape[1] - 4))
    opacity = placed(drawn, photo.shape[:2], top, left) * rng.uniform(0.8, 1)
    under = photo[opacity > 0.1].mean()
    kind = rng.random()
    colour = (255, 255, 255) if under < 150 else (0, 0, 0)
    if kind > 0.7:
        colour = tuple(int(c) for c in rng.integers(0, 256, 3))
        if abs(np.mean(colour) - under) < 60:
            colour = (255, 240, 60) if under < 140 else (20, 20, 120)
    return seen(photo, mixed(photo, opacity, colour))


def scratches(photo: Pixels, rng: np.random.Generator) -> tuple[Pixels, Mask]:
    """Long thin lines, nearly straight, white or black, some of them faint."""
    height, width = photo.shape[:2]
    side = min(height, width)
    damaged = photo.astype(float)
    steep = rng.random() < 0.6  # film is scratched along its run
    for _ in range(int(rng.integers(3, 8))):
        canvas = Image.new("L", (width * FINER, height * FINER))
        angle = rng.normal(np.pi / 2, 0.06) if steep else rng.uniform(0, np.pi)
        length = rng.uniform(0.25, 1) * side
        centre = rng.uniform(0.15, 0.85, 2) * (width, height)
        along = np.array([np.cos(angle), np.sin(angle)])
        across = along[::-1] * (-1, 1)
        t = np.linspace(-0.5, 0.5, 40)[:, None]
        bow = rng.normal(0, 0.015) * length * (1 - 4 * t * t)
        points = centre + along * t * length + across * (bow + rng.normal(0, 0.15, (40, 1)))
        thick = rng.uniform(1, 2.2) * max(side / 512, 0.7) * FINER
        ImageDraw.Draw(canvas).line(
            [tuple(p * FINER) for p in points], fill=255, width=max(2, round(thick))
        )
        opacity = shrunk(canvas) * rng.uniform(0.6, 1)
        level = 245 if rng.random() < 0.7 else 15
        damaged += opacity[..., None] * (level - damaged)
    return seen(photo, np.rint(damaged).astype(np.uint8))


def dust(photo: Pixels, rng: np.random.Generator) -> tuple[Pixels, Mask]:
    """Specks and a few hairs, white as on a scanned negative, or dark as on a slide."""
    height, width = photo.shape[:2]
    side = min(height, width)
    canvas = Image.new("L", (width * FINER, height * FINER))
    draw = ImageDraw.Draw(canvas)
    unit = max(side / 512, 0.6) * FINER
    for _ in range(int(rng.integers(20, 60))):
        x, y = rng.uniform(0, width * FINER), rng.uniform(0, height * FINER)
        a, b = rng.lognormal(0.5, 0.4, 2) * unit
        draw.ellipse([x - a, y - b, x + a, y + b], fill=int(rng.integers(180, 256)))
    for _ in range(int(rng.integers(0, 5))):
        x, y = rng.uniform(0.1, 0.9, 2) * (width, height) * FINER
        radius, first = rng.uniform(5, 16) * unit, rng.uniform(0, 360)
        draw.arc(
            [x - radius, y - radius, x + radius, y + radius], first, first + rng.uniform(60, 200),
            fill=230, width=max(2, round(unit * 1.2)),
        )  # fmt: skip
    opacity = shrunk(canvas)
    level = 250 if rng.random() < 0.7 else 12
    return seen(photo, mixed(photo, opacity, (level,) * 3))


DAMAGES = {"stamp": stamp, "text": text, "scratches": scratches, "dust": dust}


def watermark(size: tuple[int, int], opacity: float, large: bool = False) -> Pixels:
    """Draw one watermark: its opacity, ``(H, W)``; it is white."""
    height, width = size
    rng = np.random.default_rng(7)
    text, tall = ("SAMPLE", 0.16) if large else ("my photos 2009", 0.085)
    words = lettered(text, round(height * tall), "pillow", rng)
    while words.shape[1] > 0.9 * width:
        tall *= 0.95
        words = lettered(text, round(height * tall), "pillow", rng)
    found = placed(words, size, (height - words.shape[0]) // 2, (width - words.shape[1]) // 2)
    canvas = Image.new("L", (width * FINER, height * FINER))
    reach = round(0.38 * width * FINER), round(0.2 * height * FINER)
    middle = width * FINER // 2, height * FINER // 2
    ImageDraw.Draw(canvas).ellipse(
        [middle[0] - reach[0], middle[1] - reach[1], middle[0] + reach[0], middle[1] + reach[1]],
        outline=255, width=round(0.008 * height * FINER),
    )  # fmt: skip
    return np.maximum(found, shrunk(canvas)) * opacity


def lettered(text: str, size: int, style: str, rng: np.random.Generator) -> Pixels:
    """Give the opacity of a line of text, cut to its box; ``size`` is the height of a capital."""
    fine = size * FINER
    if style == "segments" and all(c in SEGMENTS or c in "': ./" for c in text):
        canvas = _segments(text, fine)
    elif style == "hershey":
        font = int(
            rng.choice(
                [cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX]
            )
        )
        scale, thick = fine / 22, max(2, round(fine * rng.uniform(0.09, 0.13)))
        (columns, rows), below = cv2.getTextSize(text, font, scale, thick)
        plane = np.zeros((rows + below + 2 * thick, columns + 2 * thick), np.uint8)
        cv2.putText(plane, text, (thick, rows + thick), font, scale, 255, thick, cv2.LINE_AA)
        canvas = Image.fromarray(plane)
    else:
        font = ImageFont.load_default(fine / 0.72)
        left, top, right, bottom = font.getbbox(text)
        canvas = Image.new("L", (round(right - left) + 8, round(bottom - top) + 8))
        ImageDraw.Draw(canvas).text((4 - left, 4 - top), text, fill=255, font=font)
    plane = np.asarray(canvas)
    rows, columns = np.flatnonzero(plane.any(1)), np.flatnonzero(plane.any(0))
    plane = plane[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    more = [(0, -side % FINER) for side in plane.shape]
    return shrunk(Image.fromarray(np.pad(plane, more)))


def _segments(text: str, tall: int) -> Image.Image:
    wide, gap, thick = round(tall * 0.55), round(tall * 0.25), max(2, round(tall * 0.13))
    canvas = Image.new("L", ((wide + gap) * len(text) + gap, tall + 2 * thick))
    draw = ImageDraw.Draw(canvas)
    x, y, half = gap, thick, tall // 2
    for letter in text:
        ends = {
            "a": (x, y, x + wide, y), "b": (x + wide, y, x + wide, y + half),
            "c": (x + wide, y + half, x + wide, y + tall), "d": (x, y + tall, x + wide, y + tall),
            "e": (x, y + half, x, y + tall), "f": (x, y, x, y + half),
            "g": (x, y + half, x + wide, y + half),
        }  # fmt: skip
        for name in SEGMENTS.get(letter, ""):
            draw.line(ends[name], fill=255, width=thick)
        marks = {"'": [y], ".": [y + tall], ":": [y + half // 2, y + half + half // 2]}
        for row in marks.get(letter, []):
            draw.rectangle(
                [
                    x + wide // 2 - thick // 2,
                    row - thick // 2,
                    x + wide // 2 + thick // 2,
                    row + thick // 2,
                ],
                fill=255,
            )
        if letter == "/":
            draw.line((x, y + tall, x + wide, y), fill=255, width=thick)
        x += wide + gap
    return canvas


def shrunk(canvas: Image.Image) -> Pixels:
    """Give the opacity of a canvas that was drawn larger."""
    size = canvas.width // FINER, canvas.height // FINER
    return np.asarray(canvas.resize(size, Image.Resampling.BOX)) / 255


def placed(drawn: Pixels, size: tuple[int, ...], top: int, left: int) -> Pixels:
    """Put a drawing into an empty plane."""
    plane = np.zeros(size[:2])
    plane[top : top + drawn.shape[0], left : left + drawn.shape[1]] = drawn
    return plane


def mixed(photo: Pixels, opacity: Pixels, colour: tuple[int, ...]) -> Pixels:
    """Lay a colour over a photo."""
    part = opacity[..., None]
    return np.rint(photo * (1 - part) + part * np.array(colour)).astype(np.uint8)


def seen(photo: Pixels, damaged: Pixels) -> tuple[Pixels, Mask]:
    """Give a damaged photo, and where that can be seen."""
    return damaged, (np.abs(damaged.astype(int) - photo) >= SEEN).any(-1)


def as_jpeg(pixels: Pixels, quality: int = 92) -> Pixels:
    """Give what comes back from a JPEG."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=quality)
    return np.asarray(Image.open(out))
