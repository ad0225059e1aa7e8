"""The training loop, read top to bottom: one generator, one discriminator, no hidden steps.

What "Free-Form Image Inpainting with Gated Convolution" prescribes is kept where it fits a small
network (hinge SN-PatchGAN on the composite, one discriminator step to each generator step, l1 on
the raw prediction); the perceptual loss, the moving average and the stages of crop size are
additions. What a step is, is in :mod:`freefill.lab.training.step`; here is what lies around it.

Several processes make each step together: every one computes its share of the batch, and gradients
are averaged (DDP). A recipe's batch is that of all processes, so its learning rate needs no change.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from freefill.errors import ConfigError, TrainingError
from freefill.lab.config import Config, TrainConfig, from_dict
from freefill.lab.data.batches import Batch, Batches, Steps, check_shares
from freefill.lab.data.resident import ResidentBatches
from freefill.lab.data.sources import Folder, Source, open_source
from freefill.lab.models import build_discriminator, build_generator
from freefill.lab.training import checkpoint, previews, processes, start
from freefill.lab.training.ema import Ema
from freefill.lab.training.log import Log
from freefill.lab.training.means import Means, check_finite
from freefill.lab.training.step import Networks, Step


@dataclass(frozen=True)
class Progress:
    """What the command line shows after each logged step."""

    step: int
    steps: int
    images_per_second: float
    eta: float
    """Seconds left at the present number of pixels a second."""
    values: dict[str, float]


def train(
    data: Path | str,
    run: Path,
    config: Config,
    *,
    resume: bool = False,
    init: dict[str, Tensor] | None = None,
    init_discriminator: dict[str, Tensor] | None = None,
    origin: str = "random weights",
    source_card: dict[str, Any] | None = None,
    command: str = "",
    stop_at: int | None = None,
    seconds_at_most: float | None = None,
    average_every: float | None = None,
    on_message: Callable[[str], None] = print,
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

    Returns:
        The last checkpoint.

    Raises:
        DataError: If photos cannot be read.
        CheckpointError: If the run exists and ``resume`` is not set, cannot be resumed, or is being
            written to.
        TrainingError: If a loss is not a number, or `torchrun` has been killed.
    """
    begun = time.monotonic()
    # The settings of a resumed run lie in its checkpoint, which one process reads for all of them.
    fabric = processes.launch("32-true")
    parent, lock = os.getppid(), ExitStack()
    alone = fabric.global_rank == 0
    warn = on_message
    if not alone:
        on_message, report = (lambda _: None), (lambda _: None)
    state = processes.on_first(
        fabric, lambda: start.prepare(run, resume or processes.restarted(run))
    )
    if state:
        config = from_dict(state["config"])
        origin, command = state["started_from"], state["command"]
        source_card = state.get("source_card")
        on_message(f"resuming {run} at step {state['step']} of {config.train.steps}")
    settings = config.train
    start.fast_math()
    fabric = processes.launch(start.precision_of(settings))

    # Photos first: a file that cannot be read is named before anything is made or computed. One
    # process a machine decodes them.
    photos = processes.once_a_machine(
        fabric, lambda: open_source(str(data), config.data, settings.seed, on_message, warn)
    )
    processes.on_first(fabric, lambda: lock.enter_context(start.held(run)))
    if alone:
        (run / "config.toml").write_text(config.to_toml())
    on_message(f"{photos.photos} photos to train on, {len(photos.held)} to look at")
    if state and state["photos"] != photos.photos:
        on_message(
            f"the checkpoint was trained on {state['photos']} photos: from here on the run differs "
            "from an uninterrupted one"
        )
    check_shares(settings, fabric.world_size)
    on_message(_shares(settings, fabric.world_size))
    preview = previews.Preview(photos.held, settings.stages[-1].crop)

    torch.manual_seed(settings.seed)
    generator = build_generator(config.model)
    guided = config.model.guidance if config.guidance.on else 0
    discriminator = build_discriminator(config.model, settings.stages[-1].crop, guided)
    if init is not None:
        start.start_from(generator, init, on_message)
    if init_discriminator is not None:
        start.discriminator_from(discriminator, init_discriminator, on_message)
    if settings.channels_last:
        start.channels_last(generator)
        start.channels_last(discriminator)
    ema = Ema(generator, settings.ema)
    ema.network.to(fabric.device)
    on_message(
        f"generator {_millions(generator)}, discriminator {_millions(discriminator)} parameters"
    )
    perceptual = processes.once_a_machine(
        fabric, lambda: start.perceptual_loss(config, fabric.device, on_message)
    )

    g_optimizer = torch.optim.Adam(generator.parameters(), settings.lr, settings.betas)
    d_optimizer = torch.optim.Adam(
        discriminator.parameters(), settings.discriminator_lr, settings.betas
    )
    first, seconds, cpu = 0, 0.0, 0.0
    if state:
        first, seconds, cpu = state["step"], state["seconds"], state["cpu_seconds"]
        checkpoint.restore(generator, state["generator"], run)
        checkpoint.restore(discriminator, state["discriminator"], run)
        checkpoint.restore(ema.network, state["ema"], run)
        g_optimizer.load_state_dict(state["g_optimizer"])
        d_optimizer.load_state_dict(state["d_optimizer"])
    if not guided and hasattr(generator, "guide"):
        # Processes wait for the gradient of every parameter that could have one.
        generator.guide.requires_grad_(False)
    bare_generator, bare_discriminator = generator, discriminator
    if settings.compile:
        generator.compile()
        discriminator.compile()
    generator, g_optimizer = fabric.setup(generator, g_optimizer)
    discriminator, d_optimizer = fabric.setup(discriminator, d_optimizer)
    networks = Networks(
        generator, discriminator, bare_generator, bare_discriminator, ema, g_optimizer,
        d_optimizer, perceptual,
    )  # fmt: skip
    take_step = Step(fabric, config, networks)

    def facts(step: int) -> dict[str, Any]:
        return {
            "step": step,
            "seconds": seconds,
            "cpu_seconds": cpu,
            "photos": photos.photos,
            "hardware": _hardware(fabric),
            "started_from": origin,
            "source_card": source_card,
            "command": command,
            "config": config.to_dict(),
        }

    def keep(step: int) -> Path:
        return checkpoint.save(
            run,
            {
                **facts(step),
                "generator": bare_generator.state_dict(),
                "discriminator": bare_discriminator.state_dict(),
                "ema": ema.network.state_dict(),
                "g_optimizer": g_optimizer.state_dict(),
                "d_optimizer": d_optimizer.state_dict(),
            },
        )

    log = Log(run, first) if alone else None
    last = min(settings.steps, stop_at or settings.steps)
    clock, cpu_clock, marked, step = time.monotonic(), time.process_time(), first, first
    averaged = clock
    share = 0.0
    means = Means()
    path = run / checkpoint.NAME
    source: Iterator[list[Batch]] = iter(())
    try:
        source = _source(str(data), photos, config, fabric, on_message).ahead(first)
        for step in range(first, last):
            if processes.orphaned(parent):
                raise TrainingError(
                    f"torchrun has been killed: stopped; {path} is the last checkpoint"
                )
            stage = settings.stage_at(step)
            batch, *own = [made.to(fabric.device) for made in next(source)]
            rate = _rate(step, settings, share)
            networks.set_rate(settings, rate)
            values = take_step(step, batch, own)

            means.add(values)
            done = step + 1
            if done % settings.log_every == 0 or done == last:
                now, cpu_now = time.monotonic(), time.process_time()
                spent = torch.tensor(cpu_now - cpu_clock, device=fabric.device)
                seconds += now - clock
                cpu += float(fabric.all_reduce(spent, reduce_op="sum"))
                speed = (done - marked) * stage.batch / max(now - clock, 1e-9)
                marked, logged = done, means.taken(fabric)
                check_finite(logged, done, path)
                row: dict[str, float] = {
                    "step": done, "images": settings.crops(done),
                    "epoch": settings.crops(done) * settings.batches / photos.epoch,
                    "minutes": seconds / 60, "cpu_minutes": cpu / 60, "img_s": speed,
                    "lr": settings.lr * rate, **logged,
                }  # fmt: skip
                if log is not None:
                    if done % settings.preview_every == 0 or done == settings.steps:
                        row["val_l1"] = preview.write(ema.network, run / "previews", done)
                    log.write(row)
                    left = settings.pixels(last) - settings.pixels(done)
                    report(Progress(done, last, speed, left / (speed * stage.crop**2), row))
                clock, cpu_clock = time.monotonic(), time.process_time()
                if seconds_at_most:
                    used = torch.tensor((clock - begun) / seconds_at_most, device=fabric.device)
                    share = float(fabric.all_reduce(used))
                if average_every and alone and clock - averaged >= average_every:
                    averaged = clock
                    checkpoint.save_average(run, facts(done), ema.network, bare_discriminator)
            if done % settings.save_every == 0 or done == last or share >= 1:
                path = keep(done) if alone else path
            if share >= 1:
                on_message(f"stopped after step {done}, as the time is up")
                break
        if average_every and alone:
            checkpoint.save_average(run, facts(step + 1), ema.network, bare_discriminator)
    except KeyboardInterrupt:
        # The step that was cut off is not counted; the weights are those of the last whole one only
        # at a checkpoint, so nothing is written here.
        on_message(f"stopped in step {step + 1}; go on with --resume from {path}")
        raise
    finally:
        if hasattr(source, "close"):
            source.close()
        if log is not None:
            log.close()
        lock.close()
    return path


