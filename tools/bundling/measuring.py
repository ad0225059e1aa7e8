"""The four columns of the main table, for two weights in one run of the evaluation.

They tell how good the weights are that the held-out photos chose; they choose none themselves.
"""

from __future__ import annotations

import dataclasses
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from freefill.lab.evaluation import protocol as protocols
from freefill.lab.evaluation import results, runner
from freefill.lab.evaluation.baselines import Baseline, find
from freefill.lab.evaluation.metrics.statistics import paired
from freefill.pipeline.inpainter import PIPELINE_VERSION
from freefill.weights.registry import Weights

NAMES = ("free-form", "centre")
Report = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Column:
    """LPIPS-AlexNet of one protocol at one size, means over photos.

    Attributes:
        title: As the table of README.md heads it, e.g. ``free-form, 256``.
        photos: How many.
        new: Of the weights that are to be bundled.
        old: Of those that are bundled.
        low: Of the 95 % interval of the mean of new less old, paired by photo.
        high: Of the same.
        p: Wilcoxon's signed-rank test, two-sided.
    """

    title: str
    photos: int
    new: float
    old: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class Measured:
    """What a run of the evaluation found.

    Attributes:
        new: First 12 hex digits of the sha256 of the weights that are to be bundled.
        old: Of those that are bundled.
        columns: The table's.
        p: Of the means over a photo's protocols.
        time: Median of the new weights' time for a photo over the old ones', at the largest size.
        pipeline: The number of the pipeline that filled.
        machine: Processor, cores and versions.
        date: Day, UTC.
    """

    new: str
    old: str
    columns: tuple[Column, ...]
    p: float
    time: float | None
    pipeline: int
    machine: str
    date: str

    @property
    def mean(self) -> tuple[float, float]:
        """Mean of the columns, new and old."""
        new, old = (float(np.mean([getattr(c, k) for c in self.columns])) for k in ("new", "old"))
        return new, old

    def lines(self) -> list[str]:
        """Tell a person, a line for each column and one for all."""
        if self.new == self.old:
            rows = [f"{c.title} ({c.photos} photos): {c.new:.4f}" for c in self.columns]
            return [*rows, f"mean of {len(self.columns)}: {self.mean[0]:.4f}"]
        rows = [
            f"{c.title} ({c.photos} photos): {c.new:.4f}, bundled {c.old:.4f}, difference "
            f"{c.new - c.old:+.4f} [{c.low:+.4f}, {c.high:+.4f}], p = {c.p:.2g}"
            for c in self.columns
        ]
        new, old = self.mean
        rows.append(
            f"mean of {len(self.columns)}: {new:.4f}, bundled {old:.4f}, difference "
            f"{new - old:+.4f}, p = {self.p:.2g}"
        )
        return rows

    def entry(self) -> dict[str, Any]:
        """Give what a card has as ``metrics``."""
        return {
            "weights": self.new,
            "pipeline": self.pipeline,
            "lpips_alex": {c.title: {"light": round(c.new, 4)} for c in self.columns},
            "before": {
                "weights": self.old,
                "lpips_alex": {c.title: round(c.old, 4) for c in self.columns},
                "p": {c.title: float(f"{c.p:.2g}") for c in self.columns},
            },
            "photos": {c.title: c.photos for c in self.columns},
            "machine": self.machine,
            "date": self.date,
        }


def measure(
    new: Weights, old: Weights, data: Path, manifest: Path, work: Path, report: Report
) -> Measured:
    """Measure weights against the bundled ones, on the same photos and holes.

    Args:
        new: What is to be bundled.
        old: What is bundled; the same file where it is measured again.
        data: Folder of the photos.
        manifest: Photos by hash and holes by seed.
        work: Folder of the pictures: what is there and fits is not made again.
        report: Called after each picture with (done, total, protocol and weights).

    Returns:
        What was found.

    Raises:
        DataError: If photos are missing or not those of the manifest.
        ReferenceMissingError: If the network of LPIPS was not fetched.
    """
    plan = protocols.load(manifest)
    protocols.check_protocols(plan, NAMES)
    protocols.check(plan, data)
    # By their hash: pictures of weights that were measured before are taken over.
    first, second = _baseline(old), _baseline(new)
    baselines = [first] if first.name == second.name else [first, second]
    runner.evaluate(data, plan, NAMES, baselines, work, kid=False, report=report)
    found = results.collect(plan, NAMES, baselines, work, kid=False)
    columns: list[Column] = []
    differences: dict[str, list[tuple[float, float]]] = {}
    for table in found.tables:
        ours, theirs = (
            [
                found.measurements[table.protocol, r.name, p.file].values["lpips"]
                for p in table.photos
            ]
            for r in (first, second)
        )
        for photo, a, b in zip(table.photos, ours, theirs, strict=True):
            differences.setdefault(photo.file, []).append((a, b))
        _, low, high, p = paired(ours, theirs)
        title = f"{table.protocol}, {table.size}"
        old_mean, new_mean = float(np.mean(ours)), float(np.mean(theirs))
        columns.append(Column(title, len(ours), new_mean, old_mean, low, high, p))
    both = np.array([np.mean(pairs, axis=0) for pairs in differences.values()])
    columns.sort(key=lambda c: c.title.split(", ")[1])
    times = [t.rows[-1].time for t in found.tables if t.size == found.tables[-1].size]
    ratios = [t.value for t in times if t is not None]
    return Measured(
        second.name,
        first.name,
        tuple(columns),
        paired(both[:, 0], both[:, 1]).p,
        float(np.mean(ratios)) if ratios else None,
        PIPELINE_VERSION,
        machine(),
        datetime.now(UTC).date().isoformat(),
    )


def _baseline(weights: Weights) -> Baseline:
    return dataclasses.replace(find(str(weights.path)), name=weights.short)


def machine() -> str:
    """Name this machine's processor and the libraries that fill and measure."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        models = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    except OSError:
        models = []
    processor = models[0] if models else platform.processor() or platform.machine()
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "onnxruntime"))
    return f"{processor}, {os.cpu_count()} cores, {libraries}"
