"""Which files are photos, and under which names a photo's mask is looked for.

One set of rules for files on disk and for objects in a bucket: names are tried, and whoever asks
says which of them exist.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
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


def is_picture(name: str) -> bool:
    """Whether a file is a picture by its name: a photo, or the mask of one.

    Examples:
        >>> [is_picture(name) for name in ("a.JPG", "a_mask.png", "notes.txt")]
        [True, True, False]
    """
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def photos(
    names: Iterable[str],
    endings: Sequence[str] = ("_mask",),
    among: Iterable[str] | None = None,
) -> list[str]:
    """Give those of some files that are photos by their names.

    Args:
        names: The files, with or without folders.
        endings: Of the stems of files that are none: masks, sketches. Only what has a photo beside
            it is one: ``gas_mask.jpg`` is a photo, unless there is a ``gas.jpg``.
        among: All files that there are; by default these.

    Examples:
        >>> photos(["a.JPG", "a_mask.png", "b_mask.png", "notes.txt"])
        ['a.JPG', 'b_mask.png']
    """
    names = list(names)
    there = {_place(name) for name in (names if among is None else among) if is_picture(name)}
    return [name for name in names if is_picture(name) and there.isdisjoint(_of(name, endings))]


def _of(name: str, endings: Sequence[str]) -> list[str]:
    """Give the places of the photos that a file may be the mask of."""
    place = _place(name)
    found = [place.removesuffix(ending) for ending in endings if place.endswith(ending)]
    return [photo for photo in found if not photo.endswith("/")]


def _place(name: str) -> str:
    """Give folder and stem, in one form: macOS writes an accent apart from its letter."""
    path = PurePosixPath(name)
    return unicodedata.normalize("NFC", f"{path.parent}/{path.stem}")


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
        forms = (stem, *(unicodedata.normalize(form, stem) for form in ("NFC", "NFD")))
        for form in dict.fromkeys(forms):
            for suffix in SUFFIXES:
                yield f"{form}{suffix}"
                yield f"{form}{suffix.upper()}"
