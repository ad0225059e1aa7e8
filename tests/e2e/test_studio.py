"""The page in a real browser, as a person uses it with a mouse."""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hand import Pixels, Studio
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import expect

from freefill.imaging.io import encode, read_picture
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import FillRequest

STROKE = ((150.0, 100.0), (260.0, 160.0), (330.0, 120.0))


def _photo(examples: Path, name: str = "pagoda.jpg") -> Path:
    return examples / name


def _distance(shape: tuple[int, int], points: tuple[tuple[float, float], ...]) -> NDArray[Any]:
    """Give each pixel's distance from a line through points."""
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]] + 0.5
    nearest = np.full(shape, np.inf)
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        dx, dy = x1 - x0, y1 - y0
        t = np.clip(((columns - x0) * dx + (rows - y0) * dy) / (dx * dx + dy * dy), 0, 1)
        nearest = np.minimum(nearest, np.hypot(columns - x0 - t * dx, rows - y0 - t * dy))
    return nearest


def _photo_part(studio: Studio, seen: Pixels) -> Pixels:
    """Cut the photo out of the canvas, which shows it at 100 %."""
    view = studio.view()
    assert view["scale"] == 1
    left, top = int(view["x"]), int(view["y"])
    width, height = studio.page.evaluate("[freefill.view.width, freefill.view.height]")
    return seen[top : top + height, left : left + width]


def test_opens_a_photo_at_its_own_pixels(studio: Studio, examples: Path) -> None:
    studio.open(_photo(examples))
    expect(studio.page.locator("#size")).to_have_text("640 \N{MULTIPLICATION SIGN} 427")
    with Image.open(_photo(examples)) as image:
        expected = np.asarray(image)
    shown = _photo_part(studio, studio.seen())[..., :3].astype(int)
    # Chromium's JPEG decoder is not Pillow's to the last bit.
    assert np.abs(shown - expected).max() <= 8
    assert np.abs(shown - expected).mean() < 0.5


def test_a_stroke_marks_what_the_brush_went_over(studio: Studio, examples: Path) -> None:
    studio.open(_photo(examples))
    studio.drag(*STROKE)
    size = studio.page.evaluate("freefill.tools.size")
    away = _distance((427, 640), STROKE)
    marked = studio.exported()
    # The hand's corners are rounded: two pixels at most on the way round them.
    assert marked[away < size / 2 - 4].all()
    assert not marked[away > size / 2 + 2].any()


def test_a_fill_changes_only_what_is_marked_and_is_what_the_library_gives(
    studio: Studio, examples: Path, inpainter: Inpainter
) -> None:
    studio.open(_photo(examples))
    before = _photo_part(studio, studio.seen())
    studio.drag(*STROKE)
    mask = studio.exported()
    studio.fill()
    after = _photo_part(studio, studio.seen())
    assert (after[~mask] == before[~mask]).all()
    filled = inpainter.run(FillRequest(read_picture(_photo(examples)), mask)).picture.samples
    assert (after[mask][:, :3] == filled[mask]).all()
    # The result is looked at without the mask over it.
    assert not studio.over().any()


def test_comparing_shows_the_original_while_held_and_beside_the_line(
    studio: Studio, examples: Path
) -> None:
    studio.open(_photo(examples))
    before = _photo_part(studio, studio.seen())
    studio.drag(*STROKE)
    studio.fill()
    after = _photo_part(studio, studio.seen())
    assert (after != before).any()

    box = studio.button("Before").bounding_box()
    assert box is not None
    studio.page.mouse.move(box["x"] + 5, box["y"] + 5)
    studio.page.mouse.down()
    assert (_photo_part(studio, studio.seen()) == before).all()
    studio.page.mouse.up()
    assert (_photo_part(studio, studio.seen()) == after).all()

    studio.page.keyboard.press("s")
    line = studio.page.get_by_role("slider", name="Before and after")
    studio.page.mouse.move(*studio.at(320, 20))
    studio.page.mouse.down()
    studio.page.mouse.move(*studio.at(240, 20), steps=4)
    studio.page.mouse.up()
    expect(line).to_have_attribute("aria-valuenow", "38")
    split = _photo_part(studio, studio.seen())
    assert (split[:, :239] == before[:, :239]).all()
    assert (split[:, 241:] == after[:, 241:]).all()
    line.press("Home")
    assert (_photo_part(studio, studio.seen()) == after).all()


