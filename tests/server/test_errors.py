"""Everything that can be wrong with a request has its status, its type, and a line with numbers."""

from __future__ import annotations

import base64
import io
import struct
import tempfile
import zlib
from typing import Any

import numpy as np
import pytest
from live import form
from PIL import Image
from starlette.testclient import TestClient

from freefill.errors import OutOfMemoryError
from freefill.server import fills

NAMELESS = b"--a\r\nContent-Disposition: form-data\r\n\r\nx"
URN = "urn:freefill:problem:"


def _check(answer: Any, status: int, kind: str, *told: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == URN + kind
    assert problem["status"] == status
    assert problem["title"]
    for part in told:
        assert part in problem["detail"]


def _bomb() -> bytes:
    """Give a PNG that says that it is 60000 pixels wide and high."""

    def chunk(name: bytes, content: bytes) -> bytes:
        check = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(bytes(100)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("files", "data", "kind", "told"),
    [
        ({}, {"grow": "1"}, "field", "'image'"),
        ({"image": "text"}, {}, "image", "13 bytes"),
        ({"image": "image", "mask": "text"}, {}, "mask", "mask: the image of 13 bytes"),
        ({"image": "bomb", "mask": "mask"}, {}, "image", "60000x60000"),
        ({"image": "image", "mask": "bomb"}, {}, "mask", "60000x60000"),
        ({"image": "large", "mask": "mask"}, {}, "image", "1.2 megapixels"),
        ({"image": "cut", "mask": "mask"}, {}, "image", ""),
        ({"image": "empty", "mask": "mask"}, {}, "image", "0 bytes"),
        ({"image": "image", "mask": "mask"}, {"grow": "257"}, "field", "256"),
        ({"image": "image", "mask": "mask"}, {"grow": "many"}, "field", "grow"),
        ({"image": "image", "mask": "mask"}, {"grow": "9" * 5000}, "field", "grow"),
        ({"image": "image", "mask": "mask"}, {"fit": "stretch"}, "field", "fit"),
        ({"image": "image", "mask": "mask"}, {"format": "exe"}, "field", "png"),
        ({"image": "image", "mask": "mask"}, {"sharpen": "1"}, "field", "sharpen"),
        ({"image": "image", "mask": "mask"}, {"model": "../../etc/passwd"}, "model", "light"),
        ({"image": "image", "mask": "mask"}, {"model": "light\0"}, "model", "light"),
        ({"image": "image", "mask": "mask"}, {"soft": "true", "grow": "3"}, "mask", "grow=3"),
        ({"image": "image"}, {}, "mask", "alpha"),
        ({"image": "image", "mask": "mask", "third": "mask"}, {}, "field", "third"),
        ({"image": "image"}, {"mask": "text"}, "field", "'mask'"),
    ],
    ids=str,
)
def test_what_is_wrong_with_a_form(
    client: TestClient,
    image: bytes,
    mask: bytes,
    files: dict[str, str],
    data: dict[str, str],
    kind: str,
    told: str,
) -> None:
    large = io.BytesIO()
    Image.new("L", (1200, 1000)).save(large, "PNG")
    parts = {
        "image": image,
        "mask": mask,
        "text": b"not a picture",
        "bomb": _bomb(),
        "large": large.getvalue(),
        "cut": image[: len(image) // 2],
        "empty": b"",
    }
    sent = {name: (f"{name}.png", parts[part]) for name, part in files.items()}
    # Without a file httpx sends no form at all.
    answer = client.post("/v1/fill", files=sent or {"note": (None, "x")}, data=data)
    _check(answer, 422, kind, told)


def test_a_field_that_is_there_twice(client: TestClient, image: bytes) -> None:
    twice = [("image", ("a.png", image)), ("image", ("b.png", image))]
    _check(client.post("/v1/fill", files=twice), 422, "field", "'image'", "twice")


@pytest.mark.parametrize(
    ("body", "status", "kind", "told"),
    [
        (b"{", 400, "json", "line 1"),
        (b"\xff\xfe", 400, "json", ""),
        (b"[" * 100_000, 400, "json", ""),
        (b"[]", 422, "field", "list"),
        (b"{}", 422, "field", "image"),
        (b'{"image": 5}', 422, "field", "image"),
        (b'{"image": "%%%"}', 422, "field", "image is not base64"),
        ('{"image": "größe"}'.encode(), 422, "field", "image is not base64"),
        (b'{"image": "data:image/png,abc"}', 422, "field", "image: a data URL"),
        (b'{"image": "aGk=", "grow": true}', 422, "field", "grow"),
        (b'{"image": "aGk=", "grow": 1e999}', 422, "field", "grow"),
        (b'{"image": "aGk=", "invert": "yes"}', 422, "field", "invert"),
        (b'{"image": "aGk=", "mask": "%"}', 422, "field", "mask is not base64"),
        (b'{"image": "aGk=", "more": 1}', 422, "field", "more"),
        (b'{"image": "aGk=", "model": "a\\u0000\\ud800"}', 422, "", ""),
        (b'{"image": "aGk="}', 422, "image", "2 bytes"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_wrong_with_json(
    client: TestClient, body: bytes, status: int, kind: str, told: str
) -> None:
    answer = client.post("/v1/fill", content=body, headers={"Content-Type": "application/json"})
    if not kind:
        assert answer.status_code == status
        return
    _check(answer, status, kind, told)


@pytest.mark.parametrize(
    ("media_type", "body", "status", "kind"),
    [
        ("text/plain", b"x", 415, "media-type"),
        ("", b"x", 415, "media-type"),
        ("application/x-www-form-urlencoded", b"image=x", 415, "media-type"),
        ("multipart/form-data", b"x", 400, "form"),
        ("multipart/form-data; boundary=", b"x", 400, "form"),
        ("multipart/form-data; boundary=a", b"", 422, "field"),
        ("multipart/form-data; boundary=a", b"no form at all", 400, "form"),
        ("multipart/form-data; boundary=a; charset=klingon", b"--a--", 422, "field"),
        ("multipart/form-data; boundary=a", NAMELESS, 400, "form"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/fill", "/v1/view"])
def test_bodies_of_other_kinds(
    client: TestClient, path: str, media_type: str, body: bytes, status: int, kind: str
) -> None:
    answer = client.post(path, content=body, headers={"Content-Type": media_type})
    _check(answer, status, kind)


def test_a_form_of_too_many_parts(client: TestClient, image: bytes) -> None:
    many = [(f"f{i}", (f"{i}.png", image)) for i in range(40)]
    _check(client.post("/v1/fill", files=many), 400, "form", "20")
    fields = [(f"f{i}", (None, "x")) for i in range(40)]
    _check(client.post("/v1/fill", files=fields), 400, "form", "20")


def test_paths_methods_and_ids_that_are_none(client: TestClient) -> None:
    _check(client.get("/v1/nothing"), 404, "path", "/v1/nothing")
    _check(client.get("/../../etc/passwd"), 404, "path")
    _check(client.get("/%2e%2e%2fapp.py"), 404, "path")
    wrong = client.get("/v1/fill")
    _check(wrong, 405, "method")
    assert wrong.headers["allow"] == "POST"
    _check(client.get("/v1/fills/7"), 422, "field", "id")
    _check(client.get("/studio/photo"), 404, "photo")
    _check(client.post("/v1/fill", headers={"Fill-Id": "seven"}), 422, "field", "fill-id")


def test_an_unexpected_error_says_nothing_of_its_inside(
    client: TestClient, image: bytes, mask: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(fills, "fill", broken)
    answer = client.post("/v1/fill", files=form(image, mask))
    _check(answer, 500, "bug")
    assert "secret" not in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


def test_nothing_of_a_request_is_written_to_the_disk(
    client: TestClient, mask: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*arguments: object, **options: object) -> None:
        raise AssertionError("a file was made")

    rng = np.random.default_rng(0)
    out = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (900, 1100, 3), np.uint8)).save(out, "PNG")
    assert len(out.getvalue()) > 2_000_000
    monkeypatch.setattr(tempfile, "_mkstemp_inner", forbidden)
    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", forbidden)
    options = {"fit": "resize", "patch": "true"}
    assert (
        client.post("/v1/fill", files=form(out.getvalue(), mask), data=options).status_code == 200
    )
    coded = {"image": base64.b64encode(out.getvalue()).decode(), "fit": "resize"}
    coded["mask"] = base64.b64encode(mask).decode()
    assert client.post("/v1/fill", json=coded).status_code == 200


@pytest.mark.parametrize("error", [MemoryError, OutOfMemoryError])
def test_want_of_memory_is_no_fault_of_the_image(
    client: TestClient,
    image: bytes,
    mask: bytes,
    monkeypatch: pytest.MonkeyPatch,
    error: type[MemoryError],
) -> None:
    def exhausted(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(fills, "fill", exhausted)
    answer = client.post("/v1/fill", files=form(image, mask))
    _check(answer, 503, "memory", "memory")
    assert answer.headers["retry-after"]
