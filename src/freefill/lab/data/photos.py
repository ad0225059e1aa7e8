"""Photos decoded once into one flat uint8 file, so that training never waits for a decoder.

The file lies in the user's cache under a digest of the photos' names, sizes and times, and is
mapped into memory: the operating system keeps what fits. Decoding is also the check: a photo that
cannot be read is named before the first step, not in the middle of the night.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from freefill.batch import mask_pairing
from freefill.errors import DataError, ImageError
from freefill.files.json_files import read_value
from freefill.files.paths import cache_folder, explain_unwritable, files_below
from freefill.imaging.formats.limits import PILLOWS
from freefill.imaging.rgb import read_rgb

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".avif"}
MOST_INDEX = 2**30
"""Bytes of the sizes of decoded photos: some 13 each."""
SHOWN = 5
UNREADABLE = (OSError, ImageError)
"""What reading raises for photos that cannot be read."""
MAX_PIXELS = 2 * PILLOWS
"""The most that width times height of a photo may be: photos of one's own may be larger than those
that are handed in."""


def list_photos(folder: Path | str) -> list[Path]:
    """List the photos below a folder, sorted, so that the order is the same everywhere.

    Args:
        folder: Searched with all its subfolders; ``NAME_mask.*`` is left out where there is a
            photo ``NAME``, and so is what is hidden (:func:`freefill.files.paths.is_hidden`).

    Returns:
        The paths.

    Raises:
        DataError: If the folder does not exist or holds no photo, or one below it cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder: `data` names a folder of photos")
    pictures: dict[str, Path] = {}
    for path in files_below(folder, DataError):
        if path.suffix.lower() in SUFFIXES and path.is_file():
            pictures[path.as_posix()] = path
    found = sorted(pictures[name] for name in mask_pairing.photos(pictures))
    if not found:
        kinds = ", ".join(sorted(SUFFIXES))
        raise DataError(f"{folder} holds no photos (looked for {kinds} in it and below)")
    return found


@dataclass(frozen=True)
class PhotoStore:
    """Decoded photos of different sizes in one array.

    Attributes:
        names: Path of each photo relative to its folder.
        shapes: ``(N, 2)``: height and width.
        pixels: All photos one after the other, uint8 RGB.
        file: Where those are kept.
    """

    names: tuple[str, ...]
    shapes: NDArray[np.int64]
    pixels: NDArray[np.uint8]
    file: Path

    def __len__(self) -> int:
        """Count the photos."""
        return len(self.names)

    @property
    def starts(self) -> NDArray[np.int64]:
        """Offset of each photo in :attr:`pixels`."""
        return np.concatenate([[0], np.cumsum(self.shapes.prod(1) * 3)])[:-1]

    def views(self) -> list[NDArray[np.uint8]]:
        """Give every photo as a view, ``(H, W, 3)`` uint8 RGB."""
        return [
            self.pixels[start : start + 3 * h * w].reshape(h, w, 3)
            for start, (h, w) in zip(self.starts.tolist(), self.shapes.tolist(), strict=True)
        ]


