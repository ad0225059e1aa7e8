"""The server against the command line: as many photos a second, and memory that does not grow.

    python benchmarks/serve.py [--fills 200] [--clients 16] [--rounds 3]

Photos of 512x512, JPEG to JPEG, from clients on loopback, against `freefill fill FOLDER` with the
same photos and masks on the same cores, in turn in one run. The command line's time is the one it
prints itself, without its start; the clients' work counts against the server. Then, one photo at a
time: what it costs that a process of its own decodes, as a share of a request.
"""

from __future__ import annotations

import argparse
import http.client
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue

import numpy as np
from PIL import Image, ImageOps

from freefill.imaging.formats import MAX_PIXELS
from freefill.imaging.formats.reader import pixels_of
from freefill.imaging.io import read_picture
from freefill.masks.presets import free_form
from freefill.server.decoding import Decoder
from speed import EXAMPLES

SIDE = 512
BOUNDARY = "a-boundary-that-no-photo-has"


def main() -> None:
    """Measure and print three lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fills", type=int, default=200)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, serving() as port:
        folder, out = Path(scratch) / "photos", Path(scratch) / "out"
        bodies = draw(folder, arguments.fills)
        fill_all(port, bodies[:20], arguments.clients)  # warm
        batch, server, memory = [], [], []
        for _ in range(arguments.rounds):
            batch.append(by_command(folder, out))
            start = time.perf_counter()
            answers = []
            for part in np.array_split(np.arange(len(bodies)), 4):
                answers += fill_all(port, [bodies[i] for i in part], arguments.clients)
                memory.append(resident(port))
            server.append(time.perf_counter() - start)
            wrong = [name for name, content in answers if content != (out / name).read_bytes()]
            if wrong or len(answers) != arguments.fills:
                sys.exit(f"{len(wrong)} of {len(answers)} differ from the command line's: {wrong}")
        request, process, here = alone(port, folder, bodies)
    one, two = float(np.median(batch)), float(np.median(server))
    print(
        f"{arguments.fills} fills of {SIDE}x{SIDE} from {arguments.clients} clients: the server "
        f"has {one / two:.0%} of the batch's throughput (medians {arguments.fills / two:.1f} and "
        f"{arguments.fills / one:.1f} photos/s, {arguments.rounds} rounds), every answer the same "
        "bytes"
    )
    print(
        "server's memory after each quarter: " + ", ".join(f"{m / 1e6:.0f}" for m in memory) + " MB"
    )
    print(
        f"one client: the process that decodes costs {(process - here) / request:.1%} of a request "
        f"(medians {request * 1e3:.1f} ms a request, {process * 1e3:.1f} ms to decode photo and "
        f"mask in a process, {here * 1e3:.1f} ms without)"
    )


def draw(folder: Path, count: int) -> list[tuple[str, bytes]]:
    """Make photos with masks; give each one's name and the body of its request."""
    folder.mkdir()
    examples = sorted(EXAMPLES.glob("*.jpg"))
    bodies = []
    for number in range(count):
        photo, mask = folder / f"{number:04}.jpg", folder / f"{number:04}_mask.png"
        with Image.open(examples[number % len(examples)]) as image:
            ImageOps.fit(image.convert("RGB"), (SIDE, SIDE)).save(photo, quality=90)
        Image.fromarray(free_form(SIDE, SIDE, np.random.default_rng(number))).save(mask)
        bodies.append((photo.name, b"".join(form(photo, mask))))
    return bodies


def form(photo: Path, mask: Path) -> Iterator[bytes]:
    """Give the parts of a multipart body."""
    for name, path in (("image", photo), ("mask", mask)):
        disposition = f'form-data; name="{name}"; filename="{path.name}"'
        yield f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n\r\n".encode()
        yield path.read_bytes() + b"\r\n"
    yield f"--{BOUNDARY}--\r\n".encode()


@contextmanager
def serving() -> Iterator[int]:
    """Run a server; give its port."""
    command = [sys.executable, "-m", "freefill", "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r":(\d+)/", process.stdout.readline())
            assert found is not None
            yield int(found[1])
        finally:
            # Else whatever goes wrong would wait for the server for ever.
            process.terminate()


def fill_all(port: int, bodies: list[tuple[str, bytes]], clients: int) -> list[tuple[str, bytes]]:
    """Have them filled, each client one after the other over one connection."""
    waiting: SimpleQueue[tuple[str, bytes]] = SimpleQueue()
    for body in bodies:
        waiting.put(body)
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}

    def client(_: int) -> list[tuple[str, bytes]]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        done = []
        while True:
            try:
                name, body = waiting.get_nowait()
            except Empty:
                break
            connection.request("POST", "/v1/fill", body, headers)
            answer = connection.getresponse()
            content = answer.read()
            if answer.status != 200:
                sys.exit(f"{name}: {answer.status} {content[:300]!r}")
            done.append((name, content))
        connection.close()
        return done

    with ThreadPoolExecutor(clients) as pool:
        return [one for found in pool.map(client, range(clients)) for one in found]


def alone(port: int, folder: Path, bodies: list[tuple[str, bytes]]) -> tuple[float, float, float]:
    """Give the medians of a request, of decoding its files in a process, and of that done here."""
    decoder = Decoder()
    decoder.wait()
    seconds: list[tuple[float, float, float]] = []
    for name, body in bodies:
        mask = folder / f"{Path(name).stem}_mask.png"
        files = {"image": (folder / name).read_bytes(), "mask": mask.read_bytes()}
        ticks = [time.perf_counter()]
        fill_all(port, [(name, body)], 1)
        ticks.append(time.perf_counter())
        decoder.measure(files, MAX_PIXELS)
        pictures = decoder.read()
        decoder.settle()
        ticks.append(time.perf_counter())
        for content in files.values():
            pixels_of(content, MAX_PIXELS)
        read = {field: read_picture(content) for field, content in files.items()}
        ticks.append(time.perf_counter())
        assert all((read[field].samples == pictures[field].samples).all() for field in files)
        seconds.append(tuple(np.diff(ticks).tolist()))
    decoder.close()
    request, process, here = np.median(seconds, axis=0).tolist()
    return request, process, here


def by_command(folder: Path, out: Path) -> float:
    """Fill the folder with the command line; give the seconds that it tells."""
    command = [sys.executable, "-m", "freefill", "fill", str(folder), "--out", str(out)]
    ran = subprocess.run([*command, "--overwrite"], check=True, capture_output=True, text=True)
    found = re.search(r"filled in ([\d.]+) s", ran.stdout)
    assert found is not None
    return float(found[1])


def resident(port: int) -> float:
    """Give the server's resident memory, in bytes."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    found = re.search(r"^process_resident_memory_bytes (\S+)$", text, re.MULTILINE)
    assert found is not None
    return float(found[1])


if __name__ == "__main__":
    main()
