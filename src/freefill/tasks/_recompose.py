"""Move or scale a part of a photo: fill where it was, blend where it lands.

The vacated place is filled by the network, a little wider than the part, because outlines are soft.
Where the part lands it gets a soft edge, and where its edge runs through ground that came along
with it, the step of colour to the new ground is spread as a membrane
(:mod:`freefill.vision.compositing`). Inside a clean outline, pixels that were moved by whole pixels
are the input's samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from PIL import Image

from freefill.errors import ConfigError, MaskError, plural
from freefill.imaging.box import Box
from freefill.imaging.codecs import Samples
from freefill.imaging.formats import MAX_PIXELS
from freefill.imaging.io import Source, read_picture
from freefill.imaging.picture import Picture
from freefill.masks.morphology import grow as grow_hole
from freefill.masks.region import Corners, to_region, whole_numbers
from freefill.pipeline.blending import spread
from freefill.pipeline.inpainter import LARGEST_GROWTH, Inpainter
from freefill.pipeline.request import FillRequest, Result
from freefill.tasks.calls import chosen, task
from freefill.tasks.options import Option
from freefill.types import Mask, Progress, Rgb
from freefill.vision.compositing import (
    Share,
    continuity,
    likeness,
    local_means,
    membrane,
    rim,
    soft,
)

SMALLEST, LARGEST = 0.05, 20.0
"""Scales that are taken."""
SEEN = 0.5 / 255
"""Change of colour below which a sample is left as it is."""
AROUND = 4
"""Pixels around the part that are looked at."""


@task
def recompose(
    image: Source | Picture,
    mask: Annotated[Source | Picture | None, Option("White = what moves.", file=True)] = None,
    *,
    box: Annotated[
        Corners | None, Option("Of what moves, without a mask.", form="L,T,R,B", longest=60)
    ] = None,
    by: Annotated[
        Sequence[int] | None,
        Option("Pixels to the right and down.", form="DX,DY", longest=30),
    ] = None,
    to: Annotated[
        Sequence[int] | None,
        Option("Where its top left corner comes to lie.", form="X,Y", longest=30),
    ] = None,
    scale: Annotated[float, Option("How much larger it becomes.", ge=SMALLEST, le=LARGEST)] = 1.0,
    grow: Annotated[
        int | None,
        Option(
            "Pixels by which the hole it leaves is wider; by default a 128th of the longer side.",
            ge=0,
            le=LARGEST_GROWTH,
            error=MaskError,
        ),
    ] = None,
    blend: Annotated[bool, Option("Take the step of colour out where ground came along.")] = True,
    inpainter: Inpainter | None = None,
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
) -> Result[Any]:
    """Move a part of a photo, scale it, or both.

    Args:
        image: The photo.
        mask: What is moved: a mask of the photo's size, white = in it.
        box: Instead of a mask: left, top, right and bottom of what is moved.
        by: ``(right, down)``: pixels by which its centre moves.
        to: Column and row, from 0, of where the top left corner of its bounds comes to lie; not
            together with ``by``. It may lie beyond the photo in part.
        scale: How much larger it becomes, 0.05 to 20; about its centre, unless ``to`` is given.
        grow: Pixels by which the hole it leaves is wider than it; by default a 128th of the
            photo's longer side, 2 to 16.
        blend: Whether the step of colour is taken out where ground came along; without it only
            the edge is softened.
        inpainter: The pipeline; by default that of the default weights, loaded once and kept.
        max_pixels: The most that width times height of any file may be.
        progress: Called with the crops that are done and all there are.

    Returns:
        The photo, of the same size; ``info`` tells the box where the part lies now and the share
        of it whose colours were changed.

    Raises:
        MaskError: If mask or box cannot be used, or neither or both are given.
        ConfigError: If nothing would change, or the part would land beyond the photo.

    Examples:
        >>> photo = np.full((64, 64, 3), 200, np.uint8)
        >>> photo[10:20, 10:20] = 20
        >>> moved = recompose(photo, box=(10, 10, 20, 20), by=(30, 0))
        >>> moved.image[15, [15, 45]].tolist()
        [[200, 200, 200], [20, 20, 20]]
    """
    picture = read_picture(image, max_pixels=max_pixels)
    moved, bounds = to_region(mask, box, picture, "what moves", max_pixels=max_pixels)
    target = _target(picture.size, bounds, by, to, scale)
    if grow is None:
        grow = min(max(round(max(picture.size) / 128), 2), 16)
    vacated = grow_hole(moved, grow)
    if vacated.all():
        raise ConfigError(
            f"the part and {plural(grow, 'pixel')} around it are the whole image: nothing is "
            "left to fill from; move a smaller part"
        )
    ground = chosen(inpainter).run(FillRequest(picture, vacated), progress=progress).picture
    if ground.has_alpha:
        ground = _with_alpha(ground, vacated)
    part = _cut(picture, moved, bounds, target)
    corrected = 0.0
    if blend:
        part, corrected = _fitted(part, ground, target)
    landed, share = _landed(part, ground, target)
    where = f"{target.size[1]}x{target.size[0]} at ({target.left}, {target.top})"
    found: dict[str, float | str] = {"now": where, "corrected": corrected}
    notices = _notices(picture.size, target)
    return Result(picture.changed(landed), vacated & (share < 1), notices, found)


@dataclass(frozen=True)
class _Part:
    """What is moved, in its size at the target, with a margin of :data:`AROUND`."""

    colours: Rgb
    opacity: Share
    """Of its own samples."""
    share: Share
    """How much of it is seen."""
    mask: Mask
    continued: Share
    """Along the rim: how likely it is that the ground came along."""
    samples: Samples | None
    """Its samples, if it is moved by whole pixels."""


def _target(
    size: tuple[int, int],
    box: Box,
    by: Sequence[int] | None,
    to: Sequence[int] | None,
    scale: float,
) -> Box:
    if by is not None and to is not None:
        raise ConfigError("`by` and `to` both say where the part goes: give one of them")
    rows, columns = (max(round(side * scale), 1) for side in box.size)
    if rows * columns > 4 * size[0] * size[1]:
        raise ConfigError(
            f"scaled by {scale:g} the part is {columns}x{rows}, more than 4 times the image of "
            f"{size[1]}x{size[0]}: scale it less"
        )
    if to is not None:
        left, top = whole_numbers(to, "to", "left, top")
    else:
        right, down = (0, 0) if by is None else whole_numbers(by, "by", "right, down")
        left = box.left + right + (box.size[1] - columns) // 2
        top = box.top + down + (box.size[0] - rows) // 2
    target = Box(left=left, top=top, right=left + columns, bottom=top + rows)
    if target == box:
        raise ConfigError("the part stays where it is: give `by`, `to`, or a `scale` other than 1")
    if target.bottom <= 0 or target.right <= 0 or target.top >= size[0] or target.left >= size[1]:
        raise ConfigError(
            f"the part of {columns}x{rows} would lie at ({left}, {top}), all of it beyond the "
            f"image of {size[1]}x{size[0]}: move it less far, or 'remove' it"
        )
    return target


def _notices(size: tuple[int, int], target: Box) -> tuple[str, ...]:
    inside = Box(
        left=max(target.left, 0),
        top=max(target.top, 0),
        right=min(target.right, size[1]),
        bottom=min(target.bottom, size[0]),
    )
    if inside == target:
        return ()
    return (f"{1 - inside.area / target.area:.0%} of the part's box lies beyond the image",)


def _with_alpha(ground: Picture, vacated: Mask) -> Picture:
    """Continue the opacity of the surroundings into the hole: an object leaves no silhouette."""
    known = np.dstack([np.repeat(ground.alpha()[..., None], 3, 2), np.ones(ground.size)])
    known = (known * ~vacated[..., None]).astype(np.float32)
    samples = ground.samples.copy()
    opacity = np.clip(spread(known)[..., 0], 0, 1) * np.float32(ground.layout.peak)
    if samples.dtype.kind != "f":
        opacity = np.rint(opacity)
    samples[vacated, -1] = opacity[vacated].astype(samples.dtype)
    return ground.reframed(samples)


def _cut(picture: Picture, mask: Mask, box: Box, target: Box) -> _Part:
    """Take the part out, with a margin, and bring it to its new size."""
    height, width = picture.size
    reach = AROUND
    if target.size != box.size:
        # The margin of a part that becomes smaller shrinks with it.
        ratios = [old / new for old, new in zip(box.size, target.size, strict=True)]
        reach = math.ceil(AROUND * max(1, *ratios)) + 1
    margin = Box(
        left=box.left - reach,
        top=box.top - reach,
        right=box.right + reach,
        bottom=box.bottom + reach,
    )
    # At the photo's border the margin repeats the border; the mask ends there.
    rows = np.clip(np.arange(margin.top, margin.bottom), 0, height - 1)
    columns = np.clip(np.arange(margin.left, margin.right), 0, width - 1)
    samples = picture.samples[np.ix_(rows, columns)]
    colours = picture.layout.to_rgb(samples)
    local = np.pad(mask[box.window], reach)
    opacity = np.ones(local.shape, np.float32)
    if picture.has_alpha:
        opacity = samples[..., -1].astype(np.float32) / np.float32(picture.layout.peak)
    continued = continuity(colours, local)
    if target.size == box.size:
        return _Part(colours, opacity, soft(local, continued), local, continued, samples)
    size = tuple(side + 2 * AROUND for side in target.size)
    source = tuple(
        (reach - AROUND * ratio, reach + old + AROUND * ratio)
        for old, ratio in zip(box.size, ratios, strict=True)
    )
    visible = (opacity * local)[..., None]
    weighted = _resized(np.dstack([colours * visible, visible]), size, source)
    plain = _resized(colours, size, source)
    amount = weighted[..., 3:]
    colours = np.where(amount > 0.02, weighted[..., :3] / np.maximum(amount, 0.02), plain)
    planes = _resized(np.dstack([local.astype(np.float32), opacity]), size, source)
    scaled = planes[..., 0] > 0.5
    # How the ground goes on is a matter of the source, and is looked up there.
    weights = np.dstack([np.repeat((continued)[..., None], 3, 2), rim(local)]).astype(np.float32)
    looked_up = np.clip(_resized(spread(weights)[..., :1], size, source)[..., 0], 0, 1)
    looked_up = np.where(rim(scaled), looked_up, np.float32(0))
    return _Part(
        np.clip(colours, 0, 1),
        np.clip(planes[..., 1], 0, 1),
        soft(scaled, looked_up),
        scaled,
        looked_up,
        None,
    )


def _resized(planes: Rgb, size: tuple[int, ...], source: tuple[tuple[float, float], ...]) -> Rgb:
    """Resample planes ``(h, w, C)``: rows and columns of the source become ``size``."""
    (top, bottom), (left, right) = source
    found = [
        Image.fromarray(np.ascontiguousarray(plane)).resize(
            (size[1], size[0]), Image.Resampling.BICUBIC, box=(left, top, right, bottom)
        )
        for plane in planes.transpose(2, 0, 1)
    ]
    return np.stack([np.asarray(plane) for plane in found], -1)


def _overlap(target: Box, size: tuple[int, int]) -> tuple[Box, Box]:
    """Give where the part with its margin lies in the photo, and what of it that is."""
    top, left = target.top - AROUND, target.left - AROUND
    there = Box(
        left=max(left, 0),
        top=max(top, 0),
        right=min(target.right + AROUND, size[1]),
        bottom=min(target.bottom + AROUND, size[0]),
    )
    return there, Box(
        left=there.left - left,
        top=there.top - top,
        right=there.right - left,
        bottom=there.bottom - top,
    )


def _fitted(part: _Part, ground: Picture, target: Box) -> tuple[_Part, float]:
    """Take the step of colour to the new ground out where ground came along."""
    there, here = _overlap(target, ground.size)
    mask, colours = part.mask[here.window], part.colours[here.window]
    edge = rim(mask)
    if not edge.any():
        return part, 0.0
    new = ground.rgb(there)
    old = local_means(colours, ~mask, AROUND)
    weight = part.continued[here.window]
    steps = (local_means(new, ~mask, AROUND) - old) * weight[..., None]
    goes_on = edge & (weight > 0.5)
    if not goes_on.any():
        return part, 0.0
    alike = likeness(colours, membrane(old, goes_on))
    change = membrane(steps, edge) * alike[..., None]
    changed = mask & (np.abs(change).max(-1) >= SEEN)
    fitted = part.colours.copy()
    fitted[here.window] = np.where(changed[..., None], np.clip(colours + change, 0, 1), colours)
    return (
        _Part(fitted, part.opacity, part.share, part.mask, part.continued, part.samples),
        float(changed.sum() / max(mask.sum(), 1)),
    )


def _landed(part: _Part, ground: Picture, target: Box) -> tuple[Samples, Share]:
    """Lay the part over the ground; give the samples, and how much of it is seen where."""
    there, here = _overlap(target, ground.size)
    over, share = part.colours[here.window], part.share[here.window]
    samples, layout = ground.samples.copy(), ground.layout
    local = samples[there.window]
    under, below = layout.to_rgb(local), np.ones(share.shape, np.float32)
    if ground.has_alpha:
        below = local[..., -1].astype(np.float32) / np.float32(layout.peak)
    seen = share > 0
    as_it_was = np.zeros_like(seen)
    if part.samples is not None:
        original = part.samples[here.window]
        unchanged = np.abs(over - layout.to_rgb(original)).max(-1) < SEEN
        as_it_was = (share == 1) & unchanged
        local[as_it_was] = original[as_it_was]
    mixed = seen & ~as_it_was
    upper = (share * part.opacity[here.window])[mixed]
    lower = ((1 - share) * below)[mixed]
    total = upper + lower
    weight = np.where(total > 0, upper / np.maximum(total, np.float32(1e-6)), share[mixed])
    colours = weight[:, None] * over[mixed] + (1 - weight)[:, None] * under[mixed]
    values = layout.from_rgb(colours.astype(np.float32)).reshape(len(colours), -1)
    pixels = local[mixed].reshape(len(colours), -1)
    pixels[:, : values.shape[1]] = values
    if ground.has_alpha:
        opacity = total * layout.peak
        pixels[:, -1] = np.rint(opacity) if local.dtype.kind != "f" else opacity
    local[mixed] = pixels.reshape(local[mixed].shape)
    full = np.zeros(ground.size, np.float32)
    full[there.window] = share
    return samples, full
