"""The page's menu of networks: the same hole filled by another one is one step of undo."""

from __future__ import annotations

import json
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest
from hand import Server, Studio
from playwright.sync_api import BrowserContext, expect

ENGINES = Path(__file__).parents[1] / "pipeline" / "engines"
networks = runpy.run_path(str(ENGINES / "networks.py"))


@pytest.fixture
def two(tmp_path: Path, context: BrowserContext) -> Iterator[Studio]:
    """A server with a stand-in for LaMa beside light."""
    path = networks["lama"](tmp_path / "flat.onnx")
    server = Server("--model", "light", "--model", str(path))
    try:
        hand = Studio(context.new_page(), server).goto()
        yield hand
        assert hand.faults == []
    finally:
        server.stop()


def test_one_network_needs_no_menu(studio: Studio) -> None:
    expect(studio.page.locator("#model-option")).to_be_hidden()


def test_fills_by_two_networks_are_compared_by_undo(two: Studio, examples: Path) -> None:
    two.open(examples / "bee.jpg")
    before = two.seen()
    menu, fill = two.page.get_by_label("Model"), two.page.locator("#fill")
    undo = two.page.locator("#undo")
    assert menu.locator("option").all_text_contents() == ["light", "flat"]
    two.drag((100, 100), (140, 100))
    two.fill()
    expect(undo).to_have_attribute("title", "Undo: Fill with light")
    first = two.seen()
    expect(fill).to_be_disabled()

    # Another network has made no fill of this hole yet; it follows no sketch.
    menu.select_option("flat")
    expect(fill).to_be_enabled()
    expect(two.button("Pencil")).to_be_disabled()
    fill.click()
    expect(undo).to_have_attribute("title", "Undo: Fill with flat")
    second = two.seen()
    assert (first != second).any()
    assert (first != before).any()
    expect(fill).to_be_disabled()

    undo.click()
    assert (two.seen() == first).all()
    two.button("Redo").click()
    assert (two.seen() == second).all()
    undo.click()
    # What is saved or kept is the fill that is seen, whichever network is chosen now.
    expect(menu).to_have_value("flat")
    for action in (two.button("Save").click, two.button("Keep").click):
        with two.page.expect_response("**/v1/fill") as answered:
            action()
        assert json.loads(answered.value.headers["fill-details"])["model"] == "light"
    expect(undo).to_have_attribute("title", "Undo: Keep fill")
    menu.select_option("light")
    expect(two.button("Pencil")).to_be_enabled()
