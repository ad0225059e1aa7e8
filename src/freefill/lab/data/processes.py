"""Work that takes all cores, done by processes of its own."""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

from freefill.pipeline.engines.cpu_count import available_cores

T = TypeVar("T")
R = TypeVar("R")


def on_all_cores(work: Callable[[T], R], items: Sequence[T], together: int = 1) -> Generator[R]:
    """Give the result for each item, in order.

    Processes start afresh: a fork of one that has threads, or the context of a GPU, may hang. So
    ``work`` and the module that it is in are loaded once for each core; keep that module light.

    Args:
        work: A function of a module, or a partial of one.
        items: What it is called with.
        together: Items that a process takes at once. With no more items than that no process is
            started.

    Yields:
        The results. Whoever stops asking leaves no process behind.
    """
    if len(items) <= together:
        yield from map(work, items)
        return
    count = min(available_cores(), -(-len(items) // together))
    with ProcessPoolExecutor(count, get_context("spawn"), _leave_to_the_parent) as pool:
        try:
            yield from pool.map(work, items, chunksize=together)
        finally:
            pool.shutdown(cancel_futures=True)


def _leave_to_the_parent() -> None:
    # Ctrl-C reaches all processes of a terminal; the parent's own ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
