"""Fill the held-out photos with one network and measure the fills; what is known is kept.

The values of a network lie in one JSON file, named by the hash of its ONNX file and the pipeline's
number. It is written after each photo: a run that is stopped goes on where it was.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from freefill.imaging.atomic import write_atomically
from freefill.imaging.io import read_picture, restore
from freefill.lab.evaluation.baselines import Fill, hide_hole_and_composite
from freefill.lab.evaluation.metrics.lpips import lpips_of_each
from freefill.lab.evaluation.metrics.pixel import psnr
from freefill.lab.evaluation.runner import MEASURES
from freefill.pipeline.inpainter import PIPELINE_VERSION, Inpainter
from freefill.pipeline.request import FillRequest
from freefill.types import Mask, Pixels
from freefill.weights.registry import Weights
from scoring.photos import MASKS, Photo

ROUNDS = 9
"""Timed calls of each network."""
METRICS = ("lpips", "psnr")

Report = Callable[[int, int, str], None]
Values = NDArray[np.float64]
"""``(photos, MASKS, METRICS)``: LPIPS-AlexNet of the whole picture, PSNR of the hole in dB."""


def filler(weights: Weights, threads: int | None = None) -> Fill:
    """Give the whole pipeline with these weights; it does not see what was in the hole."""
    inpainter = Inpainter(weights.path, threads=threads)

    def fill(photo: Pixels, hole: Mask) -> Pixels:
        # Not a plain call: that warns of large holes, and here they are meant.
        return np.asarray(restore(inpainter.run(FillRequest(read_picture(photo), hole)).picture))

    return hide_hole_and_composite(fill)


def measure(
    weights: Weights,
    photos: Sequence[Photo],
    folder: Path,
    *,
    threads: int | None = None,
    report: Report = lambda done, total, line: None,
) -> Values:
    """Fill and measure each hole of each photo, but those that were measured before.

    Args:
        weights: What fills.
        photos: What is filled.
        folder: Of the values that are kept.
        threads: Of the engine; by default every core.
        report: Called after each photo with (done, total, first digits of the weights' hash).

    Returns:
        The values.

    Raises:
        ReferenceMissingError: If the network of LPIPS was not fetched.
    """
    kept = _Kept(folder / f"{weights.short}-{PIPELINE_VERSION}.json")
    fill: Fill | None = None
    found = []
    for number, photo in enumerate(photos):
        values = kept.get(photo)
        if values is None:
            fill = fill or filler(weights, threads)
            fills = [fill(photo.pixels, hole) for hole in photo.holes]
            far = lpips_of_each(fills, photo.pixels)
            near = [psnr(f, photo.pixels, h) for f, h in zip(fills, photo.holes, strict=True)]
            values = [[a, b] for a, b in zip(far, near, strict=True)]
            kept.put(photo, values)
        found.append(values)
        report(number + 1, len(photos), weights.short)
    return np.array(found)


@dataclass
class _Kept:
    """The values of one network in one pipeline."""

    path: Path

    def __post_init__(self) -> None:
        try:
            found = json.loads(self.path.read_text("utf-8"))
            fits = found["measures"] == MEASURES and found["masks"] == [list(m) for m in MASKS]
            self.values = dict(found["photos"]) if fits else {}
        except (OSError, ValueError, KeyError, TypeError):
            self.values = {}

    def get(self, photo: Photo) -> list[list[float]] | None:
        try:
            values = np.array(self.values[photo.digest]["values"], np.float64)
        except (KeyError, TypeError, ValueError):
            return None
        return values.tolist() if values.shape == (len(MASKS), len(METRICS)) else None

    def put(self, photo: Photo, values: list[list[float]]) -> None:
        self.values[photo.digest] = {"file": photo.file, "side": photo.side, "values": values}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        content = {"measures": MEASURES, "masks": MASKS, "photos": self.values}
        write_atomically(self.path, json.dumps(content, indent=1).encode())


def time_in_turn(
    networks: Sequence[Weights], photo: Photo, threads: int | None = None
) -> list[tuple[float, float]]:
    """Time warm fills of one photo, all networks in turn, so that all see the same machine.

    Args:
        networks: What fills.
        photo: What is filled, with its first hole.
        threads: Of the engines.

    Returns:
        For each the median of its milliseconds, and of its time over the first one's in the same
        round.
    """
    inpainters = [Inpainter(weights.path, threads=threads) for weights in networks]
    hole = photo.holes[0]
    rounds = []
    for _ in range(ROUNDS + 1):
        spent = []
        for inpainter in inpainters:
            start = time.perf_counter()
            restore(inpainter.run(FillRequest(read_picture(photo.pixels), hole)).picture)
            spent.append(time.perf_counter() - start)
        rounds.append(spent)
    columns = list(zip(*rounds[1:], strict=True))  # the first round plans memory
    return [
        (
            1000 * statistics.median(column),
            statistics.median(a / b for a, b in zip(column, columns[0], strict=True)),
        )
        for column in columns
    ]
