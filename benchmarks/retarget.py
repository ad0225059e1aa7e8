"""What `retarget` is worth against scaling and against cropping.

    python benchmarks/retarget.py --data data/test [--photos 20] [--sheet sheet.png]

Photos of 256 pixels become a quarter narrower and a quarter wider. There is no truth for that, so
two things are measured, with patches of 7x7 pixels in Lab at half size (bidirectional similarity,
Simakov et al., 2008; root of the mean square, in units of Lab): how far each patch of the photo is
from the nearest one of the result (what was lost), and the other way round (what is there
that was not). Their mean is the measure, as in the paper. It sees neither a bent line nor a thing
that is there twice. The plain ways: scaling; the middle cut out (only narrower).
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

from freefill import Inpainter
from freefill.tasks import retarget
from measured import measured_with
from pairs import photos, table
from recompose import SIDE, middle

PATCH, QUERIES = 7, 500
LAB = ImageCms.buildTransform(
    ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
)


def main() -> None:
    """Change the shape, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of photos")
    parser.add_argument("--photos", type=int, default=20)
    parser.add_argument("--sheet", type=Path, help="draw the first photos here")
    arguments = parser.parse_args()
    inpainter = Inpainter()
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    rows = []
    for photo in photos(arguments.data, SIDE, arguments.photos):
        photo = middle(photo)
        for kind, width in (("narrower", SIDE * 3 // 4), ("wider", SIDE * 5 // 4)):
            results = {
                "retarget": retarget(photo, width=width, inpainter=inpainter).image,
                "scaled": np.asarray(
                    Image.fromarray(photo).resize((width, SIDE), Image.Resampling.LANCZOS)
                ),
            }
            if kind == "narrower":
                left = (SIDE - width) // 2
                results["cropped"] = photo[:, left : left + width]
            for name, result in results.items():
                lost, added = one_way(photo, result), one_way(result, photo)
                found[f"lost and added, {kind}"][name].append((lost + added) / 2)
                found[f"lost, {kind}"][name].append(lost)
                found[f"added, {kind}"][name].append(added)
            if len(rows) < 16:
                shown = [photo, *results.values()]
                padded = [np.pad(p, ((0, 0), (0, 330 - p.shape[1]), (0, 0))) for p in shown]
                while len(padded) < 4:
                    padded.append(np.zeros_like(padded[0]))
                rows.append(np.concatenate(padded, 1))
    print(measured_with(), end="")
    for title, columns in found.items():
        print(table(title, columns), end="\n\n")
    if arguments.sheet:
        Image.fromarray(np.concatenate(rows)).save(arguments.sheet)


def one_way(source: np.ndarray, target: np.ndarray) -> float:
    """Give the root mean square distance of patches of one picture to the nearest of another."""
    patches, known = (_patches(picture) for picture in (source, target))
    rng = np.random.default_rng(0)
    patches = patches[rng.choice(len(patches), min(QUERIES, len(patches)), replace=False)]
    squares = (known**2).sum(1)
    nearest = []
    for part in np.array_split(patches, max(len(patches) // 250, 1)):
        distance = squares - 2 * part @ known.T
        nearest.append(distance.min(1) + (part**2).sum(1))
    return float(np.sqrt(np.maximum(np.concatenate(nearest), 0).mean() / (PATCH * PATCH)))


def _patches(picture: np.ndarray) -> np.ndarray:
    # Halved before: a and b of Lab are stored as bytes that wrap round.
    image = ImageCms.applyTransform(Image.fromarray(picture).reduce(2), LAB)
    assert image is not None
    lab = np.asarray(image).astype(np.float32)
    # a and b are stored as bytes that wrap round at 128; L is stretched to 255.
    lab[..., 0] *= np.float32(100 / 255)
    lab[..., 1:] = (lab[..., 1:] + 128) % 256 - 128
    windows = np.lib.stride_tricks.sliding_window_view(lab, (PATCH, PATCH), (0, 1))
    return np.ascontiguousarray(windows.reshape(-1, 3 * PATCH * PATCH))


if __name__ == "__main__":
    main()
