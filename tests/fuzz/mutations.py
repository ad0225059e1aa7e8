"""What becomes of changed files: ``python tests/fuzz/mutations.py docs/results/mutations.md``.

Files of all kinds are changed and filled as ``freefill fill`` does: read, filled by the smallest
network, written. Each kind has a process of its own, with a limit of memory; what ends it counts as
a traceback, and another goes on. The table has a row for each kind; every file that is no fill
and no refusal, or costs more than it may, is kept in ``--out``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import numpy as np
import seeds
from mutate import mutate
from PIL import Image
from targets import folder, load_weights, network

from freefill.errors import FreefillError
from freefill.pipeline.fill import fill_file
from freefill.pipeline.inpainter import Inpainter
from freefill.tasks import video

SECONDS = 10.0
MEBIBYTES = 1024
ADDRESSES = 16 << 30
"""Bytes of addresses that a process may have: libraries reserve some that they never use."""
STUCK = 120
"""Seconds after which a process is ended: other programs run beside it."""
FORMATS = (
    *("JPEG", "PNG", "WebP", "GIF", "TIFF", "BMP", "PPM", "ICO", "DDS", "JPEG2000", "AVIF", "HEIC"),
)
ENDINGS = {"JPEG": "jpg", "TIFF": "tif", "JPEG2000": "jp2", "HEIC": "heic"}
CLIPS = {
    "clip, MP4": ("mp4", "mpeg4"),
    "clip, Matroska": ("mkv", "ffv1"),
    "clip, AVI": ("avi", "mjpeg"),
}
STARTS = {"card": b"\0", "registry": b"\1", "ONNX": b"\2", "tensors": b"\3\4"}
KINDS = (*FORMATS, "metadata", "mask", *STARTS, *CLIPS)
MOST = ("ms", "MiB")
COLUMNS = ("filled", "refused", "traceback", "over 10 s", "over 1 GB")

Work = Callable[[bytes], None]


def main() -> int:
    """Change, fill, count and write; give the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path, nargs="?", help="Markdown to be written")
    parser.add_argument("--each", type=int, default=800, help="files of each kind")
    parser.add_argument("--clips", type=int, default=200, help="of each kind of clip")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", action="append", help="some of the kinds")
    parser.add_argument("--out", type=Path, default=Path("out/mutations"))
    parser.add_argument("--child", type=int, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    kinds = arguments.kind or KINDS
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.child:
        run_some(kinds[0], arguments.seed, range(*arguments.child), arguments.out)
        return 0
    rows = {}
    start = time.monotonic()
    for kind in kinds:
        count = arguments.clips if kind in CLIPS else arguments.each
        rows[kind] = tried(kind, arguments.seed, count, arguments.out)
        print(line(kind, rows[kind]), flush=True)
    text = table(rows, arguments, time.monotonic() - start)
    print(text)
    if arguments.table:
        arguments.table.write_text(text)
    return int(any(row[name] for row in rows.values() for name in COLUMNS[2:]))


def seeds_of(kind: str) -> list[bytes]:
    """Give the files that are changed."""
    if kind in CLIPS:
        return [clip(*CLIPS[kind])]
    if kind in STARTS:
        return [found for found in seeds.weights().values() if found[0] in STARTS[kind]]
    if kind in ("metadata", "mask"):
        return list((seeds.metadata() if kind == "metadata" else seeds.masks()).values())
    return [found for name, found in seeds.photos().items() if name.split()[0] == kind]


def clip(ending: str, codec: str) -> bytes:
    """Make a clip of eight frames."""
    out = BytesIO()
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (48, 72, 3), np.uint8)
    with av.open(out, "w", format={"mkv": "matroska"}.get(ending, ending)) as file:
        stream: Any = file.add_stream(codec, rate=10)
        stream.width, stream.height = 64, 48
        stream.pix_fmt = {"mjpeg": "yuvj420p"}.get(codec, "yuv420p")
        for shift in range(8):
            frame = av.VideoFrame.from_ndarray(pixels[:, shift : shift + 64].copy(), format="rgb24")
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return out.getvalue()


def work_of(kind: str) -> Work:
    """Give what is done with the content of a file of a kind."""
    place = folder()
    photo, mask = place / "photo.png", place / "mask.png"
    photo.write_bytes(seeds.photos()["BMP"])
    # A square one fits on photos that lie turned in their files, too.
    hole = Image.new("L", (16, 16))
    hole.paste(255, (2, 2, 12, 12))
    mask.write_bytes(seeds.saved(hole, "PNG"))

    def filled(changed: Path, **more: Any) -> None:
        given = {"image": photo, "mask": mask, "model": network()} | more
        out = place / f"result.{changed.suffix.strip('.')}"
        fill_file(**given, out=out, fit="resize", overwrite=True)

    if kind in CLIPS:
        inpainter = Inpainter(network(), threads=1)
        path, out = place / f"clip.{CLIPS[kind][0]}", place / "out.mkv"

        def fill_clip(content: bytes) -> None:
            path.write_bytes(content)
            small = np.zeros((48, 64), bool)
            small[10:20, 10:20] = True
            video(path, small, out, fit="resize", overwrite=True, inpainter=inpainter)

        return fill_clip
    if kind == "mask":
        path = place / "changed.png"

        def fill_mask(content: bytes) -> None:
            path.write_bytes(content)
            filled(photo, mask=path)

        return fill_mask
    if kind in STARTS:
        return load_weights
    endings = [ENDINGS.get(kind, kind.lower())]

    def fill_photo(content: bytes) -> None:
        path = place / f"changed.{endings[0]}"
        path.write_bytes(content)
        filled(path, image=path)

    def fill_each(content: bytes) -> None:
        refused = None
        for file in seeds.contained(content):
            endings[0] = "png" if file.startswith(b"\x89PNG") else "jpg"
            try:
                fill_photo(file)
            except FreefillError as error:
                refused = error
        if refused is not None:
            raise refused

    return fill_each if kind == "metadata" else fill_photo


