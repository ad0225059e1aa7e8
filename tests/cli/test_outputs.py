"""Where results and lines go: links, modes, full disks, closed and narrow terminals."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from freefill.types import Mask

Run = Callable[..., "subprocess.CompletedProcess[str]"]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="shells and devices of Unix")


@pytest.fixture
def place(tmp_path: Path, photo: NDArray[np.uint8], hole: Mask) -> Path:
    Image.fromarray(photo).save(tmp_path / "photo.png")
    Image.fromarray(hole.astype(np.uint8) * 255).save(tmp_path / "mask.png")
    return tmp_path


def shell(place: Path, more: str, out: str = "out.png", **environment: str) -> tuple[int, str, str]:
    """Run a fill from a shell, with its redirections."""
    work = f'"{sys.executable}" -m freefill fill photo.png -m mask.png -o "$OUT" {more}'
    ran = subprocess.run(
        ["sh", "-c", work],
        cwd=place,
        capture_output=True,
        env={**os.environ, "OUT": out, **environment},
        timeout=120,
        check=False,
    )
    return ran.returncode, ran.stdout.decode("latin-1"), ran.stderr.decode("latin-1")


@pytest.mark.parametrize("more", ["> /dev/full", ">&-"])
def test_a_stdout_that_takes_nothing_is_said(place: Path, more: str) -> None:
    code, _, stderr = shell(place, more)
    assert code == 2
    assert "Traceback" not in stderr
    (line,) = stderr.splitlines()
    assert line.startswith("freefill: error: standard output cannot be written (")
    assert "out.png" in line
    assert Image.open(place / "out.png").size == (120, 96)


@pytest.mark.parametrize("more", ["2>&-", "2> /dev/full"])
def test_a_stderr_that_takes_nothing_leaves_exit_code_and_stdout(place: Path, more: str) -> None:
    code, stdout, _ = shell(place, more)
    assert code == 0
    assert "out.png" in stdout
    code, stdout, _ = shell(place, more, out="none/out.png")
    assert (code, stdout) == (2, "")
    code, stdout, _ = shell(place, f"> /dev/full {more}", out="second.png")
    assert (code, stdout) == (2, "")


def test_help_for_a_full_disk_is_no_traceback(place: Path) -> None:
    code, _, stderr = shell(place, "--help > /dev/full")
    assert code == 2
    (line,) = stderr.splitlines()
    assert line.startswith("freefill: error: ")


@pytest.mark.parametrize(
    ("encoding", "name", "printed"),
    [
        ("cp1252", "Фото.png", r"\u0424"),
        ("ascii", "é.png", r"\xe9"),
        ("latin-1", "写真.png", r"\u5199"),
        ("utf-8", "bad\udcff.png", r"\udcff"),
    ],
)
def test_names_that_the_terminal_cannot_hold_are_written_out(
    place: Path, encoding: str, name: str, printed: str
) -> None:
    code, stdout, stderr = shell(place, "", out=name, PYTHONIOENCODING=encoding)
    assert code == 0, stderr
    assert stderr == ""
    assert printed in stdout
    assert (place / name).exists()


def test_escape_sequences_in_names_do_not_reach_the_terminal(place: Path, command: Run) -> None:
    name = "a\x1b[2Jb.png"
    ran = command("fill", place / "photo.png", "-m", place / "mask.png", "-o", place / name)
    assert ran.returncode == 0
    assert "\x1b" not in ran.stdout + ran.stderr
    assert r"a\x1b[2Jb.png" in ran.stdout
    ran = command("uncrop", place / name, "-o", place / f"wide{name}", "--right", "8")
    assert ran.returncode == 0, ran.stderr
    assert "\x1b" not in ran.stdout + ran.stderr


def test_what_a_killed_run_left_is_said(place: Path, command: Run) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    for folder in ("in", "out"):
        (place / folder).mkdir()
    for name in ("a", "b"):
        (place / "in" / f"{name}.png").write_bytes((place / "photo.png").read_bytes())
    for out in (place, place / "out"):
        (out / f".x.png.{process.pid}-7.partial").write_bytes(b"half")
    one = command("fill", place / "photo.png", "-m", place / "mask.png", "-o", place / "b.png")
    many = command("fill", place / "in", "-m", place / "mask.png", "-o", place / "out")
    for ran in (one, many):
        assert ran.returncode == 0
        (line,) = ran.stderr.splitlines()
        assert f".x.png.{process.pid}-7.partial was left by a run that was killed" in line
    assert not list(place.rglob("*.partial"))


@pytest.mark.parametrize("task", ["fill", "uncrop"])
def test_what_is_no_file_is_refused_before_the_work(place: Path, command: Run, task: str) -> None:
    os.mkfifo(place / "fifo.png")
    more = ("-m", place / "mask.png") if task == "fill" else ("--right", "8")
    ran = command(task, place / "photo.png", *more, "-o", place / "fifo.png", "--overwrite")
    assert ran.returncode == 2
    assert "fifo.png cannot be written: it is a FIFO" in ran.stderr
    assert (place / "fifo.png").is_fifo()
