"""IOPaint's routes: the same fills, for clients that know only its words."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest
from starlette.testclient import TestClient

from freefill.imaging.io import encode, read_picture
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import FillRequest
from freefill.server.app import build
from freefill.server.settings import Settings
from freefill.weights.registry import find

SENT_BY_ITS_PAGE = {
    "ldm_steps": 30,
    "ldm_sampler": "ddim",
    "zits_wireframe": True,
    "cv2_flag": "INPAINT_NS",
    "hd_strategy": "Crop",
    "hd_strategy_crop_triger_size": 640,
    "hd_strategy_crop_margin": 128,
    "prompt": "",
    "use_croper": False,
    "croper_x": 0,
    "sd_seed": 42,
    "paint_by_example_example_image": None,
    "controlnet_conditioning_scale": 0.4,
    "powerpaint_task": "text-guided",
}
READ_BY_ITS_PAGE = {
    "plugins": list,
    "modelInfos": list,
    "removeBGModel": str,
    "removeBGModels": list,
    "realesrganModel": str,
    "realesrganModels": list,
    "interactiveSegModel": str,
    "interactiveSegModels": list,
    "enableFileManager": bool,
    "enableAutoSaving": bool,
    "enableControlnet": bool,
    "disableModelSwitch": bool,
    "isDesktop": bool,
    "samplers": list,
}


def _coded(content: bytes, head: str = "") -> str:
    # With line ends, as `base64 FILE` has them.
    return head + base64.encodebytes(content).decode()


@pytest.mark.parametrize("head", ["", "data:image/png;base64,"])
@pytest.mark.parametrize("more", [{}, SENT_BY_ITS_PAGE], ids=["bare", "page"])
def test_an_inpaint_is_a_fill(
    client: TestClient,
    inpainter: Inpainter,
    image: bytes,
    mask: bytes,
    head: str,
    more: dict[str, Any],
) -> None:
    body = {"image": _coded(image, head), "mask": _coded(mask, head), **more}
    answer = client.post("/api/v1/inpaint", json=body)
    assert answer.status_code == 200
    filled = inpainter.run(FillRequest(read_picture(image), mask)).picture
    assert answer.content == encode(filled, "PNG")[0]
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-seed"] == str(more.get("sd_seed", -1))


@pytest.mark.parametrize(
    ("change", "status", "told"),
    [
        ({"mask": None}, 422, "mask"),
        ({"image": "%"}, 422, "image is not base64"),
        ({"image": "aGk="}, 422, "2 bytes"),
        ({"mask": "aGk="}, 422, "mask: "),
        ({"hd_strategy_crop_margin": "wide"}, 422, "hd_strategy_crop_margin"),
    ],
    ids=str,
)
def test_errors_have_the_line_that_its_page_shows(
    client: TestClient, image: bytes, mask: bytes, change: dict[str, Any], status: int, told: str
) -> None:
    body = {"image": _coded(image), "mask": _coded(mask), **change}
    answer = client.post("/api/v1/inpaint", json=body)
    assert answer.status_code == status
    assert told in answer.json()["detail"]
    assert told in str(answer.json()["errors"])


def test_a_mask_of_another_size_is_refused(
    client: TestClient, image: bytes, examples: Path
) -> None:
    other = (examples / "bee_mask.png").read_bytes()
    body = {"image": _coded(image), "mask": _coded(other)}
    answer = client.post("/api/v1/inpaint", json=body)
    assert answer.status_code == 422
    assert "120x96" in answer.json()["errors"]


def test_its_page_finds_what_it_asks_first(client: TestClient) -> None:
    config = client.get("/api/v1/server-config").json()
    for name, kind in READ_BY_ITS_PAGE.items():
        assert isinstance(config[name], kind), name
    (only,) = config["modelInfos"]
    assert only["name"] == "light"
    assert only["model_type"] == "inpaint"
    assert only["need_prompt"] is False
    assert client.get("/api/v1/model").json() == only
    told = client.post("/api/v1/gen-info", files={"file": ("a.png", b"anything")})
    assert told.json() == {"prompt": "", "negative_prompt": ""}


@pytest.fixture
def two(tmp_path: Path) -> Iterator[TestClient]:
    """A server of two models, of which the second is another file with the same weights."""
    copyfile(find("light").path, tmp_path / "second.onnx")
    app = build(Settings(models=("light", str(tmp_path / "second.onnx")), workers=1))
    with TestClient(app, base_url="http://localhost") as made:
        yield made


def test_models_can_be_switched_and_only_to_those_served(
    two: TestClient, image: bytes, mask: bytes, tmp_path: Path
) -> None:
    names = [model["name"] for model in two.get("/v1/models").json()["models"]]
    assert names == ["light", "second"]
    assert two.post("/api/v1/model", json={"name": "second"}).json()["name"] == "second"
    assert two.get("/api/v1/model").json()["name"] == "second"
    body = {"image": _coded(image), "mask": _coded(mask)}
    assert two.post("/api/v1/inpaint", json=body).status_code == 200
    for name in ("third", str(tmp_path / "second.onnx"), "", "../second"):
        refused = two.post("/api/v1/model", json={"name": name})
        assert refused.status_code == 422
    # The other API's default is not what IOPaint's page has chosen.
    files = {"image": ("a.png", image), "mask": ("m.png", mask)}
    assert '"model": "light"' in two.post("/v1/fill", files=files).headers["fill-details"]
    chosen = two.post("/v1/fill", files=files, data={"model": "second"})
    assert '"model": "second"' in chosen.headers["fill-details"]


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_a_name_has_no_100_mb(client: TestClient, chunked: bool) -> None:
    body = b'{"name": "' + b"a" * 1_000_000 + b'"}'
    content = iter([body[:500_000], body[500_000:]]) if chunked else body
    headers = {"Content-Type": "application/json"}
    refused = client.post("/api/v1/model", content=content, headers=headers)
    assert refused.status_code == 413
    assert refused.json()["errors"] == "the body has 1,000,012 bytes, of 65,536 that it may have"
    other = client.post("/api/v1/model", data={"name": "light"})
    assert other.status_code == 415


def test_no_route_has_its_body_read_before_it_has_a_place(client: TestClient) -> None:
    # FastAPI reads a body that it is to parse, whole, before the route is called.
    app: Any = client.app
    routes = [one for one in app.app.routes if hasattr(one, "dependant")]
    assert len(routes) > 10
    assert [one.path for one in routes if one.dependant.body_params] == []
