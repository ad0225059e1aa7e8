"""Average weights of a run that was made elsewhere: its tensors, and what a card says of it.

A checkpoint holds optimizers and a discriminator and is some hundred megabytes. What a run on
another machine hands over is a folder of small files: ``average.safetensors``, the moving average
(fp16 or float32, named as in a checkpoint's ``ema``), ``discriminator.safetensors``, for who wants
to go on, which may be missing, and ``run.json``, the plain values of the checkpoint
(:data:`NEEDED`, and if it likes ``started_from``, ``source_card``, ``command``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from freefill.errors import CheckpointError, WeightsError
from freefill.files.json_files import read_json
from freefill.lab.export.headers import check_header
from freefill.lab.training import checkpoint

TENSORS = checkpoint.TENSORS
DISCRIMINATOR = checkpoint.DISCRIMINATOR
RUN = checkpoint.FACTS
NEEDED = ("step", "seconds", "cpu_seconds", "photos", "hardware", "config")
"""Keys of ``run.json``, with the meaning that they have in a checkpoint."""


def is_average(run: Path) -> bool:
    """Return whether a path is a folder of average weights, or its tensors.

    Args:
        run: Any path. A folder that holds a checkpoint as well is a run's, not average weights.

    Returns:
        Whether :func:`load` reads it.
    """
    if run.name == TENSORS:
        return (run.parent / RUN).is_file()
    return (run / TENSORS).is_file() and not (run / checkpoint.NAME).exists()


def load(run: Path) -> dict[str, Any]:
    """Read what a run left: its checkpoint, or its average weights.

    Args:
        run: The run's folder, its checkpoint, a folder of average weights, or its
            ``average.safetensors``.

    Returns:
        A checkpoint's state; of average weights only what ``run.json`` holds, and ``ema`` and, if
        it is there, ``discriminator``, float32.

    Raises:
        CheckpointError: If there is none, or it is damaged or not complete.
        WeightsError: If the tensors' file is larger than any of freefill's, or no such file.
    """
    if not is_average(run):
        if run.name == TENSORS and run.exists():
            raise CheckpointError(f"{run.parent / RUN} is missing: it says what {run} is of")
        return checkpoint.load(run)
    folder = run.parent if run.name == TENSORS else run
    state = _read(folder / RUN)
    state["ema"] = _tensors(folder / TENSORS)
    if (folder / DISCRIMINATOR).is_file():
        state["discriminator"] = _tensors(folder / DISCRIMINATOR)
    return state


def _tensors(path: Path) -> dict[str, Tensor]:
    check_header(path)
    try:
        tensors = load_file(path)
    except Exception as error:  # its own exception type derives from Exception alone
        raise WeightsError(f"{path} cannot be read: {error}") from None
    return {name: tensor.float() for name, tensor in tensors.items()}


def _read(path: Path) -> dict[str, Any]:
    try:
        state = read_json(path, CheckpointError, "what a run says")
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from None
    missing = [key for key in NEEDED if key not in state]
    if missing:
        raise CheckpointError(f"{path} lacks {', '.join(missing)}")
    return state
