"""Does a fill follow a sketch, what is that worth, and what do the gates make of it?

    python benchmarks/guidance.py --data data/test

Prints two tables and writes them with their numbers into --out. The first is of fills with nothing
drawn; with the true lines inside the hole; true strokes of colour; both; the true lines moved by 8
pixels; another photo's lines; and three random shapes. LPIPS is against the true photo. F1 is of
the fill's edges against the lines that were given, inside the hole, within 2 pixels, found by a
detector that training did not use. That of *new* edges leaves out those that are there without a
sketch, too: what goes on into the hole from around it is no disobedience. "Elsewhere" is the
density of edges in the hole more than 6 pixels from any line, over that without a sketch.

The second is of the gates, with the true lines given: the median over the photos of how strongly
each layer's gate goes with the hole, its border, and inside the hole with the sketch; and what a
partial convolution's mask would still know of the hole there.
"""

from __future__ import annotations

import argparse
import csv
import math
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import distance_transform_edt

from freefill.imaging.box import Box
from freefill.imaging.io import read_picture
from freefill.lab.data.guidance_samples import strokes_of
from freefill.lab.evaluation import protocol
from freefill.lab.evaluation.metrics.edges import TOLERANCE, edge_f1, zero_crossings
from freefill.lab.evaluation.metrics.lpips import lpips
from freefill.lab.export.export import load_network
from freefill.lab.gates.gates import correlations, record_gates
from freefill.pipeline.guidance import Guidance
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import FillRequest
from freefill.types import Mask
from freefill.vision.edges import edges
from measured import measured_with

MANIFEST = Path(__file__).parent / "test-photos.toml"
MOVED = 8
AWAY = 6
CONDITIONS = (
    *("none", "true lines", "true colours", "both"),
    *("moved lines", "another photo's lines", "random shapes"),
)
SCORES = ("f1", "precision", "recall", "new_f1", "elsewhere")
FIELDS = ("protocol", "photo", "condition", "lpips", *SCORES)
GATES = ("layer", "hole", "border", "sketch", "change", "unknown")


def random_shapes(hole: Mask, rng: np.random.Generator) -> Mask:
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
    pixels: NDArray[np.uint8], hole: Mask, other: Mask, rng: np.random.Generator
) -> dict[str, Guidance | None]:
    """Make what is drawn for each condition."""
    rgb = pixels.astype(np.float32) / 255
    lines = edges(rgb)
    painted = strokes_of(rgb, hole, rng)
    there = painted[..., 0] > 0
    layer = np.dstack([(painted[..., 1:] / 2 + 0.5) * 255, there * 255]).round().astype(np.uint8)
    strokes = read_picture(layer)
    return {
        "none": None,
        "true lines": Guidance(lines & hole),
        "true colours": Guidance(None, strokes, there),
        "both": Guidance(lines & hole, strokes, there),
        "moved lines": Guidance(np.roll(lines, (MOVED, MOVED), (0, 1)) & hole),
        "another photo's lines": Guidance(other & hole),
        "random shapes": Guidance(random_shapes(hole, rng)),
    }


def measure(
    inpainter: Inpainter, sample: protocol.Sample, other: Mask, rng: np.random.Generator
) -> list[dict[str, float | str]]:
    """Fill a photo under each condition; give a row of numbers for each."""
    pixels, hole = sample.pixels, sample.hole
    rows: list[dict[str, float | str]] = []
    plain = np.empty(0)
    for condition, guidance in given(pixels, hole, other, rng).items():
        filled = inpainter.run(
            FillRequest(read_picture(pixels), hole, guidance=guidance)
        ).picture.samples
        row: dict[str, float | str] = {"condition": condition, "lpips": lpips(filled, pixels)}
        found = zero_crossings(filled)
        if guidance is None:
            plain = found
        elif guidance.lines is not None and guidance.lines.any():
            scores = edge_f1(found, guidance.lines, hole)
            row |= dict(zip(("f1", "precision", "recall"), scores, strict=True))
            new = found & (distance_transform_edt(~plain) > TOLERANCE) | (found & ~hole)
            row["new_f1"] = harmonic(edge_f1(new, guidance.lines, hole)[1], scores[2])
            away = hole & (distance_transform_edt(~guidance.lines) > AWAY)
            if plain[away].any():
                row["elsewhere"] = float(found[away].mean() / plain[away].mean())
        rows.append(row)
    return rows


