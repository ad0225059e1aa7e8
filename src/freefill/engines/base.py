"""What the pipeline asks of anything that can fill a crop."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Engine(Protocol):
    """Runs one network."""

    name: str
    """For people: what computes, and on how many threads."""

    def predict(self, image: NDArray[np.float32], hole: NDArray[np.float32]) -> NDArray[np.float32]:
        """Predict whole crops.

        Args:
            image: ``(B, 3, H, W)`` float32 RGB in [-1, 1]; what lies inside the hole is ignored.
            hole: ``(B, 1, H, W)`` float32, 1 = fill. H and W are multiples of 16.

        Returns:
            ``(B, 3, H, W)`` float32, about [-1, 1], not clipped.
        """
        ...
