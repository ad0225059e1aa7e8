"""Engines: what computes a network. Only ONNX Runtime is needed to fill.

Which engine opens a file goes by the file's ending.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from freefill.errors import WeightsError
from freefill.registry import Registry
from freefill.weights.file_kinds import explain_torchscript

if TYPE_CHECKING:
    from freefill.pipeline.engines.base import Engine
    from freefill.pipeline.engines.devices import Device

    Opener = Callable[[Path, int | None, Device], Engine]

ENGINES: Registry[Opener] = Registry("engine", home="freefill.pipeline.engines.opening")
"""By the ending of the files that it opens: called with path, number of threads and device."""


def register_engine(ending: str) -> Callable[[Opener], Opener]:
    """Give a decorator that adds an engine; docs/extending.md has an example.

    Args:
        ending: Of the files that it opens, with the dot: ``.onnx``.

    Raises:
        ConfigError: If there is an engine for that ending already.
    """
    return ENGINES.register(ending)


def open_engine(path: Path, threads: int | None = None, device: Device = "cpu") -> Engine:
    """Load a network.

    Args:
        path: A file with an ending that an engine is registered for.
        threads: Threads within one run; by default one for each core this process may use.
        device: What computes.

    Raises:
        WeightsError: If there is no engine for the file, or it cannot be loaded.
        ExtraMissingError: If the engine cannot use the device.
    """
    if path.suffix not in ENGINES:
        explain_torchscript(path)
        raise WeightsError(
            f"{path}: no engine opens files that end in {path.suffix!r}; there are engines for "
            f"{', '.join(ENGINES)}"
        )
    return ENGINES[path.suffix](path, threads, device)
