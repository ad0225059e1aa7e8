"""Networks from elsewhere: what the pipeline gives is turned into what their contract asks for."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from freefill.errors import WeightsError
from freefill.pipeline.engines.onnx import Network
from freefill.types import Mask, Rgb
from freefill.weights.contracts import Contract, Range

Places = NDArray[np.intp]

MULTIPLE = 16
"""Crops have sides of a multiple of it."""


class ForeignEngine:
    """One network from elsewhere.

    Args:
        network: The file, loaded.
        contract: How it is to be called.
        guessed: Whether the contract is a guess by the file's signature, which a person is told.

    Attributes:
        guided: False: none of them follows guidance.
        side: Pixels a side of the crops that it should be shown.
    """

    guided = False

    def __init__(self, network: Network, contract: Contract, *, guessed: bool = False) -> None:
        self.network, self.contract = network, contract
        self.side = contract.side // MULTIPLE * MULTIPLE
        self.notices = network.notices
        if guessed:
            self.notices.append(
                f"{network.path.name} is taken for {contract.kind}, by its inputs and outputs: "
                "`freefill weights verify` checks it on a picture"
            )

    @property
    def name(self) -> str:
        """For people: what computes, and on how many threads."""
        return f"{self.contract.kind}, {self.network.name}"

    def predict(
        self,
        image: NDArray[np.float32],
        hole: NDArray[np.float32],
        guidance: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Predict whole crops; see :class:`freefill.pipeline.engines.base.Engine`.

        Raises:
            WeightsError: If a crop is larger than the network takes, or the network fails.
            MemoryError: If there is no room for what it computes.
            StoppedRunError: If another thread ended the run.
        """
        # One at a time: most of them are made for one, and all are slow enough.
        pairs = zip(image, hole[:, 0] > 0, strict=True)
        return np.stack([self._one(picture, gap) for picture, gap in pairs])

    def _one(self, picture: NDArray[np.float32], gap: Mask) -> NDArray[np.float32]:
        """Fill one crop, ``(3, H, W)`` in [-1, 1]."""
        contract = self.contract
        colours: Rgb = picture.transpose(1, 2, 0) / np.float32(2) + np.float32(0.5)
        colours = prepare_hole(colours, gap, contract)
        height, width = gap.shape
        rows, columns = (_padded(side, contract) for side in gap.shape)
        if rows < height or columns < width:
            raise WeightsError(
                f"{self.network.path.name} takes {contract.side}x{contract.side}, the crop has "
                f"{width}x{height}"
            )
        # Mirrored: an edge that is drawn out would be continued as stripes into the hole.
        beyond = (0, rows - height), (0, columns - width)
        colours = np.pad(colours, (*beyond, (0, 0)), "symmetric")
        gap = np.pad(gap, beyond, "symmetric")
        given = {contract.image: self._image(colours), contract.mask: self._mask(gap)}
        found = self._colours(self.network.run(contract.output, given), (rows, columns))
        return np.ascontiguousarray(found[:height, :width].transpose(2, 0, 1)) * 2 - 1

    def _image(self, colours: Rgb) -> NDArray[np.generic]:
        low, high = self.contract.range
        if self.contract.channels == "bgr":
            colours = colours[..., ::-1]
        values = colours * np.float32(high - low) + np.float32(low)
        return self._as_tensor(_typed(values, self.contract.dtype))

    def _mask(self, gap: Mask) -> NDArray[np.generic]:
        values = np.where(gap, self.contract.mask_hole, self.contract.mask_keep)
        return self._as_tensor(_typed(values, self.contract.mask_dtype)[..., None])

    def _as_tensor(self, values: NDArray[np.generic]) -> NDArray[np.generic]:
        ordered = values.transpose(2, 0, 1) if self.contract.layout == "NCHW" else values
        return np.ascontiguousarray(ordered[None])

    def _colours(self, output: NDArray[np.generic], size: tuple[int, int]) -> Rgb:
        """Make the output colours ``(h, w, 3)`` in about [0, 1], RGB."""
        expected = (1, 3, *size) if self.contract.layout == "NCHW" else (1, *size, 3)
        kind = getattr(output, "dtype", np.dtype(object)).kind
        if getattr(output, "shape", None) != expected or kind not in "fiu":
            what = f"{getattr(output, 'dtype', type(output).__name__)} {np.shape(output)}"
            raise WeightsError(
                f"the network {self.network.path.name} gave {what} for {self.contract.kind}, which "
                f"gives numbers of shape {expected}"
            )
        planes = output[0].astype(np.float32)
        colours = planes.transpose(1, 2, 0) if self.contract.layout == "NCHW" else planes
        if self.contract.channels == "bgr":
            colours = colours[..., ::-1]
        return _unscaled(colours, self.contract.output_range)


def prepare_hole(colours: Rgb, gap: Mask, contract: Contract) -> Rgb:
    """Put into the hole what a network expects there: never what the photo hides under it.

    Args:
        colours: ``(H, W, 3)`` in [0, 1].
        gap: ``(H, W)``, True where to fill.
        contract: Of the network.

    Returns:
        The same with other colours in the hole.
    """
    if not gap.any():
        return colours
    result = colours.copy()
    result[gap] = 0.0 if contract.in_hole == "black" else 0.5
    if contract.in_hole == "nearest" and not gap.all():
        result[gap] = colours[~gap].mean(0)  # where row and column have nothing known
        reached, rows, columns = _nearest_known(gap)
        result[reached] = colours[rows, columns]
    return result


def _nearest_known(gap: Mask) -> tuple[Mask, Places, Places]:
    """Find, for pixels of a hole, the nearest known pixel in their row or column.

    Returns:
        Which pixels of the hole have one, ``(H, W)``, and the row and column of it for each.
    """
    row, column = np.indices(gap.shape)
    beyond = 4 * sum(gap.shape)
    left = np.maximum.accumulate(np.where(gap, -beyond, column), 1)
    right = np.minimum.accumulate(np.where(gap, beyond, column)[:, ::-1], 1)[:, ::-1]
    above = np.maximum.accumulate(np.where(gap, -beyond, row), 0)
    below = np.minimum.accumulate(np.where(gap, beyond, row)[::-1], 0)[::-1]
    distances = np.stack([column - left, right - column, row - above, below - row])
    way = distances.argmin(0)
    reached = gap & (distances.min(0) < beyond // 2)
    rows = np.choose(way, [row, row, above, below])[reached]
    columns = np.choose(way, [left, right, column, column])[reached]
    return reached, rows, columns


def _padded(side: int, contract: Contract) -> int:
    if contract.fixed:
        return contract.side
    return -(-side // contract.multiple) * contract.multiple


def _typed(values: NDArray[np.generic], dtype: str) -> NDArray[np.generic]:
    if re.match("u?int", dtype):
        limits = np.iinfo(dtype)
        values = np.clip(np.rint(values), limits.min, limits.max)
    return values.astype(dtype)


def _unscaled(colours: Rgb, scale: Range) -> Rgb:
    low, high = scale
    result: Rgb = (colours - np.float32(low)) / np.float32(high - low)
    return result
