"""Another shape for a photo: seams of little content go or come, and the network heals them.

Seam carving (:mod:`freefill.vision.seam_carving`) decides where columns and rows are lost or
gained. What is lost brings pixels together that were apart: where that makes a step that neither
side had, the network fills a few pixels anew. What is gained is new, and all of it is filled by the
network.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from freefill.errors import ConfigError
from freefill.imaging.box import Box
from freefill.imaging.codecs import Samples
from freefill.imaging.formats import MAX_PIXELS
from freefill.imaging.io import Source, read_picture
from freefill.imaging.picture import Picture
from freefill.imaging.pillow import to_pillow
from freefill.masks.convert import to_mask
from freefill.masks.morphology import grow
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import FillRequest, Result
from freefill.tasks.calls import chosen, task
from freefill.tasks.options import Option
from freefill.types import Mask, Progress, Rgb
from freefill.vision.seam_carving import KEPT, factor_of, seams

SMALLEST, LARGEST = 0.4, 2.0
"""Of each side, as a share of what it was."""
AT_ONCE = 0.25
"""Share of a side that is gained in one go: more would double the same seams."""
STEP = 0.06
"""Step of colour, mean of the channels, that a joint may have beyond twice what its sides had."""
HEALED = 1
"""Pixels around a joint that are filled anew."""
ROWS = 256
"""Rows whose colours are looked at at a time."""


@task
def retarget(
    image: Source | Picture,
    *,
    width: Annotated[int | None, Option("In pixels; 0.4 to 2 times what it was.", ge=1)] = None,
    height: Annotated[int | None, Option("In pixels; 0.4 to 2 times what it was.", ge=1)] = None,
    aspect: Annotated[
        str | None, Option("WIDTH:HEIGHT, e.g. 4:3, instead of both.", longest=30)
    ] = None,
    keep: Annotated[
        Source | Picture | None, Option("A mask: white where no seam may pass.", file=True)
    ] = None,
    heal: Annotated[bool, Option("Fill joints that show anew.")] = True,
    inpainter: Inpainter | None = None,
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
) -> Result[Any]:
    """Bring a photo to another width, height or aspect without scaling what is in it.

    Args:
        image: The photo.
        width: In pixels; by default what it was. 0.4 to 2 times that.
        height: In the same way.
        aspect: Instead of both, e.g. ``"4:3"``: columns or rows are lost until it is reached.
        keep: A mask of the photo's size, white where no seam may pass: faces, writing, lines.
        heal: Whether joints that show are filled anew; what is gained is filled in any case.
        inpainter: The pipeline; by default that of the default weights, loaded once and kept.
        max_pixels: The most that width times height of any file may be.
        progress: Called with the crops that are done and all there are, of each filling.

    Returns:
        The photo in its new size. Pixels that are not in the result's ``mask`` are the input's,
        moved. ``info`` tells how many columns and rows were gained, less than 0 if lost.

    Raises:
        ConfigError: If nothing would change, or too much would.
        MaskError: If the mask cannot be used.

    Examples:
        >>> photo = np.zeros((40, 64, 3), np.uint8)
        >>> photo[:, 40:50] = 255
        >>> result = retarget(photo, width=48)
        >>> result.image.shape, int((result.image[20] == 255).all(-1).sum())
        ((40, 48, 3), 10)
    """
    picture, inpainter = read_picture(image, max_pixels=max_pixels), chosen(inpainter)
    rows, columns = picture.size
    height, width = _size(picture.size, height, width, aspect)
    kept = np.zeros(picture.size, bool)
    if keep is not None:
        mask = to_pillow(keep) if isinstance(keep, Picture) else keep
        kept = to_mask(mask, picture, max_pixels=max_pixels)[0]
    state = _State(picture, np.zeros(picture.size, bool), kept)
    for more, upright in ((width - columns, True), (height - rows, False)):
        left = more
        while left:
            side = state.picture.size[1 if upright else 0]
            step = max(left, -side) if left < 0 else min(left, max(round(side * AT_ONCE), 1))
            state = _changed(state if upright else state.turned(), step, heal)
            state = state if upright else state.turned()
            assert state.fresh is not None
            filled = inpainter.run(
                FillRequest(state.picture, state.fresh), progress=progress
            ).picture
            state = _State(state.picture.reframed(filled.samples), state.hole, state.keep)
            left -= step
    found: dict[str, float | str] = {"columns": width - columns, "rows": height - rows}
    return Result(state.picture, state.hole, _notices(state.keep), found)


@dataclass(frozen=True)
class _State:
    """A photo on its way."""

    picture: Picture
    hole: Mask
    """All that was filled."""
    keep: Mask
    fresh: Mask | None = None
    """What is to be filled now."""

    def turned(self) -> _State:
        """Swap rows and columns."""
        fresh = None if self.fresh is None else self.fresh.T
        picture = self.picture.reframed(self.picture.samples.swapaxes(0, 1))
        return _State(picture, self.hole.T, self.keep.T, fresh)


def _size(
    size: tuple[int, int], height: int | None, width: int | None, aspect: str | None
) -> tuple[int, int]:
    rows, columns = size
    if aspect is not None:
        if width is not None or height is not None:
            raise ConfigError("give `aspect`, or `width` and `height`, not both")
        found = re.fullmatch(r"(\d+(?:\.\d+)?):(\d+(?:\.\d+)?)", aspect)
        if found is None or not (float(found[1]) > 0 and float(found[2]) > 0):
            raise ConfigError(f"{aspect!r} is no aspect: write WIDTH:HEIGHT, e.g. `aspect=4:3`")
        ratio = float(found[1]) / float(found[2])
        width, height = min(columns, round(rows * ratio)), min(rows, round(columns / ratio))
    if width is None and height is None:
        raise ConfigError("give `width`, `height` or `aspect`")
    height, width = rows if height is None else height, columns if width is None else width
    for name, new, old in (("width", width, columns), ("height", height, rows)):
        if not SMALLEST * old <= new < LARGEST * old:
            raise ConfigError(
                f"{name} {new} is {new / old:.2f} of {old}; {SMALLEST:g} to less than {LARGEST:g} "
                "can be carved: "
                "scale the photo first"
            )
    if (height, width) == size:
        raise ConfigError(f"the photo has {columns}x{rows} already: give another size")
    return height, width


def _notices(keep: Mask) -> tuple[str, ...]:
    if keep.any() and keep.mean() > 0.7:
        return (f"{keep.mean():.0%} of the result was to be kept: seams had to pass through it",)
    return ()


def _changed(state: _State, more: int, heal: bool) -> _State:
    """Take columns out, or put columns in."""
    picture, size = state.picture, state.picture.size
    factor = factor_of(size)
    small, cost = _small(picture, state.keep, factor)
    taken = seams(small, cost, factor, size, abs(more))
    width = size[1] + more
    if more < 0:
        source: NDArray[np.int64] = np.nonzero(~taken)[1].reshape(size[0], width)
        fresh = np.zeros(source.shape, bool)
        if heal:
            fresh = grow(_showing(picture, source), HEALED)
    else:
        # Each pixel of a seam is there twice; the second one is filled.
        columns = np.tile(np.arange(size[1]), size[0])
        source = np.repeat(columns, taken.ravel() + 1).reshape(size[0], width)
        fresh = np.zeros(source.shape, bool)
        fresh[:, 1:] = source[:, 1:] == source[:, :-1]
    hole = np.take_along_axis(state.hole, source, 1) | fresh
    keep = np.take_along_axis(state.keep, source, 1)
    return _State(picture.reframed(_taken(picture.samples, source)), hole, keep, fresh)


def _taken(samples: Samples, source: NDArray[np.int64]) -> Samples:
    index = source.reshape(source.shape + (1,) * (samples.ndim - 2))
    return np.take_along_axis(samples, index, 1)


def _small(picture: Picture, keep: Mask, factor: int) -> tuple[Rgb, NDArray[np.float32]]:
    """Shrink the photo, and give what its pixels cost beside the edges."""
    height, width = picture.size
    small = picture.shrunk(Box.whole((height, width)), factor)
    kept = np.logical_or.reduceat(keep, np.arange(0, height, factor), 0)
    kept = np.logical_or.reduceat(kept, np.arange(0, width, factor), 1)
    return small, kept * np.float32(KEPT)


def _showing(picture: Picture, source: NDArray[np.int64]) -> Mask:
    """Find pixels that meet in a step that neither of them had before."""
    height = len(source)
    bad = np.zeros(source.shape, bool)
    for top in range(0, height, ROWS):
        first, last = max(top - 1, 0), min(top + ROWS, height)
        before = picture.rgb(Box(left=0, top=first, right=picture.size[1], bottom=last))
        at = source[first:last]
        after = np.take_along_axis(before, at[..., None], 1)
        across, down = _step(before, 1), _step(before, 0)
        left, right = at[:, :-1], at[:, 1:]
        natural = np.maximum(
            np.take_along_axis(across, np.minimum(left, across.shape[1] - 1), 1),
            np.take_along_axis(across, np.maximum(right - 1, 0), 1),
        )
        seen = (right - left > 1) & (_step(after, 1) > 2 * natural + STEP)
        part = bad[first:last]
        part[:, :-1] |= seen
        part[:, 1:] |= seen
        if last - first > 1:
            upper, lower = at[:-1], at[1:]
            natural = np.maximum(
                np.take_along_axis(down, upper, 1), np.take_along_axis(down, lower, 1)
            )
            seen = (upper != lower) & (_step(after, 0) > 2 * natural + STEP)
            part[:-1] |= seen
            part[1:] |= seen
    return bad


def _step(rgb: Rgb, axis: int) -> NDArray[np.float32]:
    step: NDArray[np.float32] = np.abs(np.diff(rgb, axis=axis)).mean(-1)
    return step
