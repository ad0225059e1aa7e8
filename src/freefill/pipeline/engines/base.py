"""What the pipeline asks of anything that can fill a crop."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Engine(Protocol):
    """Runs one network."""

    name: str
    """For people: what computes, and on how many threads."""

    guided: bool
    """Whether the network can follow guidance."""

    def predict(
        self,
        image: NDArray[np.float32],
        hole: NDArray[np.float32],
        guidance: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Predict whole crops.

        Args:
            image: ``(B, 3, H, W)`` float32 RGB in [-1, 1]; what lies inside the hole is ignored.
            hole: ``(B, 1, H, W)`` float32, 1 = fill. H and W are multiples of 16.
            guidance: ``(B, 5, H, W)`` float32 as :class:`freefill.pipeline.guidance.Guidance` gives
                it, 0 outside the hole; only where the engine is ``guided``.

        Returns:
            ``(B, 3, H, W)`` float32, about [-1, 1], not clipped.
        """
        ...
