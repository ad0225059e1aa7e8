"""A wayward server, and a cache of its own for each test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from wayward import CONTENT, URL, Handler, Site

from freefill.weights import download, lock

VARIABLES = ("FREEFILL_OFFLINE", "FREEFILL_MIRROR", "FREEFILL_REGISTRY")


@pytest.fixture
def site() -> Iterator[Site]:
    """A server with one weights file, ``/v1/big_model.onnx``."""
    found = Site(files={URL: CONTENT})
    handler = type("ThisHandler", (Handler,), {"site": found})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    found.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield found
    found.released.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, no setting of the person who runs the tests, and no waiting."""
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("FREEFILL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(download, "PAUSE", 0.001)
    monkeypatch.setattr(lock, "POLL", 0.005)
    return tmp_path / "cache" / "weights"
