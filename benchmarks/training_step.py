"""Where a training step spends its time, and how many crops a second a machine makes.

    python benchmarks/training_step.py --data photos/ [--config configs/light.toml] [--rounds 3]

Takes the parts of a step in turn, in one process and on the threads that are given: the batch (on a
thread of its own in training), the generator and the perceptual loss forwards and backwards, the
critic's step, the optimizer with the moving average; then the whole step. Prints milliseconds for
a crop, shares of the whole, and crops a second of each way to make batches.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric

from freefill.lab.config import Config, load
from freefill.lab.data.batches import Batches
from freefill.lab.data.resident import ResidentBatches
from freefill.lab.data.sources import Folder, open_source
from freefill.lab.models import build_discriminator, build_generator
from freefill.lab.training import start
from freefill.lab.training.ema import Ema
from freefill.lab.training.generator_step import composite
from freefill.lab.training.networks import Networks
from freefill.lab.training.step import Step


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--crop", type=int, default=256)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--resident", action="store_true", help="measure resident batches as well")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    stage = f"train.stages=[{{steps=64,crop={given.crop},batch={given.batch},adversarial=0.05}}]"
    config = load(given.config, [stage, "data.holdout=0"])
    photos = open_source(given.data, config.data, 0, print)
    batches = Batches(photos, config)
    ways: dict[str, Callable[[int], Any]] = {"batch, cut by one thread": batches.batch}
    if given.resident and isinstance(photos, Folder):
        resident = ResidentBatches(photos, config, torch.device("cpu"), print)
        ways["batch, from resident photos, on this device"] = resident.batch
    parts = ways | steps(config, batches)
    spent: dict[str, list[float]] = {name: [] for name in parts}
    for number in range(given.rounds + 1):
        for name, take in parts.items():
            begun = time.perf_counter()
            take(number)
            spent[name].append(time.perf_counter() - begun)
    whole = min(spent["the whole step"][1:])
    print(f"| part | ms a crop | share of a step | crops a second |\n{'| --- ' * 4}|")
    for name, times in spent.items():
        # The first round warms up.
        least = min(times[1:])
        one = least / given.batch
        print(f"| {name} | {one * 1e3:.1f} | {least / whole:.2f} | {1 / one:.1f} |")
    print(f"{given.threads} threads, crops of {given.crop}, batch {given.batch}, least of "
          f"{given.rounds} rounds")  # fmt: skip


def steps(config: Config, batches: Batches) -> dict[str, Callable[[int], Any]]:
    """Give the parts of a step, each to be called with a number."""
    fabric = Fabric(accelerator="cpu", devices=1, precision=start.precision_of(config.train))
    generator = build_generator(config.model)
    guided = config.model.guidance if config.guidance.on else 0
    critic = build_discriminator(config.model, config.train.stages[-1].crop, guided)
    for network in (generator, critic):
        start.channels_last(network)
    perceptual = start.perceptual_loss(config, fabric.device, print)
    wrapped, g_optimizer = fabric.setup(
        generator, torch.optim.Adam(generator.parameters(), config.train.lr)
    )
    judge, d_optimizer = fabric.setup(critic, torch.optim.Adam(critic.parameters()))
    ema = Ema(generator, config.train.ema)
    networks = Networks(
        wrapped, judge, generator, critic, ema, g_optimizer, d_optimizer, perceptual
    )
    step = Step(fabric, config, networks)
    batch = batches.batch(0)
    kept: dict[str, Any] = {}

    def forwards(_: int) -> None:
        given = () if batch.guidance is None else (batch.guidance,)
        output = wrapped(batch.image, batch.hole, *given)
        kept["output"], kept["filled"] = output, composite(output["filled"], batch)

    def perceive(number: int) -> None:
        assert perceptual is not None
        drawn = perceptual.draw(len(batch.image), torch.Generator().manual_seed(number))
        kept["leaf"] = kept["filled"].detach().requires_grad_()
        with fabric.autocast():
            seen = perceptual(
                kept["leaf"], batch.image, batch.conditions, drawn[:, 0].tolist(), drawn[:, 1:]
            )
        kept["perceptual"] = seen
        fabric.backward(seen.distance)

    def backwards(_: int) -> None:
        output = kept["output"]
        terms = [output["filled"].square().mean(), output["coarse"].square().mean()]
        fabric.backward(torch.stack([*terms, output["match"]]).sum())

    def judged(number: int) -> None:
        seen = kept["perceptual"]
        filled = [view.detach() for view in seen.filled[1:]]
        step.discriminate(number, [(filled, seen.true[1:], seen.conditions)])

    def optimise(number: int) -> None:
        g_optimizer.step()
        g_optimizer.zero_grad(set_to_none=True)
        ema.update(generator, number)

    parts: dict[str, Callable[[int], Any]] = {"generator, forwards": forwards}
    if perceptual is not None:
        parts["perceptual loss, both ways"] = perceive
    parts["generator, backwards"] = backwards
    if config.model.discriminator == "features" and perceptual is not None:
        parts["critic's step"] = judged
    return parts | {
        "optimizer and average": optimise,
        "the whole step": lambda number: np.array(list(step(number, batch).values())),
    }


if __name__ == "__main__":
    main()
