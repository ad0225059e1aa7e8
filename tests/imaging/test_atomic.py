"""Files that are whole or not at all, where the place is a link, closed to others, or no file."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from freefill.errors import ImageError
from freefill.imaging.atomic import remove_partials, write_atomically

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links, modes and FIFOs of Unix")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def gone() -> int:
    """Give the number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("absolute", [True, False])
def test_a_link_is_followed(tmp_path: Path, there: bool, absolute: bool) -> None:
    (tmp_path / "real").mkdir()
    target = tmp_path / "real" / "kept.png"
    if there:
        target.write_bytes(b"old")
        target.chmod(0o640)
    link = tmp_path / "link.png"
    link.symlink_to(target if absolute else "real/kept.png")
    second = tmp_path / "second.png"
    second.symlink_to("link.png")
    write_atomically(second, b"new")
    assert second.is_symlink()
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert not there or mode(target) == 0o640
    assert [path.name for path in (tmp_path / "real").iterdir()] == ["kept.png"]


@pytest.mark.parametrize("before", [0o600, 0o644, 0o664, 0o400])
def test_the_mode_of_a_file_is_kept(tmp_path: Path, before: int) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    path.chmod(before)
    write_atomically(path, b"new")
    assert (path.read_bytes(), mode(path)) == (b"new", before)


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_a_new_file_has_the_mode_that_the_umask_leaves(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        write_atomically(tmp_path / "a.png", b"new")
    finally:
        os.umask(before)
    assert mode(tmp_path / "a.png") == 0o666 & ~mask


def test_what_is_no_file_is_refused_and_stays(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.png")
    (tmp_path / "null.png").symlink_to("/dev/null")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "round.png").symlink_to("round.png")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket.png"))
        before = {path.name: path.lstat().st_ino for path in tmp_path.iterdir()}
        for name, words in {
            "fifo.png": r"fifo\.png cannot be written: it is a FIFO",
            "null.png": r"null\.png cannot be written: it leads to /dev/null, which is a device",
            "folder.png": "it is a folder",
            "socket.png": "it is a socket",
            "round.png": "symbolic links",
        }.items():
            with pytest.raises(ImageError, match=words):
                write_atomically(tmp_path / name, b"new")
    assert {path.name: path.lstat().st_ino for path in tmp_path.iterdir()} == before


def test_what_killed_runs_have_left_is_removed_and_named(tmp_path: Path) -> None:
    dead, alive = gone(), os.getpid()
    left = tmp_path / f".photo.png.{dead}-12.partial"
    left.write_bytes(b"half")
    others = [
        f".photo.png.{alive}-12.partial",
        ".photo.png.1-12.partial",  # somebody else's
        f"photo.png.{dead}-12.partial",
        f".photo.png.{dead}.partial",
        f".photo.png.{dead}-12.partial.png",
        "clip.mp4.partial",
    ]
    for name in others:
        (tmp_path / name).write_bytes(b"not ours")
    (tmp_path / f".a.{dead}-1.partial").mkdir()
    (line,) = remove_partials(tmp_path)
    assert str(left) in line
    assert not left.exists()
    assert all((tmp_path / name).exists() for name in others)
    assert remove_partials(tmp_path) == []
    assert remove_partials(tmp_path / "none") == []


def test_what_another_machine_writes_is_left_alone(tmp_path: Path) -> None:
    # In a shared folder its process has a number that means nothing here: it holds a lock.
    partial = tmp_path / f".photo.png.{gone()}-12.partial"
    partial.write_bytes(b"half")
    held = (
        "import fcntl, sys\n"
        "file = open(sys.argv[1], 'rb')\n"
        "fcntl.flock(file, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", held, str(partial)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert remove_partials(tmp_path) == []
        assert partial.exists()
        other.communicate()
    assert len(remove_partials(tmp_path)) == 1
