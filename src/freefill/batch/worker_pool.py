"""Many things in work at a time, and their results in order: a folder of photos, or millions.

Whoever has many photos to fill goes through here: ``freefill fill FOLDER``, ``freefill batch``, and
each process of a batch on many machines.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

IN_WORK = 2**26
"""Pixels of the photos that are worked on at a time; a photo of more is worked on alone. A photo's
peak is 40 to 45 bytes a pixel, so that a batch stays below some 3 GB."""


class PixelBudget:
    """Pixels of which only so many can be worked on at a time.

    Args:
        size: How many.
    """

    def __init__(self, size: int) -> None:
        self.size = self.free = size
        self.changed = threading.Condition()

    @contextmanager
    def taken(self, amount: int) -> Iterator[None]:
        """Wait for an amount, or for all of it where it is more than there is, and hold it."""
        amount = min(amount, self.size)
        with self.changed:
            self.changed.wait_for(lambda: amount <= self.free)
            self.free -= amount
        try:
            yield
        finally:
            with self.changed:
                self.free += amount
                self.changed.notify_all()


class WorkerSlots:
    """Slots for photos that are worked on: so many cores, and so many pixels at a time.

    Threads that wait for a disk or for a server hold no slot, so that there can be more of them
    than cores.

    Args:
        cores: Photos that are computed at a time.
        pixels: What they may have together.
    """

    def __init__(self, cores: int, pixels: int) -> None:
        self.cores = threading.Semaphore(cores)
        self.budget = PixelBudget(pixels)

    @contextmanager
    def taken(self, pixels: int) -> Iterator[None]:
        """Wait for a slot for a photo of so many pixels, and hold it."""
        # Pixels first: no core is held by a large photo that waits for them.
        with self.budget.taken(pixels), self.cores:
            yield


def in_order(
    work: Callable[[T], R],
    items: Iterable[T],
    threads: int,
    ahead: int,
    start: Callable[[], object] | None = None,
) -> Generator[R]:
    """Work on several items at a time.

    Args:
        work: What is done with each.
        items: They are taken as they are needed, no more than ``ahead`` before their result is.
        threads: Items in work at a time.
        ahead: Items that may have been begun before the oldest result is taken: enough that one
            that takes long leaves no thread idle.
        start: Called in each thread before it works on anything.

    Yields:
        The results, in the order of the items. Whoever stops early waits for the items that are
        being worked on, and for no others.
    """
    pool = ThreadPoolExecutor(threads, "fill", start)
    started: deque[Future[R]] = deque()
    try:
        for item in items:
            started.append(pool.submit(work, item))
            if len(started) >= ahead:
                yield started.popleft().result()
        while started:
            yield started.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
