"""What `freefill unmark` finds and what its fill is worth, on overlays drawn with known masks.

    python benchmarks/unmark.py --data data/test [--out table.md] [--sheet sheet.jpg]

Stamps, captions, scratches and dust are drawn on photos of 512x512 (benchmarks/drawn.py), which are
then JPEGs of quality 92, as the truth is. Precision: share of the mask that lies within 2 pixels of
the true one (that is how far the mask is widened); recall: share of the true mask that is in it.
A pixel is true where it was changed by 8 of 255 at least. PSNR and LPIPS-AlexNet of the whole
picture against the truth: as it is, after a median filter of 5x5, filled by OpenCV's Telea on the
same mask, and by unmark. Where nothing is found the photo stays as it is. Then a watermark over all
photos at once. Then what is filled of its own accord: on 40 clean photos (20 of 256x256, 20 of
512x512), and on the marked ones, beside what is found. The bars were chosen on training photos.
Fetches LPIPS (`freefill references lpips_alex`); OpenCV: extra `baselines`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

import drawn
from freefill import Inpainter
from freefill.errors import MaskError
from freefill.imaging.io import read_picture, restore
from freefill.lab.data.photos import list_photos
from freefill.lab.evaluation.baselines import telea
from freefill.lab.evaluation.metrics.lpips import lpips
from freefill.masks.morphology import grow
from freefill.pipeline.request import FillRequest
from freefill.tasks import unmark_stack
from freefill.vision.overlays.finding import find, find_each
from measured import measured_with

Pixels = np.ndarray
METHODS = ("as it is", "median 5x5", "Telea", "unmark")
STACKS = ((0.35, 20), (0.5, 20), (0.8, 20), (0.5, 10))
"""Opacity, and photos."""


def main() -> None:
    """Draw, find, fill, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with a folder 512 in it")
    parser.add_argument("--photos", type=int, default=20)
    parser.add_argument("--parts", nargs="+", default=[*drawn.DAMAGES, "stacks", "evidence"])
    parser.add_argument("--out", type=Path, help="write the tables here, too")
    parser.add_argument("--sheet", type=Path, help="draw the first photos of each kind")
    arguments = parser.parse_args()
    paths = list_photos(arguments.data / "512")[: arguments.photos]
    photos = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    inpainter = Inpainter()
    text, strips = "", []
    chosen = [kind for kind in drawn.DAMAGES if kind in arguments.parts]
    if chosen:
        text, strips = kinds(inpainter, photos, chosen)
    if "stacks" in arguments.parts:
        text += "\n".join(["", *stacks(inpainter, photos), ""])
    if "evidence" in arguments.parts:
        small = list_photos(arguments.data / "256")[::3][:20]
        others = [np.asarray(Image.open(path).convert("RGB")) for path in small]
        text += "\n".join(["", *evidence(photos, [*others, *photos]), ""])
    text = measured_with() + text
    print(text)
    if arguments.out:
        arguments.out.write_text(text)
    if arguments.sheet and strips:
        Image.fromarray(np.concatenate(strips)).save(arguments.sheet, quality=88)


def kinds(
    inpainter: Inpainter, photos: list[Pixels], chosen: list[str]
) -> tuple[str, list[Pixels]]:
    """Measure each kind; give tables, and strips to look at."""
    found_lines, quality_lines, strips = [], [], []
    for kind in chosen:
        rows, measures = [], []
        for number, photo in enumerate(photos):
            row, measured, strip = one(inpainter, photo, kind, number)
            rows.append(row)
            measures.append(measured)
            if number in (1, 6):
                strips.append(strip)
        values = np.array(measures)
        precision, recall, clean = np.nanmean(values, 0)
        some = f"{int((~np.isnan(values[:, 0])).sum())} of {len(values)}"
        found_lines.append(f"| {kind} | {some} | {precision:.2f} | {recall:.2f} | {clean:.2%} |")
        quality_lines += table(kind, np.array(rows))
        print(found_lines[-1], *quality_lines[-len(METHODS) :], sep="\n", flush=True)
    lines = [
        "| | anything found on | precision | recall | marked on the undamaged photo |",
        "| --- | --- | --- | --- | --- |",
        *found_lines,
        "",
        "| | | PSNR, dB | LPIPS | unmark is better on (PSNR; LPIPS) |",
        "| --- | --- | --- | --- | --- |",
        *quality_lines,
        "",
    ]
    return "\n".join(lines), strips


