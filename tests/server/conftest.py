"""One server for all tests that only ask."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from live import Gate
from numpy.typing import NDArray
from PIL import Image
from starlette.testclient import TestClient

from freefill.server import fills
from freefill.server.app import build
from freefill.server.settings import Settings


def png(pixels: NDArray[Any], **options: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", **options)
    return out.getvalue()


@pytest.fixture(scope="session")
def image(photo: NDArray[np.uint8]) -> bytes:
    return png(photo)


@pytest.fixture(scope="session")
def mask(hole: NDArray[np.bool_]) -> bytes:
    return png(hole)


@pytest.fixture(scope="package")
def client() -> Iterator[TestClient]:
    settings = Settings(workers=2, max_body=8_000_000, max_pixels=1_000_000)
    app = build(settings)
    with TestClient(app, base_url="http://127.0.0.1:8080", raise_server_exceptions=False) as made:
        yield made
    # Whatever the tests did, nothing of it still has a place.
    assert app.app.state.server.work.tickets == {}  # type: ignore[attr-defined]


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    made = Gate(fills.fill)
    monkeypatch.setattr(fills, "fill", made)
    yield made
    made.opened.set()
