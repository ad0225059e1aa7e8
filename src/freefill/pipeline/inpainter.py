"""The one pipeline: plan, run, compose. Command line, server and batch all call this.

Never imports torch.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Unpack, overload

import numpy as np
from PIL import Image

from freefill.arguments import shown
from freefill.errors import FreefillWarning, GuidanceError, MaskError, plural
from freefill.imaging.box import Box
from freefill.imaging.codecs import as_grey
from freefill.imaging.formats import MAX_PIXELS
from freefill.imaging.io import Source, name_of, read_picture
from freefill.imaging.picture import Picture
from freefill.masks.convert import Fit, is_alpha, is_hard, softness
from freefill.masks.morphology import grow
from freefill.pipeline import detail_transfer, flat
from freefill.pipeline.blending import Share, blend
from freefill.pipeline.calls import (
    AnyCoded,
    AnyShown,
    Array,
    CallOptions,
    Coded,
    Masks,
    Shown,
    answer,
)
from freefill.pipeline.engines import open_engine
from freefill.pipeline.engines.base import Engine, check_predicted
from freefill.pipeline.engines.devices import Device
from freefill.pipeline.enlarging import enlarged
from freefill.pipeline.guidance import Guidance
from freefill.pipeline.request import LARGEST_GROWTH as LARGEST_GROWTH
from freefill.pipeline.request import FillOptions, FillRequest, Result
from freefill.pipeline.tiling import Crop, batches, explain, plan
from freefill.types import Mask, Progress, Rgb
from freefill.weights import registry
from freefill.weights.registry import Model

log = logging.getLogger(__name__)

PIPELINE_VERSION = 8
"""Counted up when the same weights fill otherwise: an evaluation's pictures depend on it."""
RIM = 64
"""Pixels around what is erased that are its soft edge, where they are half transparent."""
ROWS = 32
"""Rows of what the network sees that are shrunk at a time."""


