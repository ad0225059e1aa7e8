"""Connections: how long one may say nothing, and how many there are.

Uvicorn waits for ever for the head of a request, for the rest of a body that it has answered
already, and for a client to take its answer; each holds a descriptor, the last an answer as well.
Without descriptors ``accept`` fails at once, again and again, and nobody is answered.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from dataclasses import dataclass
from typing import Any, TypeGuard

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from freefill.errors import ConfigError, plural

ACCEPTED = 4
"""Connections that are accepted before those that are there get a turn."""
BACKLOG = 512
"""Connections that the system keeps waiting until they are accepted."""
RESERVE = 28
"""Descriptors beside those of connections: the loop's own, files, and connections that came in the
four turns that pass until a refused one has given its own back."""
FEWEST = 4
MOST = 10_000
FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nretry-after: 10\r\n"
    b"connection: close\r\n\r\n"
)


@dataclass(frozen=True)
class Limits:
    """What a connection may do.

    Attributes:
        most: Connections at a time. A further one takes the place of the one that has asked for
            nothing for the longest time; if all of them wait for an answer, it is refused.
        head: Seconds from the first byte of a request to the end of its head, and from an answer to
            the end of a body that it did not wait for.
        idle: Seconds that a connection is kept without a request.
        taken: Seconds in which a client has to take some of its answer.
        rate: Bytes a second that it has to take at the least, on average over those seconds.
        look: Seconds between two looks at all connections.
    """

    most: int = MOST
    head: float = 10.0
    idle: int = 30
    taken: float = 30.0
    rate: float = 20_000.0
    look: float = 1.0


class Connection(H11Protocol):
    """One connection that is ended when it holds more than it should."""

    limits = Limits()
    waits_since = 0.0
    """When its last request was answered, or it came."""
    head_since: float | None = None
    """When a head began that is not at its end."""
    unsent = 0
    taken = 0.0
    taken_since: float | None = None

    @property
    def is_asked(self) -> bool:
        """Whether there is a request without its answer."""
        return self.cycle is not None and not self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or refuse it."""
        super().connection_made(transport)
        self.waits_since = self.head_since = time.monotonic()
        if len(self.connections) <= self.limits.most:
            return
        # One that is on its way out does not make room twice.
        there = [one for one in self.connections if _is_open(one)]
        if len(there) <= self.limits.most:
            return
        quiet = [one for one in there if one is not self and not one.is_asked]
        if quiet:
            min(quiet, key=lambda one: one.waits_since).transport.abort()
        else:
            transport.write(FULL)
            transport.close()

    def data_received(self, data: bytes) -> None:
        """Take what has come; the time of a head begins with it."""
        if self.head_since is None and not self.is_asked:
            self.head_since = time.monotonic()
        super().data_received(data)
        if self.is_asked:
            self.head_since = None

    def on_response_complete(self) -> None:
        """Note when it was answered."""
        self.waits_since = time.monotonic()
        super().on_response_complete()

    def look(self, now: float) -> None:
        """End the connection if it has had its time.

        Args:
            now: By :func:`time.monotonic`.
        """
        late = self.head_since is not None and now - self.head_since > self.limits.head
        if (late and not self.is_asked) or self._is_stuck(now):
            # Closing would wait for the client to take what it does not take.
            self.transport.abort()

    def _is_stuck(self, now: float) -> bool:
        """Tell whether the client takes its answer too slowly, or not at all."""
        unsent = self.transport.get_write_buffer_size()
        self.taken += max(0, self.unsent - unsent)
        self.unsent = unsent
        if not unsent:
            self.taken_since = None
        elif self.taken_since is None:
            self.taken, self.taken_since = 0.0, now
        elif (spent := now - self.taken_since) > self.limits.taken:
            if self.taken < spent * self.limits.rate:
                return True
            self.taken, self.taken_since = 0.0, now
        return False


def _is_open(one: object) -> TypeGuard[Connection]:
    return isinstance(one, Connection) and not one.transport.is_closing()


class Server(uvicorn.Server):
    """Uvicorn that looks after its connections.

    Args:
        config: Of :func:`configured`.
    """

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and to look."""
        await super().startup(sockets)
        for one in sockets or ():
            one.listen(BACKLOG)
        self.looking = asyncio.ensure_future(self._look())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish what is under way; those who do not take their answers are not waited for."""
        await super().shutdown(sockets)
        self.looking.cancel()

    async def _look(self) -> None:
        protocol = self.config.http_protocol_class
        assert issubclass(protocol, Connection)
        while True:
            await asyncio.sleep(protocol.limits.look)
            now = time.monotonic()
            for one in list(self.server_state.connections):
                if isinstance(one, Connection):
                    one.look(now)


def configured(app: Any, limits: Limits, **options: Any) -> uvicorn.Config:
    """Give uvicorn's settings for an application.

    Args:
        app: The application.
        limits: Of connections.
        options: Further ones of uvicorn's.
    """
    protocol = type("LimitedConnection", (Connection,), {"limits": limits})
    return uvicorn.Config(
        app,
        http=protocol,
        # An upgraded connection would have no limits.
        ws="none",
        access_log=False,
        server_header=False,
        timeout_keep_alive=limits.idle,
        # So many are accepted in a row; how many may wait is said to the system in startup().
        backlog=ACCEPTED,
        **options,
    )


def most_connections(workers: int) -> int:
    """Count the connections that this process has descriptors for.

    Args:
        workers: Photos that are worked on at a time.

    Raises:
        ConfigError: If the system allows too few.
    """
    limit = _descriptors()
    if limit is None:
        return MOST
    used = len(os.listdir("/dev/fd")) if os.path.isdir("/dev/fd") else 16
    most = limit - used - RESERVE - 2 * workers
    if most < FEWEST:
        raise ConfigError(
            f"this process may open {limit} files: with {plural(workers, 'worker')} it needs "
            f"{limit + FEWEST - most} (ulimit -n)"
        )
    return min(most, MOST)


def _descriptors() -> int | None:
    """Give how many files this process may have open, if that has a limit."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft
