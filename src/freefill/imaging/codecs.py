"""Samples to colours and back, for each way that files store them.

The network wants float32 RGB; a file holds grey, a palette, ink, one bit, 16 bits. Each Pillow
mode has one codec here, from samples to colours and from the colours of filled pixels to samples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from freefill.errors import ImageError
from freefill.types import Rgb

Samples = NDArray[Any]

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Rec. 601, the weights that Pillow's conversion to grey uses."""

NOTED = {
    "P": "a palette image: filled pixels take the nearest of its colours",
    "1": "a 1-bit image: filled pixels are black or white",
    "CMYK": "CMYK: filled pixels are converted without its colour profile",
}
"""What a person should know before filling pictures of these modes."""


def as_grey(rgb: Rgb) -> Rgb:
    """Give colours ``(..., 3)`` as greys of the same luminance."""
    grey: Rgb = np.repeat((rgb @ LUMA)[..., None], 3, -1)
    return grey


@dataclass(frozen=True, eq=False)
class Layout:
    """How samples are to be understood.

    Attributes:
        mode: Pillow's name.
        dtype: Type of the samples.
        palette: ``(N, 3)`` uint8 colours of mode ``P``.
        transparency: Of a palette: the transparent entry, or the opacity of each.
    """

    mode: str
    dtype: np.dtype[Any]
    palette: NDArray[np.uint8] | None = None
    transparency: int | bytes | None = None

    @property
    def peak(self) -> float:
        """The sample value that means full intensity."""
        return 1.0 if self.dtype.kind in "fb" else float(np.iinfo(self.dtype).max)

    def to_rgb(self, samples: Samples) -> Rgb:
        """Give the colours of samples ``(h, w[, C])``, as ``(h, w, 3)`` float32 in [0, 1]."""
        return CODECS[self.mode].to_rgb(self, samples)

    def from_rgb(self, rgb: Rgb) -> Samples:
        """Give the samples, without alpha, of colours ``(n, 3)`` in [0, 1].

        Raises:
            ImageError: If a palette has no colour that can be seen.
        """
        return CODECS[self.mode].from_rgb(self, rgb)


class Codec(NamedTuple):
    """How the samples of a mode become colours and back."""

    to_rgb: Callable[[Layout, Samples], Rgb]
    """Samples of a box to ``(h, w, 3)`` in [0, 1]."""
    from_rgb: Callable[[Layout, Rgb], Samples]
    """Colours ``(n, 3)`` of the filled pixels to their samples, without alpha."""


def _quantise(layout: Layout, values: Rgb) -> Samples:
    """Bring [0, 1] to the range and type of the samples."""
    kind = layout.dtype
    values = np.clip(values, 0, 1)
    if kind.kind == "f":
        return values.astype(kind)
    return cast(Samples, np.rint(values * layout.peak).astype(kind))


def _colour_to_rgb(layout: Layout, samples: Samples) -> Rgb:
    return samples[..., :3].astype(np.float32) / np.float32(layout.peak)


def _grey_to_rgb(layout: Layout, samples: Samples) -> Rgb:
    grey = samples if samples.ndim == 2 else samples[..., 0]
    return np.repeat(grey[..., None].astype(np.float32) / np.float32(layout.peak), 3, axis=2)


def _rgb_to_grey(layout: Layout, rgb: Rgb) -> Samples:
    return _quantise(layout, rgb @ LUMA)


def _rgb_to_grey_column(layout: Layout, rgb: Rgb) -> Samples:
    return _rgb_to_grey(layout, rgb)[:, None]


def _palette_to_rgb(layout: Layout, samples: Samples) -> Rgb:
    assert layout.palette is not None
    # A damaged file may point beyond its palette.
    index = np.minimum(samples, len(layout.palette) - 1)
    return layout.palette[index].astype(np.float32) / np.float32(255)


def _rgb_to_palette(layout: Layout, rgb: Rgb) -> Samples:
    assert layout.palette is not None
    wanted = np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8)
    usable = np.arange(len(layout.palette))
    hidden = layout.transparency
    if isinstance(hidden, int):
        usable = usable[usable != hidden]
    elif isinstance(hidden, bytes):
        opacity = np.full(len(usable), 255)
        opacity[: len(hidden)] = list(hidden[: len(usable)])
        usable = usable[opacity == opacity.max()]
    if not usable.size:
        raise ImageError("the palette has no colour that can be seen")
    # Unused entries repeat the first colour: Pillow would take them for black.
    padded = np.pad(usable, (0, 256 - usable.size), mode="constant", constant_values=usable[0])
    swatches = Image.new("P", (1, 1))
    swatches.putpalette(layout.palette[padded].tobytes())
    row = Image.fromarray(wanted[None])
    nearest = np.asarray(row.quantize(palette=swatches, dither=Image.Dither.NONE))[0]
    index: Samples = padded.astype(np.uint8)[nearest]
    return index


def _cmyk_to_rgb(layout: Layout, samples: Samples) -> Rgb:
    ink = 1 - samples.astype(np.float32) / np.float32(layout.peak)
    return ink[..., :3] * ink[..., 3:]


def _rgb_to_cmyk(layout: Layout, rgb: Rgb) -> Samples:
    rgb = np.clip(rgb, 0, 1)
    brightest = rgb.max(-1, keepdims=True)
    ink = 1 - rgb / np.maximum(brightest, 1e-6)
    return _quantise(layout, np.concatenate([ink, 1 - brightest], -1))


def _bit_from_rgb(layout: Layout, rgb: Rgb) -> Samples:
    bits: Samples = rgb @ LUMA >= 0.5
    return bits


CODECS = {
    "RGB": Codec(_colour_to_rgb, _quantise),
    "RGBA": Codec(_colour_to_rgb, _quantise),
    "L": Codec(_grey_to_rgb, _rgb_to_grey),
    "LA": Codec(_grey_to_rgb, _rgb_to_grey_column),
    "I;16": Codec(_grey_to_rgb, _rgb_to_grey),
    "1": Codec(_grey_to_rgb, _bit_from_rgb),
    "P": Codec(_palette_to_rgb, _rgb_to_palette),
    "CMYK": Codec(_cmyk_to_rgb, _rgb_to_cmyk),
}
