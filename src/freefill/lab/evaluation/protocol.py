"""What is measured on: photos by hash, holes by seed, in a manifest that anyone can run again.

A manifest is a TOML file. It names every photo with its sha256, and for every protocol the digest
of the hole that the photo gets. Holes are drawn, not stored: a hole depends on the manifest's seed,
the photo's content and the protocol's name alone, so that a photo that is added or left out changes
no other one's hole.
"""

from __future__ import annotations

import fnmatch
import hashlib
import tomllib
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import numpy as np
import tomli_w
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked

from freefill.errors import DataError
from freefill.lab.data.photos import SHOWN, UNREADABLE, decode, list_photos
from freefill.masks.presets import PRESETS, Sampler, by_ratio, centre

FORMAT = 1
RATIOS = ((1, 10), (10, 20), (20, 30), (30, 40), (40, 50), (50, 60))
SMALLEST = 64
"""Shortest side of a photo, in pixels, that every metric can be computed on."""

PROTOCOLS: Mapping[str, Sampler] = {
    "free-form": PRESETS["free-form"],
    "centre": centre,
    "thin": PRESETS["thin"],
    "medium": PRESETS["strokes"],
    "thick": PRESETS["thick"],
    "border": PRESETS["border"],
    **{
        f"ratio-{low}-{high}": partial(by_ratio, ratio=(low / 100, high / 100))
        for low, high in RATIOS
    },
}
"""Every protocol by name: how the hole of a photo is drawn."""


@checked(frozen=True)
class Photo:
    """One photo of a manifest."""

    file: str
    """Path below the data folder, with forward slashes."""
    sha256: str
    """Of the file."""
    source: str
    """What results are grouped by, e.g. ``portraits``."""
    holes: dict[str, str] = field(default_factory=dict)
    """Protocol to :func:`digest` of its hole."""

    @property
    def size(self) -> str:
        """The folder that the photo lies in, by which tables are kept apart; ``all`` if none."""
        parts = PurePosixPath(self.file).parts
        return parts[0] if len(parts) > 1 else "all"


@checked(frozen=True)
class Manifest:
    """Photos, protocols and the seed of the holes."""

    format: int
    seed: Annotated[int, Field(ge=0)]
    protocols: tuple[str, ...]
    photos: tuple[Photo, ...]

    def to_toml(self) -> str:
        """Give the file's text."""
        plain: dict[str, Any] = _ADAPTER.dump_python(self, mode="json")
        return tomli_w.dumps(plain)


_ADAPTER = TypeAdapter(Manifest)


@dataclass(frozen=True)
class Sample:
    """A photo and its hole, in memory.

    Attributes:
        photo: What the manifest says of it.
        pixels: ``(H, W, 3)`` uint8 RGB.
        hole: ``(H, W)`` bool.
    """

    photo: Photo
    pixels: NDArray[np.uint8]
    hole: NDArray[np.bool_]


def build(
    data: Path,
    protocols: Sequence[str],
    seed: int = 0,
    sources: Mapping[str, str] | None = None,
    report: Callable[[int, int], None] = lambda done, total: None,
    leave_out: Collection[Path] = (),
) -> Manifest:
    """Make the manifest of a folder of photos.

    Args:
        data: Folder of photos; the first folder below it (``256/``, ``512/``) keeps tables apart.
        protocols: Keys of :data:`PROTOCOLS`.
        seed: Seed of the holes.
        sources: File name pattern to source; where none matches, the name up to its last ``_``.
        report: Called with (photos done, photos in all).
        leave_out: Files and folders below ``data`` that are no photos to measure on.

    Returns:
        The manifest.

    Raises:
        DataError: If there is no photo, one cannot be read or is too small, two differ in their
            ending alone, or a protocol does not exist.
    """
    _known(protocols)
    paths = files(data, leave_out)
    photos = []
    for number, path in enumerate(paths):
        name = path.relative_to(data).as_posix()
        bare = Photo(name, _sha256(path), _source(path.name, sources or {}))
        pixels = read(path)
        if min(pixels.shape[:2]) < SMALLEST:
            raise DataError(
                f"{path} is {pixels.shape[1]}x{pixels.shape[0]}: photos to measure on need "
                f"{SMALLEST} pixels a side"
            )
        holes = {p: digest(draw(p, bare, pixels.shape, seed)) for p in protocols}
        photos.append(Photo(bare.file, bare.sha256, bare.source, holes))
        report(number + 1, len(paths))
    _each_a_picture(photos)
    return Manifest(FORMAT, seed, tuple(protocols), tuple(photos))


