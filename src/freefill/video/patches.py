"""What is new in a frame, kept in a folder beside the result until the result is there.

A run that is stopped, however hard, is taken up from these files: each is written under another
name first, so it is there whole or not at all.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from freefill.errors import VideoError
from freefill.files.json_files import read_value
from freefill.imaging.box import Box, bounds
from freefill.types import Mask
from freefill.video.frames import Coding, Plane
from freefill.weights.lock import file_lock

LOCK = ".lock"
"""Held by the process that works on a folder."""
MOST_NOTED = 2**28
"""Bytes of a note: a box takes some 25, and there is one a frame."""


@dataclass(frozen=True, eq=False)
class Patch:
    """Samples for cells of a frame.

    Attributes:
        box: In cells: what the others cover.
        cells: ``(h, w)``: which cells are new.
        made: ``(h, w)``: which of them the network made up, in this frame.
        carried: ``(h, w)``: which it made up in an earlier frame. All others are from frames that
            show what is there.
        planes: Samples of the box, without loss.
    """

    box: Box
    cells: Mask
    made: Mask
    carried: Mask
    planes: list[Plane]

    @classmethod
    def cut(
        cls, planes: list[Plane], cells: Mask, made: Mask, carried: Mask, coding: Coding
    ) -> Patch:
        """Cut what is new out of a frame that has been filled.

        Args:
            planes: The frame's.
            cells: ``(H, W)`` of the whole frame, with at least one.
            made: Of the same size.
            carried: Of the same size.
            coding: How the frame is to be understood.
        """
        box = bounds(cells)
        assert box is not None
        parts = [plane[coding.window(box, i)].copy() for i, plane in enumerate(planes)]
        whole = (cells, made, carried)
        inside, new, old = (each[box.window].copy() for each in whole)
        return cls(box, inside, new, old, parts)

    def put(self, planes: list[Plane], coding: Coding, where: Mask | None = None) -> None:
        """Write what is new into a frame.

        Args:
            planes: The frame's, which are changed.
            coding: How the frame is to be understood.
            where: Only these cells of the whole frame.
        """
        cells = self.cells if where is None else self.cells & where[self.box.window]
        for i, plane in enumerate(planes):
            inside = coding.spread(cells, i)
            plane[coding.window(self.box, i)][inside] = self.planes[i][inside]


def followed(out: Path) -> Path:
    """Give the file that a link is to: it is what is written, and the link stays."""
    return Path(os.path.realpath(out)) if out.is_symlink() else out


def partial_of(out: Path) -> Path:
    """Name the folder of a run that is to make a file.

    Examples:
        >>> partial_of(Path("clips/out.mp4")).name
        'out.mp4.partial'
    """
    return out.with_name(f"{out.name}.partial")


class Folder:
    """The folder of a run that is not finished.

    Args:
        path: Where.
        identity: What the run depends on: another clip, mask or option is another run.
        overwrite: Whether another run that is there is thrown away.

    Raises:
        VideoError: If it holds another run, or cannot be written to.
    """

    def __init__(self, path: Path, identity: dict[str, Any], *, overwrite: bool = False) -> None:
        self.path = path
        identity = json.loads(json.dumps(identity))
        kept = self.read("run")
        if not isinstance(kept, dict):
            kept = None
        if kept is not None and kept != identity and overwrite:
            for file in _contents(path):
                file.unlink()
            kept = None
        if kept is not None and kept != identity:
            other = [key for key in identity if kept.get(key) != identity[key]]
            raise VideoError(
                f"{path} holds a run with another {', '.join(other) or 'version'}: remove it, or "
                "`overwrite=True` starts again"
            )
        if kept is None:
            _check_empty(path)
            with writing(path):
                path.mkdir(exist_ok=True)
            self.write("run", identity)

    @classmethod
    @contextmanager
    def locked(
        cls, path: Path, identity: dict[str, Any], *, overwrite: bool = False
    ) -> Iterator[Folder]:
        """Open the folder of a run, and keep other processes out of it until the block ends.

        Args:
            path: As above.
            identity: As above.
            overwrite: As above.

        Raises:
            VideoError: If another process works on it, and as above.
        """

        def refuse() -> None:
            raise VideoError(
                f"{path}: another process is making the same file; wait for its end, or give this "
                "result another name"
            )

        if not (path / "run.json").exists():
            # Nothing is to be left in the folder of something else, not even a lock.
            _check_empty(path)
        with ExitStack() as stack:
            with writing(path):
                path.mkdir(exist_ok=True)
                # The lock goes when the folder does: who waited for it finds that out, and is
                # refused or makes a new one.
                stack.enter_context(file_lock(path / LOCK, refuse))
            yield cls(path, identity, overwrite=overwrite)
        if os.name == "nt" and path.is_dir() and not _contents(path):
            shutil.rmtree(path, ignore_errors=True)  # there, a lock that is held stays

    def read(self, name: str) -> Any:
        """Give what was noted under a name, or ``None`` where it is not there or damaged."""
        try:
            return read_value(self.path / f"{name}.json", VideoError, MOST_NOTED)
        except (FileNotFoundError, VideoError):
            return None

    def write(self, name: str, value: Any) -> None:
        """Note something that JSON can hold."""
        with self._replacing(f"{name}.json") as partial:
            partial.write_bytes(json.dumps(value).encode())

    def load(self, name: str) -> Patch | None:
        """Give a patch, or ``None`` where it is not there or damaged."""
        try:
            with np.load(self.path / f"{name}.npz", allow_pickle=False) as held:
                planes = [held[f"plane{i}"] for i in range(len(held.files) - 4)]
                box = Box.of(held["box"].tolist())
                return Patch(box, held["cells"], held["made"], held["carried"], planes)
        except (FileNotFoundError, OSError, ValueError, KeyError, zipfile.BadZipFile):
            return None

    def save(self, name: str, patch: Patch) -> None:
        """Keep a patch.

        Raises:
            VideoError: If it cannot be written.
        """
        arrays: dict[str, Any] = {f"plane{i}": plane for i, plane in enumerate(patch.planes)}
        arrays["box"] = np.array(patch.box.corners)
        arrays |= {"cells": patch.cells, "made": patch.made, "carried": patch.carried}
        with self._replacing(f"{name}.npz") as partial, partial.open("wb") as file:
            np.savez_compressed(file, **arrays)

    def remove(self) -> None:
        """Take the folder away: the result is there."""
        shutil.rmtree(self.path, ignore_errors=True)

    @contextmanager
    def _replacing(self, name: str) -> Iterator[Path]:
        """Give a file to write to, which gets its name when it is whole."""
        partial = self.path / f".{name}.{os.getpid()}.partial"
        with writing(self.path / name):
            try:
                yield partial
                partial.replace(self.path / name)
            finally:
                partial.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say in a line what could not be written, and why.

    Args:
        path: What is written in the block.

    Raises:
        VideoError: Instead of an error of the system.
    """
    try:
        yield
    except OSError as error:
        again = ": make room, and the same call goes on" if error.errno in FULL else ""
        reason = error.strerror or error
        raise VideoError(f"{path} cannot be written: {reason}{again}") from None


FULL = (errno.ENOSPC, errno.EDQUOT)
"""A disk, or a person's share of it, has no room left."""


def _contents(path: Path) -> list[Path]:
    return [file for file in path.iterdir() if file.name != LOCK] if path.is_dir() else []


def _check_empty(path: Path) -> None:
    if path.exists() and (not path.is_dir() or _contents(path)):
        raise VideoError(f"{path} is needed for what is filled, but holds something else")
