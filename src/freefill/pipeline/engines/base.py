"""What the pipeline asks of anything that can fill a crop."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from freefill.errors import WeightsError


class Engine(Protocol):
    """Runs one network.

    It may have ``side``, pixels a side of the crops that it fills best (a multiple of 16), and
    ``notices``, a list of lines that a person should be told, from which they are taken.
    """

    @property
    def name(self) -> str:
        """For people: what computes, and on how many threads."""
        ...

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


def check_predicted(predicted: NDArray[np.float32], shape: tuple[int, ...], name: str) -> None:
    """Refuse what a network gives that are no colours: a file from elsewhere computes anything.

    NumPy would spread another shape over the crops, and clip infinity to white. This costs 1 ms for
    4 million values.

    Args:
        predicted: What :meth:`Engine.predict` gave.
        shape: Of the crops.
        name: Of the weights.

    Raises:
        WeightsError: If the shape is another, or a value is no finite number.
    """
    kind, found = getattr(predicted, "dtype", None), getattr(predicted, "shape", None)
    if found != shape or kind is None or kind.kind != "f":
        what = type(predicted).__name__ if kind is None else f"{kind} {found}"
        raise WeightsError(f"the network {name} gave {what} for crops float32 {shape}")
    finite = np.isfinite(predicted)
    if not finite.all():
        wrong = finite.size - int(np.count_nonzero(finite))
        raise WeightsError(
            f"the network {name} gave {wrong:,} of {finite.size:,} values that are no numbers (NaN "
            "or infinite): its weights are damaged, or it does not take this picture"
        )