def changed(kind: str, seed: int, numbers: range) -> Iterator[tuple[int, bytes]]:
    """Give numbered files: the same for the same seed."""
    own = seeds_of(kind)
    for number in numbers:
        yield number, mutate(random.Random(f"{kind} {seed} {number}"), own[number % len(own)], own)


def run_some(kind: str, seed: int, numbers: range, out: Path) -> None:
    """Fill some files in this process, and print a line of JSON for each."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    work = work_of(kind)
    warnings.simplefilter("ignore")
    for number, content in changed(kind, seed, numbers):
        (out / "last").write_bytes(content)
        reset_peak()
        before, start = memory("VmRSS"), time.process_time()
        told = "filled"
        try:
            work(content)
        except FreefillError:
            told = "refused"
        except MemoryError:
            told = "out of memory"
        except Exception as error:
            told = f"{type(error).__name__}: {error}"[:200]
        took, grown = time.process_time() - start, memory("VmHWM") - before
        print(json.dumps([number, told, round(took, 3), grown]), flush=True)


def reset_peak() -> None:
    """Have the kernel count the most memory of this process from now on."""
    Path("/proc/self/clear_refs").write_text("5")


def memory(name: str) -> int:
    """Give memory of this process, in MiB."""
    text = Path("/proc/self/status").read_text()
    return int(text.partition(f"{name}:")[2].split()[0]) // 1024


def tried(kind: str, seed: int, count: int, out: Path) -> Counter[str]:
    """Fill the files of one kind, in as many processes as that takes."""
    row: Counter[str] = Counter()
    done = 0
    while done < count:
        command = [sys.executable, __file__, "--kind", kind, "--seed", str(seed)]
        command += ["--out", str(out), "--child", str(done), str(count)]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            errors: list[str] = []
            reading = threading.Thread(target=_read, args=(process.stderr, errors))
            reading.start()
            assert process.stdout is not None
            watch = threading.Timer(STUCK, process.kill)
            watch.start()
            for told in process.stdout:
                watch.cancel()
                watch = threading.Timer(STUCK, process.kill)
                watch.start()
                number, outcome, took, grown = json.loads(told)
                counted(row, outcome, took, grown)
                if outcome not in ("filled", "refused") or took > SECONDS or grown > MEBIBYTES:
                    keep(out, kind, seed, number, f"{outcome}, {took} s, {grown} MiB")
                done = number + 1
            watch.cancel()
            reading.join()
        if done < count:
            row["traceback"] += 1
            row["number"] += 1
            tail = " ".join(errors[-8:])
            keep(out, kind, seed, done, f"the process ended with {process.returncode}: {tail}")
            done += 1
    return row


def _read(stream: Any, lines: list[str]) -> None:
    for one in stream:
        lines.append(one.strip())
        del lines[:-20]


def counted(row: Counter[str], outcome: str, took: float, grown: int) -> None:
    """Count one file."""
    row["number"] += 1
    row[outcome if outcome in ("filled", "refused") else "traceback"] += 1
    row["over 10 s"] += took > SECONDS
    row["over 1 GB"] += grown > MEBIBYTES
    row["ms"] = max(row["ms"], round(1000 * took))
    row["MiB"] = max(row["MiB"], grown)


def keep(out: Path, kind: str, seed: int, number: int, what: str) -> None:
    """Keep a file that shows a fault, and say so."""
    path = out / f"{kind.replace(', ', '-')}-{seed}-{number}"
    path.write_bytes(next(changed(kind, seed, range(number, number + 1)))[1])
    print(f"{path}: {what}", flush=True)


def line(kind: str, row: Counter[str]) -> str:
    """Give a row of the table."""
    cells = [row["number"], *(row[name] for name in COLUMNS), *(row[name] for name in MOST)]
    return f"| {kind} | " + " | ".join(f"{cell:,}" for cell in cells) + " |"


def table(rows: dict[str, Counter[str]], arguments: argparse.Namespace, seconds: float) -> str:
    """Give the page."""
    total: Counter[str] = Counter()
    for row in rows.values():
        for name, value in row.items():
            total[name] = max(total[name], value) if name in MOST else total[name] + value
    head = " | ".join(("kind", "files", *COLUMNS, "most ms", "most MiB"))
    return "\n".join(
        [
            "# Changed files",
            "",
            f"`python tests/fuzz/mutations.py --each {arguments.each} --clips {arguments.clips} "
            f"--seed {arguments.seed} docs/results/mutations.md` ({seconds / 60:.0f} minutes on "
            f"{os.cpu_count()} cores, beside other work).",
            "",
            "Small files of each kind, changed in one to four places (bytes, numbers, digits, "
            "pieces cut out, repeated, moved, joined, ends cut off), then read, filled by a",
            "network of one operation, and written as `freefill fill` does. Metadata are changed "
            "inside files that are whole.",
            "Networks, cards and registries are loaded, and a photo is filled with the networks. "
            "Tensors are read as `freefill import` reads them, which takes none of them as they",
            "are another network's. Seconds are of the processor, for one file; memory is what the "
            "process grew by. A process that ends counts as a traceback.",
            "",
            f"| {head} |",
            "| --- |" + " ---: |" * (len(COLUMNS) + 3),
            *(line(kind, row) for kind, row in rows.items()),
            line("all", total),
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
