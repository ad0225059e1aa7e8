"""``/docs``: the OpenAPI for people, as one plain page that needs no JavaScript and nobody else.

It is made on the server: a browser that asks for a page cannot send the token with which it could
read ``/openapi.json``. It tells nothing but what this version of freefill can do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from html import escape
from typing import Any

from freefill.server.problems import KINDS, MEDIA_TYPE

MULTIPART = "multipart/form-data"
ELSE_GIVEN: Mapping[str, Mapping[str, str]] = {
    "/v1/fill": {"mask": "@mask.png"},
    "/v1/remove": {"at": "120,80"},
    "/v1/segment": {"at": "120,80"},
    "/v1/uncrop": {"aspect": "16:9"},
    "/v1/straighten": {"angle": "-2.5"},
    "/v1/stitch": {"second": "@right.jpg"},
    "/v1/retarget": {"aspect": "1:1"},
    "/v1/recompose": {"mask": "@mask.png", "by": "-50,20"},
    "/v1/harmonise": {"mask": "@mask.png"},
}
"""What an example gives beside the fields that a form must have."""
ID = "00000000-0000-4000-8000-000000000000"


def render(description: Mapping[str, Any], server: str, needs_token: bool) -> bytes:
    """Give the page.

    Args:
        description: The OpenAPI.
        server: Address of the examples, as ``http://127.0.0.1:8080``.
        needs_token: Whether examples are to carry the token.

    Returns:
        HTML in UTF-8.
    """
    operations = [
        (method.upper(), path, operation)
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]
    links = "".join(
        f'<li><a href="#{_anchor(method, path)}">{method} {escape(path)}</a></li>'
        for method, path, _ in operations
    )
    title = f"{escape(description['info']['title'])} {escape(description['info']['version'])}"
    body = [
        f"<header><h1>{title}: HTTP API</h1>{_text(description['info']['description'])}",
        _preface(needs_token),
        f'</header><nav aria-label="Contents"><ul>{links}',
        '<li><a href="#problems">Problems</a></li><li><a href="#types">Types</a></li></ul></nav>',
        "<main>",
    ]
    for method, path, operation in operations:
        body += _operation(method, path, operation, server, needs_token)
    body += _problems()
    body += _types(description["components"]["schemas"])
    return _PAGE.format(title=title, body="\n".join([*body, "</main>"])).encode()


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}: HTTP API</title>
<link rel="icon" href="icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="docs.css">
<script src="theme.js"></script>
</head>
<body>
{body}
</body>
</html>
"""


def _preface(needs_token: bool) -> str:
    token = (
        "<p>This server wants its token with every request but those for "
        "<code>/healthz</code> and <code>/readyz</code>: "
        "<code>Authorization: Bearer $FREEFILL_TOKEN</code>.</p>"
        if needs_token
        else ""
    )
    return (
        f"{token}<p>For programs the same is in <code>/openapi.json</code>. Errors are "
        f'<code>{MEDIA_TYPE}</code> (<a href="#problems">all kinds</a>).</p>'
    )


def _operation(
    method: str, path: str, operation: Mapping[str, Any], server: str, needs_token: bool
) -> Iterator[str]:
    yield f'<section><h2 id="{_anchor(method, path)}"><span>{method}</span> {escape(path)}</h2>'
    yield _text(operation.get("description", ""))
    yield f"<pre>{escape(example(method, path, operation, server, needs_token))}</pre>"
    yield from _parameters(operation)
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        if content["schema"].get("properties"):
            yield f"<h3>Fields, as <code>{kind}</code></h3>{_fields(content['schema'])}"
    yield f"<h3>Answers</h3><dl>{''.join(_answers(operation['responses']))}</dl></section>"


def _parameters(operation: Mapping[str, Any]) -> Iterator[str]:
    given = operation.get("parameters", [])
    if given:
        rows = "".join(
            _row(one["name"], f"{one['in']}, {_kind(one['schema'])}", one.get("description", ""))
            for one in given
        )
        yield f"<h3>Path and headers</h3><dl>{rows}</dl>"


def _answers(responses: Mapping[str, Any]) -> Iterator[str]:
    for code, response in responses.items():
        if MEDIA_TYPE in response.get("content", {}):
            continue
        text = response["description"].replace("Successful Response", "")
        kinds = ", ".join(
            _kind(content["schema"]) if "$ref" in content["schema"] else escape(name)
            for name, content in response.get("content", {}).items()
        )
        yield _row(code, kinds, text)
        for name, header in response.get("headers", {}).items():
            yield _row(name, "header", header.get("description", ""))
    codes = [code for code, one in responses.items() if MEDIA_TYPE in one.get("content", {})]
    yield _row(", ".join(codes), '<a href="#problems">problems</a>', "")


