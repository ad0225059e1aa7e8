"""Contact sheets: photo, hole and result side by side, because metrics do not see a seam."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from freefill.imaging.box import Box
from freefill.imaging.picture import Picture
from freefill.types import Mask

HOLE = np.array([1.0, 0.16, 0.43], np.float32)
GAP = 8
CAPTION = 20
INK = (235, 235, 235)
PAPER = (24, 24, 27)


def panel(before: Picture, hole: Mask, after: Picture, side: int = 384) -> Image.Image:
    """Draw one fill as three pictures in a row: input, hole in colour, result.

    Args:
        before: The photo.
        hole: ``(H, W)`` bool.
        after: The result, of the same size.
        side: Longest side of each picture, in pixels; larger ones are shrunk.

    Returns:
        An RGB image.
    """
    height, width = before.size
    whole = Box.whole((height, width))
    first, last = before.rgb(whole), after.rgb(whole)
    marked = np.where(hole[..., None], 0.35 * first + 0.65 * HOLE, first)
    return row([_fitted(pixels, side) for pixels in (first, marked, last)])


def sheet(
    panels: Sequence[tuple[str, Image.Image]],
    columns: int = 2,
    heads: Sequence[str] = ("input", "hole", "filled"),
) -> Image.Image:
    """Arrange panels with captions on one page.

    Args:
        panels: Caption and panel of each.
        columns: Panels in a row.
        heads: What the pictures of a panel are, told once at the top.

    Returns:
        An RGB image.

    Raises:
        ValueError: If there are no panels.
    """
    if not panels:
        raise ValueError("a sheet needs at least one panel")
    font = ImageFont.load_default(13)
    columns = min(columns, len(panels))
    width = max(image.width for _, image in panels)
    rows = [panels[i : i + columns] for i in range(0, len(panels), columns)]
    heights = [max(image.height for _, image in line) + CAPTION + GAP for line in rows]
    page = Image.new("RGB", (columns * (width + 2 * GAP), sum(heights) + CAPTION + 2 * GAP), PAPER)
    draw = ImageDraw.Draw(page)
    draw.text((GAP, GAP // 2), "  |  ".join(heads), INK, font)
    top = CAPTION + GAP
    for line, height in zip(rows, heights, strict=True):
        for i, (caption, image) in enumerate(line):
            left = i * (width + 2 * GAP) + GAP
            draw.text((left, top), caption, INK, font)
            page.paste(image, (left, top + CAPTION))
        top += height
    return page


def _fitted(pixels: NDArray[np.float32], side: int) -> Image.Image:
    image = Image.fromarray((np.clip(pixels, 0, 1) * 255 + 0.5).astype(np.uint8))
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return image


def row(images: Sequence[Image.Image]) -> Image.Image:
    """Put images side by side; the first one's height is the row's."""
    width = sum(image.width for image in images) + GAP * (len(images) - 1)
    strip = Image.new("RGB", (width, images[0].height), PAPER)
    left = 0
    for image in images:
        strip.paste(image, (left, 0))
        left += image.width + GAP
    return strip
