"""The table of scores as markdown, and the values of photos as CSV."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO

from freefill.lab.evaluation.metrics.statistics import Paired
from freefill.pipeline.inpainter import PIPELINE_VERSION
from scoring.comparing import Score
from scoring.measuring import METRICS, Values
from scoring.networks import Network
from scoring.photos import MASKS, Photo

FACTS = {"parameters": "parameters", "gmac_256": "GMAC, 256", "gmac_512": "GMAC, 512"}
"""Key of the card to head of a column."""


@dataclass(frozen=True)
class Row:
    """One network of the table.

    Attributes:
        network: The network.
        score: Its score.
        less: Its score less the first network's; None for the first.
        time: Its time for a fill over the first network's.
    """

    network: Network
    score: Score
    less: Paired | None
    time: float


def markdown(rows: Sequence[Row]) -> str:
    """Lay out the table, its columns as wide as they need in a terminal.

    Args:
        rows: One for each network; the others are compared with the first.

    Returns:
        Lines of markdown.
    """
    first = rows[0]
    heads = ["network", "weights", "score", f"less {first.network.name}'s, 95 % interval", "p"]
    heads += [f"{title} ({n})" for title, n in first.score.photos.items()]
    heads += ["PSNR, hole", *FACTS.values(), f"time over {first.network.name}'s"]
    table = [heads, *(_cells(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    table.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in table
    )


def _cells(row: Row) -> list[str]:
    less, p = "", ""
    if row.less:
        less = f"{row.less.difference:+.4f} [{row.less.low:+.4f}, {row.less.high:+.4f}]"
        p = f"{row.less.p:.2g}"
    facts = [row.network.fact(key) for key in FACTS]
    return [
        row.network.name,
        row.network.weights.short,
        f"{row.score.score:.4f}",
        less,
        p,
        *(f"{value:.4f}" for value in row.score.columns.values()),
        f"{row.score.psnr:.2f}",
        *("-" if fact is None else f"{fact:,}" for fact in facts),
        f"{row.time:.2f}",
    ]


def per_photo(photos: Sequence[Photo], values: Mapping[str, tuple[Network, Values]]) -> str:
    """Write a line of CSV for each network, photo and hole.

    Args:
        photos: What was filled.
        values: Name to network and values.

    Returns:
        The file's text.
    """
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["network", "weights", "pipeline", "photo", "side", "hole", "seed", "hole_share", *METRICS]
    )
    for name, (network, found) in values.items():
        for photo, of_photo in zip(photos, found, strict=True):
            for (kind, seed), hole, pair in zip(MASKS, photo.holes, of_photo, strict=True):
                about = [
                    name,
                    network.weights.short,
                    PIPELINE_VERSION,
                    photo.file,
                    photo.side,
                    kind,
                    seed,
                ]
                writer.writerow([*about, f"{hole.mean():.4f}", *(f"{v:.6f}" for v in pair)])
    return text.getvalue()
