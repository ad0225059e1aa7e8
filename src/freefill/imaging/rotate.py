"""Turning a picture: as its file's orientation says, or by any angle, in its own samples.

By any angle it is Pillow's bicubic transform, one channel at a time in floats: it has no mode for
16-bit colour, and 8 bits would be rounded before the transform's overshoot is cut off.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from freefill.imaging.box import Box
from freefill.imaging.codecs import Samples
from freefill.imaging.picture import Picture
from freefill.types import Mask

Size = tuple[int, int]
Affine = tuple[float, float, float, float, float, float]

EDGE = 0.499
"""Pixels of the border within which nothing could be interpolated, only continued: half of one,
less what arithmetic may be off."""
ROWS = 256
"""Rows whose places in the photo are computed at a time."""


def apply_orientation(samples: Samples, orientation: int) -> Samples:
    """Turn samples ``(H, W[, C])`` as an EXIF orientation, 1 to 8, asks for."""
    if orientation >= 5:
        samples = samples.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    return np.ascontiguousarray(samples)


def undo_orientation(samples: Samples, orientation: int) -> Samples:
    """Undo :func:`apply_orientation`: give samples as they lie in the file."""
    # Each is its own inverse, but for the two quarter turns, which are each other's.
    return apply_orientation(samples, {6: 8, 8: 6}.get(orientation, orientation))


def expanded(size: Size, angle: float) -> Size:
    """Give the size of the smallest canvas that holds a whole picture when it is turned.

    Args:
        size: Its height and width.
        angle: Degrees.

    Returns:
        Height and width.

    Examples:
        >>> expanded((300, 400), 0), expanded((300, 400), 90), expanded((300, 400), -30)
        ((300, 400), (400, 300), (460, 497))
    """
    cosine, sine = (abs(f(math.radians(angle))) for f in (math.cos, math.sin))
    height, width = size
    # A side that is whole but for the last bit is whole.
    sides = height * cosine + width * sine, width * cosine + height * sine
    return math.ceil(sides[0] - 1e-6), math.ceil(sides[1] - 1e-6)


def turned(picture: Picture, angle: float, size: Size | None = None) -> tuple[Picture, Mask]:
    """Turn a picture about its middle.

    Args:
        picture: Of any mode. Colours of a palette and of one bit are the nearest to the
            interpolated ones; a palette with transparent entries is not interpolated at all.
        angle: Degrees anticlockwise.
        size: Height and width of the canvas; by default the picture's own.

    Returns:
        The turned picture, and ``(H, W)`` bool, where the canvas lies beyond it: any colours are
        there, with the opacity of the nearest pixel of the picture.
    """
    size = size or picture.size
    affine = _affine(angle, picture.size, size)
    samples = _turned(picture, affine, size)
    beyond = np.zeros(size, bool)
    for first, x, y in _places(affine, size):
        height, width = picture.size
        outside = (x < EDGE) | (y < EDGE) | (x > width - EDGE) | (y > height - EDGE)
        beyond[first : first + len(x)] = outside
        if picture.has_alpha:
            row = np.clip(y[outside], 0, height - 1).astype(np.intp)
            column = np.clip(x[outside], 0, width - 1).astype(np.intp)
            samples[first : first + len(x)][outside, -1] = picture.samples[row, column, -1]
    return picture.reframed(samples), beyond


def _affine(angle: float, size: Size, canvas: Size) -> Affine:
    """Give what takes places of the canvas to those of the picture."""
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    x, y = canvas[1] / 2, canvas[0] / 2
    return (
        *(cosine, -sine, size[1] / 2 - cosine * x + sine * y),
        *(sine, cosine, size[0] / 2 - sine * x - cosine * y),
    )


def _places(
    affine: Affine, size: Size
) -> Iterator[tuple[int, NDArray[np.float64], NDArray[np.float64]]]:
    """Give where the middles of the canvas's pixels lie in the picture, some rows at a time."""
    a, b, c, d, e, f = affine
    column = np.arange(size[1]) + 0.5
    for first in range(0, size[0], ROWS):
        row = np.arange(first, min(first + ROWS, size[0]))[:, None] + 0.5
        yield first, a * column + b * row + c, d * column + e * row + f


def _turned(picture: Picture, affine: Affine, size: Size) -> Samples:
    layout, source = picture.layout, picture.samples
    if picture.mode == "P" and "transparency" in picture.info:
        return _plane(source, affine, size, Image.Resampling.NEAREST).astype(source.dtype)
    if picture.mode in ("P", "1"):
        colours = picture.rgb(Box.whole(picture.size))
        turned = np.stack([_plane(colours[..., i], affine, size) for i in range(3)], -1)
        return layout.from_rgb(turned.reshape(-1, 3)).reshape(size)
    if source.ndim == 2:
        return _whole(_plane(source, affine, size), picture)
    samples = np.empty((*size, source.shape[2]), source.dtype)
    opacity: NDArray[np.float32] | None = None
    if picture.has_alpha:
        alpha = source[..., -1].astype(np.float32)
        opacity = _plane(alpha, affine, size)
        samples[..., -1] = _whole(opacity, picture)
        opacity = np.maximum(opacity, np.float32(1e-3 * layout.peak))
    for channel in range(source.shape[2] - picture.has_alpha):
        plane = source[..., channel].astype(np.float32)
        if opacity is None:
            samples[..., channel] = _whole(_plane(plane, affine, size), picture)
        else:
            # What cannot be seen must not bleed into what can.
            plane = _plane(plane * alpha, affine, size) / opacity
            samples[..., channel] = _whole(plane, picture)
    return samples


def _plane(
    plane: Samples,
    affine: Affine,
    size: Size,
    resampling: Image.Resampling = Image.Resampling.BICUBIC,
) -> NDArray[np.float32]:
    image = Image.fromarray(np.ascontiguousarray(plane, np.float32))
    return np.asarray(
        image.transform(size[::-1], Image.Transform.AFFINE, affine, resampling), np.float32
    )


def _whole(plane: NDArray[np.float32], picture: Picture) -> Samples:
    """Bring interpolated values back to the range and type of a picture's samples."""
    kind = picture.samples.dtype
    values = np.clip(plane, 0, picture.layout.peak)
    return values.astype(kind) if kind.kind == "f" else np.rint(values).astype(kind)
