"""The server under mixed load for some minutes: is all of it back afterwards?

    python benchmarks/soak.py [--minutes 30] [--clients 8] [--table docs/results/soak.md]

Clients fill photos of several sizes, ask for tasks, send bodies that are no forms, hostile and
changed files, go at any moment, read slowly, and begin heads that they do not end. Before and after
stands a rest, in which places, memory, descriptors, threads and processes are looked at; meanwhile
``/healthz`` is asked once a second. Exit code 1 and a line for each that is not back, for a health
that took more than a second, for an answer of 500, and for a traceback in the server's log.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from freefill.masks.presets import free_form
from speed import EXAMPLES

# The corpus and the attacks are those of the tests.
sys.path.append(str(Path(__file__).parents[1] / "tests" / "fuzz"))
import attacks
import seeds
from mutate import mutate

WORKERS, QUEUE = 2, 8
HEALTH = 1.0
"""Seconds that ``/healthz`` may take."""
MEMORY = 1.15, 64
"""Times, and MB, that the rest after the load may have of that before it."""
REST = 40
"""Seconds: connections without a request are ended after 30."""
SIZES = ((256, 256), (512, 384), (1024, 768), (2000, 1500))
HOSTILE = (
    *("claimed-9k.png", "xmp-open.png", "frames.png", "chunks-100k.png", "texts-late.png"),
    *("pages-circle.tif", "strips-5g.tif", "tags-shared.tif", "numbers.tif", "scans-1000.jpg"),
    *("comments-1m.jpg", "entity.svg", "program.ps", "large.png", "exif-names.png"),
)
FORM = {"Content-Type": "multipart/form-data; boundary=edge"}


@dataclass
class Load:
    """What is sent, where to, and what became of it."""

    port: int
    photos: list[tuple[bytes, bytes]]
    files: dict[str, bytes]
    until: float = 0.0
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    health: list[float] = field(default_factory=list)
    most: list[int] = field(default_factory=lambda: [0] * 4)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, act: str, outcome: str) -> None:
        """Count one act."""
        with self.lock:
            self.outcomes[act, outcome] += 1

    def connect(self) -> socket.socket:
        """Open a connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=120)

    def ask(self, path: str, body: bytes, headers: dict[str, str] = FORM) -> str:
        """Send a request; give the status of its answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            answer.read()
            return str(answer.status)
        finally:
            connection.close()

    def raw(self, path: str, body: bytes) -> bytes:
        """Give the bytes of a request."""
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nContent-Length: {len(body)}"
        return f"{head}\r\nContent-Type: {FORM['Content-Type']}\r\n\r\n".encode() + body


Act = Callable[[Load, random.Random], str]


def form_of(load: Load, rng: random.Random) -> bytes:
    """Give the body of a good fill."""
    photo, mask = rng.choice(load.photos)
    return seeds.form(image=photo, mask=mask)


def fill(load: Load, rng: random.Random) -> str:
    """Fill a photo."""
    return load.ask("/v1/fill", form_of(load, rng))


def task(load: Load, rng: random.Random) -> str:
    """Ask for a task."""
    photo, mask = load.photos[rng.randrange(8)]
    name, fields = rng.choice(
        (
            ("uncrop", {"left": "20"}),
            ("straighten", {"angle": "2"}),
            ("harmonise", {"mask": mask}),
            ("recompose", {"mask": mask, "by": "9,5"}),
            ("retarget", {"width": "200"}),
            ("view", {"longest": "300"}),
        )
    )
    return load.ask(f"/v1/{name}", seeds.form(image=photo, **fields))


def bad(load: Load, rng: random.Random) -> str:
    """Send a body that is not what its head says."""
    kind = rng.choice((FORM, {"Content-Type": "application/json"}, {}))
    body = rng.choice((form_of(load, rng)[:-50], b"[" * 100_000, rng.randbytes(5000), b""))
    return load.ask(rng.choice(("/v1/fill", "/v1/uncrop", "/api/v1/inpaint")), body, kind)


def hostile(load: Load, rng: random.Random) -> str:
    """Send a hostile file as the photo or as the mask."""
    content = load.files[rng.choice(HOSTILE)]
    photo, mask = load.photos[0]
    given = {"image": content, "mask": mask} if rng.random() < 0.7 else {"image": photo}
    return load.ask("/v1/fill", seeds.form(**{"mask": content, **given}))


def changed(load: Load, rng: random.Random) -> str:
    """Send a request that is changed in some places."""
    corpus = [one.partition(b"\r\n\r\n")[2] for one in seeds.requests().values()]
    corpus = [one for one in corpus if one]
    return load.ask("/v1/fill", mutate(rng, rng.choice(corpus), corpus))


def leave(load: Load, rng: random.Random) -> str:
    """Go at any moment: within the request, or some time after it; with a reset, or in peace."""
    content = load.raw("/v1/fill", form_of(load, rng))
    with load.connect() as connection:
        part = rng.randrange(len(content)) if rng.random() < 0.5 else len(content)
        connection.sendall(content[:part])
        time.sleep(rng.random() * 1.5)
        if rng.random() < 0.5:
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    return "gone"


def read_slowly(load: Load, rng: random.Random) -> str:
    """Take some bytes of an answer, one after the other, and go."""
    with load.connect() as connection:
        connection.sendall(load.raw("/v1/fill", form_of(load, rng)))
        for _ in range(rng.randrange(1, 40)):
            if not connection.recv(16):
                return "ended"
            time.sleep(0.25)
    return "gone"


def half_head(load: Load, rng: random.Random) -> str:
    """Begin a head, and wait: the server ends that after ten seconds."""
    content = load.raw("/v1/fill", b"")
    with load.connect() as connection:
        connection.sendall(content[: rng.randrange(1, 60)])
        connection.settimeout(rng.uniform(0.5, 15))
        try:
            return "ended" if not connection.recv(100) else "answered"
        except TimeoutError:
            return "gone"


ACTS: dict[str, tuple[Act, int]] = {
    "fill": (fill, 30),
    "task": (task, 15),
    "bad body": (bad, 15),
    "hostile file": (hostile, 10),
    "changed body": (changed, 15),
    "disconnect": (leave, 15),
    "slow reader": (read_slowly, 5),
    "half a head": (half_head, 5),
}


def client(load: Load, seed: int) -> None:
    """Do one thing after the other until the time is over."""
    rng = random.Random(seed)
    names = list(ACTS)
    weights = [weight for _, weight in ACTS.values()]
    while time.monotonic() < load.until:
        (name,) = rng.choices(names, weights)
        try:
            load.count(name, ACTS[name][0](load, rng))
        except (OSError, http.client.HTTPException) as error:
            load.count(name, type(error).__name__)


@contextmanager
def serving(log: Path) -> Iterator[tuple[int, int]]:
    """Run a server; give its port and its process."""
    command = [sys.executable, "-m", "freefill", "serve", "--port", "0", "--timeout", "30"]
    command += ["--workers", str(WORKERS), "--queue", str(QUEUE)]
    with (
        log.open("w") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            found = re.search(r":(\d+)/", process.stdout.readline())
            assert found is not None
            yield int(found[1]), process.pid
        finally:
            process.terminate()


def family(pid: int) -> list[int]:
    """Give a process and those that came of it."""
    found = [pid]
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                found += family(int(child))
    return found


def held(pid: int) -> list[int]:
    """Give MB of memory, descriptors, threads and processes, of all processes of the server."""
    memory = descriptors = threads = 0
    processes = family(pid)
    for one in processes:
        with suppress(OSError, AttributeError):
            status = Path(f"/proc/{one}/status").read_text()
            memory += int(re.search(r"VmRSS:\s+(\d+)", status)[1])  # type: ignore[index]
            threads += int(re.search(r"Threads:\s+(\d+)", status)[1])  # type: ignore[index]
            descriptors += len(os.listdir(f"/proc/{one}/fd"))
    return [memory // 1000, descriptors, threads, len(processes)]


def places(port: int) -> tuple[int, float]:
    """Give the places that are free, and the requests that the server counts as there."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/readyz")
    free = json.loads(connection.getresponse().read()).get("free", 0)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    there = re.findall(r"^freefill_(?:waiting|in_work) (\S+)$", text, re.MULTILINE)
    return free, sum(map(float, there))


