"""The application: its routes, and what an error becomes."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.routing import Match
from starlette.types import ASGIApp

from freefill import __version__
from freefill.server import iopaint, openapi, pages, reference, routes
from freefill.server.access_log import GONE
from freefill.server.core import Server
from freefill.server.guard import Guard
from freefill.server.problems import ProblemError
from freefill.server.settings import Settings
from freefill.server.tasks import routing
from freefill.server.work import StoppedError


def build(
    settings: Settings,
    photo: tuple[str, bytes] | None = None,
    leaving: threading.Event | None = None,
) -> ASGIApp:
    """Make the application.

    Args:
        settings: Permissions and limits.
        photo: Name and content of the file that the page is to open.
        leaving: Set it once the process is about to stop: it is not ready any more then, and ends
            each connection after an answer.

    Returns:
        An ASGI application.

    Raises:
        WeightsError: If the models cannot be loaded.
    """
    leaving = leaving or threading.Event()
    server = Server(settings, photo, leaving)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        server.start()
        yield
        server.close()

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
    routes.add(app, server)
    iopaint.add(app, server)
    routing.add(app, server)
    openapi.install(app)
    docs = reference.page(lambda: app.openapi(), settings.token is not None)
    app.router.routes.extend(pages.routes(docs))
    if settings.allow_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.allow_origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "Fill-Id"],
            expose_headers=["Fill-Details", "View-Size", "View-Notices", "Retry-After", "X-Seed"],
        )
    return Guard(app, settings, leaving)


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
        headers = dict(error.headers or {})
        if error.status_code == 405:
            # A path with two routes has the methods of both.
            matching = [
                one for one in app.router.routes if one.matches(request.scope)[0] is Match.PARTIAL
            ]
            methods = {name for one in matching for name in getattr(one, "methods", None) or ()}
            headers["Allow"] = ", ".join(sorted(methods))
        return ProblemError(error.status_code, kind, detail, headers).response()

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        errors = [
            {"field": ".".join(map(str, one["loc"])), "message": one["msg"]}
            for one in error.errors()
        ]
        detail = "; ".join(f"{one['field']}: {one['message']}" for one in errors)
        return ProblemError(422, "field", detail, errors=errors).response()

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> Response:
        # Uvicorn writes the traceback to the log.
        return ProblemError(500, "bug", "this is a bug of freefill; its log tells more").response()
