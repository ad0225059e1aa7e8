"""Photos of another shape: seams, what they spare, and what is made up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from freefill.errors import ConfigError, MaskError
from freefill.pipeline.inpainter import Inpainter
from freefill.tasks import retarget
from freefill.vision.seam_carving import factor_of, seams

Photo = NDArray[np.uint8]


def _photo(examples: Path, name: str, side: int = 160) -> Photo:
    with Image.open(examples / f"{name}.jpg") as image:
        image.thumbnail((side, side))
        return np.asarray(image.convert("RGB"))


def _cheapest_of_all(rgb: NDArray[np.float32]) -> float:
    """The least forward energy of any seam, by trying every path."""
    height, width = rgb.shape[:2]

    def at(row: int, column: int) -> NDArray[np.float32]:
        return rgb[row, min(max(column, 0), width - 1)]

    def cost(row: int, column: int, above: int | None) -> float:
        found = np.abs(at(row, column + 1) - at(row, column - 1)).sum()
        if above is not None and above < column:
            found += np.abs(at(row - 1, column) - at(row, column - 1)).sum()
        if above is not None and above > column:
            found += np.abs(at(row - 1, column) - at(row, column + 1)).sum()
        return float(found)

    def best(row: int, column: int) -> float:
        if row == 0:
            return cost(0, column, None)
        above = [c for c in (column - 1, column, column + 1) if 0 <= c < width]
        return min(best(row - 1, c) + cost(row, column, c) for c in above)

    return min(best(height - 1, column) for column in range(width))


def test_the_first_seam_is_the_cheapest_of_all_paths() -> None:
    for seed in range(8):
        rgb = np.random.default_rng(seed).random((5, 6, 3)).astype(np.float32)
        taken = seams(rgb, np.zeros((5, 6), np.float32), 1, (5, 6), 1)
        path = taken.argmax(1)
        assert np.abs(np.diff(path)).max() <= 1
        edge = np.pad(rgb, ((0, 0), (1, 1), (0, 0)), "edge")
        total = 0.0
        for row, column in enumerate(path):
            total += float(np.abs(edge[row, column + 2] - edge[row, column]).sum())
            if row and path[row - 1] != column:
                other = edge[row, column] if path[row - 1] < column else edge[row, column + 2]
                total += float(np.abs(rgb[row - 1, column] - other).sum())
        assert total == pytest.approx(_cheapest_of_all(rgb), rel=1e-5)


@pytest.mark.parametrize("size", [(30, 1000), (500, 60)])
def test_bands_of_a_large_photo_take_the_same_number_from_each_row(size: tuple[int, int]) -> None:
    factor = factor_of(size)
    assert factor > 1
    small = np.random.default_rng(0).random((-(-size[0] // factor), -(-size[1] // factor), 3))
    cost = np.zeros(small.shape[:2], np.float32)
    taken = seams(small.astype(np.float32), cost, factor, size, 31)
    assert (taken.sum(1) == 31).all()


@pytest.mark.parametrize("width", [110, 200])
def test_what_was_not_made_up_is_the_input_in_its_order(
    width: int, examples: Path, inpainter: Inpainter
) -> None:
    photo = _photo(examples, "dandelion")
    # A photo that numbers its columns: each row of the result has to rise.
    numbered = photo.copy()
    numbered[..., 2] = np.arange(photo.shape[1])
    result = retarget(numbered, width=width, inpainter=inpainter)
    assert result.image.shape == (photo.shape[0], width, 3)
    assert (~result.mask).mean() > 0
    for row in range(0, photo.shape[0], 7):
        known = ~result.mask[row]
        kept = result.image[row, known]
        assert (np.diff(kept[:, 2].astype(int)) > 0).all()
        np.testing.assert_array_equal(kept, numbered[row, kept[:, 2]])


def test_the_dandelion_keeps_its_shape(examples: Path, inpainter: Inpainter) -> None:
    photo = _photo(examples, "dandelion")
    width = photo.shape[1] * 7 // 10
    result = retarget(photo, width=width, inpainter=inpainter).image
    scaled = np.asarray(Image.fromarray(photo).resize((width, photo.shape[0])))
    left = (photo.shape[1] - width) // 2
    cropped = photo[:, left : left + width]

    def across(image: Photo) -> int:
        return int((image[50:75].min(-1) > 140).any(0).sum())

    whole = across(photo)
    assert across(result) > 0.9 * whole
    assert across(scaled) < 0.8 * whole
    assert across(cropped) < 0.8 * whole


def test_rows_and_an_aspect(examples: Path, inpainter: Inpainter) -> None:
    photo = _photo(examples, "pagoda")
    rows, columns = photo.shape[:2]
    square = retarget(photo, aspect="1:1", inpainter=inpainter)
    assert square.image.shape == (rows, rows, 3)
    assert square.info == {"columns": rows - columns, "rows": 0}
    photo = photo[:60, :90]
    rows, columns = photo.shape[:2]
    both = retarget(photo, width=columns + 9, height=rows - 12, inpainter=inpainter)
    assert both.image.shape == (rows - 12, columns + 9, 3)
    # Turned by hand, the same seams are found.
    turned = photo.swapaxes(0, 1).copy()
    one = retarget(photo, height=rows - 12, heal=False, inpainter=inpainter).image
    other = retarget(turned, width=rows - 12, heal=False, inpainter=inpainter).image
    np.testing.assert_array_equal(one, other.swapaxes(0, 1))


def test_no_seam_passes_through_what_is_kept(examples: Path, inpainter: Inpainter) -> None:
    photo = _photo(examples, "dandelion")[:90]
    keep = np.zeros(photo.shape[:2], bool)
    keep[20:80, 5:55] = True
    width = photo.shape[1] - 40

    def there(image: Photo) -> bool:
        wanted = photo[20:80, 5:55]
        windows = [image[20:80, c : c + 50] for c in range(width - 49)]
        return any(np.array_equal(window, wanted) for window in windows)

    kept = retarget(photo, width=width, keep=keep, heal=False, inpainter=inpainter).image
    free = retarget(photo, width=width, heal=False, inpainter=inpainter).image
    assert there(kept)
    assert not there(free)


def test_joints_that_show_are_healed(inpainter: Inpainter) -> None:
    # Slanted stripes leave no way round: whatever goes, some edges meet that were apart.
    rows, columns = np.mgrid[:80, :100]
    photo = (((columns - rows) // 9 % 2)[..., None] * 120 + 60).repeat(3, 2).astype(np.uint8)
    photo[:, ::4] //= 2
    healed = retarget(photo, width=60, inpainter=inpainter)
    plain = retarget(photo, width=60, heal=False, inpainter=inpainter)
    assert 0 < healed.mask.mean() < 0.3
    assert not plain.mask.any()
    np.testing.assert_array_equal(healed.image[~healed.mask], plain.image[~healed.mask])


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1"])
def test_every_mode_stays_itself(mode: str, examples: Path, inpainter: Inpainter) -> None:
    image = Image.fromarray(_photo(examples, "coffee", 96)).convert(mode)
    result = retarget(image, width=image.width + 10, height=image.height - 5, inpainter=inpainter)
    assert result.image.mode == mode
    assert result.image.size == (image.width + 10, image.height - 5)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"width": 96}, ConfigError, "96x64 already"),
        ({"width": 30}, ConfigError, "0.31 of 96"),
        ({"height": 200}, ConfigError, "3.12 of 64"),
        ({"aspect": "wide"}, ConfigError, "no aspect"),
        ({"aspect": "0:1"}, ConfigError, "no aspect"),
        ({"aspect": "4:3", "width": 50}, ConfigError, "not both"),
        ({"width": 80, "keep": np.zeros((5, 7), bool)}, MaskError, "7x5"),
    ],
)
def test_what_cannot_be_done_is_told(
    options: dict[str, Any], error: type[Exception], words: str, inpainter: Inpainter
) -> None:
    with pytest.raises(error, match=words):
        retarget(np.zeros((64, 96, 3), np.uint8), **options, inpainter=inpainter)


@pytest.mark.parametrize("size", [{"width": 2}, {}, {"width": 0}])
def test_one_pixel_and_no_size_are_refused(inpainter: Inpainter, size: dict[str, int]) -> None:
    thin = np.zeros((200, 1, 3), np.uint8)
    with pytest.raises(ConfigError, match=r"width 2 is|give `width`|`width` is 0"):
        retarget(thin, **size, inpainter=inpainter)


def test_twice_the_width_is_refused_and_a_little_less_is_not(inpainter: Inpainter) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (24, 20, 3), np.uint8)
    with pytest.raises(ConfigError, match=r"width 40 is 2\.00 of 20"):
        retarget(photo, width=40, inpainter=inpainter)
    assert retarget(photo, width=39, inpainter=inpainter).image.shape == (24, 39, 3)
