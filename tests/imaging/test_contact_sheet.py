"""Contact sheets: every picture is on the page, whole and in its place."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from freefill.imaging.contact_sheet import panel, sheet
from freefill.imaging.io import read_picture


def test_a_panel_shows_input_hole_and_result(
    photo: NDArray[np.uint8], hole: NDArray[np.bool_]
) -> None:
    before, after = read_picture(photo), read_picture(255 - photo)
    row = np.asarray(panel(before, hole, after))
    height, width = hole.shape
    assert row.shape[0] == height
    left, right = row[:, :width], row[:, -width:]
    np.testing.assert_array_equal(left, photo)
    np.testing.assert_array_equal(right, 255 - photo)
    start = (row.shape[1] - width) // 2
    middle = row[:, start : start + width]
    np.testing.assert_array_equal(middle[~hole], photo[~hole])
    # The hole is marked: nowhere does it look like the photo.
    assert (np.abs(middle[hole].astype(int) - photo[hole]).max(1) > 20).mean() > 0.95


@pytest.mark.parametrize(
    ("mode", "size"),
    [("L", (30, 20)), ("LA", (30, 20)), ("P", (9, 31)), ("CMYK", (5, 5)), ("1", (1, 1))],
)
def test_a_panel_of_any_mode_is_rgb(mode: str, size: tuple[int, int]) -> None:
    image = (
        Image.new("RGB", size, (200, 30, 30)).quantize(4) if mode == "P" else Image.new(mode, size)
    )
    picture = read_picture(image)
    row = panel(picture, np.zeros(size[::-1], bool), picture)
    assert row.mode == "RGB"
    assert row.height == size[1]
    assert row.width >= 3 * size[0]


@pytest.mark.parametrize("size", [(1000, 500), (500, 1000), (2000, 20)])
def test_large_pictures_are_shrunk_to_the_side(size: tuple[int, int]) -> None:
    width, height = size
    picture = read_picture(np.zeros((height, width, 3), np.uint8))
    row = panel(picture, np.zeros((height, width), bool), picture, side=100)
    shown = np.array(size) * 100 / max(size)
    assert row.height == shown[1]
    # Three pictures with something between them.
    assert 3 * shown[0] < row.width < 3.5 * shown[0] + 50


def placed(page: Image.Image, colour: tuple[int, int, int]) -> NDArray[np.intp]:
    """Rows and columns at which a colour is."""
    return np.argwhere((np.asarray(page) == colour).all(-1))


COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (0, 255, 255)]
SIZES = [(60, 40), (90, 10), (30, 70), (60, 40), (20, 20)]


@pytest.mark.parametrize("count", range(1, 6))
@pytest.mark.parametrize("columns", [1, 2, 3])
def test_every_panel_is_on_the_page_whole(count: int, columns: int) -> None:
    panels = [(f"number {i}", Image.new("RGB", SIZES[i], COLOURS[i])) for i in range(count)]
    page = sheet(panels, columns)
    corners = []
    for i in range(count):
        width, height = SIZES[i]
        where = placed(page, COLOURS[i])
        # Neither cut off nor covered by a caption or a neighbour.
        assert len(where) == width * height
        corners.append(tuple(where.min(0)))
    for i, (top, left) in enumerate(corners):
        assert top == corners[i - i % columns][0]
        assert left == corners[i % columns][1]
    assert corners == sorted(corners)


def test_captions_and_heads_are_written() -> None:
    picture = Image.new("RGB", (120, 40), (10, 10, 10))
    pages = [
        sheet([("caption", picture)]).tobytes(),
        sheet([("another", picture)]).tobytes(),
        sheet([("caption", picture)], heads=("one", "two")).tobytes(),
    ]
    assert len(set(pages)) == 3


def test_captions_of_any_script_are_written() -> None:
    # File names: a font may lack them, which must not stop the page.
    assert sheet([("写真 фото ✿", Image.new("RGB", (50, 50)))]).size[0] >= 50


def test_a_sheet_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        sheet([])
