"""What one server does on one core and on all: the numbers that docs/scale/serving.md counts with.

    python benchmarks/serve_load.py [--rounds 3] [--json docs/results/serving.json]

JPEG to JPEG on loopback, the clients on the other cores. One core: a server that may run on one
alone. Closed loop: each client asks again as soon as it has its answer. Open loop: requests come
at random (Poisson) at 70 % of what the closed loop reached, and time runs from when each should
have been sent. Time of the processor is the server's own (`process_cpu_seconds_total`), which other
work on the machine changes less than the clock's. Setups are measured in turn, in every round.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from freefill.masks.presets import free_form
from freefill.pipeline.engines.cpu_count import available_cores
from serve import BOUNDARY, form
from speed import EXAMPLES

HEADERS = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
CLIENTS = (1, 2, 4, 8)
UTILISATION = 0.7
SIZES = {"512x512": (512, 512, 40), "2048x2048": (2048, 2048, 8), "4000x3000": (4000, 3000, 6)}
"""Width, height, and requests of one load."""


class Server:
    """A server as a process.

    Args:
        port: Where it listens.
        pid: Whose memory is looked at.
    """

    def __init__(self, port: int, pid: int) -> None:
        self.port = port
        self.pid = pid

    def ask(self, body: bytes) -> tuple[float, int]:
        """Have one photo filled; give the seconds and the bytes of the answer."""
        start = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.request("POST", "/v1/fill", body, HEADERS)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        if answer.status != 200:
            sys.exit(f"{answer.status}: {content[:300]!r}")
        return time.perf_counter() - start, len(content)

    def processor(self) -> float:
        """Give the processor's seconds that it has used so far."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        found = re.search(r"^process_cpu_seconds_total (\S+)$", text, re.MULTILINE)
        assert found is not None
        return float(found[1])

    def peak(self) -> float:
        """Give the most memory that it has had so far, in MB."""
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text())
        assert found is not None
        return int(found[1]) / 1000


@contextmanager
def serving(workers: int, cores: set[int]) -> Iterator[Server]:
    """Run a server on some cores."""
    command = [sys.executable, "-m", "freefill", "serve", "--port", "0", "--workers", str(workers)]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    ) as process:
        try:
            assert process.stdout is not None
            found = re.search(r":(\d+)/", process.stdout.readline())
            assert found is not None
            yield Server(int(found[1]), process.pid)
        finally:
            process.terminate()


def bodies_of(width: int, height: int, count: int, folder: Path) -> list[bytes]:
    """Draw photos with masks; give the bodies of their requests."""
    examples = sorted(EXAMPLES.glob("*.jpg"))
    bodies = []
    for number in range(count):
        photo, mask = folder / f"{number}.jpg", folder / f"{number}_mask.png"
        with Image.open(examples[number % len(examples)]) as image:
            ImageOps.fit(image.convert("RGB"), (width, height)).save(photo, quality=90)
        Image.fromarray(free_form(height, width, np.random.default_rng(number))).save(mask)
        bodies.append(b"".join(form(photo, mask)))
    return bodies


def closed(server: Server, bodies: list[bytes], clients: int) -> dict[str, float]:
    """Have clients ask, each as soon as it has its answer."""
    before = marks(server)
    with ThreadPoolExecutor(clients) as pool:
        answers = list(pool.map(server.ask, bodies))
    return summary(server, bodies, answers, before)


def opened(server: Server, bodies: list[bytes], rate: float, seed: int) -> dict[str, float]:
    """Have requests come at random, whatever becomes of those before them."""
    due = np.cumsum(np.random.default_rng(seed).exponential(1 / rate, len(bodies)))
    before = marks(server)
    start = time.perf_counter()

    def ask(at: float, body: bytes) -> tuple[float, int]:
        time.sleep(max(0.0, start + at - time.perf_counter()))
        _, size = server.ask(body)
        return time.perf_counter() - start - at, size

    with ThreadPoolExecutor(len(bodies)) as pool:
        answers = list(pool.map(ask, due, bodies))
    return summary(server, bodies, answers, before) | {"asked_per_second": rate}


