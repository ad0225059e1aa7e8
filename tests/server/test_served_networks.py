"""Weights that are not what they should be: the server says so, and goes on with the others."""

from __future__ import annotations

import json
import runpy
import shutil
from pathlib import Path

import httpx
import pytest
from live import form, live, run, until
from starlette.testclient import TestClient

from freefill.errors import WeightsError
from freefill.server.app import build
from freefill.server.settings import Settings
from freefill.weights.registry import BUNDLED

networks = runpy.run_path(str(Path(__file__).parents[1] / "pipeline" / "engines" / "networks.py"))


def mine(folder: Path, card: bytes) -> Path:
    folder.mkdir(parents=True)
    copy = shutil.copy(BUNDLED / "light.onnx", folder / "mine.onnx")
    copy.with_suffix(".json").write_bytes(card)
    return copy


NO_CARDS = {
    "cut": b"{",
    "deep": b'{"a":' * 900 + b"1" + b"}" * 900,
    "nan": b'{"parameters": NaN}',
    "half a character": b'{"licence": "\\ud800"}',
    "latin-1": '{"licence": "größer"}'.encode("latin-1"),
}


@pytest.mark.parametrize("card", NO_CARDS.values(), ids=NO_CARDS)
def test_a_broken_card_breaks_no_list(
    card: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("FREEFILL_CACHE", str(tmp_path))
    path = mine(tmp_path / "weights", card)
    with TestClient(build(Settings(workers=1)), base_url="http://127.0.0.1:8080") as client:
        found = client.get("/v1/models")
        assert found.status_code == 200
        assert [one["name"] for one in found.json()["models"]] == ["light"]
        assert client.get("/api/v1/server-config").status_code == 200
    assert "mine.json" in caplog.text
    # Who names it is told.
    with pytest.raises(WeightsError, match=r"mine\.json is not JSON"):
        build(Settings(workers=1, models=("light", str(path))))


def test_weights_that_are_gone_or_changed_are_told_of_when_they_are_asked_for(
    tmp_path: Path, image: bytes, mask: bytes
) -> None:
    path = mine(tmp_path / "a", json.dumps({"sha256": "0" * 64}).encode())
    settings = Settings(workers=1, models=("light", str(path)))
    with TestClient(build(settings), base_url="http://127.0.0.1:8080") as client:
        for _ in range(2):
            answer = client.post("/v1/fill", files=form(image, mask), data={"model": "mine"})
            assert answer.status_code == 500
            assert answer.json()["type"].endswith(":weights")
            assert "mine" in answer.json()["detail"]
            assert str(tmp_path) not in answer.text
            path.unlink(missing_ok=True)
        assert client.get("/v1/models").status_code == 200
        assert 'outcome="failed"} 2.0' in client.get("/metrics").text


def test_a_network_without_an_end_is_stopped(tmp_path: Path, image: bytes, mask: bytes) -> None:
    path = networks["write"](tmp_path / "endless.onnx", networks["endless"]())
    path.with_suffix(".json").write_text(json.dumps({"licence": "none"}))
    settings = Settings(models=("light", str(path)), workers=1, queue=0, timeout=1.0)
    with live(settings) as server:

        async def test(client: httpx.AsyncClient) -> None:
            files = form(image, mask)
            for _ in range(2):
                late = await client.post("/v1/fill", files=files, data={"model": "endless"})
                assert late.status_code == 503
                await until(lambda: server.server.work.tickets == {})
            # The one worker fills again; its own limit is 1 s, which a loaded machine may exceed.
            server.server.work.timeout = 60
            filled = await client.post("/v1/fill", files=files)
            assert filled.status_code == 200

        run(test, server.url)
