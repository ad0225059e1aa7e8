"""Start, say where, serve, and stop without losing what is in work."""

from __future__ import annotations

import errno
import signal
import socket
from collections.abc import Callable

import uvicorn

from freefill.errors import ConfigError
from freefill.server.app import build
from freefill.server.settings import Settings

IDLE = 30
"""Seconds that a connection is kept without a request."""


def serve(
    settings: Settings,
    photo: tuple[str, bytes] | None = None,
    ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve until Ctrl-C or SIGTERM; then finish what is waiting or in work.

    Args:
        settings: Permissions and limits.
        photo: Name and content of the file that the page is to open.
        ready: Called with the address once requests are answered.

    Raises:
        ConfigError: If the port cannot be had.
        WeightsError: If the models cannot be loaded.
    """
    app = build(settings, photo)
    listener = _listen(settings)
    port = listener.getsockname()[1]
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=IDLE,
        timeout_graceful_shutdown=int(settings.timeout) + 5,
    )
    # Uvicorn raises the signals that ended it again, for whoever started it: there is nobody.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    _Announcing(config, lambda: ready(f"http://{host}:{port}/")).run(sockets=[listener])


class _Announcing(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self.ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.ready()


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
