"""What all routes share: the models, the queue, and how a request goes through it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TypeVar
from uuid import UUID

from starlette.requests import ClientDisconnect, Request

from freefill.errors import DoubtError, FreefillError, OutOfMemoryError, spell
from freefill.imaging.picture import Picture
from freefill.pipeline.engines.cpu_count import available_cores
from freefill.server import fills, schemas
from freefill.server.decoding import Decoders
from freefill.server.guard import drain
from freefill.server.metrics import Metrics
from freefill.server.models import Served
from freefill.server.problems import ProblemError, field
from freefill.server.settings import Settings
from freefill.server.work import StoppedError, Ticket, Work

T = TypeVar("T")


class Server:
    """What the routes share.

    Args:
        settings: Permissions and limits.
        photo: Name and content of the file that the page is to open.
        leaving: Set once the process is about to stop.

    Raises:
        WeightsError: If the models cannot be loaded.
    """

    def __init__(
        self, settings: Settings, photo: tuple[str, bytes] | None, leaving: threading.Event
    ) -> None:
        self.settings = settings
        self.photo = photo
        self.leaving = leaving
        workers = workers_of(settings)
        # One core a photo: decoding and encoding then have as many cores as the network.
        self.models = Served(settings.models, 1 if workers > 1 else None, settings.device)
        self.metrics = Metrics()
        self.work = Work(workers, settings.queue, settings.timeout, self.metrics)
        self.decoders = Decoders(workers)

    def start(self) -> None:
        """Start the processes that decode; without this, each is started by its first request."""
        self.decoders.start()

    def close(self) -> None:
        """Wait for what is still in work, and end the processes that decode."""
        self.work.close()
        self.decoders.close()

    def ready(self) -> schemas.Readiness:
        """Tell whether the next request would find a place; the models are loaded before this is.

        Raises:
            ProblemError: 503 if there is no place, or the process is about to stop.
        """
        if self.leaving.is_set():
            raise ProblemError(503, "leaving", "this server is about to stop: ask another")
        if self.work.free == 0:
            raise self.work.busy(503)
        return schemas.Readiness(free=self.work.free)

    @asynccontextmanager
    async def place(self, request: Request, name: UUID | None = None) -> AsyncIterator[Ticket]:
        """Hold a place in the queue.

        Args:
            request: If it is refused before its body was read, the body is read to its end.
            name: By which its progress can be asked for.

        Raises:
            ProblemError: 429 if there is no place, 409 if the name is taken.
        """
        try:
            with self.work.admitted(name) as ticket:
                yield ticket
        except ProblemError as problem:
            if problem.status in (409, 415, 429):
                most, seconds = 4 * self.settings.max_body, self.settings.body_seconds
                await drain(request.receive, most, seconds)
            raise

    async def read(self, reading: Awaitable[T]) -> T:
        """Read a body, as long as that may take.

        Raises:
            ProblemError: 408 after that, else what the reading raises.
            ClientDisconnect: If the client goes.
        """
        seconds = self.settings.body_seconds
        try:
            async with asyncio.timeout(seconds):
                return await reading
        except ClientDisconnect:
            # One that goes before its body is whole has gone as one that goes later.
            self.metrics.count("cancelled")
            raise
        except TimeoutError:
            raise ProblemError(408, "slow", f"the body did not come within {seconds:g} s") from None

    async def fill(
        self,
        request: Request,
        ticket: Ticket,
        files: Mapping[str, bytes],
        options: schemas.FillOptions,
    ) -> tuple[bytes, str, schemas.Details]:
        """Fill one image; as :func:`freefill.server.fills.fill`, from files, in a worker.

        Raises:
            ProblemError: If it cannot be filled, or not within the time limit.
            StoppedError: If the client has gone.
        """
        name = self.models.check(options.model)
        most = self.settings.max_pixels

        def task(pictures: Mapping[str, Picture]) -> tuple[bytes, str, schemas.Details]:
            return fills.fill(self.models.get(name), pictures, options, most, ticket)

        answer = await self.do(request, ticket, files, task)
        self.metrics.seconds.observe(answer[2].seconds)
        return answer

    async def do(
        self,
        request: Request,
        ticket: Ticket,
        files: Mapping[str, bytes],
        task: Callable[[Mapping[str, Picture]], T],
    ) -> T:
        """Have files decoded and a worker do something with them; count what became of it.

        Args:
            request: Whose files they are.
            ticket: Its place.
            files: Encoded, by their fields; one is ``image``.
            task: Takes the pictures, by the same fields.

        Returns:
            What the task returns.

        Raises:
            ProblemError: If it cannot be done, or not within the time limit.
            StoppedError: If the client has gone.
        """
        self.metrics.body.inc(sum(map(len, files.values())))

        def within_budget() -> T:
            with self.decoders.one() as decoder:
                pixels = decoder.measure(files, self.settings.max_pixels)
                # Large ones wait for each other, as in a batch.
                with self.work.budget.taken(pixels_in_work(pixels)):
                    ticket.begin()
                    return task(decoder.read())

        async def gone() -> None:
            while (await request.receive())["type"] != "http.disconnect":
                pass

        try:
            result = await self.work.run(ticket, within_budget, gone)
        except MemoryError as error:
            self.metrics.count("failed")
            detail = "there was not enough memory for this image at this moment"
            if isinstance(error, OutOfMemoryError) and str(error):
                detail = str(error)
            raise ProblemError(503, "memory", detail, {"Retry-After": "10"}) from None
        except FreefillError as error:
            self.metrics.count("refused")
            figures = error.figures if isinstance(error, DoubtError) else None
            raise ProblemError(
                422, kind_of(error), spell(str(error), field), figures=figures
            ) from None
        except (ProblemError, StoppedError) as error:
            if getattr(error, "status", 0) == 500:
                self.metrics.count("failed")
            raise
        except Exception:
            self.metrics.count("failed")
            raise
        self.metrics.count("filled")
        return result


def workers_of(settings: Settings) -> int:
    """Give how many photos are worked on at a time."""
    return settings.workers or available_cores()


def pixels_in_work(pixels: Mapping[str, int]) -> int:
    """Count the pixels of a request's files against those that can be in work at a time.

    What a photo is counted for has room for a mask of its size; anything else comes on top.

    Args:
        pixels: Width times height of each file, by its field.

    Examples:
        >>> pixels_in_work({"image": 12, "mask": 12})
        12
        >>> pixels_in_work({"image": 1, "mask": 100, "colour": 50})
        150
    """
    photo, mask = pixels.get("image", 0), pixels.get("mask", 0)
    return sum(pixels.values()) - min(photo, mask)


def kind_of(error: FreefillError) -> str:
    """Give the last part of the problem's type: ``image`` of an ImageError."""
    return type(error).__name__.removesuffix("Error").lower()
