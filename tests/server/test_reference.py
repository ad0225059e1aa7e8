"""``/docs`` says all that the OpenAPI does, its examples work, and it needs nobody."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw
from starlette.testclient import TestClient

from freefill.errors import FreefillError
from freefill.server import problems, reference
from freefill.server.app import build
from freefill.server.core import kind_of
from freefill.server.settings import Settings

TOKEN = "a secret of many letters"
SOURCE = Path(problems.__file__).parent


@pytest.fixture(scope="module")
def page(client: TestClient) -> str:
    answer = client.get("/docs")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; ")
    return answer.text


@pytest.fixture(scope="module")
def operations(client: TestClient) -> list[tuple[str, str, Any]]:
    paths = client.get("/openapi.json").json()["paths"]
    return [(m.upper(), path, one) for path in paths for m, one in paths[path].items()]


def _section(page: str, method: str, path: str) -> str:
    """Give the text of the part under one heading, without its tags."""
    headings = re.findall(r"<section><h2 id=\"[\w-]+\">(.*?)</h2>(.*?)</section>", page, re.S)
    bodies = [body for head, body in headings if _bare(head) == f"{method} {path}"]
    assert len(bodies) == 1, (method, path)
    return bodies[0]


def _bare(html: str) -> str:
    return unescape(re.sub(r"<[^>]+>", "", html))


def test_every_operation_field_and_answer_is_there(
    page: str, operations: list[tuple[str, str, Any]]
) -> None:
    assert len(operations) > 15
    for method, path, operation in operations:
        body = _section(page, method, path)
        for content in operation.get("requestBody", {}).get("content", {}).values():
            for name, field in content["schema"].get("properties", {}).items():
                rows = re.findall(rf"<dt><code>{name}</code></dt><dd>(.*?)</dd>", body, re.S)
                told = field.get("description", "").replace("`", "")
                assert any(told in _bare(row) for row in rows), (path, name)
        for code in operation["responses"]:
            assert code in _bare(body), (path, code)


def test_types_bounds_and_defaults(page: str) -> None:
    body = _section(page, "POST", "/v1/fill")
    rows = {
        name: _bare(text)
        for name, text in re.findall(
            r"<dt><code>([\w-]+)</code></dt><dd><i>(.*?)</i>",
            body.split("<h3>Fields, as <code>application/json")[0],
        )
    }
    assert rows["image"] == "file, required"
    assert rows["mask"] == "file"
    assert rows["grow"] == "integer, 0 to 256, default 0"
    assert rows["fit"] == "one of exact, resize, default exact"
    assert rows["soft"] == "boolean, default false"
    assert rows["model"] == "string, at most 200 characters"
    straighten = _bare(_section(page, "POST", "/v1/straighten"))
    assert "number, -45 to 45" in straighten
    # Patterns hold what HTML would take for its own.
    assert "^[0-9]+(px)?$|^[0-9]+(\\.[0-9]+)?%$" in _bare(_section(page, "POST", "/v1/uncrop"))


def test_links_lead_somewhere_on_the_page(page: str) -> None:
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)
    # Nothing comes from anywhere but beside it.
    assert not re.search(r'(src|href)="(https?:)?//', page)


@pytest.fixture
def files(tmp_path: Path, examples: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder that has the files that the examples name."""
    # Segmenters that were fetched here take long to load, and are not what this is about.
    monkeypatch.setenv("FREEFILL_REFERENCES", str(tmp_path))
    with Image.open(examples / "bricks.jpg") as wall:
        scene = wall.resize((210, 120)).convert("RGB")
    draw = ImageDraw.Draw(scene)
    # A thing where the examples point at, for which there is a mask.
    draw.ellipse((105, 65, 135, 95), fill=(250, 200, 0))
    scene.crop((0, 0, 160, 120)).save(tmp_path / "photo.jpg", quality=95)
    scene.crop((50, 0, 210, 120)).save(tmp_path / "right.jpg", quality=95)
    mask = Image.new("L", (160, 120))
    ImageDraw.Draw(mask).ellipse((102, 62, 138, 98), fill=255)
    mask.save(tmp_path / "mask.png")
    return tmp_path


