"""Any mask to the hole of a picture: one rule, white = fill, threshold 0.5.

White, 255, 65535, 1.0 and ``True`` mean *fill*; the value that lies at half of the range or under
it means *keep*. Colours are taken by their brightness, where they are not paint on another ground
(:mod:`freefill.masks.paint`).
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from freefill.arguments import check_choice
from freefill.errors import ImageError, MaskError
from freefill.imaging import tensors
from freefill.imaging.box import Box
from freefill.imaging.codecs import LUMA, Samples
from freefill.imaging.formats import MAX_PIXELS
from freefill.imaging.io import Source, as_array, read_picture
from freefill.imaging.picture import Picture
from freefill.masks.paint import read_paint
from freefill.types import Mask

Fit = Literal["exact", "resize"]

ALPHA = "alpha"
"""A mask's word for the picture's own transparency."""
GREY = ("1", "L", "I;16")
"""Modes of one brightness a pixel."""
TURNED = 0.01
"""Difference of proportions up to which a mask is taken to lie on its side."""
TURNS = {
    5: "by 90 degrees clockwise, and mirror it",
    6: "by 90 degrees clockwise",
    7: "by 90 degrees counterclockwise, and mirror it",
    8: "by 90 degrees counterclockwise",
}
"""What brings a picture of an EXIF orientation upright."""
MOSTLY_HOLE = 0.6
"""Share of the picture above which a mask is suspected to be the wrong way round."""


def to_mask(
    mask: Source | Picture | None,
    picture: Picture,
    *,
    invert: bool = False,
    fit: Fit | None = "exact",
    max_pixels: int = MAX_PIXELS,
) -> tuple[Mask, list[str]]:
    """Make any mask the hole of a picture.

    Args:
        mask: Path, bytes, open file, Pillow image, array or tensor (bool, uint8, uint16 or float in
            [0, 1]), or a picture that has been read. ``None`` or the word ``"alpha"``: the
            picture's transparent pixels are the hole; without a mask there must be some.
        picture: The picture that it is for.
        invert: Swap fill and keep first.
        fit: ``"exact"`` refuses a mask of another size; ``"resize"`` brings it to the picture's,
            unless it lies on its side;
            ``None`` refuses it where whoever asks has no such choice, and so names none.
        max_pixels: The most that width times height of a mask's file may be.

    Returns:
        The hole, ``(H, W)`` bool, and lines that a person should read.

    Raises:
        MaskError: If it cannot be read, has another size, or values that cannot be understood.

    Examples:
        >>> picture = read_picture(np.zeros((1, 4, 3), np.uint8))
        >>> to_mask(np.array([[0, 127, 128, 255]], np.uint8), picture)[0]
        array([[False, False,  True,  True]])
    """
    notices: list[str] = []
    if fit is not None:
        check_choice("fit", fit, get_args(Fit), MaskError)
    if mask is None or is_alpha(mask):
        hole = _transparent(picture, given=mask is not None)
    else:
        try:
            hole, notices = _read(mask, picture, max_pixels)
        except ImageError as error:
            raise MaskError(f"mask: {error}") from None
    hole = _fitted(hole, picture, fit)
    if invert:
        hole = ~hole
    share = float(hole.mean())
    if share == 0:
        notices.append("the mask is empty: nothing is filled")
    elif share == 1:
        notices.append("the mask covers the whole image: nothing is left to fill from")
    elif share > MOSTLY_HOLE:
        notices.append(
            f"the mask marks {share:.0%} of the image for filling (white = fill): if it marks what "
            "to keep, pass `invert=True`"
        )
    return hole, notices


def _transparent(picture: Picture, *, given: bool) -> Mask:
    """Give what of a picture is transparent; it has to be something, unless it was asked for."""
    if not picture.has_alpha:
        what = '`mask="alpha"`' if given else "no mask is given"
        raise MaskError(
            f"{what}: the image has no alpha channel, whose transparent part would be filled; its "
            f"mode is {picture.mode}"
        )
    hole: Mask = picture.alpha() < 0.5
    if not given and not hole.any():
        raise MaskError("no mask is given, and nothing of the image is transparent")
    return hole


def is_alpha(mask: object) -> bool:
    """Whether a mask is the word for the picture's own transparency."""
    return isinstance(mask, str) and mask == ALPHA


def is_hard(mask: object) -> bool:
    """Whether a mask can mark nothing by halves: the word ``"alpha"``, none, or truth values."""
    if tensors.is_tensor(mask):
        return tensors.is_bool(mask)
    return mask is None or is_alpha(mask) or (isinstance(mask, np.ndarray) and mask.dtype == bool)


def _read(mask: Source | Picture, picture: Picture, max_pixels: int) -> tuple[Mask, list[str]]:
    array = as_array(mask)
    if array is not None:
        return _from_array(array, picture)
    source = read_picture(mask, max_pixels=max_pixels)
    if source.mode in ("L", "I;16") and source.samples.dtype.kind == "u":
        _check_range(source.samples)
    hole, notices = _marked(source, picture)
    return hole, [*notices, *(line for line in source.notices if "frames" in line)]


def _marked(mask: Picture, picture: Picture) -> tuple[Mask, list[str]]:
    """Give what a mask marks: by its brightness, or by its paint."""
    paint = read_paint(mask, picture)
    return (_bright(mask), []) if paint is None else (paint.light > 0.5, [paint.notice])


