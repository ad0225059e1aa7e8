"""Sketches and strokes of colour, drawn by hand on the page, in the file that is saved."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from hand import Pixels, Studio
from PIL import Image, ImageDraw
from playwright.sync_api import expect
from scipy.ndimage import binary_dilation

from freefill.lab.evaluation.metrics.edges import edge_f1, zero_crossings
from freefill.types import Mask

BOX = ((40.0, 110.0), (170.0, 220.0))
"""Water in front of a sunset, without an edge of its own from side to side."""
LINE = ((50.0, 200.0), (105.0, 130.0), (160.0, 200.0))


def _marked(studio: Studio, examples: Path) -> Mask:
    studio.open(examples / "sunset.jpg")
    studio.tool("Rectangle")
    studio.drag(*BOX)
    return studio.exported()


def _saved(studio: Studio) -> Pixels:
    studio.button("Save in another format").click()
    _, content = studio.saved(studio.page.get_by_text("PNG, lossless").click)
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB"))


def _drawn(*points: tuple[float, float]) -> Mask:
    canvas = Image.new("L", (256, 256))
    ImageDraw.Draw(canvas).line(points, fill=255, width=1)
    return np.asarray(canvas) > 0


def test_a_line_drawn_in_the_hole_is_an_edge_of_the_saved_result(
    studio: Studio, examples: Path
) -> None:
    hole = _marked(studio, examples)
    studio.fill()
    plain = _saved(studio)
    studio.tool("Pencil")
    studio.drag(*LINE)
    studio.fill()
    guided = _saved(studio)
    with Image.open(examples / "sunset.jpg") as image:
        photo = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(guided[~hole], photo[~hole])
    line = _drawn(*LINE)
    _, _, before = edge_f1(zero_crossings(plain), line, hole)
    _, _, after = edge_f1(zero_crossings(guided), line, hole)
    assert after > 0.8
    assert after > before + 0.2
    # Drawn again elsewhere, the fill follows that line instead.
    studio.page.get_by_role("button", name="Mask", exact=True).click()
    studio.button("Clear sketch").click()
    other = ((50.0, 125.0), (160.0, 150.0))
    studio.drag(*other)
    studio.fill()
    again = _saved(studio)
    assert edge_f1(zero_crossings(again), _drawn(*other), hole)[2] > 0.8
    # Without any, it is the first fill.
    studio.page.get_by_role("button", name="Mask", exact=True).click()
    studio.button("Clear sketch").click()
    studio.fill()
    np.testing.assert_array_equal(_saved(studio), plain)


def test_a_dab_of_colour_in_the_hole_is_taken_up(studio: Studio, examples: Path) -> None:
    hole = _marked(studio, examples)
    studio.fill()
    plain = _saved(studio).astype(float)
    studio.tool("Paint")
    studio.page.locator("#colour").fill("#2040d0")
    dab = ((80.0, 165.0), (130.0, 165.0))
    studio.drag(*dab)
    studio.fill()
    painted = _saved(studio).astype(float)
    near = binary_dilation(_drawn(*dab), iterations=3)
    change = (painted - plain)[near].mean(0)
    assert change[2] > 40 > 0 > change[0]
    assert not (painted != plain)[~hole].any()
    # The fill and the dab undone, the first fill is there again.
    studio.page.keyboard.press("Control+z")
    studio.page.keyboard.press("Control+z")
    expect(studio.button("Redo")).to_be_enabled()
    np.testing.assert_array_equal(_saved(studio), plain)
