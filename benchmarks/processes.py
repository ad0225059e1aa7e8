"""Training with one process that uses all cores, and with one process a core.

    python benchmarks/processes.py --data data/train [--rounds 3]

Both make the same steps of the recipe of the bundled weights (`configs/light.toml`, its last stage)
with the same batch, in turn in one run. What is compared is pictures a second after the first row
of the log, from `log.csv`.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from freefill.pipeline.engines.cpu_count import available_cores

CONFIG = Path(__file__).parents[1] / "configs/light.toml"
EVERY, ROWS = 5, 4


def main() -> None:
    """Measure and print one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=8)
    arguments = parser.parse_args()
    cores = available_cores()
    speeds: dict[int, list[float]] = {1: [], cores: []}
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(arguments.rounds):
            for processes, found in speeds.items():
                run = Path(scratch) / f"{number}-{processes}"
                found.append(trained(processes, arguments.data, run, arguments.batch))
    ratios = [many / one for one, many in zip(*speeds.values(), strict=True)]
    one, many = (float(np.median(found)) for found in speeds.values())
    print(
        f"{cores} processes reach {np.median(ratios):.0%} of one process on {cores} cores "
        f"({min(ratios):.0%} to {max(ratios):.0%} in {arguments.rounds} rounds; {many:.1f} and "
        f"{one:.1f} img/s, batch {arguments.batch} of 256x256)"
    )


def trained(processes: int, data: Path, run: Path, batch: int) -> float:
    """Train for some steps and give pictures a second."""
    launcher = [sys.executable]
    if processes > 1:
        launcher += ["-m", "torch.distributed.run", "--standalone"]
        launcher += ["--nproc-per-node", str(processes)]
    settings = [
        f"train.stages=[{{steps={EVERY * (ROWS + 1)}, crop=256, batch={batch}, adversarial=0.1}}]",
        f"train.log_every={EVERY}",
        "train.save_every=1000",
        "train.preview_every=1000",
    ]
    command = [
        *(*launcher, "-m", "freefill", "train", "--config", str(CONFIG)),
        *("--data", str(data), "--out", str(run)),
        *(x for setting in settings for x in ("--set", setting)),
    ]
    subprocess.run(command, check=True, capture_output=True)
    with (run / "log.csv").open() as file:
        # Memory is laid out in the first steps.
        return float(np.median([float(row["img_s"]) for row in csv.DictReader(file)][1:]))


if __name__ == "__main__":
    main()
