"""IOPaint's own page, out of its wheel, with freefill's server behind it."""

from __future__ import annotations

import base64
import functools
import io
import json
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from hand import Server
from PIL import Image
from playwright.sync_api import Browser, Route, expect

WHEEL = "iopaint==1.6.0"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def iopaint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the page as it comes; give its address."""
    folder = tmp_path_factory.mktemp("iopaint")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", WHEEL]
    subprocess.run([*command, "--dest", str(folder)], check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    handler = functools.partial(_Quiet, directory=str(folder / "iopaint" / "web_app"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.slow
def test_its_page_fills_a_photo(
    iopaint: str, chromium: Browser, examples: Path, tmp_path: Path
) -> None:
    # Its page asks its own origin: what it asks is sent on here, with its Origin.
    server = Server("--allow-origin", iopaint)
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    answers: dict[str, bytes] = {}

    def send_on(route: Route) -> None:
        answer = route.fetch(url=route.request.url.replace(iopaint, server.url[:-1]))
        answers[route.request.url.rpartition("/")[2]] = answer.body()
        route.fulfill(response=answer)

    page.route("**/api/v1/**", send_on)
    with Image.open(examples / "coffee.jpg") as image:
        photo = np.asarray(image.crop((0, 0, 400, 320)))
    path = tmp_path / "coffee.png"
    Image.fromarray(photo).save(path)
    page.goto(iopaint)
    page.set_input_files("input[type=file]", path)
    canvas = page.locator("canvas").first
    expect(canvas).to_be_visible()
    page.wait_for_timeout(1000)  # it moves the photo into place
    box = canvas.bounding_box()
    assert box is not None
    with page.expect_response("**/api/v1/inpaint", timeout=60_000) as waited:
        page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.5)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.55, steps=12)
        page.mouse.up()
    answer = waited.value
    assert answer.status == 200
    asked = json.loads(answer.request.post_data or "")
    mask = _pixels(base64.b64decode(asked["mask"].partition(",")[2]), "L") > 127
    filled = _pixels(answers["inpaint"], "RGB")
    assert mask.any()
    assert filled.shape == photo.shape
    assert (filled[~mask] == photo[~mask]).all()
    assert (filled[mask] != photo[mask]).any(-1).mean() > 0.5
    # And it shows what came: its canvas has the filled pixels, no longer the photo's.
    page.wait_for_timeout(1000)
    assert page.get_by_text("Request failed").count() == 0
    page.screenshot(path=tmp_path / "page.png")
    address = page.evaluate("document.querySelector('canvas').toDataURL()")
    on_canvas = _pixels(base64.b64decode(address.partition(",")[2]), "RGB")
    assert on_canvas.shape == photo.shape
    assert np.abs(on_canvas[mask].astype(int) - filled[mask]).mean() < 1
    context.close()
    server.stop()


def _pixels(content: bytes, mode: str) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert(mode))