def test_undo_and_redo_go_through_strokes_and_fills(studio: Studio, examples: Path) -> None:
    studio.open(_photo(examples))
    before = studio.seen()
    assert studio.button("Undo").is_disabled()
    studio.drag((100, 100), (140, 100))
    one = studio.exported()
    studio.drag((300, 300), (340, 300))
    both = studio.exported()
    assert both.sum() > one.sum()
    studio.fill()
    after = studio.seen()
    studio.button("Undo").click()
    assert (studio.seen() == before).all()
    assert (studio.exported() == both).all()
    studio.page.keyboard.press("Control+z")
    assert (studio.exported() == one).all()
    studio.page.keyboard.press("Control+Shift+z")
    studio.page.keyboard.press("Control+y")
    assert (studio.seen() == after).all()
    expect(studio.button("Redo")).to_be_disabled()
    # A new stroke after an undo ends the other future.
    studio.button("Undo").click()
    studio.drag((200, 200), (220, 200))
    expect(studio.button("Redo")).to_be_disabled()


def test_a_second_fill_starts_from_the_original_with_both_marks(
    studio: Studio, examples: Path, inpainter: Inpainter
) -> None:
    studio.open(_photo(examples))
    studio.drag((100, 100), (160, 100))
    studio.fill()
    studio.drag((150, 100), (230, 110))
    mask = studio.exported()
    studio.button("Fill").click()
    expect(studio.button("Fill")).to_be_disabled()
    shown = _photo_part(studio, studio.seen())
    expected = inpainter.run(FillRequest(read_picture(_photo(examples)), mask)).picture.samples
    assert (shown[mask][:, :3] == expected[mask]).all()


def test_keeping_makes_the_fill_the_original(studio: Studio, examples: Path) -> None:
    studio.open(_photo(examples))
    studio.drag(*STROKE)
    studio.fill()
    studio.page.keyboard.press("k")
    expect(studio.button("Before")).to_be_disabled()
    kept = studio.saved()[1]
    # The mask is empty again: nothing is left to fill.
    expect(studio.button("Fill")).to_be_disabled()
    studio.drag((500, 300), (560, 300))
    studio.fill()
    again = studio.saved()[1]
    first, second = (np.asarray(Image.open(io.BytesIO(data))) for data in (kept, again))
    assert (first[:200] == second[:200]).all()
    assert (first[280:320, 480:580] != second[280:320, 480:580]).any()


def test_the_eraser_takes_away_and_what_it_took_away_is_not_filled(
    studio: Studio, examples: Path
) -> None:
    studio.open(_photo(examples))
    studio.drag((100, 200), (300, 200))
    whole = studio.exported()
    studio.fill()
    studio.page.keyboard.press("e")
    # With the eraser in hand the mask is seen, filled or not.
    assert studio.over().any()
    studio.drag((250, 200), (330, 200))
    rest = studio.exported()
    assert not (rest & ~whole).any()
    assert whole[200, 280]
    assert not rest[200, 280]
    before = _photo_part(studio, studio.seen())
    studio.button("Fill").click()
    expect(studio.button("Fill")).to_be_disabled()
    after = _photo_part(studio, studio.seen())
    studio.page.keyboard.down("c")
    original = _photo_part(studio, studio.seen())
    studio.page.keyboard.up("c")
    assert (after[200, 275:300] == original[200, 275:300]).all()
    assert (before[200, 275:300] != original[200, 275:300]).any()