def _source(
    data: str, photos: Source, config: Config, fabric: Fabric, on_message: Callable[[str], None]
) -> Batches | ResidentBatches | Steps:
    """Choose what makes the batches: a thread, processes, or the device itself."""
    if config.data.resident:
        if not isinstance(photos, Folder):
            raise ConfigError("data.resident is set: --data names a folder of photos then")
        if fabric.world_size > 1:
            raise ConfigError("data.resident is set, which is for one process alone")
        return ResidentBatches(photos, config, fabric.device, on_message)
    if config.data.workers:
        return Steps(data, config, fabric.global_rank, fabric.world_size)
    return Batches(photos, config, fabric.global_rank, fabric.world_size)


def _shares(settings: TrainConfig, world: int) -> str:
    """Say how large a step is and how it is shared: what a recipe's learning rate goes with."""
    batches = "/".join(str(batch) for batch in dict.fromkeys(s.batch for s in settings.stages))
    shared = f" shared by {world} processes" if world > 1 else ""
    parts = f", each in {settings.accumulate} parts" if settings.accumulate > 1 else ""
    return (
        f"batch {batches}{shared}{parts}; learning rate {settings.lr:g}, "
        f"discriminator {settings.discriminator_lr:g}"
    )


def _hardware(fabric: Fabric) -> str:
    one = f"CPU, {torch.get_num_threads()} threads"
    if fabric.device.type == "cuda":
        one = torch.cuda.get_device_name(fabric.device)
    return f"{fabric.world_size} x {one}" if fabric.world_size > 1 else one


def _rate(step: int, settings: TrainConfig, share: float = 0.0) -> float:
    """Give the learning rate's factor: a linear rise, then perhaps half a cosine down to 0.01.

    ``share`` is that of the time which has passed, where time is limited.
    """
    rise = min(1.0, (step + 1) / settings.warmup) if settings.warmup else 1.0
    if not settings.decay:
        return rise
    share = max(share, (step - settings.warmup) / max(1, settings.steps - settings.warmup))
    left = max(0.0, 1 - (1 - share) / settings.cooldown)
    return min(rise, 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, left))))


def _millions(network: nn.Module) -> str:
    return f"{sum(p.numel() for p in network.parameters()) / 1e6:.2f} M"
