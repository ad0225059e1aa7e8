"""The lock: one at a time, never a lock that keeps nobody out, and none where none can be had."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from freefill.weights import lock
from freefill.weights.lock import alone


class BusyError(Exception):
    pass


def refuse() -> None:
    raise BusyError


def test_the_second_waits_until_the_first_is_done(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with alone(path, refuse):
        with pytest.raises(BusyError), alone(path, refuse):
            pass
        assert path.exists()
    assert not path.exists()
    with alone(path, refuse):
        pass


def test_it_is_given_back_when_the_work_fails(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), alone(tmp_path / ".lock", refuse):
        raise KeyboardInterrupt
    with alone(tmp_path / ".lock", refuse):
        pass


@pytest.mark.parametrize("another", [True, False])
def test_a_lock_on_a_file_that_was_deleted_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, another: bool
) -> None:
    path, take = tmp_path / ".lock", lock._take
    tries: list[bool] = []

    def late(file: lock.BinaryIO) -> bool:
        tries.append(True)
        if len(tries) == 1:
            # Between opening and locking, the holder before deleted it, and another may have made
            # a new one.
            path.unlink()
            if another:
                path.touch()
        return take(file)

    monkeypatch.setattr(lock, "_take", late)
    with alone(path, refuse):
        assert len(tries) == 2
        monkeypatch.setattr(lock, "_take", take)
        with pytest.raises(BusyError), alone(path, refuse):
            pass


def test_a_file_system_without_locks_gives_none_and_the_work_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(*arguments: object) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr("fcntl.flock", flock)
    with alone(tmp_path / ".lock", refuse):
        pass
