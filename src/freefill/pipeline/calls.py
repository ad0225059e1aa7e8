"""What a call takes and gives: the kind of picture that goes in comes out, several as a list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, cast

from numpy.typing import NDArray

from freefill.errors import MaskError
from freefill.imaging import tensors
from freefill.imaging.io import Source
from freefill.imaging.tensors import Tensor
from freefill.masks.convert import Fit
from freefill.pipeline.request import FillOptions, FillRequest

if TYPE_CHECKING:
    from freefill.pipeline.inpainter import Inpainter

Array = TypeVar("Array", bound=NDArray[Any] | Tensor)
Masks = Source | Sequence[Source] | None
"""A mask, or one for each of several images."""


class CallOptions(TypedDict, total=False):
    """What a call can be told; see :func:`fill`."""

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
        sketch: As for :func:`fill`; the same for all.
        colour: As for :func:`fill`; the same for all.

    Returns:
        What went in, filled, and lines that a person should read.

    Raises:
        FreefillError: As for :func:`fill`.
    """
    several = isinstance(image, list | tuple)
    stacked = tensors.is_tensor(image) and image.ndim == 4
    if not several and not stacked:
        if isinstance(mask, list | tuple):
            raise MaskError(f"{len(mask)} masks are given for one image: give one mask")
        request = FillRequest(image, mask, sketch=sketch, colour=colour, options=options)  # type: ignore[arg-type]
        result = inpainter.run(request)
        return result.image, list(result.notices)
    images = [*cast(Sequence[Any], image)]
    if isinstance(mask, list | tuple) or (tensors.is_tensor(mask) and mask.ndim == 4):
        masks = [*cast(Sequence[Any], mask)]
    else:
        masks = [mask] * len(images)
    if len(masks) != len(images):
        raise MaskError(
            f"{len(images)} images and {len(masks)} masks: give a mask for each, or one for all"
        )
    filled, notices = [], []
    for number, (one, own) in enumerate(zip(images, masks, strict=True), 1):
        request = FillRequest(one, own, sketch=sketch, colour=colour, options=options)
        result = inpainter.run(request)
        filled.append(result.image)
        notices += [f"image {number}: {line}" for line in result.notices]
    return tensors.stack(filled) if stacked else filled, notices
