"""A server in a thread of the test's own process, so that its work can be held and looked at."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx

from freefill.server import connections
from freefill.server.app import build
from freefill.server.connections import Limits, configured
from freefill.server.core import Server
from freefill.server.settings import Settings

T = TypeVar("T")


class Live:
    """A running server: its address, and what its routes share."""

    def __init__(self, url: str, server: Server) -> None:
        self.url = url
        self.server = server


@contextmanager
def live(settings: Settings) -> Iterator[Live]:
    app: Any = build(settings)
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    config = configured(app, Limits(), log_level="critical", timeout_graceful_shutdown=20)
    running = connections.Server(config)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield Live(f"http://127.0.0.1:{listener.getsockname()[1]}", app.app.state.server)
    finally:
        running.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


def warm(server: Live) -> None:
    """Wait until a server answers, and its processes have begun."""
    httpx.get(f"{server.url}/healthz", timeout=30)
    for decoder in server.server.decoders.all:
        decoder.wait()


class Gate:
    """Holds every fill until it is opened, and tells how many have come.

    Args:
        task: The function that fills.
    """

    def __init__(self, task: Callable[..., Any]) -> None:
        self.task = task
        self.opened = threading.Event()
        self.arrived = threading.Semaphore(0)
        self.begun = 0
        self.stopped = 0

    def __call__(self, *arguments: Any) -> Any:
        ticket = arguments[-1]
        self.begun += 1
        ticket.enter("filling")
        self.arrived.release()
        try:
            while not self.opened.wait(0.01):
                ticket.progress(1, 4)
        except BaseException:
            self.stopped += 1
            raise
        return self.task(*arguments)

    def wait_for(self, count: int) -> None:
        for _ in range(count):
            assert self.arrived.acquire(timeout=30)


def form(image: bytes | Path, mask: bytes | Path | None = None) -> dict[str, Any]:
    """Give the files of a request, as httpx takes them."""
    parts = {"image": image, "mask": mask}
    return {
        name: (f"{name}.png", part.read_bytes() if isinstance(part, Path) else part)
        for name, part in parts.items()
        if part is not None
    }


def run(test: Callable[[httpx.AsyncClient], Awaitable[Any]], url: str) -> Any:
    async def session() -> Any:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client:
            return await test(client)

    return alone(session())


def alone(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a loop and a thread of its own.

    Playwright's loop may still run in this thread, where no second one can.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.01)
