"""What the page's modules fill in JavaScript is what the library fills with the same network."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from in_node import Case, Node, Samples
from numpy.typing import NDArray
from PIL import Image

from freefill.masks.strokes import objects, rectangle, strokes
from freefill.pipeline.engines.onnx import OnnxEngine
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import FillOptions, FillRequest

LEVELS = 2
"""By how much a sample may differ: the web's kernels round otherwise than the processor's."""


def _photo(path: Path, kind: str = "RGB") -> Samples:
    with Image.open(path) as image:
        return np.asarray(image.convert(kind))


def _mask(hole: NDArray[np.bool_]) -> Samples:
    return hole.astype(np.uint8) * 255


def _expected(inpainter: Inpainter, case: Case) -> Samples:
    image = case.photo[..., 0] if case.photo.shape[-1] == 1 else case.photo
    filled = inpainter.run(
        FillRequest(
            image,
            case.mask,
            sketch=None if case.lines is None else case.lines > 0,
            colour=None if case.strokes is None else Image.fromarray(case.strokes),
            options=FillOptions(soft=case.soft),
        )
    )
    found: Samples = filled.picture.samples
    return found.reshape(case.photo.shape)


def check(node: Node, inpainter: Inpainter, cases: dict[str, Case]) -> dict[str, int]:
    """Compare; give by how much those differ that are more than some levels away."""
    found, _ = node.fill(cases)
    wrong = {}
    for name, case in cases.items():
        away = np.abs(found[name].astype(int) - _expected(inpainter, case)).max()
        if away > LEVELS:
            # Of two patches that are equally like a place, rounding chooses: the processor's own
            # kernels choose the other one, too, where they compute in another order.
            away = np.abs(found[name].astype(int) - _expected(_in_other_order(), case)).max()
        if away > LEVELS:
            wrong[name] = int(away)
        known = case.mask < 128
        assert (found[name][known] == case.photo[known]).all(), name
        assert (found[name][~known] != case.photo[~known]).any(), name
    return wrong


@cache
def _in_other_order() -> Inpainter:
    """The library with operations that are not joined: equal but for rounding."""
    made = Inpainter(threads=1)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    assert isinstance(made.engine, OnnxEngine)
    made.engine.network.session = onnxruntime.InferenceSession(str(made.weights.path), options)
    return made


@pytest.fixture(scope="module")
def pairs(examples: Path) -> dict[str, Case]:
    """Two photos and four parts of photos, and what differs between ways through the pipeline."""
    pagoda, bee = (_photo(examples / f"{name}.jpg") for name in ("pagoda", "bee"))
    thin = np.zeros((200, 260), bool)
    thin[60:66, 40:220] = thin[30:160, 100:105] = True
    soft = np.zeros((192, 192), np.uint8)
    soft[60:120, 50:140] = np.linspace(0, 255, 90).astype(np.uint8)
    page = np.full((160, 160, 3), 253, np.uint8)
    page[:40] = 20
    page[100:110, 30:60] = 90
    flat = np.zeros((160, 160), bool)
    flat[70:85, 70:95] = flat[36:45, 100:120] = True
    transparent = np.dstack([pagoda[:180, :200], np.full((180, 200), 255, np.uint8)])
    transparent[100:120, 20:60] = 7, 8, 9, 0
    transparent[:30, :30, 3] = 100
    part = np.zeros((180, 200), bool)
    part[90:140, 50:130] = True
    drawn = np.zeros((192, 192), np.uint8)
    drawn[85:90, 40:150] = 1
    dabs = np.zeros((192, 192, 4), np.uint8)
    dabs[95:110, 70:110] = 30, 60, 220, 255
    return {
        "thick": Case(pagoda, _mask(_thick(pagoda))),
        "thin": Case(pagoda[:200, :260], _mask(thin)),
        "soft": Case(bee[:192, :192], soft, soft=True),
        "page": Case(page, _mask(flat)),
        "transparent": Case(transparent, _mask(part)),
        "guided": Case(pagoda[100:292, 200:392], soft, lines=drawn, strokes=dabs),
    }


def _thick(photo: Samples) -> NDArray[np.bool_]:
    """A disc that is seen small, so that pixels of it are known in part; and a speck."""
    row, column = np.mgrid[: photo.shape[0], : photo.shape[1]]
    hole: NDArray[np.bool_] = (row - 211) ** 2 + (column - 290.5) ** 2 < 131**2
    hole[20:24, 560:600] = True
    return hole


def test_the_page_fills_as_the_library_does(
    node: Node, inpainter: Inpainter, pairs: dict[str, Case]
) -> None:
    assert check(node, inpainter, pairs) == {}


def test_progress_counts_what_the_library_counts(
    node: Node, inpainter: Inpainter, pairs: dict[str, Case]
) -> None:
    case = pairs["page"]
    told: list[list[int]] = []
    inpainter.run(FillRequest(case.photo, case.mask), lambda *step: told.append(list(step)))
    _, found = node.fill({"page": case})
    assert found["page"]["steps"] == told


@pytest.mark.slow
def test_forty_photos_and_masks(node: Node, inpainter: Inpainter, examples: Path) -> None:
    """Each example with each kind of hole, a fifth of them in grey or with opacity."""
    photos = sorted(examples.glob("*.jpg"))
    cases = {}
    for i in range(40):
        path, rng = photos[i % len(photos)], np.random.default_rng(i)
        photo = _photo(path, ("RGB", "RGB", "L", "RGBA")[i % 4 if i > 20 else 0])
        photo = photo.reshape(*photo.shape[:2], -1)
        height, width = photo.shape[:2]
        sampler: Callable[..., NDArray[np.bool_]] = (strokes, rectangle, objects)[i // 12 % 3]
        cases[f"{i}-{path.stem}-{sampler.__name__}"] = Case(
            photo, _mask(sampler(height, width, rng))
        )
    assert check(node, inpainter, cases) == {}
