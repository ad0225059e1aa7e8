"""The queue: how many may wait, how long, and what becomes of those whose client has gone.

A request takes its place before its body is read, so that what waits is bounded in number and in
bytes. The place is free again when its thread is really done with it. Places are taken and given
back by the event loop alone: a thread only tells it that it is done.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, Literal, TypeVar
from uuid import UUID

from freefill.batch.worker_pool import IN_WORK, PixelBudget
from freefill.pipeline.engines.stopping import Stopper
from freefill.server.metrics import Metrics
from freefill.server.problems import ProblemError

T = TypeVar("T")
State = Literal["waiting", "reading", "filling", "writing"]


class StoppedError(Exception):
    """Raised within the work of somebody who no longer waits for it."""


class Ticket:
    """One request's place."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.state: State = "waiting"
        self.done = self.total = 0
        self.holders = 0
        self.begun = 0.0
        self.runs = Stopper()

    @property
    def stopped(self) -> bool:
        """Whether nobody waits for it any more."""
        return self.runs.stopped

    def stop(self) -> None:
        """Stop the work: between two steps, and within a run of the network."""
        self.runs.stop()

    def begin(self) -> None:
        """Tell that work begins and waiting is over: ``begun`` is when, by ``perf_counter``.

        Raises:
            StoppedError: If nobody waits for it any more.
        """
        self.check()
        self.begun = time.perf_counter()

    def enter(self, state: State) -> None:
        """Tell what comes next.

        Raises:
            StoppedError: If nobody waits for it any more.
        """
        self.check()
        self.state = state

    def progress(self, done: int, total: int) -> None:
        """Tell how many crops are done; raises as :meth:`enter` does."""
        self.check()
        self.done, self.total = done, total

    def check(self) -> None:
        """Raise :class:`StoppedError` if nobody waits for this any more."""
        if self.stopped:
            raise StoppedError


class Work:
    """Workers, and the queue before them.

    Args:
        workers: Threads.
        queue: Requests that may wait beyond them.
        timeout: Seconds that one may take, waiting included.
        metrics: What is counted.
    """

    def __init__(self, workers: int, queue: int, timeout: float, metrics: Metrics) -> None:
        self.workers = workers
        self.capacity = workers + queue
        self.timeout = timeout
        self.metrics = metrics
        self.pool = ThreadPoolExecutor(workers, "fill")
        self.budget = PixelBudget(IN_WORK)
        self.tickets: dict[int, Ticket] = {}
        self.named: dict[UUID, Ticket] = {}
        self.numbers = itertools.count()
        self.seconds = 0.2  # of a fill, lately
        metrics.workers.set(workers)
        metrics.waiting.set_function(lambda: sum(t.state == "waiting" for t in self.all()))
        metrics.in_work.set_function(lambda: sum(t.state != "waiting" for t in self.all()))

    def all(self) -> list[Ticket]:
        """Give the tickets in use, oldest first."""
        return list(self.tickets.values())

    def ahead(self, ticket: Ticket) -> int:
        """Count those who wait before one who waits."""
        if ticket.state != "waiting":
            return 0
        return sum(t.state == "waiting" and t.number < ticket.number for t in self.all())

    @property
    def free(self) -> int:
        """Places that nobody has."""
        return max(0, self.capacity - len(self.tickets))

    def busy(self, status: int) -> ProblemError:
        """Give the answer where there is no place."""
        seconds = math.ceil(self.seconds * self.capacity / self.workers)
        return ProblemError(
            status,
            "busy",
            f"{len(self.tickets)} requests are here already, of {self.capacity} that there is "
            f"room for (--queue): ask again in {seconds} s",
            {"Retry-After": str(seconds)},
        )

    @contextmanager
    def admitted(self, name: UUID | None) -> Iterator[Ticket]:
        """Take a place; it is given back at the end, or when the thread of :meth:`run` is done.

        Args:
            name: By which its progress can be asked for.

        Raises:
            ProblemError: 429 if there is no place, 409 if the name is taken.
        """
        if self.free == 0:
            self.metrics.count("rejected")
            raise self.busy(429)
        if name is not None and name in self.named:
            raise ProblemError(409, "fill-id", f"a fill with the id {name} is being worked on")
        ticket = Ticket(next(self.numbers))
        self.tickets[ticket.number] = ticket
        self._hold(ticket)
        if name is not None:
            self.named[name] = ticket
        try:
            yield ticket
        finally:
            if name is not None:
                del self.named[name]
            self._release(ticket)

    def _hold(self, ticket: Ticket) -> None:
        ticket.holders += 1

    def _release(self, ticket: Ticket) -> None:
        """Give a place back once neither its request nor a thread has it; in the loop alone."""
        ticket.holders -= 1
        if not ticket.holders:
            del self.tickets[ticket.number]

    async def run(
        self, ticket: Ticket, task: Callable[[], T], gone: Callable[[], Awaitable[None]]
    ) -> T:
        """Have a worker do something, as long as somebody waits for it.

        Args:
            ticket: Its place.
            task: Runs in a thread; is to call the ticket's methods between its steps.
            gone: Returns when the client has gone.

        Returns:
            What the task returns; what it raises is raised.

        Raises:
            ProblemError: 503 after the time limit.
            StoppedError: If the client has gone.
        """
        loop = asyncio.get_running_loop()
        asked = time.perf_counter()

        # What a client that has gone sent is let go of, though its turn may be long in coming.
        tasks = [task]

        def work() -> T:
            start = time.perf_counter()
            try:
                ticket.enter("reading")
                with ticket.runs.watching():
                    return tasks.pop()()
            finally:
                self.seconds += 0.2 * (time.perf_counter() - start - self.seconds)

        def done(job: Future[T]) -> None:
            with suppress(RuntimeError):  # the loop has ended, and all places with it
                loop.call_soon_threadsafe(self._release, ticket)

        job = self.pool.submit(work)
        self._hold(ticket)
        job.add_done_callback(done)
        future = asyncio.wrap_future(job)
        leaving = asyncio.ensure_future(gone())
        try:
            waiting: set[asyncio.Future[Any]] = {future, leaving}
            await asyncio.wait(waiting, timeout=self.timeout, return_when=asyncio.FIRST_COMPLETED)
            if future.done():
                result = future.result()
                self.metrics.answer.observe(time.perf_counter() - asked)
                return result
            self.metrics.count("cancelled" if leaving.done() else "timed_out")
            if leaving.done():
                raise StoppedError
            raise ProblemError(
                503,
                "time-limit",
                f"this took longer than {self.timeout:g} s (--timeout) and was stopped",
                {"Retry-After": str(math.ceil(self.timeout))},
            )
        finally:
            leaving.cancel()
            if not future.done():
                ticket.stop()
                if job.cancel():
                    tasks.clear()
                future.cancel()
                # Its result is nobody's; asyncio would complain that it was never looked at.
                future.add_done_callback(lambda f: f.cancelled() or f.exception())

    def close(self) -> None:
        """Wait for the threads that are still at work."""
        self.pool.shutdown(cancel_futures=True)
