"""What is decided before the network runs: crops, holes of one colour, thinned lines."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from in_node import run_node
from numpy.typing import NDArray
from PIL import Image

from freefill.imaging.io import read_picture
from freefill.masks.strokes import objects, rectangle, scratches, strokes
from freefill.masks.thinning import thin
from freefill.pipeline import flat
from freefill.pipeline.tiling import plan
from freefill.server.site import browser_folder

Hole = NDArray[np.bool_]


def _told(
    folder: Path, cases: dict[str, tuple[Hole, NDArray[np.uint8] | None]]
) -> list[dict[str, object]]:
    listed = []
    for name, (hole, photo) in cases.items():
        hole.astype(np.uint8).tofile(folder / f"{name}.hole")
        if photo is not None:
            photo.tofile(folder / f"{name}.photo")
        channels = 0 if photo is None else photo.size // hole.size
        height, width = hole.shape
        listed.append({"name": name, "width": width, "height": height, "channels": channels})
    (folder / "cases.json").write_text(json.dumps(listed))
    lines = run_node(Path(__file__).parent / "plans.mjs", browser_folder(), folder)
    return [json.loads(line) for line in lines]


def test_crops_are_those_of_the_library(tmp_path: Path) -> None:
    """Photos of many sizes, from a few pixels to more than a measure of thickness has cells."""
    cases: dict[str, tuple[Hole, NDArray[np.uint8] | None]] = {}
    for i in range(48):
        rng = np.random.default_rng(i)
        height, width = (int(side) for side in rng.integers(20, 300 if i % 3 else 1500, 2))
        kind = (strokes, rectangle, objects, scratches)[i % 4]
        hole = kind(height, width, rng)
        hole |= rng.random(hole.shape) < 0.0003 * (i % 5)
        cases[str(i)] = hole, None
    factors = set()
    for told, (hole, _) in zip(_told(tmp_path, cases), cases.values(), strict=True):
        crops = plan(hole)
        factors |= {crop.factor / crop.zoom for crop in crops}
        expected = [[list(c.hole.corners), list(c.box.corners), c.factor, c.zoom] for c in crops]
        assert told["crops"] == expected
    assert factors >= {0.5, 1, 2, 3, 4}


def test_even_holes_and_thin_lines_are_those_of_the_library(tmp_path: Path) -> None:
    """Pages with a JPEG's noise, at an end of the range and elsewhere, and with print on them."""
    cases: dict[str, tuple[Hole, NDArray[np.uint8] | None]] = {}
    for i in range(40):
        rng = np.random.default_rng(i)
        shape = (int(rng.integers(60, 260)), int(rng.integers(60, 260)), (1, 3, 4, 2)[i % 4])
        page = np.full(shape, (255, 0, 128, 250)[i // 4 % 4], np.uint8)
        noise = rng.integers(0, 1 + (0, 4, 8, 9)[i // 8 % 4], shape)
        noisy = rng.random(shape[:2]) < (0.0, 0.2, 0.8)[i % 3]
        page[noisy] = np.abs(page.astype(int) - noise)[noisy]
        page[rng.random(shape[:2]) < 0.0008] = 77
        hole = strokes(*shape[:2], rng) if i % 2 else rectangle(*shape[:2], rng, side=(0.1, 0.6))
        hole[:6, :9] = True
        cases[str(i)] = hole, page
    found = 0
    for told, (hole, page) in zip(_told(tmp_path, cases), cases.values(), strict=True):
        assert page is not None
        picture = read_picture(Image.fromarray(page[..., 0] if page.shape[2] == 1 else page))
        parts = flat.find(picture, hole, hole)
        found += len(parts)
        expected = [[list(part.box.corners), np.atleast_1d(part.colour).tolist()] for part in parts]
        assert told["even"] == expected
        total = 7
        for at, value in enumerate(thin(hole).ravel().tolist()):
            total = (total * 31 + value * (at % 9973)) % 1000003
        assert told["thinned"] == total
    assert found > 10
