"""What the tests of batches share: photos, an S3 server on loopback, processes to kill."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from freefill.batch.distributed import files, manifest

EXAMPLES = Path(__file__).parents[3] / "examples"


def photos(folder: Path, count: int, side: int) -> Path:
    """Make photos with a mask beside each; no two results are alike."""
    folder.mkdir(parents=True)
    examples = sorted(path for path in EXAMPLES.glob("*.jpg"))
    for number in range(count):
        with Image.open(examples[number % len(examples)]) as image:
            small = ImageOps.fit(image.convert("RGB"), (side, side))
        small.save(folder / f"{number:03}.jpg", quality=90)
        mask = np.zeros((side, side), np.uint8)
        first = side // 8 + number % (side // 4)
        mask[first : first + side // 3, side // 4 : side // 2] = 255
        Image.fromarray(mask).save(folder / f"{number:03}_mask.png")
    return folder


def content(root: str) -> dict[str, bytes]:
    """Give every result of a batch by its name."""
    return {name: files.read(f"{root}/{name}") for name in names(root)}


def names(root: str) -> list[str]:
    return [name for name in files.listing(root) if not name.startswith(files.PRIVATE)]


def check_whole(root: str, inputs: list[str]) -> dict[str, dict[str, Any]]:
    """Nothing lost, nothing twice, nothing half: the manifest's rows by input."""
    rows = manifest.rows(root)
    assert sorted(row["input"] for row in rows) == sorted(inputs)
    results = content(root)
    told = {row["output"]: row["sha256"] for row in rows if row["error"] is None}
    assert told == {name: hashlib.sha256(found).hexdigest() for name, found in results.items()}
    left = [name for name in files.listing(root) if name.startswith(files.PARTIAL)]
    assert not left
    assert manifest.driver(root) is None
    return {row["input"]: row for row in rows}


def parts(root: str) -> list[str]:
    found = files.listing(f"{root}/{files.PRIVATE}", deep=False)
    return [name for name in found if name.startswith("part-")]


def changed(root: str) -> dict[str, Any]:
    """When each result was written."""
    from pyarrow.fs import FileSelector

    filesystem, path = files.place(root)
    found = filesystem.get_file_info(FileSelector(path, recursive=True, allow_not_found=True))
    return {info.path[len(path) + 1 :]: info.mtime_ns for info in found if info.is_file}


def started(*arguments: object, environment: dict[str, str] | None = None) -> Any:
    """Start ``freefill batch`` in a process that Ctrl-C reaches, as it does in a terminal."""

    def listen() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)

    return subprocess.Popen(
        [sys.executable, "-m", "freefill", "batch", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
        preexec_fn=listen,
    )


def until(condition: Callable[[], bool], process: Any = None, seconds: float = 60) -> None:
    """Wait for something; fail where a process ends before."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        if process is not None:
            assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def below(pid: int) -> dict[int, str]:
    """Give the processes that a process has started, and theirs, with their command lines."""
    parents, lines = {}, {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                stat = (path / "stat").read_text()
                lines[int(path.name)] = (path / "cmdline").read_text().replace("\0", " ")
            except OSError:
                continue
            parents[int(path.name)] = int(stat.rpartition(")")[2].split()[1])
    found: dict[int, str] = {}
    new = {pid}
    while new:
        new = {child for child, parent in parents.items() if parent in new}
        found |= {child: lines[child] for child in new}
    return found


def gone(pids: dict[int, str]) -> bool:
    """Whether processes have ended (a zombie has: nobody has asked for it yet)."""
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z":
            return False
    return True


def killed(process: Any) -> None:
    """Kill a batch, and wait until none of its workers is left that could write anything."""
    children = below(process.pid)
    process.kill()
    process.communicate()
    until(lambda: gone({pid: line for pid, line in children.items() if "MapWorker" in line}))
    # Ray's agents, which write nothing, look a minute for their dead head before they end.
    for pid, line in below(1).items():
        if pid in children and children[pid] == line:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextmanager
def s3_server() -> Iterator[dict[str, str]]:
    """Run an S3 server in a process of its own; give the environment that leads to it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def answers() -> bool:
        try:
            opener.open(f"{address}/moto-api/data.json", timeout=5).close()
        except OSError:
            return False
        return True

    try:
        until(answers)
        yield {
            "AWS_ENDPOINT_URL": address,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
    finally:
        server.kill()
        server.wait()


def bucket(name: str, environment: dict[str, str]) -> str:
    """Make a bucket."""
    from pyarrow.fs import S3FileSystem

    S3FileSystem(
        region="us-east-1",
        endpoint_override=environment["AWS_ENDPOINT_URL"].removeprefix("http://"),
        scheme="http",
        access_key="testing",
        secret_key="testing",
        allow_bucket_creation=True,
    ).create_dir(name)
    return f"s3://{name}"


def upload(folder: Path, root: str) -> None:
    """Bring all files of a folder into S3."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            files.write(root, path.relative_to(folder).as_posix(), path.read_bytes())


def kill_worker(driver: int) -> None:
    """Kill one of a batch's processes as the system would that has run out of memory."""
    found = [pid for pid, line in below(driver).items() if line.startswith("ray::MapWorker")]
    assert found, below(driver)
    os.kill(found[0], signal.SIGKILL)