def extend(manifest: Manifest, data: Path, protocols: Sequence[str]) -> Manifest:
    """Give a manifest the holes of more protocols; photos, seed and sources stay.

    Args:
        manifest: The manifest, checked.
        data: Folder of its photos.
        protocols: Keys of :data:`PROTOCOLS`, new ones or not.

    Returns:
        The manifest with all of them, in the order in which they came.

    Raises:
        DataError: If a protocol does not exist.
    """
    _known(protocols)
    new = [name for name in protocols if name not in manifest.protocols]
    photos = []
    for photo in manifest.photos:
        shape = read(data / photo.file).shape if new else ()
        holes = {p: digest(draw(p, photo, shape, manifest.seed)) for p in new}
        photos.append(Photo(photo.file, photo.sha256, photo.source, photo.holes | holes))
    return Manifest(FORMAT, manifest.seed, (*manifest.protocols, *new), tuple(photos))


def files(data: Path, leave_out: Collection[Path] = ()) -> list[Path]:
    """List the photos of a folder, sorted, but for what is to be left out.

    Raises:
        DataError: If the folder does not exist or holds no photo.
    """
    left = {path.resolve() for path in leave_out}
    found = [p for p in list_photos(data) if not left & {p.resolve(), *p.resolve().parents}]
    if not found:
        raise DataError(f"{data} holds no photos but those of a report")
    return found


def load(path: Path) -> Manifest:
    """Read a manifest.

    Args:
        path: The TOML file.

    Returns:
        The manifest.

    Raises:
        DataError: If it cannot be read, or is no manifest of this format.
    """
    try:
        plain = tomllib.loads(path.read_text("utf-8"))
        # Before all else: nothing is known of what another format holds.
        if plain.get("format", FORMAT) != FORMAT:
            raise DataError(f"{path} has manifest format {plain['format']}; this reads {FORMAT}")
        manifest = _ADAPTER.validate_python(plain)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not TOML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise DataError(f"{path} is not a manifest: {place}: {first['msg']}") from None
    if not manifest.photos:
        raise DataError(f"{path} holds no photos")
    _each_a_picture(manifest.photos)
    return manifest


def check(manifest: Manifest, data: Path) -> None:
    """Compare a folder of photos with a manifest, before anything is computed.

    Args:
        manifest: What the photos should be.
        data: The folder.

    Raises:
        DataError: If photos are missing or changed; the first few are named.
    """
    wrong = []
    for photo in manifest.photos:
        path = data / photo.file
        if not path.is_file():
            wrong.append(f"{photo.file} is missing")
        elif (found := _sha256(path)) != photo.sha256:
            wrong.append(
                f"{photo.file} has changed (sha256 {found[:12]}..., not {photo.sha256[:12]}...)"
            )
    if wrong:
        more = f"; and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        raise DataError(
            f"{len(wrong)} of {len(manifest.photos)} photos in {data} are not those of the "
            f"manifest: {'; '.join(wrong[:SHOWN])}{more}"
        )


def check_protocols(manifest: Manifest, names: Sequence[str]) -> None:
    """Refuse a protocol that a manifest does not hold.

    Args:
        manifest: The manifest.
        names: What is to be measured.

    Raises:
        DataError: If one is missing; the message lists those that are there.
    """
    _known(names)
    absent = [name for name in names if name not in manifest.protocols]
    if absent:
        raise DataError(
            f"the manifest has no protocol {absent[0]!r}; it has {', '.join(manifest.protocols)}"
        )


