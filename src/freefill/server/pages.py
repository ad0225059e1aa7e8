"""The studio's page: its files, read once, so that no path of a request is a path of the disk."""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Callable
from importlib import resources

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


def routes(reference: Callable[[str], bytes]) -> list[Route]:
    """Give the routes of all files of the page, and of ``/docs``.

    Args:
        reference: Gives the page of the API for the name by which the server is called.
    """
    files = {}
    for entry in resources.files("freefill.server").joinpath("page").iterdir():
        name = "" if entry.name == "index.html" else entry.name
        files[name] = _file(entry.name, entry.read_bytes())

    async def give(request: Request) -> Response:
        name = request.path_params.get("name", "")
        if name not in files:
            raise HTTPException(404, f"there is no {request.url.path!r} here")
        return answer(request, *files[name])

    async def docs(request: Request) -> Response:
        return answer(request, *_file("docs.html", reference(request.url.netloc)))

    def answer(request: Request, content: bytes, headers: dict[str, str]) -> Response:
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers)

    return [Route("/", give), Route("/docs", docs), Route("/{name}", give)]


def _file(name: str, content: bytes) -> tuple[bytes, dict[str, str]]:
    ending = "." + name.rpartition(".")[2]
    kind = TYPES.get(ending) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    charset = "; charset=utf-8" if kind.startswith("text/") else ""
    tag = hashlib.sha256(content).hexdigest()[:16]
    return content, {
        "Content-Type": kind + charset,
        "ETag": f'"{tag}"',
        # Asked for each time and mostly not sent again: an update is seen at once.
        "Cache-Control": "no-cache",
    }
