"""Where a run stands: how far it is, what it was made of, and its checkpoints."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from freefill.lab.config import Config
from freefill.lab.data.sources import Source
from freefill.lab.training import checkpoint
from freefill.lab.training.networks import Networks


@dataclass(frozen=True)
class Provenance:
    """What the card of a run's weights says of where they come from.

    Attributes:
        started_from: What the first weights were.
        source_card: The card of those.
        command: What a person typed.
    """

    started_from: str
    source_card: dict[str, Any] | None
    command: str

    @classmethod
    def of(cls, state: dict[str, Any], more: str = "") -> Provenance:
        """Read it from a checkpoint.

        Args:
            state: The checkpoint.
            more: What a person typed to go on otherwise than before.
        """
        command = " && ".join(filter(None, (state["command"], more)))
        return cls(state["started_from"], state.get("source_card"), command)


@dataclass
class RunState:
    """A run as it is now.

    Attributes:
        fabric: Joins the processes.
        run: Its folder.
        config: All settings.
        photos: What it trains on.
        networks: What is trained.
        provenance: Where it comes from.
        step: Steps that are done.
        seconds: Time that they took, up to the last row of the log.
        cpu_seconds: Processor's time of all processes.
    """

    fabric: Fabric
    run: Path
    config: Config
    photos: Source
    networks: Networks
    provenance: Provenance
    step: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes files."""
        return bool(self.fabric.global_rank == 0)

    @property
    def checkpoint(self) -> Path:
        """The run's checkpoint."""
        return self.run / checkpoint.NAME

    def facts(self) -> dict[str, Any]:
        """Give the plain values of a checkpoint."""
        return {
            "step": self.step,
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
            "photos": self.photos.photos,
            "hardware": _hardware(self.fabric),
            "started_from": self.provenance.started_from,
            "source_card": self.provenance.source_card,
            "command": self.provenance.command,
            "config": self.config.to_dict(),
        }

    def save(self) -> None:
        """Write a checkpoint, in the first process alone."""
        if self.is_first:
            checkpoint.save(self.run, {**self.facts(), **self.networks.state()})

    def save_average(self) -> None:
        """Write the average weights, in the first process alone."""
        if self.is_first:
            networks = self.networks
            checkpoint.save_average(
                self.run, self.facts(), networks.ema.network, networks.bare_discriminator
            )


def _hardware(fabric: Fabric) -> str:
    one = f"CPU, {torch.get_num_threads()} threads"
    if fabric.device.type == "cuda":
        one = torch.cuda.get_device_name(fabric.device)
    return f"{fabric.world_size} x {one}" if fabric.world_size > 1 else one
