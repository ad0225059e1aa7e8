"""Ray on this machine against the local runner, over photos of 512x512.

    python benchmarks/ray_batch.py [--photos 2000] [--rounds 1]

`freefill batch` as a whole process, start to end, by both runners in turn in one run. Their results
are compared, too: they have to be the same bytes. What a photo costs comes from the manifest.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
from PIL import Image, ImageOps

from freefill.masks.presets import free_form
from freefill.pipeline.engines.cpu_count import available_cores
from speed import EXAMPLES, process

SIDE = 512


def main() -> None:
    """Measure and print one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--block", type=int, default=64)
    arguments = parser.parse_args()
    # Ray's processes step back for others (nice 15): other work here would be taken for Ray's cost.
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112
    times: dict[str, list[float]] = {"local": [], "ray": []}
    with tempfile.TemporaryDirectory() as scratch:
        folder = photos(Path(scratch) / "photos", arguments.photos)
        outs = {runner: Path(scratch) / runner for runner in times}
        for _ in range(arguments.rounds):
            for runner, found in times.items():
                shutil.rmtree(outs[runner], ignore_errors=True)
                seconds, _ = process(
                    [
                        *(sys.executable, "-m", "freefill", "batch", str(folder)),
                        *(str(outs[runner]), "--runner", runner),
                        *("--block", str(arguments.block)),
                    ]
                )
                found.append(seconds)
        same = compare(outs["local"], outs["ray"])
        told = {runner: costs(out) for runner, out in outs.items()}
        # What a Ray without photos takes: to start, to load the session, and to stop.
        one = Path(scratch) / "one"
        one.mkdir()
        for path in folder.glob("0000*"):
            shutil.copy(path, one)
        start = time.perf_counter()
        process(
            [
                *(sys.executable, "-m", "freefill", "batch", str(one)),
                *(str(Path(scratch) / "out"), "--runner", "ray"),
            ]
        )
        idle = time.perf_counter() - start
    local, ray = (float(np.median(found)) for found in times.values())
    share = float(np.median(np.array(times["local"]) / np.array(times["ray"])))
    print(
        f"{arguments.photos} photos of {SIDE}x{SIDE} on {available_cores()} cores: Ray reaches "
        f"{share:.0%} of the local runner's throughput, start to end "
        f"({local / (ray - idle):.0%} without the {idle:.1f} s of a batch of one photo; medians "
        f"{local:.1f} s and {ray:.1f} s, {arguments.photos / local:.1f} and "
        f"{arguments.photos / ray:.1f} photos/s; {told['local'][0]:.0f} and {told['ray'][0]:.0f} "
        f"ms a photo at work; {same}; manifest {told['local'][1]:.0f} bytes a photo; "
        f"{arguments.rounds} rounds)"
    )


def photos(folder: Path, count: int) -> Path:
    """Cut the example photos to size, with another mask for each."""
    folder.mkdir()
    cut = []
    for path in sorted(EXAMPLES.glob("*.jpg")):
        with Image.open(path) as image:
            cut.append(ImageOps.fit(image.convert("RGB"), (SIDE, SIDE)))
    for number in range(count):
        cut[number % len(cut)].save(folder / f"{number:04}.jpg", quality=90)
        hole = free_form(SIDE, SIDE, np.random.default_rng(number))
        Image.fromarray(hole).save(folder / f"{number:04}_mask.png")
    return folder


def compare(one: Path, other: Path) -> str:
    """Say how many results of two batches are the same bytes."""
    names = [path.name for path in one.glob("*.jpg")]
    same = sum((one / name).read_bytes() == (other / name).read_bytes() for name in names)
    return f"{same} of {len(names)} results the same bytes"


def costs(out: Path) -> tuple[float, float]:
    """Give the milliseconds and the bytes of manifest that a photo takes."""
    parts = list((out / "_manifest").glob("part-*.parquet"))
    tables = [parquet.read_table(path) for path in parts]
    spent = np.concatenate([table["ms"].to_numpy() for table in tables])
    return float(np.median(spent)), sum(path.stat().st_size for path in parts) / len(spent)


if __name__ == "__main__":
    main()