def test_its_examples_work(
    client: TestClient, page: str, operations: list[tuple[str, str, Any]], files: Path
) -> None:
    for method, path, _ in operations:
        found = re.search(r"<pre>(.*?)</pre>", _section(page, method, path), re.S)
        assert found
        words = shlex.split(unescape(found[1]))
        assert words[0] == "curl"
        given = dict(words[i + 1].split("=", 1) for i, word in enumerate(words) if word == "-F")
        url = next(word for word in words if word.startswith("http://"))
        assert url.startswith("http://127.0.0.1:8080/")
        if "-d" in words:
            continue
        uploads = {k: (files / v[1:]).read_bytes() for k, v in given.items() if v[0] == "@"}
        data = {k: v for k, v in given.items() if v[0] != "@"}
        answer = client.request(method, url, data=data, files=uploads)
        if path == "/v1/unmark":
            # There is no mark on this photo, which the answer says.
            assert answer.json()["type"].rpartition(":")[2] in ("doubt", "image"), answer.text
            continue
        assert answer.status_code == 200, (path, answer.text)
        is_image = answer.headers["content-type"].startswith("image/")
        assert is_image == ("-o" in words), path


def _raised() -> Iterator[tuple[str, int | None]]:
    """Give kind and code of each problem that the server's source makes."""
    for source in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "ProblemError":
                code, kind = (getattr(one, "value", None) for one in node.args[:2])
                if isinstance(kind, str):
                    yield kind, code if isinstance(code, int) else None


def test_every_kind_of_problem_is_told(page: str) -> None:
    found = set(_raised())
    assert len(found) > 15
    for kind, code in found:
        assert kind in problems.KINDS
        assert code is None or code in problems.KINDS[kind][0], kind
        assert f"<code>urn:freefill:problem:{kind}</code>" in page


def test_every_error_of_the_library_that_a_request_meets_is_told() -> None:
    # Clips, training and folders have no routes; memory has a kind of its own.
    elsewhere = {"video", "data", "checkpoint", "training", "storage", "outofmemory"}
    kinds = {kind_of(one("")) for one in _below(FreefillError)}
    assert kinds - elsewhere <= set(problems.KINDS)


def _below(kind: type[FreefillError]) -> Iterator[type[FreefillError]]:
    for one in kind.__subclasses__():
        if one.__module__ == kind.__module__:
            yield one
            yield from _below(one)


def test_it_is_read_without_the_token_which_its_examples_carry() -> None:
    with TestClient(build(Settings(token=TOKEN)), base_url="http://127.0.0.1:8080") as client:
        assert client.get("/openapi.json").status_code == 401
        text = client.get("/docs").text
    assert TOKEN not in text
    lines = [unescape(one) for one in re.findall(r"<pre>(curl.*?)</pre>", text)]
    bare = [line for line in lines if '-H "Authorization: Bearer $FREEFILL_TOKEN"' not in line]
    assert [line.rpartition("/")[2] for line in bare] == ["healthz", "readyz"]


@pytest.mark.parametrize(
    ("host", "told"),
    [
        ("fill.example:81", "http://fill.example:81/v1/models"),
        ("[fd00::5]:8080", "http://[fd00::5]:8080/v1/models"),
        ("a;reboot", "http://127.0.0.1:8080/v1/models"),
        ("<script>", "http://127.0.0.1:8080/v1/models"),
        ("$(reboot):80", "http://127.0.0.1:8080/v1/models"),
    ],
)
def test_examples_call_it_as_the_reader_did(client: TestClient, host: str, told: str) -> None:
    description = client.get("/openapi.json").json()
    assert f" {told}</pre>" in unescape(reference.page(lambda: description, False)(host).decode())
