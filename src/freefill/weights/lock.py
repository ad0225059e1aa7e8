"""One process at a time: a lock that goes away with the process that holds it."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

POLL = 0.2
"""Seconds between two looks at a lock that another process holds."""


@contextmanager
def alone(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of a name while the block runs.

    A file system that knows no locks gives none: everything then rests on the sha256 that is
    checked at the end.

    Args:
        path: The lock's file; it is there while someone holds the lock, or waits for it.
        waiting: Called again and again while another holds it; what it raises ends the wait.
    """
    while True:
        with path.open("ab") as file:
            if _take(file):
                # Who had the lock before may have deleted the file while this one was opening it;
                # a lock on a file without a name keeps nobody out.
                if _is_at(file, path):
                    try:
                        yield
                    finally:
                        with suppress(OSError):  # Windows keeps open files
                            path.unlink()
                    return
                continue
        waiting()
        time.sleep(POLL)


def _is_at(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _take(file: BinaryIO) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
    return True
