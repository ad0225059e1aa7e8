"""Tries a network from elsewhere on pictures whose fill is known: whether its contract holds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from freefill.imaging.box import Box
from freefill.imaging.io import read_picture
from freefill.masks.presets import free_form
from freefill.pipeline.engines.foreign import ForeignEngine
from freefill.types import Rgb
from freefill.weights.contracts import Channels, Contract

SIDE = 256
"""Pixels of the pictures."""
CLEARLY = 0.97
"""Share of one error below which another is the better one."""
CROPS = 6
"""Of a photo that are filled."""
SAME = 2.0
"""Levels of 255 by which known pixels may differ where the network puts them back."""


@dataclass(frozen=True)
class TwoColours:
    """What became of a red and blue picture.

    Attributes:
        red: Mean colour of the hole in the red half, 0 to 255.
        blue: The same of the blue half.
        known: Mean difference of the known pixels, away from the holes, in levels of 255.
    """

    red: tuple[int, int, int]
    blue: tuple[int, int, int]
    known: float

    def failures(self, contract: Contract) -> list[str]:
        """Say what does not agree with a contract; nothing if all does."""
        lines = []
        if not (self.red[0] > self.red[2] + 40 and self.blue[2] > self.blue[0] + 40):
            swapped = self.red[2] > self.red[0] and self.blue[0] > self.blue[2]
            why = "its colours come out in another order" if swapped else "it does not fill"
            lines.append(f"hues are lost: {why} (network.channels, mask_hole, range)")
        if contract.composites and self.known > SAME:
            lines.append(
                f"known pixels change by {self.known:.1f} of 255, and its card says that it puts "
                "them back: mask_hole and mask_keep, or output_range, may be wrong"
            )
        return lines


def two_colours(engine: ForeignEngine) -> TwoColours:
    """Fill a hole in red and a hole in blue.

    Args:
        engine: The network.

    Returns:
        The colours that it filled with.
    """
    picture = np.empty((SIDE, SIDE, 3), np.float32)
    picture[:, : SIDE // 2] = (0.8, 0.15, 0.1)
    picture[:, SIDE // 2 :] = (0.1, 0.15, 0.8)
    picture += np.random.default_rng(0).normal(0, 0.02, picture.shape).astype(np.float32)
    picture[:] = np.rint(np.clip(picture, 0, 1) * 255) / 255
    hole = np.zeros((SIDE, SIDE), bool)
    rows = slice(SIDE * 3 // 8, SIDE * 5 // 8)
    places = slice(SIDE // 8, SIDE * 3 // 8), slice(SIDE * 5 // 8, SIDE * 7 // 8)
    for columns in places:
        hole[rows, columns] = True
    filled = _filled(engine, picture, hole)
    red, blue = (
        tuple(int(v) for v in np.rint(filled[rows, columns].mean((0, 1)) * 255))
        for columns in places
    )
    # Networks blend over the rim; a quarter of the picture lies away from it.
    far = slice(0, SIDE // 4)
    known = float(np.abs(filled[far] - picture[far]).mean() * 255)
    return TwoColours((red[0], red[1], red[2]), (blue[0], blue[1], blue[2]), known)


def errors_by_order(engine: ForeignEngine, photo: Path) -> dict[Channels, float]:
    """Fill known parts of a photo with its colours in either order, and compare with the truth.

    Args:
        engine: The network.
        photo: Of any size; the more colours, the better.

    Returns:
        Mean error in the holes, in levels of 255, by the order of colours that it was given.

    Raises:
        ImageError: If the photo cannot be read.
    """
    picture = read_picture(photo)
    height, width = picture.size
    errors: dict[Channels, list[float]] = {"rgb": [], "bgr": []}
    for number in range(CROPS):
        rng = np.random.default_rng(number)
        box = _box(height, width, rng)
        colours = picture.rgb(box)
        hole = free_form(*box.size, rng)
        for order, found in errors.items():
            contract = replace(engine.contract, channels=order)
            filled = _filled(ForeignEngine(engine.network, contract), colours, hole)
            found.append(float(np.abs(filled - colours)[hole].mean() * 255))
    return {order: float(np.mean(found)) for order, found in errors.items()}


def _box(height: int, width: int, rng: np.random.Generator) -> Box:
    rows, columns = min(height, 2 * SIDE), min(width, 2 * SIDE)
    top = int(rng.integers(height - rows + 1))
    left = int(rng.integers(width - columns + 1))
    return Box(left=left, top=top, right=left + columns, bottom=top + rows)


def _filled(engine: ForeignEngine, picture: Rgb, hole: NDArray[np.bool_]) -> Rgb:
    image = np.ascontiguousarray(picture.transpose(2, 0, 1)[None]) * 2 - 1
    (predicted,) = engine.predict(image, hole[None, None].astype(np.float32))
    colours: Rgb = np.clip(predicted.transpose(1, 2, 0) / 2 + np.float32(0.5), 0, 1)
    return colours
