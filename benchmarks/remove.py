"""What pointing at an object is worth beside boxing it or dotting it, with objects that are known.

    python benchmarks/remove.py --data data/test [--out table.md] [--sheet sheet.png] [--few]

Objects cut out of the photos in examples/ by hand are pasted into 25 photos, soft at the edge; so
what was behind them is known. Each is then removed: by a loose box around it, and by a click in its
middle. Naive: filling the box; filling a disc around the click, of a fifth of the photo's side
(that large, it covers every object) or, knowing the answer, as large as the object. In a second
round, on 24 other photos, the objects stand where the ground is most even and cast a shadow, which
is not removed: what it leaves behind counts. In a third round, on 23 more, they are reflected.

Intersection over union of the mask with the object (more is better), LPIPS-AlexNet and l1 (in
1/255) of the whole photo against the one without the object (less is better). A refusal counts as
a mask of nothing and leaves the photo as it is. Fetches LPIPS (`freefill references lpips_alex`);
segmenters that are not there (`freefill references u2netp sam2`) are left out.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from freefill import Inpainter
from freefill.errors import MaskError
from freefill.imaging.box import bounds
from freefill.imaging.io import read_picture
from freefill.imaging.picture import Picture
from freefill.lab.evaluation.metrics.lpips import lpips
from freefill.masks.morphology import grow
from freefill.pipeline.request import FillRequest
from freefill.vision.segmentation.choosing import available, segment
from freefill.vision.segmentation.prompt import prompt
from freefill.vision.segmentation.reflection import mirrored
from freefill.vision.segmentation.shadow import cast as cast_shadow
from freefill.weights import third_party
from measured import interval, measured_with

EXAMPLES = Path(__file__).parents[1] / "examples"
Shape = tuple[str, tuple[int, ...]]
OBJECTS: dict[str, tuple[str, list[Shape]]] = {
    "dahlia": ("dahlia.jpg", [("ellipse", (172, 89, 436, 353))]),
    "cup": (
        "coffee.jpg",
        [
            ("ellipse", (82, 122, 474, 378)),
            ("ellipse", (176, 24, 405, 170)),
            ("polygon", (176, 100, 405, 100, 385, 200, 200, 200)),
        ],
    ),
    "fruit": ("fruit.jpg", [("ellipse", (42, 66, 138, 156))]),
    "taxi": (
        "street.jpg",
        [("polygon", (26, 172, 38, 156, 78, 156, 90, 172, 97, 186, 97, 202, 60, 211, 30, 202))],
    ),
    "bus": ("street.jpg", [("polygon", (42, 64, 74, 60, 190, 112, 190, 176, 128, 177, 42, 118))]),
    "board": ("street.jpg", [("polygon", (158, 22, 244, 17, 246, 71, 159, 76))]),
    "dandelion": ("dandelion.jpg", [("ellipse", (162, 68, 248, 152))]),
    "boat": ("mast.jpg", [("polygon", (24, 238, 100, 222, 142, 216, 128, 254, 34, 254))]),
}
SHADE = 0.45
ROUNDS = ("plain", "shadow", "reflection")


class Scene(NamedTuple):
    """A photo with a known object."""

    truth: np.ndarray
    seen: np.ndarray
    object_: np.ndarray
    cast: np.ndarray


def main() -> None:
    """Remove, measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with 256/ and 512/")
    parser.add_argument("--out", type=Path, help="write the tables here, too")
    parser.add_argument("--sheet", type=Path, help="draw the first photos")
    parser.add_argument("--round", choices=ROUNDS, nargs="+", default=ROUNDS, help="these alone")
    parser.add_argument("--segmenters", nargs="+", help="these alone, of those that are there")
    parser.add_argument("--few", action="store_true", help="5 photos, to try it out")
    arguments = parser.parse_args()
    third_party.fetch("lpips_alex", lambda _: None)
    inpainter = Inpainter()
    names = [n for n in available()[::-1] if n in (arguments.segmenters or available())]
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    rows = []
    for which in arguments.round:
        for number, path in enumerate(photos(arguments.data, which)[:: 6 if arguments.few else 1]):
            results = {}
            scene = compose(path, number, which)
            for name, (mask, hole) in holes(scene, number, which, names).items():
                picture = read_picture(scene.seen)
                filled = inpainter.run(FillRequest(picture, hole)).picture.samples
                results[name] = filled
                measures = found[name]
                measures["iou"].append((mask & scene.object_).sum() / (mask | scene.object_).sum())
                measures["lpips"].append(lpips(filled, scene.truth))
                difference = np.abs(filled.astype(float) - scene.truth)
                measures["l1"].append(float(difference.mean()))
                measures["refused"].append(float(not mask.any()))
            results["scene"], results["truth"] = scene.seen, scene.truth
            told = {n: round(found[n]["lpips"][-1], 3) for n in results if n in found}
            print(path.stem, told, flush=True)
            if len(rows) < 12:
                rows.append(results)
    text = measured_with() + table(found)
    print(text)
    if arguments.out:
        arguments.out.write_text(text)
    if arguments.sheet:
        draw(rows).save(arguments.sheet)


