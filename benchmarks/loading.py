"""What making crops costs, from a folder that was decoded once and from shards.

    python benchmarks/loading.py --data data/train [--rounds 3]

Packs the folder (or takes --shards), then makes the same number of crops of 256x256 from both, in
turn in one run, on one thread. The unit is time of the processor, other work beside it or not.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from freefill.config import Config, DataConfig, StageConfig, TrainConfig
from freefill.data.batches import Batches
from freefill.data.packing.run import Options, pack
from freefill.data.sources import open_source

BATCH, STEPS = 8, 50


def main() -> None:
    """Measure and print one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    config = Config(
        data=DataConfig(size=256),
        train=TrainConfig(stages=(StageConfig(10 * STEPS, 256, BATCH),)),
    )
    with tempfile.TemporaryDirectory() as scratch:
        summary = pack(arguments.data, Path(scratch) / "shards", Options(size=256))
        costs: dict[str, list[float]] = {}
        made = {
            "folder": Batches(
                open_source(str(arguments.data), config.data, 0, lambda _: None), config
            ),
            "shards": Batches(
                open_source(f"{scratch}/shards", config.data, 0, lambda _: None), config
            ),
        }
        for number in range(arguments.rounds):
            for name, batches in made.items():
                start = time.process_time()
                for step in range(number * STEPS, (number + 1) * STEPS):
                    batches.batch(step)
                cost = (time.process_time() - start) / STEPS / BATCH * 1000
                costs.setdefault(name, []).append(cost)
    folder, shards = (float(np.median(found)) for found in costs.values())
    print(
        f"a crop of 256x256 from shards costs {shards / folder:.2f} times one from a decoded "
        f"folder ({shards:.1f} and {folder:.1f} ms of one core, {arguments.rounds} rounds; "
        f"{summary.packed} photos packed)",
        file=sys.stdout,
    )


if __name__ == "__main__":
    main()
