"""Errors as RFC 9457 has them: ``application/problem+json``."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse

MEDIA_TYPE = "application/problem+json"


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
