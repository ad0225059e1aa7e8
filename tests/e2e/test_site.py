"""The studio as a folder of files: it fills and saves, and needs no network the second time."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from hand import Studio
from PIL import Image, ImageCms, ImageOps
from playwright.sync_api import Browser, BrowserContext, Route, expect
from test_readback import NOISE

from freefill.imaging.io import read_picture
from freefill.tasks import segment


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


class StaticServer:
    """A plain file server, as anybody has one."""

    def __init__(self, folder: Path) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
        self.origin = f"http://127.0.0.1:{self.server.server_address[1]}/"
        self.url = f"{self.origin}some/where/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def static(site: Path) -> Iterator[StaticServer]:
    server = StaticServer(site.parents[1])
    yield server
    server.stop()


def _watched(context: BrowserContext, server: StaticServer) -> Iterator[Studio]:
    """Give a page; whatever it, its workers and its service worker ask for is of the site."""
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    studio = Studio(context.new_page(), server)
    studio.page.on("dialog", lambda dialog: dialog.accept())
    yield studio
    assert studio.faults == []
    assert len(asked) > 20
    assert {url for url in asked if not url.startswith((server.url, "blob:", "data:"))} == set()


@pytest.fixture
def fresh(context: BrowserContext, static: StaticServer) -> Iterator[Studio]:
    yield from _watched(context, static)


@pytest.fixture(scope="module")
def opened(site: Path, chromium: Browser) -> Iterator[Studio]:
    """One page for all tests that leave it as it was: its network is made once."""
    server = StaticServer(site.parents[1])
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(120_000)
    for studio in _watched(context, server):
        yield studio.goto()
    context.close()
    server.stop()


@pytest.fixture
def hand(opened: Studio) -> Iterator[Studio]:
    yield opened
    opened.page.evaluate("freefill.studio.cancel()")
    opened.page.keyboard.press("b")


def test_a_stroke_is_filled_and_saved_twice_the_second_time_offline(
    fresh: Studio, static: StaticServer, examples: Path, tmp_path: Path
) -> None:
    hand = fresh
    with Image.open(examples / "pagoda.jpg") as image:
        original = np.asarray(image.convert("RGB"))[:300, :400]
    Image.fromarray(original).save(tmp_path / "photo.png")
    hand.goto()
    page = hand.page
    for online in (True, False):
        hand.open(tmp_path / "photo.png")
        hand.drag((150, 100), (250, 160))
        hand.fill()
        marked = hand.exported()
        name, content = hand.saved()
        assert name == "photo_filled.png"
        (tmp_path / name).write_bytes(content)
        with Image.open(tmp_path / name) as image:
            saved = np.asarray(image)
        assert (saved[~marked] == original[~marked]).all()
        assert (saved[marked] != original[marked]).any(-1).mean() > 0.9
        if online:
            expect(page.locator("#loading")).to_be_hidden()
            page.evaluate("navigator.serviceWorker.ready.then(() => true)")
            # Neither the server nor anything else answers any more.
            page.context.set_offline(True)
            static.stop()
            page.reload()
            page.locator("body.ready").wait_for()


def test_what_it_cannot_do_is_hidden_or_said(hand: Studio, examples: Path, tmp_path: Path) -> None:
    page = hand.page
    offered = page.locator("#formats button").evaluate_all(
        "(all) => all.filter((one) => !one.hidden).map((one) => one.dataset.format)"
    )
    assert offered == ["png", "jpeg"]
    deep = np.full((64, 64), 30_000, np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    Image.new("CMYK", (64, 64)).save(tmp_path / "ink.jpg")
    Image.new("RGB", (64, 64)).save(tmp_path / "photo.tif")
    for name, word in (("deep.png", "16 bits"), ("ink.jpg", "CMYK"), ("photo.tif", "pip install")):
        page.set_input_files("#photo-file", tmp_path / name)
        expect(page.locator("#errors")).to_contain_text(f"{name} cannot be opened")
        expect(page.locator("#errors")).to_contain_text(word)
        page.locator("#errors").get_by_role("button", name="Dismiss").click()


@pytest.mark.slow
def test_a_thing_is_picked_and_filled_by_what_is_fetched_then(
    fresh: Studio, static: StaticServer, examples: Path, tmp_path: Path
) -> None:
    """U^2-Net comes with the first click; the second one needs no network."""
    hand = fresh
    page = hand.page
    asked: list[str] = []
    page.context.on("request", lambda request: asked.append(request.url))
    with Image.open(examples / "street.jpg") as image:
        image.save(tmp_path / "street.png")
    hand.goto().open(tmp_path / "street.png")
    expect(page.locator("body.loaded")).to_be_visible()
    assert not any("u2netp" in url for url in asked)
    hand.tool("Pick")
    page.mouse.click(*hand.at(216, 55))
    expect(hand.button("Undo")).to_have_attribute("title", "Undo: Pick")
    assert sum("u2netp" in url for url in asked) == 1
    page.keyboard.press("Enter")
    hand.filled()
    found = segment(read_picture(tmp_path / "street.png"), at=[(216, 55)], segmenter="u2netp")
    assert (hand.exported() == found.mask).mean() > 0.999
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.context.set_offline(True)
    static.stop()
    page.reload()
    page.locator("body.ready").wait_for()
    hand.open(tmp_path / "street.png")
    hand.tool("Pick")
    # Nothing but the road.
    page.mouse.click(*hand.at(20, 200))
    expect(page.locator("#errors")).to_contain_text("no object is seen there")


def test_a_jpeg_keeps_its_metadata_and_is_kept_without_loss(
    hand: Studio, examples: Path, tmp_path: Path
) -> None:
    """A photo on its side; saved as PNG after two fills it was encoded once, by the camera."""
    exif = Image.Exif()
    exif[0x010F] = "A maker"
    exif[0x0112] = 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    with Image.open(examples / "pagoda.jpg") as image:
        image.save(tmp_path / "side.jpg", exif=exif, icc_profile=profile, quality=95)
    with Image.open(tmp_path / "side.jpg") as image:
        original = np.asarray(ImageOps.exif_transpose(image))
    hand.open(tmp_path / "side.jpg")
    expect(hand.page.locator("#size")).to_have_text("427 \N{MULTIPLICATION SIGN} 640")
    hand.drag((100, 100), (150, 120))
    hand.fill()
    first = hand.exported()
    hand.page.keyboard.press("k")
    expect(hand.button("Undo")).to_have_attribute("title", "Undo: Keep fill")
    name, content = hand.saved()
    assert name == "side_filled.jpg"
    with Image.open(io.BytesIO(content)) as image:
        assert image.format == "JPEG"
        assert image.size == (427, 640)
        assert dict(image.getexif()) == {0x010F: "A maker", 0x0112: 1}
        assert image.info["icc_profile"] == profile
        away = np.abs(np.asarray(image).astype(int) - original)[~first]
        assert away.mean() < 2
    hand.drag((200, 300), (260, 330))
    hand.fill()
    known = ~(first | hand.exported())
    name, content = hand.saved(lambda: hand.page.evaluate("freefill.studio.save('png')"))
    assert name == "side_filled.png"
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        assert image.info["icc_profile"] == profile
        assert dict(image.getexif()) == {0x010F: "A maker", 0x0112: 1}
        # Chromium's decoder and Pillow's are both libjpeg-turbo.
        assert (np.asarray(image)[known] == original[known]).all()


def test_a_file_of_another_kind_is_saved_as_png(
    hand: Studio, examples: Path, tmp_path: Path
) -> None:
    with Image.open(examples / "coffee.jpg") as image:
        image.save(tmp_path / "photo.webp", lossless=True)
        original = np.asarray(image.convert("RGB"))
    hand.open(tmp_path / "photo.webp")
    hand.drag((80, 80), (160, 120))
    hand.fill()
    marked = hand.exported()
    name, content = hand.saved()
    assert name == "photo_filled.png"
    with Image.open(io.BytesIO(content)) as image:
        assert image.format == "PNG"
        assert (np.asarray(image)[~marked] == original[~marked]).all()
    expect(hand.page.locator("#notes")).to_contain_text("is not kept")


def test_a_fill_is_cancelled_and_another_made(hand: Studio, examples: Path) -> None:
    hand.open(examples / "pagoda.jpg")
    hand.drag((150, 100), (250, 160))
    hand.button("Fill").click()
    hand.button("Cancel").click()
    expect(hand.button("Fill")).to_be_enabled()
    assert hand.page.evaluate("freefill.studio.state.patch") is None
    hand.fill()


def test_masks_come_from_files_and_sketches_are_followed(hand: Studio, examples: Path) -> None:
    hand.open(examples / "bee.jpg")
    hand.page.set_input_files("#mask-file", examples / "bee_mask.png")
    expect(hand.button("Undo")).to_have_attribute("title", "Undo: Import mask")
    with Image.open(examples / "bee_mask.png") as image:
        expected = np.asarray(image.convert("L")) > 127
    assert (hand.exported() == expected).all()
    hand.fill()
    plain = hand.seen()
    top, left = np.argwhere(expected).min(0)
    bottom, right = np.argwhere(expected).max(0)
    hand.tool("Paint")
    hand.page.locator("#colour").fill("#2040d0")
    hand.drag((left, top), (right, bottom))
    hand.button("Fill").click()
    expect(hand.button("Undo")).to_have_attribute("title", "Undo: Fill")
    hand.filled()
    assert (hand.seen() != plain).any()


@pytest.fixture
def guarded(chromium: Browser, static: StaticServer) -> Iterator[Studio]:
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    # A worker has no scripts of the page's: what it is made of is changed on the way.
    noise = NOISE.replace("WebGLRenderingContext, WebGL2RenderingContext", "").replace(
        "CanvasRenderingContext2D, Off", "Off"
    )
    noise = noise.partition("noisy(HTMLCanvasElement")[0] + "})();"
    context.route("**/photo_file.js", lambda route: _before(route, noise))
    yield Studio(context.new_page(), static)
    context.close()


def _before(route: Route, code: str) -> None:
    answer = route.fetch()
    route.fulfill(response=answer, body=answer.text() + code)


def test_noise_of_a_canvas_is_found_out(guarded: Studio, examples: Path, tmp_path: Path) -> None:
    """A JPEG is not filled with noise around it, and PNG files need no canvas."""
    guarded.goto().open(examples / "coffee.jpg")
    guarded.drag((80, 80), (160, 120))
    guarded.button("Fill").click()
    expect(guarded.page.locator("#errors")).to_contain_text("allow this site to read canvases")
    with Image.open(examples / "coffee.jpg") as image:
        original = np.asarray(image.convert("RGB"))
    Image.fromarray(original).save(tmp_path / "photo.png")
    guarded.page.on("dialog", lambda dialog: dialog.accept())
    guarded.open(tmp_path / "photo.png")
    guarded.drag((80, 80), (160, 120))
    guarded.fill()
    marked = guarded.exported()
    with Image.open(io.BytesIO(guarded.saved()[1])) as image:
        assert (np.asarray(image)[~marked] == original[~marked]).all()


def test_after_the_runtime_failed_the_next_fill_has_another(
    chromium: Browser, static: StaticServer, examples: Path
) -> None:
    """Where memory is short it ends in the middle, and answers nothing more."""
    context = chromium.new_context(service_workers="block")
    context.set_default_timeout(120_000)
    broken = [True]

    def give(route: Route) -> None:
        answer = route.fetch()
        code = answer.text()
        if broken:
            broken.clear()
            assert code.count("await session.run(given)") == 1
            code = code.replace(
                "await session.run(given)", "await Promise.reject(new Error('Aborted'))"
            )
        route.fulfill(response=answer, body=code)

    context.route("**/fill/fill.js", give)
    studio = Studio(context.new_page(), static).goto()
    studio.open(examples / "bee.jpg")
    studio.drag((80, 80), (120, 100))
    studio.button("Fill").click()
    expect(studio.page.locator("#errors")).to_contain_text("the network failed (Aborted)")
    studio.fill()
    context.close()
