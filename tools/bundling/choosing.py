"""Whether weights are bundled: the score of `tools/score.py`, on the held-out photos."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from freefill.lab.evaluation.metrics.statistics import Paired
from freefill.weights.registry import Weights
from scoring.comparing import Score, compare, score, verdict
from scoring.measuring import Report, measure
from scoring.photos import LIST, Photo, held_out


@dataclass(frozen=True)
class Held:
    """The held-out photos.

    Attributes:
        photos: All of them.
        sha256: Of the list that names them.
    """

    photos: list[Photo]
    sha256: str

    @classmethod
    def read(cls, root: Path, data: Path) -> Held:
        """Find them.

        Args:
            root: The repository.
            data: Folder that holds them anywhere below it.

        Raises:
            DataError: If photos are missing or too small.
        """
        photos = held_out(root / LIST, data)
        return cls(photos, hashlib.sha256((root / LIST).read_bytes()).hexdigest())


@dataclass(frozen=True)
class Choice:
    """What the held-out photos say.

    Attributes:
        new: First 12 hex digits of the sha256 of the weights that are to be bundled.
        old: Of those that are bundled.
        scores: Of the new and the old ones.
        less: The new score less the old one.
        list_sha256: Of the list of the photos.
    """

    new: str
    old: str
    scores: tuple[Score, Score]
    less: Paired
    list_sha256: str

    @property
    def better(self) -> bool:
        """Whether the new weights' score is lower: it decides."""
        return self.scores[0].score < self.scores[1].score

    @property
    def again(self) -> bool:
        """Whether both are the same weights."""
        return self.new == self.old

    def line(self) -> str:
        """Tell a person."""
        new, old = (found.score for found in self.scores)
        if self.again:
            return f"score on the held-out photos: {new:.4f}"
        return (
            f"score on the held-out photos: {new:.4f}, bundled {old:.4f}; "
            f"{verdict(self.old, self.less)}"
        )

    def entry(self) -> dict[str, Any]:
        """Give what a card has as ``metrics.held_out``."""
        new, old = self.scores
        found: dict[str, Any] = {
            "score": round(new.score, 4),
            "lpips_alex": {title: round(value, 4) for title, value in new.columns.items()},
            "photos": new.photos,
            "list": {"file": LIST.as_posix(), "sha256": self.list_sha256},
        }
        if not self.again:
            found["before"] = {
                "weights": self.old,
                "score": round(old.score, 4),
                "lpips_alex": {title: round(value, 4) for title, value in old.columns.items()},
                "difference": round(self.less.difference, 4),
                "interval": [round(self.less.low, 4), round(self.less.high, 4)],
                "p": float(f"{self.less.p:.2g}"),
            }
        return found

    def rows(self) -> list[Sequence[str]]:
        """Lay out a table: heads, columns of the score, and the score."""
        new, old = self.scores
        rows: list[Sequence[str]] = [
            [title, str(new.photos[title]), f"{value:.4f}", f"{old.columns[title]:.4f}"]
            for title, value in new.columns.items()
        ]
        rows.append(["score", "", f"{new.score:.4f}", f"{old.score:.4f}"])
        heads = ["LPIPS-AlexNet, less is better", "photos", f"`{self.new}`", f"`{self.old}`"]
        return [row[: 3 if self.again else 4] for row in [heads, *rows]]


def choose(new: Weights, old: Weights, held: Held, work: Path, report: Report) -> Choice:
    """Score weights and those that are bundled.

    Args:
        new: What is to be bundled.
        old: What is bundled; the same file where it is scored again.
        held: The photos.
        work: Folder of the values: what is there is not measured again.
        report: Called after each photo with (done, total, weights).

    Returns:
        What the photos say.

    Raises:
        ReferenceMissingError: If the network of LPIPS was not fetched.
    """
    first, second = (
        score(held.photos, measure(weights, held.photos, work, report=report))
        for weights in (new, old)
    )
    return Choice(new.short, old.short, (first, second), compare(second, first), held.sha256)