def open_store(
    folder: Path | str,
    size: int,
    cache: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> PhotoStore:
    """Decode a folder of photos, or open what an earlier call decoded.

    Photos are turned as their orientation flag says and shrunk to a shorter side of ``size`` (never
    enlarged).

    Args:
        folder: Folder of photos.
        size: Shorter side, in pixels; 0 leaves them as they are.
        cache: Where decoded files are kept; by default the user's cache.
        progress: Called with (photos done, photos in all).

    Returns:
        The photos.

    Raises:
        DataError: If there are none, or any of them cannot be read; the first few are named.
    """
    paths = list_photos(folder)
    names = tuple(p.relative_to(folder).as_posix() for p in paths)
    cache = cache or cache_folder("photos")
    stem = cache / _digest(paths, names, size)
    index, content = stem.with_suffix(".json"), stem.with_suffix(".u8")
    shapes = _kept(index, content, len(names))
    if shapes is None:
        with explain_unwritable(cache, DataError):
            shapes = _decode_all(paths, size, content, progress)
            partial = index.with_suffix(f".{os.getpid()}.partial")
            partial.write_text(json.dumps(shapes))
            partial.replace(index)
    pixels = np.memmap(content, np.uint8, "r")
    return PhotoStore(names, np.array(shapes, np.int64), pixels, content)


def _kept(index: Path, content: Path, photos: int) -> list[list[int]] | None:
    """Give the sizes of decoded photos, if they are there as they were written."""
    try:
        shapes = read_value(index, DataError, MOST_INDEX)
        sizes = np.array(shapes, np.int64)
        whole = content.stat().st_size == int(sizes.prod(-1).sum()) * 3
    except (DataError, OSError, TypeError, ValueError, OverflowError):
        return None
    return shapes if whole and sizes.shape == (photos, 2) and (sizes > 0).all() else None


def split(
    names: Sequence[str], holdout: int, first: Sequence[str] = ()
) -> tuple[list[int], list[int]]:
    """Keep some photos out of training, chosen by a hash of their names.

    The choice depends on nothing but the names: it is the same on every machine, and a photo that
    is added moves no other one across.

    Args:
        names: Names of the photos.
        holdout: How many to keep out; at most a quarter of them is.
        first: File name patterns (``cid22_*``) of those that are kept out before any other.

    Returns:
        Indices for training and indices held out, each sorted.

    Examples:
        >>> train, held = split(["a", "b", "c", "d"], 1)
        >>> len(train), len(held)
        (3, 1)
    """

    def rank(index: int) -> tuple[bool, bytes]:
        name = Path(names[index]).name
        last = not any(fnmatch.fnmatch(name, pattern) for pattern in first)
        return last, hashlib.sha256(name.encode()).digest()

    order = sorted(range(len(names)), key=rank)
    kept = min(holdout, len(names) // 4)
    return sorted(order[kept:]), sorted(order[:kept])


def sampling_weights(names: Sequence[str], patterns: Mapping[str, float]) -> NDArray[np.float64]:
    """Give how often each photo comes in an epoch.

    Args:
        names: Names of the photos.
        patterns: File name pattern (``cid22_*``) to weight; 1 where none matches.

    Returns:
        The weights.

    Raises:
        DataError: If every weight is 0.

    Examples:
        >>> sampling_weights(["a_1.jpg", "b_1.jpg"], {"a_*": 3})
        array([3., 1.])
    """
    weights = np.ones(len(names))
    for pattern, weight in patterns.items():
        for i, name in enumerate(names):
            if fnmatch.fnmatch(Path(name).name, pattern):
                weights[i] = weight
    if weights.sum() <= 0:
        raise DataError("data.weights gives every photo the weight 0")
    return weights


def decode(path: Path | BinaryIO, size: int) -> NDArray[np.uint8]:
    """Read one photo for training.

    Args:
        path: The file, or its content.
        size: Longest allowed shorter side, in pixels; 0 for any.

    Returns:
        ``(H, W, 3)`` uint8 RGB.

    Raises:
        ImageError: If it is no photo that can be read.
        OSError: If the system cannot read the file.
    """
    return read_rgb(path, shorter=size, max_pixels=MAX_PIXELS)


def _digest(paths: Sequence[Path], names: Sequence[str], size: int) -> str:
    digest = hashlib.sha256(f"1 {size}".encode())
    for path, name in zip(paths, names, strict=True):
        stat = path.stat()
        digest.update(f"\n{name} {stat.st_size} {stat.st_mtime_ns}".encode())
    return digest.hexdigest()[:20]


def _decode_all(
    paths: Sequence[Path],
    size: int,
    content: Path,
    progress: Callable[[int, int], None] | None,
) -> list[list[int]]:
    def attempt(path: Path) -> NDArray[np.uint8] | str:
        try:
            return decode(path, size)
        except UNREADABLE as error:
            return f"{path}: {error}"

    content.parent.mkdir(parents=True, exist_ok=True)
    partial = content.with_suffix(f".{os.getpid()}.partial")
    shapes: list[list[int]] = []
    bad: list[str] = []
    try:
        with partial.open("wb") as file, ThreadPoolExecutor(os.cpu_count()) as pool:
            # In blocks, so that no more than a block of decoded photos waits in memory.
            for first in range(0, len(paths), 64):
                for photo in pool.map(attempt, paths[first : first + 64]):
                    if isinstance(photo, str):
                        bad.append(photo)
                    else:
                        shapes.append(list(photo.shape[:2]))
                        file.write(photo.tobytes())
                if progress:
                    progress(min(first + 64, len(paths)), len(paths))
        if bad:
            more = f" (and {len(bad) - SHOWN} more)" if len(bad) > SHOWN else ""
            raise DataError(
                f"{len(bad)} of {len(paths)} photos cannot be read: {'; '.join(bad[:SHOWN])}{more}"
            )
        partial.replace(content)
    finally:
        partial.unlink(missing_ok=True)
    return shapes