def marks(server: Server) -> NDArray[np.float64]:
    """Give the time, and the processor's seconds of the server, of this process, and of all."""
    ticks = [int(one) for one in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    used = (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")
    return np.array([time.perf_counter(), server.processor(), time.process_time(), used])


def summary(
    server: Server,
    bodies: list[bytes],
    answers: list[tuple[float, int]],
    before: NDArray[np.float64],
) -> dict[str, float]:
    """Give what became of one load."""
    took, processor, own, all_of_it = marks(server) - before
    seconds = [one for one, _ in answers]
    return {
        "photos_per_second": len(bodies) / took,
        "p50": float(np.percentile(seconds, 50)),
        "p95": float(np.percentile(seconds, 95)),
        "processor_seconds": processor / len(bodies),
        # What else the machine did meanwhile: with more than a little, rates say little.
        "other_cores": (all_of_it - processor - own) / took,
        "bytes_in": float(np.mean([len(body) for body in bodies])),
        "bytes_out": float(np.mean([size for _, size in answers])),
        "peak_mb": server.peak(),
    }


def loads(name: str, bodies: list[bytes], seed: int) -> Iterator[tuple[str, str, dict[str, float]]]:
    """Put each setup under each of its loads; give size, what it was, and what was measured."""
    cores = sorted(os.sched_getaffinity(0))
    one, rest = {cores[0]}, set(cores[1:]) or {cores[0]}
    setups = [("one core", 1, one, rest, CLIENTS)]
    if len(cores) > 1:
        each = set(cores)
        setups.append(("all cores, --workers 1", 1, each, each, (2 * len(cores),)))
        loads_of_all = (1, len(cores), 2 * len(cores), 4 * len(cores))
        setups.append((f"all cores, --workers {len(cores)}", len(cores), each, each, loads_of_all))
    for setup, workers, on, clients_on, clients in setups:
        with serving(workers, on) as server:
            os.sched_setaffinity(0, clients_on)
            closed(server, bodies[: 2 * workers], workers)  # warm
            best = 0.0
            for count in (c for c in clients if c <= len(bodies)):
                row = closed(server, bodies, count)
                best = max(best, row["photos_per_second"])
                yield name, f"{setup}: {count} clients", row
            if "--workers 1" not in setup:
                row = opened(server, bodies * 2, UTILISATION * best, seed)
                yield name, f"{setup}: open, {UTILISATION:.0%}", row
        os.sched_setaffinity(0, cores)


def main() -> None:
    """Measure; print a line a load, and one that can be checked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", default=",".join(SIZES), help="some of " + ", ".join(SIZES))
    parser.add_argument("--json", type=Path, help="where to write all rounds")
    arguments = parser.parse_args()
    found: dict[str, dict[str, list[dict[str, float]]]] = defaultdict(lambda: defaultdict(list))
    with tempfile.TemporaryDirectory() as scratch:
        for name in arguments.sizes.split(","):
            bodies = bodies_of(*SIZES[name], Path(scratch))
            for number in range(arguments.rounds):
                for size, load, row in loads(name, bodies, number):
                    found[size][load].append({key: round(row[key], 4) for key in row})
    for size, by_load in found.items():
        for load, rounds in by_load.items():
            print(line(size, load, rounds))
    for size, by_load in found.items():
        print(compared(size, by_load))
    if arguments.json:
        machine = f"{available_cores()} cores, {platform.machine()}, {arguments.rounds} rounds"
        content = json.dumps({"machine": machine, "loads": found}, indent=1)
        arguments.json.write_text(content + "\n")


def spread(rounds: list[dict[str, float]], key: str, scale: float = 1) -> str:
    """Give the median of all rounds, and the least and the most."""
    values = [scale * one[key] for one in rounds]
    return f"{np.median(values):.3g} ({min(values):.3g}-{max(values):.3g})"


def line(size: str, load: str, rounds: list[dict[str, float]]) -> str:
    """Tell what became of one load."""
    return (
        f"{size}, {load}: {spread(rounds, 'photos_per_second')} photos/s, "
        f"p50 {spread(rounds, 'p50', 1000)} ms, p95 {spread(rounds, 'p95', 1000)} ms, "
        f"processor {spread(rounds, 'processor_seconds', 1000)} ms a photo, "
        f"{rounds[0]['bytes_in'] / 1000:.0f} kB in, {rounds[0]['bytes_out'] / 1000:.0f} kB out, "
        f"peak {max(one['peak_mb'] for one in rounds):.0f} MB; "
        f"others {spread(rounds, 'other_cores')} cores"
    )


def compared(size: str, by_load: dict[str, list[dict[str, float]]]) -> str:
    """Compare a worker a core with one worker, under as many clients."""
    clients = 2 * available_cores()
    pair = [
        by_load.get(f"all cores, --workers {workers}: {clients} clients", [])
        for workers in (1, available_cores())
    ]
    ratios = [
        {"ratio": many["photos_per_second"] / one["photos_per_second"]}
        for one, many in zip(*pair, strict=True)
    ]
    if not ratios:
        return f"{size}: one core, nothing to compare"
    told = f"{available_cores()} workers have {spread(ratios, 'ratio')} times"
    return f"{size}, {clients} clients: {told} the photos/s of 1, on the same cores"


if __name__ == "__main__":
    main()
