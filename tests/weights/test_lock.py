"""The lock: one at a time, gone with its process, and none where none can be had."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from freefill.weights.lock import file_lock


class BusyError(Exception):
    pass


def refuse() -> None:
    raise BusyError


def test_the_second_waits_until_the_first_is_done(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with file_lock(path, refuse), pytest.raises(BusyError), file_lock(path, refuse):
        pass
    with file_lock(path, refuse):
        pass


def test_it_waits_as_long_as_nothing_is_raised(tmp_path: Path) -> None:
    path, looks = tmp_path / ".lock", threading.Event()
    order: list[str] = []

    def second() -> None:
        with file_lock(path, looks.set):
            order.append("second")

    with file_lock(path, refuse):
        thread = threading.Thread(target=second)
        thread.start()
        assert looks.wait(20)
        order.append("first")
    thread.join(20)
    assert order == ["first", "second"]


def test_it_is_given_back_when_the_work_fails(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), file_lock(tmp_path / ".lock", refuse):
        raise KeyboardInterrupt
    with file_lock(tmp_path / ".lock", refuse):
        pass


def test_it_may_be_given_back_by_another_thread(tmp_path: Path) -> None:
    held = file_lock(tmp_path / ".lock", refuse)
    held.__enter__()
    thread = threading.Thread(target=held.__exit__, args=(None, None, None))
    thread.start()
    thread.join(20)
    with file_lock(tmp_path / ".lock", refuse):
        pass


CODE = """
import os, sys
from pathlib import Path
from freefill.weights.lock import file_lock
def refuse():
    raise SystemExit("busy")
with file_lock(Path(sys.argv[1]), refuse):
    child = os.fork() if "fork" in sys.argv else 1
    if child:
        print("held", child, flush=True)
    import time
    time.sleep(60)
"""


@pytest.mark.parametrize("more", [[], ["fork"]])
def test_kill_9_leaves_nothing_locked(tmp_path: Path, more: list[str]) -> None:
    path = tmp_path / ".lock"
    command = [sys.executable, "-c", CODE, str(path), *more]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    word, child = process.stdout.readline().split()
    assert word == "held"
    try:
        with pytest.raises(BusyError), file_lock(path, refuse):
            pass
        process.kill()
        process.wait()
        # A child that was forked under the lock outlives its parent, and does not hold it.
        with file_lock(path, refuse):
            pass
    finally:
        process.kill()
        process.wait()
        if more:
            os.kill(int(child), signal.SIGKILL)
        process.stdout.close()


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_gives_none_and_the_work_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def flock(*arguments: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("fcntl.flock", flock)
    with file_lock(tmp_path / ".lock", refuse):
        pass


@pytest.mark.filterwarnings("ignore:flock not supported")
def test_where_there_is_no_flock_a_file_stands_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(*arguments: object) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr("fcntl.flock", flock)
    path = tmp_path / ".lock"
    with file_lock(path, refuse), pytest.raises(BusyError), file_lock(path, refuse):
        pass
    with file_lock(path, refuse):
        pass


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"), file_lock(tmp_path / "file/.lock", refuse):
        pass
