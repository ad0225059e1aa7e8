"""The page: what it weighs, when it can be used, and how soon a stroke is gone.

    python benchmarks/page.py [--rounds 5]

In Chromium, against an answer of a few bytes from the same server; a fill as a person sees it, from
the press of the button to the picture, against the server's own work in it.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from serve import serving
from speed import EXAMPLES

sys.path.append(str(Path(__file__).parents[1] / "tests" / "e2e"))

TRANSFERRED = "performance.getEntries().reduce((sum, one) => sum + (one.transferSize ?? 0), 0)"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    from browser import find

    with serving() as port, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find(), args=["--no-sandbox"])
        address = f"http://127.0.0.1:{port}/"
        loads = [load(browser, address) for _ in range(rounds)]
        empties = [empty(browser, f"{address}healthz") for _ in range(rounds)]
        ready, bare = float(np.median([ms for ms, _ in loads])), float(np.median(empties))
        print(
            f"page: {loads[0][1] / 1e3:.0f} KB in all; usable after {ready:.0f} ms, "
            f"{ready / bare:.1f} times an answer of 40 bytes ({bare:.0f} ms)"
        )
        for width, height in ((512, 512), (4000, 3000)):
            seen, own = fills(browser, address, (width, height), rounds)
            print(
                f"{width}x{height}: from the button to the picture {seen:.0f} ms, "
                f"{seen / own:.2f} of the server's own {own:.0f} ms ({rounds} rounds)"
            )
        browser.close()


def load(browser: Browser, address: str) -> tuple[float, int]:
    """Open the page with nothing cached; give the milliseconds until it is usable, and bytes."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(address)
    page.locator("body.ready").wait_for()
    size = page.evaluate(TRANSFERRED)
    took = page.evaluate("performance.getEntriesByName('ready')[0].startTime")
    context.close()
    return float(took), int(size)


def empty(browser: Browser, address: str) -> float:
    """Open an address that answers with next to nothing."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(address)
    took = page.evaluate("performance.getEntriesByType('navigation')[0].domComplete")
    context.close()
    return float(took)


def fills(
    browser: Browser, address: str, size: tuple[int, int], rounds: int
) -> tuple[float, float]:
    """Paint and fill; give medians of what a person waits and of what the server works, in ms."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.goto(address)
    page.locator("body.ready").wait_for()
    out = io.BytesIO()
    with Image.open(EXAMPLES / "pagoda.jpg") as image:
        image.resize(size, Image.Resampling.BICUBIC).save(out, "JPEG", quality=92)
    photo: Any = {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": out.getvalue()}
    page.set_input_files("#photo-file", files=[photo])
    page.locator("body.open").wait_for()
    found = [fill(page, size) for _ in range(rounds + 1)][1:]
    context.close()
    seen, own = (float(np.median(times)) for times in zip(*found, strict=True))
    return seen, own


def fill(page: Page, size: tuple[int, int]) -> tuple[float, float]:
    """Mark an eighth of the width, fill it, undo both."""
    x, y = size[0] / 2, size[1] / 2
    points = [x, y, x + size[0] / 8, y + size[1] / 16]
    took = page.evaluate(
        """async (points) => {
          const { studio, tools } = freefill;
          const stroke = { kind: 'stroke', erase: false, size: tools.size, hardness: 1, points };
          studio.add(stroke, 'Stroke');
          const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
          await frame();
          const start = performance.now();
          await studio.fill();
          await frame();
          const took = performance.now() - start;
          const own = 1000 * studio.state.patch.seconds;
          studio.undo();
          studio.undo();
          return [took, own];
        }""",
        points,
    )
    return took[0], took[1]


if __name__ == "__main__":
    main()