def photos(data: Path, which: str) -> list[Path]:
    """Choose 12 of 512 and every eighth of 256; with shadows, 24 others; with reflections, 23 more.

    A detector of shadows was developed by looking at the rest, and not kept.
    """
    small = sorted((data / "256").glob("*.jpg"))
    if which == "plain":
        return sorted((data / "512").glob("*.jpg"))[:12] + small[::8]
    others = [path for n, path in enumerate(small) if n % 5 and n % 8]
    return others[0 if which == "shadow" else 1 :: 3]


def compose(path: Path, number: int, which: str) -> Scene:
    """Paste an object into a photo."""
    rng = np.random.default_rng(number)
    with Image.open(path) as opened:
        truth = np.asarray(opened.convert("RGB"))
    side = truth.shape[0]
    name = list(OBJECTS)[number % len(OBJECTS)]
    colours, alpha = cut_out(name, round(side * rng.uniform(0.22, 0.38)))
    height, width = alpha.shape
    margin = side // 10
    corners = rng.integers(margin, side - np.array([height, width]) - margin, (60, 2))
    if which == "reflection":
        corners = corners[corners[:, 0] + 1.6 * height < side]
    if which != "plain":
        # Shadows and reflections are seen on even ground: there it is put.
        more = round(0.3 * max(height, width))
        around = [
            truth[max(t - more, 0) : t + height + more, max(x - more, 0) : x + width + more]
            for t, x in corners
        ]
        corners = corners[[int(np.argmin([part.std((0, 1)).sum() for part in around]))]]
    top, left = (int(n) for n in corners[0])
    plane = np.zeros((side, side))
    plane[top : top + height, left : left + width] = alpha
    pasted = np.zeros((side, side, 3))
    pasted[top : top + height, left : left + width] = colours
    ground, cast = truth.astype(float), np.zeros((side, side), bool)
    if which == "reflection":
        share, below = reflection(plane, pasted, top + height, rng)
        ground = ground * (1 - share[..., None]) + below * share[..., None]
        cast = (share > 0.05) & (plane < 0.5)
    if which == "shadow":
        away = round(0.16 * max(height, width))
        shifted = np.roll(plane, (away, away), (0, 1))
        blurred = Image.fromarray((shifted * 255).astype(np.uint8))
        soft = np.asarray(blurred.filter(ImageFilter.GaussianBlur(0.15 * away + 1))) / 255
        ground = ground * (1 - SHADE * soft[..., None])
        cast = (soft > 0.1) & (plane < 0.5)
    seen = ground * (1 - plane[..., None]) + pasted * plane[..., None]
    return Scene(truth, np.rint(seen).astype(np.uint8), plane > 0.5, cast)


