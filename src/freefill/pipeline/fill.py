"""The public way in: ``freefill.fill(image, mask)``, and from file to file."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack, overload

from PIL import Image

from freefill.arguments import check_flag, shown
from freefill.errors import FreefillWarning, ImageError
from freefill.imaging.atomic import remove_partials, target_of
from freefill.imaging.formats import MAX_PIXELS
from freefill.imaging.io import Source, path_of
from freefill.masks.convert import Fit
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
from freefill.pipeline.files import check_not_read, check_writable, fill_to_file
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import FillOptions, FillRequest, Result
from freefill.weights import registry
from freefill.weights.registry import Model


class FillCallOptions(CallOptions, total=False):
    """The same, and the network."""

    model: Model


@overload
def fill(
    image: Shown, mask: Source | None = None, **options: Unpack[FillCallOptions]
) -> Image.Image: ...
@overload
def fill(image: Coded, mask: Source | None = None, **options: Unpack[FillCallOptions]) -> bytes: ...
@overload
def fill(image: Array, mask: Masks = None, **options: Unpack[FillCallOptions]) -> Array: ...
@overload
def fill(
    image: list[AnyShown] | tuple[AnyShown, ...],
    mask: Masks = None,
    **options: Unpack[FillCallOptions],
) -> list[Image.Image]: ...
@overload
def fill(
    image: list[AnyCoded] | tuple[AnyCoded, ...],
    mask: Masks = None,
    **options: Unpack[FillCallOptions],
) -> list[bytes]: ...
@overload
def fill(
    image: list[Array] | tuple[Array, ...],
    mask: Masks = None,
    **options: Unpack[FillCallOptions],
) -> list[Array]: ...
def fill(
    image: Source | Sequence[Source],
    mask: Masks = None,
    *,
    model: Model = registry.DEFAULT,
    invert: bool = False,
    grow: int = 0,
    fit: Fit = "exact",
    soft: bool = False,
    sketch: Source | None = None,
    colour: Source | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Any:
    """Fill the masked part of an image; the network is loaded once and kept.

    Args:
        image: Path, encoded bytes, open file (of bytes; it stays open), Pillow image, or array:
            uint8, uint16, or floats in [0, 1]; ``(H, W)``, ``(H, W, 1)``, ``(H, W, 3)`` RGB or
            ``(H, W, 4)`` RGBA. Or a torch tensor ``(H, W)``, ``(C, H, W)`` or ``(B, C, H, W)``; or
            a list of any of these.
        mask: The same kinds, or truth values; white (255, 1.0, True) = fill, threshold at half.
            ``None`` or the word ``"alpha"``: the transparent pixels of the image; without a mask
            there must be some. For several images as many, in a list or as a tensor ``(B, H, W)``
            or ``(B, 1, H, W)``, or one mask for all of them.
        model: Name of bundled weights, or the path of an ONNX file.
        invert: The mask marks what to keep.
        grow: Pixels by which the hole is widened, 0 to 256.
        fit: ``"resize"`` brings a mask of another size to the image's; ``"exact"`` refuses it.
        soft: Where the mask is not fully white the image is seen through the fill: not at all where
            it is white, entirely where it is half bright.
        sketch: Lines that the fill is to follow, of the same kinds: drawn on a transparent ground,
            or dark on bright, or bright on dark; see :mod:`freefill.pipeline.guidance`.
        colour: Strokes of colour that it is to take up, on a transparent ground.
        max_pixels: The most that width times height of any file may be.

    Returns:
        The same kind, size and mode as ``image``: a Pillow image for a path, bytes in the file's
        own format for an open file, a tensor of the same type on the same device and without a
        gradient, a list for a list. Every pixel outside the hole is the input's. The input is not
        changed. What a person should know is told as a :class:`~freefill.FreefillWarning`.

    Raises:
        ImageError: If the image cannot be read or used.
        MaskError: If the mask cannot be read or used, or does not fit.
        GuidanceError: If sketch or strokes cannot be used, or do not fit.
        WeightsError: If there are no such weights or they cannot be loaded.
        ConfigError: If ``max_pixels`` is none.

    Examples:
        >>> import numpy as np
        >>> image = np.zeros((32, 32), np.uint16)
        >>> fill(image, np.eye(32, dtype=bool)).dtype
        dtype('uint16')
    """
    options = FillOptions(invert=invert, grow=grow, fit=fit, soft=soft, max_pixels=max_pixels)
    filled, notices = answer(shared(model), image, mask, options, sketch, colour)
    for line in notices:
        warnings.warn(line, FreefillWarning, stacklevel=2)
    return filled


def fill_file(
    image: str | os.PathLike[str],
    mask: Source | None,
    out: str | os.PathLike[str],
    *,
    model: Model = registry.DEFAULT,
    invert: bool = False,
    grow: int = 0,
    fit: Fit = "exact",
    soft: bool = False,
    sketch: Source | None = None,
    colour: Source | None = None,
    max_pixels: int = MAX_PIXELS,
    strip: bool = False,
    overwrite: bool = False,
) -> Result[Image.Image]:
    """Fill a file into a file, as the command line does: metadata are kept, and all bits.

    Args:
        image: The photo's path.
        mask: As for :func:`fill`.
        out: The result's path, which is none of the others; its ending sets the format, ``.png``
            is lossless.
        model: As for :func:`fill`.
        invert: As for :func:`fill`.
        grow: As for :func:`fill`.
        fit: As for :func:`fill`.
        soft: As for :func:`fill`.
        sketch: As for :func:`fill`.
        colour: As for :func:`fill`.
        max_pixels: As for :func:`fill`.
        strip: Leave out EXIF, XMP, GPS, comments and texts; the colour profile and the resolution
            stay.
        overwrite: Replace a file that exists.

    Returns:
        What became of it.

    Raises:
        FreefillError: As for :func:`fill`, and if the result exists or cannot be written; nothing
            is written then.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     photo, mask = Path(folder, "photo.png"), Image.new("L", (32, 32))
        ...     mask.paste(255, (8, 8, 24, 24))
        ...     Image.new("RGB", (32, 32), "teal").save(photo)
        ...     fill_file(photo, mask, Path(folder, "filled.png")).share
        0.25
    """
    if not isinstance(image, str | os.PathLike):
        raise ImageError(f"{shown('image', image)}: it must be a path; `fill` takes other images")
    check_flag("strip", strip)
    check_flag("overwrite", overwrite)
    target = path_of(out, "out")
    check_writable(target)
    check_not_read(target, {"image": image, "mask": mask, "sketch": sketch, "colour": colour})
    if target.exists() and not overwrite:
        raise ImageError(f"{target} exists: `overwrite=True` replaces it")
    options = FillOptions(invert=invert, grow=grow, fit=fit, soft=soft, max_pixels=max_pixels)
    request = FillRequest(
        path_of(image, "image"), mask, sketch=sketch, colour=colour, options=options
    )
    left = remove_partials(target_of(target).parent)
    made = fill_to_file(shared(model), request, target, strip=strip)
    for line in (*left, *made.notices):
        warnings.warn(line, FreefillWarning, stacklevel=2)
    return made.result


_shared: dict[Path, tuple[tuple[int, int], Inpainter]] = {}
_lock = threading.Lock()


def shared(model: Model) -> Inpainter:
    """Give the pipeline of some weights, which is made once and kept.

    Args:
        model: Name of bundled weights, or the path of an ONNX file.

    Raises:
        WeightsError: If there are no such weights or they cannot be loaded.
    """
    weights = registry.find(model)
    stat = weights.path.stat()
    path, state = weights.path.resolve(), (stat.st_mtime_ns, stat.st_size)
    with _lock:
        # A file that was exported again is another network, and takes the old one's place.
        if path not in _shared or _shared[path][0] != state:
            _shared[path] = (state, Inpainter(model))
        return _shared[path][1]
