"""The training loop, read top to bottom: one generator, one discriminator, no hidden steps.

What "Free-Form Image Inpainting with Gated Convolution" prescribes is kept where it fits a small
network (hinge SN-PatchGAN on the composite, one discriminator step to each generator step, l1 on
the raw prediction); the perceptual loss, the moving average and the stages of crop size are
additions. The two steps share one batch and its composites, so that the generator runs once, unless
``train.separate_batches`` is set.

Several processes make each step together: every one computes its share of the batch, and gradients
are averaged (DDP). A recipe's batch is that of all processes, so its learning rate needs no change.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from freefill import losses
from freefill.config import Config, StageConfig, TrainConfig, from_dict
from freefill.data.batches import Batch, Batches, Steps
from freefill.data.sources import open_source
from freefill.errors import TrainingError
from freefill.layers.copying import cell_means
from freefill.models import build_discriminator, build_generator
from freefill.models.feature_critic import FeatureCritic
from freefill.training import checkpoint, previews, processes, start
from freefill.training.ema import Ema
from freefill.training.log import Log
from freefill.training.means import Means, add, check_finite


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
    origin: str = "random weights",
    source_card: dict[str, Any] | None = None,
    command: str = "",
    stop_at: int | None = None,
    say: Callable[[str], None] = print,
    report: Callable[[Progress], None] = lambda _: None,
) -> Path:
    """Train a generator on photos.

    Processes that were started together train together; they part by
    :func:`freefill.training.processes.leave`.

    Args:
        data: Folder of photos, searched with its subfolders; or WebDataset shards, see
            :func:`freefill.data.shards.list_shards`.
        run: Folder of the run; made if needed, and refused if it holds a run already.
        config: All settings; a resumed run takes its own from its checkpoint.
        resume: Go on from the run's last checkpoint.
        init: Weights of the generator to start from.
        origin: What those are, for the card.
        source_card: The card of those: their licence and sources go with what is made of them.
        command: What a person typed, for the card.
        stop_at: Stop, with a checkpoint, after this many steps in all.
        say: Called with lines for people, in the first process alone.
        report: Called with the progress of each logged step, in the first process alone.

    Returns:
        The last checkpoint.

    Raises:
        DataError: If photos cannot be read.
        CheckpointError: If the run exists and ``resume`` is not set, cannot be resumed, or is being
            written to.
        TrainingError: If a loss is not a number, or `torchrun` has been killed.
    """
    # The settings of a resumed run lie in its checkpoint, which one process reads for all of them.
    fabric = processes.launch("32-true")
    parent, lock = os.getppid(), ExitStack()
    alone = fabric.global_rank == 0
    warn = say
    if not alone:
        say, report = (lambda _: None), (lambda _: None)
    state = processes.on_first(
        fabric, lambda: start.prepare(run, resume or processes.restarted(run))
    )
    if state:
        config = from_dict(state["config"])
        origin, command = state["started_from"], state["command"]
        source_card = state.get("source_card")
        say(f"resuming {run} at step {state['step']} of {config.train.steps}")
    settings, weights = config.train, config.loss
    fabric = processes.launch(start.precision_of(settings))

    # Photos first: a file that cannot be read is named before anything is made or computed. One
    # process a machine decodes them.
    photos = processes.once_a_machine(
        fabric, lambda: open_source(str(data), config.data, settings.seed, say, warn)
    )
    processes.on_first(fabric, lambda: lock.enter_context(start.held(run)))
    if alone:
        (run / "config.toml").write_text(config.to_toml())
    say(f"{photos.photos} photos to train on, {len(photos.held)} to look at")
    if state and state["photos"] != photos.photos:
        say(
            f"the checkpoint was trained on {state['photos']} photos: from here on the run differs "
            "from an uninterrupted one"
        )
    batches = Batches(photos, config, fabric.global_rank, fabric.world_size)
    say(_shares(settings, fabric.world_size))
    preview = previews.Preview(photos.held, settings.stages[-1].crop)

    torch.manual_seed(settings.seed)
    generator = build_generator(config.model)
    guided = config.model.guidance if config.guidance.on else 0
    discriminator = build_discriminator(config.model, settings.stages[-1].crop, guided)
    if init is not None:
        start.start_from(generator, init, say)
    if settings.channels_last:
        start.channels_last(generator)
        start.channels_last(discriminator)
    ema = Ema(generator, settings.ema)
    ema.network.to(fabric.device)
    say(f"generator {_millions(generator)}, discriminator {_millions(discriminator)} parameters")
    perceptual = processes.once_a_machine(
        fabric, lambda: start.perceptual_loss(config, fabric.device, say)
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
    # These share their weights with what Fabric wraps. They are called where no gradients of theirs
    # are wanted, which several processes would wait for.
    bare_generator, bare_discriminator = generator, discriminator
    if settings.compile:
        generator.compile()
        discriminator.compile()
    generator, g_optimizer = fabric.setup(generator, g_optimizer)
    discriminator, d_optimizer = fabric.setup(discriminator, d_optimizer)

    def keep(step: int) -> Path:
        return checkpoint.save(
            run,
            {
                "step": step,
                "seconds": seconds,
                "cpu_seconds": cpu,
                "photos": photos.photos,
                "hardware": _hardware(fabric),
                "started_from": origin,
                "source_card": source_card,
                "command": command,
                "config": config.to_dict(),
                "generator": bare_generator.state_dict(),
                "discriminator": bare_discriminator.state_dict(),
                "ema": ema.network.state_dict(),
                "g_optimizer": g_optimizer.state_dict(),
                "d_optimizer": d_optimizer.state_dict(),
            },
        )

    def discriminate(step: int, views: list[View]) -> dict[str, Tensor]:
        """Take the discriminator's step: true pictures above 1, filled ones below -1."""
        values: dict[str, Tensor] = {}
        for number, (fake, real, conditions) in enumerate(views, 1):
            penalise = weights.r1 > 0 and step % weights.r1_every == 0
            if penalise:
                real = [r.detach().requires_grad_() for r in real]
            pairs = [torch.cat(pair) for pair in zip(real, fake, strict=True)]
            with fabric.no_backward_sync(discriminator, number < len(views)):
                scores = discriminator(*pairs, conditions.repeat(2, 1, 1, 1))
                real_scores, fake_scores = scores.float().chunk(2)
                d_loss = losses.hinge_discriminator(real_scores, fake_scores)
                add(values, "discriminator", d_loss, len(views))
                add(values, "score_real", real_scores.mean(), len(views))
                add(values, "score_fake", fake_scores.mean(), len(views))
                if penalise:
                    penalty = losses.r1(real_scores, real)
                    add(values, "r1", penalty, len(views))
                    d_loss = d_loss + weights.r1 / 2 * weights.r1_every * penalty
                fabric.backward(d_loss / len(views))
        d_optimizer.step()
        d_optimizer.zero_grad(set_to_none=True)
        return values

    def generate(
        stage: StageConfig, parts: list[Batch], windows: Sequence[Tensor], near: Tensor | None
    ) -> tuple[dict[str, Tensor], list[View]]:
        """Take the generator's step: l1 on the prediction, the other losses on the composite.

        What the discriminator looks at, filled and true, is kept for its own step.
        """
        values: dict[str, Tensor] = {}
        views: list[View] = []
        for number, part in enumerate(parts):
            with fabric.no_backward_sync(generator, number + 1 < len(parts)):
                output = _output(generator, part)
                predicted = output["filled"].float()
                filled = composite(predicted, part)
                filled_view, true_view, conditions = [filled], [part.image], part.conditions
                error = losses.l1(predicted, part.image, part.hole, weights.known)
                g_loss = weights.l1 * error
                add(values, "l1", error, len(parts))
                if weights.low:
                    local = cell_means(predicted)
                    error = losses.coarse_l1(local, part.image, part.hole, weights.known)
                    g_loss = g_loss + weights.low * error
                    add(values, "low", error, len(parts))
                if "coarse" in output:
                    coarse = output["coarse"].float()
                    error = losses.coarse_l1(coarse, part.image, part.hole, weights.known)
                    g_loss = g_loss + weights.coarse * error
                    add(values, "coarse", error, len(parts))
                if "match" in output:
                    g_loss = g_loss + weights.match * output["match"]
                    add(values, "match", output["match"], len(parts))
                if weights.sketch and part.guidance is not None:
                    lines = part.guidance[:, :1]
                    error = losses.edge_difference(predicted, part.image, lines, near)
                    g_loss = g_loss + weights.sketch * error
                    add(values, "sketch", error, len(parts))
                if perceptual is not None:
                    with fabric.autocast():
                        look = perceptual(filled, part.image, part.conditions, windows[number])
                    g_loss = g_loss + weights.perceptual * look.distance
                    add(values, "perceptual", look.distance, len(parts))
                    if isinstance(bare_discriminator, FeatureCritic):
                        # Its first stage is the picture nearly as it is, at full resolution.
                        filled_view, true_view = look.filled[1:], look.true[1:]
                        conditions = look.conditions
                if stage.adversarial:
                    bare_discriminator.requires_grad_(False)
                    with fabric.autocast():
                        scores = bare_discriminator(*filled_view, conditions)
                    bare_discriminator.requires_grad_(True)
                    score = losses.hinge_generator(scores.float())
                    g_loss = g_loss + stage.adversarial * score
                    add(values, "adversarial", score, len(parts))
                views.append(([v.detach() for v in filled_view], true_view, conditions))
                add(values, "generator", g_loss, len(parts))
                fabric.backward(g_loss / len(parts))
        g_optimizer.step()
        g_optimizer.zero_grad(set_to_none=True)
        return values, views

    log = Log(run, first) if alone else None
    last = min(settings.steps, stop_at or settings.steps)
    clock, cpu_clock, marked, step = time.monotonic(), time.process_time(), first, first
    means = Means()
    path = run / checkpoint.NAME
    source = batches.ahead(first)
    if config.data.workers:
        source = Steps(str(data), config, fabric.global_rank, fabric.world_size).ahead(first)
    try:
        for step in range(first, last):
            if processes.orphaned(parent):
                raise TrainingError(
                    f"torchrun has been killed: stopped; {path} is the last checkpoint"
                )
            stage = settings.stage_at(step)
            batch, *own = [made.to(fabric.device) for made in next(source)]
            rate = _rate(step, settings)
            for optimizer, base in (
                (g_optimizer, settings.lr),
                (d_optimizer, settings.discriminator_lr),
            ):
                for group in optimizer.param_groups:
                    group["lr"] = base * rate
            values: dict[str, Tensor] = {}
            parts = batch.parts(settings.accumulate)
            windows: Sequence[Tensor] = ()
            near = None
            if perceptual is not None:
                windows = _windows(perceptual, step, settings, fabric)
            if weights.sketch and batch.guidance is not None:
                # Shares and parts of a batch have more or fewer lines.
                near = fabric.all_reduce(losses.near_lines(batch.guidance[:, :1])) / len(parts)

            if own and stage.adversarial:
                with torch.no_grad():
                    views = [
                        _view(bare_generator, fabric, part) for part in own[0].parts(len(parts))
                    ]
                values |= discriminate(step, views)

            made, views = generate(stage, parts, windows, near)
            values |= made
            if stage.adversarial and not own:
                values |= discriminate(step, views)
            ema.update(bare_generator, step)

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
            if done % settings.save_every == 0 or done == last:
                path = keep(done) if alone else path
    except KeyboardInterrupt:
        # The step that was cut off is not counted; the weights are those of the last whole one only
        # at a checkpoint, so nothing is written here.
        say(f"stopped in step {step + 1}; go on with --resume from {path}")
        raise
    finally:
        source.close()  # type: ignore[attr-defined]
        if log is not None:
            log.close()
        lock.close()
    return path


