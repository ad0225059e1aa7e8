"""freefill: free-form image inpainting.

``freefill.fill(image, mask)`` fills the white part of a mask. Importing this package loads nothing
heavy; names are loaded when they are first used.
"""

from __future__ import annotations

import logging
import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from freefill.errors import FreefillError, FreefillWarning
    from freefill.pipeline.fill import fill, fill_file
    from freefill.pipeline.inpainter import Inpainter
    from freefill.weights.registry import list_weights

__version__ = "0.1.0"

# From 1.29 on ONNX Runtime tells its makers of the models that it loads, keeps an identifier of the
# machine in the user's cache, and reads this when it is imported. "0" lets it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# What is logged goes nowhere until whoever uses the library says where.
logging.getLogger(__name__).addHandler(logging.NullHandler())

_PLACES = {
    "FreefillError": "freefill.errors",
    "FreefillWarning": "freefill.errors",
    "Inpainter": "freefill.pipeline.inpainter",
    "fill": "freefill.pipeline.fill",
    "fill_file": "freefill.pipeline.fill",
    "list_weights": "freefill.weights.registry",
}

__all__ = [
    "FreefillError",
    "FreefillWarning",
    "Inpainter",
    "__version__",
    "fill",
    "fill_file",
    "list_weights",
]


if not TYPE_CHECKING:  # to a type checker, any name would be there

    def __getattr__(name: str) -> Any:
        if name not in _PLACES:
            raise AttributeError(f"module 'freefill' has no attribute {name!r}")
        value = getattr(import_module(_PLACES[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
