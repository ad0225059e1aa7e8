"""What no frame shows is made up by the network."""

from __future__ import annotations

import numpy as np

from freefill.imaging.box import Box, bounds
from freefill.imaging.io import read_picture
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import FillRequest
from freefill.types import Mask
from freefill.video.frames import CELL, Coding, Plane


def paint(planes: list[Plane], cells: Mask, coding: Coding, inpainter: Inpainter) -> None:
    """Fill cells of one frame.

    Args:
        planes: The frame's, which are changed inside the cells and nowhere else.
        cells: What to fill, with at least one cell.
        coding: How the frame is to be understood.
        inpainter: The pipeline.
    """
    height, width = coding.size
    rgb = coding.to_rgb(planes)[:height, :width]
    deep = coding.depth > 8
    peak = np.float32(65535 if deep else 255)
    samples = np.rint(rgb * peak).astype(np.uint16 if deep else np.uint8)
    hole = cells.repeat(CELL, 0).repeat(CELL, 1)[:height, :width]
    filled = inpainter.run(FillRequest(read_picture(samples), hole)).picture
    box = bounds(cells)
    assert box is not None
    pixels = Box.of([side * CELL for side in box.corners])
    inside = Box(
        left=pixels.left,
        top=pixels.top,
        right=min(pixels.right, width),
        bottom=min(pixels.bottom, height),
    )
    # Cells at the border of an odd size reach beyond it.
    beyond = [(0, most - own) for most, own in zip(pixels.size, inside.size, strict=True)]
    colours = np.pad(filled.rgb(inside), [*beyond, (0, 0)], "edge")
    for i, plane in enumerate(coding.from_rgb(colours)):
        new = coding.spread(cells[box.window], i)
        planes[i][coding.window(box, i)][new] = plane[new]
