"""A folder of small photos: how much of a second core is used.

    python benchmarks/batch.py [--photos 1000] [--rounds 3]

The whole process `freefill fill FOLDER`, JPEG to JPEG, on one core and on two, in turn in one run.
The ideal of two cores is half the time of one.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from freefill.masks.presets import free_form
from speed import EXAMPLES, process

SIDE = 256


def main() -> None:
    """Measure and print one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "photos"
        folder.mkdir()
        examples = sorted(EXAMPLES.glob("*.jpg"))
        for number in range(arguments.photos):
            with Image.open(examples[number % len(examples)]) as image:
                small = ImageOps.fit(image.convert("RGB"), (SIDE, SIDE))
            small.save(folder / f"{number:04}.jpg", quality=90)
            hole = free_form(SIDE, SIDE, np.random.default_rng(number))
            Image.fromarray(hole).save(folder / f"{number:04}_mask.png")
        times: dict[int, list[float]] = {1: [], 2: []}
        peaks = {}
        for _ in range(arguments.rounds):
            for threads, found in times.items():
                seconds, peaks[threads] = process(
                    [
                        *(sys.executable, "-m", "freefill", "fill", str(folder), "--out"),
                        *(str(Path(scratch) / "out"), "--overwrite", "--threads", str(threads)),
                    ]
                )
                found.append(seconds)
    one, two = (float(np.median(found)) for found in times.values())
    print(
        f"{arguments.photos} photos of {SIDE}x{SIDE}: two cores reach {one / 2 / two:.0%} of their "
        f"ideal (medians {one:.1f} s on one, {two:.1f} s on two; {arguments.photos / two:.0f} "
        f"photos/s; peaks {peaks[1] / 1e6:.0f} and {peaks[2] / 1e6:.0f} MB; "
        f"{arguments.rounds} rounds)"
    )


if __name__ == "__main__":
    main()
