"""Other ways to the page: keyboard alone, a phone, large photos, two tabs, a server that dies."""

from __future__ import annotations

import io
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from hand import Server, Studio
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, expect

from freefill.imaging.io import encode, read_picture
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import FillRequest

PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "has_touch": True,
    "is_mobile": True,
}


def test_without_a_mouse(studio: Studio, examples: Path) -> None:
    page, press = studio.page, studio.page.keyboard.press
    # Asked for long before it is needed: Chromium does not wait until it has heard of it.
    page.on("filechooser", lambda chooser: None)
    for _ in range(30):
        press("Tab")
        if page.evaluate("document.activeElement.id") == "welcome-open":
            break
    with page.expect_file_chooser() as chooser:
        press("Enter")
    chooser.value.set_files(examples / "coffee.jpg")
    expect(page.locator("#spoken")).to_contain_text("coffee.jpg is open")
    # The photo has the keyboard: arrows move the brush, Enter puts it down and lifts it.
    expect(studio.stage).to_be_focused()
    press("Enter")
    expect(page.locator("#spoken")).to_contain_text("Pen down at")
    for _ in range(6):
        press("ArrowRight")
    for _ in range(3):
        press("Shift+ArrowDown")
    press("Enter")
    expect(page.locator("#spoken")).to_have_text("Pen up")
    with page.expect_download() as download:
        # Everything that has a button is within reach of Tab.
        for _ in range(40):
            press("Tab")
            if page.evaluate("document.activeElement.textContent").strip() == "Mask":
                break
        press("Enter")
        for _ in range(10):
            press("Tab")
            if page.evaluate("document.activeElement.id") == "export":
                break
        press("Enter")
    with Image.open(download.value.path()) as image:
        marked = np.argwhere(np.asarray(image) > 0)
    extent = marked.max(0) - marked.min(0)
    size = page.evaluate("freefill.tools.size")
    scale = studio.view()["scale"]
    assert extent.tolist() == pytest.approx([150 / scale + size, 60 / scale + size], abs=4)
    press("f")
    studio.filled()
    press("Control+z")
    expect(page.locator("#spoken")).to_have_text("Undone: Fill")
    press("Control+Shift+z")
    name, content = studio.saved(lambda: press("Control+s"))
    assert name == "coffee_filled.jpg"
    with Image.open(examples / "coffee.jpg") as before, Image.open(io.BytesIO(content)) as after:
        assert before.size == after.size
        assert before.tobytes() != after.tobytes()


def test_escape_takes_back_what_is_being_drawn(studio: Studio, examples: Path) -> None:
    studio.open(examples / "coffee.jpg")
    studio.stage.press("Enter")
    studio.stage.press("ArrowRight")
    assert studio.over().any()
    studio.stage.press("Escape")
    assert not studio.over().any()
    assert studio.button("Undo").is_disabled()


def test_on_a_phone_one_finger_draws_and_two_zoom(
    chromium: Browser, server: Server, examples: Path
) -> None:
    context = chromium.new_context(**PHONE)
    studio = Studio(context.new_page(), server).goto()
    studio.open(examples / "pagoda.jpg")
    touch = context.new_cdp_session(studio.page)

    def send(kind: str, *fingers: tuple[float, float]) -> None:
        points = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(fingers)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    for control in studio.page.locator("button:visible, input:visible").all():
        box = control.bounding_box()
        assert box is not None
        assert box["x"] >= 0, control
        assert box["x"] + box["width"] <= 390, control
    start, end = studio.at(200, 150), studio.at(330, 180)
    send("touchStart", start)
    for step in range(1, 9):
        part = [a + (b - a) * step / 8 for a, b in zip(start, end, strict=True)]
        send("touchMove", (part[0], part[1]))
    send("touchEnd")
    mask = studio.exported()
    assert mask[165, 265]
    before = studio.view()["scale"]
    middle = studio.at(320, 200)
    send("touchStart", (middle[0] - 40, middle[1]))
    send("touchStart", (middle[0] - 40, middle[1]), (middle[0] + 40, middle[1]))
    for step in range(1, 9):
        away = 40 + 10 * step
        send("touchMove", (middle[0] - away, middle[1]), (middle[0] + away, middle[1]))
    send("touchEnd")
    assert studio.view()["scale"] == pytest.approx(before * 3, rel=0.1)
    assert studio.at(320, 200) == pytest.approx(middle, abs=12)
    # The pinch drew nothing, and the page itself did not scroll or grow.
    assert (studio.exported() == mask).all()
    assert studio.page.evaluate("[scrollX, scrollY, visualViewport.scale]") == [0, 0, 1]
    studio.button("Fill").click()
    expect(studio.button("Before")).to_be_enabled()
    assert studio.saved()[0] == "pagoda_filled.jpg"
    assert studio.faults == []
    context.close()


@pytest.mark.slow
def test_twelve_megapixels(studio: Studio, examples: Path, tmp_path: Path) -> None:
    with Image.open(examples / "pagoda.jpg") as image:
        large = image.resize((4000, 3000), Image.Resampling.BICUBIC)
    photo = tmp_path / "large.png"
    large.save(photo, compress_level=1)
    studio.open(photo)
    # Less than the photo is shown, all of it is worked on.
    assert studio.view()["scale"] < 0.5
    studio.drag((1000, 1500), (2400, 1700))
    mask = studio.exported()
    assert mask.shape == (3000, 4000)
    studio.fill()
    name, content = studio.saved()
    saved = read_picture(content).samples
    original = np.asarray(large)
    assert (saved[~mask] == original[~mask]).all()
    assert (saved[mask] != original[mask]).any(-1).mean() > 0.9
    assert name == "large_filled.png"
    # At 100 % its own pixels are on the screen, not those of a preview.
    studio.page.keyboard.press("1")
    studio.page.mouse.move(640, 400)
    view = studio.view()
    seen = studio.seen()
    part = saved[int(-view["y"]) :, int(-view["x"]) :][: seen.shape[0], : seen.shape[1]]
    assert (seen[..., :3] == part).all()