def sample(manifest: Manifest, data: Path, photo: Photo, protocol: str) -> Sample:
    """Read one photo and draw its hole.

    Args:
        manifest: The manifest.
        data: Folder of the photos.
        photo: One of the manifest's.
        protocol: One of the manifest's.

    Returns:
        The sample.

    Raises:
        DataError: If the hole is not the one that the manifest was made with.
    """
    pixels = read(data / photo.file)
    hole = draw(protocol, photo, pixels.shape, manifest.seed)
    if digest(hole) != photo.holes.get(protocol):
        raise DataError(
            f"the {protocol} hole of {photo.file} is {digest(hole)}, the manifest's is "
            f"{photo.holes.get(protocol)}: it was made with another version of freefill or Pillow"
        )
    return Sample(photo, pixels, hole)


def draw(protocol: str, photo: Photo, shape: tuple[int, ...], seed: int) -> NDArray[np.bool_]:
    """Draw a photo's hole, ``(H, W)`` bool, from the seed, its content and the protocol's name."""
    entropy = [seed, int(photo.sha256[:16], 16), zlib.crc32(protocol.encode())]
    hole = PROTOCOLS[protocol](shape[0], shape[1], np.random.default_rng(entropy))
    # Samplers give views with negative strides, which torch does not take.
    return np.ascontiguousarray(hole)


def digest(hole: NDArray[np.bool_]) -> str:
    """Give 16 hex digits that tell holes apart, its size included."""
    content = f"{hole.shape}".encode() + np.packbits(hole).tobytes()
    return hashlib.sha256(content).hexdigest()[:16]


def read(path: Path) -> NDArray[np.uint8]:
    """Read a photo for measuring: upright, 8 bits, ``(H, W, 3)`` RGB.

    Raises:
        DataError: If it cannot be read.
    """
    try:
        return decode(path, 0)
    except UNREADABLE as error:
        reason = str(error).removeprefix(f"{path} ").removeprefix("cannot be read: ")
        raise DataError(f"{path} cannot be read: {reason}") from None


def expand(names: Sequence[str]) -> tuple[str, ...]:
    """Resolve what ``--protocol`` takes: names, ``ratios`` (all by hole ratio) and ``all``.

    Raises:
        DataError: If a name does not exist; the message lists those that do.

    Examples:
        >>> expand(["centre", "ratios"])[:2]
        ('centre', 'ratio-1-10')
    """
    groups = {
        "all": list(PROTOCOLS),
        "ratios": [name for name in PROTOCOLS if name.startswith("ratio-")],
    }
    found = [p for name in names for p in groups.get(name, [name])]
    if not found:
        raise DataError(f"no protocol is named; there are {', '.join(PROTOCOLS)}, ratios, all")
    _known(found)
    return tuple(dict.fromkeys(found))


def _known(protocols: Sequence[str]) -> None:
    for name in protocols:
        if name not in PROTOCOLS:
            raise DataError(f"no protocol {name!r}; there are {', '.join(PROTOCOLS)}, ratios, all")


def _each_a_picture(photos: Sequence[Photo]) -> None:
    """Refuse names whose fills would be one file, or lie outside the report."""
    seen: dict[PurePosixPath, str] = {}
    for photo in photos:
        path = PurePosixPath(photo.file)
        if path.is_absolute() or ".." in path.parts:
            raise DataError(f"photo {photo.file} is not below the folder of photos")
        stem = path.with_suffix("")
        if stem in seen:
            raise DataError(
                f"{seen[stem]} and {photo.file} have one name in the report: rename one of them"
            )
        seen[stem] = photo.file


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _source(name: str, sources: Mapping[str, str]) -> str:
    for pattern, source in sources.items():
        if fnmatch.fnmatch(name, pattern):
            return source
    stem, separator, _ = Path(name).stem.rpartition("_")
    return stem if separator and stem else "other"
