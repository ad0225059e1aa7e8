"""The application: routes, and what an error becomes."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, TypeVar
from urllib.parse import quote
from uuid import UUID

from fastapi import FastAPI, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from freefill import __version__
from freefill.engines.onnx import available_cores
from freefill.errors import FreefillError
from freefill.server import fills, forms, metrics, openapi, pages, schemas
from freefill.server.guard import Guard, drain
from freefill.server.models import Served
from freefill.server.problems import ProblemError
from freefill.server.settings import Settings
from freefill.server.work import StoppedError, Ticket, Work

T = TypeVar("T")
GONE = 499
"""What nginx calls a client that went away; nobody is there to read it."""


class Server:
    """What the routes share.

    Args:
        settings: Permissions and limits.
        photo: Name and content of the file that the page is to open.

    Raises:
        WeightsError: If the models cannot be loaded.
    """

    def __init__(self, settings: Settings, photo: tuple[str, bytes] | None = None) -> None:
        self.settings = settings
        self.photo = photo
        workers = settings.workers or available_cores()
        # One core a photo: decoding and encoding then have as many cores as the network.
        self.models = Served(settings.models, 1 if workers > 1 else None)
        self.metrics = metrics.Metrics()
        self.work = Work(workers, settings.queue, settings.timeout, self.metrics)

    async def do(self, request: Request, ticket: Ticket, pixels: int, task: Callable[[], T]) -> T:
        """Have a worker do something for a request, and count what became of it."""

        def in_room() -> T:
            with self.work.room.taken(pixels):
                ticket.check()
                return task()

        async def gone() -> None:
            while (await request.receive())["type"] != "http.disconnect":
                pass

        try:
            result = await self.work.run(ticket, in_room, gone)
        except FreefillError as error:
            self.metrics.count("refused")
            raise ProblemError(422, kind_of(error), str(error)) from None
        except (ProblemError, StoppedError):
            raise
        except Exception:
            self.metrics.count("failed")
            raise
        self.metrics.count("filled")
        return result


def kind_of(error: FreefillError) -> str:
    """Give the last part of the problem's type: ``image`` of an ImageError."""
    return type(error).__name__.removesuffix("Error").lower()


def build(settings: Settings, photo: tuple[str, bytes] | None = None) -> ASGIApp:
    """Make the application.

    Args:
        settings: Permissions and limits.
        photo: Name and content of the file that the page is to open.

    Returns:
        An ASGI application.

    Raises:
        WeightsError: If the models cannot be loaded.
    """
    server = Server(settings, photo)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        server.work.close()

    app = FastAPI(
        title="freefill",
        version=__version__,
        description="Free-form image inpainting: an image and a mask in, a filled image out.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.server = server
    _add_errors(app)
    _add_routes(app, server)
    app.router.routes.extend(pages.routes())
    openapi.install(app)
    if settings.allow_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.allow_origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "Fill-Id"],
            expose_headers=["Fill-Details", "View-Size", "Retry-After"],
        )
    return Guard(app, settings)


