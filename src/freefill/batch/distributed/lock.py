"""One batch at a time into a destination: a small file there that is renewed while it runs.

It works alike on disk and in S3, which has no locks. Whoever comes second is refused; what a
process left that was killed is taken over at once on the same machine, and after a while on others.
Should two slip in at the same moment, the earlier finds out at its next renewal and stops. Whoever
commits a block looks first whether the lock is still its driver's: workers may outlive theirs.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

from freefill.batch.distributed import files
from freefill.batch.distributed.manifest import LOCK
from freefill.errors import StorageError

RENEWED = 20.0
"""Seconds between renewals."""
STALE = 90.0
"""Seconds after which a lock that was not renewed is taken over; clocks may differ by some."""
SETTLED = 0.2
"""Seconds after which a lock that is still there is ours, and not that of who came a bit later."""
TAKEN_OVER = 2.0
"""The same where a lock was left behind: workers of who had it may be writing a part just now."""


@dataclass(frozen=True)
class Held:
    """A destination that is held.

    Attributes:
        token: What its lock holds.
        check: Raises StorageError if somebody else has taken it over.
    """

    token: str
    check: Callable[[], None]


@contextmanager
def held(to: str) -> Iterator[Held]:
    """Hold a destination.

    Args:
        to: Its location.

    Yields:
        What it is held by.

    Raises:
        StorageError: If somebody else holds it, or it cannot be written to.
    """
    location, token = files.join(to, LOCK), token_hex(8)
    other = _read(location)
    if other is not None and (age := _alive(other)) is not None:
        raise StorageError(
            f"another batch fills {to}: process {other.get('pid')} on {other.get('host')}, seen "
            f"{age:.0f} s ago. If it is gone, this one may start in {STALE - age:.0f} s"
        )
    _write(to, token)
    time.sleep(SETTLED if other is None else TAKEN_OVER)
    lost = threading.Event()
    ended = threading.Event()

    def still() -> None:
        if lost.is_set():
            raise StorageError(_taken(to))

    def renew() -> None:
        while not ended.wait(RENEWED):
            # A server that does not answer once is no reason to stop.
            with suppress(OSError, StorageError):
                if (_read(location) or {}).get("token") != token:
                    lost.set()
                    return
                _write(to, token)

    if (_read(location) or {}).get("token") != token:
        lost.set()
    still()
    thread = threading.Thread(target=renew, name="lock", daemon=True)
    thread.start()
    try:
        yield Held(token, still)
    finally:
        ended.set()
        thread.join()
        with suppress(OSError, StorageError):
            if (_read(location) or {}).get("token") == token:
                files.remove(location)


def check(to: str, token: str) -> None:
    """Make sure that a destination is still held by a token; to be called before a commit.

    Raises:
        StorageError: If it is not, or its lock cannot be read.
    """
    if (_read(files.join(to, LOCK)) or {}).get("token") != token:
        raise StorageError(_taken(to))


def _taken(to: str) -> str:
    return f"another batch has begun to fill {to}: this one stops"


def _alive(other: dict[str, Any]) -> float | None:
    """Tell how many seconds ago its holder was seen, if it may still be there."""
    age = max(0.0, time.time() - float(other.get("time", 0)))
    if age > STALE:
        return None
    if other.get("host") == socket.gethostname():
        pid = int(other.get("pid", 0))
        # In a container that was started again, this process may have the number of that one.
        if pid == os.getpid() or not _runs(pid):
            return None
    return age


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _read(location: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(files.read(location))
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    except OSError as error:
        raise StorageError(f"{location} cannot be read: {files.reason(error)}") from None
    return found


def _write(to: str, token: str) -> None:
    told = {"token": token, "host": socket.gethostname(), "pid": os.getpid(), "time": time.time()}
    try:
        files.write(to, LOCK, json.dumps(told).encode())
    except OSError as error:
        raise StorageError(f"{to} cannot be written to: {files.reason(error)}") from None
