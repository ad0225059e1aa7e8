"""Opens an ONNX file: one of freefill's own networks, or one from elsewhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from freefill.pipeline.engines import register_engine
from freefill.pipeline.engines.devices import Device
from freefill.pipeline.engines.foreign import ForeignEngine
from freefill.pipeline.engines.onnx import Network, OnnxEngine, is_own
from freefill.weights.contracts import recognise
from freefill.weights.registry import Weights

if TYPE_CHECKING:
    from freefill.pipeline.engines.base import Engine


@register_engine(".onnx")
def open_onnx(path: Path, threads: int | None = None, device: Device = "cpu") -> Engine:
    """Load a network, and find out how it is to be called.

    Args:
        path: An ONNX file.
        threads: Threads within one run; by default one for each core this process may use.
        device: What computes.

    Returns:
        Its engine.

    Raises:
        WeightsError: If the file cannot be loaded, or is no network that freefill knows.
        ConfigError: If threads or device have an impossible value.
        ExtraMissingError: If this ONNX Runtime cannot use the device.
    """
    network = Network(path, threads, device)
    if is_own(network):
        return OnnxEngine(path, threads, device, network)
    weights = Weights(path.stem, path)
    card = weights.card if os.path.lexists(weights.card_path) else {}
    contract, guessed = recognise(path, card, network.inputs, network.outputs)
    return ForeignEngine(network, contract, guessed=guessed)
