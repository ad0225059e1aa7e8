"""The paper's claims again, small: which convolution, and which loss, at equal cost.

Two axes that share a cell. Convolution (plain, partial, gated) under l1 and SN-PatchGAN, and loss
(l1; l1 and SN-PatchGAN; l1 and the local and global discriminators; l1, SN-PatchGAN and a
perceptual loss) with gated convolution. Every cell has the same trunk, the same photos, and the
same time, not the same steps: a layer that costs twice as much gets half of the crops. On a CPU
the time is the processor's, so that another program takes nothing from a cell; on a GPU it is the
clock's. It becomes a number of steps once, by a short timed run of each cell, and is then kept, so
that a run that is resumed is the run that was planned.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from freefill.errors import CheckpointError, ConfigError
from freefill.files.json_files import read_json
from freefill.imaging.atomic import write_atomically
from freefill.lab import config as settings
from freefill.lab.config import Config
from freefill.lab.export.export import export
from freefill.lab.training import checkpoint
from freefill.lab.training.loop import Progress, train

OnMessage = Callable[[str], None]


@dataclass(frozen=True)
class Cell:
    """One row of the table."""

    name: str
    convolution: str
    loss: str
    """What people call it."""
    adversarial: float
    discriminator: str = "patch"
    perceptual: float = 0.0


ADVERSARIAL = 0.1
"""The paper weighs l1 and adversarial loss alike; within minutes that only makes noise."""

CELLS: Mapping[str, Cell] = {
    cell.name: cell
    for cell in (
        Cell("plain", "plain", "l1 + SN-PatchGAN", ADVERSARIAL),
        Cell("partial", "partial", "l1 + SN-PatchGAN", ADVERSARIAL),
        Cell("gated", "gated", "l1 + SN-PatchGAN", ADVERSARIAL),
        Cell("l1", "gated", "l1", 0.0),
        Cell("local-global", "gated", "l1 + local and global", ADVERSARIAL, "local-global"),
        Cell("perceptual", "gated", "l1 + SN-PatchGAN + perceptual", ADVERSARIAL, "patch", 1.0),
    )
}
CONVOLUTIONS = ("plain", "partial", "gated")
LOSSES = ("l1", "gated", "local-global", "perceptual")

TIMED = 24
"""Steps of a timing run; the first third is not counted."""


@dataclass(frozen=True)
class Plan:
    """What a folder of cells was started with."""

    seconds: float
    clock: str
    seeds: int
    overrides: tuple[str, ...]
    steps: dict[str, int]


def _planned(path: Path) -> Plan:
    """Read what a folder was started with."""
    try:
        kept = read_json(path, ConfigError, "the plan of an ablation")
        return Plan(**kept | {"overrides": tuple(kept["overrides"])})
    except (KeyError, TypeError) as error:
        raise ConfigError(f"{path} is not the plan of an ablation: {error}") from None


def cell_config(cell: Cell, seed: int, steps: int, overrides: Sequence[str] = ()) -> Config:
    """Give all settings of one run.

    Args:
        cell: The cell.
        seed: Seed of weights, crops and holes; the same for all cells.
        steps: Number of optimizer steps.
        overrides: ``a.b=c`` settings laid over every cell.

    Returns:
        The settings.

    Raises:
        ConfigError: If an override is wrong.
    """
    own = [
        'model.name="encoder-decoder"',
        f'model.convolution="{cell.convolution}"',
        f'model.discriminator="{cell.discriminator}"',
        "model.channels=[32, 64, 96]",
        "model.dilations=[1, 2, 4, 8, 4, 2]",
        "data.masks={free-form = 3, rectangle = 1}",
        "loss.l1=1.0",
        # The paper weighs known pixels like those of the hole.
        "loss.known=1.0",
        f"loss.perceptual={cell.perceptual}",
        f"train.stages=[{{steps = {steps}, crop = 128, batch = 16, adversarial = "
        f"{cell.adversarial}}}]",
        f"train.seed={seed}",
        f"train.warmup={min(100, steps // 10)}",
    ]
    return settings.load(None, [*own, *overrides])


def prepare(
    photos: Path,
    out: Path,
    seconds: float,
    seeds: int,
    overrides: Sequence[str],
    on_message: OnMessage,
) -> Plan:
    """Decide how many steps each cell gets, or read what was decided.

    Args:
        photos: Folder of training photos.
        out: Folder of the ablation.
        seconds: Time of each run.
        seeds: Runs of each cell.
        overrides: ``a.b=c`` settings laid over every cell.
        on_message: Called with lines for people.

    Returns:
        The plan, which is also written to ``plan.json``.

    Raises:
        ConfigError: If the folder was started with other settings, or the time is too short.
    """
    path = out / "plan.json"
    clock = "wall" if torch.cuda.is_available() else "processor"
    if path.exists():
        plan = _planned(path)
        if (plan.seconds, plan.seeds, plan.overrides) != (seconds, seeds, tuple(overrides)):
            raise ConfigError(
                f"{out} was started with `seconds={plan.seconds:g}`, `seeds={plan.seeds}` and "
                f"{list(plan.overrides)} set, not with {seconds:g}, {seeds} and {list(overrides)}: "
                "repeat those, or choose another `out`"
            )
        return plan
    _check_overrides(overrides)
    steps = {}
    for cell in CELLS.values():
        scratch = out / "timing" / cell.name
        shutil.rmtree(scratch, ignore_errors=True)
        timing = [*overrides, "train.log_every=8", "train.save_every=24", "train.preview_every=24"]
        train(photos, scratch, cell_config(cell, 0, TIMED, timing), on_message=lambda _: None)
        with (scratch / "log.csv").open(newline="") as file:
            column = "cpu_minutes" if clock == "processor" else "minutes"
            minutes = [float(row[column]) for row in csv.DictReader(file)]
        each = 60 * (minutes[-1] - minutes[0]) / (TIMED - 8)
        steps[cell.name] = round(seconds / each)
        on_message(f"{cell.name}: {each:.2f} s a step, {steps[cell.name]} steps in {seconds:g} s")
        if steps[cell.name] < TIMED:
            shutil.rmtree(out / "timing")
            raise ConfigError(
                f"`seconds={seconds:g}` is too short: a step of {cell.name!r} takes {each:.2f} s, "
                f"and a run needs at least {TIMED}"
            )
    shutil.rmtree(out / "timing")
    plan = Plan(seconds, clock, seeds, tuple(overrides), steps)
    write_atomically(path, json.dumps(plan.__dict__, indent=2).encode())
    return plan


FIXED = (
    "model.name", "model.convolution", "model.discriminator", "loss.perceptual", "train.seed",
    "train.stages", "train.stages.0.steps", "train.stages.0.adversarial", "train.warmup",
)  # fmt: skip
"""What makes a cell, a seed or the equal time: not to be set for all of them."""


def _check_overrides(overrides: Sequence[str]) -> None:
    for override in overrides:
        key = override.partition("=")[0].strip()
        if key in FIXED:
            raise ConfigError(
                f"{key}: the cells differ in this, or their equal time depends on it; fixed "
                f"are {', '.join(FIXED)}"
            )


def train_cells(
    photos: Path, out: Path, plan: Plan, on_message: OnMessage, report: Callable[[Progress], None]
) -> dict[tuple[str, int], Path]:
    """Train what is not trained yet and export each run.

    Args:
        photos: Folder of training photos.
        out: Folder of the ablation; a run is in ``cells/NAME-SEED``.
        plan: From :func:`prepare`.
        on_message: Called with lines for people.
        report: Called with the progress of each logged step.

    Returns:
        The weights file of each cell and seed.
    """
    weights = {}
    # Seeds outside: a table with all rows can be had when half of the time is over.
    for seed in range(plan.seeds):
        for cell in CELLS.values():
            run = out / "cells" / f"{cell.name}-{seed}"
            file = run / f"{cell.name}-{seed}.onnx"
            weights[cell.name, seed] = file
            if file.exists():
                continue
            on_message(f"{cell.name}, seed {seed} ({len(weights)} of {plan.seeds * len(CELLS)})")
            config = cell_config(cell, seed, plan.steps[cell.name], plan.overrides)
            if _steps_done(run) < config.train.steps:
                resume = (run / checkpoint.NAME).exists()
                train(photos, run, config, resume=resume, on_message=on_message, report=report)
            export(run, file, on_message=on_message)
    return weights


def _steps_done(run: Path) -> int:
    try:
        return int(checkpoint.load(run)["step"])
    except CheckpointError:
        return 0
