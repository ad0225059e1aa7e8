"""A step never waits for the CPU: it runs on torch's meta device, which has no values to give.

There, taking a value to the CPU and a size that depends on the data are errors, as they are waits
on a GPU. The step is the whole one: guidance, all losses, the critic, R1, both optimizers, and the
moving average.
"""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor

from freefill.lab.config import Config, load
from freefill.lab.data import banks, resident
from freefill.lab.data.batches import Batch
from freefill.lab.data.resident import ResidentPhotos
from freefill.lab.models import build_discriminator, build_generator
from freefill.lab.models.lpips import Lpips
from freefill.lab.training.ema import Ema
from freefill.lab.training.losses import PerceptualLoss
from freefill.lab.training.networks import Networks
from freefill.lab.training.step import Step

GUIDED = (
    "guidance.sketch=0.6", "guidance.strokes=0.5", "guidance.drawn=0.5", "loss.sketch=1.0",
    "loss.low=4.0", "loss.lower=1.0", "loss.r1=1.0", "loss.r1_every=1",
    "data.resident=true", "data.synthetic=0.2",
    "model.discriminator='features'", "model.rounds=2",
    "train.stages=[{steps=2, crop=128, batch=4, adversarial=0.05}]",
)  # fmt: skip


class Alone:
    """What a step asks of Fabric, for one process in float32."""

    world_size, global_rank = 1, 0

    def all_reduce(self, value: Tensor) -> Tensor:
        return value

    def autocast(self) -> Any:
        return nullcontext()

    def no_backward_sync(self, *_: object) -> Any:
        return nullcontext()

    def backward(self, loss: Tensor) -> None:
        loss.backward()


def on_meta(config: Config) -> Step:
    with torch.device("meta"):
        generator = build_generator(config.model)
        discriminator = build_discriminator(config.model, 128, 5)
        perceptual = PerceptualLoss(Lpips("vgg"), 32, 2)
    networks = Networks(
        generator, discriminator, generator, discriminator, Ema(generator, 0.99),
        torch.optim.Adam(generator.parameters()), torch.optim.Adam(discriminator.parameters()),
        perceptual,
    )  # fmt: skip
    return Step(cast(Fabric, Alone()), config, networks)


@pytest.mark.parametrize("discriminator", ["features", "patch"])
def test_a_whole_step_takes_no_value_to_the_cpu(discriminator: str) -> None:
    config = load(None, [*GUIDED, f"model.discriminator='{discriminator}'"])
    step = on_meta(config)
    pictures = (torch.zeros(4, channels, 128, 128, device="meta") for channels in (3, 1, 5))
    values = step(0, Batch(*pictures))
    assert {"l1", "low", "lower", "coarse", "match", "sketch", "perceptual", "r1"} <= set(values)
    assert all(value.device.type == "meta" for value in values.values())


def test_a_resident_batch_takes_no_value_to_the_cpu() -> None:
    config = load(None, GUIDED)
    made = object.__new__(resident.ResidentBatches)
    made.config, made.device = config, torch.device("meta")
    made.folder = cast(Any, SimpleNamespace(place=lambda number, side: number % 2))
    views = [np.zeros((128, 160, 3), np.uint8), np.zeros((200, 140, 3), np.uint8)]
    codes = np.zeros(128 * 160 + 200 * 140, np.uint8)
    made.block = (-1, ())
    made.photos = ResidentPhotos(views, codes, torch.device("meta"))
    planes = (banks.holes(8, 128, {"thin": 1.0}, 0), banks.shapes(128, 0), banks.strokes(128, 0))
    made.banks = {128: cast(Any, tuple(plane.to("meta") for plane in planes))}
    batch = made.batch(0)
    assert batch.guidance is not None
    assert batch.guidance.shape == (4, 5, 128, 128)
    assert batch.image.device.type == "meta"


def test_the_meta_device_would_tell() -> None:
    # What the two tests above rest on.
    value = torch.zeros(4, device="meta")
    with pytest.raises((RuntimeError, NotImplementedError)):
        value.sum().item()
    with pytest.raises((RuntimeError, NotImplementedError)):
        value.nonzero()
