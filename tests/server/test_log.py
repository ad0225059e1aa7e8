"""What a server writes to its log: a line a request where asked for, and nothing for bad ones."""

from __future__ import annotations

import logging
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from freefill.server.access_log import LONGEST, AccessLog


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "freefill.access"]


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> TestClient:
    caplog.set_level(logging.INFO, "freefill.access")
    return TestClient(AccessLog(PlainTextResponse("12345", 418)))


def test_a_line_has_what_happened_and_no_secret(
    logged: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    logged.post("/v1/fill?token=secret1#a", headers={"Authorization": "Bearer secret2"})
    (line,) = lines(caplog)
    assert re.fullmatch(r"POST /v1/fill 418 \d+ ms 5 bytes", line)


@pytest.mark.parametrize("path", ["/a%0Ab", "/a%1B[2J", "/é", f"/{'x' * 5000}"])
def test_a_path_cannot_write_more_than_its_line(
    logged: TestClient, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    logged.get(path)
    (line,) = lines(caplog)
    assert line.isascii()
    assert line.isprintable()
    assert len(line) < LONGEST + 60


def test_probes_are_one_level_lower(logged: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    logged.get("/readyz")
    assert lines(caplog) == []
    caplog.set_level(logging.DEBUG, "freefill.access")
    logged.get("/readyz")
    assert len(lines(caplog)) == 1


def test_what_fails_is_logged_too(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError

    caplog.set_level(logging.INFO, "freefill.access")
    with pytest.raises(RuntimeError):
        TestClient(AccessLog(broken)).get("/")
    assert lines(caplog)[0].startswith("GET / 499 ")


def bad_requests(url: str, folder: Path) -> list[int]:
    """Send what libraries have something to say about."""
    headers = {"Content-Type": "multipart/form-data; boundary=a"}
    found = [httpx.post(f"{url}v1/fill", headers=headers, content=b"--b\r\nno form")]
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    path = folder / "a.tif"
    # Strips that end too early, and a tag that nobody knows: LibTIFF tells of both.
    Image.fromarray(noise).save(path, compression="tiff_lzw", tiffinfo={65000: "what"})
    content = bytearray(path.read_bytes())
    content[20:2000] = bytes(1980)
    for files in (
        {"image": ("a.tif", bytes(content)), "mask": ("m.png", b"no picture")},
        {"image": ("a.tif", path.read_bytes()[:3000])},
        {"image": ("a.jpg", b"\xff\xd8\xff\xe0 broken")},
    ):
        found.append(httpx.post(f"{url}v1/fill", files=files, timeout=60))
    return [one.status_code for one in found]


@pytest.mark.parametrize("level", ["warning", "info"])
def test_bad_requests_do_not_fill_the_log(tmp_path: Path, level: str) -> None:
    words = ["serve", "--port", "0", "--workers", "1", "--log-level", level]
    process: Any = subprocess.Popen(
        [sys.executable, "-m", "freefill", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        url = re.search(r"http://\S+", process.stdout.readline())
        assert url is not None
        codes = bad_requests(url[0], tmp_path)
        assert all(400 <= code < 500 for code in codes), codes
        httpx.get(f"{url[0]}healthz")
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    *said, last = told.splitlines()
    assert last == "freefill: stopped"
    wanted = [rf"freefill: info: POST /v1/fill {code} \d+ ms \d+ bytes" for code in codes]
    assert len(said) == (len(wanted) if level == "info" else 0), told
    for pattern, line in zip(wanted, said, strict=False):
        assert re.fullmatch(pattern, line), line
