"""What the detail stage is worth at 2048 pixels, on large photos of one's own.

    python benchmarks/detail.py --data photos/ [--out table.md] [--sheet sheet.jpg]

Photos are shrunk to a longer side of 2048; those under 1600 are left out. Each gets one free-form
hole of 760 pixels. LPIPS-AlexNet, mean of six 256-pixel crops around random pixels of the hole,
less is better: `light` with detail, the same with enlarging alone, OpenCV's Telea, MI-GAN's
pipeline, and its network in freefill's (`freefill weights pull migan` first). Fetches LPIPS and
MI-GAN (`freefill references lpips_alex migan`).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from freefill import Inpainter
from freefill.lab.data.photos import list_photos
from freefill.lab.evaluation import baselines
from freefill.lab.models.lpips import Lpips
from freefill.masks.presets import free_form
from freefill.pipeline import detail_transfer
from freefill.weights import third_party
from measured import interval, measured_with

LONG, HOLE, CROP, CROPS = 2048, 760, 256, 6
SHOWN = 4
Fill = Callable[[np.ndarray, np.ndarray], np.ndarray]


def main() -> None:
    """Fill, measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of large photos")
    parser.add_argument("--out", type=Path, help="write the table here, too")
    parser.add_argument("--sheet", type=Path, help="draw crops of the first photos at 100 %%")
    arguments = parser.parse_args()
    lpips = Lpips.load(third_party.fetch("lpips_alex", lambda _: None), "alex").eval()
    fills = methods()
    found: dict[str, list[float]] = {name: [] for name in fills}
    names, rows = [], []
    for number, path in enumerate(list_photos(arguments.data)):
        photo = read(path)
        if max(photo.shape[:2]) < 1600:
            continue
        rng = np.random.default_rng(number)
        hole = place(photo.shape[:2], rng)
        corners = around(hole, rng)
        filled = {name: fill(photo, hole) for name, fill in fills.items()}
        for name, result in filled.items():
            pairs = [(cut(result, c), cut(photo, c)) for c in corners]
            found[name].append(float(np.mean([distance(lpips, *pair) for pair in pairs])))
        names.append(path.stem)
        print(path.stem, {name: round(values[-1], 3) for name, values in found.items()}, flush=True)
        if len(rows) < SHOWN:
            grey = np.where(hole[..., None], np.uint8(128), photo)
            shown = [grey, *filled.values(), photo]
            rows.append(np.concatenate([cut(picture, corners[0]) for picture in shown], 1))
    text = measured_with() + table(
        names, {name: np.array(values) for name, values in found.items()}
    )
    print(text)
    if arguments.out:
        arguments.out.write_text(text)
    if arguments.sheet:
        Image.fromarray(np.concatenate(rows)).save(arguments.sheet, quality=88)


def methods() -> dict[str, Fill]:
    """Give the five ways to fill, each as the evaluation calls it."""
    inpainter = Inpainter()

    def with_detail(photo: np.ndarray, hole: np.ndarray) -> np.ndarray:
        return np.asarray(inpainter(image=photo, mask=hole))

    def without(photo: np.ndarray, hole: np.ndarray) -> np.ndarray:
        choose = detail_transfer.choose
        detail_transfer.choose = lambda *_: None  # what is done where nothing is known: enlarging
        try:
            return with_detail(photo, hole)
        finally:
            detail_transfer.choose = choose

    migan = baselines.migan(third_party.fetch("migan", lambda _: None))
    plain = {
        "detail": with_detail,
        "enlarged alone": without,
        "telea": baselines.telea,
        "migan": migan,
        "freefill-migan": baselines.trained("migan"),
    }
    return {name: baselines.hide_hole_and_composite(fill) for name, fill in plain.items()}


def read(path: Path) -> np.ndarray:
    """Read a photo, shrunk to a longer side of 2048."""
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    factor = LONG / max(image.size)
    if factor < 1:
        size = (round(image.width * factor), round(image.height * factor))
        image = image.resize(size, Image.Resampling.LANCZOS)
    return np.asarray(image)


def place(size: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Draw the hole somewhere in the photo."""
    hole = np.zeros(size, bool)
    top, left = (int(rng.integers(0, side - HOLE)) for side in size)
    hole[top : top + HOLE, left : left + HOLE] = free_form(HOLE, HOLE, rng)
    return hole


def around(hole: np.ndarray, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Choose crops around pixels of the hole; give their corners."""
    pixels = np.argwhere(hole)[rng.integers(0, int(hole.sum()), CROPS)]
    largest = np.array(hole.shape) - CROP
    return [tuple(corner) for corner in np.clip(pixels - CROP // 2, 0, largest).tolist()]


def cut(picture: np.ndarray, corner: tuple[int, int]) -> np.ndarray:
    """Cut a crop."""
    top, left = corner
    return picture[top : top + CROP, left : left + CROP]


def distance(lpips: Lpips, one: np.ndarray, other: np.ndarray) -> float:
    """Give the LPIPS of two uint8 pictures."""
    tensors = [
        torch.from_numpy(p.transpose(2, 0, 1)[None] / np.float32(127.5) - 1) for p in (one, other)
    ]
    with torch.no_grad():
        return float(lpips(*tensors).mean())


def table(names: list[str], found: dict[str, np.ndarray]) -> str:
    """Give the table as Markdown, with intervals of the mean and of the paired difference."""
    first = found["detail"]
    lines = [
        "| | LPIPS of crops of the hole | less detail's | detail is better on |",
        "| --- | --- | --- | --- |",
    ]
    for name, values in found.items():
        apart = interval(values - first) if values is not first else ""
        better = f"{(first < values).sum()} of {len(names)} photos" if apart else ""
        lines.append(f"| {name} | {interval(values)} | {apart} | {better} |")
    return "\n".join(lines) + f"\n\nPhotos: {', '.join(names)}.\n"


if __name__ == "__main__":
    main()
