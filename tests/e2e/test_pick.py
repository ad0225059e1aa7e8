"""A thing is clicked, its outline is seen, Enter lets it go."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hand import Studio
from PIL import Image
from playwright.sync_api import Route, expect

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


def test_a_doubtful_outline_is_shown_and_says_why(studio: Studio, examples: Path) -> None:
    studio.open(examples / "sunset.jpg")
    studio.tool("Pick")
    studio.page.mouse.click(*studio.at(128, 20))
    doubt = studio.page.locator("#notes .doubt")
    expect(doubt).to_contain_text("U^2-Net takes nothing there for an object", timeout=30_000)
    # It is marked, so that it can be looked at, and nothing is filled yet.
    assert studio.over().any()
    expect(studio.button("Fill")).to_be_enabled()
    studio.page.keyboard.press("Control+z")
    assert not studio.over().any()
    doubt.get_by_role("button", name="Dismiss").click()
    expect(doubt).to_have_count(0)


def test_a_click_on_nothing_says_so_and_marks_nothing(studio: Studio, tmp_path: Path) -> None:
    Image.new("RGB", (160, 6), (90, 140, 200)).save(tmp_path / "strip.png")
    studio.open(tmp_path / "strip.png")
    studio.tool("Pick")
    studio.page.mouse.click(*studio.at(80, 3))
    expect(studio.page.locator("#errors")).to_contain_text("Looking for what is there did not work")
    assert not studio.over().any()
    # The browser reports the answer 422 itself.
    studio.faults.clear()


class Finder:
    """In the place of the server's: answers when it is told to, with a square around the click."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.held: list[Route] = []
        studio.page.route("**/v1/segment", lambda route: self.held.append(route))
        self.fills: list[str] = []
        studio.page.on("request", lambda request: self._heard(request.url))

    def _heard(self, url: str) -> None:
        if url.endswith("/v1/fill"):
            self.fills.append(url)

    def click(self, x: float, y: float) -> None:
        self.studio.page.mouse.click(*self.studio.at(x, y))

    def asked(self) -> None:
        """Wait for the next question."""
        for _ in range(200):
            if self.held:
                return
            self.studio.page.wait_for_timeout(20)
        pytest.fail("nothing was looked for")

    def answer(self, x: int, y: int) -> None:
        self.asked()
        mask = np.zeros((256, 256), np.uint8)
        mask[y - 10 : y + 10, x - 10 : x + 10] = 255
        content = io.BytesIO()
        Image.fromarray(mask).save(content, "PNG")
        self.held.pop(0).fulfill(body=content.getvalue(), content_type="image/png")

    def refuse(self) -> None:
        self.asked()
        self.held.pop(0).fulfill(status=422, json={"detail": "no object is there"})


@pytest.fixture
def finder(studio: Studio, examples: Path) -> Finder:
    studio.open(examples / "street.jpg")
    studio.tool("Pick")
    return Finder(studio)


def test_clicks_queue_and_enter_fills_once_when_all_are_found(finder: Finder) -> None:
    studio = finder.studio
    finder.click(50, 50)
    finder.click(150, 50)
    finder.click(100, 200)
    expect(studio.page.locator("#doing")).to_contain_text("2 more")
    studio.page.keyboard.press("Enter")
    studio.page.keyboard.press("Enter")
    finder.answer(50, 50)
    finder.answer(150, 50)
    finder.asked()
    assert finder.fills == []
    finder.answer(100, 200)
    studio.filled()
    marked = studio.exported()
    assert [marked[50, 50], marked[50, 150], marked[200, 100]] == [True] * 3
    assert marked.sum() == 3 * 400
    assert len(finder.fills) == 1


def test_escape_drops_what_waits_and_keeps_what_was_found(finder: Finder) -> None:
    studio = finder.studio
    finder.click(50, 50)
    finder.click(150, 50)
    finder.click(100, 200)
    finder.answer(50, 50)
    expect(studio.page.locator("#doing")).to_contain_text("1 more")
    studio.page.keyboard.press("Enter")
    studio.page.keyboard.press("Escape")
    expect(studio.button("Fill")).to_be_enabled()
    finder.held.clear()
    studio.page.wait_for_timeout(100)
    assert finder.held == []
    assert finder.fills == []
    assert studio.exported().sum() == 400
    # What comes after Escape is a matter of its own.
    finder.click(150, 50)
    finder.answer(150, 50)
    expect(studio.button("Fill")).to_be_enabled()
    assert studio.exported().sum() == 800


def test_where_one_is_not_found_the_others_are_marked_and_nothing_is_filled(
    finder: Finder,
) -> None:
    studio = finder.studio
    finder.click(50, 50)
    finder.click(150, 50)
    studio.page.keyboard.press("Enter")
    finder.refuse()
    finder.answer(150, 50)
    expect(studio.page.locator("#errors")).to_contain_text("no object is there")
    expect(studio.button("Fill")).to_be_enabled()
    assert studio.exported().sum() == 400
    assert finder.fills == []
    # Enter is about the last place, which was found.
    studio.stage.press("Enter")
    studio.filled()
    assert finder.held == []
    studio.faults.clear()  # the browser reports the answer 422 itself


def test_a_pick_while_a_fill_runs_waits_for_it(finder: Finder) -> None:
    studio = finder.studio
    finder.click(50, 50)
    finder.answer(50, 50)
    expect(studio.button("Fill")).to_be_enabled()
    waiting: list[Route] = []
    studio.page.route("**/v1/fill", lambda route: waiting.append(route))
    studio.page.keyboard.press("f")
    finder.click(150, 50)
    studio.page.keyboard.press("k")  # of a fill that is not there yet: nothing
    studio.page.keyboard.press("f")
    expect(studio.page.locator("#doing")).to_contain_text("2 more")
    assert finder.held == []
    waiting.pop().continue_()
    studio.page.unroute("**/v1/fill")
    finder.answer(150, 50)
    expect(studio.button("Fill")).to_be_disabled()
    assert len(finder.fills) == 2
    assert studio.exported().sum() == 800
