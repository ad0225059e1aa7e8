"""Places in the queue: whatever order a thread and a client that goes come in, none is lost."""

from __future__ import annotations

import asyncio
import gc
import itertools
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from live import alone

from freefill.server.metrics import Metrics
from freefill.server.problems import ProblemError
from freefill.server.work import StoppedError, Work

TURNS = 10
"""Turns of the loop in which whatever one step sets off has happened."""


class ByHand:
    """A pool whose one job goes on when it is told to, a step at a time."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Future[Any], Callable[[], Any]]] = []
        self.outcome: tuple[Any, BaseException | None] | None = None

    def submit(self, function: Callable[[], Any]) -> Future[Any]:
        self.jobs.append((Future(), function))
        return self.jobs[-1][0]

    def start(self) -> None:
        """Take the job from the queue, unless it was cancelled."""
        job, _ = self.jobs[0]
        if not job.running():
            job.set_running_or_notify_cancel()

    def work(self) -> None:
        """Run the job to its end: nobody has been told of it yet."""
        job, function = self.jobs[0]
        if not job.cancelled():
            try:
                self.outcome = function(), None
            except BaseException as error:
                self.outcome = None, error

    def tell(self) -> None:
        """Say that the job is done."""
        job, _ = self.jobs[0]
        if job.cancelled() or self.outcome is None:
            return
        result, error = self.outcome
        if error is None:
            job.set_result(result)
        else:
            job.set_exception(error)


STEPS = ("start", "work", "tell")
ORDERS = [(*STEPS[:at], "end", *STEPS[at:]) for at in range(len(STEPS) + 1)]


class Asked:
    """One request with its job, both by hand.

    Args:
        fails: Whether the job raises.
        timeout: Of the queue.
    """

    def __init__(self, fails: bool, timeout: float) -> None:
        self.work, self.pool = Work(1, 0, timeout, Metrics()), ByHand()
        self.work.pool.shutdown()
        self.work.pool = self.pool  # type: ignore[assignment]
        self.left = asyncio.Event()
        self.fails = fails
        self.asked = asyncio.ensure_future(self._request())

    async def _request(self) -> None:
        with suppress(StoppedError, ProblemError, ValueError), self.work.admitted(None) as ticket:
            await self.work.run(ticket, self._task, self._gone)

    async def _gone(self) -> None:
        await self.left.wait()

    def _task(self) -> str:
        if self.fails:
            raise ValueError
        return "filled"

    async def step(self, name: str) -> None:
        if name == "gone":
            self.left.set()
        elif name == "cancelled":
            self.asked.cancel()
        else:
            getattr(self.pool, name)()
        await settle()
        if self.pool.jobs[0][0].running():
            # Its thread is still at it: the place is not free.
            assert self.work.free == 0

    async def end(self) -> None:
        with suppress(asyncio.CancelledError):
            await self.asked
        assert self.work.tickets == {}
        assert self.work.free == 1


async def settle() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)


@pytest.mark.parametrize("end", ["gone", "cancelled"])
@pytest.mark.parametrize("fails", [False, True], ids=["returns", "raises"])
@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_no_order_of_events_loses_a_place(order: tuple[str, ...], fails: bool, end: str) -> None:
    async def scenario() -> None:
        asked = Asked(fails, 60)
        await settle()
        for step in order:
            await asked.step(end if step == "end" else step)
        await asked.end()

    alone(scenario())


@pytest.mark.parametrize("fails", [False, True], ids=["returns", "raises"])
def test_a_limit_that_is_over_before_a_thread_begins_loses_none(fails: bool) -> None:
    async def scenario() -> None:
        asked = Asked(fails, 0)
        await asked.asked
        for step in STEPS:
            await asked.step(step)
        await asked.end()

    alone(scenario())


def test_what_a_client_that_went_had_sent_is_let_go_of() -> None:
    """Behind a thread that does not end, those that come and go must not fill the memory."""

    class Body:
        """What it sent."""

    async def scenario() -> None:
        work, pool = Work(1, 1, 60, Metrics()), ByHand()
        work.pool.shutdown()
        work.pool = pool  # type: ignore[assignment]
        bodies: list[weakref.ref[Body]] = []

        async def went() -> None:
            pass

        for _ in itertools.repeat(None, 5):
            body = Body()
            bodies.append(weakref.ref(body))
            with suppress(StoppedError), work.admitted(None) as ticket:
                await work.run(ticket, partial(id, body), went)
            del body
            await asyncio.sleep(0)
        gc.collect()
        assert len(pool.jobs) == 5
        assert [one() for one in bodies] == [None] * 5
        assert work.tickets == {}

    alone(scenario())
