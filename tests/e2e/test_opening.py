"""What is dropped is a photo, or the mask of one."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from hand import Studio
from PIL import Image
from playwright.sync_api import expect

DROP = """async (files) => {
  const data = new DataTransfer();
  for (const [name, coded] of files) {
    const bytes = Uint8Array.from(atob(coded), (c) => c.charCodeAt(0));
    data.items.add(new File([bytes], name, { type: 'image/png' }));
  }
  document.dispatchEvent(new DragEvent('drop', { cancelable: true, dataTransfer: data }));
}"""


def _drop(studio: Studio, *files: str, width: int = 90) -> None:
    """Drop pictures that are white on their left half."""
    pixels = np.zeros((60, width), np.uint8)
    pixels[:, : width // 2] = 255
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    coded = base64.b64encode(content.getvalue()).decode()
    studio.page.evaluate(DROP, [[name, coded] for name in files])


def _marked(studio: Studio) -> int:
    expect(studio.button("Undo")).to_have_attribute("title", "Undo: Import mask")
    return int(studio.exported().sum())


def test_a_photo_of_a_gas_mask_is_a_photo_whatever_is_open(studio: Studio) -> None:
    name = studio.page.locator("#name")
    _drop(studio, "gas_mask.jpg")
    expect(name).to_have_text("gas_mask.jpg")
    _drop(studio, "holiday.jpg")
    expect(name).to_have_text("holiday.jpg")
    _drop(studio, "gas_mask.jpg")
    expect(name).to_have_text("gas_mask.jpg")
    # With another photo it is no mask of that one, and what is not opened is told.
    _drop(studio, "beach.jpg", "gas_mask.jpg")
    expect(name).to_have_text("beach.jpg")
    expect(studio.page.locator("#notes")).to_contain_text("gas_mask.jpg was left alone")
    assert studio.button("Undo").is_disabled()


@pytest.mark.parametrize("mask", ["sea_mask.png", "SEA_MASK.PNG"])
def test_a_mask_comes_with_its_photo(studio: Studio, mask: str) -> None:
    _drop(studio, "beach.jpg", mask, "sea.jpg")
    expect(studio.page.locator("#name")).to_have_text("sea.jpg")
    assert _marked(studio) == 45 * 60
    expect(studio.page.locator("#notes")).to_contain_text("beach.jpg was left alone")


def test_a_mask_follows_its_photo_if_it_has_its_size(studio: Studio) -> None:
    _drop(studio, "sea.jpg")
    expect(studio.page.locator("#name")).to_have_text("sea.jpg")
    _drop(studio, "sea_mask.png")
    assert _marked(studio) == 45 * 60
    studio.button("Undo").click()
    _drop(studio, "sea_mask.png", width=120)
    expect(studio.page.locator("#name")).to_have_text("sea_mask.png")


def test_what_is_opened_as_a_mask_is_one_whatever_its_name(studio: Studio) -> None:
    _drop(studio, "sea.jpg")
    expect(studio.page.locator("#name")).to_have_text("sea.jpg")
    content = io.BytesIO()
    Image.new("L", (90, 60), 255).save(content, "PNG")
    file = {"name": "whatever.png", "mimeType": "image/png", "buffer": content.getvalue()}
    studio.page.set_input_files("#mask-file", files=[file])  # type: ignore[list-item]
    assert _marked(studio) == 90 * 60


def test_a_question_that_is_answered_no_leaves_the_mask_alone(studio: Studio) -> None:
    _drop(studio, "sea.jpg")
    expect(studio.page.locator("#name")).to_have_text("sea.jpg")
    studio.page.keyboard.press("i")
    studio.page.once("dialog", lambda dialog: dialog.dismiss())
    _drop(studio, "lake.jpg", "lake_mask.png")
    expect(studio.page.locator("#name")).to_have_text("sea.jpg")
    assert studio.exported().all()
