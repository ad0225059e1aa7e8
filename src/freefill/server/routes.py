"""The routes of freefill's own API, and of what its page asks beside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import quote
from uuid import UUID

from fastapi import FastAPI, Header, Request, Response

from freefill import __version__
from freefill.imaging.picture import Picture
from freefill.server import fills, forms, metrics, openapi, schemas
from freefill.server.answers import answer
from freefill.server.core import Server
from freefill.server.problems import ProblemError


def add(app: FastAPI, server: Server) -> None:
    """Add the routes.

    Args:
        app: To which.
        server: What they share.
    """
    _add_fills(app, server)
    _add_state(app, server)


def _add_fills(app: FastAPI, server: Server) -> None:
    """Add what is done with images."""
    work = server.work

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
        async with server.place(request, fill_id) as ticket:
            options, files = await server.read(forms.read_fill(request))
            content, kind, details = await server.fill(request, ticket, files, options)
        return answer(request, content, kind, details, schemas.FillResult)

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
        size of the image itself. With a `mask`: what of the image that marks, as a PNG of the
        image's size, 8 bits of grey; `View-Size` tells the mask's own size, and `View-Notices`
        what a person should know of it.
        """
        async with server.place(request) as ticket:
            if forms.media_type_of(request) != forms.MULTIPART:
                raise ProblemError(415, "media-type", f"the body is to be {forms.MULTIPART}")
            reading = forms.read_multipart(request, schemas.ViewOptions, ("image", "mask"))
            options, files = await server.read(reading)

            def task(
                pictures: Mapping[str, Picture],
            ) -> tuple[bytes, str, tuple[int, int], list[str]]:
                image, mask = pictures["image"], pictures.get("mask")
                if mask is not None:
                    content, size, notices = fills.view_mask(image, mask, ticket)
                    return content, "image/png", size, notices
                return *fills.view(image, options.longest, ticket), []

            content, kind, (width, height), notices = await server.do(request, ticket, files, task)
        headers = {"View-Size": f"{width}x{height}"}
        if notices:
            headers["View-Notices"] = json.dumps(notices)
        return Response(content, media_type=kind, headers=headers)


def _add_state(app: FastAPI, server: Server) -> None:
    """Add what tells of the server."""
    settings = server.settings

    @app.get("/v1/models", **openapi.PLAIN)
    async def models() -> schemas.Models:
        """List the weights that can be asked for, and what a request may have."""
        limits = schemas.Limits(body=settings.max_body, pixels=settings.max_pixels)
        return schemas.Models(models=server.models.list(), limits=limits)

    @app.get("/healthz", **openapi.PLAIN)
    async def healthz() -> schemas.Health:
        """Tell that the server answers, however much it has to do."""
        return schemas.Health(version=__version__)

    @app.get("/readyz", **openapi.READY)
    async def readyz() -> schemas.Readiness:
        """Tell that the next request would find a place here."""
        return server.ready()

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
