"""Decoding in a process: ended when nobody waits for it, bounded in memory, none left behind."""

from __future__ import annotations

import asyncio
import base64
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pillow_heif
import pytest
import tifffile
from live import Gate, Live, form, live, run, until, warm
from numpy.typing import NDArray
from PIL import Image

from freefill.batch.worker_pool import PixelBudget
from freefill.imaging.formats.reader import pixels_of
from freefill.imaging.io import read_picture
from freefill.server import decoding
from freefill.server.settings import Settings

HOSTILE = """
import os, signal, time
import numpy as np
from freefill.server import decoder_process

read = decoder_process.read_picture

def hostile(content, **options):
    what = content.rpartition(b"#")[2]
    if what == b"sleep":
        time.sleep(600)
    if what == b"memory":
        np.ones(2_000_000_000, np.uint8)
    if what[:3] == b"SIG":
        os.kill(os.getpid(), getattr(signal, what.decode()))
    return read(content, **options)

decoder_process.read_picture = hostile
decoder_process.main()
"""
"""A process whose decoders have faults, which bytes behind the end of a PNG choose."""


@pytest.fixture(scope="module")
def hostile() -> Iterator[Live]:
    """A server with one worker and no queue: a worker that is not free is noticed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "START", HOSTILE)
        settings = Settings(workers=1, queue=0, max_pixels=1_000_000)
        with live(settings) as server:
            yield server
        assert gone(pid_of(server))


@pytest.fixture
def impatient(hostile: Live) -> Iterator[Live]:
    """The same with a short time limit, once its process has begun."""
    warm(hostile)
    hostile.server.work.timeout = 0.2
    yield hostile
    hostile.server.work.timeout = 60


def pid_of(server: Live) -> int | None:
    process = server.server.decoders.all[0].process
    return None if process is None else process.pid


def gone(pid: int | None) -> bool:
    """Whether a process has ended, and was waited for by whoever started it, or by init."""
    try:
        return pid is None or "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def fills_again(server: Live, image: bytes, mask: bytes) -> bool:
    """Whether the next request is filled, by a process of its own, before long."""
    server.server.work.timeout = 60

    async def test(client: httpx.AsyncClient) -> int:
        await until(lambda: server.server.work.tickets == {})
        return (await client.post("/v1/fill", files=form(image, mask))).status_code

    return bool(run(test, server.url) == 200)


def ask(client: httpx.Client, route: str, image: bytes, mask: bytes) -> httpx.Response:
    if route == "/api/v1/inpaint":
        coded = {"image": image, "mask": mask}
        return client.post(route, json={k: base64.b64encode(v).decode() for k, v in coded.items()})
    return client.post(route, files=form(image, mask if route == "/v1/fill" else None))


@pytest.mark.parametrize("route", ["/v1/fill", "/api/v1/inpaint", "/v1/straighten", "/v1/view"])
def test_a_decoder_that_never_ends_is_ended_at_the_time_limit(
    impatient: Live, image: bytes, mask: bytes, route: str
) -> None:
    before = pid_of(impatient)
    with httpx.Client(base_url=impatient.url, timeout=30) as client:
        answer = ask(client, route, image + b"#sleep", mask)
    assert answer.status_code == 503
    assert "0.2 s (--timeout)" in answer.json()["detail"]
    assert fills_again(impatient, image, mask)
    assert pid_of(impatient) != before
    assert gone(before)


def test_a_mask_that_never_ends_is_ended_too(impatient: Live, image: bytes, mask: bytes) -> None:
    before = pid_of(impatient)
    with httpx.Client(base_url=impatient.url, timeout=30) as client:
        assert ask(client, "/v1/fill", image, mask + b"#sleep").status_code == 503
    assert fills_again(impatient, image, mask)
    assert gone(before)


def test_a_client_that_goes_ends_its_decoder(hostile: Live, image: bytes, mask: bytes) -> None:
    warm(hostile)
    pid = pid_of(hostile)

    async def test(client: httpx.AsyncClient) -> None:
        sent = client.post("/v1/fill", files=form(image + b"#sleep", mask))

        asked = asyncio.ensure_future(sent)
        tickets = hostile.server.work.tickets
        await until(lambda: any(ticket.begun for ticket in tickets.values()))
        asked.cancel()
        await until(lambda: tickets == {})

    run(test, hostile.url)
    assert gone(pid)
    assert fills_again(hostile, image, mask)


@pytest.mark.parametrize(
    ("number", "field", "status", "kind", "words"),
    [
        ("SIGKILL", "image", 503, "memory", "killed"),
        ("SIGKILL", "mask", 503, "memory", "killed"),
        ("SIGSEGV", "image", 422, "image", "its decoder has failed (SIGSEGV)"),
        ("SIGABRT", "mask", 422, "mask", "mask: its decoder has failed (SIGABRT)"),
    ],
)
def test_a_process_that_dies_costs_one_request(
    hostile: Live,
    image: bytes,
    mask: bytes,
    number: str,
    field: str,
    status: int,
    kind: str,
    words: str,
) -> None:
    parts = {"image": image, "mask": mask}
    parts[field] += f"#{number}".encode()
    with httpx.Client(base_url=hostile.url, timeout=30) as client:
        answer = client.post("/v1/fill", files=form(**parts))
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == f"urn:freefill:problem:{kind}"
    assert words in answer.json()["detail"]
    assert ("retry-after" in answer.headers) is (status == 503)
    assert fills_again(hostile, image, mask)


def test_one_that_was_killed_while_nobody_asked_costs_none(
    hostile: Live, image: bytes, mask: bytes
) -> None:
    warm(hostile)
    decoder = hostile.server.decoders.all[0]
    assert decoder.process is not None
    decoder.process.kill()
    os.waitid(os.P_PID, decoder.process.pid, os.WEXITED | os.WNOWAIT)
    assert fills_again(hostile, image, mask)


def test_more_memory_than_a_file_may_take_is_said_as_such(
    hostile: Live, image: bytes, mask: bytes
) -> None:
    with httpx.Client(base_url=hostile.url, timeout=30) as client:
        answer = client.post("/v1/fill", files=form(image, mask + b"#memory"))
    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:freefill:problem:memory"
    assert "decoding mask takes more memory than the " in answer.json()["detail"]
    assert " MB that it may" in answer.json()["detail"]
    pid = pid_of(hostile)
    assert fills_again(hostile, image, mask)
    assert pid_of(hostile) == pid, "one that only had no room goes on"


def test_a_refused_file_leaves_the_process_as_it_was(
    hostile: Live, image: bytes, mask: bytes
) -> None:
    warm(hostile)
    pid = pid_of(hostile)
    with httpx.Client(base_url=hostile.url, timeout=30) as client:
        for files in (form(b"nothing", mask), form(image, b"nothing")):
            assert client.post("/v1/fill", files=files).status_code == 422
    assert fills_again(hostile, image, mask)
    assert pid_of(hostile) == pid


def test_ctrl_c_is_for_the_server_alone(hostile: Live) -> None:
    warm(hostile)
    pid = pid_of(hostile)
    assert pid is not None
    assert os.getpgid(pid) != os.getpgid(0)


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_a_server_that_is_killed_leaves_no_process(
    image: bytes, tmp_path: Path, busy: bool
) -> None:
    (tmp_path / "image.png").write_bytes(image + b"#sleep")
    code = f"""
