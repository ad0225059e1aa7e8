"""The OpenAPI is true: whatever fits it, and whatever does not, is answered as it says."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from live import Live, live
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from freefill.server.app import build
from freefill.server.settings import Settings


@pytest.fixture(scope="module")
def api() -> Iterator[Live]:
    with live(Settings(workers=2, max_body=2_000_000, max_pixels=1_000_000)) as server:
        yield server


application: Any = build(Settings())
schema = schemathesis.openapi.from_dict(application.app.openapi())


def _excluded(case: Any) -> list[Any]:
    # A text that fits the schema of a file is no photo yet: that is a 422 and no fault.
    excluded = [positive_data_acceptance]
    if case.media_type == "multipart/form-data":
        # An empty list in a form is no field at all, so it is no fault to take it.
        excluded.append(negative_data_rejection)
    return excluded


@schema.parametrize()
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_any_request_is_answered_as_described(case: Any, api: Live) -> None:
    case.call_and_validate(base_url=api.url, excluded_checks=_excluded(case))


@schema.include(path="/v1/fill").parametrize()
@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_any_options_of_a_real_photo(case: Any, api: Live, image: bytes, mask: bytes) -> None:
    if not isinstance(case.body, dict):
        return
    files = {"image": image, "mask": mask}
    if case.media_type == "application/json":
        files = {name: base64.b64encode(part).decode() for name, part in files.items()}  # type: ignore[misc]
    case.body = {**case.body, **files}
    case.call_and_validate(base_url=api.url, excluded_checks=_excluded(case))


def test_it_describes_all_that_there_is(api: Live) -> None:
    found = httpx.get(f"{api.url}/openapi.json").json()
    assert set(found["paths"]) >= {
        "/v1/fill",
        "/v1/fills/{id}",
        "/v1/view",
        "/v1/models",
        "/healthz",
        "/readyz",
        "/metrics",
    }
    assert "HTTPValidationError" not in str(found)
    bodies = found["paths"]["/v1/fill"]["post"]["requestBody"]["content"]
    form = bodies["multipart/form-data"]["schema"]["properties"]
    coded = bodies["application/json"]["schema"]["properties"]
    assert set(form) == set(coded)
    assert form["image"]["format"] == "binary"
    for path in found["paths"].values():
        for operation in path.values():
            assert operation["description"]
            for code, answer in operation["responses"].items():
                if int(code) >= 400:
                    assert list(answer["content"]) == ["application/problem+json"]
