"""The pictures of a report: for each baseline the photos on which it is worst, median and best.

Chosen by LPIPS of the whole picture, so that nobody chooses by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from freefill.imaging import contact_sheet
from freefill.imaging.rgb import read_rgb
from freefill.lab.evaluation import protocol as protocols
from freefill.lab.evaluation.protocol import Manifest, Photo
from freefill.lab.evaluation.results import Results, Table
from freefill.lab.evaluation.runner import picture_path

CHOICES = ("worst", "median", "best")
ORDERED_BY = "lpips"


@dataclass(frozen=True)
class Strip:
    """One row of pictures."""

    table: Table
    baseline: str
    choice: str
    photo: Photo
    shown: tuple[str, ...]
    """Baselines whose fills stand between the photo with its hole and the truth."""


def strips(results: Results, table: Table, baseline: str, shown: Sequence[str]) -> list[Strip]:
    """Choose the photos of one baseline.

    Args:
        results: The measurements.
        table: Protocol and size.
        baseline: Whose worst, median and best photo.
        shown: Baselines to show.

    Returns:
        Three strips, fewer where there are fewer photos.
    """
    ordered = sorted(
        table.photos,
        key=lambda p: -results.measurements[table.protocol, baseline, p.file].values[ORDERED_BY],
    )
    chosen = dict(zip(CHOICES, (ordered[0], ordered[len(ordered) // 2], ordered[-1]), strict=True))
    found, used = [], set()
    for choice, photo in chosen.items():
        if photo.file not in used:
            found.append(Strip(table, baseline, choice, photo, tuple(shown)))
        used.add(photo.file)
    return found


def caption(results: Results, strip: Strip) -> str:
    """Describe a strip, with the LPIPS of each baseline in it."""
    values = ", ".join(
        f"{name} {_lpips(results, strip, name):.3f}"
        for name in dict.fromkeys((strip.baseline, *strip.shown))
    )
    return f"{strip.choice} of {strip.baseline}: {strip.photo.file} (LPIPS: {values})"


def _lpips(results: Results, strip: Strip, baseline: str) -> float:
    measurement = results.measurements[strip.table.protocol, baseline, strip.photo.file]
    return measurement.values[ORDERED_BY]


class Pictures:
    """Thumbnails of an evaluation.

    Args:
        manifest: Photos and holes.
        data: Folder of the photos.
        out: Folder of the report.
        side: Longest side of a thumbnail, in pixels.
    """

    def __init__(self, manifest: Manifest, data: Path, out: Path, side: int) -> None:
        self.manifest, self.data, self.out, self.side = manifest, data, out, side

    def hole(self, strip: Strip) -> Image.Image:
        """Draw the photo with its hole in colour."""
        sample = protocols.sample(self.manifest, self.data, strip.photo, strip.table.protocol)
        pixels = sample.pixels.astype(np.float32) / 255
        coloured = np.where(sample.hole[..., None], contact_sheet.HOLE, pixels)
        return self._small(Image.fromarray(np.rint(coloured * 255).astype(np.uint8)))

    def truth(self, strip: Strip) -> Image.Image:
        """Draw the photo."""
        return self._small(Image.fromarray(protocols.read(self.data / strip.photo.file)))

    def fill(self, strip: Strip, baseline: str) -> Image.Image:
        """Draw a baseline's fill."""
        path = picture_path(self.out, strip.table.protocol, baseline, strip.photo)
        return self._small(Image.fromarray(read_rgb(path)))

    def row(self, strip: Strip) -> Image.Image:
        """Draw the whole strip: hole, fills, truth."""
        fills = [self.fill(strip, baseline) for baseline in strip.shown]
        return contact_sheet.row([self.hole(strip), *fills, self.truth(strip)])

    def _small(self, image: Image.Image) -> Image.Image:
        image.thumbnail((self.side, self.side), Image.Resampling.LANCZOS)
        return image


def overview(results: Results, pictures: Pictures, baselines: Sequence[str]) -> Image.Image:
    """Draw one page: the first baseline's worst, median and best of every table, filled by all.

    Args:
        results: The measurements.
        pictures: Source of the thumbnails.
        baselines: All of them; the first chooses.

    Returns:
        An RGB image.
    """
    panels = [
        (
            f"{table.protocol}, {table.size}: {caption(results, strip)}",
            pictures.row(strip),
        )
        for table in results.tables
        for strip in strips(results, table, baselines[0], baselines)
    ]
    return contact_sheet.sheet(panels, 1, ("hole", *baselines, "truth"))
