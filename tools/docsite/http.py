"""The HTTP interface, from the OpenAPI that the server itself gives."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

from freefill.server import openapi
from freefill.server.app import build
from freefill.server.settings import Settings

Schema = dict[str, Any]


def described() -> Schema:
    """Give the OpenAPI of a server with its defaults."""
    guard: Any = build(Settings(workers=1))
    return cast(Schema, guard.app.openapi())


def page() -> str:
    """Give each route as Markdown: what it does, what it takes, what it answers."""
    api = described()
    lines: list[str] = []
    for path, methods in api["paths"].items():
        for method, route in methods.items():
            lines += [f"## {method.upper()} {path}", ""]
            lines += [route.get("description") or route.get("summary") or "", ""]
            lines += _parameters(route.get("parameters", []))
            for kind, content in route.get("requestBody", {}).get("content", {}).items():
                fields = list(_fields(content["schema"], api))
                if fields:
                    lines += [f"Body, `{kind}`:", "", *_table(fields), ""]
            lines += ["| answer | what it means | content |", "| --- | --- | --- |"]
            for code, answer in route["responses"].items():
                kinds = list(answer.get("content", {}))
                shown = [k for k in kinds if not k.startswith("image/")]
                pictures = [k.removeprefix("image/") for k in kinds if k.startswith("image/")]
                names = [f"`{k}`" for k in shown]
                names += [f"an image ({', '.join(pictures)})"] if pictures else []
                lines.append(f"| {code} | {answer['description']} | {', '.join(names)} |")
            lines.append("")
    return "\n".join(lines)


def problems() -> str:
    """Give the codes of errors, and what each means."""
    rows = [f"| {code} | {reason} |" for code, reason in openapi.REASONS.items()]
    return "\n".join(["| code | what it means |", "| --- | --- |", *rows])


def _parameters(given: list[Schema]) -> list[str]:
    if not given:
        return []
    rows = [
        (one["name"], one["schema"], bool(one.get("required")), one.get("description", ""))
        for one in given
    ]
    return ["In the address or a header:", "", *_table(rows), ""]


def _fields(schema: Schema, api: Schema) -> Iterator[tuple[str, Schema, bool, str]]:
    if "$ref" in schema:
        schema = api["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    required = schema.get("required", [])
    for name, field in schema.get("properties", {}).items():
        yield name, field, name in required, field.get("description", "")


def _table(rows: list[tuple[str, Schema, bool, str]]) -> list[str]:
    lines = ["| field | type | default | what it is |", "| --- | --- | --- | --- |"]
    for name, schema, required, about in rows:
        default = schema.get("default")
        shown = "required" if required else "" if default is None else f"`{json.dumps(default)}`"
        about = " ".join(about.split())
        lines.append(f"| `{name}` | {_type(schema)} | {shown} | {about} |")
    return lines


def _type(schema: Schema) -> str:
    """Name a field's type in a few words.

    Examples:
        >>> _type({"anyOf": [{"type": "integer", "minimum": 0, "maximum": 9}, {"type": "null"}]})
        'integer, 0 to 9'
    """
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"] if one.get("type") != "null")
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("format") == "binary":
        return "file"
    kind = str(schema.get("type", "any"))
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f"{kind}, {low} to {high}"
    if low is not None:
        return f"{kind}, {low} or more"
    return f"{kind}, at most {high}" if high is not None else kind
