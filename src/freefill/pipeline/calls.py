"""What a call takes and gives: the kind of picture that goes in comes out, several as a list."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, cast

from numpy.typing import NDArray
from PIL import Image

from freefill.errors import FreefillError, ImageError, MaskError, plural
from freefill.imaging import tensors
from freefill.imaging.io import BinaryFile, Source, restored
from freefill.imaging.tensors import Tensor
from freefill.masks.convert import Fit
from freefill.pipeline.request import FillOptions, FillRequest, Result, own_format

if TYPE_CHECKING:
    from freefill.pipeline.inpainter import Inpainter

Shown = Image.Image | str | os.PathLike[str]
"""What comes back as a Pillow image."""
Coded = bytes | BinaryFile
"""What comes back as bytes."""
Array = TypeVar("Array", bound=NDArray[Any] | Tensor)
# A list of strings is no list of strings and paths to a type checker, but one of some kind of them.
AnyShown = TypeVar("AnyShown", bound=Shown)
AnyCoded = TypeVar("AnyCoded", bound=Coded)
Masks = Source | Sequence[Source] | None
"""A mask, or one for each of several images."""


class CallOptions(TypedDict, total=False):
    """What a call can be told; see :func:`freefill.fill`."""

    invert: bool
    grow: int
    fit: Fit
    soft: bool
    sketch: Source | None
    colour: Source | None
    max_pixels: int


def answer(
    inpainter: Inpainter,
    image: Source | Sequence[Source],
    mask: Masks,
    options: FillOptions,
    sketch: Source | None,
    colour: Source | None,
) -> tuple[Any, list[str]]:
    """Fill one image or several.

    Args:
        inpainter: The pipeline.
        image: One, a list, or a tensor of four dimensions.
        mask: One, or as many as there are images.
        options: How.
        sketch: As for :func:`freefill.fill`; the same for all.
        colour: As for :func:`freefill.fill`; the same for all.

    Returns:
        What went in, filled, and lines that a person should read.

    Raises:
        FreefillError: As for :func:`freefill.fill`; with several images it names the one.
    """
    stacked = tensors.is_tensor(image) and image.ndim == 4
    if not stacked and not isinstance(image, list | tuple):
        if isinstance(mask, list | tuple):
            raise MaskError(f"{len(mask)} masks are given for one image: give one mask")
        one, alone = cast(Source, image), cast("Source | None", mask)
        return _given_back(
            inpainter.run(FillRequest(one, alone, sketch=sketch, colour=colour, options=options))
        )
    images = tensors.unstack(image) if stacked else list(cast(Sequence[Source], image))
    masks = _several(mask, stacked)
    if masks is not None and len(masks) != len(images):
        raise MaskError(
            f"{plural(len(images), 'image')} and {plural(len(masks), 'mask')}: give a mask for "
            "each, or one for all"
        )
    # What is the same for all: an open file can be read only once.
    shared = None if masks is not None else cast("Source | None", mask)
    request = FillRequest(b"", shared, sketch=sketch, colour=colour, options=options).loaded()
    filled, notices = [], []
    for i, each in enumerate(images):
        own = request.mask if masks is None else masks[i]
        try:
            found, lines = _given_back(inpainter.run(replace(request, image=each, mask=own)))
        except FreefillError as error:
            raise type(error)(f"image {i + 1} of {len(images)}: {error}") from None
        filled.append(found)
        notices += [f"image {i + 1} of {len(images)}: {line}" for line in lines]
    return tensors.stack(filled, image) if stacked else filled, notices


def _several(mask: Masks, stacked: bool) -> list[Any] | None:
    """Give the masks that are one for each image; ``None`` where one is for all."""
    if isinstance(mask, list | tuple):
        return list(mask)
    if not tensors.is_tensor(mask) or mask.ndim not in ((3, 4) if stacked else (4,)):
        return None
    # Beside images (B, C, H, W) masks are (B, H, W): three planes are no colours of one mask.
    each = tensors.unstack(mask)
    return None if stacked and mask.ndim == 3 and len(each) == 1 else each


def _given_back(result: Result[Any]) -> tuple[Any, list[str]]:
    """Give a result as what its photo was."""
    if result.picture.kind == "bytes":
        try:
            own_format(result.picture)
        except ImageError:
            raise ImageError(
                f"{result.picture.format} can be read and not written, so its bytes do not come "
                "back: pass the path, for a Pillow image, or use `fill_file`"
            ) from None
    value, notices = restored(result.picture)
    return value, [*result.notices, *notices]
