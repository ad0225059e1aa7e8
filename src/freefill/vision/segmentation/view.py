"""A part of a picture at the size that a segmenter looks at it, and masks back to the picture."""

from __future__ import annotations

import numpy as np
from PIL import Image

from freefill.imaging.box import Box
from freefill.imaging.picture import Picture
from freefill.types import Plane, Rgb


def look(picture: Picture, box: Box, size: tuple[int, int]) -> Rgb:
    """Give the colours in a box, resized.

    Args:
        picture: Of any size.
        box: Which part.
        size: Height and width of the result.

    Returns:
        ``(h, w, 3)`` float32 in [0, 1].
    """
    height, width = box.size
    factor = max(1, min(height // size[0], width // size[1]))
    small = picture.shrunk(box, factor)
    return np.stack([resized(small[..., channel], size) for channel in range(3)], -1)


def resized(plane: Plane, size: tuple[int, int]) -> Plane:
    """Resize a plane of floats, with a linear filter that takes in every pixel.

    Args:
        plane: ``(H, W)``.
        size: Height and width of the result.

    Returns:
        ``(h, w)`` float32.
    """
    if plane.shape == size:
        return plane
    image = Image.fromarray(plane.astype(np.float32))
    return np.asarray(image.resize(size[::-1], Image.Resampling.BILINEAR))


def size_for(box: Box, longest: int) -> tuple[int, int]:
    """Give the size at which a box is looked at, so that its longer side is not above a limit.

    Args:
        box: Of the picture.
        longest: The limit, in pixels.

    Returns:
        Height and width, at least 1.

    Examples:
        >>> size_for(Box.whole((1000, 500)), 100), size_for(Box.whole((30, 20)), 100)
        ((100, 50), (30, 20))
    """
    share = min(1.0, longest / max(box.size))
    return max(1, round(box.size[0] * share)), max(1, round(box.size[1] * share))


def around(box: Box, margin: float, size: tuple[int, int], least: int = 0) -> Box:
    """Widen a box by a share of its sides.

    Args:
        box: Of the picture.
        margin: What is added on each side, as a share of the box's longer side.
        size: Height and width of the picture, beyond which it does not go.
        least: Pixels that are added at the least.

    Returns:
        The wider box.

    Examples:
        >>> around(Box(left=10, top=10, right=30, bottom=20), 0.5, (100, 35))
        Box(left=0, top=0, right=35, bottom=30)
    """
    more = max(round(max(box.size) * margin), least)
    return Box(
        left=max(box.left - more, 0),
        top=max(box.top - more, 0),
        right=min(box.right + more, size[1]),
        bottom=min(box.bottom + more, size[0]),
    )