import sys, threading, time
from pathlib import Path
from freefill.server import decoding
decoding.START = {HOSTILE!r}
decoder = decoding.Decoder()
decoder.wait()
if {busy}:
    decoder.measure({{"image": Path(sys.argv[1]).read_bytes()}}, 10**6)
    threading.Thread(target=decoder.read, daemon=True).start()
    while decoder.files:
        time.sleep(0.01)
print(decoder.process.pid, flush=True)
time.sleep(600)
"""
    command = [sys.executable, "-c", code, str(tmp_path / "image.png")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        pid = int(server.stdout.readline())
        assert not gone(pid)
        server.send_signal(signal.SIGKILL)
    until_then = time.monotonic() + 30
    while not gone(pid) and time.monotonic() < until_then:
        time.sleep(0.01)
    assert gone(pid)


def encoded(pixels: NDArray[Any], file_format: str) -> bytes:
    out = io.BytesIO()
    if file_format == "FLOAT":
        tifffile.imwrite(out, pixels.astype(np.float32) / 255, photometric="rgb")
    else:
        if file_format == "HEIF":
            pillow_heif.register_heif_opener()
        Image.fromarray(pixels).save(out, file_format)
    return out.getvalue()


@pytest.mark.parametrize(
    "file_format",
    ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "ICO", "AVIF", "HEIF", "JPEG2000", "FLOAT"],
)
def test_pixels_are_counted_before_they_are_decoded(file_format: str) -> None:
    content = encoded(np.full((96, 128, 3), 99, np.uint8), file_format)
    found = read_picture(content).size
    assert pixels_of(content, 10**6) == found[0] * found[1] > 0
    assert pixels_of(content, 1000) <= 1000


def test_pixels_of_what_is_no_image_are_a_guess() -> None:
    assert pixels_of(b"nothing", 10**6) == 7
    # A directory of a TIFF may claim anything.
    claims = bytearray(encoded(np.zeros((64, 64), np.uint8), "TIFF"))
    place = claims.index(b"\x00\x01\x04\x00\x01\x00\x00\x00") + 8
    claims[place : place + 4] = b"\xff" * 4
    assert 0 <= pixels_of(bytes(claims), 10**6) <= 10**6


@pytest.mark.parametrize("field", ["mask", "sketch", "colour"])
def test_what_comes_beside_a_photo_counts_before_it_is_decoded(
    hostile: Live,
    gate: Gate,
    monkeypatch: pytest.MonkeyPatch,
    image: bytes,
    mask: bytes,
    photo: NDArray[np.uint8],
    field: str,
) -> None:
    files = form(image, mask)
    files[field] = (f"{field}.png", encoded(np.zeros((300, 400), np.uint8), "PNG"))
    pixels = photo.shape[0] * photo.shape[1]
    expected = 400 * 300 + (0 if field == "mask" else pixels)
    work = hostile.server.work
    budget = PixelBudget(10**6)
    monkeypatch.setattr(work, "budget", budget)

    async def test(client: httpx.AsyncClient) -> None:
        sent = client.post("/v1/fill", files=files, data={"fit": "resize"})
        asked = asyncio.ensure_future(sent)
        await until(lambda: gate.begun == 1)
        assert budget.size - budget.free == expected
        gate.opened.set()
        await asked
        await until(lambda: work.tickets == {})

    run(test, hostile.url)
    assert budget.free == budget.size
