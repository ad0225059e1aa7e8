"""The paper's network against itself, written literally in eager torch: speed and memory.

    python benchmarks/deepfill.py [--rounds 5] [--large]

Random weights (time does not depend on them), free-form masks, float32, batch 1, the same number of
threads for all.

1. 512x512, warm: the literal network in torch, ``deepfill`` in ONNX Runtime, and the bundled
   ``light``, in turn in one process; and how far the first two pictures are apart.
2. 512x512 and 1024x1024: time (warm) and peak memory of literal and ``deepfill``, each in a process
   of its own, in turn. The literal network takes 21 GB at 1024x1024.
3. With ``--large``: memory at 1536x1536 and 2048x2048, where the literal network has no room.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from speed import peak_memory

THREADS = len(os.sched_getaffinity(0))
Run = Callable[[np.ndarray, np.ndarray], np.ndarray]


def main() -> None:
    """Measure and print one line each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="rounds after one warm-up at 512")
    parser.add_argument("--large", action="store_true", help="memory at 1536 and 2048, too")
    parser.add_argument("--once", nargs=3, metavar=("WHAT", "FILE", "SIDE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.once:
        what, file, side = arguments.once
        print(*once(runner(what, Path(file)), int(side)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "deepfill.onnx"
        write(file)
        warm(file, 512, arguments.rounds)
        for side in (512, 1024):
            cold(file, side, max(1, arguments.rounds // 2))
        for side in (1536, 2048) if arguments.large else ():
            seconds, peak = process("deepfill", file, side)
            print(f"{side}x{side}: deepfill {seconds:.1f} s, peak memory {peak / 1e9:.2f} GB")


def warm(file: Path, side: int, rounds: int) -> None:
    """Time all three in turn in this process."""
    names = ("literal", "deepfill", "light")
    runs = {name: runner(name, file) for name in names}
    image, hole = picture(side)
    times: dict[str, list[float]] = {name: [] for name in names}
    filled = {}
    for number in range(rounds + 1):
        for name in names:
            start = time.perf_counter()
            filled[name] = runs[name](image, hole)
            if number:
                times[name].append(time.perf_counter() - start)
    apart = np.abs(filled["literal"] - filled["deepfill"]).max()
    literal = np.array(times["literal"])
    for name in names[1:]:
        ratios = literal / np.array(times[name])
        print(
            f"{side}x{side}: literal / {name} = {np.median(ratios):.2f} "
            f"({ratios.min():.2f} to {ratios.max():.2f}; medians {np.median(literal):.2f} s, "
            f"{np.median(times[name]):.3f} s; {rounds} rounds, {THREADS} threads)"
        )
    print(f"{side}x{side}: largest difference literal, deepfill = {apart:.1e} in [-1, 1]")


def cold(file: Path, side: int, rounds: int) -> None:
    """Time and weigh two of them, each time in a process of its own."""
    found = [[process(what, file, side) for what in ("literal", "deepfill")] for _ in range(rounds)]
    for number, (quantity, unit, divisor) in enumerate((("time", "s", 1.0), ("memory", "GB", 1e9))):
        literal, ours = (np.array([pair[i][number] for pair in found]) for i in (0, 1))
        ratios = literal / ours
        print(
            f"{side}x{side}, process: literal / deepfill, {quantity} = {np.median(ratios):.2f} "
            f"({ratios.min():.2f} to {ratios.max():.2f}; medians "
            f"{np.median(literal) / divisor:.2f} {unit}, {np.median(ours) / divisor:.2f} {unit}; "
            f"{rounds} rounds)"
        )


def process(what: str, file: Path, side: int) -> tuple[float, int]:
    """Fill one picture in a process; give its seconds and its peak resident memory in bytes."""
    command = [sys.executable, __file__, "--once", what, str(file), str(side)]
    printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    seconds, peak = printed.split()
    return float(seconds), int(peak)


def once(run: Run, side: int) -> tuple[float, int]:
    """Fill a picture twice; give the seconds of the second time and the peak memory in bytes."""
    image, hole = picture(side)
    run(image, hole)
    start = time.perf_counter()
    run(image, hole)
    return time.perf_counter() - start, peak_memory()


def runner(what: str, file: Path) -> Run:
    """Load one of the three."""
    if what != "literal":
        from freefill.pipeline.engines.onnx import OnnxEngine
        from freefill.weights import registry

        path = file if what == "deepfill" else registry.find("light").path
        return OnnxEngine(path, THREADS).predict
    import torch

    from literal import Literal

    torch.set_num_threads(THREADS)
    network = Literal(random_network())

    def run(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
        return network(torch.from_numpy(image), torch.from_numpy(hole)).numpy()

    return run


def random_network() -> object:
    """Build ``deepfill`` with the same random weights each time, large enough for real pictures."""
    import torch

    from freefill.lab.models.deepfill import DeepFill

    torch.manual_seed(0)
    network = DeepFill().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1.8)
    return network


def write(file: Path) -> None:
    """Export the random network in float32."""
    from freefill.lab.export.onnx import to_onnx

    file.write_bytes(to_onnx(random_network(), half=False).SerializeToString())


def picture(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw noise and a free-form hole, as the engine takes them."""
    from freefill.masks.presets import free_form

    rng = np.random.default_rng(0)
    image = rng.uniform(-1, 1, (1, 3, side, side)).astype(np.float32)
    return image, free_form(side, side, rng).astype(np.float32)[None, None]


if __name__ == "__main__":
    main()
