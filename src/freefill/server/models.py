"""The weights that a server offers; each network is loaded once, when it is first asked for."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from typing import Any

from freefill.errors import WeightsError, those_there
from freefill.pipeline.engines.devices import Device
from freefill.pipeline.inpainter import Inpainter
from freefill.server.problems import ProblemError
from freefill.server.schemas import Model
from freefill.weights import registry
from freefill.weights.entries import terms_of

log = logging.getLogger(__name__)


class Served:
    """Names to networks. Only these names can be asked for, never a path.

    Args:
        models: Names or ONNX files, the default first; empty: all weights that are here.
        threads: Of each engine.
        device: What computes.

    Raises:
        WeightsError: If there are no such weights, a card of those that were named cannot be read,
            or the default cannot be loaded.
    """

    def __init__(self, models: Sequence[str], threads: int | None, device: Device = "cpu") -> None:
        found = [registry.find(model) for model in models] or registry.list_weights()
        self.threads, self.device = threads, device
        self.default = registry.DEFAULT if not models else found[0].name
        self.weights: dict[str, registry.Weights] = {}
        self.models: dict[str, Model] = {}
        for weights in found:
            try:
                self.models[weights.name] = _described(weights, self.default)
                self.weights[weights.name] = weights
            except WeightsError as error:
                # Whoever named it is told; what only lies in the cache keeps nobody from serving.
                if models or weights.name == self.default:
                    raise
                log.warning("%s is not served: %s", weights.name, error)
        self.loaded: dict[str, Inpainter] = {}
        self.lock = threading.Lock()
        self._load(self.default)

    def check(self, name: str | None) -> str:
        """Give the name that is meant.

        Raises:
            ProblemError: 422 if there is none of that name.
        """
        name = name or self.default
        if name not in self.weights:
            there = those_there(self.weights)
            raise ProblemError(422, "model", f"no model {name!r} is served here: {there}")
        return name

    def get(self, name: str) -> Inpainter:
        """Give a network, loaded.

        Raises:
            ProblemError: 500 if it cannot be loaded.
        """
        try:
            return self._load(name)
        except WeightsError as error:
            # Where it lies is nobody's business.
            log.warning("%s cannot be loaded: %s", name, error)
            detail = f"the model {name!r} cannot be loaded: the server's log tells why"
            raise ProblemError(500, "weights", detail) from None

    def _load(self, name: str) -> Inpainter:
        with self.lock:
            if name not in self.loaded:
                weights = self.weights[name]
                self.loaded[name] = Inpainter(
                    weights.path, threads=self.threads, device=self.device
                )
            return self.loaded[name]

    def list(self) -> list[Model]:
        """Tell what is served, the default first."""
        return sorted(self.models.values(), key=lambda model: not model.default)


def _described(weights: registry.Weights, default: str) -> Model:
    """Say what a file and its card tell, once: later the disk may hold anything."""
    card: dict[str, Any] = weights.card if os.path.lexists(weights.card_path) else {}
    licence, parameters = card.get("licence"), card.get("parameters")
    return Model(
        name=weights.name,
        default=weights.name == default,
        bytes=weights.size,
        licence=licence if isinstance(licence, str) else None,
        terms=terms_of(licence, card.get("trained_on")),
        parameters=parameters if type(parameters) is int else None,
        bundled=weights.is_bundled,
        sketch=card.get("sketch") is True,
    )
