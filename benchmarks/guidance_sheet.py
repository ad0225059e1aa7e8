"""Draw a sheet of fills that follow sketches, to be looked at.

    python benchmarks/guidance_sheet.py --out docs/guidance.jpg

Each photo in examples/ has a hole in its middle with its true lines in it, and is filled without
and with them. Below, one hole with three sketches that nobody's photo had gives three results.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from freefill.imaging.contact_sheet import HOLE, row, sheet
from freefill.imaging.io import read_picture
from freefill.pipeline.guidance import Guidance
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import FillRequest
from freefill.types import Mask, Pixels
from freefill.vision.edges import edges

EXAMPLES = Path(__file__).parents[1] / "examples"
SIDE = 256
"""Pixels of a side: each photo's middle, shrunk to what the network sees."""
SHOWN = 192


def middle(path: Path) -> Pixels:
    """Give the middle square of a photo."""
    with Image.open(path) as image:
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        square = image.convert("RGB").crop((left, top, left + side, top + side))
        return np.asarray(square.resize((SIDE, SIDE), Image.Resampling.LANCZOS))


def marked(pixels: Pixels, hole: Mask, lines: Mask) -> Pixels:
    """Show a hole in colour and the lines in it in white."""
    seen = pixels / np.float32(255)
    seen = np.where(hole[..., None], 0.25 * seen + 0.75 * HOLE, seen)
    seen = np.where((lines & hole)[..., None], 1.0, seen)
    return (seen * 255).round().astype(np.uint8)


def small(pixels: Pixels) -> Image.Image:
    """Shrink what is shown."""
    return Image.fromarray(pixels).resize((SHOWN, SHOWN), Image.Resampling.LANCZOS)


def drawn(points: list[tuple[float, float]], closed: bool = False) -> Mask:
    """Draw a line through points, in shares of the side."""
    canvas = Image.new("L", (SIDE, SIDE))
    places = [(x * SIDE, y * SIDE) for x, y in points]
    ImageDraw.Draw(canvas).line(places + places[:1] * closed, fill=255, width=2)
    return np.asarray(canvas) > 0


def curve(height: float, wave: float, phase: float) -> list[tuple[float, float]]:
    """Give a wavy line from one side of the hole to the other."""
    across = np.linspace(0.2, 0.8, 60)
    return [(x, height + wave * float(np.sin(12 * x + phase))) for x in across.tolist()]


def circle(x: float, y: float, radius: float) -> list[tuple[float, float]]:
    """Give a circle."""
    turn = np.linspace(0, 2 * np.pi, 60)
    return [(x + radius * float(np.cos(a)), y + radius * float(np.sin(a))) for a in turn]


SKETCHES = {
    "a horizon": drawn(curve(0.5, 0.01, 0)),
    "hills": drawn([(0.2, 0.6), (0.38, 0.36), (0.5, 0.52), (0.62, 0.3), (0.8, 0.6)]),
    "a ball": drawn(circle(0.5, 0.5, 0.16)),
}


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="light")
    parser.add_argument("--out", type=Path, default=Path("out/guidance.jpg"))
    parser.add_argument("--photo", default="sunset", help="of examples/, for the three sketches")
    options = parser.parse_args()
    inpainter = Inpainter(options.model)
    hole = np.zeros((SIDE, SIDE), bool)
    hole[56:200, 56:200] = True

    def filled(pixels: Pixels, lines: Mask | None) -> Image.Image:
        guidance = None if lines is None else Guidance(lines & hole)
        picture = inpainter.run(FillRequest(read_picture(pixels), hole, guidance=guidance)).picture
        return small(picture.samples)

    panels = []
    for path in sorted(EXAMPLES.glob("*.jpg")):
        pixels = middle(path)
        lines = edges(pixels.astype(np.float32) / 255)
        seen = small(marked(pixels, hole, lines))
        panels.append((path.stem, row([seen, filled(pixels, None), filled(pixels, lines)])))
    heads = "hole and true lines", "without", "with"
    first = sheet(panels, columns=2, heads=heads)
    pixels = middle(EXAMPLES / f"{options.photo}.jpg")
    panels = [
        (name, row([small(marked(pixels, hole, lines)), filled(pixels, lines)]))
        for name, lines in SKETCHES.items()
    ]
    second = sheet(panels, columns=3, heads=("one hole, three sketches", "filled"))
    page = Image.new("RGB", (max(first.width, second.width), first.height + second.height))
    page.paste(first, (0, 0))
    page.paste(second, (0, first.height))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    page.save(options.out, quality=88)
    print(f"{options.out}: {page.width}x{page.height}, {options.out.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
