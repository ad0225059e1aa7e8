"""The pictures of a report: which are chosen, and that they are what they are said to be."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from freefill.imaging import contact_sheet
from freefill.lab.evaluation import gallery
from freefill.lab.evaluation.protocol import sample
from freefill.lab.evaluation.results import Results
from freefill.lab.evaluation.runner import picture_path

if TYPE_CHECKING:
    from conftest import Evaluated


def scored(results: Results, **values: float) -> Results:
    """Give telea's pictures of the protocol "thin" another LPIPS, by the photo's name."""
    measurements = dict(results.measurements)
    for name, value in values.items():
        for key, found in results.measurements.items():
            if key[:2] == ("thin", "telea") and name in key[2]:
                changed = found.values | {"lpips": value, "hole_lpips": -value}
                measurements[key] = dataclasses.replace(found, values=changed)
    return dataclasses.replace(results, measurements=measurements)


def chosen(results: Results, number: int, photos: int | None = None) -> list[tuple[str, str]]:
    table = results.tables[number]
    table = dataclasses.replace(table, photos=table.photos[:photos])
    found = gallery.strips(results, table, "telea", ["telea", "copy"])
    assert all(strip.shown == ("telea", "copy") for strip in found)
    return [(strip.choice, Path(strip.photo.file).stem) for strip in found]


def test_worst_median_and_best(finished: Evaluated) -> None:
    results = scored(finished.results, flower_bee=0.2, flower_dahlia=0.9, town_street=0.5)
    expected = [("worst", "flower_dahlia"), ("median", "town_street"), ("best", "flower_bee")]
    assert chosen(results, 2) == expected
    # Another protocol, another order.
    assert chosen(results, 0) == chosen(finished.results, 0)
    assert chosen(scored(results, flower_bee=1.0), 2)[0] == ("worst", "flower_bee")


def test_median_of_five(finished: Evaluated) -> None:
    scores = {"fruit": 0.1, "bee": 0.2, "street": 0.3, "bricks": 0.4, "dahlia": 0.5}
    results = scored(finished.results, **scores)
    table = dataclasses.replace(results.tables[2], photos=finished.manifest.photos)
    found = [strip.photo.file for strip in gallery.strips(results, table, "telea", [])]
    assert found == ["64/flower_dahlia.jpg", "64/town_street.png", "96/flower_fruit.png"]


def test_fewer_photos_fewer_strips(finished: Evaluated) -> None:
    results = scored(finished.results, flower_bee=0.2, flower_dahlia=0.9)
    assert [name for _, name in chosen(results, 2, 2)] == ["flower_dahlia", "flower_bee"]
    assert [name for _, name in chosen(results, 2, 1)] == ["flower_bee"]


def test_caption(finished: Evaluated) -> None:
    results = scored(finished.results, flower_dahlia=0.98765)
    strip = gallery.strips(results, results.tables[2], "telea", ["telea", "copy"])[0]
    copy = results.measurements["thin", "copy", "64/flower_dahlia.jpg"].values["lpips"]
    assert gallery.caption(results, strip) == (
        f"worst of telea: 64/flower_dahlia.jpg (LPIPS: telea 0.988, copy {copy:.3f})"
    )


@pytest.mark.parametrize("side", [192, 50])
def test_pictures(finished: Evaluated, side: int) -> None:
    results = finished.results
    pictures = gallery.Pictures(finished.manifest, finished.data, finished.out, side)
    for table in results.tables:
        for strip in gallery.strips(results, table, "copy", ["copy", "telea"]):
            true = sample(finished.manifest, finished.data, strip.photo, table.protocol)
            with Image.open(
                picture_path(finished.out, table.protocol, "copy", strip.photo)
            ) as image:
                filled = np.asarray(image)
            drawn = [pictures.hole(strip), pictures.fill(strip, "copy"), pictures.truth(strip)]
            if side == 50:
                assert {max(image.size) for image in drawn} == {50}
                assert len({image.size for image in drawn}) == 1
                continue
            hole, fill, truth = (np.asarray(image) for image in drawn)
            np.testing.assert_array_equal(truth, true.pixels)
            np.testing.assert_array_equal(fill, filled)
            np.testing.assert_array_equal(hole[~true.hole], true.pixels[~true.hole])
            assert (hole[true.hole] == np.rint(255 * contact_sheet.HOLE)).all()
            row = np.asarray(pictures.row(strip))
            width = true.pixels.shape[1]
            parts = [row[:, i * (width + contact_sheet.GAP) :][:, :width] for i in range(4)]
            with Image.open(
                picture_path(finished.out, table.protocol, "telea", strip.photo)
            ) as image:
                other = np.asarray(image)
            for part, expected in zip(parts, (hole, filled, other, truth), strict=True):
                np.testing.assert_array_equal(part, expected)


def test_contact_sheet_has_all_baselines(finished: Evaluated) -> None:
    pictures = gallery.Pictures(finished.manifest, finished.data, finished.out, 192)
    names = ["telea", "copy", "mean_colour"]
    page = np.asarray(gallery.overview(finished.results, pictures, names))
    table = finished.results.tables[0]
    strip = gallery.strips(finished.results, table, "telea", names)[0]
    expected = np.asarray(pictures.row(strip))
    top, left = 2 * contact_sheet.CAPTION + contact_sheet.GAP, contact_sheet.GAP
    found = page[top : top + expected.shape[0], left : left + expected.shape[1]]
    np.testing.assert_array_equal(found, expected)
