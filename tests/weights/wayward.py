"""A server on this machine that misbehaves as it is told, and what people do to downloads."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from freefill.weights import cache, download
from freefill.weights.cache import fetch
from freefill.weights.entries import Entry

SIZE = 600_000
CONTENT = hashlib.shake_256(b"weights").digest(SIZE)
OTHER = hashlib.shake_256(b"other").digest(SIZE)
URL = "/v1/big_model.onnx"


@dataclass
class Site:
    """What the server has, how it behaves, and what it was asked."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    knows_if_range: bool = True
    says_length: bool = True
    etag: str | None = '"one"'
    moved: dict[str, str] = field(default_factory=dict)
    answers: list[int] = field(default_factory=list)
    """Statuses of the next answers, in place of the file."""
    cuts: list[int] = field(default_factory=list)
    """Bytes after which the next answers end."""
    stalls: bool = False
    released: threading.Event = field(default_factory=threading.Event)
    asked: list[tuple[str, str | None, int]] = field(default_factory=list)
    """Path, Range header, and bytes of content sent."""

    def entry(self, **changes: object) -> Entry:
        given = {
            "name": "big",
            "sha256": hashlib.sha256(CONTENT).hexdigest(),
            "bytes": len(CONTENT),
            "licence": "CC BY-NC 4.0",
            "architecture": "deepfill",
            "url": f"{self.url}/v1/big_model.onnx?download=1",
        }
        return Entry(**(given | changes))  # type: ignore[arg-type]


class Handler(BaseHTTPRequestHandler):
    site: Site

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        site, path = self.site, self.path.partition("?")[0]
        wanted = self.headers.get("Range")
        status = site.answers.pop(0) if site.answers else 200
        if path in site.moved:
            self.send_response(302)
            self.send_header("Location", site.moved[path])
        elif status != 200 or path not in site.files:
            self.send_response(status if status != 200 else 404)
        else:
            self._send(path, wanted)
            return
        site.asked.append((self.path, wanted, 0))
        self.end_headers()

    def _send(self, path: str, wanted: str | None) -> None:
        site = self.site
        content = site.files[path]
        condition = self.headers.get("If-Range")
        start = 0
        if wanted and site.ranges:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if condition and site.knows_if_range and condition != site.etag:
                start = 0
        if start >= len(content) > 0:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            # Noted before it is answered: the test goes on as soon as it has the answer.
            site.asked.append((self.path, wanted, 0))
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if site.says_length:
            self.send_header("Content-Length", str(len(content) - start))
        if site.etag:
            self.send_header("ETag", site.etag)
        body = content[start:]
        if site.cuts:
            body = body[: site.cuts.pop(0)]
        site.asked.append((self.path, wanted, len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
            if site.stalls:
                self.wfile.flush()
                site.released.wait(20)
        except OSError:
            pass  # whoever asked has gone: that is what some tests are about


def files(where: Path) -> list[str]:
    """Give the names of what lies in a folder; locks, which stay, are hidden."""
    return sorted(path.name for path in where.iterdir() if path.suffix != ".lock")


def stop_at(share: float) -> download.Progress:
    """Make what a person does who presses Ctrl-C."""

    def progress(done: int, size: int) -> None:
        if done >= share * size:
            raise KeyboardInterrupt

    return progress


def stopped(site: Site, share: float = 0.5) -> int:
    """Stop a first download; give the bytes that it left."""
    with pytest.raises(KeyboardInterrupt):
        fetch(site.entry(), stop_at(share))
    left = cache.partial_of("big").stat().st_size
    assert 0 < left < SIZE
    site.asked.clear()
    return left