def watch(load: Load, pid: int) -> None:
    """Ask for the server's health once a second, and note the most that it held."""
    while time.monotonic() < load.until:
        start = time.perf_counter()
        try:
            connection = http.client.HTTPConnection("127.0.0.1", load.port, timeout=30)
            connection.request("GET", "/healthz")
            assert connection.getresponse().status == 200
            connection.close()
            load.health.append(time.perf_counter() - start)
        except (OSError, http.client.HTTPException):
            load.health.append(30.0)
        load.most = [max(pair) for pair in zip(load.most, held(pid), strict=True)]
        time.sleep(max(0.0, 1 - (time.perf_counter() - start)))


def run(load: Load, pid: int, seconds: float, clients: int, seed: int) -> None:
    """Put the server under load."""
    load.until = time.monotonic() + seconds
    threads = [threading.Thread(target=client, args=(load, seed + i)) for i in range(clients)]
    threads.append(threading.Thread(target=watch, args=(load, pid)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def photos() -> list[tuple[bytes, bytes]]:
    """Give photos with masks, as JPEG and PNG; the smaller ones first."""
    found = []
    for width, height in SIZES:
        for number, path in enumerate(sorted(EXAMPLES.glob("*.jpg"))[:4]):
            with Image.open(path) as image:
                small = ImageOps.fit(image.convert("RGB"), (width, height))
            hole = Image.fromarray(free_form(height, width, np.random.default_rng(number)))
            made = BytesIO(), BytesIO()
            small.save(made[0], "PNG" if number % 2 else "JPEG")
            hole.save(made[1], "PNG")
            found.append((made[0].getvalue(), made[1].getvalue()))
    return found


def main() -> None:
    """Load, rest, compare; print a page and the faults."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--warm", type=float, default=1, help="minutes of the same load before it")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", type=Path, help="Markdown to be written")
    arguments = parser.parse_args()
    files = {name: (attacks.READ | attacks.REFUSED)[name]() for name in HOSTILE}
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch) / "log"
        with serving(log) as (port, pid):
            # Threads, arenas and networks are there after some work, and stay.
            warm = Load(port, photos(), files)
            run(warm, pid, 60 * arguments.warm, arguments.clients, arguments.seed + 1000)
            time.sleep(REST)
            before = [places(port)[0], *held(pid)]
            load = Load(port, warm.photos, files)
            processor = os.getloadavg()
            run(load, pid, 60 * arguments.minutes, arguments.clients, arguments.seed)
            time.sleep(REST)
            free, there = places(port)
            after = [free, *held(pid)]
        text = log.read_text()
    wrong = faults(before, after, there, load, text)
    page = told(arguments, before, after, load, max(processor[0], os.getloadavg()[0]), wrong)
    print(page)
    if arguments.table:
        arguments.table.write_text(page)
    if wrong:
        print(text[-3000:], file=sys.stderr)
        sys.exit("\n".join(wrong))


NAMES = ("free places", "memory, MB", "descriptors", "threads", "processes")


def faults(before: list[int], after: list[int], there: float, load: Load, log: str) -> list[str]:
    """Give a line for each thing that is not as it has to be."""
    found = []
    times, more = MEMORY
    allowed = [before[0], round(before[1] * times) + more, *before[2:]]
    if after[0] != WORKERS + QUEUE or there:
        found.append(f"{after[0]} places of {WORKERS + QUEUE} are free, {there:g} requests there")
    for name, limit, value in zip(NAMES[1:], allowed[1:], after[1:], strict=True):
        if value > limit:
            found.append(f"{name}: {value} after the load, at most {limit} are as before")
    slow = [one for one in load.health if one > HEALTH]
    if slow:
        found.append(
            f"/healthz took more than {HEALTH:g} s {len(slow)} times, at most {max(slow):.2f}"
        )
    bugs = sum(count for (_, outcome), count in load.outcomes.items() if outcome == "500")
    if bugs:
        found.append(f"{bugs} answers of 500")
    if "Traceback" in log:
        found.append(f"{log.count('Traceback')} tracebacks in the log")
    return found


def told(
    arguments: argparse.Namespace,
    before: list[int],
    after: list[int],
    load: Load,
    processes: float,
    wrong: list[str],
) -> str:
    """Give the page."""
    health = 1000 * np.percentile(load.health, (50, 99, 100))
    most = ["", *map(str, load.most)]
    rows = [
        f"| {name} | {first} | {middle} | {last} |"
        for name, first, middle, last in zip(NAMES, before, most, after, strict=True)
    ]
    acts = []
    for name in ACTS:
        found = {o: n for (act, o), n in sorted(load.outcomes.items()) if act == name}
        parts = ", ".join(f"{outcome}: {count:,}" for outcome, count in found.items())
        acts.append(f"| {name} | {sum(found.values()):,} | {parts} |")
    return "\n".join(
        [
            "# The server under mixed load",
            "",
            f"`python benchmarks/soak.py --minutes {arguments.minutes:g} --clients "
            f"{arguments.clients} --seed {arguments.seed}`: `--workers {WORKERS} --queue {QUEUE}`, "
            f"{os.cpu_count()} cores, which up to {processes:.0f} processes wanted at a time. "
            f"Before and after: {REST} s of rest.",
            "",
            "| | before | at most | after |",
            "| --- | ---: | ---: | ---: |",
            *rows,
            "",
            f"`/healthz` was asked {len(load.health):,} times: median {health[0]:.0f} ms, 99th "
            f"percentile {health[1]:.0f} ms, slowest {health[2]:.0f} ms.",
            "",
            "| what clients did | times | what became of it |",
            "| --- | ---: | --- |",
            *acts,
            "",
            "Not as it has to be: " + ("; ".join(wrong) if wrong else "nothing") + ".",
            "",
        ]
    )


if __name__ == "__main__":
    main()
