"""One run of a network, which ends: by itself, by Ctrl-C, or at its limit of time.

A network is a program, and may go round for ever. ONNX Runtime returns to Python when it is done
and not before, so that Ctrl-C would wait as well; here a thread of its own computes, and whoever
asked for it watches.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from freefill.errors import WeightsError
from freefill.pipeline.engines.stopping import Flag, stoppable

T = TypeVar("T")

LIMIT = 600.0
"""Seconds that one run may take. LaMa needs 3 for its 512x512 on two cores; ``light`` 0.1."""
GRACE = 2.0
"""Seconds that are waited for a run that was told to end: it ends between two operations."""


def run_within_limit(compute: Callable[[], T], flag: Flag, name: str) -> T:
    """Run a network in a thread, and wait for it.

    Args:
        compute: Runs it, and looks at the flag.
        flag: Of the run; it is set when the run is to end.
        name: Of the network, for messages.

    Returns:
        What it gave.

    Raises:
        WeightsError: If it took more than :data:`LIMIT` seconds.
        StoppedRunError: If another thread ended it.
        BaseException: What it raised; ``KeyboardInterrupt`` while it was waited for.
    """
    results: list[T] = []
    failures: list[BaseException] = []

    def work() -> None:
        try:
            results.append(compute())
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work, name=f"run {name}", daemon=True)
    with stoppable(flag):
        thread.start()
        try:
            thread.join(LIMIT)
        except BaseException:
            flag.terminate = True
            thread.join(GRACE)
            raise
        if thread.is_alive():
            flag.terminate = True
            thread.join(GRACE)
            raise WeightsError(
                f"the network {name} was stopped: it computed for {LIMIT:g} s on one crop, and "
                "would perhaps never end"
            )
        if failures:
            raise failures[0]
        return results[0]
