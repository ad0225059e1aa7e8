"""Errors as RFC 9457 has them: ``application/problem+json``."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse

MEDIA_TYPE = "application/problem+json"


KINDS = {
    "form": ((400,), "The body is no form."),
    "http": ((400,), "The request is broken in another way."),
    "json": ((400,), "The body is no JSON."),
    "token": ((401,), "The token is missing or wrong."),
    "origin": ((403,), "A page of another site asks that `--allow-origin` does not name."),
    "path": ((404,), "There is no such path."),
    "photo": ((404,), "The server was started without a photo."),
    "method": ((405,), "The path has other methods; `Allow` names them."),
    "slow": ((408,), "The body did not come in time."),
    "fill-id": ((409,), "A fill with this `Fill-Id` is being worked on."),
    "body": ((413,), "The body is larger than `--max-body`."),
    "media-type": ((415,), "The body is of a type that the path does not take."),
    "host": ((421,), "The server is not called by this name."),
    "field": (
        (422,),
        "A field is missing, unknown or out of bounds; `errors` has one entry each.",
    ),
    "image": (
        (422,),
        "It cannot be read, is beyond `--max-pixels`, or lacks what is asked for.",
    ),
    "mask": ((422,), "The mask cannot be read, is ambiguous, or does not fit the image."),
    "doubt": (
        (422,),
        "What was found is doubtful; `figures` say how much.",
    ),
    "guidance": ((422,), "The sketch or the colours cannot be used."),
    "model": ((422,), "No model of that name is served."),
    "config": ((422,), "Values that do not go together."),
    "weights": ((422, 500), "The weights cannot be used."),
    "referencemissing": (
        (422,),
        "A network has to be fetched on the server first.",
    ),
    "extramissing": ((422,), "A package is missing on the server."),
    "busy": ((429, 503), "There is no place; `Retry-After` says when to ask again."),
    "memory": ((503,), "There is not enough memory at this moment."),
    "time-limit": ((503,), "`--timeout` has passed."),
    "leaving": ((503,), "The server is about to stop."),
    "bug": ((500,), "A fault of freefill; the server's log has more."),
}
"""Last parts of problem types: with which codes each comes, and what it means."""
FIELDS = {"file_format": "format"}
"""Arguments whose field has another name."""


def field(name: str, value: str | None) -> str:
    """Spell an argument of the library as a field of a form.

    Args:
        name: The argument.
        value: What it is to be, if that is said.

    Examples:
        >>> field("invert", "True"), field("file_format", "png")
        ('`invert=true`', '`format=png`')
    """
    spelled = FIELDS.get(name, name)
    if name == "max_pixels":
        # Not the client's to choose.
        return f"the server's --max-pixels {value}"
    if value is None:
        return f"`{spelled}`"
    return f"`{spelled}={value.lower() if value in ('True', 'False') else value}`"


class ProblemError(Exception):
    """An answer that is an error.

    Args:
        status: HTTP's code.
        kind: Last part of the problem's type.
        detail: What was wrong, with numbers, and what to do.
        headers: To send with it.
        errors: One entry for each field that was wrong; for IOPaint's page, a line.
        figures: What a doubt rests on, numbers by name.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
        errors: list[dict[str, Any]] | str | None = None,
        figures: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.headers = dict(headers or {})
        self.errors = errors
        self.figures = figures

    def response(self) -> JSONResponse:
        """Give it as a response."""
        body: dict[str, Any] = {
            "type": f"urn:freefill:problem:{self.kind}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors is not None:
            body["errors"] = self.errors
        if self.figures is not None:
            body["figures"] = dict(self.figures)
        return JSONResponse(body, self.status, self.headers, MEDIA_TYPE)


def too_large(size: int | None, most: int) -> ProblemError:
    """Give the answer to a body beyond the limit."""
    found = "more" if size is None else f"{size / 1e6:.1f} MB"
    detail = f"the body is {found}; the limit is {most / 1e6:.1f} MB (--max-body)"
    return ProblemError(413, "body", detail)
