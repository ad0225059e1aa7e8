"""Shortcuts on keyboards of other layouts: what is written on a key, and else its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hand import Studio
from playwright.sync_api import expect

PRESS = """([key, code, held]) => {
  const given = { key, code, bubbles: true, cancelable: true, ...held };
  const event = new KeyboardEvent('keydown', given);
  document.activeElement.dispatchEvent(event);
}"""


def _press(studio: Studio, key: str, code: str, **held: bool) -> None:
    studio.page.evaluate(PRESS, [key, code, held])


@pytest.mark.parametrize(
    ("z", "code"),
    [
        ("я", "KeyZ"),  # Russian
        ("ζ", "KeyZ"),  # Greek
        ("z", "KeyW"),  # French
        ("z", "Slash"),  # Dvorak
    ],
)
def test_undo_and_redo(studio: Studio, examples: Path, z: str, code: str) -> None:
    studio.open(examples / "bee.jpg")
    studio.page.keyboard.press("i")
    _press(studio, z, code, ctrlKey=True)
    expect(studio.button("Undo")).to_be_disabled()
    _press(studio, z.upper(), code, ctrlKey=True, shiftKey=True)
    expect(studio.button("Redo")).to_be_disabled()
    assert studio.exported().all()


def test_tools_and_brush(studio: Studio, examples: Path) -> None:
    studio.open(examples / "bee.jpg")

    def chosen(name: str, *key: str, **held: Any) -> None:
        _press(studio, *key, **held)
        expect(studio.button(name)).to_have_attribute("aria-pressed", "true")

    chosen("Eraser", "\N{CYRILLIC SMALL LETTER U}", "KeyE")
    chosen("Brush", "β", "KeyB")
    chosen("Rectangle", "r", "KeyO")  # Dvorak
    chosen("Lasso", "L", "KeyL", modifierCapsLock=True)
    chosen("Brush", "и", "KeyB")
    # A slider that was moved with the mouse keeps the keyboard, and types nothing.
    studio.page.locator("#brush-size").focus()
    chosen("Eraser", "e", "KeyE")
    size = studio.page.evaluate("freefill.tools.size")
    # German: AltGr, which is Ctrl and Alt to some browsers.
    _press(studio, "]", "Digit9", ctrlKey=True, altKey=True, modifierAltGraph=True)
    assert studio.page.evaluate("freefill.tools.size") > size
    # Where something is typed, letters are letters.
    studio.page.keyboard.press("g")
    studio.page.keyboard.press("Escape")
    studio.page.locator("#radius").evaluate("(field) => document.body.append(field)")
    studio.page.locator("#radius").focus()
    _press(studio, "b", "KeyB")
    expect(studio.button("Eraser")).to_have_attribute("aria-pressed", "true")
