"""``freefill serve`` and ``freefill studio`` as processes: they start, say where, and stop."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from freefill.imaging.io import encode, read_picture
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import FillRequest

Run = Any


class Process:
    """A command that serves, and the address that it printed."""

    def __init__(self, *arguments: object) -> None:
        command = [sys.executable, "-m", "freefill", *map(str, arguments)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        found = re.search(r"(http://\S+:\d+/)(\S*)", self.line)
        assert found, self.process.communicate()
        self.url, self.fragment = found.groups()

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        _, told = self.process.communicate(timeout=60)
        return self.process.returncode, told


@pytest.fixture
def start() -> Iterator[type[Process]]:
    begun: list[Process] = []

    def made(*arguments: object) -> Process:
        begun.append(Process(*arguments))
        return begun[-1]

    yield made  # type: ignore[misc]
    for process in begun:
        process.process.kill()
        process.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopping_loses_nothing_that_had_begun(
    start: Any, examples: Path, inpainter: Inpainter, number: int
) -> None:
    server = start("serve", "--port", 0, "--workers", 1)
    answers: list[httpx.Response] = []
    files = {
        "image": ("a.jpg", (examples / "pagoda.jpg").read_bytes()),
        "mask": ("m.png", (examples / "pagoda_mask.png").read_bytes()),
    }

    def ask() -> None:
        answers.append(httpx.post(f"{server.url}v1/fill", files=files, timeout=60))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    # All six are inside: one is worked on, the others wait.
    until = time.monotonic() + 30
    while _metric(server.url, "in_work") + _metric(server.url, "waiting") + len(answers) < 6:
        assert time.monotonic() < until
    code, told = server.stop(number)
    for thread in threads:
        thread.join()
    assert code == 0
    assert "stopped" in told
    assert "Traceback" not in told
    assert [answer.status_code for answer in answers] == [200] * 6
    filled = inpainter.run(FillRequest(read_picture(files["image"][1]), files["mask"][1])).picture
    assert {answer.content for answer in answers} == {encode(filled, "JPEG")[0]}


def test_between_sigterm_and_the_end_it_answers_and_is_not_ready(
    start: Any, examples: Path
) -> None:
    server = start("serve", "--port", 0, "--drain", 600)
    files = {
        "image": ("a.jpg", (examples / "bee.jpg").read_bytes()),
        "mask": ("m.png", (examples / "bee_mask.png").read_bytes()),
    }
    with httpx.Client(base_url=server.url, timeout=60) as kept:
        assert kept.get("readyz").status_code == 200
        server.process.send_signal(signal.SIGTERM)
        until = time.monotonic() + 30
        while (unready := kept.get("readyz")).status_code == 200:
            assert time.monotonic() < until
        assert unready.status_code == 503
        assert unready.json()["detail"] == "this server is about to stop: ask another"
        # Balancers that have not noticed yet lose nothing.
        assert kept.post("v1/fill", files=files).status_code == 200
        assert kept.get("healthz").status_code == 200
    # A second signal means now.
    code, told = server.stop()
    assert code == 0
    assert "stopped" in told
    assert "Traceback" not in told


def test_it_stops_by_itself_once_the_balancers_know(start: Any) -> None:
    server = start("serve", "--port", 0, "--drain", 0.5)
    code, told = server.stop()
    assert code == 0
    assert "stopped" in told


def test_ctrl_c_does_not_wait_for_balancers(start: Any) -> None:
    server = start("serve", "--port", 0, "--drain", 600)
    assert server.stop(signal.SIGINT)[0] == 0


def test_the_host_may_come_from_the_environment(
    command: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FREEFILL_HOST", "0.0.0.0")
    monkeypatch.delenv("FREEFILL_TOKEN", raising=False)
    # What Kubernetes sets beside a service of this name.
    monkeypatch.setenv("FREEFILL_PORT", "tcp://10.0.0.1:8080")
    ran = command("serve")
    assert ran.returncode == 2
    assert ran.stderr.startswith("freefill: error: --host 0.0.0.0 lets other machines in")


def _metric(url: str, name: str) -> float:
    text = httpx.get(f"{url}metrics").text
    found = re.search(rf"^freefill_{name} (\S+)$", text, re.MULTILINE)
    assert found
    return float(found[1])


def test_a_busy_port_is_one_line(cli: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = cli("serve", "--port", port)
    assert ran.returncode == 2
    assert ran.stderr.count("\n") == 1
    assert str(port) in ran.stderr
    assert "--port 0" in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("serve", "--host", "0.0.0.0"), "--token"),
        (("serve", "--host", "0.0.0.0", "--token", "short"), "16"),
        (("serve", "--model", "nothing"), "light"),
        (("serve", "--host", "nowhere.invalid", "--token", "a" * 20), "nowhere.invalid"),
        (("studio", "nowhere.jpg"), "nowhere.jpg does not exist"),
        (("studio", "README.md"), "README.md"),
        (("serve", "--allow-origin", "example.org"), "https://example.org"),
    ],
    ids=str,
)
def test_what_cannot_be_served_is_said_before(
    command: Run, arguments: tuple[str, ...], told: str
) -> None:
    ran = command(*arguments)
    assert ran.returncode == 2
    assert ran.stderr.startswith("freefill: error: ")
    assert ran.stderr.count("\n") == 1
    assert told in ran.stderr
    assert not ran.stdout


def test_the_token_may_come_from_the_environment(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FREEFILL_TOKEN", "from the environment")
    server = start("serve", "--port", 0, "--host", "0.0.0.0")
    url = server.url.replace("0.0.0.0", "127.0.0.1")
    assert httpx.get(f"{url}v1/models").status_code == 401
    header = {"Authorization": "Bearer from the environment"}
    assert httpx.get(f"{url}v1/models", headers=header).status_code == 200


def test_studio_gives_its_photo_to_its_own_page_alone(
    start: Any, examples: Path, tmp_path: Path
) -> None:
    photo = tmp_path / "Größe \N{SNOWMAN} 1.jpg"
    photo.write_bytes((examples / "bee.jpg").read_bytes())
    server = start("studio", photo, "--no-browser")
    found = re.fullmatch(r"#token=([\w-]{32})&photo", server.fragment)
    assert found
    address = f"{server.url}studio/photo"
    assert httpx.get(address).status_code == 401
    answer = httpx.get(address, headers={"Authorization": f"Bearer {found[1]}"})
    assert answer.content == photo.read_bytes()
    assert answer.headers["cache-control"] == "no-store"
    coded = "Gr%C3%B6%C3%9Fe%20%E2%98%83%201.jpg"
    assert answer.headers["content-disposition"] == f"inline; filename*=UTF-8''{coded}"
    assert start("studio", "--no-browser").fragment.startswith("#token=")


def test_without_the_extra_the_way_to_it_is_told(
    command: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    ran = command("serve")
    assert ran.returncode == 2
    assert "pip install 'freefill[serve]'" in ran.stderr


def test_help_teaches(command: Run) -> None:
    told = command("serve", "--help").stdout
    assert "curl -F image=@photo.jpg" in told
    assert "8080" in told
    assert "--allow-origin" in told
