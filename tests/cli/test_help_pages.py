"""What every ``--help`` says, and twenty errors: compared whole with what is kept beside this file.

``UPDATE_SNAPSHOTS=1 python -m pytest tests/cli/test_help_pages.py`` writes it anew; read the diff.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer.main
from PIL import Image

from freefill.cli.main import app

Run = Callable[..., Any]

KEPT = Path(__file__).parent / "snapshots"
UPDATE = os.environ.get("UPDATE_SNAPSHOTS") == "1"


def commands(group: Any, *before: str) -> Iterator[tuple[str, ...]]:
    """Every command that there is, groups included."""
    yield before
    for name, below in sorted(getattr(group, "commands", {}).items()):
        yield from commands(below, *before, name)


COMMANDS = list(commands(typer.main.get_command(app)))


def kept(name: str, text: str) -> str:
    """Give what is kept under a name; keep this text if that is asked for."""
    path = KEPT / f"{name}.txt"
    if UPDATE:
        KEPT.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return path.read_text(encoding="utf-8") if path.exists() else ""


def plain(text: str) -> str:
    """Without colours, which some terminals of builders ask for, and without spaces at the ends."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words) or "freefill")
def test_help(command: Run, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    ran = command(*words, "--help")
    assert (ran.returncode, ran.stderr) == (0, "")
    text = plain(ran.stdout)
    assert text == kept("-".join(words) or "freefill", text)
    above = text.partition("╭")[0].split("\n\n")[1:]
    for before, after in pairwise([*above, ""]):
        # An example is announced, and what is announced is there.
        is_example, was_example = is_command(after), is_command(before)
        assert before.rstrip().endswith((":", "Then:")) or was_example or not is_example, after
        assert is_example or not before.rstrip().endswith("xample:"), before
        assert is_example or not before.rstrip().endswith("xamples:"), before


def is_command(paragraph: str) -> bool:
    return re.match(r"\s*([A-Z_]+=\S+ )*(freefill|curl|torchrun|python3) ", paragraph) is not None


def test_no_page_is_kept_of_a_command_that_is_gone() -> None:
    names = {"-".join(words) or "freefill" for words in COMMANDS} | {"errors"}
    for path in KEPT.iterdir():
        if UPDATE and path.stem not in names:
            path.unlink()
    assert {path.stem for path in KEPT.iterdir()} | {"errors"} == names


ERRORS = [
    "fill",
    "fill none.png --mask mask.png --out new.png",
    "fill photo.png --out new.png",
    "fill photo.png --mask none.png --out new.png",
    "fill photo.png --mask small.png --out new.png",
    "fill photo.png --mask black.png --out new.png",
    "fill photo.png --mask text.txt --out new.png",
    "fill photo.png --mask mask.png --out new",
    "fill photo.png --mask mask.png --out none/new.png",
    "fill photo.png --mask mask.png --out photo.png",
    "fill photo.png --mask mask.png --out there.png",
    "fill photo.png --mask alpha --out new.png",
    "fill photo.png --mask mask.png --out new.png --grow 300",
    "fill photo.png --mask mask.png --out new.png --model none",
    "fill photo.png --mask mask.png --out new.png --max-pixels 1",
    "fill photo.png other.png --mask mask.png --out new.png",
    "fill empty --mask mask.png --out new",
    "fill empty.png --mask mask.png --out new.png",
    "fill cut.png --mask mask.png --out new.png",
    "fill - --mask - --out new.png",
    "--json doctor",
    "paint photo.png",
    "uncrop photo.png --out new.png",
    "uncrop photo.png --left 900 --out new.png",
    "stitch photo.png --out new.png",
    "unmark one --stack --out new",
    "recompose photo.png --by 1,2 --out new.png",
    "remove photo.png --at 900,900 --out new.png",
    "retarget photo.png --out new.png",
    "weights card none",
    "weights remove none",
    "batch one new --cores 2",
    "serve --host 0.0.0.0",
]
"""Calls that are refused, in a folder that :func:`place` makes."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[..., 0] = np.arange(60)
    mask = np.zeros((40, 60), np.uint8)
    mask[10:20, 10:20] = 255
    for name in ("photo.png", "other.png", "there.png"):
        Image.fromarray(pixels).save(tmp_path / name)
    Image.fromarray(mask).save(tmp_path / "mask.png")
    Image.fromarray(mask[:20, :20]).save(tmp_path / "small.png")
    Image.fromarray(mask * 0).save(tmp_path / "black.png")
    (tmp_path / "text.txt").write_text("no picture")
    (tmp_path / "empty.png").touch()
    (tmp_path / "cut.png").write_bytes((tmp_path / "photo.png").read_bytes()[:60])
    for name in ("empty", "one"):
        (tmp_path / name).mkdir()
    shutil.copy(tmp_path / "photo.png", tmp_path / "one")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FREEFILL_CACHE", "cache")
    monkeypatch.delenv("FREEFILL_TOKEN", raising=False)
    return tmp_path


def test_errors(command: Run, place: Path) -> None:
    told = []
    for line in ERRORS:
        ran = command(*line.split())
        assert ran.returncode == 2, line
        lines = plain(ran.stderr).replace(str(place), "HERE")
        told.append(f"$ freefill {line}\n{lines}\n")
        # A number and its noun agree.
        assert not re.search(r"\b1 (?!is|was|does|has|goes)\w+s\b", lines), lines
        assert "`" not in lines
    assert not list(place.glob("new*"))
    text = "".join(told)
    assert text == kept("errors", text)
