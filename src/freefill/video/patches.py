"""What is new in a frame, kept in a folder beside the result until the result is there.

A run that is stopped, however hard, is taken up from these files: each is written under another
name first, so it is there whole or not at all.
"""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from freefill.errors import VideoError
from freefill.imaging.box import Box, bounds
from freefill.types import Mask
from freefill.video.frames import Coding, Plane


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


class Folder:
    """The folder of a run that is not finished.

    Args:
        path: Where.
        identity: What the run depends on: another clip, mask or option is another run.
        overwrite: Whether another run that is there is thrown away.

    Raises:
        VideoError: If it holds another run.
    """

    def __init__(self, path: Path, identity: dict[str, Any], *, overwrite: bool = False) -> None:
        self.path = path
        identity = json.loads(json.dumps(identity))
        kept = self.read("run")
        if kept is not None and kept != identity and overwrite:
            shutil.rmtree(path)
            kept = None
        if kept is not None and kept != identity:
            other = [key for key in identity if kept.get(key) != identity[key]]
            raise VideoError(
                f"{path} holds a run with another {', '.join(other) or 'version'}: remove it, or "
                "`overwrite=True` starts again"
            )
        if kept is None and path.exists() and any(path.iterdir()):
            raise VideoError(f"{path} is needed for what is filled, but holds something else")
        path.mkdir(exist_ok=True)
        if kept is None:
            self.write("run", identity)

    def read(self, name: str) -> Any:
        """Give what was noted under a name, or ``None``."""
        try:
            return json.loads((self.path / f"{name}.json").read_text("utf-8"))
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None

    def write(self, name: str, value: Any) -> None:
        """Note something that JSON can hold."""
        self._replace(f"{name}.json", json.dumps(value).encode())

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
        """Keep a patch."""
        partial = self.path / f".{name}.{os.getpid()}.partial"
        arrays: dict[str, Any] = {f"plane{i}": plane for i, plane in enumerate(patch.planes)}
        arrays["box"] = np.array(patch.box.corners)
        arrays |= {"cells": patch.cells, "made": patch.made, "carried": patch.carried}
        with partial.open("wb") as file:
            np.savez_compressed(file, **arrays)
        partial.replace(self.path / f"{name}.npz")

    def remove(self) -> None:
        """Take the folder away: the result is there."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _replace(self, name: str, content: bytes) -> None:
        partial = self.path / f".{name}.{os.getpid()}.partial"
        partial.write_bytes(content)
        partial.replace(self.path / name)
