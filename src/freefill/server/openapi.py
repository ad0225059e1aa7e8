"""What the OpenAPI says of each route beyond what its types do: bodies, answers, problems."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import Response
from pydantic import BaseModel

from freefill.server import problems, schemas
from freefill.server.forms import EXTRA_FILES

REASONS = {
    400: "The body is no form, or no JSON",
    401: "The token is missing or wrong",
    403: "A page of another origin asks",
    408: "The body came too slowly",
    409: "A fill with this id is being worked on",
    413: "The body is too large",
    415: "The body is of another type",
    421: "The server is not called by this name",
    422: "A field, the image, or what is beside it cannot be used",
    429: "Too many are waiting",
    500: "A bug",
    503: "The time limit has passed",
}
GUARDED = (401, 403, 413, 421, 500)
RETRY = {"Retry-After": {"schema": {"type": "string"}, "description": "Seconds."}}
BINARY = {"schema": {"type": "string", "format": "binary"}}
IMAGES = ("png", "jpeg", "webp", "tiff", "avif", "bmp", "gif", "heif", "jp2", "x-portable-anymap")


def _problems(*codes: int) -> dict[int | str, dict[str, Any]]:
    """Describe the errors of a route: its own, and those of every one."""
    schema = {"$ref": "#/components/schemas/Problem"}
    found: dict[int | str, dict[str, Any]] = {}
    for code in sorted({*codes, *GUARDED}):
        found[code] = {
            "description": REASONS[code],
            "content": {problems.MEDIA_TYPE: {"schema": schema}},
        }
        if code in (429, 503):
            found[code]["headers"] = RETRY
    return found


def _form(options: type[BaseModel], *files: str) -> dict[str, Any]:
    """Describe a form: the options, and files beside them."""
    schema = options.model_json_schema()
    parts: dict[str, Any] = {name: {"type": "string", "format": "binary"} for name in files}
    if options is schemas.FillOptions:
        for name in EXTRA_FILES:
            parts[name]["description"] = schemas.FillBody.model_fields[name].description
    schema["properties"] = {**parts, **schema["properties"]}
    schema["required"] = [files[0]]
    return {"schema": schema}


FILL: dict[str, Any] = {
    "response_class": Response,
    "responses": {
        200: {
            "description": "The filled image, or what became of it.",
            "model": schemas.FillResult,
            "content": {f"image/{name}": BINARY for name in IMAGES},
            "headers": {
                "Fill-Details": {
                    "schema": {"type": "string"},
                    "description": "With an image: `Details` as JSON.",
                }
            },
        },
        **_problems(400, 408, 409, 415, 422, 429, 503),
    },
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": _form(schemas.FillOptions, "image", *EXTRA_FILES),
                "application/json": {"schema": schemas.FillBody.model_json_schema()},
            },
        }
    },
}
VIEW: dict[str, Any] = {
    "response_class": Response,
    "responses": {
        200: {
            "description": "The image for a screen.",
            "content": {"image/png": BINARY, "image/jpeg": BINARY},
            "headers": {
                "View-Size": {
                    "schema": {"type": "string", "pattern": "^[0-9]+x[0-9]+$"},
                    "description": "Width and height of the image itself, or of the mask.",
                },
                "View-Notices": {
                    "schema": {"type": "string", "contentMediaType": "application/json"},
                    "description": "Lines that a person should read of the mask.",
                },
            },
        },
        **_problems(400, 408, 415, 422, 429, 503),
    },
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {"multipart/form-data": _form(schemas.ViewOptions, "image", "mask")},
        }
    },
}


def form_route(options: type[BaseModel], result: type[BaseModel], *files: str) -> dict[str, Any]:
    """Describe a route that takes a form of files and options and gives an image."""
    header = {"schema": {"type": "string"}, "description": "With an image: its details as JSON."}
    return {
        "response_class": Response,
        "responses": {
            200: {
                "description": "The image, or what became of it.",
                "model": result,
                "content": {f"image/{name}": BINARY for name in IMAGES},
                "headers": {"Fill-Details": header},
            },
            **_problems(400, 408, 415, 422, 429, 503),
        },
        "openapi_extra": {
            "requestBody": {
                "required": True,
                "content": {"multipart/form-data": _form(options, *files)},
            }
        },
    }


def inpaint(body: type[BaseModel]) -> dict[str, Any]:
    """Describe IOPaint's fill, whose body is read by hand."""
    seed = {"schema": {"type": "string"}, "description": "`sd_seed`, or -1."}
    return {
        "response_class": Response,
        "responses": {
            200: {
                "description": "The filled image.",
                "content": {f"image/{name}": BINARY for name in IMAGES},
                "headers": {"X-Seed": seed},
            },
            **_problems(400, 408, 415, 422, 429, 503),
        },
        "openapi_extra": {
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": body.model_json_schema()}},
            }
        },
    }


def switch(body: type[BaseModel]) -> dict[str, Any]:
    """Describe the change of IOPaint's model, whose body is read by hand, too."""
    content = {"application/json": {"schema": body.model_json_schema()}}
    return {
        "responses": _problems(400, 408, 413, 415, 422, 429),
        "openapi_extra": {"requestBody": {"required": True, "content": content}},
    }


IGNORED: dict[str, Any] = {
    "responses": _problems(),
    "openapi_extra": {
        "requestBody": {"content": {"multipart/form-data": {"schema": {"type": "object"}}}}
    },
}
PROGRESS: dict[str, Any] = {"responses": _problems(422)}
PLAIN: dict[str, Any] = {"responses": _problems()}
READY: dict[str, Any] = {"responses": _problems(503)}
READY["responses"][503]["description"] = "There is no room, or it is about to stop"
METRICS: dict[str, Any] = {
    "response_class": Response,
    "responses": {
        200: {
            "description": "Prometheus's text format.",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        },
        **_problems(),
    },
}


def install(app: FastAPI) -> None:
    """Let an application describe itself, with the schema of problems among its own."""

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
            )
            components = found.setdefault("components", {}).setdefault("schemas", {})
            components["Problem"] = schemas.Problem.model_json_schema()
            app.openapi_schema = found
        return app.openapi_schema

    app.openapi = describe  # type: ignore[method-assign]
