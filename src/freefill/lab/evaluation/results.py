"""From measurements of single pictures to the rows of a table: means, intervals, differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from freefill.errors import DataError
from freefill.lab.evaluation import runner
from freefill.lab.evaluation.baselines import Baseline
from freefill.lab.evaluation.measures import columns
from freefill.lab.evaluation.metrics import fid
from freefill.lab.evaluation.metrics.kid import FEWEST, kid
from freefill.lab.evaluation.metrics.statistics import Paired, bootstrap_interval, paired
from freefill.lab.evaluation.protocol import Manifest, Photo
from freefill.lab.evaluation.runner import Measurement

ALL = "all"


@dataclass(frozen=True)
class Estimate:
    """A value over photos with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Row:
    """One baseline on one set of photos."""

    baseline: str
    estimates: dict[str, Estimate]
    """Metric to mean."""
    differences: dict[str, Paired]
    """Metric to this baseline less the first; empty for the first."""
    time: Estimate | None = None
    """Its time over the first one's: median, least and greatest of the timed photos."""


@dataclass(frozen=True)
class Table:
    """All baselines on one set of photos."""

    protocol: str
    size: str
    source: str
    photos: tuple[Photo, ...]
    area: float
    """Mean share of the hole."""
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Results:
    """Everything that a report shows.

    Attributes:
        tables: One for each protocol and size, over all sources.
        by_source: The same for each source that has at least two photos.
        measurements: Every picture's, by protocol, baseline and photo.
    """

    tables: tuple[Table, ...]
    by_source: tuple[Table, ...]
    measurements: dict[tuple[str, str, str], Measurement]


def collect(
    manifest: Manifest, names: Sequence[str], baselines: Sequence[Baseline], out: Path, kid: bool
) -> Results:
    """Read the measurements of a finished evaluation and summarise them.

    Args:
        manifest: Photos and holes.
        names: Protocols.
        baselines: As they were evaluated; the first is what the others are compared with.
        out: Folder of the report.
        kid: Whether the features are there.

    Returns:
        The results; the same measurements give the same numbers.

    Raises:
        DataError: If a picture is missing.
    """
    found: dict[tuple[str, str, str], Measurement] = {}
    for task in runner.tasks(manifest, names, baselines):
        measurement = runner.finished(out, task, baselines[0], manifest.seed, kid)
        if measurement is None:
            raise DataError(f"{task.path(out)} is not there or not finished: evaluate again")
        found[task.protocol, task.baseline.name, task.photo.file] = measurement
    tables, by_source = [], []
    sizes = list(dict.fromkeys(photo.size for photo in manifest.photos))
    for name in names:
        for size in sizes:
            photos = tuple(p for p in manifest.photos if p.size == size)
            tables.append(_table(out, name, size, ALL, photos, baselines, found, kid))
            sources = sorted({p.source for p in photos})
            for source in sources if len(sources) > 1 else ():
                part = tuple(p for p in photos if p.source == source)
                if len(part) > 1:
                    by_source.append(_table(out, name, size, source, part, baselines, found, False))
    return Results(tuple(tables), tuple(by_source), found)


def _table(
    out: Path,
    protocol: str,
    size: str,
    source: str,
    photos: tuple[Photo, ...],
    baselines: Sequence[Baseline],
    found: dict[tuple[str, str, str], Measurement],
    with_features: bool,
) -> Table:
    rows = []
    first: list[Measurement] = [found[protocol, baselines[0].name, p.file] for p in photos]
    for baseline in baselines:
        mine = [found[protocol, baseline.name, p.file] for p in photos]
        estimates, differences = {}, {}
        for column in columns():
            values = [m.values[column.key] for m in mine]
            estimates[column.key] = Estimate(float(np.mean(values)), *bootstrap_interval(values))
            if baseline is not baselines[0]:
                differences[column.key] = paired([m.values[column.key] for m in first], values)
        if with_features:
            estimates |= _feature_distances(out, protocol, baseline.name, photos)
        rows.append(Row(baseline.name, estimates, differences, _time(mine)))
    area = float(np.mean([m.area for m in first]))
    return Table(protocol, size, source, photos, area, tuple(rows))


def _feature_distances(
    out: Path, protocol: str, baseline: str, photos: Sequence[Photo]
) -> dict[str, Estimate]:
    if len(photos) < FEWEST:
        return {}
    filled = np.stack([np.load(runner.feature_path(out, protocol, baseline, p)) for p in photos])
    true = np.stack([np.load(runner.feature_path(out, protocol, runner.TRUTH, p)) for p in photos])
    estimates = {}
    for prefix, part in (("", 0), ("hole_", 1)):
        a, b = filled[:, part], true[:, part]
        estimates[f"{prefix}kid"] = Estimate(*(1000 * v for v in kid(a, b)))
        if len(photos) >= fid.MINIMUM:
            value = fid.fid(a, b)
            # No interval: a resample of a set has fewer different pictures, and FID notices.
            estimates[f"{prefix}fid"] = Estimate(value, float("nan"), float("nan"))
    return estimates


def _time(measurements: Sequence[Measurement]) -> Estimate | None:
    ratios = [m.seconds / m.first_seconds for m in measurements if m.first_seconds]
    if not ratios:
        return None
    return Estimate(float(np.median(ratios)), min(ratios), max(ratios))
