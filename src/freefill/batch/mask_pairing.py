"""Which files are photos, and under which names a photo's mask is looked for.

One set of rules for files on disk and for objects in a bucket: names are tried, and whoever asks
says which of them exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePosixPath

SUFFIXES = (
    ".png",
    ".jpg",
    ".jpeg",
    ".webp",
    ".tif",
    ".tiff",
    ".bmp",
    ".gif",
    ".avif",
    ".heic",
    ".heif",
)


def is_photo(name: str, endings: Sequence[str] = ("_mask",)) -> bool:
    """Whether a file is a photo by its name.

    Args:
        name: Of the file, with or without folders.
        endings: Of the stems of files that are none: masks, sketches.

    Examples:
        >>> [is_photo(name) for name in ("a.JPG", "a_mask.png", "notes.txt")]
        [True, False, False]
    """
    path = PurePosixPath(name)
    return path.suffix.lower() in SUFFIXES and not path.stem.endswith(tuple(endings))


def stems_beside(stem: str) -> list[str]:
    """Give the stems that the mask of a photo has beside it."""
    return [f"{stem}_mask"]


def stems_in_folder(stem: str, kind: str = "mask") -> list[str]:
    """Give the stems that the mask (sketch, colour) of a photo has in a folder, best first."""
    return [f"{stem}_{kind}", stem]


def first(stems: Sequence[str], exists: Callable[[str], bool]) -> str | None:
    """Give the first name that exists.

    Args:
        stems: Names without their endings, best first.
        exists: Whether there is such a file (and whether it is not the photo itself).

    Examples:
        >>> first(stems_in_folder("a"), {"a.png", "a_mask.jpg"}.__contains__)
        'a_mask.jpg'
    """
    return next((name for name in _names(stems) if exists(name)), None)


def _names(stems: Sequence[str]) -> Iterator[str]:
    for stem in stems:
        for suffix in SUFFIXES:
            yield f"{stem}{suffix}"
            yield f"{stem}{suffix.upper()}"
