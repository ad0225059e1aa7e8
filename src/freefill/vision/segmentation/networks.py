"""The networks that segmenters use, bundled or fetched: found, loaded once, and kept."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import onnxruntime

from freefill.pipeline.engines.cpu_count import available_cores
from freefill.pipeline.engines.onnx import open_session
from freefill.types import Rgb
from freefill.weights import third_party

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)
"""Of ImageNet's colours, which both networks were trained on."""

_kept: dict[Path, tuple[int, onnxruntime.InferenceSession]] = {}
_lock = threading.Lock()


def is_there(*names: str) -> bool:
    """Tell whether networks come with freefill or have been fetched.

    Args:
        *names: Keys of :data:`freefill.weights.third_party.MODELS`.

    Returns:
        Whether all are there.
    """
    return all(third_party.find(name) is not None for name in names)


def session(name: str) -> onnxruntime.InferenceSession:
    """Give a network that is there.

    Args:
        name: A key of :data:`freefill.weights.third_party.MODELS`.

    Returns:
        Its session, which is kept for the next time.

    Raises:
        ReferenceMissingError: If it has not been fetched.
        WeightsError: If it cannot be loaded.
    """
    path = third_party.path(name)
    state = path.stat().st_mtime_ns
    with _lock:
        if path not in _kept or _kept[path][0] != state:
            _kept[path] = state, open_session(path, available_cores())
        return _kept[path][1]


def planes(rgb: Rgb) -> Rgb:
    """Bring colours ``(h, w, 3)`` in [0, 1] to what the networks take, ``(1, 3, h, w)``."""
    return np.ascontiguousarray(((rgb - MEAN) / DEVIATION).transpose(2, 0, 1)[None])
