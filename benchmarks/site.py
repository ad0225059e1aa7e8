"""The studio without a server: what travels, and how long fills take in Chromium and natively.

    python benchmarks/site.py --runtime node_modules/onnxruntime-web

The native call runs on one thread, before and after the browser's, in the same run.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "e2e"))
from browser import find
from playwright.sync_api import Page, sync_playwright

from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import FillRequest
from freefill.server.site.build import write_site

EXAMPLE = Path(__file__).parents[1] / "examples" / "pagoda.jpg"
TIMES = 5


class Isolated(SimpleHTTPRequestHandler):
    """A file server that allows threads."""

    headers_sent: tuple[tuple[str, str], ...] = (
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cross-Origin-Embedder-Policy", "require-corp"),
    )

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def end_headers(self) -> None:
        """Add what isolates a page."""
        for name, value in self.headers_sent:
            self.send_header(name, value)
        super().end_headers()


class Plain(Isolated):
    """A file server as anybody has one."""

    headers_sent = ()


def pictures(folder: Path) -> dict[str, tuple[Path, tuple[int, int, int, int]]]:
    """Make the photos, and the box of each that is filled."""
    with Image.open(EXAMPLE) as image:
        small = image.crop((64, 0, 491, 427)).resize((512, 512), Image.Resampling.LANCZOS)
        large = image.resize((4000, 3000), Image.Resampling.LANCZOS)
    small.save(folder / "small.png")
    large.save(folder / "large.jpg", quality=92)
    return {
        "512x512, 180-pixel hole": (folder / "small.png", (150, 170, 330, 350)),
        "4000x3000, 600-pixel hole": (folder / "large.jpg", (1500, 1200, 2100, 1800)),
    }


def native(inpainter: Inpainter, path: Path, box: tuple[int, int, int, int]) -> float:
    """Give the seconds of a fill, decoding included, as the browser's are."""
    left, top, right, bottom = box
    with Image.open(path) as image:
        mask = np.zeros((image.height, image.width), bool)
    mask[top:bottom, left:right] = True
    start = time.perf_counter()
    inpainter.run(FillRequest(path, mask))
    return time.perf_counter() - start


def fill(page: Page, box: tuple[int, int, int, int]) -> tuple[float, float]:
    """Mark a box and fill it; give the seconds until it is seen, and those of the fill alone."""
    found = page.evaluate(
        """async ([x0, y0, x1, y1]) => {
          const { studio } = freefill;
          studio.add({ kind: 'clear' }, 'Clear');
          studio.add({ kind: 'box', erase: false, points: [x0, y0, x1, y1] }, 'Box');
          const start = performance.now();
          await studio.fill();
          return [(performance.now() - start) / 1000, studio.state.patch.seconds];
        }""",
        list(box),
    )
    return found[0], found[1]


def measure(page: Page, url: str, inpainter: Inpainter, folder: Path) -> None:
    """Print the times of one way of serving."""
    start = time.perf_counter()
    page.goto(url)
    page.locator("body.ready").wait_for()
    ready = time.perf_counter() - start
    page.locator("body.loaded").wait_for()
    loaded = time.perf_counter() - start
    isolated = page.evaluate("crossOriginIsolated")
    print(f"isolated {isolated}: usable after {ready:.1f} s, network ready after {loaded:.1f} s")
    page.on("dialog", lambda dialog: dialog.accept())
    for name, (path, box) in pictures(folder).items():
        page.set_input_files("#photo-file", path)
        page.wait_for_function("(name) => freefill.studio.name === name", arg=path.name)
        first, _ = fill(page, box)
        here, there, alone = [], [], []
        for _ in range(TIMES):
            here.append(native(inpainter, path, box))
            seen, filled = fill(page, box)
            there.append(seen)
            alone.append(filled)
        a, b, c = (median(times) for times in (here, there, alone))
        print(
            f"  {name}: first {first:.2f} s, then {b:.2f} s until it is seen ({c:.2f} s of it the "
            f"fill); native {a:.2f} s; {b / a:.1f} times"
        )


def main() -> None:
    """Write a site, serve it twice, and time it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", type=Path, help="as for `freefill page`")
    options = parser.parse_args()
    inpainter = Inpainter(threads=1)
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        folder = Path(scratch)
        site = write_site(folder / "site", runtime=options.runtime)
        large = {name: size for name, size in site.files.items() if name.endswith(".gz")}
        for name, size in large.items():
            print(f"{name}: {size:,} bytes")
        print(f"all else: {sum(site.files.values()) - sum(large.values()):,} bytes, unpacked")
        browser = playwright.chromium.launch(executable_path=find(), args=["--no-sandbox"])
        for kind in (Plain, Isolated):
            handler = partial(kind, directory=folder)
            server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            page = browser.new_page()
            page.set_default_timeout(120_000)
            url = f"http://127.0.0.1:{server.server_address[1]}/site/"
            measure(page, url, inpainter, folder)
            page.close()
            server.shutdown()
        browser.close()


if __name__ == "__main__":
    main()
