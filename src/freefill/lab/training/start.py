"""Where a run starts: its folder, its networks, and weights given to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from freefill.errors import CheckpointError, ReferenceMissingError
from freefill.lab.config import Config, TrainConfig
from freefill.lab.models.lpips import Lpips
from freefill.lab.training import checkpoint, losses
from freefill.weights import third_party
from freefill.weights.lock import file_lock

OnMessage = Callable[[str], None]
LOCK = ".lock"


@contextmanager
def run_lock(run: Path) -> Iterator[None]:
    """Keep other runs out of a run's folder.

    Raises:
        CheckpointError: If another one is in it.
    """
    run.mkdir(parents=True, exist_ok=True)

    def refuse() -> None:
        raise CheckpointError(
            f"another run is writing to {run}: wait for its end, or choose another --out"
        )

    with file_lock(run / LOCK, refuse):
        yield


def prepare(run: Path, resume: bool) -> dict[str, Any] | None:
    """Check a run's folder.

    Returns:
        The state to go on from, if that is asked for.

    Raises:
        CheckpointError: If the run cannot be gone on with, or exists where it should not.
    """
    if resume:
        if run.is_file():
            raise CheckpointError(f"{run} is a file: --out names the folder of the run")
        return checkpoint.load(run)
    if (run / checkpoint.NAME).exists():
        raise CheckpointError(f"{run} holds a run already: add --resume, or choose another --out")
    if run.exists() and not run.is_dir():
        raise CheckpointError(f"{run} is a file: --out names the folder of the run")
    return None


def precision_of(settings: TrainConfig) -> Any:
    """Choose the precision, by what the hardware computes in."""
    if settings.precision != "auto":
        return settings.precision
    if torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    return "bf16-mixed" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else "32-true"


def fast_math() -> None:
    """Let a GPU compute float32 products in TF32, and choose its convolutions by measuring."""
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True


def channels_last(module: nn.Module) -> None:
    """Lay a network's weights out channels last."""
    # The annotation of Module.to knows no memory_format alone.
    cast(Any, module).to(memory_format=torch.channels_last)


def perceptual_loss(
    config: Config, device: torch.device, on_message: OnMessage
) -> losses.PerceptualLoss | None:
    """Build the perceptual loss, or none where it has no weight.

    Raises:
        ReferenceMissingError: If its network is not here and cannot be brought.
    """
    if not config.loss.perceptual:
        return None
    file = Path(config.loss.perceptual_network)
    if not config.loss.perceptual_network:
        file = third_party.fetch("lpips_vgg", on_message)
    elif not file.is_file():
        raise ReferenceMissingError(f"loss.perceptual_network: {file} is not there")
    metric = Lpips.load(file, "vgg").to(device)
    if config.train.channels_last:
        channels_last(metric)
    return losses.PerceptualLoss(
        metric, config.loss.perceptual_size, config.loss.perceptual_windows
    )


def start_from(generator: nn.Module, init: dict[str, Tensor], on_message: OnMessage) -> None:
    """Give a network the weights that fit it.

    Args:
        generator: Takes them.
        init: Tensors by name.
        on_message: Called with how many fit.

    Raises:
        CheckpointError: If less than half of them fits, or they make up less than a quarter of it.
    """
    own = generator.state_dict()
    fitting = {k: v.float() for k, v in init.items() if k in own and own[k].shape == v.shape}
    taken = sum(v.numel() for v in fitting.values())
    # An unguided file has no guidance branch, which starts at zero anyway.
    total = sum(v.numel() for k, v in own.items() if not k.startswith("guide."))
    given = sum(v.numel() for v in init.values())
    if 2 * taken < given or 4 * taken < total:
        raise CheckpointError(
            f"the weights to start from do not fit this network: {len(fitting)} of its {len(own)} "
            f"tensors are in them with the same shape, {taken:,} of {total:,} parameters"
        )
    generator.load_state_dict(own | fitting)
    fresh = sorted(k for k in own if k not in fitting and not k.startswith("guide."))
    on_message(f"starting from {taken:,} given parameters of {total:,}")
    if fresh:
        on_message(f"{len(fresh)} tensors start fresh, not given in this shape: {fresh[0]} first")


def discriminator_from(
    discriminator: nn.Module, init: dict[str, Tensor], on_message: OnMessage
) -> None:
    """Give a discriminator the weights of another one, if it is of the same kind.

    Args:
        discriminator: Takes them.
        init: Tensors by name.
        on_message: Called with whether they fit.
    """
    own = discriminator.state_dict()
    if any(k not in init or init[k].shape != v.shape for k, v in own.items()):
        on_message("the discriminator starts fresh: the one that was given is of another kind")
        return
    discriminator.load_state_dict({k: init[k].float() for k in own})
    on_message("the discriminator goes on from the one that was given")
