"""The queue over real sockets: none beyond its capacity, none lost, none worked on for nobody."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from live import Gate, Live, form, live, run, until, warm

from freefill.server import fills
from freefill.server.settings import Settings

WORKERS, QUEUE = 2, 3
CAPACITY = WORKERS + QUEUE


@pytest.fixture
def held(gate: Gate) -> Iterator[Live]:
    """A server whose fills wait for the gate."""
    with live(Settings(workers=WORKERS, queue=QUEUE, timeout=60)) as server:
        yield server
        gate.opened.set()


@pytest.mark.parametrize("padding", [0, 6_000_000], ids=["small", "large"])
def test_at_twice_the_capacity_those_beyond_it_are_told_so_and_no_others(
    held: Live, gate: Gate, image: bytes, mask: bytes, padding: int
) -> None:
    # What follows a PNG's end is left alone: a body of any size.
    files = form(image + bytes(padding), mask)

    async def test(client: httpx.AsyncClient) -> list[httpx.Response]:
        asked = [asyncio.ensure_future(client.post("/v1/fill", files=files)) for _ in range(10)]
        # Only when the others have their answer are the fills let go.
        await until(lambda: sum(one.done() for one in asked) == 2 * CAPACITY - CAPACITY)
        gate.opened.set()
        return await asyncio.gather(*asked)

    answers = run(test, held.url)
    assert Counter(a.status_code for a in answers) == {200: CAPACITY, 429: CAPACITY}
    for answer in answers:
        if answer.status_code == 429:
            assert int(answer.headers["retry-after"]) >= 1
            assert f"of {CAPACITY}" in answer.json()["detail"]
    assert len({a.content for a in answers if a.status_code == 200}) == 1
    assert held.server.work.tickets == {}


def test_progress_tells_who_waits_and_who_is_filled(
    held: Live, gate: Gate, image: bytes, mask: bytes
) -> None:
    names = [str(uuid.uuid4()) for _ in range(CAPACITY)]

    async def test(client: httpx.AsyncClient) -> None:
        async def progress(name: str) -> dict[str, Any]:
            found: dict[str, Any] = (await client.get(f"/v1/fills/{name}")).json()
            return found

        assert (await progress(names[0]))["state"] == "unknown"
        asked = []
        for count, name in enumerate(names, 1):
            headers = {"Fill-Id": name}
            sent = client.post("/v1/fill", files=form(image, mask), headers=headers)
            asked.append(asyncio.ensure_future(sent))
            await until(lambda count=count: len(held.server.work.tickets) == count)
        await until(lambda: gate.begun == WORKERS)
        for name in names[:WORKERS]:
            await until(lambda name=name: held.server.work.named[uuid.UUID(name)].total == 4)
            assert await progress(name) == {"state": "filling", "ahead": 0, "done": 1, "total": 4}
        for ahead, name in enumerate(names[WORKERS:]):
            waiting = {"state": "waiting", "ahead": ahead, "done": 0, "total": 0}
            assert await progress(name) == waiting
        twice = await client.post("/v1/view", files=form(image), headers={"Fill-Id": names[0]})
        assert twice.status_code == 429
        gate.opened.set()
        assert {a.status_code for a in await asyncio.gather(*asked)} == {200}
        assert (await progress(names[0]))["state"] == "unknown"

    run(test, held.url)


def test_an_id_that_is_in_use(held: Live, gate: Gate, image: bytes, mask: bytes) -> None:
    headers = {"Fill-Id": str(uuid.uuid4())}

    async def test(client: httpx.AsyncClient) -> None:
        sent = client.post("/v1/fill", files=form(image, mask), headers=headers)
        first = asyncio.ensure_future(sent)
        await until(lambda: gate.begun == 1)
        second = await client.post("/v1/fill", files=form(image, mask), headers=headers)
        assert second.status_code == 409
        gate.opened.set()
        assert (await first).status_code == 200
        # And free again.
        third = await client.post("/v1/fill", files=form(image, mask), headers=headers)
        assert third.status_code == 200

    run(test, held.url)


def test_a_client_that_goes_stops_its_own_work_and_no_other(
    held: Live, gate: Gate, image: bytes, mask: bytes
) -> None:
    work = held.server.work

    def outcomes(kind: str) -> float:
        found: float = held.server.metrics.outcomes.labels(kind)._value.get()
        return found

    async def test(client: httpx.AsyncClient) -> None:
        asked = []
        for count in range(1, 4):
            asked.append(asyncio.ensure_future(client.post("/v1/fill", files=form(image, mask))))
            await until(lambda count=count: len(work.tickets) == count)
        await until(lambda: gate.begun == WORKERS)
        asked[2].cancel()  # waits
        await until(lambda: len(work.tickets) == 2)
        asked[0].cancel()  # is being filled
        await until(lambda: gate.stopped == 1)
        await until(lambda: len(work.tickets) == 1)
        gate.opened.set()
        assert (await asked[1]).status_code == 200
        # A ticket is given back before its end is counted.
        await until(lambda: outcomes("cancelled") == 2 and outcomes("filled") == 1)

    run(test, held.url)
    assert gate.begun == WORKERS
    assert work.tickets == {}


def test_a_place_is_kept_until_its_thread_is_done(
    image: bytes, mask: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, release = threading.Event(), threading.Event()

    def deaf(*arguments: Any) -> Any:
        # Reading a large photo cannot be interrupted.
        begun.set()
        assert release.wait(30)
        arguments[-1].check()

    monkeypatch.setattr(fills, "fill", deaf)
    with live(Settings(workers=1, queue=0)) as server:

        async def test(client: httpx.AsyncClient) -> None:
            sent = asyncio.ensure_future(client.post("/v1/fill", files=form(image, mask)))
            await until(begun.is_set)
            sent.cancel()
            cancelled = server.server.metrics.outcomes.labels("cancelled")._value
            await until(lambda: cancelled.get() == 1)
            busy = await client.post("/v1/fill", files=form(image, mask))
            assert busy.status_code == 429
            release.set()
            await until(lambda: server.server.work.tickets == {})

        run(test, server.url)


def test_the_time_limit_ends_those_that_wait_and_those_in_work(
    gate: Gate, image: bytes, mask: bytes
) -> None:
    with live(Settings(workers=1, queue=3, timeout=0.3)) as server:
        warm(server)

        async def test(client: httpx.AsyncClient) -> None:
            asked = [client.post("/v1/fill", files=form(image, mask)) for _ in range(2)]
            for answer in await asyncio.gather(*asked):
                assert answer.status_code == 503
                assert answer.headers["retry-after"]
                assert "0.3 s" in answer.json()["detail"]
            await until(lambda: gate.stopped == gate.begun >= 1)
            await until(lambda: server.server.work.tickets == {})

        run(test, server.url)
        assert server.server.metrics.outcomes.labels("timed_out")._value.get() == 2


def test_a_body_that_does_not_come_gives_its_place_back(image: bytes) -> None:
    with live(Settings(workers=1, queue=0, body_seconds=0.3)) as server:
        head = (
            "POST /v1/fill HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n"
            "Content-Type: multipart/form-data; boundary=a\r\n\r\n--a\r\n"
        )

        async def test(client: httpx.AsyncClient) -> None:
            port = int(server.url.rpartition(":")[2])
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head.encode())
            answer = await asyncio.wait_for(reader.readuntil(b"\r\n"), 30)
            assert b"408" in answer
            writer.close()
            assert server.server.work.tickets == {}
            health = await client.get("/healthz")
            assert health.json()["status"] == "ok"

        run(test, server.url)


def test_a_client_that_goes_before_its_body_is_whole_is_counted(image: bytes) -> None:
    with live(Settings(workers=1, queue=0)) as server:
        cancelled = server.server.metrics.outcomes.labels("cancelled")._value

        async def test(client: httpx.AsyncClient) -> None:
            port = int(server.url.rpartition(":")[2])
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            head = (
                "POST /v1/fill HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n"
                "Content-Type: multipart/form-data; boundary=a\r\n\r\n--a\r\n"
            )
            writer.write(head.encode())
            await until(lambda: len(server.server.work.tickets) == 1)
            assert cancelled.get() == 0
            writer.close()
            await until(lambda: cancelled.get() == 1)
            await until(lambda: server.server.work.tickets == {})

        run(test, server.url)


def test_metrics_count_what_became_of_requests(image: bytes, mask: bytes) -> None:
    with live(Settings(workers=1)) as server, httpx.Client(base_url=server.url) as client:
        for _ in range(3):
            assert client.post("/v1/fill", files=form(image, mask)).status_code == 200
        assert client.post("/v1/fill", files=form(b"nothing", mask)).status_code == 422
        answer = client.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain")
        lines = dict(
            line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#")
        )
    assert float(lines['freefill_fills_total{outcome="filled"}']) == 3
    assert float(lines['freefill_fills_total{outcome="refused"}']) == 1
    assert float(lines['freefill_fills_total{outcome="failed"}']) == 0
    assert float(lines["freefill_fill_seconds_count"]) == 3
    assert float(lines["freefill_waiting"]) == 0
    body = 3 * (len(image) + len(mask)) + len(b"nothing") + len(mask)
    assert float(lines["freefill_body_bytes_total"]) == body
    assert float(lines["process_resident_memory_bytes"]) > 1e6
