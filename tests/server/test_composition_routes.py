"""The same four over HTTP: the library's own results."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from freefill.imaging.box import Box
from freefill.imaging.io import encode, read_picture
from freefill.pipeline.inpainter import Inpainter
from freefill.tasks import recompose


def _file(content: bytes) -> tuple[str, bytes]:
    return "a.png", content


def _png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def _size(content: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(content)) as image:
        return image.size


def test_recompose(client: TestClient, image: bytes, mask: bytes, inpainter: Inpainter) -> None:
    answer = client.post(
        "/v1/recompose",
        files={"image": _file(image)},
        data={"box": "20,30,50,50", "by": "40,-10", "scale": "1.2"},
    )
    assert answer.status_code == 200, answer.text
    expected = recompose(
        read_picture(image),
        box=Box(left=20, top=30, right=50, bottom=50),
        by=(40, -10),
        scale=1.2,
        inpainter=inpainter,
    )
    assert answer.content == encode(expected.picture, "PNG")[0]
    assert json.loads(answer.headers["fill-details"])["found"] == expected.info
    masked = client.post(
        "/v1/recompose",
        files={"image": _file(image), "mask": _file(mask)},
        data={"by": "5,5"},
    )
    assert masked.status_code == 200, masked.text


def test_harmonise_and_retarget(client: TestClient, image: bytes, mask: bytes) -> None:
    files = {"image": _file(image), "mask": _file(mask)}
    answer = client.post("/v1/harmonise", files=files, data={"band": "2"})
    assert answer.status_code == 200, answer.text
    assert "stops" in json.loads(answer.headers["fill-details"])["found"]
    files = {"image": _file(image), "keep": _file(mask)}
    answer = client.post("/v1/retarget", files=files, data={"width": "100", "height": "100"})
    assert answer.status_code == 200, answer.text
    assert _size(answer.content) == (100, 100)


def test_stitch(client: TestClient, examples: Path) -> None:
    with Image.open(examples / "pagoda.jpg") as photo:
        boxes = (40, 60, 260, 300), (140, 70, 360, 310), (240, 60, 460, 300)
        views = [_png(photo.crop(box)) for box in boxes]
    names = ("image", "second", "third")
    files = {name: _file(view) for name, view in zip(names, views, strict=True)}
    answer = client.post("/v1/stitch", files=files)
    assert answer.status_code == 200, answer.text
    assert _size(answer.content)[0] == pytest.approx(420, abs=4)


@pytest.mark.parametrize(
    ("task", "data", "words"),
    [
        ("recompose", {"by": "1,1"}, "either `mask` or `box=L,T,R,B`"),
        ("recompose", {"box": "0,0,9,9", "by": "x"}, "DX,DY"),
        ("recompose", {"box": "0,0,9,9", "scale": "100"}, "less than or equal to 20"),
        ("harmonise", {}, "either `mask` or `box=L,T,R,B`"),
        ("harmonise", {"box": "0,0,9,9", "band": "99"}, "less than or equal to 32"),
        ("retarget", {}, "give `width`, `height` or `aspect`"),
        ("stitch", {}, "'second'"),
    ],
)
def test_bad_input_is_told(
    task: str, data: dict[str, Any], words: str, client: TestClient, image: bytes
) -> None:
    answer = client.post(f"/v1/{task}", files={"image": _file(image)}, data=data)
    assert answer.status_code == 422
    assert words in answer.json()["detail"]


def test_photos_of_two_modes_are_told_apart(client: TestClient, image: bytes) -> None:
    grey = _png(Image.fromarray(np.zeros((40, 40), np.uint8)))
    answer = client.post("/v1/stitch", files={"image": _file(image), "second": _file(grey)})
    assert answer.status_code == 422
    assert "photo 2 is L" in answer.json()["detail"]


def test_a_result_may_not_be_larger_than_the_server_takes(client: TestClient) -> None:
    out = io.BytesIO()
    Image.new("RGB", (600, 400), (90, 120, 60)).save(out, "PNG")
    sides = dict.fromkeys(("left", "right", "top", "bottom"), "100%")
    answer = client.post("/v1/uncrop", files={"image": ("a.png", out.getvalue())}, data=sides)
    assert answer.status_code == 422
    assert "1800x1200" in answer.json()["detail"]
