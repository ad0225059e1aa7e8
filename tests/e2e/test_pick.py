"""A thing is clicked, its outline is seen, Enter lets it go."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from hand import Studio
from PIL import Image
from playwright.sync_api import expect

THING = (216.0, 55.0)
"""A dark sign in front of leaves, in examples/street.jpg."""


def test_a_thing_that_is_clicked_is_marked_and_enter_fills_it(
    studio: Studio, examples: Path
) -> None:
    studio.open(examples / "street.jpg")
    studio.tool("Pick")
    studio.page.mouse.click(*studio.at(*THING))
    expect(studio.button("Fill")).to_be_enabled()
    marked = studio.exported()
    assert marked[int(THING[1]), int(THING[0])]
    assert 0.05 < marked.mean() < 0.2  # the sign, and its post
    assert not marked[:, :128].any()
    studio.stage.focus()
    studio.page.keyboard.press("Enter")
    studio.filled()
    _, content = studio.saved()
    with Image.open(io.BytesIO(content)) as image, Image.open(examples / "street.jpg") as before:
        change = np.abs(np.asarray(image, int) - np.asarray(before, int)).mean(-1)
    assert change[marked].mean() > 20
    assert change[:, :100].max() == 0
    # Undone twice, neither fill nor mask is there.
    studio.page.keyboard.press("Control+z")
    studio.page.keyboard.press("Control+z")
    assert not studio.over().any()


def test_by_keyboard_and_taken_away_again(studio: Studio, examples: Path) -> None:
    studio.open(examples / "street.jpg")
    studio.stage.focus()
    studio.page.keyboard.press("w")
    x, y = studio.at(*THING)
    studio.page.mouse.move(x, y)
    studio.page.keyboard.press("Enter")
    expect(studio.button("Fill")).to_be_enabled()
    assert studio.exported().any()
    studio.page.keyboard.down("Alt")
    studio.page.mouse.click(x, y)
    studio.page.keyboard.up("Alt")
    expect(studio.button("Undo")).to_have_attribute("title", "Undo: Take away a thing")
    assert not studio.exported().any()


def test_a_click_on_nothing_says_so_and_marks_nothing(studio: Studio, tmp_path: Path) -> None:
    Image.new("RGB", (160, 120), (90, 140, 200)).save(tmp_path / "sky.png")
    studio.open(tmp_path / "sky.png")
    studio.tool("Pick")
    studio.page.mouse.click(*studio.at(80, 60))
    expect(studio.page.locator("#errors")).to_contain_text("Looking for what is there did not work")
    assert not studio.over().any()
    # The browser reports the answer 422 itself.
    studio.faults.clear()
