"""What straighten is worth against cropping, and how well it finds the angle by itself.

    python benchmarks/straighten.py --data data/test [--out table.md] [--sheet sheet.png]

Each photo is turned by a known angle (2 to 8 degrees, to either side) and its middle cut out (72 %
of each side), as a camera held at that angle would have shown it. The truth is the same middle of
the photo as it was. Given the angle: straighten, the same with repeated edges in the corners, and
the naive way, the largest rectangle of the same shape without corners, enlarged to the same size.
LPIPS-AlexNet and mean absolute error (0 to 1) of the whole picture; less is better. Cropping shows
less of the scene, larger: that is what it is marked down for. On photos of 400 pixels or more.

Then, on all photos, the angle as it is found without being told, in the middles as they are and in
those that were turned. Nobody knows how level the photos really are, so what both say is compared,
too: that tells how well lines are measured, whatever they are. Needs `freefill references
lpips_alex`.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
from PIL import Image

from freefill import Inpainter
from freefill.errors import ImageError
from freefill.imaging.io import read_picture
from freefill.imaging.rotate import turned
from freefill.lab.data.photos import list_photos
from freefill.lab.evaluation.metrics.lpips import lpips
from freefill.tasks import straighten
from measured import interval, measured_with

ANGLES = (2, -3, 4, -5, 6, -8)
SHARE = 0.72
LEAST = 400
METHODS = ("straighten", "repeated edges", "cropping")


def main() -> None:
    """Turn, straighten, measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of photos")
    parser.add_argument("--out", type=Path, help="write the tables here, too")
    parser.add_argument("--sheet", type=Path, help="draw all of them")
    arguments = parser.parse_args()
    inpainter = Inpainter(threads=1)
    found: dict[str, list[list[float]]] = {method: [] for method in METHODS}
    angles, rows = [], []
    for number, path in enumerate(list_photos(arguments.data)):
        with Image.open(path) as opened:
            photo = np.asarray(opened.convert("RGB"))
        angle = ANGLES[number % len(ANGLES)]
        truth, tilted = middle(photo), middle(turned(read_picture(photo), -angle)[0].samples)
        angles.append((angle, estimated(truth, inpainter), estimated(tilted, inpainter)))
        print(path.stem, *angles[-1], flush=True)
        if min(photo.shape[:2]) < LEAST:
            continue
        results, kept = straightened(tilted, angle, inpainter)
        for method, result in results.items():
            error = np.abs(result.astype(float) - truth).mean() / 255
            found[method].append([lpips(result, truth), error, kept[method]])
        rows.append(np.concatenate([truth, tilted, *results.values()], 1))
    text = measured_with() + table(found) + "\n" + told(angles)
    print(text)
    if arguments.out:
        arguments.out.write_text(text)
    if arguments.sheet:
        width = max(row.shape[1] for row in rows)
        rows = [np.pad(row, ((0, 4), (0, width - row.shape[1]), (0, 0))) for row in rows]
        Image.fromarray(np.concatenate(rows)).save(arguments.sheet)


def middle(photo: np.ndarray) -> np.ndarray:
    """Cut out the middle, which is photo whatever the angle."""
    height, width = photo.shape[:2]
    rows, columns = round(height * SHARE), round(width * SHARE)
    top, left = (height - rows) // 2, (width - columns) // 2
    return photo[top : top + rows, left : left + columns]


def straightened(
    tilted: np.ndarray, angle: float, inpainter: Inpainter
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Turn a photo back in each way; give the results and how much of the photo each keeps."""
    result = straighten(tilted, angle=angle, inpainter=inpainter)
    kept = float(result.info["kept"])
    height, width = tilted.shape[:2]
    # The edge goes on as far as a corner reaches.
    far = max(height, width) // 2
    wide = read_picture(np.pad(tilted, ((far, far), (far, far), (0, 0)), "edge"))
    edges = turned(wide, angle)[0].samples[far : far + height, far : far + width]
    level = Image.fromarray(turned(read_picture(tilted), angle)[0].samples)
    cosine, sine = math.cos(math.radians(angle)), abs(math.sin(math.radians(angle)))
    share = min(width / (width * cosine + height * sine), height / (width * sine + height * cosine))
    left, top = (side * (1 - share) / 2 for side in (width, height))
    box = (left, top, width - left, height - top)
    crop = level.resize((width, height), Image.Resampling.BICUBIC, box)
    results = {
        "straighten": np.asarray(result.image),
        "repeated edges": edges,
        "cropping": np.asarray(crop),
    }
    return results, {"straighten": kept, "repeated edges": kept, "cropping": share**2}


def estimated(photo: np.ndarray, inpainter: Inpainter) -> float | None:
    """Give the angle that is found, or None where there is no evidence."""
    try:
        return float(straighten(photo, inpainter=inpainter).info["angle"])
    except ImageError:
        return None


def table(found: dict[str, list[list[float]]]) -> str:
    """Give the table of pictures as Markdown, with intervals of the paired difference."""
    values = {name: np.array(rows) for name, rows in found.items()}
    own = values["straighten"]
    lines = [
        "| | LPIPS | l1 | of the photo kept | LPIPS less straighten's | straighten is better on |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, rows in values.items():
        apart = better = ""
        if name != "straighten":
            more = rows[:, 0] - own[:, 0]
            apart = interval(more)
            better = f"{(more > 0).sum()} of {len(own)} photos"
        distance, error, kept = rows.mean(0)
        lines.append(f"| {name} | {distance:.3f} | {error:.3f} | {kept:.1%} | {apart} | {better} |")
    return "\n".join(lines) + "\n"


def told(angles: list[tuple[float, float | None, float | None]]) -> str:
    """Say how well angles were found."""
    lines = [
        "| | angle found | error, median | within 1 degree | largest error |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, errors in (
        ("as they are, if they are level", [row[1] for row in angles if row[1] is not None]),
        ("turned by 2 to 8 degrees", [row[2] - row[0] for row in angles if row[2] is not None]),
        (
            "turned, against the same as it was",
            [
                row[2] - row[0] - row[1]
                for row in angles
                if row[1] is not None and row[2] is not None
            ],
        ),
    ):
        off = np.abs(errors)
        if off.size:
            lines.append(
                f"| {name} | on {off.size} of {len(angles)} photos | {np.median(off):.2f} | "
                f"{(off <= 1).sum()} of {off.size} | {off.max():.1f} |"
            )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