View = tuple[list[Tensor], list[Tensor], Tensor]
"""What the discriminator looks at: filled, true, and the hole with any guidance."""


def _output(generator: nn.Module, batch: Batch) -> dict[str, Tensor]:
    given = () if batch.guidance is None else (batch.guidance,)
    output = generator(batch.image, batch.hole, *given)
    return {"filled": output} if isinstance(output, Tensor) else output


def _view(generator: nn.Module, fabric: Fabric, batch: Batch) -> View:
    with fabric.autocast():
        filled = _output(generator, batch)["filled"]
    return [composite(filled, batch)], [batch.image], batch.conditions


def _windows(
    perceptual: losses.PerceptualLoss, step: int, settings: TrainConfig, fabric: Fabric
) -> list[Tensor]:
    """Draw the windows of a step, and give those of this process's share, part by part.

    They depend on the step alone: there is nothing to save.
    """
    source = torch.Generator().manual_seed(settings.seed * 1_000_003 + step)
    batch = settings.stage_at(step).batch
    drawn = perceptual.draw(batch, source)
    mine = drawn[:, 1:].chunk(fabric.world_size, 1)[fabric.global_rank]
    return [torch.cat([drawn[:, :1], part], 1) for part in mine.chunk(settings.accumulate, 1)]


def composite(predicted: Tensor, batch: Batch) -> Tensor:
    """Put the prediction into the hole and the photo around it, ``(B, 3, H, W)``."""
    return predicted.float() * batch.hole + batch.image * (1 - batch.hole)


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


def _rate(step: int, settings: TrainConfig) -> float:
    """Give the learning rate's factor: a linear rise, then perhaps half a cosine down to 0.01."""
    if step < settings.warmup:
        return (step + 1) / settings.warmup
    if not settings.decay:
        return 1.0
    share = (step - settings.warmup) / max(1, settings.steps - settings.warmup)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))


def _millions(network: nn.Module) -> str:
    return f"{sum(p.numel() for p in network.parameters()) / 1e6:.2f} M"
