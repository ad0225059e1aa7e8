"""One process at a time: a lock that goes away with the process that holds it."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

POLL = 0.2
"""Seconds between two looks at a lock that another process holds."""
UNSUPPORTED = (errno.ENOLCK, errno.EOPNOTSUPP)
"""What file systems say that know no locks, such as NFS without its lock daemon."""


@contextmanager
def file_lock(path: Path, on_busy: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of a name while the block runs.

    A file system that knows no locks gives none: everything then rests on the sha256 that is
    checked at the end.

    Args:
        path: The lock's file, in a folder that exists. It stays when the lock is given back: who
            deletes it may leave two processes with a lock on two files of one name.
        on_busy: Called again and again while another holds it; what it raises ends the wait.

    Raises:
        OSError: If the file cannot be written.
    """
    # The block may end in another thread than it began in.
    lock = FileLock(path, thread_local=False)
    while True:
        try:
            lock.acquire(blocking=False)
            break
        except Timeout:
            on_busy()
            time.sleep(POLL)
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                raise
            break
    try:
        yield
    finally:
        lock.release()
