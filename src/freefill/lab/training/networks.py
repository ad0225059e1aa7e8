"""What is trained, and by what: the two networks, their optimizers and the moving average."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer

from freefill.lab.config import Config, TrainConfig
from freefill.lab.models import build_discriminator, build_generator
from freefill.lab.training import checkpoint, processes, start
from freefill.lab.training.ema import Ema
from freefill.lab.training.losses import PerceptualLoss
from freefill.lab.training.start import OnMessage

View = tuple[list[Tensor], list[Tensor], Tensor]
"""What the discriminator looks at: filled, true, and the hole with any guidance."""


@dataclass
class Networks:
    """What is trained, and by what.

    Attributes:
        generator: As several processes share it; so is ``discriminator``.
        discriminator: See above.
        bare_generator: The same weights, called where no gradients of theirs are needed, which
            several processes would wait for; so is ``bare_discriminator``.
        bare_discriminator: See above.
        ema: The moving average of the generator.
        g_optimizer: The generator's.
        d_optimizer: The discriminator's.
        perceptual: The perceptual loss, if it has a weight.
    """

    generator: nn.Module
    discriminator: nn.Module
    bare_generator: nn.Module
    bare_discriminator: nn.Module
    ema: Ema
    g_optimizer: Optimizer
    d_optimizer: Optimizer
    perceptual: PerceptualLoss | None

    def set_rate(self, settings: TrainConfig, factor: float) -> None:
        """Set both learning rates to ``factor`` of what the settings say."""
        for optimizer, base in (
            (self.g_optimizer, settings.lr),
            (self.d_optimizer, settings.discriminator_lr),
        ):
            for group in optimizer.param_groups:
                group["lr"] = base * factor

    def state(self) -> dict[str, Any]:
        """Give what a checkpoint holds of them."""
        return {
            "generator": self.bare_generator.state_dict(),
            "discriminator": self.bare_discriminator.state_dict(),
            "ema": self.ema.network.state_dict(),
            "g_optimizer": self.g_optimizer.state_dict(),
            "d_optimizer": self.d_optimizer.state_dict(),
        }


@dataclass(frozen=True)
class StartingWeights:
    """Weights of other runs to start from, by tensor name; ``None`` for fresh ones."""

    generator: dict[str, Tensor] | None = None
    discriminator: dict[str, Tensor] | None = None


def build(
    fabric: Fabric,
    config: Config,
    run: Path,
    state: dict[str, Any] | None,
    init: StartingWeights,
    on_message: OnMessage,
) -> Networks:
    """Build everything that is trained.

    Args:
        fabric: Joins the processes.
        config: All settings.
        run: The run's folder, for messages.
        state: A checkpoint to go on from.
        init: Weights to start from without one.
        on_message: Called with lines for people.

    Raises:
        CheckpointError: If checkpoint or weights do not fit the networks.
        ReferenceMissingError: If the network of the perceptual loss cannot be brought.
    """
    settings = config.train
    torch.manual_seed(settings.seed)
    generator = build_generator(config.model)
    guided = config.model.guidance if config.guidance.on else 0
    discriminator = build_discriminator(config.model, settings.stages[-1].crop, guided)
    if init.generator is not None:
        start.start_from(generator, init.generator, on_message)
    if init.discriminator is not None:
        start.discriminator_from(discriminator, init.discriminator, on_message)
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
    if state:
        checkpoint.restore(generator, state["generator"], run)
        checkpoint.restore(discriminator, state["discriminator"], run)
        checkpoint.restore(ema.network, state["ema"], run)
        g_optimizer.load_state_dict(state["g_optimizer"])
        d_optimizer.load_state_dict(state["d_optimizer"])
    if not guided and isinstance(getattr(generator, "guide", None), nn.Module):
        # Processes wait for the gradient of every parameter that could have one.
        generator.get_submodule("guide").requires_grad_(False)
    if settings.compile:
        generator.compile()
        discriminator.compile()
    shared_generator, g_optimizer = fabric.setup(generator, g_optimizer)
    shared_discriminator, d_optimizer = fabric.setup(discriminator, d_optimizer)
    return Networks(
        shared_generator, shared_discriminator, generator, discriminator, ema, g_optimizer,
        d_optimizer, perceptual,
    )  # fmt: skip


def _millions(network: nn.Module) -> str:
    return f"{sum(p.numel() for p in network.parameters()) / 1e6:.2f} M"
