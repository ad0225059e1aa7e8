"""The held-out photos and their holes: what networks are chosen by, never the test photos."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from freefill.errors import DataError
from freefill.lab.data.photos import SHOWN, UNREADABLE, list_photos
from freefill.lab.evaluation.protocol import read
from freefill.masks.presets import sample
from freefill.types import Mask, Pixels

LIST = Path("docs/data/photos.csv")
"""Below the root of the repository."""
SIDES = {"held-out-256": 256, "held-out-512": 512}
"""Value of the list's column `use`, and side of the square that is cut out of those photos."""
KINDS = ("free-form", "centre")
MASKS = (("free-form", 0), ("free-form", 1), ("free-form", 2), ("centre", 0))
"""The holes of each photo: a preset and a seed. The centre rectangle is the same for all seeds."""


@dataclass(frozen=True)
class Photo:
    """A held-out photo.

    Attributes:
        file: Its name.
        index: Its place among the photos of this side in the list; holes are drawn from it.
        pixels: The square that is filled, ``(side, side, 3)`` uint8 RGB.
    """

    file: str
    index: int
    pixels: Pixels

    @property
    def side(self) -> int:
        """Side of the square, in pixels."""
        return len(self.pixels)

    @cached_property
    def holes(self) -> tuple[Mask, ...]:
        """One hole for each of :data:`MASKS`, ``(side, side)`` bool."""
        return tuple(
            np.ascontiguousarray(
                sample(kind, self.side, self.side, np.random.default_rng([seed, self.index]))
            )
            for kind, seed in MASKS
        )

    @cached_property
    def digest(self) -> str:
        """16 hex digits that change with the pixels or a hole."""
        content = self.pixels.tobytes() + b"".join(np.packbits(h).tobytes() for h in self.holes)
        return hashlib.sha256(content).hexdigest()[:16]


def held_out(table: Path, data: Path) -> list[Photo]:
    """Read the held-out photos.

    Args:
        table: The list, `docs/data/photos.csv`.
        data: Folder that holds the photos anywhere below it; they are found by their file names.
            Of several files of one name, the smallest that the square can be cut from is taken at
            the first side of :data:`SIDES`, and the largest at the others.

    Returns:
        The photos in the order of the list, side by side.

    Raises:
        DataError: If the list cannot be read, or photos are missing or too small: the first few
            are named, with how many there are.
    """
    listed = _listed(table)
    names = {name for group in listed.values() for name in group}
    paths: dict[str, list[Path]] = {}
    for path in list_photos(data):
        if path.name in names:
            paths.setdefault(path.name, []).append(path)
    missing = sorted(names - paths.keys())
    if missing:
        raise DataError(
            f"{len(missing)} of {len(names)} held-out photos are not below {data}: "
            f"{_first(missing)}"
        )
    chosen: list[tuple[str, int, Path]] = []
    small = []
    for use, group in listed.items():
        for name in group:
            sizes = sorted((_area(path), path) for path in paths[name])
            fitting = [path for (shorter, _), path in sizes if shorter >= SIDES[use]]
            if fitting:
                first = use == next(iter(SIDES))
                chosen.append((name, SIDES[use], fitting[0 if first else -1]))
            else:
                small.append(f"{name} has {sizes[-1][0][0]} pixels of {SIDES[use]}")
    if small:
        raise DataError(
            f"{len(small)} of {len(names)} held-out photos below {data} are too small to cut the "
            f"square from: {_first(small)}"
        )
    counts: dict[int, int] = {}
    photos = []
    for name, side, path in chosen:
        index = counts[side] = counts.get(side, -1) + 1
        photos.append(Photo(name, index, _centre(read(path), side)))
    return photos


def _listed(table: Path) -> dict[str, list[str]]:
    try:
        rows = list(csv.DictReader(table.read_text("utf-8").splitlines()))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the list of photos {table} cannot be read: {error}") from None
    listed = {use: [row["file"] for row in rows if row.get("use") == use] for use in SIDES}
    empty = [use for use, group in listed.items() if not group]
    if empty:
        raise DataError(f"{table} lists {len(rows)} photos, none of them for {', '.join(empty)}")
    return listed


def _area(path: Path) -> tuple[int, int]:
    """Give the shorter and the longer side, without decoding."""
    try:
        with Image.open(path) as image:
            return min(image.size), max(image.size)
    except UNREADABLE as error:
        raise DataError(f"{path} cannot be read: {error}") from None


def _centre(pixels: Pixels, side: int) -> Pixels:
    top, left = ((length - side) // 2 for length in pixels.shape[:2])
    return np.ascontiguousarray(pixels[top : top + side, left : left + side])


def _first(lines: Sequence[str]) -> str:
    more = f"; and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
    return "; ".join(lines[:SHOWN]) + more
