"""Hostile files in a process that may have 2 GB of addresses: read or refused, soon."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import attacks
import pytest

SECONDS = 10
MEBIBYTES = 1024


def attempt(name: str, make: Callable[[], bytes], folder: Path) -> dict[str, str | float]:
    path = folder / name
    path.write_bytes(make())
    command = [sys.executable, attacks.__file__, str(path)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    found: dict[str, str | float] = json.loads(ran.stdout)
    assert float(found["seconds"]) < SECONDS
    assert float(found["MiB"]) < MEBIBYTES
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", attacks.READ)
def test_what_is_read(name: str, tmp_path: Path) -> None:
    assert attempt(name, attacks.READ[name], tmp_path)["told"] == "read"


@pytest.mark.slow
@pytest.mark.parametrize("name", attacks.REFUSED)
def test_what_is_refused(name: str, tmp_path: Path) -> None:
    told = attempt(name, attacks.REFUSED[name], tmp_path)["told"]
    assert str(told).startswith("refused: the image of")
