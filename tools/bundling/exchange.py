"""Several files are exchanged for others, all or none of them."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from freefill.errors import WeightsError


def exchange(contents: Mapping[Path, bytes | None]) -> None:
    """Write files and delete others; what goes wrong leaves all of them as they were.

    New files are written beside the old ones first; what then remains are renames, during which
    Ctrl-C is not heard. Only a loss of power, or kill -9, within those milliseconds parts them.

    Args:
        contents: File to its new content; None to delete it. Folders are made as needed, and
            those that become empty are removed.

    Raises:
        WeightsError: If a file cannot be written or renamed.
    """
    new = {path: _beside(path, "new") for path in contents}
    made = _missing_folders(path for path, content in contents.items() if content is not None)
    try:
        for path, content in contents.items():
            if content is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                _write(new[path], content)
        with _undisturbed():
            _rename(contents, new)
    except BaseException as error:
        for partial in new.values():
            if partial.exists():
                partial.unlink()
        _remove_empty(made)
        if isinstance(error, OSError):
            raise WeightsError(str(error)) from None
        raise


def _rename(contents: Mapping[Path, bytes | None], new: Mapping[Path, Path]) -> None:
    """Put the new files in the old ones' places; what cannot be done to the end is undone."""
    old: dict[Path, Path] = {}
    placed: list[Path] = []
    try:
        for path, content in contents.items():
            if path.exists():
                path.replace(_beside(path, "old"))
                old[path] = _beside(path, "old")
            if content is not None:
                new[path].replace(path)
                placed.append(path)
    except BaseException:
        for path in placed:
            path.unlink()
        for path, kept in old.items():
            os.rename(kept, path)
        raise
    for kept in old.values():
        kept.unlink()
    _remove_empty(path.parent for path, content in contents.items() if content is None)


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.{ending}")


def _missing_folders(paths: Iterable[Path]) -> list[Path]:
    """List the folders that have to be made, the innermost first."""
    missing = {folder for path in paths for folder in path.parents if not folder.exists()}
    return sorted(missing, key=lambda folder: -len(folder.parts))


def _remove_empty(folders: Iterable[Path]) -> None:
    for folder in folders:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Be deaf to Ctrl-C and SIGTERM."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # By handlers, not by a mask: a thread of a library would take what this one masks, and Python
    # would still raise it here.
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, signal.SIG_IGN) for number in signals]
    try:
        yield
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)