def _fields(schema: Mapping[str, Any]) -> str:
    needed = schema.get("required", [])
    rows = []
    for name, field in schema.get("properties", {}).items():
        kind = _kind(field) + (", <b>required</b>" if name in needed else "")
        if field.get("default") is not None:
            kind += f", default <code>{escape(_spelled(field['default']))}</code>"
        rows.append(_row(name, kind, field.get("description", "")))
    return f"<dl>{''.join(rows)}</dl>"


def _row(name: str, kind: str, text: str) -> str:
    told = f"<br>{_marked(text)}" if text else ""
    return f"<div><dt><code>{escape(name)}</code></dt><dd><i>{kind}</i>{told}</dd></div>"


def _kind(schema: Mapping[str, Any]) -> str:
    """Give the type of a field and its bounds, as HTML."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#type-{name}">{name}</a>'
    if "anyOf" in schema:
        kinds = [_kind(one) for one in schema["anyOf"] if one.get("type") != "null"]
        return " or ".join(kinds) + (" in base64" if "contentEncoding" in schema else "")
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return "one of " + ", ".join(f"<code>{escape(_spelled(one))}</code>" for one in values)
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    if schema.get("format") == "binary":
        return "file"
    kind = escape(schema.get("type", "anything"))
    if schema.get("format"):
        kind += f" ({escape(schema['format'])})"
    if "contentEncoding" in schema:
        kind += " in base64"
    return kind + "".join(f", {text}" for text in _bounds(schema))


def _bounds(schema: Mapping[str, Any]) -> Iterator[str]:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        yield f"{low:g} to {high:g}"
    elif low is not None:
        yield f"{low:g} or more"
    elif high is not None:
        yield f"{high:g} or less"
    if "maxLength" in schema:
        yield f"at most {schema['maxLength']} characters"
    if "pattern" in schema:
        yield f"<code>{escape(schema['pattern'])}</code>"


def _spelled(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def example(
    method: str, path: str, operation: Mapping[str, Any], server: str, needs_token: bool
) -> str:
    """Give a line of a shell that asks.

    Args:
        method: As ``POST``.
        path: As the OpenAPI has it.
        operation: Its description there.
        server: Address, without the path.
        needs_token: Whether it is to carry the token.
    """
    parts = ["curl"]
    if needs_token and path not in ("/healthz", "/readyz"):
        parts.append('-H "Authorization: Bearer $FREEFILL_TOKEN"')
    contents = operation.get("requestBody", {}).get("content", {})
    if MULTIPART in contents:
        given = {"image": "@photo.jpg", **ELSE_GIVEN.get(path, {})}
        parts += [f"-F {name}={value}" for name, value in given.items()]
    elif contents:
        parts.append("-H 'Content-Type: application/json' -d @body.json")
    parts.append(server + path.replace("{id}", ID))
    answer = operation["responses"]["200"].get("content", {})
    if any(kind.startswith("image/") for kind in answer):
        parts.append("-o result")
    return " ".join(parts)


def _problems() -> Iterator[str]:
    sample = (
        '{"type": "urn:freefill:problem:field", "title": "Unprocessable Content", "status": 422, '
        '"detail": "what was wrong, with numbers, and what to do"}'
    )
    yield '<section><h2 id="problems">Problems</h2>'
    yield f"<p>Errors are objects after RFC 9457:</p><pre>{escape(sample)}</pre><dl>"
    for kind, (codes, text) in KINDS.items():
        yield _row(f"urn:freefill:problem:{kind}", ", ".join(map(str, codes)), text)
    yield "</dl></section>"


def _types(schemas: Mapping[str, Any]) -> Iterator[str]:
    yield '<section><h2 id="types">Types</h2>'
    for name, schema in schemas.items():
        yield f'<h3 id="type-{escape(name)}">{escape(name)}</h3>'
        yield _text(schema.get("description", "")) + _fields(schema)
    yield "</section>"


def _anchor(method: str, path: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", f"{method} {path}".lower()).strip("-")


def _text(text: str) -> str:
    paragraphs = [" ".join(one.split()) for one in text.split("\n\n")]
    return "".join(f"<p>{_marked(one)}</p>" for one in paragraphs if one)


def _marked(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))


def page(describe: Callable[[], Mapping[str, Any]], needs_token: bool) -> Callable[[str], bytes]:
    """Give what makes the page for whoever calls the server by a name.

    Args:
        describe: Gives the OpenAPI.
        needs_token: Whether the server has a token.
    """

    def made(host: str) -> bytes:
        # Whatever else a client puts there belongs in no line that people copy to a shell.
        name = host if re.fullmatch(r"[\w.\-]+(:\d+)?|\[[\da-fA-F:.]+\](:\d+)?", host) else ""
        return render(describe(), f"http://{name or '127.0.0.1:8080'}", needs_token)

    return made
