"""A person's sketch and strokes of colour, as the network takes them.

A sketch is any picture of lines: what is drawn on a transparent layer, or else whichever of bright
and dark there is less of. Lines count by their middle, whatever their width. Strokes of colour are
what is opaque on a layer. Only what lies inside the hole guides a fill.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from freefill.errors import GuidanceError, ImageError
from freefill.imaging.box import Box
from freefill.imaging.codecs import LUMA
from freefill.imaging.formats import MAX_PIXELS
from freefill.imaging.io import Source, as_array, read_picture
from freefill.imaging.picture import Picture
from freefill.masks.convert import Fit
from freefill.masks.thinning import thin
from freefill.types import GUIDANCE_CHANNELS, Mask

LEFT = 20
"""Of 255: what a line of one pixel still has when a sketch is made up to ten times smaller."""


@dataclass(frozen=True, eq=False)
class Guidance:
    """What a fill is to follow, at the size of the photo.

    Attributes:
        lines: ``(H, W)`` bool; ``None`` without a sketch.
        strokes: The picture of the strokes; ``None`` without any.
        painted: Where it has some, ``(H, W)`` bool; ``None`` without any.
    """

    lines: Mask | None = None
    strokes: Picture | None = None
    painted: Mask | None = None

    @classmethod
    def read(
        cls,
        size: tuple[int, int],
        sketch: Source | Picture | None = None,
        colour: Source | Picture | None = None,
        *,
        fit: Fit = "exact",
        max_pixels: int = MAX_PIXELS,
    ) -> Guidance:
        """Read a sketch and strokes of colour.

        Args:
            size: Height and width of the photo.
            sketch: Lines, as any kind of image; a bool array or tensor is True on lines.
            colour: Strokes of colour, of the same kinds, opaque on a transparent ground. Both may
                be pictures that have been read.
            fit: ``"resize"`` brings them to the photo's size; ``"exact"`` refuses other ones.
            max_pixels: The most that width times height of a file may be.

        Returns:
            The guidance.

        Raises:
            GuidanceError: If one cannot be read, has another size, or the strokes have no
                transparency.

        Examples:
            >>> drawn = np.full((4, 6), 255, np.uint8)
            >>> drawn[2] = 0
            >>> Guidance.read((4, 6), drawn).lines.sum(1).tolist()
            [0, 0, 6, 0]
        """
        lines = strokes = painted = None
        if sketch is not None:
            lines = _fitted(read_lines(sketch, max_pixels=max_pixels), size, fit, "sketch")
        if colour is not None:
            strokes = _read(colour, "strokes", max_pixels)
            if not strokes.has_alpha:
                raise GuidanceError(
                    "strokes of colour lie on a transparent ground: these are a picture of mode "
                    f"{strokes.mode}, without transparency"
                )
            if strokes.size != size:
                _fitted(np.zeros(strokes.size, bool), size, fit, "picture of strokes")
                strokes = read_picture(_resized(strokes, size))
            painted = strokes.alpha() >= 0.5
        return cls(lines, strokes, painted)

    def notices(self, hole: Mask) -> list[str]:
        """Tell what a person should know about it.

        Args:
            hole: What is to be filled.

        Returns:
            A line for each part that lies outside the hole.
        """
        found = []
        for name, marked in (
            ("sketch has no line", self.lines),
            ("strokes have no colour", self.painted),
        ):
            if marked is not None and not (marked & hole).any():
                beyond = f" ({int(marked.sum()):,} pixels outside it)" if marked.any() else ""
                found.append(f"the {name} in the hole{beyond}: nothing is guided by it")
        return found

    def seen(
        self, box: Box, factor: int, size: tuple[int, int], zoom: int = 1
    ) -> NDArray[np.float32]:
        """Give what the network sees of it with a crop.

        Args:
            box: The crop, in pixels of the photo.
            factor: How many times smaller the network sees it.
            size: Height and width that the network computes at, at least those of the crop.
            zoom: How many times larger it sees it than ``factor`` alone says.

        Returns:
            ``(h, w, 5)`` float32: lines of one pixel, where there are strokes, and the strokes'
            mean colours in [-1, 1], 0 elsewhere.
        """
        planes = np.zeros((*size, GUIDANCE_CHANNELS), np.float32)
        rows, columns = (-(-side // factor) * zoom for side in box.size)
        if self.lines is not None:
            lines: Mask = np.asarray(_blocks(self.lines[box.window], factor).any((1, 3)))
            planes[:rows, :columns, 0] = thin(_repeated(lines, zoom))
        if self.strokes is not None and self.painted is not None:
            painted = self.painted[box.window]
            # Colours of what is transparent are anything: they have no part in the means.
            colours = self.strokes.rgb(box) * painted[..., None]
            count = _blocks(painted, factor).sum((1, 3), dtype=np.float32)
            total = np.stack(
                [_blocks(colours[..., c], factor).sum((1, 3)) for c in range(3)], axis=-1
            )
            means = _repeated(total / np.maximum(count, 1)[..., None], zoom)
            there = _repeated(count > 0, zoom)[..., None]
            planes[:rows, :columns, 1:2] = there
            planes[:rows, :columns, 2:] = np.where(there, means * 2 - 1, 0)
        return planes


def read_lines(sketch: Source | Picture, *, max_pixels: int = MAX_PIXELS) -> Mask:
    """Read the lines of a sketch.

    Args:
        sketch: Any kind of image; a bool array or tensor is True on lines.
        max_pixels: The most that width times height of a file may be.

    Returns:
        ``(H, W)`` bool: what is visible on a transparent ground; on an opaque one, whichever of
        bright and dark there is less of.

    Raises:
        GuidanceError: If it cannot be read, or truth values are not ``(H, W)``.
    """
    try:
        array = as_array(sketch)
    except ImageError as error:
        raise GuidanceError(f"sketch: {error}") from None
    if array is not None and array.dtype == bool:
        flat = array[..., 0] if array.ndim == 3 and array.shape[-1] == 1 else array
        if flat.ndim != 2 or flat.size == 0:
            raise GuidanceError(f"a sketch of bool is (H, W) or (H, W, 1), not {array.shape}")
        return flat
    picture = _read(sketch, "sketch", max_pixels)
    if picture.has_alpha:
        visible = picture.alpha() >= 0.5
        if not visible.all():
            return visible
    height, width = picture.size
    bright: Mask = picture.rgb(Box.whole((height, width))) @ LUMA > 0.5
    return ~bright if 2 * int(bright.sum()) > bright.size else bright


def _read(source: Source | Picture, name: str, max_pixels: int) -> Picture:
    try:
        return read_picture(source, max_pixels=max_pixels)
    except ImageError as error:
        raise GuidanceError(f"{name}: {error}") from None


def _fitted(lines: Mask, size: tuple[int, int], fit: Fit, name: str) -> Mask:
    if lines.shape == size:
        return lines
    (height, width), (rows, columns) = size, lines.shape
    if fit != "resize":
        raise GuidanceError(
            f"image is {width}x{height} but the {name} is {columns}x{rows}: resize it, or pass "
            '`fit="resize"`'
        )
    image = Image.fromarray(lines.astype(np.uint8) * 255)
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR)) > LEFT


def _resized(strokes: Picture, size: tuple[int, int]) -> Image.Image:
    height, width = size
    whole = Box.whole(strokes.size)
    rgba = np.dstack([strokes.rgb(whole), strokes.alpha()])
    image = Image.fromarray((rgba * 255).round().astype(np.uint8), "RGBA")
    return image.resize((width, height), Image.Resampling.NEAREST)


def _blocks(plane: NDArray[np.generic], factor: int) -> NDArray[np.generic]:
    """Cut ``(H, W)`` into ``(rows, factor, columns, factor)``, padded by zeros."""
    height, width = plane.shape
    rows, columns = -(-height // factor), -(-width // factor)
    padded = np.pad(plane, ((0, rows * factor - height), (0, columns * factor - width)))
    return padded.reshape(rows, factor, columns, factor)


def _repeated(plane: NDArray[Any], zoom: int) -> NDArray[Any]:
    return plane if zoom == 1 else plane.repeat(zoom, 0).repeat(zoom, 1)