def test_two_tabs_at_once(context: BrowserContext, server: Server, examples: Path) -> None:
    tabs = [Studio(context.new_page(), server).goto() for _ in range(2)]
    for tab, name in zip(tabs, ("coffee.jpg", "bricks.jpg"), strict=True):
        tab.open(examples / name)
        tab.drag((80, 80), (160, 120))
    for tab in tabs:
        tab.button("Fill").click()
    inpainter = Inpainter(threads=1)
    for tab, name in zip(tabs, ("coffee.jpg", "bricks.jpg"), strict=True):
        tab.filled()
        mask = tab.exported()
        expected, _ = encode(
            inpainter.run(FillRequest(read_picture(examples / name), mask)).picture, "JPEG"
        )
        assert tab.saved()[1] == expected


def test_the_server_dies_in_the_middle_of_a_fill(
    context: BrowserContext, own_server: Server, examples: Path
) -> None:
    studio = Studio(context.new_page(), own_server).goto()
    studio.open(examples / "coffee.jpg")
    studio.drag((80, 80), (160, 120))
    mask = studio.exported()
    before = studio.seen()
    # Held, it takes the photo and answers nothing: the fill is surely on its way when it dies.
    own_server.signal(signal.SIGSTOP)
    studio.button("Fill").click()
    expect(studio.button("Cancel")).to_be_visible()
    own_server.kill()
    error = studio.page.locator("#errors")
    expect(error).to_contain_text("The server does not answer")
    expect(error).to_contain_text("Your photo and mask are kept")
    expect(studio.button("Fill")).to_be_enabled()
    assert (studio.seen() == before).all()
    assert (studio.exported() == mask).all()
    own_server.start()
    expect(studio.page.locator("#notes")).to_contain_text("The server is back")
    expect(error).to_be_empty()
    studio.fill()
    assert (studio.seen() != before).any()


def test_cancel_leaves_everything_as_it_was(
    context: BrowserContext, own_server: Server, examples: Path
) -> None:
    studio = Studio(context.new_page(), own_server).goto()
    studio.open(examples / "coffee.jpg")
    studio.drag((80, 80), (160, 120))
    own_server.signal(signal.SIGSTOP)
    studio.button("Fill").click()
    studio.button("Cancel").click()
    expect(studio.button("Fill")).to_be_enabled()
    expect(studio.page.locator("body")).not_to_have_class("busy")
    own_server.signal(signal.SIGCONT)
    studio.fill()
    assert studio.faults == []


@pytest.mark.parametrize("kind", ["light", "dark", "phone"])
def test_nothing_bars_those_who_cannot_see_or_point(
    chromium: Browser, server: Server, examples: Path, kind: str
) -> None:
    options = PHONE if kind == "phone" else {"color_scheme": kind}
    context = chromium.new_context(**options)
    studio = Studio(context.new_page(), server).goto()

    def check(where: str) -> None:
        found = Axe().run(studio.page).response["violations"]
        serious = [v for v in found if v["impact"] in ("serious", "critical")]
        told = [(v["id"], [node["html"] for node in v["nodes"]]) for v in serious]
        assert told == [], where

    check("welcome")
    studio.open(examples / "coffee.jpg")
    studio.drag((80, 80), (160, 120))
    check("painted")
    studio.button("Fill").click()
    expect(studio.button("Before")).to_be_enabled()
    studio.page.keyboard.press("s")
    check("filled")
    studio.page.keyboard.press("?")
    check("help")
    studio.page.keyboard.press("Escape")
    studio.page.keyboard.press("g")
    check("grow")
    studio.page.keyboard.press("Escape")
    studio.page.locator("[popovertarget=masks]").click()
    check("menu")
    context.close()


def test_nothing_jumps(studio: Studio, examples: Path) -> None:
    studio.page.evaluate("""() => {
      window.shifts = [];
      const told = ({ value, sources }) => [value, ...sources.map(
        ({ node, previousRect, currentRect }) => [node?.textContent, previousRect, currentRect],
      )];
      const seen = (list) => window.shifts.push(...list.getEntries().map(told));
      new PerformanceObserver(seen).observe({ type: 'layout-shift', buffered: true });
    }""")
    studio.open(examples / "coffee.jpg")
    studio.drag((80, 80), (160, 120))
    studio.fill()
    studio.button("Undo").click()
    assert studio.page.evaluate("window.shifts") == []


def test_the_page_is_small_and_asks_nobody_else(studio: Studio) -> None:
    files = studio.page.evaluate(
        """performance.getEntries().filter((one) => one.transferSize !== undefined)
          .map(({ name, transferSize }) => [name, transferSize])"""
    )
    assert len(files) > 10
    assert all(name.startswith(studio.server.url) for name, _ in files)
    assert all(size > 0 for _, size in files)
    assert sum(size for _, size in files) < 150_000, files
