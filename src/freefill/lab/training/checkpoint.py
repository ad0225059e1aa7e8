"""Checkpoints: one dict with everything, written beside the old one and then renamed over it.

A run's folder holds ``last.pt`` (everything), ``config.toml``, ``log.csv``, TensorBoard events and
previews.
"""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as serialise
from torch import Tensor, nn

from freefill.errors import CheckpointError

FORMAT = 1
NAME = "last.pt"
AVERAGE = "average"
"""Folder of average weights below a run's, and what is in it:"""
TENSORS = "average.safetensors"
DISCRIMINATOR = "discriminator.safetensors"
FACTS = "run.json"


def save(run: Path, state: dict[str, Any]) -> Path:
    """Write a checkpoint so that a kill at any moment leaves the old or the new one whole.

    Args:
        run: The run's folder.
        state: Tensors and plain values only.

    Returns:
        The file.
    """
    target = run / NAME
    partial = run / f"{NAME}.partial"
    with partial.open("wb") as file:
        torch.save(state | {"format": FORMAT}, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(target)
    return target


def save_average(
    run: Path, facts: dict[str, Any], average: nn.Module, discriminator: nn.Module
) -> Path:
    """Write what weights can be made of, and gone on with, elsewhere: small, and for everyone.

    Args:
        run: The run's folder.
        facts: The plain values of a checkpoint.
        average: The moving average of the generator.
        discriminator: The discriminator.

    Returns:
        A folder with ``average.safetensors`` and ``discriminator.safetensors``, both in fp16, and
        ``run.json``, the facts.
    """
    folder = run / AVERAGE
    folder.mkdir(exist_ok=True)
    files = {FACTS: json.dumps(facts, indent=1).encode()}
    for name, network in ((TENSORS, average), (DISCRIMINATOR, discriminator)):
        state = network.state_dict()
        files[name] = serialise({k: v.half().cpu().contiguous() for k, v in state.items()})
    for name, content in files.items():
        partial = folder / f"{name}.partial"
        partial.write_bytes(content)
        partial.replace(folder / name)
    return folder


def load(run: Path) -> dict[str, Any]:
    """Read a run's checkpoint.

    Args:
        run: The run's folder, or the checkpoint itself.

    Returns:
        The state, on the CPU.

    Raises:
        CheckpointError: If there is none, or it is damaged or of another format.
    """
    path = run / NAME if run.is_dir() else run
    if not path.exists():
        raise CheckpointError(f"{path} does not exist: there is no run to go on with")
    try:
        # weights_only: a checkpoint is data, and may come from somebody else.
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{path} cannot be read as a checkpoint: {reason}") from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        found = state.get("format") if isinstance(state, dict) else type(state).__name__
        raise CheckpointError(f"{path} has checkpoint format {found}; this freefill reads {FORMAT}")
    return state


def restore(network: nn.Module, tensors: dict[str, Tensor], run: Path) -> None:
    """Load a checkpoint's tensors into the network that its configuration builds.

    Args:
        network: Takes the tensors, all of them.
        tensors: One of the state's dicts of tensors.
        run: The run, for the message.

    Raises:
        CheckpointError: If they do not fit: the run was made by a version of another architecture.
    """
    own = {name: value.shape for name, value in network.state_dict().items()}
    given = {name: value.shape for name, value in tensors.items()}
    wrong = sorted(name for name in own.keys() | given if own.get(name) != given.get(name))
    if wrong:
        raise CheckpointError(
            f"{run} was made by a version of freefill with another network: {len(wrong)} tensors "
            f"differ, {wrong[0]} among them. Start a new run with `init_from={run}`"
        )
    network.load_state_dict(tensors)