def _from_array(mask: NDArray[Any], picture: Picture) -> tuple[Mask, list[str]]:
    shape = mask.shape
    if mask.ndim == 3 and shape[-1] == 1:
        mask = mask[..., 0]
    if mask.dtype == bool and mask.ndim != 2:
        raise MaskError(f"a bool mask is (H, W) or (H, W, 1), not {shape}: it has no colours")
    if mask.size == 0:
        raise MaskError(f"a mask array of {shape} has no pixels")
    if mask.ndim == 3 and shape[-1] in (3, 4):
        return _marked(read_picture(mask), picture)
    if mask.ndim != 2:
        raise MaskError(f"a mask array is (H, W), or (H, W, C) with C 1, 3 or 4, not {shape}")
    if mask.dtype == bool:
        return mask, []
    if mask.dtype.kind == "f":
        low, high = float(mask.min()), float(mask.max())
        if not (low >= 0 and high <= 1):
            todo = ": divide it by its white, e.g. 255" if 1 < high < np.inf else ""
            raise MaskError(f"a float mask holds values in [0, 1], not {low:g} to {high:g}{todo}")
        return mask > 0.5, []
    if mask.dtype.newbyteorder("=") not in (np.uint8, np.uint16):
        raise MaskError(f"a mask array is bool, uint8, uint16 or float, not {mask.dtype}")
    _check_range(mask)
    return _marked(read_picture(mask), picture)


def softness(
    mask: Source | Picture,
    picture: Picture,
    *,
    invert: bool = False,
    fit: Fit = "exact",
    max_pixels: int = MAX_PIXELS,
) -> NDArray[np.float32]:
    """Give how much of a fill is to be seen, where the edges of a mask are soft on purpose.

    Args:
        mask: As for :func:`to_mask`, but neither the word ``"alpha"`` nor truth values.
        picture: The picture that it is for.
        invert: Swap fill and keep first.
        fit: As for :func:`to_mask`.
        max_pixels: As for :func:`to_mask`.

    Returns:
        ``(H, W)`` float32: 1 where the mask is white, falling to 0 where it is half as bright,
        which is where the hole ends.

    Raises:
        MaskError: If it has another size.

    Examples:
        >>> picture = read_picture(np.zeros((1, 4, 3), np.uint8))
        >>> mask = Image.fromarray(np.array([[0, 128, 191, 255]], np.uint8))
        >>> softness(mask, picture).round(2).tolist()
        [[0.0, 0.0, 0.5, 1.0]]
    """
    source = read_picture(mask, max_pixels=max_pixels)
    paint = read_paint(source, picture)
    light = _light(source) if paint is None else paint.light
    if light.shape != picture.size:
        _fitted(light > 0.5, picture, fit)  # refuses it, unless it may be resized
        height, width = picture.size
        image = Image.fromarray(light).resize((width, height), Image.Resampling.BILINEAR)
        light = np.asarray(image)
    light = np.float32(1) - light if invert else light
    return np.clip(2 * light - 1, 0, 1)


def _bright(mask: Picture) -> Mask:
    if mask.mode in GREY:
        # Most masks are, and the colours of 12 megapixels take longer than many a fill.
        return _grey(mask) > mask.layout.peak / 2
    return _light(mask) > 0.5


def _light(mask: Picture) -> NDArray[np.float32]:
    """Give how bright a mask is, in [0, 1]; what is transparent in it marks nothing."""
    if mask.mode in GREY:
        return _grey(mask).astype(np.float32) / np.float32(mask.layout.peak)
    height, width = mask.size
    light = mask.rgb(Box.whole((height, width))) @ LUMA
    return light * mask.alpha() if mask.has_alpha else light


def _grey(mask: Picture) -> Samples:
    return mask.samples.reshape(mask.size)


def _check_range(mask: NDArray[Any]) -> None:
    """Refuse 0 and 1 where 255 means white: it would pass for an empty mask."""
    if mask.max(initial=0) == 1:
        peak = np.iinfo(mask.dtype).max
        raise MaskError(
            f"a {mask.dtype} mask holds 0 and {peak}; the largest value of this one is 1: pass a "
            f"bool array (mask.astype(bool)), or save it multiplied by {peak}"
        )


def _fitted(hole: Mask, picture: Picture, fit: Fit | None) -> Mask:
    size = picture.size
    if hole.shape == size:
        return hole
    (height, width), (rows, columns) = size, hole.shape
    sizes = f"image is {width}x{height} but mask is {columns}x{rows}"
    turned = (columns, rows) == size
    if picture.source_metadata.orientation in TURNS:
        aside = _apart(rows, columns, width, height)
        turned |= aside < TURNED < 5 * TURNED < _apart(rows, columns, height, width)
    if turned:
        raise MaskError(f"{sizes}: it lies on its side, {_turn(picture)}")
    if fit != "resize":
        other = "" if fit is None else ', or pass `fit="resize"`'
        raise MaskError(f"{sizes}: resize the mask{other}")
    image = Image.fromarray(hole.astype(np.uint8) * 255)
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR)) > 127


def _apart(rows: int, columns: int, height: int, width: int) -> float:
    """Give by how much the proportions of two sizes differ."""
    return abs(rows * width / (columns * height) - 1)


def _turn(picture: Picture) -> str:
    """Say how a mask that lies on its side has to be turned."""
    turn = TURNS.get(picture.source_metadata.orientation)
    if turn is None:
        return "turned by 90 degrees against the image: turn the mask"
    orientation = picture.source_metadata.orientation
    return (
        f"as the image does in its file, whose EXIF orientation of {orientation} turns it: turn "
        f"the mask {turn}, or paint it on the image as viewers show it"
    )
