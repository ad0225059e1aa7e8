"""The weights that a server offers; each network is loaded once, when it is first asked for."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from freefill.pipeline.inpainter import Inpainter
from freefill.server.problems import ProblemError
from freefill.server.schemas import Model
from freefill.weights import registry


class Served:
    """Names to networks. Only these names can be asked for, never a path.

    Args:
        models: Names or ONNX files, the default first; empty: all weights that are here.
        threads: Of each engine.

    Raises:
        WeightsError: If there are no such weights, or the default cannot be loaded.
    """

    def __init__(self, models: Sequence[str], threads: int | None) -> None:
        found = [registry.find(model) for model in models] or registry.list_weights()
        self.weights = {weights.name: weights for weights in found}
        self.threads = threads
        self.default = registry.DEFAULT if not models else found[0].name
        self.loaded: dict[str, Inpainter] = {}
        self.lock = threading.Lock()
        self.get(self.default)

    def check(self, name: str | None) -> str:
        """Give the name that is meant.

        Raises:
            ProblemError: 422 if there is none of that name.
        """
        name = name or self.default
        if name not in self.weights:
            there = ", ".join(self.weights)
            raise ProblemError(422, "model", f"no model {name!r} is served here: there are {there}")
        return name

    def get(self, name: str) -> Inpainter:
        """Give a network, loaded."""
        with self.lock:
            if name not in self.loaded:
                weights = self.weights[name]
                self.loaded[name] = Inpainter(weights.path, threads=self.threads)
            return self.loaded[name]

    def list(self) -> list[Model]:
        """Tell what is served, the default first."""
        names = sorted(self.weights, key=lambda name: name != self.default)
        return [self._model(name) for name in names]

    def _model(self, name: str) -> Model:
        weights = self.weights[name]
        card: dict[str, Any] = weights.card if weights.card_path.is_file() else {}
        licence, parameters = card.get("licence"), card.get("parameters")
        return Model(
            name=name,
            default=name == self.default,
            bytes=weights.size,
            licence=licence if isinstance(licence, str) else None,
            parameters=parameters if isinstance(parameters, int) else None,
            bundled=weights.is_bundled,
            sketch=card.get("sketch") is True,
        )
