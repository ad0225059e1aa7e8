"""Golden fills: the bundled weights fill as they did when they were bundled."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bundling import golden
from freefill.imaging.box import Box
from freefill.pipeline.inpainter import PIPELINE_VERSION, Inpainter
from freefill.pipeline.tiling import plan

GOLDEN = Path(__file__).parents[1] / "golden"
ADVICE = (
    "If the change is meant, raise PIPELINE_VERSION in src/freefill/pipeline/inpainter.py and run "
    "`python tools/bundle.py --again --data data/test` (see CONTRIBUTING.md)."
)


@pytest.fixture(scope="module")
def kept(inpainter: Inpainter) -> dict[str, bytes]:
    folder = golden.folder(GOLDEN, inpainter.weights)
    assert folder.is_dir(), (
        f"there are no golden fills of {inpainter.weights.short} in pipeline {PIPELINE_VERSION}. "
        f"{ADVICE}"
    )
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.png"))}


@pytest.fixture(scope="module")
def made(inpainter: Inpainter, examples: Path) -> dict[str, bytes]:
    return golden.make(examples, inpainter)


def test_there_is_one_small_file_for_each_case_and_none_of_other_weights(
    inpainter: Inpainter, kept: dict[str, bytes]
) -> None:
    assert sorted(kept) == sorted(f"{name}.png" for name in golden.names(inpainter))
    assert [path.name for path in GOLDEN.iterdir()] == [
        f"{inpainter.weights.short}-{PIPELINE_VERSION}"
    ]
    assert max(map(len, kept.values())) < 16_000
    for content in kept.values():
        with Image.open(BytesIO(content)) as image:
            assert max(image.size) <= 144


def test_the_bundled_weights_fill_as_they_did(
    kept: dict[str, bytes], made: dict[str, bytes]
) -> None:
    off = golden.differences(kept, made)
    assert not off, "\n".join(
        ["The bundled weights fill otherwise than when they were bundled:", *off, ADVICE]
    )


def test_the_cases_go_through_each_path(inpainter: Inpainter, examples: Path) -> None:
    factors: dict[str, list[int]] = {}
    for case in golden.CASES:
        with Image.open(examples / case.example) as image:
            hole = np.zeros((image.height, image.width), bool)
        for left, top, right, bottom in case.shapes:
            hole[Box(left=left, top=top, right=right, bottom=bottom).window] = True
        factors[case.name] = [crop.factor for crop in plan(hole)]
    assert factors["small"] == [1]
    assert factors["apart"] == [1, 1]
    assert factors["thick"] == [1]
    assert all(factors[name] == [2] for name in ("shrunk", "shrunk-rim", "sketch-shrunk"))


@pytest.mark.parametrize("case", [c for c in golden.CASES if c.guided], ids=lambda c: c.name)
def test_guidance_shows_in_its_cases(case: golden.Case, made: dict[str, bytes]) -> None:
    with Image.open(BytesIO(made[f"{case.name}.png"])) as image:
        red, green, _ = np.asarray(image, float).transpose(2, 0, 1)
    assert (red - green).max() > 60  # the dab


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda a: np.where(a > 9, a - 3, a), "off by up to 3.0 grey levels"),
        (lambda a: np.where(a > 9, a - 1, a), "off by up to 1.0 grey levels"),
        (lambda a: a[:-1], "the golden one is"),
    ],
    ids=["far off", "a little off everywhere", "of another size"],
)
def test_a_fill_that_differs_is_named(kept: dict[str, bytes], change: object, line: str) -> None:
    with Image.open(BytesIO(kept["small.png"])) as image:
        changed = golden.encode(change(np.asarray(image)).astype(np.uint8))  # type: ignore[operator]
    found = golden.differences(kept, kept | {"small.png": changed})
    assert len(found) == 1
    assert found[0].startswith("small.png")
    assert line in found[0]


def test_rounding_and_the_lower_byte_are_let_through_and_more_is_not(
    kept: dict[str, bytes],
) -> None:
    with Image.open(BytesIO(kept["deep.png"])) as image:
        deep = np.asarray(image)
    one = deep.copy()
    one[np.nonzero(one)[0][0], np.nonzero(one)[1][0]] += 2 * 257
    assert not golden.differences(kept, kept | {"deep.png": golden.encode(one)})
    off = np.where(deep > 0, deep + 100, deep).astype(np.uint16)
    assert golden.differences(kept, kept | {"deep.png": golden.encode(off)})


def test_missing_and_superfluous_ones_are_named(kept: dict[str, bytes]) -> None:
    fewer = {name: content for name, content in kept.items() if name != "thick.png"}
    assert golden.differences(fewer, kept) == ["thick.png: no such golden fill"]
    assert golden.differences(kept, fewer) == ["thick.png: of no case"]
