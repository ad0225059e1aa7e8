"""What `recompose` is worth against cutting, filling by Telea, and pasting.

    python benchmarks/recompose.py --data data/test [--photos 60] [--sheet sheet.png]

A blob of one photo is composed into another, whose ground is known. It is moved, once with its
exact mask and once with a rough one, 6 pixels wider. The truth is the same blob composed at the
target. Less is better in each measure: LPIPS over the vacated place, LPIPS over where it landed,
and how far the gradient along its new edge (3 pixels on each side) is from the true one. Fetches
LPIPS (`freefill references lpips_alex`); needs `freefill[lab,baselines]`.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from freefill import Inpainter
from freefill.imaging.box import bounds
from freefill.lab.evaluation import baselines
from freefill.lab.evaluation.metrics.lpips import lpips
from freefill.masks.morphology import grow
from freefill.tasks.recompose import recompose
from measured import measured_with
from pairs import photos, table

SIDE, WIDER, BAND = 256, 6, 3


def main() -> None:
    """Compose, move, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of photos")
    parser.add_argument("--photos", type=int, default=60)
    parser.add_argument("--sheet", type=Path, help="draw the first photos here")
    arguments = parser.parse_args()
    inpainter = Inpainter()
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    rows = []
    chosen = photos(arguments.data, SIDE, arguments.photos)
    for number, ground in enumerate(chosen):
        rng = np.random.default_rng(number)
        ground = middle(ground)
        other = middle(chosen[(number + len(chosen) // 2) % len(chosen)])
        blob = shape(rng)
        share = antialiased(blob)
        by = away(blob, rng)
        start = composed(ground, other, share, (0, 0))
        truth = composed(ground, other, share, by)
        for kind, mask in (("exact mask", blob), ("rough mask", grow(blob, WIDER))):
            landed = shifted(mask, by)
            edge = grow(landed, BAND) & grow(~landed, BAND)
            vacated = grow(mask, 2) & ~landed
            results = {
                "recompose": np.asarray(recompose(start, mask, by=by, inpainter=inpainter).image),
                "Telea and paste": pasted(
                    baselines.hide_hole_and_composite(baselines.telea)(start, mask), start, mask, by
                ),
                "mean colour and paste": pasted(mean_fill(start, mask), start, mask, by),
            }
            for name, result in results.items():
                measures = {
                    f"LPIPS, vacated place, {kind}": lpips(result, truth, vacated),
                    f"LPIPS, landed part and around, {kind}": lpips(result, truth, grow(landed, 4)),
                    f"gradient along the edge, {kind}": seam(result, truth, edge),
                }
                for title, value in measures.items():
                    found[title][name].append(value)
            if len(rows) < 12:
                rows.append(np.concatenate([start, *results.values(), truth], 1))
    print(measured_with(), end="")
    for title, columns in found.items():
        print(table(title, columns), end="\n\n")
    if arguments.sheet:
        Image.fromarray(np.concatenate(rows)).save(arguments.sheet)


def middle(photo: np.ndarray) -> np.ndarray:
    """Cut the middle out."""
    top, left = ((side - SIDE) // 2 for side in photo.shape[:2])
    return photo[top : top + SIDE, left : left + SIDE]


def shape(rng: np.random.Generator) -> np.ndarray:
    """Draw a smooth blob of 40 to 80 pixels across."""
    radius = rng.uniform(20, 40)
    row, column = rng.uniform(60, SIDE - 60, 2)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    angle = np.arctan2(rows - row, columns - column)
    wave = sum(rng.uniform(0, 0.12) * np.cos(n * angle + rng.uniform(0, 6.3)) for n in range(2, 6))
    blob: np.ndarray = np.hypot(rows - row, columns - column) < radius * (1 + wave)
    return blob


def away(blob: np.ndarray, rng: np.random.Generator) -> tuple[int, int]:
    """Choose where to: inside the photo, by at least half of the blob's width."""
    box = bounds(blob)
    assert box is not None
    while True:
        top, left = (int(rng.integers(8, SIDE - 8 - side)) for side in box.size)
        if max(abs(top - box.top), abs(left - box.left)) > max(box.size) * 0.5:
            return left - box.left, top - box.top


def antialiased(blob: np.ndarray) -> np.ndarray:
    """Give its cover with a soft edge of about a pixel, as a camera would."""
    image = Image.fromarray(blob.astype(np.uint8) * 255).filter(ImageFilter.GaussianBlur(0.7))
    return np.asarray(image)[..., None] / 255


def shifted(plane: np.ndarray, by: tuple[int, int]) -> np.ndarray:
    """Move a plane; what it moves over never wraps round here."""
    return np.roll(plane, (by[1], by[0]), (0, 1))


def composed(
    ground: np.ndarray, other: np.ndarray, share: np.ndarray, by: tuple[int, int]
) -> np.ndarray:
    """Lay the blob of another photo over a ground."""
    over, part = shifted(other, by), shifted(share, by)
    return np.rint(part * over + (1 - part) * ground).astype(np.uint8)


def pasted(
    filled: np.ndarray, start: np.ndarray, mask: np.ndarray, by: tuple[int, int]
) -> np.ndarray:
    """Paste the part as it is."""
    return np.where(shifted(mask, by)[..., None], shifted(start, by), filled)


def mean_fill(start: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Fill with the mean colour of 3 pixels around."""
    around = grow(mask, 3) & ~mask
    filled = start.copy()
    filled[mask] = start[around].mean(0).round()
    return filled


def seam(result: np.ndarray, truth: np.ndarray, edge: np.ndarray) -> float:
    """Give the mean difference of gradients, in [0, 1], where the edge is."""
    total = 0.0
    for axis in (0, 1):
        apart = np.diff(result.astype(float), axis=axis) - np.diff(truth.astype(float), axis=axis)
        where = edge[1:] if axis == 0 else edge[:, 1:]
        total += float(np.abs(apart)[where].mean()) / 255
    return total / 2


if __name__ == "__main__":
    main()