def _add_routes(app: FastAPI, server: Server) -> None:
    settings, work = server.settings, server.work

    @app.post("/v1/fill", **openapi.FILL)
    async def fill(
        request: Request,
        fill_id: Annotated[
            UUID | None,
            Header(description="Chosen by the client: `/v1/fills/{id}` then tells how far it is."),
        ] = None,
    ) -> Response:
        """Fill the masked part of an image.

        Every pixel outside the mask is the image's. With `Accept: application/json` the answer is
        JSON, else the image; what became of the fill is then in the header `Fill-Details`.
        """
        async with place(request, fill_id) as ticket:
            options, image, mask = await within(settings, forms.read_fill(request))
            name = server.models.check(options.model)
            server.metrics.body.inc(len(image) + len(mask or b""))
            pixels = fills.pixels_of(image, settings.max_pixels)

            def task() -> tuple[bytes, str, schemas.Details]:
                inpainter = server.models.get(name)
                return fills.fill(inpainter, image, mask, options, settings.max_pixels, ticket)

            content, kind, details = await server.do(request, ticket, pixels, task)
        server.metrics.seconds.observe(details.seconds)
        if forms.prefers_json(request.headers.get("accept", "")):
            coded = base64.b64encode(content).decode("ascii")
            result = schemas.FillResult(**details.model_dump(), media_type=kind, image=coded)
            return Response(result.model_dump_json(), media_type="application/json")
        # A header is ASCII: what is not is written out, as JSON allows.
        told = json.dumps(details.model_dump(), ensure_ascii=True)
        return Response(content, media_type=kind, headers={"Fill-Details": told})

    @app.get("/v1/fills/{id}", **openapi.PROGRESS)
    async def progress(id: UUID) -> schemas.Progress:
        """Tell how far a fill is."""
        ticket = work.named.get(id)
        if ticket is None:
            return schemas.Progress(state="unknown")
        return schemas.Progress(
            state=ticket.state, ahead=work.ahead(ticket), done=ticket.done, total=ticket.total
        )

    @app.post("/v1/view", **openapi.VIEW)
    async def view(request: Request) -> Response:
        """Give any image that can be read as one that a browser can show.

        Upright, 8 bits, as JPEG, or as PNG where there is alpha; the header `View-Size` tells the
        size of the image itself.
        """
        async with place(request, None) as ticket:
            if forms.media_type_of(request) != forms.MULTIPART:
                raise ProblemError(415, "media-type", f"the body is to be {forms.MULTIPART}")
            reading = forms.read_multipart(request, schemas.ViewOptions, ("image",))
            options, files = await within(settings, reading)
            image = files["image"]
            server.metrics.body.inc(len(image))
            pixels = fills.pixels_of(image, settings.max_pixels)
            content, kind, (width, height) = await server.do(
                request,
                ticket,
                pixels,
                lambda: fills.view(image, options.longest, settings.max_pixels, ticket),
            )
        return Response(content, media_type=kind, headers={"View-Size": f"{width}x{height}"})

    @app.get("/v1/models", **openapi.PLAIN)
    async def models() -> schemas.Models:
        """List the weights that can be asked for, and what a request may have."""
        limits = schemas.Limits(body=settings.max_body, pixels=settings.max_pixels)
        return schemas.Models(models=server.models.list(), limits=limits)

    @app.get("/healthz", **openapi.PLAIN)
    async def healthz() -> schemas.Health:
        """Tell that the server answers."""
        return schemas.Health(version=__version__)

    @app.get("/metrics", **openapi.METRICS)
    async def metrics_text() -> Response:
        """Give counters for Prometheus."""
        return Response(server.metrics.text(), media_type=metrics.MEDIA_TYPE)

    @app.get("/studio/photo", include_in_schema=False)
    async def photo() -> Response:
        if server.photo is None:
            raise ProblemError(404, "photo", "this server was started without a photo")
        name, content = server.photo
        disposition = f"inline; filename*=UTF-8''{quote(name, safe='')}"
        headers = {"Content-Disposition": disposition, "Cache-Control": "no-store"}
        return Response(content, media_type="application/octet-stream", headers=headers)

    @asynccontextmanager
    async def place(request: Request, name: UUID | None) -> AsyncIterator[Ticket]:
        """Hold a place; what is refused before its body was read is read to its end."""
        try:
            with work.admitted(name) as ticket:
                yield ticket
        except ProblemError as problem:
            if problem.status in (409, 415, 429):
                await drain(request.receive, 4 * settings.max_body, settings.body_seconds)
            raise


async def within(settings: Settings, reading: Awaitable[T]) -> T:
    """Read a body, as long as that may take.

    Raises:
        ProblemError: 408 after that.
    """
    try:
        async with asyncio.timeout(settings.body_seconds):
            return await reading
    except TimeoutError:
        raise ProblemError(
            408, "slow", f"the body did not come within {settings.body_seconds:g} s"
        ) from None


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(ProblemError)
    async def problem(request: Request, error: ProblemError) -> Response:
        return error.response()

    @app.exception_handler(StoppedError)
    @app.exception_handler(ClientDisconnect)
    async def gone(request: Request, error: Exception) -> Response:
        return Response(status_code=GONE)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        kind = {404: "path", 405: "method"}.get(error.status_code, "http")
        detail = str(error.detail)
        if error.status_code == 404 and detail == "Not Found":
            detail = f"there is no {request.url.path!r} here"
        return ProblemError(error.status_code, kind, detail, error.headers).response()

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        errors = [
            {"field": ".".join(map(str, one["loc"])), "message": one["msg"]}
            for one in error.errors()
        ]
        told = "; ".join(f"{one['field']}: {one['message']}" for one in errors)
        return ProblemError(422, "field", told, errors=errors).response()

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> Response:
        # Uvicorn writes the traceback to the log.
        return ProblemError(500, "bug", "this is a bug of freefill; its log tells more").response()
