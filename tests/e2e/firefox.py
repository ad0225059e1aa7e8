"""Debian's Firefox, driven over WebDriver BiDi by puppeteer-core, and a hand for the page in it."""

from __future__ import annotations

import json
import os
import shutil
import socketserver
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from browser import find_firefox
from numpy.typing import NDArray
from PIL import Image

PATIENCE = 120_000
"""How long anything is waited for, in milliseconds."""
DRIVER = Path(__file__).with_name("firefox.mjs")


class Trap:
    """A proxy that passes nothing on, and keeps what it is asked for."""

    def __init__(self) -> None:
        asked = self.asked = list[str]()

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                asked.append(self.rfile.readline(4096).decode("latin-1").strip())
                self.wfile.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.port: int = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Firefox:
    """The page as a person uses it."""

    def __init__(self, url: str, downloads: Path, **preferences: object) -> None:
        """Start a Firefox that reaches nothing but one server directly.

        Args:
            url: Of the page; all that is asked of other hosts or ports goes to a trap.
            downloads: An empty folder for what is saved.
            **preferences: As in ``about:config``, with two underscores for a dot.
        """
        self.url = url
        self.downloads = downloads
        self.trap = Trap()
        node = shutil.which("node", path=str(Path(sys.executable).parent)) or shutil.which("node")
        assert node, "no Node: pip install -e '.[dev]' brings one"
        puppeteer = Path(sys.prefix) / "node_modules" / "puppeteer-core"
        assert puppeteer.is_dir(), f"no {puppeteer}: make .venv/node_modules"
        program = find_firefox()
        assert program, "no Firefox: make .venv/firefox installs Debian's"
        set_ = {
            "browser.download.folderList": 2,
            "browser.download.dir": str(downloads),
            "browser.download.alwaysOpenPanel": False,
            # Firefox's own questions, which are not the page's.
            "services.settings.server": "data:,none",
            "network.captive-portal-service.enabled": False,
            "network.connectivity-service.enabled": False,
            "network.proxy.type": 1,
            "network.proxy.http": "127.0.0.1",
            "network.proxy.http_port": self.trap.port,
            "network.proxy.ssl": "127.0.0.1",
            "network.proxy.ssl_port": self.trap.port,
            "network.proxy.allow_hijacking_localhost": True,
            "network.proxy.no_proxies_on": url.split("/")[2],
            **{name.replace("__", "."): value for name, value in preferences.items()},
        }
        plan = {"program": program, "preferences": set_, "patience": PATIENCE}
        self.process = subprocess.Popen(
            [node, str(DRIVER), str(puppeteer), json.dumps(plan)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # Without it a release of Firefox does not heed where its settings are.
            env={**os.environ, "MOZ_REMOTE_SETTINGS_DEVTOOLS": "1"},
        )

    def __call__(self, deed: str, *given: object) -> Any:
        """Have one of the driver's deeds done, and give what comes of it."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps([deed, *given]) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the driver ended: see what it wrote above"
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer["value"]

    def stop(self) -> None:
        self.process.communicate(timeout=60)
        self.trap.stop()

    def evaluate(self, code: str) -> Any:
        return self("evaluate", code)

    def wait(self, code: str) -> None:
        """Wait until an expression is true."""
        self("wait", code)

    def goto(self) -> Firefox:
        self("goto", self.url)
        self.wait("document.body?.matches('.ready')")
        return self

    def open(self, path: Path) -> Firefox:
        # A file that has the name of the one before is another photo all the same.
        count = self.evaluate("freefill.studio.photo")
        self("upload", "#photo-file", str(path))
        self.wait(f"freefill.studio.photo > {count} && document.body.matches('.open:not(.busy)')")
        assert self.evaluate("document.getElementById('name').textContent") == path.name
        return self

    def tool(self, name: str) -> None:
        self("click", f"[data-tool={name}]")

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Give where a place of the photo is in the window."""
        found = self.evaluate("""(({ view: { x, y, scale, ratio } }) => {
          const { left, top } = document.getElementById('stage').getBoundingClientRect();
          return { left: left + x / ratio, top: top + y / ratio, scale: scale / ratio };
        })(freefill)""")
        return found["left"] + x * found["scale"], found["top"] + y * found["scale"]

    def drag(self, *places: tuple[float, float]) -> None:
        """Draw a line through places of the photo with the mouse."""
        self("drag", [self.at(*place) for place in places], 8)

    def fill(self) -> None:
        """Fill; the step before this one is not to be a fill."""
        self("click", "#fill")
        done = "/^Fill/.test(freefill.studio.history.undoes) && !freefill.studio.work"
        self.wait(f"({done}) || {ERRORS}")
        assert self.errors() == ""

    def errors(self) -> str:
        """Give what the page says of failures."""
        found: str = self.evaluate(ERRORS)
        return found

    def exported(self) -> NDArray[np.bool_]:
        self("click", "[popovertarget=masks]")
        self("click", "#export")
        with Image.open(self.downloaded()) as image:
            return np.asarray(image.convert("L")) > 127

    def saved(self) -> Path:
        self("click", "#save")
        return self.downloaded()

    def downloaded(self) -> Path:
        """Wait for one file, and take it from the folder of downloads."""
        end = time.monotonic() + PATIENCE / 1000
        while time.monotonic() < end:
            found = [path for path in self.downloads.glob("*.*") if path.stat().st_size]
            # While a file is being written there is another, `NAME.part`, beside it.
            if len(found) == 1 and found[0].suffix != ".part":
                kept = self.downloads / "taken"
                kept.mkdir(exist_ok=True)
                return found[0].replace(kept / found[0].name)
            time.sleep(0.05)
        raise AssertionError(f"nothing was saved: {self.errors()}")


ERRORS = "document.getElementById('errors').textContent.trim()"
