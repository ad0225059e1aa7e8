"""A server in a process of its own, and a hand for its page."""

from __future__ import annotations

import base64
import io
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from freefill.types import Pixels


class Server:
    """``freefill serve`` in a process of its own."""

    def __init__(self, *options: str) -> None:
        self.options = options
        self.port = 0
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "freefill", "serve", "--port", str(self.port)]
        self.process = subprocess.Popen(
            [*command, *self.options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(r"http://[\d.]+:(\d+)/", line)
        assert found, (line, self.process.stderr.read() if self.process.stderr else "")
        self.port = int(found[1])
        self.url = f"http://127.0.0.1:{self.port}/"

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def stop(self) -> None:
        if self.process.poll() is None:
            # A process that is held would never hear of its end.
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
        self.process.communicate(timeout=60)


class Studio:
    """The page as a person uses it."""

    def __init__(self, page: Page, server: Server) -> None:
        self.page = page
        self.server = server
        self.stage = page.locator("#stage")
        self.faults: list[str] = []
        self.requests: list[str] = []
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", self._heard)
        page.on("request", lambda request: self.requests.append(request.url))

    def _heard(self, message: Any) -> None:
        if message.type == "error":
            self.faults.append(message.text)

    def goto(self, fragment: str = "") -> Studio:
        self.page.goto(self.server.url + fragment)
        self.page.locator("body.ready").wait_for()
        return self

    def open(self, *files: Path | dict[str, Any]) -> Studio:
        name = files[0].name if isinstance(files[0], Path) else files[0]["name"]
        self.page.set_input_files("#photo-file", files[0])
        expect(self.page.locator("#name")).to_have_text(name)
        expect(self.stage).to_be_visible()
        return self

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def tool(self, name: str) -> None:
        self.button(name).click()
        expect(self.button(name)).to_have_attribute("aria-pressed", "true")

    def menu(self, item: str) -> None:
        self.button("Mask").click()
        self.page.locator("#masks").get_by_text(item, exact=False).first.click()

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Give where a place of the photo is in the window."""
        view = self.view()
        box = self.stage.bounding_box()
        assert box is not None
        ratio = view["ratio"]
        return (
            box["x"] + (view["x"] + x * view["scale"]) / ratio,
            box["y"] + (view["y"] + y * view["scale"]) / ratio,
        )

    def view(self) -> dict[str, float]:
        found: dict[str, float] = self.page.evaluate(
            "(({ view: { x, y, scale, ratio } }) => ({ x, y, scale, ratio }))(freefill)"
        )
        return found

    def drag(self, *places: tuple[float, float]) -> None:
        """Draw a line through places of the photo with the mouse."""
        mouse = self.page.mouse
        mouse.move(*self.at(*places[0]))
        mouse.down()
        for place in places[1:]:
            mouse.move(*self.at(*place), steps=8)
        mouse.up()

    def fill(self) -> None:
        self.button("Fill").click()
        self.filled()

    def filled(self) -> None:
        expect(self.page.locator("#time")).to_contain_text("filled in")
        expect(self.page.locator("#fill-label")).to_have_text("Fill")
        expect(self.button("Before")).to_be_enabled()

    def seen(self) -> Pixels:
        """Give the pixels of the photo's canvas, ``(h, w, 4)``."""
        self.page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
        address: str = self.page.evaluate("document.getElementById('photo').toDataURL()")
        return _decoded(address)

    def over(self) -> Pixels:
        """Give the pixels of the mask's canvas."""
        self.page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
        address: str = self.page.evaluate("document.getElementById('over').toDataURL()")
        return _decoded(address)

    def exported(self) -> NDArray[np.bool_]:
        with self.page.expect_download() as download:
            self.menu("Export")
        with Image.open(download.value.path()) as image:
            return np.asarray(image.convert("L")) > 127

    def saved(self, action: Any = None) -> tuple[str, bytes]:
        with self.page.expect_download(timeout=60_000) as download:
            (action or self.button("Save").click)()
        return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def _decoded(address: str) -> Pixels:
    with Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))) as image:
        return np.asarray(image.convert("RGBA"))
