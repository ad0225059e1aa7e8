"""Does a fill follow a sketch, and what is that worth? On the test photos, with and without.

    python benchmarks/guidance.py --data data/test

Prints a table and writes it with its numbers into --out. Conditions: nothing drawn; the true lines
inside the hole; true strokes of colour; both; the true lines moved by 8 pixels; and three random
shapes. LPIPS is against the true photo. F1 is of the fill's edges against the lines that were
given, inside the hole, within 2 pixels, found by a detector that training did not use. "Elsewhere"
is the density of edges in the hole more than 6 pixels from any line, over that without a sketch.
"""

from __future__ import annotations

import argparse
import csv
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import distance_transform_edt

from freefill.evaluation import protocol
from freefill.evaluation.metrics.edges import edge_f1, zero_crossings
from freefill.evaluation.metrics.lpips import lpips
from freefill.guidance.edges import edges
from freefill.guidance.samples import strokes_of
from freefill.guidance.sketch import Guidance
from freefill.image import Picture
from freefill.inpainter import Inpainter

Lines = NDArray[np.bool_]
MANIFEST = Path(__file__).parent / "test-photos.toml"
MOVED = 8
AWAY = 6
CONDITIONS = ("none", "true lines", "true colours", "both", "moved lines", "random shapes")
FIELDS = ("protocol", "photo", "condition", "lpips", "f1", "precision", "recall", "elsewhere")


def random_shapes(hole: Lines, rng: np.random.Generator) -> Lines:
    """Draw a circle, a straight line and a curve, each through a pixel of the hole."""
    height, width = hole.shape
    canvas = Image.new("L", (width, height))
    draw = ImageDraw.Draw(canvas)
    places = np.argwhere(hole)
    scale = min(height, width) / 256
    for shape in range(3):
        y, x = (float(value) for value in places[rng.integers(len(places))])
        turn = rng.uniform(0, 2 * math.pi)
        if shape == 0:
            radius = scale * rng.uniform(12, 30)
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=255)
            continue
        length, bend = scale * rng.uniform(40, 90), scale * rng.uniform(-30, 30) * (shape == 2)
        along = np.linspace(-0.5, 0.5, 40)
        beside = bend * np.sin(2 * math.pi * along)
        points = [
            (
                x + length * t * math.cos(turn) - b * math.sin(turn),
                y + length * t * math.sin(turn) + b * math.cos(turn),
            )
            for t, b in zip(along, beside, strict=True)
        ]
        draw.line(points, fill=255)
    return (np.asarray(canvas) > 0) & hole


def given(
    pixels: NDArray[np.uint8], hole: Lines, rng: np.random.Generator
) -> dict[str, Guidance | None]:
    """Make what is drawn for each condition."""
    rgb = pixels.astype(np.float32) / 255
    lines = edges(rgb)
    painted = strokes_of(rgb, hole, rng)
    there = painted[..., 0] > 0
    layer = np.dstack([(painted[..., 1:] / 2 + 0.5) * 255, there * 255]).round().astype(np.uint8)
    strokes = Picture.read(layer)
    return {
        "none": None,
        "true lines": Guidance(lines & hole),
        "true colours": Guidance(None, strokes, there),
        "both": Guidance(lines & hole, strokes, there),
        "moved lines": Guidance(np.roll(lines, (MOVED, MOVED), (0, 1)) & hole),
        "random shapes": Guidance(random_shapes(hole, rng)),
    }


def measure(
    inpainter: Inpainter, sample: protocol.Sample, rng: np.random.Generator
) -> list[dict[str, float | str]]:
    """Fill a photo under each condition; give a row of numbers for each."""
    pixels, hole = sample.pixels, sample.hole
    rows: list[dict[str, float | str]] = []
    plain = np.empty(0)
    for condition, guidance in given(pixels, hole, rng).items():
        filled = inpainter.fill_hole(Picture.read(pixels), hole, guidance=guidance).samples
        row: dict[str, float | str] = {"condition": condition, "lpips": lpips(filled, pixels)}
        found = zero_crossings(filled)
        if guidance is None:
            plain = found
        elif guidance.lines is not None and guidance.lines.any():
            scores = edge_f1(found, guidance.lines, hole)
            row |= dict(zip(("f1", "precision", "recall"), scores, strict=True))
            away = hole & (distance_transform_edt(~guidance.lines) > AWAY)
            if plain[away].any():
                row["elsewhere"] = float(found[away].mean() / plain[away].mean())
        rows.append(row)
    return rows


def table(rows: list[dict[str, float | str]], protocols: list[str]) -> str:
    """Give the means, in Markdown."""
    lines = [
        "| holes | given | LPIPS | against none | F1 | precision | recall | edges elsewhere |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name in protocols:
        base = math.nan
        for condition in CONDITIONS:
            those = [r for r in rows if (r["protocol"], r["condition"]) == (name, condition)]

            def mean(
                key: str,
                how: Callable[[list[float]], float] = lambda values: float(np.mean(values)),
                those: list[dict[str, float | str]] = those,
            ) -> float:
                values = [float(r[key]) for r in those if key in r]
                values = [value for value in values if not math.isnan(value)]
                return how(values) if values else math.nan

            distance = mean("lpips")
            base = distance if condition == "none" else base
            shown = [f"{mean(key):.2f}" for key in ("f1", "precision", "recall")]
            shown.append(f"{mean('elsewhere', lambda v: float(np.median(v))):.2f}")
            cells = [name, condition, f"{distance:.4f}", f"{distance / base - 1:+.1%}", *shown]
            lines.append("| " + " | ".join(cells).replace("nan", "") + " |")
    return "\n".join(lines)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the test photos")
    parser.add_argument("--manifest", type=Path, default=MANIFEST)
    parser.add_argument("--size", default="256", help="folder of the manifest to measure on")
    parser.add_argument("--protocols", default="free-form,centre")
    parser.add_argument("--model", default="light")
    parser.add_argument("--photos", type=int, default=10_000, help="the first so many only")
    parser.add_argument("--out", type=Path, default=Path("out/guidance"))
    options = parser.parse_args()
    manifest = protocol.load(options.manifest)
    photos = [p for p in manifest.photos if p.size == options.size][: options.photos]
    inpainter = Inpainter(options.model)
    protocols = options.protocols.split(",")
    rows: list[dict[str, float | str]] = []
    start = time.perf_counter()
    for name in protocols:
        for number, photo in enumerate(photos):
            sample = protocol.sample(manifest, options.data, photo, name)
            for row in measure(inpainter, sample, np.random.default_rng(number)):
                rows.append({"protocol": name, "photo": photo.file, **row})
            if (number + 1) % 10 == 0:
                print(f"{name}: {number + 1} of {len(photos)} photos", flush=True)
    text = table(rows, protocols)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "guidance.md").write_text(text + "\n", "utf-8")
    with (options.out / "guidance.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, restval="")
        writer.writeheader()
        for row in rows:
            shown = {k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()}
            writer.writerow(shown)
    print(text)
    print(f"{len(photos)} photos, {time.perf_counter() - start:.0f} s; {options.out}/guidance.csv")


if __name__ == "__main__":
    main()