def one(
    inpainter: Inpainter, photo: Pixels, kind: str, number: int
) -> tuple[list[list[float]], list[float], Pixels]:
    """Measure one photo: quality of each method, what was found, and a strip to look at."""
    damaged, true = drawn.DAMAGES[kind](photo, np.random.default_rng(number))
    damaged, truth = drawn.as_jpeg(damaged), drawn.as_jpeg(photo)
    (hole, _), (nothing, _) = (find(read_picture(picture), kind) for picture in (damaged, truth))
    near = (hole & grow(true, 2)).sum() / hole.sum() if hole.any() else np.nan
    measured = [near, (hole & true).sum() / max(true.sum(), 1), nothing.mean()]
    pictures = [
        damaged,
        cv2.medianBlur(damaged, 5),
        telea(damaged, hole),
        filled(inpainter, damaged, hole),
    ]
    shown = np.where(hole[..., None], np.uint8(255), damaged // 3)
    strip = np.concatenate([damaged, shown, pictures[2], pictures[3], truth], 1)
    return [quality(picture, truth) for picture in pictures], measured, strip


def filled(inpainter: Inpainter, photo: Pixels, hole: Pixels) -> Pixels:
    """Fill as unmark does."""
    return np.asarray(restore(inpainter.run(FillRequest(read_picture(photo), hole)).picture))


def quality(picture: Pixels, truth: Pixels) -> list[float]:
    """Give PSNR and LPIPS."""
    error = np.mean((picture.astype(float) - truth) ** 2)
    return [float(10 * np.log10(255**2 / max(error, 1e-3))), lpips(picture, truth)]


def table(kind: str, rows: Pixels) -> list[str]:
    """Give the lines of one kind."""
    lines, ours = [], rows[:, METHODS.index("unmark")]
    for number, name in enumerate(METHODS):
        psnr, distance = rows[:, number].mean(0)
        better = ""
        if name != "unmark":
            higher = (ours[:, 0] > rows[:, number, 0]).sum()
            closer = (ours[:, 1] < rows[:, number, 1]).sum()
            better = f"{higher}; {closer} of {len(rows)}"
        lines.append(f"| {kind} | {name} | {psnr:.2f} | {distance:.4f} | {better} |")
    return lines


def evidence(photos: list[Pixels], clean: list[Pixels]) -> list[str]:
    """Measure what is filled without being told to: before, everything that was found."""
    found: dict[str, list[float]] = {kind: [] for kind in drawn.DAMAGES}
    filled: dict[str, list[float]] = {kind: [] for kind in drawn.DAMAGES}
    named = dict.fromkeys(drawn.DAMAGES, 0)
    any_, strong = 0, 0
    for number, photo in enumerate(clean):
        overlays = find_each(read_picture(photo))
        any_ += bool(overlays)
        strong += any(one.is_strong for one in overlays)
        for one in overlays:
            named[one.kind] += any(
                again.is_strong for again in find_each(read_picture(photo), one.kind)
            )
        told = {one.kind: round(one.evidence, 2) for one in overlays}
        print("clean", number, told, [one.kind for one in overlays if one.is_strong], flush=True)
    lines = [
        f"Of {len(clean)} clean photos something is found on {any_}, and filled on {strong}.",
        "",
        "| kind named | recall of what is found | of what is filled | clean photos filled |",
        "| --- | --- | --- | --- |",
    ]
    for kind, draw in drawn.DAMAGES.items():
        for number, photo in enumerate(photos):
            damaged, true = draw(photo, np.random.default_rng(number))
            overlays = find_each(read_picture(drawn.as_jpeg(damaged)), kind)
            shares = [(one.mask & true).sum() / true.sum() for one in overlays]
            found[kind].append(sum(shares))
            filled[kind].append(
                sum(s for s, one in zip(shares, overlays, strict=True) if one.is_strong)
            )
            print(
                kind, number, shares, [(one.evidence, one.needed) for one in overlays], flush=True
            )
        lines.append(
            f"| {kind} | {np.mean(found[kind]):.3f} | {np.mean(filled[kind]):.3f} | "
            f"{named[kind]} of {len(clean)} |"
        )
    return lines


def stacks(inpainter: Inpainter, photos: list[Pixels]) -> list[str]:
    """Measure watermarks of several opacities over stacks of two sizes."""
    lines = [
        "| watermark | photos | precision | recall | as it is | Telea | the fill alone | unmark |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for opacity, count in STACKS:
        line = stacked(inpainter, photos[:count], opacity)
        print(line, flush=True)
        lines.append(line)
    return lines


def stacked(inpainter: Inpainter, photos: list[Pixels], opacity: float) -> str:
    """Measure one stack."""
    plane = drawn.watermark(photos[0].shape[:2], opacity, large=opacity == 0.5)
    true = plane > 0.02
    damaged = [drawn.as_jpeg(drawn.mixed(photo, plane, (255, 255, 255))) for photo in photos]
    truths = [drawn.as_jpeg(photo) for photo in photos]
    try:
        results = unmark_stack(damaged, inpainter=inpainter)
    except MaskError:
        return f"| {opacity:.0%} | {len(photos)} | nothing found | | | | | |"
    hole = results[0].mask
    ways = (
        damaged,
        [telea(picture, hole) for picture in damaged],
        [filled(inpainter, picture, hole) for picture in damaged],
        [result.image for result in results],
    )
    told = []
    for pictures in ways:
        pairs = [quality(a, b) for a, b in zip(pictures, truths, strict=True)]
        psnr, distance = np.mean(pairs, 0)
        told.append(f"{psnr:.2f}; {distance:.4f}")
    precision = (hole & grow(true, 3)).sum() / hole.sum()
    recall = (hole & true).sum() / true.sum()
    cells = [f"{opacity:.0%}", str(len(photos)), f"{precision:.2f}", f"{recall:.2f}", *told]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
