"""A line in the log for each request: method, path, status, milliseconds, bytes of the answer.

Never a query, a header, an address or a body: tokens come in headers, and what is logged is kept.
Probes are logged one level lower, as they come every few seconds. It is written through
:mod:`logging`, to ``freefill.access``; the command line shows it with ``--log-level info``.
"""

from __future__ import annotations

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from freefill.server.guard import PROBES

log = logging.getLogger("freefill.access")

LONGEST = 200
"""Characters of a path that are logged: clients choose it."""
GONE = 499
"""What nginx calls a client that went away before it was answered."""


class AccessLog:
    """Logs what an application answers.

    Args:
        app: The application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI has it."""
        level = logging.DEBUG if scope.get("path") in PROBES else logging.INFO
        if scope["type"] != "http" or not log.isEnabledFor(level):
            await self.app(scope, receive, send)
            return
        start, status, size = time.perf_counter(), GONE, 0

        async def counted(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
            size += len(message.get("body", b""))
            await send(message)

        try:
            await self.app(scope, receive, counted)
        finally:
            spent = (time.perf_counter() - start) * 1e3
            log.log(
                level,
                "%s %s %d %.0f ms %d bytes",
                scope["method"],
                _path(scope),
                status,
                spent,
                size,
            )


def _path(scope: Scope) -> str:
    """Give the path as it was sent, percent-encoded: nothing in it can end the line."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode("utf-8", "surrogateescape")
    path = raw.partition(b"?")[0].decode("ascii", "backslashreplace")
    path = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in path)
    return path if len(path) <= LONGEST else f"{path[:LONGEST]}..."
