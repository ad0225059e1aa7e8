"""The log of a run: a table for programs and people, and TensorBoard's events."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray
from torch.utils.tensorboard import SummaryWriter

COLUMNS = (
    "step", "images", "epoch", "minutes", "cpu_minutes", "img_s", "lr", "generator", "l1", "low",
    "lower", "coarse", "match", "sketch", "perceptual", "adversarial", "discriminator",
    "score_real", "score_fake", "r1", "val_l1",
)  # fmt: skip


class Log:
    """The run's ``log.csv`` and TensorBoard events.

    A resumed run first drops the rows that lie beyond its checkpoint, so that no step is there
    twice.

    Args:
        run: The run's folder.
        first: Steps that are done.
        extra: Names of losses that plugins register; their columns come last.
    """

    def __init__(self, run: Path, first: int, extra: Sequence[str] = ()) -> None:
        path = run / "log.csv"
        kept: list[dict[str, str]] = []
        if path.exists() and first:
            with path.open(newline="") as old:
                kept = [row for row in csv.DictReader(old) if int(row["step"]) <= first]
        self.file: TextIO = path.open("w", newline="")
        self.rows = csv.DictWriter(self.file, (*COLUMNS, *extra), restval="")
        self.rows.writeheader()
        self.rows.writerows(kept)
        self.board = SummaryWriter(str(run / "tensorboard"), purge_step=first + 1)

    def write(self, row: dict[str, float]) -> None:
        """Add one row and flush it."""
        self.rows.writerow({k: v if isinstance(v, int) else f"{v:.6g}" for k, v in row.items()})
        self.file.flush()
        for name, value in row.items():
            if name != "step":
                self.board.add_scalar(name, value, int(row["step"]))

    def show(self, sheet: NDArray[np.uint8], step: int) -> None:
        """Put a sheet of previews, ``(H, W, 3)``, among TensorBoard's pictures."""
        self.board.add_image("preview", sheet, step, dataformats="HWC")
        self.board.flush()

    def close(self) -> None:
        """Close both files."""
        self.file.close()
        self.board.close()
