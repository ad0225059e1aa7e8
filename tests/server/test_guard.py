"""Who may ask, and how much: other sites, other names, tokens, and bodies that are too large."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from live import form
from starlette.testclient import TestClient

from freefill.errors import ConfigError
from freefill.server.app import build
from freefill.server.settings import Settings

TOKEN = "a secret of many letters"
API = ["/v1/models", "/metrics", "/openapi.json", "/v1/fills/00000000-0000-4000-8000-000000000000"]


def _client(settings: Settings) -> TestClient:
    return TestClient(build(settings), base_url="http://127.0.0.1:8080")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8080", 200),
        ("127.0.0.1", 200),
        ("localhost:8080", 200),
        ("LocalHost:8080", 200),
        ("[::1]:8080", 200),
        ("evil.example:8080", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example:8080", 421),
        ("127.0.0.1:8080:evil.example", 421),
        ("evil.example:127.0.0.1", 421),
        ("", 421),
    ],
)
@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/v1/models"])
def test_names_that_others_gave_it_are_not_its_own(
    client: TestClient, host: str, status: int, path: str
) -> None:
    assert client.get(path, headers={"Host": host}).status_code == status


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("10.1.2.3:8080", 200),
        ("10.1.2.3", 200),
        ("[fd00::5]:8080", 200),
        ("fill.example:8080", 200),
        ("evil.example:8080", 421),
        ("10.1.2.3.evil.example:8080", 421),
        ("10.1.2:8080", 421),
        ("", 421),
    ],
)
def test_probes_call_it_by_an_address_and_all_others_by_its_name(
    path: str, host: str, status: int
) -> None:
    settings = Settings(host="0.0.0.0", token=TOKEN, allow_hosts=("fill.example",))
    with _client(settings) as client:
        assert client.get(path, headers={"Host": host}).status_code == status
        # No other path is let in by an address, with the token or without.
        headers = {"Host": host, "Authorization": f"Bearer {TOKEN}"}
        expected = 200 if host.startswith("fill.") else 421
        assert client.get("/v1/models", headers=headers).status_code == expected


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://127.0.0.1:8080"}, 200),
        ({"Origin": "http://127.0.0.1:9090"}, 403),
        ({"Origin": "http://localhost:8080"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
    ],
    ids=str,
)
def test_pages_of_others_may_not_ask(
    client: TestClient, headers: dict[str, str], status: int, image: bytes, mask: bytes
) -> None:
    answer = client.post("/v1/fill", files=form(image, mask), headers=headers)
    assert answer.status_code == status
    assert client.get("/v1/models", headers=headers).status_code == status
    assert "access-control-allow-origin" not in answer.headers


def test_a_link_from_another_site_opens_the_page(client: TestClient) -> None:
    assert client.get("/", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


def test_pages_that_are_listed_may_ask(image: bytes, mask: bytes) -> None:
    origin = "https://example.org:81"
    with _client(Settings(allow_origins=(origin,))) as client:
        answer = client.post("/v1/fill", files=form(image, mask), headers={"Origin": origin})
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == origin
        assert "Fill-Details" in answer.headers["access-control-expose-headers"]
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
        asked = {
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "fill-id",
        }
        preflight = client.options("/v1/fill", headers=asked)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == origin
        other = {**asked, "Origin": "https://example.org"}
        assert client.options("/v1/fill", headers=other).status_code == 403


@pytest.fixture(scope="module")
def guarded() -> Iterator[TestClient]:
    settings = Settings(host="0.0.0.0", token=TOKEN, allow_origins=("https://a.example",))
    with _client(settings) as client:
        yield client


@pytest.mark.parametrize("path", API)
@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer wrong",
        f"Basic {TOKEN}",
        TOKEN,
        f"Bearer {TOKEN[:-1]}",
        "Bearer größe".encode("latin-1"),
    ],
    ids=str,
)
def test_without_the_token_nothing_is_told(
    guarded: TestClient, path: str, header: str | bytes | None
) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = guarded.get(path, headers=headers)  # type: ignore[arg-type]
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["type"].endswith(":token")


@pytest.mark.parametrize("path", API)
def test_with_the_token_all_is(guarded: TestClient, path: str) -> None:
    for scheme in ("Bearer", "bearer"):
        answer = guarded.get(path, headers={"Authorization": f"{scheme} {TOKEN}"})
        assert answer.status_code == 200


def test_the_page_and_the_health_need_no_token_and_a_preflight_cannot_have_one(
    guarded: TestClient,
) -> None:
    assert guarded.get("/").status_code == 200
    assert guarded.get("/app.js").status_code == 200
    # From another machine it has whatever name that machine knows it by.
    assert guarded.get("/healthz", headers={"Host": "workstation.lan"}).status_code == 200
    assert guarded.get("/readyz", headers={"Host": "workstation.lan"}).status_code == 200
    asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    assert guarded.options("/v1/fill", headers=asked).status_code == 200
    refused = guarded.post("/v1/fill", headers={"Origin": "https://a.example"})
    assert refused.status_code == 401
    # The page that was let in can read why.
    assert refused.headers["access-control-allow-origin"] == "https://a.example"


@pytest.mark.parametrize("path", ["/", "/app.js", "/healthz", "/readyz", "/v1/nothing", "/v1/fill"])
def test_every_answer_has_the_headers(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"


def test_a_body_beyond_the_limit_is_refused_by_its_length(client: TestClient) -> None:
    answer = client.post("/v1/fill", content=bytes(8_000_001))
    assert answer.status_code == 413
    assert "8.0 MB" in answer.json()["detail"]


def test_and_by_counting_where_it_does_not_tell_it(client: TestClient) -> None:
    def pieces() -> Iterator[bytes]:
        yield b'--a\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
        for _ in range(10):
            yield bytes(1_000_000)

    media_type = {"Content-Type": "multipart/form-data; boundary=a"}
    answer = client.post("/v1/fill", content=pieces(), headers=media_type)
    assert answer.status_code == 413
    assert "8.0 MB" in answer.json()["detail"]
    json = {"Content-Type": "application/json"}
    assert client.post("/v1/fill", content=pieces(), headers=json).status_code == 413


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"host": "0.0.0.0"}, "0.0.0.0"),
        ({"host": "::"}, "--token"),
        ({"host": "192.168.1.2"}, "--token"),
        ({"host": "workstation"}, "--token"),
        ({"token": "short"}, "5 characters"),
        ({"token": "größe größe größe größe"}, "ASCII"),
        ({"allow_origins": ("example.org",)}, "https://example.org:8080"),
        ({"allow_origins": ("https://example.org/",)}, "example.org/"),
        ({"allow_origins": ("*",)}, "*"),
    ],
    ids=str,
)
def test_settings_that_would_let_others_in(options: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Settings(**options)  # type: ignore[arg-type]
    assert told in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.5", "::1", "localhost"])
def test_this_machine_alone_needs_no_token(host: str) -> None:
    assert Settings(host=host).is_local
