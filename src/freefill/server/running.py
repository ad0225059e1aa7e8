"""Start, say where, serve, and stop without losing what is in work."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable
from types import FrameType

import uvicorn

from freefill.errors import ConfigError
from freefill.server import connections
from freefill.server.access_log import AccessLog
from freefill.server.app import build
from freefill.server.core import workers_of
from freefill.server.settings import Settings


def serve(
    settings: Settings,
    photo: tuple[str, bytes] | None = None,
    ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve until Ctrl-C or SIGTERM; then finish what is waiting or in work.

    SIGTERM first makes it unready, and keeps it answering for ``settings.drain`` seconds, in which
    load balancers find out; a second signal cuts that short. Ctrl-C comes from a person, who does
    not wait for balancers.

    Args:
        settings: Permissions and limits.
        photo: Name and content of the file that the page is to open.
        ready: Called with the address once requests are answered.

    Raises:
        ConfigError: If the port cannot be had, or the process may open too few files.
        WeightsError: If the models cannot be loaded.
    """
    # The first process of a container has no action of its own for SIGTERM, not even to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # It has a line for each form that is none, which any client can send for ever.
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)
    leaving = threading.Event()
    app = AccessLog(build(settings, photo, leaving))
    listener = _listen(settings)
    port = listener.getsockname()[1]
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    limits = connections.Limits(most=connections.most_connections(workers_of(settings)))
    config = connections.configured(
        app,
        limits,
        # What it warns of is a client's doing ("Invalid HTTP request received."), once a request.
        log_level="error",
        # A body that is on its way may take its time, too.
        timeout_graceful_shutdown=int(settings.timeout + settings.body_seconds) + 5,
    )

    def announce() -> None:
        ready(f"http://{host}:{port}/")

    _Stopping(config, announce, settings.drain, leaving).run(sockets=[listener])


class _Stopping(connections.Server):
    """Uvicorn that tells when it is ready, and leaves in two steps.

    Args:
        config: Uvicorn's.
        ready: Called once requests are answered.
        drain: Seconds from SIGTERM to the end of listening.
        leaving: Is set at their beginning.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        ready: Callable[[], None],
        drain: float,
        leaving: threading.Event,
    ) -> None:
        super().__init__(config)
        self.ready = ready
        self.drain = drain
        self.leaving = leaving
        self.loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        await super().startup(sockets)
        if self.started:
            self.ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # Uvicorn's own would raise the signal again at the end, for whoever started it: nobody.
        if self.loop is None:
            self.should_exit = True
        else:
            # A signal comes in the middle of anything; the loop's turn is a safe place.
            self.loop.call_soon_threadsafe(self._leave, sig)

    def _leave(self, sig: int) -> None:
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        first = not self.leaving.is_set()
        self.leaving.set()
        if first and sig == signal.SIGTERM and self.loop is not None:
            self.loop.call_later(self.drain, self._stop)
        else:
            self._stop()

    def _stop(self) -> None:
        self.should_exit = True


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=512)
    except OSError as error:
        hint = "another program has it: --port 0 takes a free one"
        reason = hint if error.errno == errno.EADDRINUSE else error.strerror or str(error)
        raise ConfigError(
            f"port {settings.port} of {settings.host} cannot be had: {reason}"
        ) from None
    listener.set_inheritable(True)
    return listener
