"""What became of an image, in the form that a client would rather have."""

from __future__ import annotations

import base64
import json

from fastapi import Request, Response
from pydantic import BaseModel

from freefill.server import forms
from freefill.server.schemas import Details

HEADER = 6_000
"""Bytes of the details in a header, whose other lines have 1 kB."""
LINE = 200
"""Characters of a notice where not all of them fit."""


def answer(
    request: Request, content: bytes, media_type: str, details: Details, result: type[BaseModel]
) -> Response:
    """Answer by an image, or by JSON that holds it.

    Args:
        request: Whose ``Accept`` says which.
        content: The image's file.
        media_type: Of the file.
        details: What became of it; beside an image they are in the header ``Fill-Details``.
        result: The same with ``media_type`` and ``image``.

    Returns:
        The answer.
    """
    if forms.prefers_json(request.headers.get("accept", "")):
        coded = base64.b64encode(content).decode("ascii")
        whole = result(**details.model_dump(), media_type=media_type, image=coded)
        return Response(whole.model_dump_json(), media_type="application/json")
    return Response(content, media_type=media_type, headers={"Fill-Details": header(details)})


def header(details: Details) -> str:
    """Give details as a header, which proxies take up to 8 kB of.

    Args:
        details: What became of an image. Notices that do not fit are cut, or counted: JSON holds
            all of them.

    Returns:
        JSON of at most :data:`HEADER` bytes. A header is ASCII: what is not is written out, as JSON
        allows.
    """
    held = details.model_dump()
    if len(told := json.dumps(held)) <= HEADER:
        return told
    cut = [line if len(line) <= LINE else f"{line[:LINE]}..." for line in details.notices]
    for kept in range(len(cut), -1, -1):
        left = len(cut) - kept
        more = [f"and {left} more: Accept: {forms.JSON} gives all of them"] if left else []
        if len(told := json.dumps({**held, "notices": [*cut[:kept], *more]})) <= HEADER:
            break
    return told
