"""The routes of all verbs."""

from __future__ import annotations

import base64
import json

from fastapi import FastAPI, Request, Response

from freefill.server import forms, openapi
from freefill.server.core import Server
from freefill.server.problems import ProblemError
from freefill.server.tasks import VERBS
from freefill.server.tasks.verb import Verb, VerbDetails, VerbResult, perform


def add(app: FastAPI, server: Server) -> None:
    """Add them.

    Args:
        app: To which.
        server: What all routes share.
    """
    for verb in VERBS:
        _add(app, server, verb)


def _add(app: FastAPI, server: Server, verb: Verb) -> None:
    about = openapi.form_route(verb.options, VerbResult, "image", *verb.beside)

    @app.post(
        f"/v1/{verb.name}", operation_id=verb.name, summary=verb.name.capitalize(),
        description=f"{verb.summary} With `Accept: application/json` the answer is JSON, else the "
        "image; what became of it is then in the header `Fill-Details`.",
        **about,
    )  # fmt: skip
    async def route(request: Request) -> Response:
        async with server.place(request) as ticket:
            if forms.media_type_of(request) != forms.MULTIPART:
                raise ProblemError(415, "media-type", f"the body is to be {forms.MULTIPART}")
            reading = forms.read_multipart(request, verb.options, ("image", *verb.beside))
            options, files = await server.read(reading)
            name = server.models.check(options.model)
            server.metrics.body.inc(sum(map(len, files.values())))

            def task() -> tuple[bytes, str, VerbDetails]:
                inpainter = server.models.get(name)
                return perform(verb, inpainter, files, options, server.settings.max_pixels, ticket)

            content, kind, details = await server.do(request, ticket, files["image"], task)
        if forms.prefers_json(request.headers.get("accept", "")):
            coded = base64.b64encode(content).decode("ascii")
            result = VerbResult(**details.model_dump(), media_type=kind, image=coded)
            return Response(result.model_dump_json(), media_type="application/json")
        told = json.dumps(details.model_dump(), ensure_ascii=True)
        return Response(content, media_type=kind, headers={"Fill-Details": told})
