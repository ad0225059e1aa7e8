"""Speed and memory, as ratios of things measured in turn in one run.

    python benchmarks/speed.py [--rounds 7]

1. The whole process `freefill fill` on a 512x512 photo against one that only imports torch.
2. Peak memory of the first.
3. Warm, 512x512: a whole call of `Inpainter` (array in, array out) against MI-GAN's ONNX pipeline
   in ONNX Runtime, with the same session options, on the same photos and free-form masks. Fetches
   MI-GAN (`freefill references migan`).
4. Warm, 512x512, strokes that cover 5, 25 and 50 %: a whole call against the same at 5 %, and
   MI-GAN's against freefill's.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from freefill import Inpainter
from freefill.lab.evaluation import baselines
from freefill.masks.presets import by_ratio, free_form
from freefill.weights import third_party

EXAMPLES = Path(__file__).parent.parent / "examples"
SIDE = 512


def main() -> None:
    """Measure and print one line each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="measured rounds after one warm-up")
    rounds = parser.parse_args().rounds
    pairs = photos_and_masks()

    with tempfile.TemporaryDirectory() as scratch:
        photo, mask, out = (Path(scratch) / name for name in ("photo.png", "mask.png", "out.png"))
        Image.fromarray(pairs[0][0]).save(photo)
        Image.fromarray(pairs[0][1]).save(mask)
        fill = [
            *(sys.executable, "-m", "freefill", "fill", str(photo), "--mask", str(mask)),
            *("--out", str(out), "--overwrite"),
        ]
        fills, imports, peak = [], [], 0
        for number in range(rounds + 1):
            seconds, memory = process(fill)
            other, _ = process([sys.executable, "-c", "import torch"])
            if number:
                fills.append(seconds)
                imports.append(other)
                peak = max(peak, memory)
    print(
        f"process: freefill fill 512x512 / import torch = {ratio(fills, imports):.2f} "
        f"(medians {np.median(fills):.2f} s, {np.median(imports):.2f} s; {rounds} rounds)"
    )
    print(f"memory: peak of freefill fill 512x512 = {peak / 1e6:.0f} MB")

    inpainter = Inpainter()
    # The method as it is: hiding the hole and compositing are not part of its time.
    migan = baselines.migan(third_party.fetch("migan", lambda _: None))

    def ours(image: np.ndarray, hole: np.ndarray) -> None:
        inpainter(image=image, mask=hole)

    ours_times, migan_times = [], []
    for number in range(rounds + 1):
        for image, hole in pairs:
            first, second = timed(ours, image, hole), timed(migan, image, hole)
            if number:
                ours_times.append(first)
                migan_times.append(second)
    print(
        f"warm 512x512: MI-GAN / freefill = {ratio(migan_times, ours_times):.2f} "
        f"(medians {np.median(migan_times) * 1e3:.0f} ms, {np.median(ours_times) * 1e3:.0f} ms; "
        f"{len(pairs)} photos, {rounds} rounds)"
    )
    first = 0.0
    for share in (0.05, 0.25, 0.5):
        masks = [
            by_ratio(SIDE, SIDE, np.random.default_rng(n), ratio=(share - 0.02, share + 0.02))
            for n in range(len(pairs))
        ]
        ours_times, migan_times = [], []
        for number in range(min(rounds, 3) + 1):
            for (image, _), hole in zip(pairs, masks, strict=True):
                mine, other = timed(ours, image, hole), timed(migan, image, hole)
                if number:
                    ours_times.append(mine)
                    migan_times.append(other)
        first = first or float(np.median(ours_times))
        print(
            f"warm 512x512, {share:.0%} hole: {np.median(ours_times) / first:.2f} of the time at "
            f"5 %; MI-GAN / freefill = {ratio(migan_times, ours_times):.2f} (medians "
            f"{np.median(ours_times) * 1e3:.0f} ms, {np.median(migan_times) * 1e3:.0f} ms)"
        )


def photos_and_masks() -> list[tuple[np.ndarray, np.ndarray]]:
    """Cut the example photos to 512x512 and draw a free-form mask for each."""
    pairs = []
    for number, path in enumerate(sorted(EXAMPLES.glob("*.jpg"))):
        with Image.open(path) as image:
            square = np.asarray(ImageOps.fit(image.convert("RGB"), (SIDE, SIDE)))
        pairs.append((square, free_form(SIDE, SIDE, np.random.default_rng(number))))
    return pairs


def peak_memory() -> int:
    """Give the largest resident memory of this process, in bytes.

    What the operating system tells a parent counts the parent's own memory at the fork.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def process(command: Sequence[str]) -> tuple[float, int]:
    """Run a command; give its wall time in seconds and its peak resident memory in bytes.

    The peak is at least the parent's memory at the fork.
    """
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(command)} failed with {child.returncode}")
    return time.perf_counter() - start, usage.ru_maxrss * 1024


def timed(call: Callable[..., object], image: np.ndarray, hole: np.ndarray) -> float:
    """Give the wall time of one call, in seconds."""
    start = time.perf_counter()
    call(image, hole)
    return time.perf_counter() - start


def ratio(a: Sequence[float], b: Sequence[float]) -> float:
    """Give the median of the ratios pair by pair."""
    return float(np.median(np.array(a) / np.array(b)))


if __name__ == "__main__":
    main()
