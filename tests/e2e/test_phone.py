"""The page on a phone, by an address of the network; and the API's page beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import find
from hand import Server, Studio
from playwright.sync_api import Browser, BrowserContext, expect

from freefill.imaging.io import encode, read_picture

PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "has_touch": True,
    "is_mobile": True,
}
TOKEN = "phone_token-of-32-letters_______"
ADDRESS = "192.168.7.20"
SHARE = """
window.shared = [];
navigator.canShare = ({ files }) => files.every(({ type }) => type === 'image/jpeg');
navigator.share = async ({ files }) => {
  window.shared.push(...files.map(({ name, type, size }) => [name, type, size]));
  if (window.refusal) throw new DOMException('', window.refusal);
};
"""


@pytest.fixture(scope="module")
def lan_server() -> Iterator[Server]:
    started = Server("--host", "0.0.0.0", "--token", TOKEN)
    yield started
    started.stop()


@pytest.fixture
def phone(chromium: Browser, lan_server: Server) -> Iterator[BrowserContext]:
    """A phone to which this machine is one of the network, not its own."""
    # What an address of this machine's own may do, one of a network may not (secure contexts).
    rule = f"--host-resolver-rules=MAP {ADDRESS} 127.0.0.1"
    browser = chromium.browser_type.launch(
        executable_path=find(), args=["--no-sandbox", rule], chromium_sandbox=False
    )
    context = browser.new_context(**PHONE)
    yield context
    context.close()
    browser.close()


def _stroke(studio: Studio, *places: tuple[float, float]) -> None:
    """Draw a line through places of the photo with one finger."""
    touch = studio.page.context.new_cdp_session(studio.page)
    for number, (x, y) in enumerate(studio.at(*place) for place in places):
        point = {"x": x, "y": y, "id": 0}
        kind = "touchMove" if number else "touchStart"
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_a_heic_photo_by_the_address_that_was_printed(
    phone: BrowserContext, lan_server: Server, examples: Path, tmp_path: Path
) -> None:
    heic = tmp_path / "IMG_0001.HEIC"
    heic.write_bytes(encode(read_picture(examples / "coffee.jpg"), "HEIF")[0])
    studio = Studio(phone.new_page(), lan_server)
    page = studio.page
    sent: list[dict[str, str]] = []
    page.on("request", lambda request: sent.append({"url": request.url, **request.headers}))
    base = f"http://{ADDRESS}:{lan_server.port}/"
    page.goto(f"{base}#token={TOKEN}")
    page.locator("body.ready").wait_for()
    assert page.evaluate("isSecureContext") is False
    # Neither the bar nor what the page was led from has the token.
    assert page.url == base
    expect(page.locator("#where")).to_contain_text(ADDRESS)
    # Camera and gallery: a `capture` would leave the camera alone.
    picker = page.locator("#photo-file")
    accepted = (picker.get_attribute("accept") or "").split(",")
    assert {"image/*", ".heic", ".heif"} <= set(accepted)
    assert picker.get_attribute("capture") is None
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a photo").tap()
    with page.expect_response("**/v1/view") as viewed:
        chooser.value.set_files(heic)
    assert viewed.value.status == 200
    expect(page.locator("#name")).to_have_text("IMG_0001.HEIC")
    seen = studio.seen()
    assert seen[..., :3].std() > 20
    _stroke(studio, (150, 150), (200, 160), (260, 170))
    marked = studio.exported()
    studio.button("Fill").tap()
    expect(studio.button("Before")).to_be_enabled()
    name, content = studio.saved(studio.button("Save").tap)
    assert name == "IMG_0001_filled.HEIC"
    before, after = read_picture(heic).samples, read_picture(content).samples
    assert before.shape == after.shape
    change = np.abs(before.astype(float) - after).mean(-1)
    assert change[marked].mean() > 4 * change[~marked].mean()
    # A reload, as after the camera took all memory, still has the token; nobody else ever had it.
    page.reload()
    page.locator("body.ready").wait_for()
    expect(page.locator("#errors")).to_be_empty()
    assert {k for one in sent for k, v in one.items() if TOKEN in v} == {"authorization"}
    asked = [one for one in sent if "/v1/" in one["url"]]
    assert {one.get("authorization") for one in asked} == {f"Bearer {TOKEN}"}
    assert all(one["url"].startswith((base, "blob:")) for one in sent)
    # Over plain HTTP from another machine a browser takes no notice of one header, and says so.
    ignored = "The Cross-Origin-Opener-Policy header has been ignored"
    assert [fault for fault in studio.faults if not fault.startswith(ignored)] == []


@pytest.mark.parametrize("width", [320, 360, 390])
def test_everything_is_within_reach_on_a_narrow_phone(
    chromium: Browser, server: Server, examples: Path, width: int
) -> None:
    context = chromium.new_context(**PHONE | {"viewport": {"width": width, "height": 640}})
    studio = Studio(context.new_page(), server).goto()
    studio.open(examples / "coffee.jpg")
    boxes = studio.page.evaluate(
        """[...document.querySelectorAll('button, label, select')]
        .map((one) => [one.id || one.title || one.textContent.trim(), one.getBoundingClientRect()])
        .filter(([, { width }]) => width).map(([name, { left, right }]) => [name, left, right])"""
    )
    assert len(boxes) > 15
    assert [one for one in boxes if one[1] < 0 or one[2] > width] == []
    # Sliders have 24 pixels, which WCAG 2.2 asks for; what is tapped has more.
    sizes = studio.page.evaluate(
        """[...document.querySelectorAll('button')].map((one) => one.getBoundingClientRect())
        .filter(({ width }) => width).map(({ width, height }) => Math.min(width, height))"""
    )
    assert min(sizes) >= 36
    context.close()


def test_a_save_goes_to_the_share_sheet_where_there_is_one(
    chromium: Browser, server: Server, examples: Path
) -> None:
    context = chromium.new_context(**PHONE)
    context.add_init_script(SHARE)
    studio = Studio(context.new_page(), server).goto()
    page = studio.page
    downloads: list[str] = []
    page.on("download", lambda one: downloads.append(one.suggested_filename))
    studio.open(examples / "coffee.jpg")
    _stroke(studio, (150, 150), (220, 160))
    studio.button("Fill").tap()
    expect(studio.button("Before")).to_be_enabled()

    def save(refusal: str) -> bool:
        """Tap on Save, and tell whether the page takes it for saved."""
        page.evaluate("(name) => { window.refusal = name; window.shared = []; }", refusal)
        studio.button("Save").tap()
        expect(studio.button("Save")).to_be_enabled()
        ((name, kind, size),) = page.evaluate("window.shared")
        assert (name, kind) == ("coffee_filled.jpg", "image/jpeg")
        assert size > 10_000
        return not page.evaluate("freefill.studio.dirty")

    # Who closes the sheet has not saved; who chose something there has.
    assert not save("AbortError")
    assert save("")
    assert downloads == []
    # A tap that was too long ago is none to a browser: the download loses nothing.
    with page.expect_download() as download:
        assert save("NotAllowedError")
    assert download.value.suggested_filename == "coffee_filled.jpg"
    # A mask is of a kind that this sheet does not take.
    assert studio.exported().any()
    assert downloads == ["coffee_filled.jpg", "coffee_mask.png"]
    context.close()


@pytest.mark.parametrize("kind", ["light", "dark", "phone"])
def test_the_page_of_the_api(chromium: Browser, server: Server, kind: str) -> None:
    options = PHONE if kind == "phone" else {"color_scheme": kind}
    context = chromium.new_context(**options)
    studio = Studio(context.new_page(), server).goto()
    page = studio.page
    studio.button("Help and shortcuts").click()
    # Whoever asks for help sees its beginning.
    assert page.evaluate("document.getElementById('help').scrollTop") == 0
    with page.expect_popup() as opened:
        page.get_by_role("link", name="API for programs").click()
    docs = opened.value
    # Reloaded before it is there, it is no page yet.
    docs.wait_for_load_state()
    faults: list[str] = []
    asked: list[str] = []
    docs.on("console", lambda one: faults.append(one.text) if one.type == "error" else None)
    docs.on("request", lambda one: asked.append(one.url))
    docs.reload()
    paths = page.evaluate("fetch('openapi.json').then((one) => one.json())")["paths"]
    headings = [one.inner_text() for one in docs.get_by_role("heading", level=2).all()]
    for path, methods in paths.items():
        for method in methods:
            assert f"{method.upper()} {path}" in headings
    found = Axe().run(docs).response["violations"]
    assert [(v["id"], [node["html"] for node in v["nodes"]]) for v in found] == []
    width = docs.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width[0] <= width[1]
    dark = docs.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(251, 251, 250)"
    assert dark is (kind == "dark")
    assert len(asked) >= 3
    assert all(url.startswith(server.url) for url in asked)
    assert faults == []
    context.close()
