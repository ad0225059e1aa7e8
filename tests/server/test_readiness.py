"""What probes are told: that it lives, and whether the next request would find a place."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import httpx
from live import Gate, form, live, run, until
from starlette.testclient import TestClient

from freefill.server.app import build
from freefill.server.settings import Settings

MEDIA_TYPE = "application/problem+json"


def test_it_is_ready_as_long_as_there_is_a_place_and_lives_beyond(
    gate: Gate, image: bytes, mask: bytes
) -> None:
    with live(Settings(workers=1, queue=1)) as server:

        async def test(client: httpx.AsyncClient) -> None:
            asked = []
            for free in (2, 1):
                answer = await client.get("/readyz")
                assert answer.status_code == 200
                assert answer.json() == {"status": "ready", "free": free}
                sent = client.post("/v1/fill", files=form(image, mask))
                asked.append(asyncio.ensure_future(sent))
                await until(lambda free=free: server.server.work.free == free - 1)
            full = await client.get("/readyz")
            assert full.status_code == 503
            assert full.headers["content-type"] == MEDIA_TYPE
            assert full.json()["type"].endswith(":busy")
            assert "of 2 that there is room for" in full.json()["detail"]
            assert int(full.headers["retry-after"]) >= 1
            # Probes are not counted among the requests that were turned away.
            assert server.server.metrics.outcomes.labels("rejected")._value.get() == 0
            health = await client.get("/healthz")
            assert health.status_code == 200
            gate.opened.set()
            assert [one.status_code for one in await asyncio.gather(*asked)] == [200, 200]
            await until(lambda: server.server.work.free == 2)
            assert (await client.get("/readyz")).status_code == 200

        run(test, server.url)


def test_before_it_stops_it_answers_unready_and_ends_connections(image: bytes, mask: bytes) -> None:
    leaving = threading.Event()
    app: Any = build(Settings(workers=1), leaving=leaving)
    with TestClient(app, base_url="http://127.0.0.1:8080") as client:
        before = client.get("/readyz")
        assert before.status_code == 200
        assert "connection" not in before.headers
        leaving.set()
        unready = client.get("/readyz")
        assert unready.status_code == 503
        assert unready.headers["content-type"] == MEDIA_TYPE
        assert unready.json()["type"].endswith(":leaving")
        answers = [
            unready,
            client.get("/healthz"),
            client.post("/v1/fill", files=form(image, mask)),
            client.get("/healthz", headers={"Host": "evil.example"}),
        ]
    assert [one.status_code for one in answers] == [503, 200, 200, 421]
    assert {one.headers["connection"] for one in answers} == {"close"}


def test_what_the_time_of_answers_is_made_of(gate: Gate, image: bytes, mask: bytes) -> None:
    """Waiting counts in one of the two histograms and not in the other."""
    with live(Settings(workers=1, queue=1)) as server:

        async def test(client: httpx.AsyncClient) -> str:
            asked = []
            for count in (1, 2):
                sent = client.post("/v1/fill", files=form(image, mask))
                asked.append(asyncio.ensure_future(sent))
                await until(lambda count=count: len(server.server.work.tickets) == count)
            gate.opened.set()
            await asyncio.gather(*asked)
            return (await client.get("/metrics")).text

        text = run(test, server.url)
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(lines["freefill_answer_seconds_count"]) == 2
    assert float(lines["freefill_answer_seconds_sum"]) > float(lines["freefill_fill_seconds_sum"])
    assert float(lines["freefill_workers"]) == 1