class Inpainter:
    """Fills holes in pictures with one network.

    Args:
        model: Name of weights that are here, or the path of an ONNX file.
        threads: Threads of the engine, 1 to 1024; by default every core that the process may use.
        device: ``"cpu"``; ``"cuda"``, ``"coreml"``, ``"directml"`` or ``"openvino"`` where ONNX
            Runtime has a provider for it; ``"auto"``, the first of these that there is. One that
            fails is replaced by the processor, with a notice.

    Raises:
        WeightsError: If there are no such weights, they cannot be loaded, or they are not the file
            that the card beside them tells of.
        ConfigError: If threads or device have an impossible value.
        ExtraMissingError: If the engine cannot use the device.

    Examples:
        >>> inpainter = Inpainter()
        >>> image = np.full((64, 64, 3), 200, np.uint8)
        >>> mask = np.zeros((64, 64), bool)
        >>> mask[20:40, 20:40] = True
        >>> filled = inpainter(image, mask)
        >>> filled.shape, filled.dtype, bool((filled[~mask] == 200).all())
        ((64, 64, 3), dtype('uint8'), True)
    """

    def __init__(
        self,
        model: Model = registry.DEFAULT,
        *,
        threads: int | None = None,
        device: Device = "cpu",
    ) -> None:
        self.weights = registry.find(model)
        self.weights.check_loaded()
        self.engine: Engine = open_engine(self.weights.path, threads, device)
        self._made_of = (model, threads, device)
        log.debug("weights %s on %s", self.weights.path, self.engine.name)

    @property
    def side(self) -> int | None:
        """Pixels a side of the squares that the network fills best; None for freefill's own."""
        return getattr(self.engine, "side", None)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what it was made of: another process loads the network for itself."""
        return _made, (type(self), *self._made_of)

    @overload
    def __call__(
        self, image: Shown, mask: Source | None = None, **options: Unpack[CallOptions]
    ) -> Image.Image: ...
    @overload
    def __call__(
        self, image: Coded, mask: Source | None = None, **options: Unpack[CallOptions]
    ) -> bytes: ...
    @overload
    def __call__(
        self, image: Array, mask: Masks = None, **options: Unpack[CallOptions]
    ) -> Array: ...
    @overload
    def __call__(
        self,
        image: list[AnyShown] | tuple[AnyShown, ...],
        mask: Masks = None,
        **options: Unpack[CallOptions],
    ) -> list[Image.Image]: ...
    @overload
    def __call__(
        self,
        image: list[AnyCoded] | tuple[AnyCoded, ...],
        mask: Masks = None,
        **options: Unpack[CallOptions],
    ) -> list[bytes]: ...
    @overload
    def __call__(
        self,
        image: list[Array] | tuple[Array, ...],
        mask: Masks = None,
        **options: Unpack[CallOptions],
    ) -> list[Array]: ...
    def __call__(
        self,
        image: Source | Sequence[Source],
        mask: Masks = None,
        *,
        mask_image: Masks = None,
        invert: bool = False,
        grow: int = 0,
        fit: Fit = "exact",
        soft: bool = False,
        sketch: Source | None = None,
        colour: Source | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> Any:
        """Fill the masked part of an image.

        Args:
            image: As for :func:`freefill.fill`, as is all that follows.
            mask: White = fill.
            mask_image: What ``mask`` was called before; it goes with the next minor release.
            invert: The mask marks what to keep.
            grow: Pixels by which the hole is widened, 0 to 256.
            fit: ``"resize"`` brings a mask of another size to the image's.
            soft: The image is seen through the fill where the mask is not fully white.
            sketch: Lines that the fill is to follow.
            colour: Strokes of colour that it is to take up.
            max_pixels: The most that width times height of any file may be.

        Returns:
            The same kind, size and mode as ``image``.

        Raises:
            FreefillError: As for :func:`freefill.fill`.
        """
        if mask_image is not None:
            if mask is not None:
                raise MaskError("`mask` and `mask_image` are both given: leave `mask_image` out")
            warnings.warn("`mask_image` is called `mask` now", DeprecationWarning, stacklevel=2)
            mask = mask_image
        options = FillOptions(invert=invert, grow=grow, fit=fit, soft=soft, max_pixels=max_pixels)
        filled, notices = answer(self, image, mask, options, sketch, colour)
        for line in notices:
            warnings.warn(line, FreefillWarning, stacklevel=2)
        return filled

    def run(self, request: FillRequest, progress: Progress | None = None) -> Result[Any]:
        """Fill one photo: whoever fills anything calls this.

        Args:
            request: The photo, its mask, what the fill is to follow, and how.
            progress: Called with the crops (and the holes that are filled with the one colour
                around them) that are done, and with all there are, before each run
                of the network and at the end; what it raises stops the fill.

        Returns:
            The filled picture, what was filled, and lines that a person should read. Every pixel
            outside the hole is the photo's own.

        Raises:
            ImageError: If the photo cannot be read or used.
            MaskError: If the mask cannot be read or used, or does not fit; if a soft mask has
                nothing soft, or is to grow, which would harden it.
            GuidanceError: If sketch or strokes cannot be used, do not fit, or the weights cannot
                follow any.
            WeightsError: If the network fails, or gives what are no colours for these crops.
        """
        request = request.loaded()
        options, mask = request.options, request.mask
        _check_soft(options, mask)
        picture = read_picture(request.image, max_pixels=options.max_pixels)
        hole, notices = request.hole_in(picture)
        notices += self._engine_notices()
        guidance = request.guidance_for(picture)
        if guidance is not None:
            notices += guidance.notices(hole)
            if not self.engine.guided:
                raise GuidanceError(
                    f"the weights {self.weights.name} cannot follow a sketch or strokes of colour: "
                    f"{registry.DEFAULT} can"
                )
        # Where the mask is the transparent part, what is filled is to be seen.
        opaque = mask is None or is_alpha(mask)
        rim = None
        if opaque and picture.has_alpha and not options.invert:
            rim, lines = _half_erased(picture, hole)
            hole, notices = hole | rim, notices + lines
        filled, crops, even = self._fill(picture, hole, guidance, opaque, progress)
        notices += self._engine_notices()
        if rim is not None:
            filled = filled.mixed(picture, np.where(rim, 2 - 2 * picture.alpha(), np.float32(1)))
        if options.soft and mask is not None:
            share = softness(
                mask, picture, invert=options.invert, fit=options.fit, max_pixels=options.max_pixels
            )
            filled = filled.mixed(picture, share)
        if log.isEnabledFor(logging.DEBUG):
            name = name_of(request.image)
            for line in explain(crops, even):
                log.debug("%s: %s", name, line)
        return Result(filled, hole, (*picture.notices, *notices), crops=crops, even=even)

    def _engine_notices(self) -> list[str]:
        """Take what the engine has to tell: it is told once, and not with every photo."""
        waiting: list[str] = getattr(self.engine, "notices", [])
        taken = []
        with suppress(IndexError):
            while True:
                taken.append(waiting.pop(0))
        return taken

    def _fill(
        self,
        picture: Picture,
        hole: Mask,
        guidance: Guidance | None,
        opaque: bool,
        progress: Progress | None,
    ) -> tuple[Picture, tuple[Crop, ...], tuple[Box, ...]]:
        """Fill a hole; give the picture, what the network was shown, and what it was not asked."""
        unknown = hole
        if picture.has_alpha:
            # What cannot be seen is not known either: editors leave any colour under it.
            unknown = hole | (picture.samples[..., -1] == 0)
        even: tuple[Box, ...] = ()
        parts = flat.find(picture, hole, unknown, guidance)
        if parts:
            picture = picture.painted(parts, opaque)
            # To the network they are known now.
            rest, unknown = hole.copy(), unknown.copy()
            for part in parts:
                rest[part.box.window] &= ~part.hole
                unknown[part.box.window] &= ~part.hole
            even, hole = tuple(part.box for part in parts), rest
        crops = plan(hole, self.side)
        tell = None if progress is None else _after(progress, len(parts))
        patches = self._patches(picture, hole, unknown, guidance, crops, tell)
        return picture.filled(patches, opaque), tuple(crops), even

    def _patches(
        self,
        picture: Picture,
        hole: Mask,
        unknown: Mask,
        guidance: Guidance | None,
        crops: Sequence[Crop],
        progress: Progress | None,
    ) -> Iterator[tuple[Box, Mask, Rgb]]:
        """Fill a hole crop by crop; give boxes, their holes and colours."""
        # A network of colours tints what is grey, however little; strokes may ask for colour.
        grey = (guidance is None or guidance.strokes is None) and picture.is_grey(~unknown)
        done = 0
        for batch in batches(crops):
            if progress is not None:
                progress(done, len(crops))
            for box, local, colours in self._filled(picture, hole, unknown, guidance, batch):
                yield box, local, as_grey(colours) if grey else colours
            done += len(batch)
        if progress is not None:
            progress(done, done)

    def _filled(
        self,
        picture: Picture,
        hole: Mask,
        unknown: Mask,
        guidance: Guidance | None,
        crops: Sequence[Crop],
    ) -> Iterator[tuple[Box, Mask, Rgb]]:
        """Fill crops of one size; give boxes, their holes and colours ``(h, w, 3)`` in [0, 1]."""
        pairs = [_seen(picture, unknown, crop) for crop in crops]
        seen, shares = (np.stack(parts) for parts in zip(*pairs, strict=True))
        gaps = shares < 1
        images = np.ascontiguousarray(seen.transpose(0, 3, 1, 2)) * 2 - 1
        planes = None
        if guidance is not None:
            drawn = [guidance.seen(c.box, c.factor, c.network_size, c.zoom) for c in crops]
            planes = np.stack(drawn).transpose(0, 3, 1, 2) * gaps[:, None]
        predicted = self.engine.predict(images, gaps[:, None].astype(np.float32), planes)
        check_predicted(predicted, images.shape, self.weights.name)
        for i, crop in enumerate(crops):
            gap, completed = gaps[i], seen[i].copy()
            for channel, plane in enumerate(predicted[i]):
                colours = np.clip(plane / np.float32(2) + np.float32(0.5), 0, 1)
                np.copyto(completed[..., channel], colours, where=gap)
            completed = blend(completed, seen[i], shares[i])
            local = hole[crop.hole.window]
            if crop.factor > 1:
                yield from detail_transfer.bands(
                    picture, crop.box, crop.hole, local, completed, gap, crop.factor
                )
                continue
            top, left = crop.hole.top - crop.box.top, crop.hole.left - crop.box.left
            bottom, right = top + crop.hole.size[0], left + crop.hole.size[1]
            zoom = crop.zoom
            part = completed[top * zoom : bottom * zoom, left * zoom : right * zoom]
            yield crop.hole, local, part if zoom == 1 else _shrunk(part, zoom)


def _after(progress: Progress, before: int) -> Progress:
    """Count what was done before among what is done."""
    return lambda done, total: progress(before + done, before + total)


def _half_erased(picture: Picture, hole: Mask) -> tuple[Mask, list[str]]:
    """Give what a soft eraser has left around a hole: the fill is seen through it, and it is whole.

    Glass and shadows away from it stay as they are, with a line.
    """
    thin = ~hole & (picture.samples[..., -1] < picture.layout.peak)
    if not thin.any() or (thin | hole).all():  # nothing is, or all of the photo
        return np.zeros_like(thin), []
    # Where little is opaque, the photo itself is seen through, and no eraser made it so.
    rim = thin & grow(hole, RIM) if thin.sum() < (~hole).sum() / 2 else np.zeros_like(thin)
    left = int(np.count_nonzero(thin & ~rim))
    verb = "stays" if left == 1 else "stay"
    lines = [f"{plural(left, 'half transparent pixel')} outside the hole {verb} half transparent"]
    return rim, lines if left else []


def _made(kind: type[Inpainter], model: Model, threads: int | None, device: Device) -> Inpainter:
    return kind(model, threads=threads, device=device)


def _check_soft(options: FillOptions, mask: Source | Picture | None) -> None:
    """Refuse a soft mask that has nothing soft, or would lose it."""
    if not options.soft:
        return
    if options.grow:
        raise MaskError(f"a soft mask is not grown, as `grow={options.grow}` would harden its edge")
    if is_hard(mask):
        found = shown("mask", mask) if mask is None or is_alpha(mask) else "this one is bool"
        raise MaskError(f"a soft mask is an image with greys in it: {found}, which has none")


def _seen(picture: Picture, unknown: Mask, crop: Crop) -> tuple[Rgb, Share]:
    """Bring a crop to what the network sees, some rows at a time, and pad it by its edge.

    Returns:
        The mean colours of what is known in each pixel, ``(h, w, 3)`` in [0, 1] (of all of it,
        where nothing is), and the share that is known, ``(h, w)``.
    """
    box, factor = crop.box, crop.factor
    rows, columns = (-(-side // factor) for side in box.size)
    seen = np.empty((rows, columns, 3), np.float32)
    share = np.ones((rows, columns), np.float32)
    for first in range(0, rows, ROWS):
        last = min(first + ROWS, rows)
        part = Box(
            left=box.left,
            top=box.top + first * factor,
            right=box.right,
            bottom=min(box.top + last * factor, box.bottom),
        )
        beyond = (last - first) * factor - part.size[0], columns * factor - part.size[1]
        colours, known = picture.rgb(part), ~unknown[part.window]
        if any(beyond):
            padding = (0, beyond[0]), (0, beyond[1])
            colours = np.pad(colours, (*padding, (0, 0)), "edge")
            known = np.pad(known, padding, "edge")
        if known.all():
            seen[first:last] = _shrunk(colours, factor)
            continue
        some = share[first:last] = _shrunk(known[..., None].astype(np.float32), factor)[..., 0]
        whole = _shrunk(colours, factor)
        if factor > 1:
            given = _shrunk(colours * known[..., None], factor)
            whole = np.where(some[..., None] > 0, given / np.maximum(some, 1e-6)[..., None], whole)
        seen[first:last] = whole
    if crop.zoom > 1:
        seen, share = enlarged(seen, share)
    target_rows, target_columns = crop.network_size
    padding = (0, target_rows - len(seen)), (0, target_columns - seen.shape[1])
    return np.pad(seen, (*padding, (0, 0)), "edge"), np.pad(share, padding, "edge")


def _shrunk(values: Rgb, factor: int) -> Rgb:
    """Give the means of blocks of ``factor`` by ``factor`` pixels."""
    if factor == 1:
        return values
    height, width, channels = values.shape
    # Rows first: whole rows are added at the processor's full speed.
    tall = values.reshape(height // factor, factor, -1).mean(1)
    means: Rgb = tall.reshape(height // factor, width // factor, factor, channels).mean(2)
    return means
