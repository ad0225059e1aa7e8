"""What `harmonise` is worth against leaving a paste as it is.

    python benchmarks/harmonise.py --data data/test [--photos 40] [--sheet sheet.png]

Colour and light of a region of a photo are changed by a known amount, and it is harmonised; the
truth is the photo. Regions: smooth blobs, whose edge runs through things that go on, and objects,
segmented by GrabCut, whose edge is their outline. Changes: exposure by 0.3 to 0.7 stops, white
balance by 8 to 25 %, gamma by 15 to 50 %, all of them, or none. In the region: mean difference per
channel, and LPIPS. Beside the plain paste: the transfer of mean and spread (Reinhard et al., 2001)
from all that is around. A last row cuts regions with a white fringe of a pixel, which the band is
for. Fetches LPIPS (`freefill references lpips_alex`); needs `freefill[lab,baselines]`.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from freefill import Inpainter
from freefill.lab.evaluation.metrics.lpips import lpips
from freefill.masks.morphology import grow
from freefill.tasks.harmonise import harmonise, to_opponent, to_rgb
from freefill.vision.compositing import rim
from measured import measured_with
from pairs import photos, table
from recompose import SIDE, middle, shape

CHANGES = ("exposure", "white balance", "gamma", "all of them", "none")


def main() -> None:
    """Change, harmonise, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of photos")
    parser.add_argument("--photos", type=int, default=40)
    parser.add_argument("--sheet", type=Path, help="draw the first photos here")
    arguments = parser.parse_args()
    inpainter = Inpainter()
    found = Tables(inpainter)
    for number, photo in enumerate(photos(arguments.data, SIDE, arguments.photos)):
        truth = middle(photo)
        rng = np.random.default_rng(number)
        for kind, mask in (("blob", shape(rng)), ("object", segmented(truth))):
            if mask is not None:
                found.measure_changes(kind, truth, mask, rng)
                found.measure_fringe(kind, truth, mask)
    print(measured_with(), end="")
    for title, columns in found.tables.items():
        print(table(title, columns), end="\n\n")
    print("| | " + " | ".join(found.changes["blob, none"]) + " |\n| --- | --- | --- | --- |")
    for title, columns in found.changes.items():
        print(f"| {title} | " + " | ".join(f"{np.mean(v):.4f}" for v in columns.values()) + " |")
    if arguments.sheet:
        Image.fromarray(np.concatenate(found.rows)).save(arguments.sheet)


class Tables:
    """Collects what is measured.

    Attributes:
        tables: Title, method, and a value for each region.
        changes: The same for each kind of change.
        rows: Strips to look at.
    """

    def __init__(self, inpainter: Inpainter) -> None:
        self.inpainter = inpainter
        self.tables: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        self.changes: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        self.rows: list[np.ndarray] = []

    def measure_changes(
        self, kind: str, truth: np.ndarray, mask: np.ndarray, rng: np.random.Generator
    ) -> None:
        """Change a region in every way, and measure each method."""
        near = grow(mask, 2)
        differences: dict[str, list[float]] = defaultdict(list)
        distances: dict[str, list[float]] = defaultdict(list)
        for change in CHANGES:
            paste = np.where(mask[..., None], changed(truth, change, rng), truth)
            results = {
                "harmonise": harmonise(paste, mask, inpainter=self.inpainter).image,
                "plain paste": paste,
                "mean and spread": reinhard(paste, mask),
            }
            for name, result in results.items():
                difference = np.abs(result[mask].astype(float) - truth[mask]).mean() / 255
                self.changes[f"{kind}, {change}"][name].append(difference)
                if change != "none":
                    differences[name].append(difference)
                    distances[name].append(lpips(result, truth, near))
            if change == "all of them" and len(self.rows) < 12:
                self.rows.append(np.concatenate([*results.values(), truth], 1))
        for name, values in differences.items():
            self.tables[f"difference, {kind}"][name].append(float(np.mean(values)))
            self.tables[f"LPIPS, {kind}"][name].append(float(np.mean(distances[name])))

    def measure_fringe(self, kind: str, truth: np.ndarray, mask: np.ndarray) -> None:
        """Give a region a white edge, and measure what the band is worth."""
        near = grow(mask, 2)
        fringed = np.where(rim(mask)[..., None], np.uint8(235), truth)
        title = f"LPIPS, {kind} with a white fringe"
        for name, band in (("harmonise", 1), ("harmonise, band 0", 0)):
            result = harmonise(fringed, mask, band=band, inpainter=self.inpainter).image
            self.tables[title][name].append(lpips(result, truth, near))
        self.tables[title]["plain paste"].append(lpips(fringed, truth, near))


def segmented(photo: np.ndarray) -> np.ndarray | None:
    """Cut the largest thing in the middle out by its outline, if there is one."""
    cv2.setRNGSeed(0)
    cv2.setNumThreads(1)
    label = np.zeros(photo.shape[:2], np.uint8)
    edge = SIDE // 6
    rectangle = (edge, edge, SIDE - 2 * edge, SIDE - 2 * edge)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(photo.copy(), label, rectangle, *models, 2, cv2.GC_INIT_WITH_RECT)
    front = np.isin(label, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    front = cv2.morphologyEx(front, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    count, parts, stats, _ = cv2.connectedComponentsWithStats(front)
    if count < 2:
        return None
    largest: np.ndarray = parts == 1 + stats[1:, cv2.CC_STAT_AREA].argmax()
    return largest if 0.02 < largest.mean() < 0.5 else None


def changed(photo: np.ndarray, change: str, rng: np.random.Generator) -> np.ndarray:
    """Change colour and light, up or down."""
    gain, warmth, gamma = (
        np.exp(rng.uniform(*span) * rng.choice([-1, 1]))
        for span in ((0.2, 0.5), (0.08, 0.22), (0.15, 0.4))
    )
    gain = gain if change in ("exposure", "all of them") else 1
    warmth = warmth if change in ("white balance", "all of them") else 1
    gamma = gamma if change in ("gamma", "all of them") else 1
    light = np.clip(photo / 255 * gain * np.array([warmth, 1, 1 / warmth]), 0, 1) ** gamma
    return np.rint(light * 255).astype(np.uint8)


def reinhard(paste: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Give the part the mean and the spread of all that is around it."""
    opponent = to_opponent(paste.astype(np.float32) / 255)
    own, other = opponent[mask], opponent[~mask]
    scaled = (own - own.mean(0)) * other.std(0) / (own.std(0) + 1e-4) + other.mean(0)
    result = paste.copy()
    result[mask] = np.rint(np.clip(to_rgb(scaled.astype(np.float32)), 0, 1) * 255)
    return result


if __name__ == "__main__":
    main()
