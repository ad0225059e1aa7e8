"""A server whose network never ends answers within its time limit, and its worker is free again."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import httpx
from live import form, live, run, until

from freefill.server.settings import Settings

networks = runpy.run_path(str(Path(__file__).parents[1] / "pipeline" / "engines" / "networks.py"))


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
