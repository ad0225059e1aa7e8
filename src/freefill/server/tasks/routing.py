"""The routes of all tasks."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import FastAPI, Request, Response

from freefill.imaging.picture import Picture
from freefill.server import forms, openapi
from freefill.server.answers import answer
from freefill.server.core import Server
from freefill.server.problems import ProblemError
from freefill.server.tasks.route import TaskDetails, TaskRoute, VerbResult, perform
from freefill.server.tasks.table import ROUTES


def add(app: FastAPI, server: Server) -> None:
    """Add them.

    Args:
        app: To which.
        server: What all routes share.
    """
    for task_route in ROUTES:
        _add(app, server, task_route)


def _add(app: FastAPI, server: Server, task_route: TaskRoute) -> None:
    task, form, names = task_route.task, task_route.form, ("image", *task_route.files)
    about = openapi.form_route(form, VerbResult, *names)
    summary = f"{task.summary} {task_route.note}".strip()

    @app.post(
        f"/v1/{task.name}", operation_id=task.name, summary=task.name.capitalize(),
        description=f"{summary} With `Accept: application/json` the answer is JSON, else the "
        "image; what became of it is then in the header `Fill-Details`.",
        **about,
    )  # fmt: skip
    async def route(request: Request) -> Response:
        async with server.place(request) as ticket:
            if forms.media_type_of(request) != forms.MULTIPART:
                raise ProblemError(415, "media-type", f"the body is to be {forms.MULTIPART}")
            reading = forms.read_multipart(request, form, names)
            options, files = await server.read(reading)
            name = server.models.check(options.model)

            def work(pictures: Mapping[str, Picture]) -> tuple[bytes, str, TaskDetails]:
                inpainter, most = server.models.get(name), server.settings.max_pixels
                return perform(task_route, inpainter, pictures, options, most, ticket)

            content, kind, details = await server.do(request, ticket, files, work)
        return answer(request, content, kind, details, VerbResult)