def reflection(
    alpha: np.ndarray, colours: np.ndarray, foot: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Turn an object over at its foot: opacity, which fades downwards, and colours, in waves."""
    rows, columns = np.indices(alpha.shape)
    waves = rng.uniform(0, 0.012) * len(alpha) * np.sin(rows * rng.uniform(0.5, 1.2))
    from_row = 2 * foot - 1 - rows - round(rng.uniform(0, 0.06) * len(alpha))
    from_column = np.clip(np.rint(columns + waves), 0, alpha.shape[1] - 1).astype(int)
    seen = (from_row >= 0) & (rows >= foot - 0.1 * len(alpha))
    from_row = np.clip(from_row, 0, len(alpha) - 1)
    fading = np.clip(1 - (rows - foot) / (0.6 * len(alpha)), 0, 1) * rng.uniform(0.35, 0.7)
    share = np.where(seen, alpha[from_row, from_column], 0) * fading
    return share, colours[from_row, from_column]


def cut_out(name: str, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut an object out of its photo: colours and opacity, with an edge of about two pixels."""
    file, shapes = OBJECTS[name]
    with Image.open(EXAMPLES / file) as opened:
        photo = opened.convert("RGB")
    mask = Image.new("L", (photo.width * 4, photo.height * 4))
    drawing = ImageDraw.Draw(mask)
    for kind, numbers in shapes:
        getattr(drawing, kind)([4 * n for n in numbers], fill=255)
    box = mask.getbbox()
    assert box is not None
    around = [box[0] // 4 - 4, box[1] // 4 - 4, -(-box[2] // 4) + 4, -(-box[3] // 4) + 4]
    cut, mask = photo.crop(around), mask.crop([4 * n for n in around])
    share = longest / max(cut.size)
    size = max(1, round(cut.width * share)), max(1, round(cut.height * share))
    alpha = mask.resize(size, Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(0.7))
    return np.asarray(cut.resize(size, Image.Resampling.LANCZOS)), np.asarray(alpha) / 255


def holes(
    scene: Scene, number: int, which: str, names: list[str]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Give mask and hole of each method."""
    tight = bounds(scene.object_)
    assert tight is not None
    rng = np.random.default_rng(1000 + number)
    # People's boxes are loose.
    loose = [2 + int(n) for n in rng.integers(0, 2 + max(tight.size) // 15, 4)]
    box = (tight.left - loose[0], tight.top - loose[1])
    box += (tight.right + loose[2], tight.bottom + loose[3])
    rows, columns = np.nonzero(scene.object_)
    click = round(columns.mean()), round(rows.mean())
    whole = np.zeros_like(scene.object_)
    whole[max(box[1], 0) : box[3], max(box[0], 0) : box[2]] = True
    picture = read_picture(scene.seen)
    found = {}
    if which != "plain":
        # A box for the object; what is offered is the mask with what it casts.
        beside = {"shadow": cast_shadow, "reflection": mirrored}[which]
        mask, growth = ask(picture, "u2netp" if "u2netp" in names else "classical", box=box)
        found[f"{which}: box filled"] = whole, whole
        found[f"{which}: object alone"] = mask, grow(mask, growth)
        both = mask | beside(picture, mask)
        found[f"{which}: taken along"] = mask, grow(both, growth)
        ideal = scene.object_ | scene.cast
        found[f"{which}: known mask of both"] = scene.object_, grow(ideal, growth)
        return found
    y, x = np.mgrid[: whole.shape[0], : whole.shape[1]]
    radius = np.sqrt(scene.object_.sum() / np.pi)
    disc = np.hypot(x - click[0], y - click[1]) < radius
    found["box: filled"] = whole, whole
    for name in names:
        mask, growth = ask(picture, name, box=box)
        found[f"box: {name}"] = mask, grow(mask, growth)
        if name == "classical":
            found["box: classical, --grow 0"] = mask, mask
    any_ = np.hypot(x - click[0], y - click[1]) < len(whole) / 5
    found["click: fixed disc filled"] = any_, grow(any_, 4)
    found["click: disc filled"] = disc, grow(disc, 4)
    for name in names:
        mask, growth = ask(picture, name, at=[click])
        found[f"click: {name}"] = mask, grow(mask, growth)
    found["known mask"] = scene.object_, grow(scene.object_, 4)
    return found


def ask(picture: Picture, segmenter: str, **pointed: object) -> tuple[np.ndarray, int]:
    """Ask a segmenter; a refusal is a mask of nothing."""
    try:
        answer = segment(picture, prompt(picture.size, **pointed), segmenter)
    except MaskError as refusal:
        print("  refused:", refusal)
        return np.zeros(picture.size, bool), 0
    return answer.mask, answer.growth


def table(found: dict[str, dict[str, list[float]]]) -> str:
    """Give the tables as Markdown, with intervals of the paired difference from the naive one."""
    lines = [
        "| | IoU, median | LPIPS | less than naive by | better on | l1 | refused |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    naive = np.zeros(0)
    for name, measures in found.items():
        iou, values, l1, refused = (
            np.array(measures[m]) for m in ("iou", "lpips", "l1", "refused")
        )
        count = len(values)
        apart, better = "", ""
        if name.endswith("filled"):
            naive = values
        else:
            gain = naive - values
            apart = interval(gain)
            better = f"{(gain > 0).sum()} of {count}"
        lines.append(
            f"| {name} | {iou.mean():.2f}, {np.median(iou):.2f} | {values.mean():.3f} | {apart} | "
            f"{better} | {l1.mean():.2f} | {refused.sum():.0f} |"
        )
    return "\n".join(lines) + "\n"


def draw(rows: list[dict[str, np.ndarray]], side: int = 200) -> Image.Image:
    """Draw the first photos, a row each."""
    names = list(rows[0])
    rows = [row for row in rows if list(row) == names]
    sheet = Image.new("RGB", (side * len(names), (side + 12) * len(rows)))
    for number, row in enumerate(rows):
        for column, name in enumerate(names):
            tile = Image.fromarray(row[name]).resize((side, side))
            sheet.paste(tile, (column * side, number * (side + 12)))
            ImageDraw.Draw(sheet).text((column * side, number * (side + 12) + side), name)
    return sheet


if __name__ == "__main__":
    main()
