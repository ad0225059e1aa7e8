"""What is asked of freefill with any bytes: an answer or a refusal, in little time and memory.

One target for each kind of input that strangers can send. ``check`` returns where freefill reads
the bytes or refuses them by one of its own errors, and raises anything else.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import json
import os
import resource
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import unquote

import h11
import numpy as np
import seeds

from freefill.errors import FreefillError
from freefill.imaging.io import encode, read_picture
from freefill.imaging.picture import Picture
from freefill.imaging.rgb import read_rgb
from freefill.masks.convert import softness, to_mask
from freefill.pipeline.guidance import Guidance
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import FillRequest
from freefill.weights.entries import REGISTRY_VARIABLE, list_entries

MAX_PIXELS = 250_000
SECONDS = 10
MEBIBYTES = 1024
"""What one input may take: far more than the work needs, far less than what runs away."""
FORMATS = ("PNG", "TIFF", "WEBP", "JPEG", "GIF")


@dataclass(frozen=True)
class Target:
    """One kind of input.

    Attributes:
        seeds: Makes the corpus: name to bytes.
        check: Raises what is not one of freefill's own errors.
    """

    seeds: Callable[[], dict[str, bytes]]
    check: Callable[[bytes], None]


def check_photo(content: bytes) -> None:
    """Read a photo, and write it in each of the formats that keep something of the file."""
    picture = None
    with suppress(FreefillError):
        picture = read_picture(content, max_pixels=MAX_PIXELS)
    if picture is not None:
        for strip in (False, True):
            for file_format in FORMATS:
                try:
                    made = encode(picture, file_format, strip=strip)[0]
                except FreefillError:
                    continue
                # What is written can be read, too: damage does not spread.
                assert read_picture(made, max_pixels=MAX_PIXELS).size == picture.size
    with suppress(FreefillError):
        assert read_rgb(BytesIO(content), shorter=8, max_pixels=MAX_PIXELS).shape[2:] == (3,)


def check_metadata(content: bytes) -> None:
    """Read and write each file that a block of metadata can be in."""
    for file in seeds.contained(content):
        check_photo(file)


@functools.cache
def masked() -> Picture:
    """Give the photo that masks are for."""
    return read_picture(seeds.photos()["BMP"])


def check_mask(content: bytes) -> None:
    """Read a mask in each way that there is, and as lines and strokes."""
    picture = masked()
    with suppress(FreefillError):
        hole, notices = to_mask(content, picture, fit="resize", max_pixels=MAX_PIXELS)
        assert hole.shape == picture.size
        assert hole.dtype == bool
        assert all(isinstance(line, str) for line in notices)
        soft = softness(content, picture, fit="resize", max_pixels=MAX_PIXELS)
        assert soft.shape == picture.size
        assert ((soft >= 0) & (soft <= 1)).all()
    with suppress(FreefillError):
        to_mask(content, picture, invert=True, max_pixels=MAX_PIXELS)
    hole = np.ones(picture.size, bool)
    for given in ({"sketch": content}, {"colour": content}):
        with suppress(FreefillError):
            read = Guidance.read(picture.size, **given, fit="resize", max_pixels=MAX_PIXELS)
            read.notices(hole)


@functools.cache
def folder() -> Path:
    """Give a folder of this process, which is removed with it."""
    made = Path(tempfile.mkdtemp(prefix="freefill-fuzz-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


@functools.cache
def network() -> Path:
    """Give the path of the smallest network."""
    path = folder() / "small" / "network.onnx"
    path.parent.mkdir()
    path.write_bytes(seeds.network())
    return path


def check_weights(content: bytes) -> None:
    """Load weights, or what comes with them."""
    with suppress(FreefillError):
        load_weights(content)


def load_weights(content: bytes) -> None:
    """Read a card, a registry, a network, or tensors of others; fill with the network.

    Raises:
        FreefillError: If they are refused.
    """
    name = seeds.WEIGHTS[content[0] % len(seeds.WEIGHTS)] if content else seeds.WEIGHTS[0]
    path = folder() / name
    path.write_bytes(content[1:])
    if name == "card.json":
        from freefill.server.models import Served

        path.replace(network().with_suffix(".json"))
        assert Inpainter(network(), threads=1).weights.card is not None
        json.dumps([one.model_dump() for one in Served([str(network())], 1).list()])
    elif name == "registry.toml":
        with mock.patch.dict(os.environ, {REGISTRY_VARIABLE: str(path)}):
            assert all(isinstance(one.non_commercial, bool) for one in list_entries())
    elif name == "network.onnx":
        mask = np.zeros(masked().size, bool)
        mask[4:8, 4:8] = True
        Inpainter(path, threads=1).run(FillRequest(masked(), mask))
    else:
        from freefill.lab.export import foreign  # torch takes seconds

        foreign.read(path)


@dataclass
class Server:
    """The application with what its requests share, in one event loop."""

    app: Any
    loop: asyncio.AbstractEventLoop
    thread: ThreadPoolExecutor
    """Where the loop runs: in a test's own thread Playwright's may still run."""


@functools.cache
def server() -> Server:
    """Give the server that is asked."""
    from freefill.server.app import build
    from freefill.server.settings import Settings

    network().with_suffix(".json").unlink(missing_ok=True)
    settings = Settings(
        models=(str(network()),), workers=1, max_body=1_000_000, max_pixels=MAX_PIXELS, timeout=20
    )
    return Server(build(settings), asyncio.new_event_loop(), ThreadPoolExecutor(1))


def check_request(content: bytes) -> None:
    """Ask the application; its head is read as uvicorn reads it, its body is what is left."""
    head, _, body = content.partition(b"\r\n\r\n")
    try:
        connection = h11.Connection(h11.SERVER)
        connection.receive_data(head + b"\r\n\r\n")
        event = connection.next_event()
    except h11.RemoteProtocolError:
        return
    if not isinstance(event, h11.Request):
        return
    made = server()
    status, headers, answer = made.thread.submit(
        made.loop.run_until_complete, _ask(made.app, event, body)
    ).result()
    # 500 is a bug, and so is a refusal that does not say why.
    assert 200 <= status < 500, (status, answer[:500])
    assert all(b"\n" not in name + value for name, value in headers)
    kind = dict(headers).get(b"content-type", b"")
    if kind.startswith((b"application/json", b"application/problem+json")):
        found = json.loads(answer)
        assert status < 400 or found["detail"]
    assert made.app.app.state.server.work.tickets == {}


async def _ask(app: Any, request: h11.Request, body: bytes) -> tuple[int, Any, bytes]:
    path, _, query = request.target.partition(b"?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method.decode("ascii"),
        "scheme": "http",
        "path": unquote(path.decode("ascii")),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": list(request.headers),
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8080),
        "state": {},
    }
    half = len(body) // 2
    pieces = [
        {"type": "http.request", "body": body[:half], "more_body": True},
        {"type": "http.request", "body": body[half:], "more_body": False},
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        return pieces.pop(0) if pieces else await asyncio.Future()

    async def send(message: Any) -> None:
        sent.append(message)

    await asyncio.wait_for(app(scope, receive, send), 30)
    starts = [message for message in sent if message["type"] == "http.response.start"]
    bodies = [message for message in sent if message["type"] == "http.response.body"]
    assert len(starts) == 1
    assert not bodies[-1].get("more_body", False)
    whole = b"".join(message.get("body", b"") for message in bodies)
    return starts[0]["status"], starts[0]["headers"], whole


TARGETS = {
    "photos": Target(seeds.photos, check_photo),
    "masks": Target(seeds.masks, check_mask),
    "metadata": Target(seeds.metadata, check_metadata),
    "weights": Target(seeds.weights, check_weights),
    "requests": Target(seeds.requests, check_request),
}


def run_check(target: Target, content: bytes) -> None:
    """Check one input; what decoders warn of is no fault.

    Networks that were pulled on this machine are not looked for, so that all machines do the same.

    Raises:
        AssertionError: Also if it takes more than :data:`SECONDS` of the processor, or
            :data:`MEBIBYTES` more memory than the process ever had.
    """
    own = {"FREEFILL_CACHE": str(folder()), "FREEFILL_OFFLINE": "1"}
    start, before = time.process_time(), peak()
    with mock.patch.dict(os.environ, own), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        target.check(content)
    took, grown = time.process_time() - start, peak() - before
    assert took < SECONDS, f"{took:.1f} s"
    assert grown < MEBIBYTES, f"{grown} MiB"


def peak() -> int:
    """Give the most MiB that the process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