def test_lasso_and_rectangle(studio: Studio, examples: Path) -> None:
    studio.open(_photo(examples))
    studio.tool("Lasso")
    studio.drag((100, 100), (200, 100), (100, 200))
    row, column = np.mgrid[0:427, 0:640]
    inside = (row > 101) & (column > 101) & (row + column < 298)
    outside = (row < 99) | (column < 99) | (row + column > 302)
    marked = studio.exported()
    assert marked[inside].all()
    assert not marked[outside].any()
    studio.tool("Rectangle")
    studio.drag((300, 300), (340, 320))
    box = studio.exported() & ~marked
    assert np.argwhere(box).min(0).tolist() == [300, 300]
    assert np.argwhere(box).max(0).tolist() == [319, 339]
    # Alt takes away, whatever the tool.
    studio.page.keyboard.down("Alt")
    studio.drag((290, 290), (350, 330))
    studio.page.keyboard.up("Alt")
    assert (studio.exported() == marked).all()


def test_soft_brushes_mix_the_fill_and_the_photo(studio: Studio, examples: Path) -> None:
    studio.open(_photo(examples))
    hard = _photo_part(studio, studio.seen())
    for _ in range(10):
        studio.page.keyboard.press("Shift+[")
    expect(studio.page.locator("#hardness-value")).to_have_text("0 %")
    studio.page.evaluate("freefill.tools.size = 120")
    studio.drag((320, 200), (321, 200))
    studio.fill()
    shown = _photo_part(studio, studio.seen())
    change = np.abs(shown[..., :3].astype(int) - hard[..., :3]).mean(-1)
    rows, columns = np.mgrid[0:427, 0:640]
    away = np.hypot(rows - 200, columns - 320)
    # A soft brush's hole ends half way out, and its effect fades towards that edge.
    assert change[away > 34].max() == 0
    assert 0 < change[(away > 24) & (away < 29)].mean() < change[away < 15].mean() / 2


def test_a_mask_is_read_inverted_grown_and_cleared(
    studio: Studio, examples: Path, tmp_path: Path
) -> None:
    from freefill.masks.morphology import grow

    studio.open(_photo(examples))
    with Image.open(examples / "pagoda_mask.png") as image:
        expected = np.asarray(image.convert("L")) > 127
    studio.page.set_input_files("#mask-file", examples / "pagoda_mask.png")
    expect(studio.button("Fill")).to_be_enabled()
    assert (studio.exported() == expected).all()
    studio.menu("Grow")
    studio.page.get_by_label("Pixels of the photo").fill("7")
    studio.page.locator("#grow").get_by_role("button", name="Grow").click()
    grown = grow(expected, 7)
    assert (studio.exported() == grown).all()
    studio.menu("Invert")
    assert (studio.exported() == ~grown).all()
    studio.menu("Clear")
    expect(studio.button("Fill")).to_be_disabled()
    # A mask of another size is stretched, and that is said.
    small = tmp_path / "small_mask.png"
    Image.fromarray(np.kron([[255, 0], [0, 0]], np.ones((50, 50))).astype(np.uint8)).save(small)
    studio.page.set_input_files("#mask-file", small)
    expect(studio.page.locator("#notes")).to_contain_text(
        "100\N{MULTIPLICATION SIGN}100; the photo is 640\N{MULTIPLICATION SIGN}427"
    )
    stretched = studio.exported()
    assert stretched[:212, :319].all()
    assert not stretched[215:].any()


def test_a_saved_jpeg_keeps_its_format_metadata_size_and_other_pixels(
    studio: Studio, examples: Path, tmp_path: Path, inpainter: Inpainter
) -> None:
    with Image.open(_photo(examples)) as image:
        exif = Image.Exif()
        exif[0x010F] = "A camera"
        exif[0x9003] = "2024:05:06 07:08:09"
        photo = tmp_path / "holiday.jpg"
        image.save(photo, quality=90, exif=exif, dpi=(300, 300), comment=b"by hand")
    studio.open(photo)
    studio.drag(*STROKE)
    mask = studio.exported()
    studio.fill()
    name, content = studio.saved()
    assert name == "holiday_filled.jpg"
    expected, _ = encode(inpainter.run(FillRequest(read_picture(photo), mask)).picture, "JPEG")
    assert content == expected
    assert abs(len(content) - photo.stat().st_size) < 0.05 * photo.stat().st_size
    with Image.open(photo) as before, Image.open(io.BytesIO(content)) as after:
        assert after.size == before.size == (640, 427)
        assert after.getexif()[0x010F] == "A camera"
        assert after.info["dpi"] == before.info["dpi"]
        assert after.info["comment"] == b"by hand"
        first, second = np.asarray(before.convert("RGB")), np.asarray(after.convert("RGB"))
    # JPEG's blocks and their colours reach 16 pixels, and smoothing one pixel further.
    away = _distance((427, 640), STROKE) > 20 + 17 * 1.5
    assert (first[away] == second[away]).all()
    assert (first != second).any()


