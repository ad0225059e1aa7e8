"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import re
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from freefill.errors import ImageError

if sys.platform != "win32":
    import fcntl

_PARTIAL = re.compile(r"\..{1,40}\.(\d+)-\d+\.partial", re.DOTALL)
"""How a file is called until it is whole: of which process and thread it is."""
_KINDS = (
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISDIR, "a folder"),
)
"""What is no file that could be replaced."""


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all.

    A link stays a link: what it leads to is replaced. A file that exists keeps its mode, and its
    owner where the process may give files away.

    Args:
        path: The file.
        content: Its bytes.

    Raises:
        ImageError: If the folder is missing or cannot be written to, or if there is something
            that is no file.
    """
    try:
        target = target_of(path)
        # Short, so that a name of the greatest legal length still has room for the ending.
        # Of this process and thread: names that begin alike are written at the same time.
        owner = f"{os.getpid()}-{threading.get_ident()}"
        partial = target.with_name(f".{target.name[:40]}.{owner}.partial")
        try:
            partial.unlink(missing_ok=True)
            before = target.stat() if target.exists() else None
            # Of a file that only its owner may read nobody may read a part, either.
            partial.touch(0o666 if before is None else 0o600, exist_ok=False)
            with _claimed(partial):
                partial.write_bytes(content)
                if before is not None:
                    _take_over(partial, before)
                partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        if isinstance(error, ImageError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"{path} cannot be written: {reason}") from None


def target_of(path: Path) -> Path:
    """Give the file that a path means: links are followed, also one that leads to nothing yet.

    Args:
        path: Where something is to be written.

    Returns:
        The file, which need not exist.

    Raises:
        ImageError: If what is there is no file: a folder, a FIFO, a device, a socket.
        OSError: If it cannot be looked up: its name is too long, links lead in a circle.
        ValueError: If no file can have this name.
    """
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return target
    for is_kind, kind in _KINDS:
        if is_kind(mode):
            what = "it is" if target == path else f"it leads to {target}, which is"
            raise ImageError(f"{path} cannot be written: {what} {kind}")
    return target


def remove_partials(folder: Path) -> list[str]:
    """Remove what runs that were killed have left in a folder.

    Only what :func:`write_atomically` has begun, and only where its process is gone.

    Args:
        folder: Where something is going to be written.

    Returns:
        A line for each file that was removed.
    """
    if sys.platform == "win32":  # where asking whether a process is alive may end it
        return []
    lines = []
    with suppress(OSError):
        for name in sorted(os.listdir(folder)):
            found = _PARTIAL.fullmatch(name)
            if found is not None and not _is_alive(int(found[1])) and _remove(folder / name):
                lines.append(f"{folder / name} was left by a run that was killed: it is removed")
    return lines


@contextmanager
def _claimed(partial: Path) -> Iterator[None]:
    """Hold a lock on a file: its process has no number on other machines and in containers."""
    if sys.platform == "win32":
        yield
        return
    with partial.open("rb") as file:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def _remove(partial: Path) -> bool:
    """Remove a file unless somebody holds it."""
    if sys.platform == "win32":
        return False
    try:
        if not stat.S_ISREG(partial.lstat().st_mode):
            return False
        with partial.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            partial.unlink()
    except OSError:
        return False
    return True


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it is somebody else's
        return True
    return True


def _take_over(partial: Path, before: os.stat_result) -> None:
    """Give a new file the owner and the mode of the one that it replaces."""
    if hasattr(os, "chown"):
        with suppress(OSError):  # only root gives files away
            os.chown(partial, before.st_uid, before.st_gid)
    partial.chmod(stat.S_IMODE(before.st_mode))
