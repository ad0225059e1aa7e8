"""Who may ask: the first thing that a request meets.

A page of any site can make a browser send requests to this machine. ``Host`` tells whether the
browser was led here under another's name (DNS rebinding), ``Origin`` whose page is asking. Written
as plain ASGI: Starlette's ``BaseHTTPMiddleware`` hides from a route that its client has gone.
"""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import threading
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from freefill.server.problems import ProblemError, too_large
from freefill.server.settings import Settings

HERE = ("127.0.0.1", "localhost", "[::1]")
PROBES = ("/healthz", "/readyz")
"""What orchestrators and load balancers ask, without a token: no path of the API."""
API = ("/v1/", "/api/", "/metrics", "/studio/", "/openapi.json")
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class Guard:
    """Refuses what no client of this server should send, and adds the headers that all need.

    Args:
        app: What comes after.
        settings: Permissions and limits.
        leaving: Set once the process is about to stop.
    """

    def __init__(self, app: ASGIApp, settings: Settings, leaving: threading.Event) -> None:
        self.app = app
        self.settings = settings
        self.leaving = leaving
        self.hosts = {*HERE, f"[{settings.host}]" if ":" in settings.host else settings.host}
        self.hosts |= {name.lower() for name in settings.allow_hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI has it."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent = MutableHeaders(scope=message)
                self._add_headers(sent, headers.get("origin"))
                if self.leaving.is_set():
                    # Who keeps connections open opens the next one elsewhere.
                    sent["Connection"] = "close"
            await send(message)

        try:
            self._check(scope, headers)
        except ProblemError as problem:
            if headers.get("expect") is None:
                await self._drain(receive)
            await problem.response()(scope, receive, answer)
            return
        await self.app(scope, self._counted(receive), answer)

    def _check(self, scope: Scope, headers: Headers) -> None:
        self._check_host(scope, headers)
        listed = self._check_origin(scope, headers)
        preflight = scope["method"] == "OPTIONS" and listed
        if not preflight:
            self._check_token(scope, headers)
        length = headers.get("content-length", "0")
        if length.isdigit() and int(length) > self.settings.max_body:
            raise too_large(int(length), self.settings.max_body)

    def _check_host(self, scope: Scope, headers: Headers) -> None:
        # From other machines it has names that nobody here can know; there the token protects.
        if not self.settings.is_local and not self.settings.allow_hosts:
            return
        host = headers.get("host", "").lower()
        name, colon, port = host.rpartition(":")
        if not colon or not port.isdigit() or name.endswith(":"):
            name = host
        # A probe calls it by its address, which nobody can list. Nobody leads a browser here with
        # an address either: that takes a name.
        if name not in self.hosts and not (scope["path"] in PROBES and _is_address(name)):
            raise ProblemError(
                421, "host", f"this server is not called {host!r}: --allow-host adds a name"
            )

    def _check_origin(self, scope: Scope, headers: Headers) -> bool:
        """Refuse pages of others; tell whether it is one that was allowed."""
        origin = headers.get("origin")
        if origin is not None:
            if origin in self.settings.allow_origins:
                return True
            if origin not in (f"{s}://{headers.get('host', '')}" for s in ("http", "https")):
                raise ProblemError(
                    403, "origin", f"pages of {origin} may not ask: --allow-origin lets them"
                )
        elif headers.get("sec-fetch-site") == "cross-site" and scope["path"].startswith(API):
            raise ProblemError(403, "origin", "pages of other sites may not ask")
        return False

    def _check_token(self, scope: Scope, headers: Headers) -> None:
        token = self.settings.token
        if token is None or not scope["path"].startswith(API):
            return
        scheme, _, given = headers.get("authorization", "").partition(" ")
        right = secrets.compare_digest(given.strip().encode("utf-8", "replace"), token.encode())
        if scheme.lower() != "bearer" or not right:
            raise ProblemError(
                401,
                "token",
                "this server wants its token: Authorization: Bearer ...",
                {"WWW-Authenticate": "Bearer"},
            )

    def _add_headers(self, headers: MutableHeaders, origin: str | None) -> None:
        for name, value in HEADERS.items():
            headers[name] = value
        headers["Cross-Origin-Resource-Policy"] = "same-origin"
        if origin is not None and origin in self.settings.allow_origins:
            headers["Cross-Origin-Resource-Policy"] = "cross-origin"
            # What is refused here has not met the middleware that says so: its page may read why.
            headers.setdefault("Access-Control-Allow-Origin", origin)
            headers.add_vary_header("Origin")

    async def _drain(self, receive: Receive) -> None:
        await drain(receive, 4 * self.settings.max_body, self.settings.body_seconds)

    def _counted(self, receive: Receive) -> Receive:
        """Stop a body that turns out larger than it may be."""
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            if message["type"] == "http.request":
                size += len(message.get("body", b""))
                if size > self.settings.max_body:
                    if message.get("more_body", False):
                        await self._drain(receive)
                    raise too_large(None, self.settings.max_body)
            return message

        return counted


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


async def drain(receive: Receive, most: int, seconds: float) -> None:
    """Take in a body that nobody wants: who is still sending does not read the answer.

    Args:
        receive: ASGI's.
        most: Bytes after which it is given up.
        seconds: After which it is given up, too.
    """
    size = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while size <= most:
                message = await receive()
                size += len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return
