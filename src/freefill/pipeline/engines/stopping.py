"""Ends a run of a network from another thread: a network may compute for as long as it likes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class StoppedRunError(Exception):
    """Raised by an engine whose run was ended by :meth:`Stopper.stop`."""


class Flag(Protocol):
    """What an engine looks at between two operations, such as ONNX Runtime's ``RunOptions``."""

    terminate: bool


class Stopper:
    """Ends what one thread computes, now and from now on."""

    def __init__(self) -> None:
        self.stopped = False
        self._lock = threading.Lock()
        self._running: Flag | None = None

    def stop(self) -> None:
        """End the run of a network that is under way, if there is one, and any that begins."""
        with self._lock:
            self.stopped = True
            if self._running is not None:
                self._running.terminate = True

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch the runs of this thread."""
        before = getattr(_watched, "stopper", None)
        _watched.stopper = self
        try:
            yield
        finally:
            _watched.stopper = before

    def _begin(self, flag: Flag | None) -> None:
        with self._lock:
            self._running = flag
            if flag is not None and self.stopped:
                raise StoppedRunError


_watched = threading.local()


@contextmanager
def stoppable(flag: Flag) -> Iterator[None]:
    """Have whoever watches this thread end a run.

    Args:
        flag: Of the run.

    Raises:
        StoppedRunError: If it was ended.
    """
    stopper: Stopper | None = getattr(_watched, "stopper", None)
    if stopper is None:
        yield
        return
    try:
        stopper._begin(flag)
        yield
    except Exception:
        if stopper.stopped:
            raise StoppedRunError from None
        raise
    finally:
        stopper._begin(None)
