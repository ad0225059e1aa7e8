"""Requests to bytes and options. Nothing that comes in is written to the disk."""

from __future__ import annotations

import base64
import binascii
import json
import string
from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from freefill.server.problems import ProblemError
from freefill.server.schemas import FillBody, FillOptions

Options = TypeVar("Options", bound=BaseModel)

JSON = "application/json"
MULTIPART = "multipart/form-data"
FIELDS = 20
_NO_SPACE = str.maketrans("", "", string.whitespace)
EXTRA_FILES = ("mask", "sketch", "colour")
"""Files that a fill can have beside its image."""


class _InMemory(MultiPartParser):
    """The parser keeps what it reads; its body was measured before it came here."""

    spool_max_size = 2**62


async def read_multipart(
    request: Request, kind: type[Options], files: tuple[str, ...]
) -> tuple[Options, dict[str, bytes]]:
    """Read a form.

    Args:
        request: Whose body it is.
        kind: What its fields are.
        files: Names of the fields that are files.

    Returns:
        The fields, and the files that were there.

    Raises:
        ProblemError: 400 for a body that is no form, 422 for fields that are wrong.
    """
    parser = _InMemory(request.headers, request.stream(), max_files=FIELDS, max_fields=FIELDS)
    try:
        form = await parser.parse()
    except (MultiPartException, HTTPException, ValueError, UnicodeError) as error:
        raise ProblemError(400, "form", f"the body is no multipart form: {error}") from None
    found: dict[str, bytes] = {}
    fields: dict[str, str] = {}
    try:
        for name, value in form.multi_items():
            if name in found or name in fields:
                raise ProblemError(422, "field", f"the field {name!r} is there twice")
            if isinstance(value, UploadFile) and name in files:
                found[name] = await value.read()
            elif isinstance(value, UploadFile) or name in files:
                what = "a file (give it a filename)" if name in files else "no file"
                raise ProblemError(422, "field", f"the field {name!r} is to be {what}")
            else:
                fields[name] = value
    finally:
        await form.close()
    if "image" not in found:
        raise ProblemError(422, "field", "the form has no file called 'image'")
    return _validated(kind, fields), found


async def read_json(
    request: Request, kind: type[Options], strict: bool = True, most: int | None = None
) -> Options:
    """Read a JSON body.

    Args:
        request: Whose body it is.
        kind: What it is.
        strict: Whether a number is to be a number, not a text of digits.
        most: Bytes that it may have, where that is less than the server's limit.

    Returns:
        It.

    Raises:
        ProblemError: 400 for a body that is no JSON, 413 for one that is too large, 422 for fields
            that are wrong.
    """
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        # Who is still sending does not read the answer: the rest is taken in, and not kept.
        if most is None or size <= most:
            pieces.append(piece)
    if most is not None and size > most:
        raise ProblemError(
            413, "body", f"the body has {size:,} bytes, of {most:,} that it may have"
        )
    try:
        content = json.loads(b"".join(pieces))
    except (ValueError, RecursionError) as error:
        raise ProblemError(400, "json", f"the body is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise ProblemError(422, "field", f"the body is a {type(content).__name__}, not an object")
    return _validated(kind, content, strict)


async def read_fill(request: Request) -> tuple[FillOptions, dict[str, bytes]]:
    """Read a fill, as a form or as JSON.

    Returns:
        Options, and files by their fields.

    Raises:
        ProblemError: 415 if it is neither, else as the readers raise it.
    """
    media_type = media_type_of(request)
    if media_type == MULTIPART:
        return await read_multipart(request, FillOptions, ("image", *EXTRA_FILES))
    if media_type == JSON:
        body = await read_json(request, FillBody)
        texts = {name: getattr(body, name) for name in ("image", *EXTRA_FILES)}
        return body, {k: decoded(text, k) for k, text in texts.items() if text is not None}
    raise ProblemError(
        415,
        "media-type",
        f"the body is {media_type or 'of no type'}; it can be {MULTIPART} or {JSON}",
    )


def media_type_of(request: Request) -> str:
    """Give the type of a request's body, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def decoded(text: str, name: str) -> bytes:
    r"""Decode base64, with or without the head of a data URL; white space in it does not count.

    Args:
        text: The text.
        name: Of its field, for the error.

    Returns:
        The bytes.

    Raises:
        ProblemError: 422 if it is something else.

    Examples:
        >>> decoded("data:image/png;base64,aGk=", "image"), decoded("aG\nk=\n", "image")
        (b'hi', b'hi')
    """
    text = text.lstrip()
    if text.startswith("data:"):
        head, comma, text = text.partition(",")
        if not comma or not head.endswith(";base64"):
            raise ProblemError(422, "field", f"{name}: a data URL is to be of base64")
    # `base64 FILE` breaks its lines, as MIME does.
    if any(space in text for space in string.whitespace):
        text = text.translate(_NO_SPACE)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ProblemError(422, "field", f"{name} is not base64: {error}") from None


def prefers_json(accept: str) -> bool:
    """Tell whether a client would rather have JSON than an image.

    Args:
        accept: Its ``Accept`` header.

    Returns:
        False where it does not say, or likes both the same.

    Examples:
        >>> prefers_json("application/json"), prefers_json("image/*, application/json;q=0.5")
        (True, False)
    """
    image = text = 0.0
    for part in accept.split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name == "q":
                try:
                    quality = float(value)
                except ValueError:
                    quality = 0.0
        if kind == JSON:
            text = max(text, quality)
        elif kind == "*/*" or kind.startswith("image/"):
            image = max(image, quality)
    return text > image


def _validated(kind: type[Options], fields: Mapping[str, object], strict: bool = False) -> Options:
    try:
        return kind.model_validate(fields, strict=strict)
    except ValidationError as error:
        errors = [
            {"field": ".".join(map(str, one["loc"])), "message": one["msg"]}
            for one in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        detail = "; ".join(f"{one['field']}: {one['message']}" for one in errors)
        raise ProblemError(422, "field", detail, errors=errors) from None
