"""The training loop: set up, take steps, log and save.

What "Free-Form Image Inpainting with Gated Convolution" prescribes is kept where it fits a small
network (hinge SN-PatchGAN on the composite, one discriminator step to each generator step, l1 on
the raw prediction); the perceptual loss, the moving average and the stages of crop size are
additions. A step is in :mod:`freefill.lab.training.step`, its losses are in
:mod:`freefill.lab.training.terms`.

Several processes make each step together: every one computes its share of the batch, and gradients
are averaged (DDP). A recipe's batch is that of all processes, so its learning rate needs no change.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric
from torch import Tensor

from freefill.errors import ConfigError, TrainingError
from freefill.lab.config import Config, TrainConfig, changed, from_dict
from freefill.lab.data.batches import Batch, Batches, Steps, check_shares
from freefill.lab.data.resident import ResidentBatches
from freefill.lab.data.sources import Folder, Source, open_source
from freefill.lab.training import networks, previews, processes, start
from freefill.lab.training.networks import StartingWeights
from freefill.lab.training.reporting import Progress, Reporter, TimeLimit
from freefill.lab.training.schedule import rate_at
from freefill.lab.training.start import OnMessage
from freefill.lab.training.state import Provenance, RunState
from freefill.lab.training.step import Step
from freefill.lab.training.stopping import Stopping

__all__ = ["Progress", "train"]


def train(
    data: Path | str,
    run: Path,
    config: Config,
    *,
    resume: bool = False,
    changes: Sequence[str] = (),
    init: dict[str, Tensor] | None = None,
    init_discriminator: dict[str, Tensor] | None = None,
    origin: str = "random weights",
    source_card: dict[str, Any] | None = None,
    command: str = "",
    stop_at: int | None = None,
    seconds_at_most: float | None = None,
    average_every: float | None = None,
    on_message: OnMessage = print,
    report: Callable[[Progress], None] = lambda _: None,
) -> Path:
    """Train a generator on photos.

    Processes that were started together train together; they part by
    :func:`freefill.lab.training.processes.leave`.

    Args:
        data: Folder of photos, searched with its subfolders; or WebDataset shards, see
            :func:`freefill.lab.data.shards.list_shards`.
        run: Folder of the run; made if needed, and refused if it holds a run already.
        config: All settings; a resumed run takes its own from its checkpoint.
        resume: Go on from the run's last checkpoint.
        changes: Settings of ``train`` that a resumed run goes on with, such as
            ``train.stages.0.steps=5000``: a run that is finished can be made longer.
        init: Weights of the generator to start from.
        init_discriminator: Weights of the discriminator to start from, if they fit.
        origin: What those are, for the card.
        source_card: The card of those: their licence and sources go with what is made of them.
        command: What a person typed, for the card.
        stop_at: Stop, with a checkpoint, after this many steps in all.
        seconds_at_most: Stop, with a checkpoint, after about so many seconds in this call, all that
            comes before the first step included; the learning rate falls by then as it would by the
            last step.
        average_every: Seconds after which the average weights are written each time, in fp16: see
            :func:`freefill.lab.training.checkpoint.save_average`.
        on_message: Called with lines for people, in the first process alone.
        report: Called with the progress of each logged step, in the first process alone.

    The first Ctrl-C or SIGTERM ends the step in work and writes a checkpoint (several processes go
    on to the next row of the log); a second one ends it at once.

    Returns:
        The last checkpoint.

    Raises:
        KeyboardInterrupt: After Ctrl-C.
        ConfigError: If ``changes`` are of other settings, or without ``resume``.
        DataError: If photos cannot be read.
        CheckpointError: If the run exists and ``resume`` is not set, cannot be resumed, or is being
            written to.
        TrainingError: If a loss is not a number, or `torchrun` has been killed.
    """
    if changes and not resume:
        raise ConfigError("`changes` are for a run that is gone on with: put them into `config`")
    begun, parent = time.monotonic(), os.getppid()
    # The settings of a resumed run lie in its checkpoint, which one process reads for all of them.
    fabric = processes.launch("32-true")
    is_first, warn = fabric.global_rank == 0, on_message
    if not is_first:
        on_message, report = (lambda _: None), (lambda _: None)
    state = processes.on_first(
        fabric, lambda: start.prepare(run, resume or processes.restarted(run))
    )
    provenance = Provenance(origin, source_card, command)
    if state:
        config = changed(from_dict(state["config"], trusted=True), changes)
        provenance = Provenance.of(state, command if changes else "")
        on_message(f"resuming {run} at step {state['step']} of {config.train.steps}")
    settings = config.train
    start.fast_math()
    fabric = processes.launch(start.precision_of(settings))

    # Photos first: a file that cannot be read is named before anything is made or computed. One
    # process a machine decodes them.
    photos = processes.once_a_machine(
        fabric, lambda: open_source(str(data), config.data, settings.seed, on_message, warn)
    )
    with ExitStack() as lock:
        processes.on_first(fabric, lambda: lock.enter_context(start.run_lock(run)))
        if is_first:
            (run / "config.toml").write_text(config.to_toml())
        _introduce(photos, state, settings, fabric, on_message)
        preview = previews.Preview(photos.held, settings.stages[-1].crop)
        weights = StartingWeights(init, init_discriminator)
        trained = networks.build(fabric, config, run, state, weights, on_message)
        now = RunState(fabric, run, config, photos, trained, provenance)
        if state:
            now.step, now.seconds = state["step"], state["seconds"]
            now.cpu_seconds = state["cpu_seconds"]
        limit = TimeLimit(begun, seconds_at_most)
        last = min(settings.steps, stop_at or settings.steps)
        reporter = Reporter(now, last, preview, limit, report)
        source: Iterator[list[Batch]] = iter(())
        with Stopping() as stopping:
            try:
                source = _source(str(data), photos, config, fabric, on_message).ahead(now.step)
                loop = _Loop(now, source, reporter, limit, stopping, on_message)
                loop.take_steps(last, average_every, parent)
            except KeyboardInterrupt:
                # The step that was cut off is not counted; the weights are those of the last whole
                # one only at a checkpoint, so nothing is written here.
                on_message(f"stopped in step {now.step + 1}; {_go_on(now)}")
                raise
            finally:
                if hasattr(source, "close"):
                    source.close()
                reporter.close()
    stopping.end()
    return now.checkpoint


def _go_on(state: RunState) -> str:
    return f"go on with `resume=True` from {state.checkpoint}"


@dataclass
class _Loop:
    """The steps of a run, and all that goes on beside them."""

    state: RunState
    source: Iterator[list[Batch]]
    reporter: Reporter
    limit: TimeLimit
    stopping: Stopping
    on_message: OnMessage

    def take_steps(self, last: int, average_every: float | None, parent: int) -> None:
        """Take steps until ``last`` are done, the time is up or somebody asks for an end."""
        state, limit = self.state, self.limit
        settings, device = state.config.train, state.fabric.device
        take_step = Step(state.fabric, state.config, state.networks)
        averaged, stopped, first = time.monotonic(), False, state.step
        # One process looks at the clock after each step; several have to agree, which makes a GPU
        # wait: they do so at rows.
        alone = state.fabric.world_size == 1
        while state.step < last and limit.share < 1 and not stopped:
            if processes.orphaned(parent):
                raise TrainingError(
                    f"torchrun has been killed: stopped; {state.checkpoint} is the last checkpoint"
                )
            made = next(self.source)
            if state.step == first:
                self.reporter.start()
            batch, *own = [part.to(device) for part in made]
            rate = rate_at(state.step, settings, limit.share)
            state.networks.set_rate(settings, rate)
            self.reporter.add(take_step(state.step, batch, own))
            state.step += 1
            is_row = state.step % settings.log_every == 0 or state.step == last
            if is_row or alone:
                limit.update(state.fabric)
            if is_row or limit.share >= 1:
                self.reporter.write(rate)
            since = time.monotonic() - averaged
            if (is_row or alone) and average_every and since >= average_every:
                averaged += since
                state.save_average()
            self.reporter.tell()
            stopped = self.stopping.agreed(state.fabric, is_row)
            due = state.step % settings.save_every == 0
            if due or stopped or state.step == last or limit.share >= 1:
                state.save()
        if limit.share >= 1:
            self.on_message(f"stopped after step {state.step}, as the time is up")
        elif stopped and state.step < last:
            self.on_message(f"stopped after step {state.step} of {last}; {_go_on(state)}")
        if average_every:
            state.save_average()


def _introduce(
    photos: Source,
    state: dict[str, Any] | None,
    settings: TrainConfig,
    fabric: Fabric,
    on_message: OnMessage,
) -> None:
    """Report what is trained on, and how large a step is."""
    on_message(f"{photos.photos} photos to train on, {len(photos.held)} to look at")
    if state and state["photos"] != photos.photos:
        on_message(
            f"the checkpoint was trained on {state['photos']} photos: from here on the run differs "
            "from an uninterrupted one"
        )
    for side in sorted({stage.crop for stage in settings.stages}):
        if (large := photos.count(side)) < photos.photos:
            on_message(f"crops of {side} pixels are cut from the {large} that are large enough")
    check_shares(settings, fabric.world_size)
    on_message(_shares(settings, fabric.world_size))
    done = state["step"] if state else 0
    on_message(_plan(settings, done))
    if done >= settings.steps:
        on_message(
            f"all {settings.steps} steps are done; `changes` make a run longer, such as "
            f"train.stages.{len(settings.stages) - 1}.steps={2 * settings.stages[-1].steps}"
        )


def _source(
    data: str, photos: Source, config: Config, fabric: Fabric, on_message: OnMessage
) -> Batches | ResidentBatches | Steps:
    """Choose what makes the batches: a thread, processes, or the device itself."""
    if config.data.resident:
        if not isinstance(photos, Folder):
            raise ConfigError("data.resident is set: `data` names a folder of photos then")
        if fabric.world_size > 1:
            raise ConfigError("data.resident is set, which is for one process alone")
        return ResidentBatches(photos, config, fabric.device, on_message)
    if config.data.workers:
        return Steps(data, config, fabric.global_rank, fabric.world_size)
    return Batches(photos, config, fabric.global_rank, fabric.world_size)


def _shares(settings: TrainConfig, world: int) -> str:
    """Describe a step's size and shares, which a recipe's learning rate goes with."""
    batches = "/".join(str(batch) for batch in dict.fromkeys(s.batch for s in settings.stages))
    shared = f" shared by {world} processes" if world > 1 else ""
    parts = f", each in {settings.accumulate} parts" if settings.accumulate > 1 else ""
    return (
        f"batch {batches}{shared}{parts}; learning rate {settings.lr:g}, "
        f"discriminator {settings.discriminator_lr:g}"
    )


def _plan(settings: TrainConfig, done: int) -> str:
    """Describe what will be done; how long it takes is in the first line of progress."""
    stretches = [
        f"{stage.steps:,} steps of {stage.batch} crops of {stage.crop}x{stage.crop} pixels"
        for stage in settings.stages
    ]
    plan = ", then ".join(stretches)
    if settings.repeat > 1:
        plan = f"{settings.repeat:,} times {plan}"
    return f"{plan}; {done:,} steps are done" if done else plan
