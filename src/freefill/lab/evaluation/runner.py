"""Fill and measure: every protocol, baseline and photo, one picture at a time, each kept when done.

A finished picture is three files below ``OUT/pictures/PROTOCOL/BASELINE``: the PNG, its Inception
features, and last, the measurement, a JSON file that names everything the picture depends on. The
features of the true pictures are in ``truth``. A rerun takes over what is there and fits; so a run
that is stopped loses one picture.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from freefill.errors import DataError
from freefill.files.json_files import read_json
from freefill.imaging.atomic import write_atomically
from freefill.imaging.rgb import is_whole
from freefill.lab.evaluation import protocol as protocols
from freefill.lab.evaluation.baselines import Baseline
from freefill.lab.evaluation.measures import METRICS, columns
from freefill.lab.evaluation.metrics import inception
from freefill.lab.evaluation.protocol import Manifest, Photo, Sample
from freefill.types import Pixels
from freefill.weights import third_party

MEASURES = 1
"""Version of what a measurement holds: raised when a metric changes, so that none is mixed."""
TIMED = 10
"""Photos of each size and protocol on which a baseline is timed in turn with the first."""
TRUTH = "truth"
"""The folder of the true pictures' features; no baseline may be called so."""
SMALLEST_WINDOW = 64


@dataclass(frozen=True)
class Measurement:
    """What is known of one filled picture."""

    key: dict[str, Any]
    """Everything that the picture and its numbers depend on."""
    area: float
    """Share of the photo that is hole."""
    values: dict[str, float]
    seconds: float
    """Of this fill."""
    first_seconds: float | None
    """Of the first method's fill of the same photo, right after; ``None`` where not timed."""
    first: str | None
    """The first method's identity, where timed."""


@dataclass(frozen=True)
class Task:
    """One picture to make."""

    protocol: str
    baseline: Baseline
    photo: Photo
    timed: bool

    def path(self, out: Path) -> Path:
        """Give the picture's file."""
        return picture_path(out, self.protocol, self.baseline.name, self.photo)


def picture_path(out: Path, protocol: str, baseline: str, photo: Photo) -> Path:
    """Give the file of a filled picture; measurement and features lie beside it."""
    return out / "pictures" / protocol / baseline / Path(photo.file).with_suffix(".png")


def tasks(
    manifest: Manifest, names: Sequence[str], baselines: Sequence[Baseline]
) -> Iterator[Task]:
    """List every picture of an evaluation, the first baseline's of each protocol first."""
    for name in names:
        for baseline in baselines:
            seen: dict[str, int] = {}
            for photo in manifest.photos:
                number = seen[photo.size] = seen.get(photo.size, -1) + 1
                yield Task(name, baseline, photo, baseline is not baselines[0] and number < TIMED)


def evaluate(
    data: Path,
    manifest: Manifest,
    names: Sequence[str],
    baselines: Sequence[Baseline],
    out: Path,
    *,
    kid: bool = True,
    report: Callable[[int, int, str], None] = lambda done, total, line: None,
) -> int:
    """Make and measure what is not there yet.

    Args:
        data: Folder of the photos; :func:`freefill.lab.evaluation.protocol.check` is the caller's.
        manifest: Photos and holes.
        names: Protocols.
        baselines: What fills; the others are timed in turn with the first.
        out: Folder of the report.
        kid: Whether to compute the Inception features that KID and FID need.
        report: Called after each picture with (done, total, protocol and baseline).

    Returns:
        How many pictures were made; the rest were there already.

    Raises:
        DataError: If a hole is not the manifest's.
        ReferenceMissingError: If a network of a metric was not fetched.
    """
    third_party.path("lpips_alex")
    if kid:
        third_party.path("inception")
    todo = list(tasks(manifest, names, baselines))
    made = 0
    warm: set[tuple[str, tuple[int, ...]]] = set()
    for number, task in enumerate(todo):
        line = f"{task.protocol}, {task.baseline.name}"
        if finished(out, task, baselines[0], manifest.seed, kid) is None:
            sample = protocols.sample(manifest, data, task.photo, task.protocol)
            if kid and task.baseline is baselines[0]:
                _truth_features(out, task, sample)
            new = (task.baseline.name, sample.pixels.shape)
            if task.timed and new not in warm:
                # The first run of a network at a new size also plans its memory.
                for baseline in (task.baseline, baselines[0]):
                    baseline.fill(sample.pixels, sample.hole)
                warm.add(new)
            _make(out, task, sample, baselines[0], manifest.seed, kid)
            made += 1
        report(number + 1, len(todo), line)
    return made


