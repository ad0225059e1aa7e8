"""Packing photos into shards: how much of a second core is used.

    python benchmarks/pack.py [--data data/train] [--size 512] [--rounds 3]

`freefill pack` with one worker and with two, in turn in one run, its start not counted. The ideal
of two workers is half the time of one. What the main process spends on a photo (duplicates,
writing) bounds how many workers one machine can use.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
from pathlib import Path

import numpy as np

from freefill.lab.data.packing.run import Options, Summary, pack


def main() -> None:
    """Measure and print one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("data/train"))
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    rates: dict[int, list[float]] = {1: [], 2: []}
    work = {who: 0.0 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)}
    for _ in range(arguments.rounds):
        for workers, found in rates.items():
            before = {who: seconds(who) for who in work}
            with tempfile.TemporaryDirectory() as scratch:
                summary: Summary = pack(
                    arguments.data,
                    Path(scratch) / "shards",
                    Options(size=arguments.size),
                    workers=workers,
                )
            found.append(summary.fresh / summary.seconds)
            work = {who: work[who] + seconds(who) - before[who] for who in work}
    one, two = (float(np.median(found)) for found in rates.values())
    photos = 2 * arguments.rounds * summary.fresh
    main_process, workers_ = (spent / photos for spent in work.values())
    print(
        f"{summary.fresh} photos: two workers reach {two / 2 / one:.0%} of their ideal (medians "
        f"{one:.0f} photos/s with one, {two:.0f} with two; {workers_ * 1e3:.2f} ms a photo in "
        f"workers, {main_process * 1e3:.2f} ms in the main process; "
        f"{summary.bytes / summary.packed:.0f} bytes a photo; {arguments.rounds} rounds)"
    )


def seconds(who: int) -> float:
    """Give the processor's time that this process, or its ended children, took."""
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
