"""What making crops costs: from a decoded folder, from shards, and in processes of their own.

    python benchmarks/loading.py --data data/train [--rounds 3]

Packs the folder, then makes the same number of crops of 256x256 from both, in turn in one run: on
one thread, and in a worker process a core (`data.workers`). The unit is time of the processor,
other work beside it or not; that of workers includes handing the crops over.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
from pathlib import Path

import numpy as np

from freefill.lab.config import Config, DataConfig, StageConfig, TrainConfig
from freefill.lab.data.batches import Batches, Steps
from freefill.lab.data.packing.run import Options, pack
from freefill.lab.data.sources import open_source
from freefill.pipeline.engines.cpu_count import available_cores

BATCH, STEPS, SHORT = 8, 150, 10


def main() -> None:
    """Measure and print one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    cores = available_cores()
    with tempfile.TemporaryDirectory() as scratch:
        shards = Path(scratch) / "shards"
        summary = pack(arguments.data, shards, Options(size=256))
        costs: dict[str, list[float]] = {}
        for _ in range(arguments.rounds):
            for name, data, workers in (
                ("folder", arguments.data, 0),
                ("shards", shards, 0),
                ("workers", shards, cores),
            ):
                costs.setdefault(name, []).append(cost(str(data), workers))
    folder, shard, worker = (float(np.median(found)) for found in costs.values())
    print(
        f"a crop of 256x256 from shards costs {shard / folder:.2f} times one from a decoded folder "
        f"({shard:.1f} and {folder:.1f} ms of one core), {worker / folder:.2f} times in {cores} "
        f"worker processes ({worker:.1f} ms, handing over included; {arguments.rounds} rounds, "
        f"{summary.packed} photos)"
    )


def cost(data: str, workers: int) -> float:
    """Give milliseconds of a core for a crop: a long run less a short one, which both start."""
    many, few = (spent(data, workers, steps) for steps in (STEPS, SHORT))
    return (many - few) / (STEPS - SHORT) / BATCH * 1000


def spent(data: str, workers: int, steps: int) -> float:
    """Make the batches of some steps, and give the processor's seconds, those of workers too."""
    config = Config(
        data=DataConfig(size=256, workers=workers),
        train=TrainConfig(stages=(StageConfig(steps, 256, BATCH),)),
    )
    start = clock()
    if workers:
        made = Steps(data, config, 0, 1).ahead(0)
    else:
        made = Batches(open_source(data, config.data, 0, print), config).ahead(0)
    assert sum(1 for _ in made) == steps
    return clock() - start


def clock() -> float:
    """Give the processor's seconds of this process and of those that have ended."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


if __name__ == "__main__":
    main()
