"""The one pipeline: plan, run, compose. Command line, server and batch all call this.

Never imports torch.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from freefill.errors import FreefillWarning, GuidanceError, MaskError
from freefill.imaging.box import Box
from freefill.imaging.formats import MAX_PIXELS
from freefill.imaging.picture import Picture, Source
from freefill.masks.convert import Fit, softness, to_hole
from freefill.masks.morphology import grow as grow_hole
from freefill.pipeline import detail_transfer
from freefill.pipeline.blending import Share, blend
from freefill.pipeline.engines import open_engine
from freefill.pipeline.engines.base import Engine
from freefill.pipeline.engines.onnx import Device
from freefill.pipeline.guidance import Guidance
from freefill.pipeline.tiling import Crop, batches, plan
from freefill.types import Mask, Progress, Rgb
from freefill.weights import registry

LARGEST_GROWTH = 256
PIPELINE = 4
"""Counted up when the same weights fill otherwise: an evaluation's pictures depend on it."""
ROWS = 32
"""Rows of what the network sees that are shrunk at a time."""


class Inpainter:
    """Fills holes in pictures with one network.

    Args:
        model: Name of bundled weights, or the path of an ONNX file.
        threads: Threads of the engine; by default every core that the process may use.
        device: ``"cpu"``, or ``"cuda"`` where onnxruntime-gpu is installed.

    Raises:
        WeightsError: If there are no such weights or they cannot be loaded.
        ExtraMissingError: If the engine cannot use the device.

    Examples:
        >>> inpainter = Inpainter()
        >>> image = np.full((64, 64, 3), 200, np.uint8)
        >>> mask = np.zeros((64, 64), bool)
        >>> mask[20:40, 20:40] = True
        >>> filled = inpainter(image=image, mask_image=mask)
        >>> filled.shape, filled.dtype, bool((filled[~mask] == 200).all())
        ((64, 64, 3), dtype('uint8'), True)
    """

    def __init__(
        self,
        model: str | Path = registry.DEFAULT,
        *,
        threads: int | None = None,
        device: Device = "cpu",
    ) -> None:
        self.weights = registry.find(model)
        self.engine: Engine = open_engine(self.weights.path, threads, device)
        self._made_of = (model, threads, device)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what it was made of: another process loads the network for itself."""
        return _made, self._made_of

    def __call__(
        self,
        *,
        image: Source,
        mask_image: Source,
        invert: bool = False,
        grow: int = 0,
        fit: Fit = "exact",
        sketch: Source | None = None,
        colour: Source | None = None,
    ) -> Any:
        """Fill the masked part of an image.

        Args:
            image: Path, encoded bytes, Pillow image, or array: uint8, uint16, or floats in [0, 1];
                ``(H, W)``, ``(H, W, 1)``, ``(H, W, 3)`` RGB or ``(H, W, 4)`` RGBA.
            mask_image: The same kinds, or a bool array; white (255, 1.0, True) = fill, threshold at
                half. The word ``"alpha"`` takes the transparent pixels of the image.
            invert: The mask marks what to keep.
            grow: Pixels by which the hole is widened, 0 to 256.
            fit: ``"resize"`` brings a mask of another size to the image's; ``"exact"`` refuses it.
            sketch: Lines that the fill is to follow, of the same kinds: drawn on a transparent
                ground, or dark on bright, or bright on dark; see :mod:`freefill.pipeline.guidance`.
            colour: Strokes of colour that it is to take up, on a transparent ground.

        Returns:
            The same kind, size and mode as ``image`` (a Pillow image for a path). Every pixel
            outside the hole is the input's. The input is not changed.

        Raises:
            ImageError: If the image cannot be read or used.
            MaskError: If the mask cannot be used, or does not fit.
            GuidanceError: If sketch or strokes cannot be used, or do not fit.
        """
        picture, notices = self.fill(
            Picture.read(image),
            mask_image,
            invert=invert,
            grow=grow,
            fit=fit,
            sketch=sketch,
            colour=colour,
        )
        _warn(notices)
        return picture.result()

    def fill(
        self,
        picture: Picture,
        mask: Source,
        *,
        invert: bool = False,
        grow: int = 0,
        fit: Fit = "exact",
        sketch: Source | None = None,
        colour: Source | None = None,
        soft: bool = False,
        max_pixels: int = MAX_PIXELS,
        progress: Progress | None = None,
    ) -> tuple[Picture, list[str]]:
        """Fill a picture that has been read; the arguments are those of a call, and some more.

        Args:
            picture: The picture.
            mask: Of the kinds that a call takes; where ``soft``, an image.
            invert: As for a call.
            grow: As for a call.
            fit: As for a call.
            sketch: As for a call.
            colour: As for a call.
            soft: The hole is the same, but where the mask is not fully white the photo is seen
                through the fill: not at all where it is white, entirely where it is half bright.
            max_pixels: The most that width times height of any file may be.
            progress: As for :meth:`fill_hole`.

        Returns:
            The filled picture, and lines that a person should read.

        Raises:
            FreefillError: As for a call, and if a soft mask is to grow, which would harden it.
        """
        if soft and (grow or isinstance(mask, np.ndarray | str)):
            raise MaskError(
                f"a soft mask is an image, and is not grown: this one is a {type(mask).__name__}, "
                f"to grow by {grow} pixels"
            )
        if not 0 <= grow <= LARGEST_GROWTH:
            raise MaskError(f"grow is {grow} pixels; it must be 0 to {LARGEST_GROWTH}")
        hole, notices = to_hole(mask, picture, invert=invert, fit=fit, max_pixels=max_pixels)
        hole = grow_hole(hole, grow)
        guidance = None
        if sketch is not None or colour is not None:
            guidance = Guidance.read(picture.size, sketch, colour, fit=fit, max_pixels=max_pixels)
            notices += guidance.notices(hole)
        from_alpha = isinstance(mask, str) and mask == "alpha"
        filled = self.fill_hole(
            picture, hole, guidance=guidance, opaque=from_alpha, progress=progress
        )
        if soft:
            share = softness(mask, picture, invert=invert, fit=fit, max_pixels=max_pixels)
            filled = filled.mixed(picture, share)
        return filled, picture.notices + notices

    def fill_hole(
        self,
        picture: Picture,
        hole: Mask,
        *,
        guidance: Guidance | None = None,
        opaque: bool = False,
        progress: Progress | None = None,
    ) -> Picture:
        """Fill a hole that is already a bool array of the picture's size.

        Args:
            picture: The picture.
            hole: ``(H, W)``, True = fill.
            guidance: What it is to follow, of the picture's size.
            opaque: Whether filled pixels become opaque, where there is alpha.
            progress: Called with the crops that are done and with all there are, before each run
                of the network and at the end; what it raises stops the fill.

        Returns:
            A new picture.

        Raises:
            GuidanceError: If there is guidance and the weights cannot follow any.
        """
        if guidance is not None and not self.engine.guided:
            raise GuidanceError(
                f"the weights {self.weights.name} cannot follow a sketch or strokes of colour: "
                f"{registry.DEFAULT} can"
            )
        unknown = hole
        if picture.has_alpha:
            # What cannot be seen is not known either: editors leave any colour under it.
            unknown = hole | (picture.samples[..., -1] == 0)

        def patches() -> Iterator[tuple[Box, Mask, Rgb]]:
            crops, done = plan(hole), 0
            for batch in batches(crops):
                if progress is not None:
                    progress(done, len(crops))
                yield from self._filled(picture, hole, unknown, guidance, batch)
                done += len(batch)
            if progress is not None:
                progress(done, done)

        return picture.filled(patches(), opaque)

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
            drawn = [guidance.seen(crop.box, crop.factor, crop.network_size) for crop in crops]
            planes = np.stack(drawn).transpose(0, 3, 1, 2) * gaps[:, None]
        predicted = self.engine.predict(images, gaps[:, None].astype(np.float32), planes)
        for i, crop in enumerate(crops):
            colours = predicted[i].transpose(1, 2, 0)
            colours = np.clip(colours / np.float32(2) + np.float32(0.5), 0, 1)
            gap = gaps[i]
            completed = np.where(gap[..., None], colours, seen[i])
            completed = blend(completed, seen[i], shares[i])
            local = hole[crop.hole.window]
            if crop.factor > 1:
                yield from detail_transfer.bands(
                    picture, crop.box, crop.hole, local, completed, gap, crop.factor
                )
                continue
            top, left = crop.hole.top - crop.box.top, crop.hole.left - crop.box.left
            height, width = crop.hole.size
            yield crop.hole, local, completed[top : top + height, left : left + width]


def _made(model: str | Path, threads: int | None, device: Device) -> Inpainter:
    return Inpainter(model, threads=threads, device=device)


_shared: dict[Path, tuple[tuple[int, int], Inpainter]] = {}
_lock = threading.Lock()


def fill(
    image: Source,
    mask: Source,
    *,
    model: str | Path = registry.DEFAULT,
    invert: bool = False,
    grow: int = 0,
    fit: Fit = "exact",
    sketch: Source | None = None,
    colour: Source | None = None,
) -> Any:
    """Fill the masked part of an image; the network is loaded once and kept.

    Args:
        image: As for :meth:`Inpainter.__call__`.
        mask: As ``mask_image`` there: white = fill.
        model: Name of bundled weights, or the path of an ONNX file.
        invert: The mask marks what to keep.
        grow: Pixels by which the hole is widened.
        fit: ``"resize"`` brings a mask of another size to the image's.
        sketch: Lines that the fill is to follow.
        colour: Strokes of colour that it is to take up.

    Returns:
        The same kind, size and mode as ``image``.

    Raises:
        FreefillError: As :class:`Inpainter` raises it.

    Examples:
        >>> image = np.zeros((32, 32), np.uint16)
        >>> fill(image, np.eye(32, dtype=bool)).dtype
        dtype('uint16')
    """
    weights = registry.find(model)
    stat = weights.path.stat()
    path, state = weights.path.resolve(), (stat.st_mtime_ns, stat.st_size)
    with _lock:
        # A file that was exported again is another network, and takes the old one's place.
        if path not in _shared or _shared[path][0] != state:
            _shared[path] = (state, Inpainter(model))
        inpainter = _shared[path][1]
    picture, notices = inpainter.fill(
        Picture.read(image),
        mask,
        invert=invert,
        grow=grow,
        fit=fit,
        sketch=sketch,
        colour=colour,
    )
    _warn(notices)
    return picture.result()


def _warn(notices: Sequence[str]) -> None:
    for line in notices:
        # Three levels up is whoever called the function that called this one.
        warnings.warn(line, FreefillWarning, stacklevel=3)


def _seen(picture: Picture, unknown: Mask, crop: Crop) -> tuple[Rgb, Share]:
    """Shrink a crop to what the network sees, some rows at a time, and pad it by its edge.

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
            box.top + first * factor, box.left, min(box.top + last * factor, box.bottom), box.right
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
    target_rows, target_columns = crop.network_size
    padding = (0, target_rows - rows), (0, target_columns - columns)
    return np.pad(seen, (*padding, (0, 0)), "edge"), np.pad(share, padding, "edge")


def _shrunk(values: Rgb, factor: int) -> Rgb:
    """Give the means of blocks of ``factor`` by ``factor`` pixels."""
    height, width, channels = values.shape
    # Rows first: whole rows are added at the processor's full speed.
    tall = values.reshape(height // factor, factor, -1).mean(1)
    means: Rgb = tall.reshape(height // factor, width // factor, factor, channels).mean(2)
    return means
