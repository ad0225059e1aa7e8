"""How many cores there are: what a container was given counts, not what the machine has."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from freefill.pipeline.engines.cpu_count import available_cores

V1 = ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")


@pytest.fixture(autouse=True)
def eight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000\n"}, 8),
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "25000 100000\n"}, 1),
        ({"cpu.max": "1600000 100000\n"}, 8),
        ({"cpu.max": "nonsense\n"}, 8),
        ({V1[0]: "-1\n", V1[1]: "100000\n"}, 8),
        ({V1[0]: "300000\n", V1[1]: "100000\n"}, 3),
        ({V1[0]: "300000\n"}, 8),
    ],
    ids=str,
)
def test_the_smaller_of_both_limits_counts(
    tmp_path: Path, files: dict[str, str], cores: int
) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    assert available_cores(tmp_path) == cores