def finished(out: Path, task: Task, first: Baseline, seed: int, kid: bool) -> Measurement | None:
    """Give a picture's measurement, or ``None`` if it is missing, damaged or of something else.

    Args:
        out: Folder of the report.
        task: The picture.
        first: What it was timed against.
        seed: The manifest's.
        kid: Whether the features have to be there, too.
    """
    path = task.path(out)
    try:
        found = Measurement(**read_json(path.with_suffix(".json"), DataError, nan=True))
        fits = found.key == _key(task, seed) and set(found.values) == set(METRICS)
    except (FileNotFoundError, DataError, TypeError):
        return None
    if not is_whole(path):
        return None
    if kid:
        fits = fits and _has_features(path.with_suffix(".npy"))
        if task.baseline is first:
            fits = fits and _has_truth(out, task)
    if not task.timed:
        # It was timed in another call, perhaps against another first method.
        return dataclasses.replace(found, first_seconds=None, first=None) if fits else None
    return found if fits and found.first == first.identity else None


def _has_features(path: Path) -> bool:
    try:
        return len(np.load(path)) == 2
    except (OSError, ValueError, EOFError, TypeError):
        return False


def _has_truth(out: Path, task: Task) -> bool:
    path = feature_path(out, task.protocol, TRUTH, task.photo)
    try:
        key = read_json(path.with_suffix(".json"), DataError)
    except (FileNotFoundError, DataError):
        return False
    return key == _truth_key(task) and _has_features(path)


def _key(task: Task, seed: int) -> dict[str, Any]:
    return _truth_key(task) | {"seed": seed, "method": task.baseline.identity}


def _truth_key(task: Task) -> dict[str, Any]:
    return {
        "measures": MEASURES,
        "photo": task.photo.sha256,
        "hole": task.photo.holes[task.protocol],
    }


def _make(out: Path, task: Task, sample: Sample, first: Baseline, seed: int, kid: bool) -> None:
    start = time.perf_counter()
    filled = task.baseline.fill(sample.pixels, sample.hole)
    seconds = time.perf_counter() - start
    first_seconds, first_identity = None, None
    if task.timed:
        first_identity = first.identity
        start = time.perf_counter()
        first.fill(sample.pixels, sample.hole)
        first_seconds = time.perf_counter() - start
    values = {
        column.key: column.metric(filled, sample.pixels, sample.hole if column.hole else None)
        for column in columns()
    }
    path = task.path(out)
    path.parent.mkdir(parents=True, exist_ok=True)
    # What is left if this is stopped half-way must not pass for the old picture.
    for ending in (".json", ".npy"):
        path.with_suffix(ending).unlink(missing_ok=True)
    if kid:
        write_features(path.with_suffix(".npy"), filled, sample.hole)
    buffer = BytesIO()
    Image.fromarray(filled).save(buffer, "PNG", compress_level=3)
    write_atomically(path, buffer.getvalue())
    measurement = Measurement(
        _key(task, seed),
        float(sample.hole.mean()),
        values,
        seconds,
        first_seconds,
        first_identity,
    )
    content = json.dumps(dataclasses.asdict(measurement), indent=1)
    write_atomically(path.with_suffix(".json"), content.encode())


def feature_path(out: Path, protocol: str, baseline: str, photo: Photo) -> Path:
    """Give the file of a picture's Inception features; of the true one for :data:`TRUTH`."""
    return picture_path(out, protocol, baseline, photo).with_suffix(".npy")


def _truth_features(out: Path, task: Task, sample: Sample) -> None:
    path = feature_path(out, task.protocol, TRUTH, task.photo)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".json").unlink(missing_ok=True)
    write_features(path, sample.pixels, sample.hole)
    write_atomically(path.with_suffix(".json"), json.dumps(_truth_key(task), indent=1).encode())


def write_features(path: Path, pixels: Pixels, hole: NDArray[np.bool_]) -> None:
    """Write a picture's Inception features: row 0 of the whole, row 1 of the window on the hole."""
    rows, columns = window(hole)
    found = inception.features([pixels, pixels[rows, columns]])
    buffer = BytesIO()
    np.save(buffer, found)
    write_atomically(path, buffer.getvalue())


def window(hole: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Give the rows and columns of the hole's bounding box, at least 64 pixels a side.

    Args:
        hole: ``(H, W)``, not empty, at least 64 pixels a side.

    Returns:
        Two slices within the picture.

    Examples:
        >>> hole = np.zeros((256, 256), bool)
        >>> hole[0:10, 100:200] = True
        >>> window(hole)
        (slice(0, 64, None), slice(100, 200, None))
    """
    slices = []
    for axis in (1, 0):
        taken = np.flatnonzero(hole.any(axis))
        first, last, length = int(taken[0]), int(taken[-1]) + 1, hole.shape[1 - axis]
        side = max(last - first, SMALLEST_WINDOW)
        start = min(max((first + last - side) // 2, 0), length - side)
        slices.append(slice(start, start + side))
    return slices[0], slices[1]
