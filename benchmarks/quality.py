"""LPIPS of freefill, through its command line, against OpenCV's Telea on the same photos and masks.

    python benchmarks/quality.py --data data/test/256 [--model light] [--preset free-form] [--keep
    DIR]

Photo n of the sorted folder gets the mask that ``np.random.default_rng(n)`` draws. Prints one line
a rival, the share of the photos on which freefill is nearer to the truth, and the ratio of the
means.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from freefill import references
from freefill.evaluation import rivals
from freefill.evaluation.metrics.lpips import lpips
from freefill.evaluation.metrics.mean import Mean
from freefill.masks.presets import PRESETS, sample


def main() -> None:
    """Fill, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of test photos")
    parser.add_argument("--model", default="light", help="name or .onnx file")
    parser.add_argument("--preset", default="free-form", choices=list(PRESETS))
    parser.add_argument("--keep", type=Path, help="keep photos, masks and results here")
    arguments = parser.parse_args()
    references.fetch("lpips_alex", lambda line: print(line, file=sys.stderr))
    telea = rivals.find("telea").fill
    photos = sorted(p for p in arguments.data.iterdir() if p.suffix == ".jpg")
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.keep or Path(scratch)
        (folder / "masks").mkdir(parents=True, exist_ok=True)
        areas = []
        for number, path in enumerate(photos):
            with Image.open(path) as image:
                width, height = image.size
            hole = sample(arguments.preset, height, width, np.random.default_rng(number))
            areas.append(hole.mean())
            Image.fromarray(hole).save(folder / "masks" / f"{path.stem}_mask.png")
        command = [
            *(sys.executable, "-m", "freefill", "fill", *map(str, photos)),
            *("--mask", str(folder / "masks"), "--out", str(folder / "filled")),
            *("--format", "png", "--overwrite", "--model", arguments.model),
        ]
        (folder / "filled").mkdir(exist_ok=True)
        subprocess.run(command, check=True)
        ours, theirs = Mean(lpips), Mean(lpips)
        for path in photos:
            truth = _pixels(path)
            hole = _pixels(folder / "masks" / f"{path.stem}_mask.png")[..., 0] > 127
            filled = _pixels(folder / "filled" / f"{path.stem}.png")
            assert (filled[~hole] == truth[~hole]).all(), f"{path.name}: a known pixel changed"
            ours.update(filled, truth)
            theirs.update(telea(truth, hole), truth)
    wins = np.mean(np.array(ours.values) < np.array(theirs.values))
    print(f"{len(photos)} photos, {arguments.preset}, mean hole {np.mean(areas):.1%}")
    print(f"LPIPS-AlexNet, whole image: {arguments.model} {ours.compute():.4f}")
    print(f"LPIPS-AlexNet, whole image: telea {theirs.compute():.4f}")
    print(f"ratio {ours.compute() / theirs.compute():.3f}, nearer on {wins:.0%} of the photos")


def _pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


if __name__ == "__main__":
    main()
