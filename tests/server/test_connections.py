"""Connections that say nothing, drip, or do not read: each ends, and the others are answered."""

from __future__ import annotations

import asyncio
import re
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest
from live import alone
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from freefill.errors import ConfigError
from freefill.server import connections
from freefill.server.connections import Connection, Limits, Server, configured

LARGE = 30_000_000
"""Bytes of an answer: more than the system takes for a client that does not read."""


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer at once, as much as is asked for; the path /wait waits for its body."""
    if scope["type"] != "http":
        return
    request = Request(scope, receive)
    if request.url.path == "/wait":
        await request.body()
    size = LARGE if request.url.path == "/large" else 2
    await Response(bytes(size))(scope, receive, send)


@contextmanager
def served(limits: Limits) -> Iterator[tuple[int, Server]]:
    config = configured(application, limits, log_level="critical", lifespan="off")
    server = Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield listener.getsockname()[1], server
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


def connect(port: int, sent: bytes = b"") -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), timeout=60)
    made.sendall(sent)
    return made


def read_to_end(connection: socket.socket) -> bytes:
    """Read until the other side has ended it; a test that waits here for long fails."""
    found = b""
    try:
        while piece := connection.recv(65536):
            found += piece
    except ConnectionResetError:
        pass
    return found


def drip(connection: socket.socket) -> None:
    while True:
        connection.sendall(b".")


HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"", None),
        (b"G", None),
        (HEAD, None),
        (HEAD + b"X: " + b"a" * 10_000, None),
        # The next head, after an answer.
        (HEAD + b"\r\n" + HEAD, b"200"),
        # A body that nobody waits for, which never ends.
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n123", b"200"),
    ],
    ids=["nothing", "a letter", "no end", "long", "second", "body"],
)
def test_a_head_has_its_time(sent: bytes, status: bytes | None) -> None:
    # What comes after an answer comes with it here, and is not idle: only `head` can end it.
    with served(Limits(head=0.2, idle=1, look=0.02)) as (port, _), connect(port, sent) as client:
        answer = read_to_end(client)
    assert answer.split(b" ")[1:2] == ([] if status is None else [status])


def test_who_drips_a_body_after_its_answer_is_ended() -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
    with (
        served(Limits(head=0.3, idle=3600, look=0.02)) as (port, server),
        connect(port, head) as client,
    ):
        assert client.recv(12) == b"HTTP/1.1 200"
        with pytest.raises(OSError, match=r"reset|Broken pipe"):
            drip(client)
        until(lambda: not mine(server))


@pytest.mark.parametrize("reads", [0, 1000], ids=["not", "slowly"])
def test_an_answer_that_is_not_taken_is_dropped(reads: int) -> None:
    limits = Limits(taken=0.3, rate=1e9, look=0.02)
    with served(limits) as (port, server):
        asked = b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n"
        with connect(port, asked) as client:
            assert client.recv(12) == b"HTTP/1.1 200"
            client.recv(reads)
            while server.server_state.connections:
                assert client.fileno() >= 0
            assert len(read_to_end(client)) < LARGE


def test_an_answer_that_is_taken_is_not() -> None:
    limits = Limits(taken=0.05, rate=1, look=0.01)
    with served(limits) as (port, _), httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        with client.stream("GET", "/large") as answer:
            assert sum(map(len, answer.iter_bytes())) == LARGE
        assert client.get("/").status_code == 200


def test_a_request_may_take_its_time() -> None:
    # Its limits are the application's: the queue, and the time of a body.
    with served(Limits(head=0.1, idle=1, taken=0.1, look=0.02)) as (port, server):
        head = b"POST /wait HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\n"
        with connect(port, head) as client, connect(port) as other:
            # The other one came later, and had its time.
            assert read_to_end(other) == b""
            client.sendall(b"12")
            assert read_to_end(client).startswith(b"HTTP/1.1 200")
        assert server.started


def test_who_asks_for_nothing_makes_room_and_who_waits_does_not() -> None:
    waiting = b"POST /wait HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n"
    with served(Limits(most=3, head=3600)) as (port, server), ExitStack() as stack:
        asked = stack.enter_context(connect(port, waiting))
        until(lambda: [one.is_asked for one in mine(server)] == [True])
        silent = [stack.enter_context(connect(port)) for _ in range(2)]
        until(lambda: len(mine(server)) == 3)
        # The first that is silent goes for each that comes.
        third = stack.enter_context(connect(port, waiting))
        assert read_to_end(silent[0]) == b""
        fourth = stack.enter_context(connect(port, waiting))
        assert read_to_end(silent[1]) == b""
        until(lambda: [one.is_asked for one in mine(server)] == [True] * 3)
        with connect(port) as refused:
            assert read_to_end(refused).startswith(b"HTTP/1.1 503")
        for one in (asked, third, fourth):
            one.sendall(b"12")
            assert one.recv(12) == b"HTTP/1.1 200"


def mine(server: Server) -> list[Connection]:
    return [one for one in list(server.server_state.connections) if isinstance(one, Connection)]


def until(true: Any) -> None:
    async def waited() -> None:
        async with asyncio.timeout(30):
            while not true():
                await asyncio.sleep(0.01)

    alone(waited())


def test_out_of_descriptors_it_still_answers() -> None:
    """200 connections that say nothing, on a server that may open 64 files."""
    process = subprocess.Popen(
        [sys.executable, "-m", "freefill", "serve", "--port", "0", "--workers", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)),
    )
    try:
        assert process.stdout is not None
        found = re.search(r":(\d+)/", process.stdout.readline())
        assert found
        port = int(found[1])
        with ExitStack() as stack:
            for _ in range(200):
                stack.enter_context(connect(port))
            for _ in range(3):
                answer = httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=60)
                assert answer.status_code == 200
        process.terminate()
        _, told = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert told == "freefill: stopped\n"
    assert process.returncode == 0


def test_too_few_descriptors_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_descriptors", lambda: 40)
    with pytest.raises(ConfigError, match=r"may open 40 files: with 8 workers it needs \d+ \(ulim"):
        connections.most_connections(8)
    monkeypatch.setattr(connections, "_descriptors", lambda: None)
    assert connections.most_connections(8) == connections.MOST