def test_saving_as_another_format_and_a_photo_of_16_bits(
    studio: Studio, examples: Path, tmp_path: Path
) -> None:
    from freefill.imaging.formats.writer import encode

    rows, columns = np.mgrid[0:200, 0:300].astype(np.uint16)
    deep = np.stack([rows * 300, columns * 200, rows + columns], -1)
    photo = tmp_path / "deep.png"
    photo.write_bytes(encode(read_picture(deep), "PNG")[0])
    studio.open(photo)
    studio.drag((100, 100), (140, 100))
    mask = studio.exported()
    studio.fill()
    saved = read_picture(studio.saved()[1]).samples
    assert saved.dtype == np.uint16
    assert (saved[~mask] == deep[~mask]).all()
    studio.button("Save in another format").click()
    name, content = studio.saved(studio.page.get_by_text("WebP").click)
    assert name == "deep_filled.webp"
    with Image.open(io.BytesIO(content)) as image:
        assert image.format == "WEBP"


def test_a_tiff_which_no_browser_reads(studio: Studio, examples: Path, tmp_path: Path) -> None:
    photo = tmp_path / "scan.tif"
    with Image.open(_photo(examples, "bricks.jpg")) as image:
        pixels = np.asarray(image)
        image.save(photo)
    # Chromium's refusal to decode it is no fault of the page.
    studio.open(photo)
    expect(studio.page.locator("#size")).to_have_text(
        f"{pixels.shape[1]} \N{MULTIPLICATION SIGN} {pixels.shape[0]}"
    )
    studio.drag((60, 60), (120, 80))
    mask = studio.exported()
    studio.fill()
    name, content = studio.saved()
    assert name == "scan_filled.tif"
    saved = read_picture(content)
    assert saved.format == "TIFF"
    assert (saved.samples[~mask] == pixels[~mask]).all()
    assert (saved.samples[mask] != pixels[mask]).any()


def test_a_photo_of_inks_has_one_colour_inside_the_hole_and_outside(
    studio: Studio, tmp_path: Path
) -> None:
    photo = tmp_path / "inks.jpg"
    Image.new("CMYK", (700, 400), (140, 40, 90, 30)).save(photo, quality=100)
    studio.open(photo)
    before = _photo_part(studio, studio.seen())
    studio.drag((100, 100), (160, 100))
    studio.fill()
    after = _photo_part(studio, studio.seen())
    assert np.abs(after.astype(int) - before).max() <= 12
    # With a profile of inks the browser's colours are others: the server's are shown, whole.
    assert any(url.endswith("/v1/view") for url in studio.requests)


