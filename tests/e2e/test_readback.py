"""Where a browser adds noise to what is read back from a canvas, masks are what was drawn."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hand import Pixels, Server, Studio
from PIL import Image
from playwright.sync_api import Browser, expect
from test_studio import _distance

from freefill.imaging.io import read_picture
from freefill.masks.morphology import grow
from freefill.tasks import segment

NOISE = """(() => {
  const random = (bytes) => bytes.forEach((_, i) => (bytes[i] = 256 * Math.random()));
  for (const kind of [CanvasRenderingContext2D, OffscreenCanvasRenderingContext2D]) {
    kind.prototype.getImageData = (x, y, width, height) => {
      const out = new ImageData(width, height);
      random(out.data);
      return out;
    };
  }
  for (const kind of [WebGLRenderingContext, WebGL2RenderingContext]) {
    kind.prototype.readPixels = (...given) => random(given.at(-1));
  }
  const noisy = (kind, name) => {
    const plain = kind.prototype[name];
    kind.prototype[name] = function (...given) {
      const context = this.getContext('2d');
      const noise = new ImageData(this.width, this.height);
      random(noise.data);
      context.putImageData(noise, 0, 0);
      return plain.apply(this, given);
    };
  };
  noisy(HTMLCanvasElement, 'toBlob');
  noisy(HTMLCanvasElement, 'toDataURL');
  noisy(OffscreenCanvas, 'convertToBlob');
  // Chromium tells nobody outside what files are in a form.
  window.sent = {};
  const plain = FormData.prototype.set;
  FormData.prototype.set = function (name, value) {
    window.sent[name] = value;
    return plain.call(this, name, value);
  };
})()"""
"""What Firefox with ``resistFingerprinting`` does; and what is put into forms is kept."""


@pytest.fixture
def guarded(chromium: Browser, server: Server) -> Iterator[Studio]:
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    context.add_init_script(NOISE)
    hand = Studio(context.new_page(), server)
    yield hand.goto()
    assert hand.faults == []
    context.close()


def _sent(studio: Studio) -> dict[str, Pixels]:
    """Fill, and give the pictures that go to the server beside the photo."""
    studio.fill()
    coded: dict[str, str] = studio.page.evaluate("""async () => {
      const found = {};
      for (const name of ['mask', 'sketch', 'colour']) {
        if (!window.sent[name]) continue;
        const bytes = new Uint8Array(await window.sent[name].arrayBuffer());
        found[name] = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
      }
      return found;
    }""")
    found = {}
    for name, content in coded.items():
        with Image.open(io.BytesIO(base64.b64decode(content))) as image:
            found[name] = np.asarray(image)
    return found


def _read(path: Path) -> Pixels:
    with Image.open(path) as image:
        return np.asarray(image.convert("L")) > 127


def test_one_stroke_is_sent_as_exactly_its_pixels(guarded: Studio, examples: Path) -> None:
    guarded.open(examples / "pagoda.jpg")
    line = ((150.0, 100.0), (310.0, 180.0))
    guarded.drag(*line)
    mask = _sent(guarded)["mask"]
    away = _distance((427, 640), line) - guarded.page.evaluate("freefill.tools.size") / 2
    # On the very edge of the brush, a thousandth of a pixel decides.
    decided = np.abs(away) > 0.002
    assert decided.mean() > 0.999
    assert (mask[decided] == (away < 0)[decided]).all()


def test_lines_and_colours_are_sent_as_they_were_drawn(guarded: Studio, examples: Path) -> None:
    guarded.open(examples / "pagoda.jpg")
    guarded.tool("Rectangle")
    guarded.drag((100, 100), (300, 250))
    guarded.tool("Pencil")
    line = ((120.0, 120.0), (280.0, 230.0))
    guarded.drag(*line)
    guarded.tool("Paint")
    guarded.page.evaluate("freefill.tools.size = 30")
    guarded.page.locator("#colour").fill("#2040d0")
    dab = ((150.0, 200.0), (200.0, 200.0))
    guarded.drag(*dab)
    sent = _sent(guarded)
    rows, columns = np.mgrid[0:427, 0:640]
    box = (rows >= 100) & (rows < 250) & (columns >= 100) & (columns < 300)
    assert (sent["mask"] == box).all()
    away = _distance((427, 640), line)
    assert sent["sketch"][away < 0.9].all()
    assert not sent["sketch"][away > 1.8].any()
    away = _distance((427, 640), dab)
    assert (sent["colour"][away < 14.4] == (0x20, 0x40, 0xD0, 255)).all()
    assert not sent["colour"][away > 15.6].any()


def test_masks_that_are_read_and_grown_are_those_of_the_library(
    guarded: Studio, examples: Path, tmp_path: Path
) -> None:
    expected = _read(examples / "pagoda_mask.png")
    guarded.open(examples / "pagoda.jpg")
    guarded.page.set_input_files("#mask-file", examples / "pagoda_mask.png")
    expect(guarded.button("Undo")).to_have_attribute("title", "Undo: Import mask")
    assert (guarded.exported() == expected).all()
    guarded.page.keyboard.press("g")
    guarded.page.locator("#grow").get_by_role("button", name="Grow").click()
    assert (guarded.exported() == grow(expected, 4)).all()
    # Red on a transparent ground, in a format that no browser reads: a mask all the same.
    paint = np.zeros((427, 640, 4), np.uint8)
    paint[expected] = 200, 10, 10, 255
    Image.fromarray(paint).save(tmp_path / "red.tif")
    guarded.menu("Clear")
    guarded.page.set_input_files("#mask-file", tmp_path / "red.tif")
    expect(guarded.button("Fill")).to_be_enabled()
    assert (guarded.exported() == expected).all()


def test_a_thing_that_is_picked_is_what_the_library_finds(guarded: Studio, examples: Path) -> None:
    guarded.open(examples / "street.jpg")
    guarded.tool("Pick")
    guarded.page.mouse.click(*guarded.at(216, 55))
    expect(guarded.button("Undo")).to_have_attribute("title", "Undo: Pick", timeout=60_000)
    found = segment(read_picture(examples / "street.jpg"), at=[(216, 55)])
    assert (guarded.exported() == found.mask).all()
