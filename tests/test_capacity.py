"""The capacity page holds the tables that its numbers give."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_page_is_what_its_arithmetic_gives() -> None:
    capacity = runpy.run_path(str(ROOT / "benchmarks/capacity.py"))
    text = capacity["PAGE"].read_text()
    assert capacity["page"](text) == text
    for name, lines in capacity["tables"]().items():
        assert f"<!-- {name} -->\n{lines[0]}\n" in text


def test_a_million_photos_a_day_are_these_cores() -> None:
    """Count once more, by hand: seconds a photo times photos a second, over the share used."""
    capacity = runpy.run_path(str(ROOT / "benchmarks/capacity.py"))
    seconds = (capacity["CORE_SECONDS"]["512x512"] + capacity["S3_SECONDS"]) / capacity["RAY"]
    cores = 1e6 / (24 * 60 * 60) * seconds / capacity["UTILISATION"]
    (row,) = [line for line in capacity["filling"](1e6) if "**cores**" in line]
    assert row.split("|")[2].strip() == f"**{cores:.1f}**"
