"""What benchmarks of tasks share: photos of a folder, and tables of paired measurements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from freefill.lab.data.photos import list_photos
from measured import interval

Pixels = np.ndarray


def photos(folder: Path, smallest: int, most: int) -> list[Pixels]:
    """Read photos of at least ``smallest`` pixels a side, spread evenly over the folder."""
    found = [path for path in list_photos(folder) if _side(path) >= smallest]
    if not found:
        raise SystemExit(f"{folder} has no photo of {smallest} pixels a side")
    chosen = np.unique(np.linspace(0, len(found) - 1, min(most, len(found))).round().astype(int))
    return [_read(found[i]) for i in chosen]


def table(title: str, found: Mapping[str, Sequence[float]]) -> str:
    """Give means with 95 % intervals, and how often the first is better (less) than each.

    Args:
        title: Of the measured column.
        found: Values by method, photo by photo; the first is the one that is asked about.
    """
    values = {name: np.asarray(column, float) for name, column in found.items()}
    first = next(iter(values.values()))
    head = f"| | {title} | less the first's | the first is better on |"
    lines = [head, "| --- | --- | --- | --- |"]
    for name, column in values.items():
        apart = better = ""
        if column is not first:
            apart = interval(column - first, 4)
            better = f"{(first < column).sum()} of {len(first)}"
        lines.append(f"| {name} | {interval(column, 4)} | {apart} | {better} |")
    return "\n".join(lines)


def _side(path: Path) -> int:
    with Image.open(path) as image:
        return min(image.size)


def _read(path: Path) -> Pixels:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))
