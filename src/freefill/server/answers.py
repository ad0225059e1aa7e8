"""What became of an image, in the form that a client would rather have."""

from __future__ import annotations

import base64
import json

from fastapi import Request, Response
from pydantic import BaseModel

from freefill.server import forms


def answer(
    request: Request, content: bytes, media_type: str, details: BaseModel, result: type[BaseModel]
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
    # A header is ASCII: what is not is written out, as JSON allows.
    told = json.dumps(details.model_dump(), ensure_ascii=True)
    return Response(content, media_type=media_type, headers={"Fill-Details": told})