def test_dropping_and_pasting_open_photos_and_masks(studio: Studio, examples: Path) -> None:
    give = """async ([kind, names, files]) => {
      const data = new DataTransfer();
      for (const [i, name] of names.entries()) {
        const bytes = Uint8Array.from(atob(files[i]), (c) => c.charCodeAt(0));
        data.items.add(new File([bytes], name, { type: name.endsWith('g') ? 'image/*' : '' }));
      }
      const made = kind === 'paste' ? { clipboardData: data } : { dataTransfer: data };
      const event = kind === 'paste' ? ClipboardEvent : DragEvent;
      document.dispatchEvent(new event(kind, { bubbles: true, cancelable: true, ...made }));
    }"""
    import base64

    def send(kind: str, *names: str) -> None:
        files = [base64.b64encode((examples / name).read_bytes()).decode() for name in names]
        studio.page.evaluate(give, [kind, list(names), files])

    send("drop", "coffee_mask.png", "coffee.jpg")
    expect(studio.page.locator("#name")).to_have_text("coffee.jpg")
    with Image.open(examples / "coffee_mask.png") as image:
        expected = np.asarray(image.convert("L")) > 127
    expect(studio.button("Fill")).to_be_enabled()
    assert (studio.exported() == expected).all()
    # What is not saved is not thrown away without a question.
    studio.page.once("dialog", lambda dialog: dialog.dismiss())
    send("paste", "bee.jpg")
    expect(studio.page.locator("#name")).to_have_text("coffee.jpg")
    studio.page.once("dialog", lambda dialog: dialog.accept())
    send("paste", "bee.jpg")
    expect(studio.page.locator("#name")).to_have_text("bee.jpg")


def test_a_file_that_is_no_picture_is_refused_and_the_photo_stays(
    studio: Studio, examples: Path
) -> None:
    studio.open(_photo(examples))
    studio.drag(*STROKE)
    mask = studio.exported()
    studio.fill()
    studio.saved()
    wrong = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"not a picture"}
    studio.page.set_input_files("#photo-file", files=[wrong])  # type: ignore[list-item]
    error = studio.page.locator("#errors")
    expect(error).to_contain_text("notes.txt cannot be opened")
    expect(error).to_contain_text("13 bytes")
    expect(studio.page.locator("#name")).to_have_text("pagoda.jpg")
    assert (studio.exported() == mask).all()
    error.get_by_role("button", name="Dismiss").click()
    expect(error).to_be_empty()
    # The browser writes down that the server said no.
    studio.faults = [line for line in studio.faults if "422" not in line]


@pytest.mark.parametrize("ratio", [1, 1.5, 2])
def test_a_pixel_of_the_photo_is_one_of_the_screen_at_any_scale(
    studio: Studio, examples: Path, ratio: float
) -> None:
    browser = studio.page.context.browser
    assert browser is not None
    context = browser.new_context(viewport={"width": 901, "height": 703}, device_scale_factor=ratio)
    hand = Studio(context.new_page(), studio.server).goto()
    rng = np.random.default_rng(5)
    noise = rng.integers(0, 256, (180, 240, 3), np.uint8)
    content = io.BytesIO()
    Image.fromarray(noise).save(content, "PNG")
    photo = {"name": "noise.png", "mimeType": "image/png", "buffer": content.getvalue()}
    hand.open(photo)
    hand.page.keyboard.press("1")
    expect(hand.page.locator("#zoom")).to_have_text("100 %")
    hand.page.mouse.move(*hand.at(120, 90))
    assert (_photo_part(hand, hand.seen())[..., :3] == noise).all()
    width, css = hand.page.evaluate("[photo.width, photo.getBoundingClientRect().width]")
    assert abs(width - css * ratio) <= 1
    context.close()


def test_zoom_and_pan_leave_the_place_under_the_pointer(studio: Studio, examples: Path) -> None:
    studio.open(_photo(examples))
    studio.page.mouse.move(*studio.at(200, 120))
    for _ in range(3):
        studio.page.mouse.wheel(0, -200)
    studio.page.wait_for_function("freefill.view.scale > 2")
    x, y = studio.at(200, 120)
    studio.page.keyboard.down("Space")
    studio.page.mouse.down()
    studio.page.mouse.move(x + 90, y - 40, steps=4)
    studio.page.mouse.up()
    studio.page.keyboard.up("Space")
    assert studio.at(200, 120) == pytest.approx((x + 90, y - 40), abs=1.5)
    # No stroke was drawn on the way.
    assert studio.button("Undo").is_disabled()
    studio.page.keyboard.press("0")
    assert studio.view()["scale"] == 1


def test_automatic_fills_follow_each_stroke(studio: Studio, examples: Path) -> None:
    studio.open(_photo(examples))
    studio.page.get_by_label("Auto").check()
    studio.drag(*STROKE)
    studio.filled()
    assert not studio.over().any()
