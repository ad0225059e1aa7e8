"""Keeps what Ray has to say off the terminal, but for what matters: that a process has died.

Its Python part prints to the current standard output, its parts in C++ write to the standard error
of the process. Both are the command's own places, for results and for errors.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import (
    AbstractContextManager,
    contextmanager,
    nullcontext,
    redirect_stderr,
    redirect_stdout,
)
from io import TextIOBase
from typing import TextIO

DIED = "worker died or was killed"


class Listener(TextIOBase):
    """Takes what is printed, and tells of processes that died.

    Args:
        on_message: Called once for each.
    """

    def __init__(self, on_message: Callable[[str], None]) -> None:
        self.on_message = on_message

    def write(self, text: str) -> int:
        """Take some text."""
        if DIED in text:
            self.on_message("a process of Ray has died: what it had not committed is done again")
        return len(text)


@contextmanager
def suppress_output(on_message: Callable[[str], None]) -> Iterator[None]:
    """Suppress what Ray prints; what the command itself writes to ``sys.stderr`` is seen as before.

    Args:
        on_message: Called with a line when a process has died.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    logging.getLogger("ray").setLevel(logging.ERROR)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        with (
            _on(kept) as errors,
            redirect_stderr(errors),
            redirect_stdout(Listener(on_message)),
            warnings.catch_warnings(),
        ):
            os.dup2(nowhere, 2)
            warnings.filterwarnings("ignore", category=FutureWarning, module=r"ray\.")
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _on(place: int) -> AbstractContextManager[TextIO]:
    """Give what ``sys.stderr`` is to be while place 2 of the process leads nowhere."""
    sys.stderr.flush()
    try:
        there = sys.stderr.fileno() == 2
    except OSError:
        there = False
    if not there:
        return nullcontext(sys.stderr)
    return os.fdopen(os.dup(place), "w", buffering=1, errors="backslashreplace")
