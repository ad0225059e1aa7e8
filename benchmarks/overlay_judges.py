"""Fit the judges of freefill.vision.overlays: what tells an overlay from a branch.

    python benchmarks/overlay_judges.py --data data/train [--photos 160] [--kinds dust text]

Overlays are drawn on training photos (benchmarks/drawn.py). The candidates that the filters find
there are labelled by how much of each lies on the true mask, and a logistic regression with a
little ridge is fitted to their measures, weighed by pixels. Prints the weights for the modules.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

import drawn
from freefill.lab.data.photos import list_photos
from freefill.masks.morphology import grow
from freefill.vision.overlays import dust, glyphs, scratches

Measured = tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]
"""Measures, share on the true mask, pixels; one entry a candidate."""
RIDGE = 3e-3
TRUE = 0.6


def main() -> None:
    """Draw, find, fit, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of training photos")
    parser.add_argument("--photos", type=int, default=160)
    parser.add_argument("--kinds", nargs="+", default=list(drawn.DAMAGES))
    arguments = parser.parse_args()
    paths = list_photos(arguments.data)
    paths = [path for path in paths if not path.stem.startswith("caltech")]
    order = np.random.default_rng(3).permutation(len(paths))
    scenes = [i for i in order if paths[i].stem.startswith(("cid22", "coco", "openimages"))]
    others = [i for i in order if i not in set(scenes)]
    chosen = (scenes[: arguments.photos * 3 // 4] + others)[: arguments.photos]
    for kind in arguments.kinds:
        fit(kind, [paths[i] for i in chosen])


def fit(kind: str, paths: list[Path]) -> None:
    """Fit one judge and print it with the precision and recall of its threshold."""
    names: list[str] = []
    rows, shares, pixels = [], [], []
    for number, path in enumerate(paths):
        with Image.open(path) as opened:
            photo = np.asarray(opened.convert("RGB"))
        damaged, true = drawn.DAMAGES[kind](photo, np.random.default_rng(10_000 + number))
        rgb = drawn.as_jpeg(damaged).astype(np.float32) / 255
        for measures, share, area in found(kind, rgb, grow(true, 1)):
            names = list(measures)
            rows.append(np.stack(list(measures.values()), 1))
            shares.append(share)
            pixels.append(area)
    x, share, area = np.concatenate(rows), np.concatenate(shares), np.concatenate(pixels)
    y = share > TRUE
    mean, deviation = x.mean(0), x.std(0) + 1e-9
    theta = regress((x - mean) / deviation, y, np.sqrt(area))
    weights = theta[1:] / deviation
    bias = theta[0] - float(weights @ mean)
    odds = 1 / (1 + np.exp(-(bias + x @ weights)))
    told = ", ".join(f'"{n}": {w:.3g}' for n, w in zip(names, weights, strict=True))
    print(f"{kind}: {y.sum()} of {len(y)} true\nJudge({{{told}}}, {bias:.3g}, ...)")
    for least in np.arange(0.1, 1, 0.1):
        taken = odds >= least
        right = float((area * share)[taken].sum())
        print(
            f"  {least:.1f}: precision {right / max(area[taken].sum(), 1):.3f}, of what was found "
            f"{right / (area * share).sum():.3f}"
        )
    print("  standardised:", dict(zip(names, theta[1:].round(2).tolist(), strict=True)), flush=True)


def found(kind: str, rgb: np.ndarray, true: np.ndarray) -> Iterator[Measured]:
    """Give the candidates of a kind."""
    if kind in ("stamp", "text"):
        ways = {"stamp": glyphs.stamp_candidates, "text": glyphs.text_candidates}
        for rows in ways[kind](rgb):
            if rows.masks:
                areas = np.array([mask.sum() for mask in rows.masks], float)
                shares = np.array([(mask & true).sum() for mask in rows.masks]) / areas
                yield rows.measures, shares, areas
        return
    ways = {"dust": dust.candidates, "scratches": scratches.candidates}
    for parts, measures in ways[kind](rgb):
        if parts.area.size:
            yield measures, parts.mean(true.astype(np.float32)), parts.area


def regress(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Fit a logistic regression by Newton's method; give bias and weights."""
    x = np.concatenate([np.ones((len(x), 1)), x], 1)
    weight = weight / weight.sum()
    theta = np.zeros(x.shape[1])
    ridge = np.diag([0.0] + [RIDGE] * (x.shape[1] - 1))
    for _ in range(30):
        odds = 1 / (1 + np.exp(-np.clip(x @ theta, -30, 30)))
        slope = x.T @ (weight * (odds - y)) + ridge @ theta
        bend = (x * (weight * odds * (1 - odds))[:, None]).T @ x + ridge
        theta -= np.linalg.solve(bend + 1e-9 * np.eye(len(bend)), slope)
    return theta


if __name__ == "__main__":
    main()
