"""Large photos: time against MI-GAN at 512x512, memory, and how the cost grows.

    python benchmarks/large.py [--rounds 5] [--plot curve.png]

1. 4000x3000 with three free-form holes of some 5 %: a whole call of `Inpainter` (array in and
   out) against MI-GAN's ONNX pipeline on 512x512 with a free-form hole, in turn, the same options.
2. Peak memory of a process that fills 4000x3000, and 8000x6000, like that.
3. The same hole, of 600 pixels, in photos of doubled sides. The photos are drawn: time and memory
   do not depend on what is in them. Fetches MI-GAN (`freefill references migan`).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from freefill import Inpainter
from freefill.lab.evaluation import baselines
from freefill.masks.presets import free_form
from freefill.weights import third_party
from speed import peak_memory, ratio, timed

SIDES = (1024, 2048, 4096, 8192)


def main() -> None:
    """Measure and print one line each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds after one warm-up")
    parser.add_argument("--plot", type=Path, help="draw the curve into this picture")
    parser.add_argument("--once", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.once:
        image, hole = scene(arguments.once)
        Inpainter()(image=image, mask=hole)
        print(peak_memory())
        return
    inpainter = Inpainter()
    migan = baselines.migan(third_party.fetch("migan", lambda _: None))

    def ours(image: np.ndarray, hole: np.ndarray) -> None:
        inpainter(image=image, mask=hole)

    large, small = scene(4000), (photo(512, 512), free_form(512, 512, np.random.default_rng(0)))
    pairs = [(timed(ours, *large), timed(migan, *small)) for _ in range(arguments.rounds + 1)][1:]
    first, second = zip(*pairs, strict=True)
    print(
        f"4000x3000, {large[1].mean():.1%} hole / MI-GAN 512x512 = {ratio(first, second):.2f} "
        f"(medians {np.median(first) * 1e3:.0f} ms, {np.median(second) * 1e3:.0f} ms; "
        f"{arguments.rounds} rounds)"
    )
    for width in (4000, 8000):
        command = [sys.executable, __file__, "--once", str(width)]
        peak = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        print(f"{width}x{width * 3 // 4}: peak memory of the process = {int(peak) / 1e6:.0f} MB")
    times = {}
    for side in SIDES:
        image, hole = photo(side, side), np.zeros((side, side), bool)
        middle = slice(side // 2 - 300, side // 2 + 300)
        hole[middle, middle] = free_form(600, 600, np.random.default_rng(1))
        rounds = [timed(ours, image, hole) for _ in range(arguments.rounds + 1)][1:]
        times[side] = float(np.median(rounds))
    print("the same hole: " + ", ".join(f"{s}x{s} {t * 1e3:.0f} ms" for s, t in times.items()))
    if arguments.plot:
        arguments.plot.with_suffix(".json").write_text(json.dumps(times, indent=1) + "\n")
        draw(times, arguments.plot)


def scene(width: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw a photo of 4:3 with three holes, each as wide as a fifth of it."""
    height, side = width * 3 // 4, width // 5
    hole = np.zeros((height, width), bool)
    for number, (top, left) in enumerate(((0.1, 0.1), (0.4, 0.6), (0.65, 0.22))):
        row, column = int(top * height), int(left * width)
        drawn = free_form(side, side, np.random.default_rng(number))
        hole[row : row + side, column : column + side] |= drawn
    return photo(height, width), hole


def photo(height: int, width: int) -> np.ndarray:
    """Draw waves with grain."""
    row = np.arange(height, dtype=np.float32)[:, None]
    column = np.arange(width, dtype=np.float32)
    waves = 120 + 50 * np.sin(row / 211) * np.cos(column / 173)
    noise = np.random.default_rng(0).integers(0, 30, (256, 256, 3))
    grain = np.tile(noise, (-(-height // 256), -(-width // 256), 1))[:height, :width]
    return (waves[..., None].astype(np.uint8) + grain.astype(np.uint8)).astype(np.uint8)


def draw(times: dict[int, float], path: Path) -> None:
    """Plot time against the photo's side, with one axis of bars."""
    from PIL import Image, ImageDraw, ImageFont

    page = Image.new("RGB", (720, 80 + 48 * len(times)), "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(18)
    title = "A whole call, array in and out, for the same 600-pixel hole"
    pen.text((20, 16), title, "black", font)
    longest = max(times.values())
    for number, (side, seconds) in enumerate(times.items()):
        top = 60 + 48 * number
        pen.text((20, top + 6), f"{side}x{side}", "black", font)
        pen.rectangle((150, top, 150 + 440 * seconds / longest, top + 32), "#3b6ea5")
        pen.text((160 + 440 * seconds / longest, top + 6), f"{seconds * 1e3:.0f} ms", "black", font)
    page.save(path)


if __name__ == "__main__":
    start = time.perf_counter()
    main()
    if "--once" not in sys.argv:
        print(f"({time.perf_counter() - start:.0f} s)")
