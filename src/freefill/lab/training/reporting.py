"""What a run says of itself as it goes: rows of the log, previews, progress."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from lightning_fabric import Fabric
from torch import Tensor

from freefill.lab.training.log import Log
from freefill.lab.training.means import Means, check_finite
from freefill.lab.training.previews import Preview
from freefill.lab.training.state import RunState

TELL_EVERY = 15.0
"""Seconds after which progress is told at the latest, however long a row of the log takes."""


@dataclass(frozen=True)
class Progress:
    """What the command line shows after each logged step, and every 15 seconds between them."""

    step: int
    steps: int
    images_per_second: float
    eta: float
    """Seconds left, at the present number of pixels a second or until the time is up."""
    values: dict[str, float]
    """The row of the log; empty between two rows."""


class TimeLimit:
    """The time that a run may take, as a share of it that has passed.

    Args:
        begun: When it began, by the monotonic clock.
        seconds: What it may take; ``None`` for any time.
    """

    def __init__(self, begun: float, seconds: float | None) -> None:
        self.begun, self.seconds = begun, seconds
        self.share = 0.0
        """Of the last :meth:`update`; 0 without a limit."""

    def update(self, fabric: Fabric) -> None:
        """Take the time; several processes agree on the mean of theirs."""
        if not self.seconds:
            return
        self.share = (time.monotonic() - self.begun) / self.seconds
        if fabric.world_size > 1:
            mine = torch.tensor(self.share, device=fabric.device)
            self.share = float(fabric.all_reduce(mine))

    @property
    def left(self) -> float:
        """Seconds left by this process's clock."""
        return self.begun + self.seconds - time.monotonic() if self.seconds else float("inf")


class Reporter:
    """Collects the values of steps, and writes and reports their means.

    Args:
        state: The run.
        last: Number of steps at which this call ends.
        preview: Held-out photos.
        limit: The time that is left.
        report: Called with progress, in the first process alone.
    """

    def __init__(
        self,
        state: RunState,
        last: int,
        preview: Preview,
        limit: TimeLimit,
        report: Callable[[Progress], None],
    ) -> None:
        self.state, self.last, self.preview = state, last, preview
        self.limit, self.report = limit, report
        self.log: Log | None = None
        if state.is_first:
            self.log = Log(state.run, state.step, tuple(state.config.loss.extra))
        self.means = Means()
        self.logged = state.step
        self.clock, self.cpu_clock = time.monotonic(), time.process_time()
        self.told = self.paced = self.clock

    def start(self) -> None:
        """Take the speed from now on: the first batch is there, whatever had to be made for it."""
        self.paced = time.monotonic()

    def add(self, values: dict[str, Tensor]) -> None:
        """Take in the values of a step."""
        self.means.add(values)

    def write(self, rate: float) -> None:
        """Write a row for the steps since the last one, with a preview where one is due.

        Args:
            rate: The learning rate's factor in the last step.

        Raises:
            TrainingError: If a loss is not a number.
        """
        state, settings = self.state, self.state.config.train
        done, stage = state.step, settings.stage_at(state.step - 1)
        elapsed = time.monotonic() - self.clock
        spent = torch.tensor(time.process_time() - self.cpu_clock, device=state.fabric.device)
        state.seconds += elapsed
        state.cpu_seconds += float(state.fabric.all_reduce(spent, reduce_op="sum"))
        pace = time.monotonic() - self.paced
        speed = (done - self.logged) * stage.batch / max(pace, 1e-9)
        means = self.means.taken(state.fabric)
        self.logged = done
        check_finite(means, done, state.checkpoint)
        row: dict[str, float] = {
            "step": done, "images": settings.crops(done),
            "epoch": settings.crops(done) * settings.batches / state.photos.epoch,
            "minutes": state.seconds / 60, "cpu_minutes": state.cpu_seconds / 60,
            "img_s": speed, "lr": settings.lr * rate, **means,
        }  # fmt: skip
        if self.log is not None:
            if done % settings.preview_every == 0 or done == settings.steps:
                average = state.networks.ema.network
                row["val_l1"], sheet = self.preview.write(average, state.run / "previews", done)
                self.log.show(sheet, done)
            self.log.write(row)
            self._report(speed, row)
        self.clock, self.cpu_clock = time.monotonic(), time.process_time()
        self.paced = self.clock

    def tell(self) -> None:
        """Report where the run is, if nothing was said of it for a while.

        It asks no other process and no device, so it may be called after every step.
        """
        now, steps = time.monotonic(), self.state.step - self.logged
        if self.state.is_first and steps and now - self.told >= TELL_EVERY:
            batch = self.state.config.train.stage_at(self.state.step - 1).batch
            self._report(steps * batch / max(now - self.paced, 1e-9), {})

    def _report(self, speed: float, row: dict[str, float]) -> None:
        settings, done = self.state.config.train, self.state.step
        pixels = settings.pixels(self.last) - settings.pixels(done)
        left = pixels / (speed * settings.stage_at(done - 1).crop ** 2)
        eta = min(left, max(self.limit.left, 0.0))
        self.report(Progress(done, self.last, speed, eta, row))
        self.told = time.monotonic()

    def close(self) -> None:
        """Close the log."""
        if self.log is not None:
            self.log.close()
