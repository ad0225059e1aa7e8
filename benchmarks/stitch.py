"""What `stitch` is worth against laying one warped photo over the other.

    python benchmarks/stitch.py --data data/test [--photos 20] [--sheet sheet.png]

A photo of 512 pixels is cut into two views that share 40 %; the second is turned by up to 4
degrees, moved, and changed in brightness by 10 to 25 %. Laid together they should be the photo. In
its frame, over all that either view shows or that lies between them: LPIPS, mean difference per
channel, and, where both views meet and 2 pixels around, how far gradients are from the photo's. The
plain way has the same alignment: the second view laid over the first, gaps black. Fetches LPIPS
(`freefill references lpips_alex`); needs `freefill[lab,stitch]`.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from freefill import Inpainter
from freefill.errors import ImageError
from freefill.imaging.io import read_picture
from freefill.lab.evaluation.metrics.lpips import lpips
from freefill.masks.morphology import grow
from freefill.tasks import stitch
from freefill.vision.alignment import align
from measured import measured_with
from pairs import photos, table

SIDE, TALL, WIDE = 512, 400, 340


def main() -> None:
    """Cut, stitch, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of photos")
    parser.add_argument("--photos", type=int, default=20)
    parser.add_argument("--sheet", type=Path, help="draw the first photos here")
    arguments = parser.parse_args()
    inpainter = Inpainter()
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    rows, refused, kept = [], 0, []
    for number, photo in enumerate(photos(arguments.data, SIDE, arguments.photos)):
        truth = photo[:SIDE, :SIDE]
        first, second, corner = views(truth, np.random.default_rng(number))
        try:
            result = stitch(first, [second], inpainter=inpainter)
        except ImageError as error:
            refused += 1
            print(f"photo {number}: {error}")
            continue
        place = str(result.info["first at"]).strip("()").split(",")
        left, top = (int(value) for value in place)
        plain, shown, border = overlaid(first, second, result.image.shape, (left, top))
        # The frame of the result in the photo's pixels, and what of it the photo has.
        at = corner[0] - top, corner[1] - left
        whole = tuple(slice(max(a, 0), a + s) for a, s in zip(at, plain.shape[:2], strict=True))
        ours = tuple(
            slice(max(-a, 0), max(-a, 0) + truth[whole].shape[i]) for i, a in enumerate(at)
        )
        known, edge = shown[ours], border[ours]
        wanted = truth[whole]
        results = {"stitch": result.image[ours], "laid over": plain[ours]}
        for name, picture in results.items():
            found["LPIPS, the whole frame"][name].append(lpips(picture, wanted))
            found["difference, the whole frame"][name].append(apart(picture, wanted))
            found["LPIPS, what a view shows"][name].append(lpips(picture, wanted, known))
            found["difference, what a view shows"][name].append(apart(picture, wanted, known))
            found["gradient where both meet"][name].append(seam(picture, wanted, edge))
        kept.append(result.mask.mean())
        if len(rows) < 6:
            shown_all = [*results.values(), wanted]
            canvas = [np.asarray(Image.fromarray(p).resize((400, 300))) for p in shown_all]
            rows.append(np.concatenate(canvas, 1))
    print(measured_with(), end="")
    for title, columns in found.items():
        print(table(title, columns), end="\n\n")
    print(f"{refused} refused; {np.mean(kept):.1%} of the results were filled")
    if arguments.sheet:
        Image.fromarray(np.concatenate(rows)).save(arguments.sheet)


def views(
    photo: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """Cut two views, the first upright; and the first's top left corner."""
    top = (SIDE - TALL) // 2
    left = 20
    first = photo[top : top + TALL, left : left + WIDE].copy()
    angle = float(rng.uniform(1.5, 4) * rng.choice([-1, 1]))
    centre = (SIDE - 20 - WIDE / 2 - 12, SIDE / 2 + float(rng.uniform(-12, 12)))
    turn = cv2.getRotationMatrix2D(centre, angle, 1)
    turn[:, 2] += np.array([WIDE / 2, TALL / 2]) - centre
    second = cv2.warpAffine(photo, turn, (WIDE, TALL), flags=cv2.INTER_CUBIC)
    gain = np.exp(rng.uniform(0.1, 0.22) * rng.choice([-1, 1]))
    second = np.rint(np.clip(second * gain, 0, 255)).astype(np.uint8)
    return first, second, (top, left)


def overlaid(
    first: np.ndarray, second: np.ndarray, shape: tuple[int, ...], at: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lay the second over the first; where either is, and where both are and 2 pixels around."""
    placed = align([read_picture(first), read_picture(second)])
    matrix = np.array([[1, 0, at[0]], [0, 1, at[1]], [0, 0, 1]], float) @ placed[1].to_first
    size = shape[1], shape[0]
    warped = cv2.warpPerspective(second, matrix, size, flags=cv2.INTER_CUBIC)
    there = cv2.warpPerspective(np.ones(second.shape[:2], np.float32), matrix, size) > 0.99
    canvas = np.zeros(shape, np.uint8)
    below = np.zeros(shape[:2], bool)
    window = slice(at[1], at[1] + first.shape[0]), slice(at[0], at[0] + first.shape[1])
    canvas[window], below[window] = first, True
    canvas[there] = warped[there]
    return canvas, there | below, grow(there & below, 2) & (there | below)


def apart(one: np.ndarray, other: np.ndarray, where: np.ndarray | None = None) -> float:
    """Give the mean difference per channel, in [0, 1]."""
    difference = np.abs(one.astype(float) - other) / 255
    return float((difference if where is None else difference[where]).mean())


def seam(result: np.ndarray, truth: np.ndarray, edge: np.ndarray) -> float:
    """Give the mean difference of gradients, in [0, 1], where the border was."""
    total = 0.0
    for axis in (0, 1):
        change = np.diff(result.astype(float), axis=axis) - np.diff(truth.astype(float), axis=axis)
        where = edge[1:] if axis == 0 else edge[:, 1:]
        total += float(np.abs(change)[where].mean()) / 255
    return total / 2


if __name__ == "__main__":
    main()