def harmonic(precision: float, recall: float) -> float:
    """Give F1 of the two."""
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def table(rows: list[dict[str, float | str]], protocols: list[str]) -> str:
    """Give the means, in Markdown."""
    lines = [
        "| holes | given | LPIPS | against none | F1 | precision | recall | F1 of new edges "
        "| edges elsewhere |",
        "|" + " --- |" * 9,
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
            shown = [f"{mean(key):.2f}" for key in SCORES[:-1]]
            shown.append(f"{mean('elsewhere', lambda v: float(np.median(v))):.2f}")
            cells = [name, condition, f"{distance:.4f}", f"{distance / base - 1:+.1%}", *shown]
            lines.append("| " + " | ".join(cells).replace("nan", "") + " |")
    return "\n".join(lines)


def gate_rows(model: str, samples: list[protocol.Sample]) -> list[dict[str, float | str]]:
    """Give a row for each layer: medians over the photos, of the channel that goes with it most."""
    network = load_network(model)
    found: dict[str, list[tuple[float, ...]]] = {}
    for sample in samples:
        lines = edges(sample.pixels.astype(np.float32) / 255) & sample.hole
        planes = Guidance(lines).seen(Box.whole(lines.shape), 1, lines.shape)
        for gate in record_gates(network, sample.pixels, sample.hole, planes):
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # a channel without any change
                most = np.nanmax(np.abs(correlations(gate, sample.hole, lines)), 0)
            change = float(gate.maps.std((1, 2)).max())
            unknown = float(np.mean(gate.rule < 0.5)) / float(sample.hole.mean())
            found.setdefault(gate.layer, []).append((most[0], most[3], most[2], change, unknown))
    return [
        {"layer": layer, **dict(zip(GATES[1:], np.nanmedian(values, 0).tolist(), strict=True))}
        for layer, values in found.items()
    ]


def gate_table(rows: list[dict[str, float | str]]) -> str:
    """Give the rows in Markdown."""
    lines = [
        "| layer | with the hole | with its border | with the sketch | standard deviation | of the "
        "hole, unknown to a partial convolution |",
        "|" + " --- |" * 6,
    ]
    for row in rows:
        numbers = [f"{float(row[key]):.2f}" for key in GATES[1:-1]]
        lines.append(f"| {row['layer']} | " + " | ".join(numbers) + f" | {row['unknown']:.0%} |")
    return "\n".join(lines)


def write(path: Path, fields: tuple[str, ...], rows: list[dict[str, float | str]]) -> None:
    """Write rows as a table for programs."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fields, restval="")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()})


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
    kept: list[protocol.Sample] = []
    start = time.perf_counter()
    for name in protocols:
        for number, photo in enumerate(photos):
            sample = protocol.sample(manifest, options.data, photo, name)
            if name == protocols[0]:
                kept.append(sample)
            next_photo = photos[(number + 1) % len(photos)]
            beside = protocol.read(options.data / next_photo.file).astype(np.float32) / 255
            other = np.zeros_like(sample.hole)
            drawn = edges(beside)[: other.shape[0], : other.shape[1]]
            other[: drawn.shape[0], : drawn.shape[1]] = drawn
            for row in measure(inpainter, sample, other, np.random.default_rng(number)):
                rows.append({"protocol": name, "photo": photo.file, **row})
            if (number + 1) % 10 == 0:
                print(f"{name}: {number + 1} of {len(photos)} photos", flush=True)
    of_gates = gate_rows(options.model, kept)
    text = measured_with(options.model) + table(rows, protocols) + "\n\n" + gate_table(of_gates)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "guidance.md").write_text(text + "\n", "utf-8")
    write(options.out / "guidance.csv", FIELDS, rows)
    write(options.out / "gates.csv", GATES, of_gates)
    print(text)
    print(f"{len(photos)} photos, {time.perf_counter() - start:.0f} s; {options.out}/guidance.csv")


if __name__ == "__main__":
    main()
