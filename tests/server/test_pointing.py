"""``POST /v1/segment`` and ``POST /v1/remove``: the tasks' own answers, and what is refused."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from freefill.pipeline.inpainter import Inpainter
from freefill.tasks import remove, segment


@pytest.fixture(scope="module")
def taxi(examples: Path) -> bytes:
    return (examples / "street.jpg").read_bytes()


def test_segment_gives_a_mask_without_loss(client: TestClient, taxi: bytes) -> None:
    files = {"image": ("street.jpg", taxi)}
    answer = client.post("/v1/segment", files=files, data={"at": "60,190", "grow": "3"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(answer.content)) as image:
        assert image.mode == "L"
        mask = np.asarray(image)
    expected = segment(taxi, at=[(60, 190)], grow=3)
    np.testing.assert_array_equal(mask, expected.mask.astype(np.uint8) * 255)
    details = json.loads(answer.headers["fill-details"])
    assert details["found"] == pytest.approx(dict(expected.info))
    assert details["hole"] == pytest.approx(expected.mask.mean())


def test_remove_gives_the_photo_in_its_format(
    client: TestClient, inpainter: Inpainter, taxi: bytes
) -> None:
    files = {"image": ("street.jpg", taxi)}
    fields = {"box": "20,145,105,215", "avoid": "25,150;100,150"}
    answer = client.post("/v1/remove", files=files, data=fields)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/jpeg"
    told = {"box": (20, 145, 105, 215), "avoid": [(25, 150), (100, 150)]}
    assert answer.content == remove(taxi, **told, inpainter=inpainter).image  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["segment", "remove"])
def test_a_doubt_is_a_problem_with_figures_and_force_goes_on(
    client: TestClient, examples: Path, name: str
) -> None:
    files = {"image": ("sunset.jpg", (examples / "sunset.jpg").read_bytes())}
    answer = client.post(f"/v1/{name}", files=files, data={"at": "128,20"})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "urn:freefill:problem:doubt"
    assert "`force=true`" in problem["detail"]
    assert {"share", "border", "agreement"} <= set(problem["figures"])
    answer = client.post(f"/v1/{name}", files=files, data={"at": "128,20", "force": "true"})
    assert answer.status_code == 200, answer.text
    details = json.loads(answer.headers["fill-details"])
    assert details["found"]["doubt"] in details["notices"][-1]


@pytest.mark.parametrize(
    ("fields", "kind", "words"),
    [
        ({}, "mask", "nothing is pointed at"),
        ({"at": "400,20"}, "mask", "400,20"),
        ({"at": "4;5"}, "field", "at"),
        ({"box": "1,2,3"}, "field", "box"),
        ({"at": "60,190", "grow": "500"}, "field", "grow"),
        ({"at": "60,190", "segmenter": "best"}, "field", "segmenter"),
        ({"at": "60,190", "segmenter": "sam2"}, "referencemissing", "freefill references sam2"),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["segment", "remove"])
def test_refusals_say_what_is_wrong(
    client: TestClient, taxi: bytes, name: str, fields: dict[str, str], kind: str, words: str
) -> None:
    answer = client.post(f"/v1/{name}", files={"image": ("street.jpg", taxi)}, data=fields)
    assert answer.status_code == 422
    assert answer.json()["type"].endswith(kind)
    assert words in answer.json()["detail"]
