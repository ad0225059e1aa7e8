"""What uncrop is worth against repeating the edge: borders that are cut off are to come back.

    python benchmarks/uncrop.py --data data/test [--out table.md] [--sheet sheet.png]

Of each folder of photos, 20 spread over it. From each, borders are cut off (15 to 25 % of the width
or the height in turn: one side, two, all four) and made up again; then the same with 40 to 48 %.
LPIPS-AlexNet of the whole picture and over what was cut off, and mean absolute error of the latter
(0 to 1); less is better. Beside edge replication, the naive way, stands mirroring, which has real
texture and shows things twice. Needs `freefill references lpips_alex`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from freefill import Inpainter
from freefill.lab.data.photos import list_photos
from freefill.lab.evaluation.metrics.lpips import lpips
from freefill.tasks import uncrop
from measured import interval, measured_with

PHOTOS = 20
NARROW = [
    *[(0.2, 0, 0, 0), (0, 0.25, 0, 0), (0, 0, 0.2, 0), (0, 0, 0, 0.15)],
    *[(0.12, 0.12, 0, 0), (0, 0, 0.1, 0.1), (0.08, 0.08, 0.08, 0.08)],
]
WIDE = [
    *[(0.45, 0, 0, 0), (0, 0.48, 0, 0), (0, 0, 0.45, 0), (0, 0, 0, 0.4)],
    *[(0.24, 0.24, 0, 0), (0, 0, 0.2, 0.2), (0.2, 0.2, 0.2, 0.2)],
]
"""Shares of width and height that are cut off: left, right, top, bottom."""
METHODS = ("uncrop", "edge replication", "mirroring")


def main() -> None:
    """Cut, make up, measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of folders of photos")
    parser.add_argument("--out", type=Path, help="write the tables here, too")
    parser.add_argument("--sheet", type=Path, help="draw all of them")
    arguments = parser.parse_args()
    inpainter = Inpainter(threads=1)
    photos = chosen(arguments.data)
    parts, rows = [], []
    for name, cuts in (("15 to 25 % cut off", NARROW), ("40 to 48 % cut off", WIDE)):
        found: dict[str, list[list[float]]] = {method: [] for method in METHODS}
        for number, path in enumerate(photos):
            with Image.open(path) as opened:
                truth = np.asarray(opened.convert("RGB"))
            results, new = restored(truth, cuts[number % len(cuts)], inpainter)
            for method, result in results.items():
                error = np.abs(result.astype(float) - truth)[new].mean() / 255
                found[method].append([lpips(result, truth), lpips(result, truth, new), error])
            rows.append(strip([truth, *results.values()]))
            told = {method: round(values[-1][0], 3) for method, values in found.items()}
            print(path.stem, told, flush=True)
        parts.append(f"{len(photos)} photos, {name}:\n\n" + table(found))
    text = measured_with() + "\n".join(parts)
    print(text)
    if arguments.out:
        arguments.out.write_text(text)
    if arguments.sheet:
        Image.fromarray(np.concatenate(rows)).save(arguments.sheet)


def chosen(folder: Path) -> list[Path]:
    """Choose photos spread over each folder."""
    folders: dict[Path, list[Path]] = {}
    for path in list_photos(folder):
        folders.setdefault(path.parent, []).append(path)
    return [
        paths[i]
        for paths in folders.values()
        for i in np.unique(np.linspace(0, len(paths) - 1, PHOTOS).round().astype(int))
    ]


def restored(
    truth: np.ndarray, cut: tuple[float, ...], inpainter: Inpainter
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Cut borders off and make them up in each way; give those and what is made up."""
    height, width = truth.shape[:2]
    left, right, top, bottom = (
        round(share * side) for share, side in zip(cut, (width, width, height, height), strict=True)
    )
    kept = truth[top : height - bottom, left : width - right]
    new = np.ones((height, width), bool)
    new[top : height - bottom, left : width - right] = False
    around = (top, bottom), (left, right), (0, 0)
    sides = {"left": left, "right": right, "top": top, "bottom": bottom}
    results = {
        "uncrop": uncrop(kept, **sides, inpainter=inpainter).image,
        "edge replication": np.pad(kept, around, "edge"),
        "mirroring": np.pad(kept, around, "symmetric"),
    }
    return results, new


def strip(pictures: list[np.ndarray]) -> np.ndarray:
    """Put pictures side by side, 256 pixels each."""
    return np.concatenate([np.asarray(Image.fromarray(p).resize((256, 256))) for p in pictures], 1)


def table(found: dict[str, list[list[float]]]) -> str:
    """Give the table as Markdown, with intervals of the paired difference."""
    values = {name: np.array(rows) for name, rows in found.items()}
    own = values["uncrop"]
    lines = [
        "| | LPIPS | over the border | its l1 | LPIPS less uncrop's | uncrop is better on |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, rows in values.items():
        apart = better = ""
        if name != "uncrop":
            more = rows[:, 0] - own[:, 0]
            apart = interval(more)
            better = f"{(more > 0).sum()} of {len(own)} photos"
        means = " | ".join(f"{mean:.3f}" for mean in rows.mean(0))
        lines.append(f"| {name} | {means} | {apart} | {better} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
