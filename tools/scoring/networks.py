"""The networks that are scored: each an ONNX file with what its card says, exported if need be."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from freefill.errors import ConfigError, WeightsError
from freefill.lab.export.export import export
from freefill.weights import registry
from freefill.weights.registry import Weights


@dataclass(frozen=True)
class Network:
    """A network.

    Attributes:
        name: What tables call it.
        weights: The ONNX file.
    """

    name: str
    weights: Weights

    def fact(self, key: str) -> Any:
        """Give an entry of the card; None without one."""
        try:
            return self.weights.card.get(key)
        except WeightsError:
            return None


def find(specs: Sequence[str], folder: Path, on_message: Callable[[str], None]) -> list[Network]:
    """Find networks, and export those that are runs: an error shows before anything is filled.

    Args:
        specs: ``NAME=PATH`` each; PATH alone is named by its last part.
        folder: Where exported files go, as ``NAME.onnx`` with card and tensors.
        on_message: Called with lines for people.

    Returns:
        The networks, in this order.

    Raises:
        ConfigError: If a name is taken or not one, or there is nothing at a path.
        CheckpointError, WeightsError: If a run cannot be exported.
    """
    pairs = [_split(spec) for spec in specs]
    names = [name for name, _ in pairs]
    for name in names:
        if not re.fullmatch(r"[A-Za-z0-9._-]+", name):
            raise ConfigError(f"network name {name!r}: only letters, digits and . _ - may be in it")
        if names.count(name) > 1:
            raise ConfigError(f"{names.count(name)} networks are named {name}: use NAME=PATH")
    bundled = [weights.name for weights in registry.list_weights()]
    found = []
    for name, path in pairs:
        if path in bundled or path.endswith(".onnx"):
            found.append(Network(name, registry.find(path)))
            continue
        if not Path(path).exists():
            raise ConfigError(
                f"{name}: there is no {path}; give a bundled name ({', '.join(bundled)}), an .onnx "
                "file, or a run's folder, checkpoint or average weights"
            )
        out = folder / f"{name}.onnx"
        export(Path(path), out, on_message=on_message)
        found.append(Network(name, Weights(name, out)))
    return found


def _split(spec: str) -> tuple[str, str]:
    name, equals, path = spec.partition("=")
    if equals and name and path:
        return name, path
    return Path(spec).stem, spec
