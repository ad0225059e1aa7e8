"""``--lan``: the addresses that others see, their QR code, and who is let in."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from freefill.cli import lan

Run = Any

SHADES = {" ": (0, 0), "▀": (1, 0), "▄": (0, 1), "█": (1, 1)}
"""Upper and lower half of each block: whether it is light."""
START = """
import sys, types, ifaddr
from freefill.cli.main import main
one = types.SimpleNamespace(ip="192.168.7.20", is_IPv4=True)
ifaddr.get_adapters = lambda: [types.SimpleNamespace(nice_name="wlan0", ips=[one])]
sys.argv = ["freefill", *sys.argv[1:]]
main()
"""


def _adapter(name: str, *ips: Any) -> Any:
    found = [SimpleNamespace(ip=ip, is_IPv4=isinstance(ip, str)) for ip in ips]
    return SimpleNamespace(nice_name=name, ips=found)


@pytest.fixture
def adapters(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    there: list[Any] = []
    monkeypatch.setattr("ifaddr.get_adapters", lambda: there)
    monkeypatch.setattr(lan, "_outgoing", lambda: "192.168.1.20")
    return there


def read_qr(lines: list[str]) -> str:
    """Read a QR code as a phone's camera would, from what a terminal shows."""
    rows = [[SHADES[block][half] for block in line] for line in lines for half in (0, 1)]
    picture = np.kron(np.array(rows, np.uint8) * 255, np.ones((8, 8), np.uint8))
    found: str = cv2.QRCodeDetector().detectAndDecode(picture)[0]
    return found


def test_addresses_are_those_that_others_reach_the_default_route_first(adapters: list[Any]) -> None:
    adapters += [
        _adapter("lo", "127.0.0.1", ("::1", 0, 0)),
        _adapter("docker0", "172.17.0.1"),
        _adapter("eth1", "169.254.10.3"),
        _adapter("wlan0", ("fe80::1", 0, 2), "192.168.1.20"),
    ]
    assert [(one.ip, one.interface) for one in lan.addresses()] == [
        ("192.168.1.20", "wlan0"),
        ("172.17.0.1", "docker0"),
    ]


def test_what_a_machine_without_a_network_says(command: Run, adapters: list[Any]) -> None:
    adapters.append(_adapter("lo", "127.0.0.1"))
    for name in ("studio", "serve"):
        ran = command(name, "--lan")
        assert ran.returncode == 2
        assert ran.stderr.startswith("freefill: error: --lan: this machine has no address in a net")
        assert ran.stderr.count("\n") == 1
        assert not ran.stdout


def test_one_address_and_every_address_contradict_each_other(
    command: Run, adapters: list[Any]
) -> None:
    adapters.append(_adapter("wlan0", "192.168.1.20"))
    ran = command("serve", "--lan", "--host", "192.168.1.20")
    assert ran.returncode == 2
    assert "--host 192.168.1.20" in ran.stderr


@pytest.mark.parametrize(
    "link",
    [
        "http://10.0.0.2:80/#token=" + "a" * 32,
        "http://192.168.100.200:65535/#token=" + "Zy_-" * 8 + "&photo",
        "http://192.168.1.2:8080/#token=" + "%2B" * 60,
    ],
)
def test_the_code_says_the_link(link: str) -> None:
    lines = lan.qr_lines(link)
    assert read_qr(lines) == link
    # Four rows of nothing around it, or cameras do not see it.
    assert all(set(line[:4] + line[-4:]) <= set("█▀") for line in lines)
    assert lines[0] == lines[1] == "█" * len(lines[0])


def test_each_address_is_printed_and_the_first_is_the_codes(
    adapters: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    adapters += [_adapter("docker0", "172.17.0.1"), _adapter("wlan0", "192.168.1.20")]
    lan.print_addresses("http://0.0.0.0:8080/", "a secret+of letters", photo=True)
    told = capsys.readouterr().out.splitlines()
    link = "http://192.168.1.20:8080/#token=a%20secret%2Bof%20letters&photo"
    assert told[0].endswith(f"(wlan0): {link}")
    assert "(docker0): http://172.17.0.1:8080/#" in told[1]
    assert read_qr([line for line in told if set(line) <= set(SHADES)]) == link
    assert "plain HTTP" in told[-1]


def test_where_no_code_can_be_shown_the_rest_is(
    adapters: list[Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    adapters.append(_adapter("wlan0", "192.168.1.20"))
    monkeypatch.setenv("COLUMNS", "30")
    lan.print_addresses("http://0.0.0.0:8080/", "a" * 32, photo=False)
    told = capsys.readouterr().out
    assert "█" not in told
    assert "a terminal of 41 columns" in told
    monkeypatch.setenv("COLUMNS", "80")
    out = io.TextIOWrapper(io.BytesIO(), encoding="cp1252", errors="backslashreplace")
    monkeypatch.setattr(sys, "stdout", out)
    lan.print_addresses("http://0.0.0.0:8080/", "a" * 32, photo=False)
    out.flush()
    lines = out.buffer.getvalue().decode().splitlines()  # type: ignore[attr-defined]
    assert [line[:20] for line in lines] == ["freefill: on a phone", "freefill: this is pl"]


@pytest.fixture
def terminal() -> Iterator[tuple[list[str], str]]:
    """``freefill studio --lan`` in a terminal of 100 columns; what it has printed, and its port."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", START, "studio", "--lan", "--no-browser"],
        stdout=theirs,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "100", "TERM": "xterm-256color", "PYTHONUTF8": "1"},
    )
    os.close(theirs)
    with open(ours, encoding="utf-8", newline="") as screen:
        lines = []
        while not lines or "plain HTTP" not in lines[-1]:
            lines.append(screen.readline().rstrip("\r\n"))
        found = re.search(r":(\d+)/", lines[0])
        assert found
        yield lines, found[1]
        token = re.findall(r"#token=([\w-]{32})$", lines[1])[0]
        process.terminate()
        _, told = process.communicate(timeout=60)
    # Whatever was asked for meanwhile, with the token or without: no log has it.
    assert token not in told
    assert "Traceback" not in told


def test_a_phone_is_let_in_with_the_token_alone(terminal: tuple[list[str], str]) -> None:
    lines, port = terminal
    shown = re.search(r"http://192\.168\.7\.20:(\d+)/#token=([\w-]{32})$", lines[1])
    assert shown
    assert shown[1] == port
    # Its colours are its own: a bright terminal does not turn it inside out.
    code = [line for line in lines if line.startswith(lan.FIXED_COLOURS)]
    bare = [line.removeprefix(lan.FIXED_COLOURS).removesuffix("\x1b[0m") for line in code]
    # Whether a code can be read is tested above: of links at random OpenCV misses 3 in 100.
    assert bare == lan.qr_lines(shown[0])
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        called = {"Host": f"192.168.7.20:{port}"}
        assert client.get("/", headers=called).status_code == 200
        assert client.get("/v1/models", headers=called).status_code == 401
        called["Authorization"] = f"Bearer {shown[2]}"
        assert client.get("/v1/models", headers=called).status_code == 200
        # Its own page asks, and no other.
        called["Origin"] = f"http://192.168.7.20:{port}"
        assert client.get("/v1/models", headers=called).status_code == 200
        called["Origin"] = f"http://192.168.7.21:{port}"
        assert client.get("/v1/models", headers=called).status_code == 403
