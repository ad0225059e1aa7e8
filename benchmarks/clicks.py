"""Which clicks `freefill remove` acts on, and what it takes: 60 objects, and 60 places without one.

    python benchmarks/clicks.py --data data/test [--segmenters u2netp sam2] [--sheet sheet.png]

30 objects were outlined by hand in the test photos, with a click that a person would make (on a
face, where there is one), and 30 are cut-outs pasted into other test photos, clicked in their
middle; the places without an object are sky, wall, ground, cloth and water (all of it in
benchmarks/outlines.toml). Counted are clicks that are acted on, and of those on objects the ones
that take only a part of it (less than 0.7) or much more than it (precision under 0.7); IoU is of
masks before they are widened, refused ones included as they would be with `--force`.
No threshold was chosen on these photos: that was done on others, from data/train.
"""

from __future__ import annotations

import argparse
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from freefill.errors import MaskError
from freefill.imaging.io import read_picture
from freefill.vision.segmentation.choosing import Segment, available, segment
from freefill.vision.segmentation.prompt import prompt
from remove import compose

OUTLINES = Path(__file__).with_name("outlines.toml")
PASTED = 30
PART = 0.7
"""Of an object below which only a part was taken, and of a mask below which it is mostly other."""


class Click(NamedTuple):
    """A place in a photo."""

    kind: str
    rgb: np.ndarray
    at: tuple[int, int]
    truth: np.ndarray | None
    """``(H, W)``, where the object is; none on the background."""


def main() -> None:
    """Click, count, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with 256/ and 512/")
    parser.add_argument("--segmenters", nargs="+", default=available()[::-1])
    parser.add_argument("--out", type=Path, help="write the table here, too")
    parser.add_argument("--sheet", type=Path, help="draw what was found; refused ones are dim")
    arguments = parser.parse_args()
    lines = [
        "| | background: acted on | objects: acted on | only a part | much more | IoU, median |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name in arguments.segmenters:
        rows: list[dict[str, Any]] = []
        tiles = []
        for click in clicks(arguments.data):
            row, mask = measure(click, name)
            rows.append(row)
            tiles.append(tile(click, mask, row["acts"]))
            print(name, {key: value for key, value in row.items() if key != "kind"}, flush=True)
        lines += [line(name, rows, kinds) for kinds in (("outlined",), ("pasted",))]
        lines.append(line(name, rows, ("outlined", "pasted")))
        if arguments.sheet:
            sheet(tiles).save(arguments.sheet.with_stem(f"{arguments.sheet.stem}_{name}"))
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.out:
        arguments.out.write_text(text)


def clicks(data: Path) -> Iterator[Click]:
    """Give all clicks, in order."""
    places = tomllib.loads(OUTLINES.read_text())
    used = {one["photo"] for one in places["objects"]}
    for one in places["objects"]:
        with Image.open(data / one["photo"]) as opened:
            photo = opened.convert("RGB")
        shape = "polygon" if "polygon" in one else "ellipse"
        fine = Image.new("L", (photo.width * 4, photo.height * 4))
        getattr(ImageDraw.Draw(fine), shape)([4 * n for n in one[shape]], fill=255)
        truth = np.asarray(fine.resize(photo.size, Image.Resampling.BOX)) > 127
        yield Click("outlined", np.asarray(photo), tuple(one["click"]), truth)
    for name, points in places["background"].items():
        with Image.open(data / name) as opened:
            photo = opened.convert("RGB")
        for point in points:
            yield Click("background", np.asarray(photo), tuple(point), None)
    others = [
        path for path in sorted((data / "256").glob("*.jpg")) if f"256/{path.name}" not in used
    ]
    for number, path in enumerate(others[::2][:PASTED]):
        scene = compose(path, number, "plain")
        rows, columns = np.nonzero(scene.object_)
        at = round(columns.mean()), round(rows.mean())
        yield Click("pasted", scene.seen, at, scene.object_)


def measure(click: Click, name: str) -> tuple[dict[str, Any], np.ndarray]:
    """Click once: what is said of it, and the mask."""
    picture = read_picture(click.rgb)
    start = time.perf_counter()
    found: Segment | None
    try:
        found = segment(picture, prompt(picture.size, at=[click.at]), name)
    except MaskError:
        found = None
    row: dict[str, Any] = {"kind": click.kind, "seconds": round(time.perf_counter() - start, 2)}
    mask = np.zeros(picture.size, bool) if found is None else found.mask
    row["acts"] = found is not None and not found.doubts
    row |= {} if found is None else found.figures
    if click.truth is not None:
        both = (mask & click.truth).sum()
        row["iou"] = round(float(both / (mask | click.truth).sum()), 3)
        row["recall"] = round(float(both / click.truth.sum()), 3)
        row["precision"] = round(float(both / max(mask.sum(), 1)), 3)
    return row, mask


def line(name: str, rows: list[dict[str, Any]], kinds: tuple[str, ...]) -> str:
    """Give a line of the table."""
    empty = [row for row in rows if row["kind"] == "background"]
    objects = [row for row in rows if row["kind"] in kinds]
    acted = [row for row in objects if row["acts"]]
    part = sum(row["recall"] < PART for row in acted)
    more = sum(row["precision"] < PART for row in acted)
    ious = [row["iou"] for row in objects]
    return (
        f"| {name}, {' and '.join(kinds)} | {sum(row['acts'] for row in empty)} of {len(empty)} | "
        f"{len(acted)} of {len(objects)} | {part} | {more} | {np.median(ious):.2f} |"
    )


def tile(click: Click, mask: np.ndarray, acts: bool, side: int = 150) -> Image.Image:
    """Draw what was found in red, or blue where it was refused, and the true outline in green."""
    shown = click.rgb.astype(float)
    shown[mask] = 0.45 * shown[mask] + 0.55 * np.array([255, 30, 30] if acts else [60, 60, 255])
    image = Image.fromarray(shown.astype(np.uint8))
    if click.truth is not None:
        edge = click.truth ^ np.roll(click.truth, 1, 0) | click.truth ^ np.roll(click.truth, 1, 1)
        image.paste((0, 255, 0), mask=Image.fromarray(edge))
    x, y = click.at
    reach = max(image.size) // 60
    ImageDraw.Draw(image).ellipse((x - reach, y - reach, x + reach, y + reach), fill="white")
    return image.resize((side, side))


def sheet(tiles: list[Image.Image], columns: int = 12) -> Image.Image:
    """Lay tiles out in rows."""
    side = tiles[0].width
    whole = Image.new("RGB", (columns * side, -(-len(tiles) // columns) * side))
    for number, one in enumerate(tiles):
        whole.paste(one, (number % columns * side, number // columns * side))
    return whole


if __name__ == "__main__":
    main()
