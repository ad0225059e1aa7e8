"""Masks that are not white on black: paint, labels, and painted copies of the photo.

A mask is white on black, and everything between is decided by brightness (``convert``). People
bring others: red strokes on a transparent layer, a segmentation's labels, the photo itself with
the place painted over or erased. What such a picture marks is what is not its ground, or what is
not the photo; where that could be several things, it is refused with what was seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from freefill.errors import MaskError
from freefill.imaging.box import Box
from freefill.imaging.codecs import LUMA
from freefill.imaging.picture import Picture
from freefill.masks.morphology import grow
from freefill.types import Mask

Bytes = NDArray[np.uint8]
Light = NDArray[np.float32]

GREY = ("L", "LA", "I;16")
"""Modes without colours."""
COLOURLESS = 24
"""Spread of red, green and blue, of 255, up to which a colour is grey: JPEG makes some."""
FEW = 0.002
"""Share of pixels that may be anything: specks, and what compression leaves."""
GROUND = 0.5
"""Share of a mask that has to be of one colour, or transparent, for the rest to be paint."""
FAINT = 16
"""Differences, of 255, that compression makes where nothing is painted."""
SHIFT = 20
"""What is painted in a lossy copy differs by more than so many levels on the average."""
OTHER_PAINT = 64
"""Distance, of 441, from all blends of ground and paint from which on a colour is another paint."""
MANY = 96
"""Colours, of 4096, from which on a picture looks like a photo; greys, of 256, likewise."""
SHADES = 48
"""What a photo and its painted copy share spans at least so many levels."""
STEP, TURNS = 2, 0.025
"""A photo goes up and down by more than so many levels at that share of its pixels."""
AT_MOST = 2_000_000
"""Pixels that are looked at to tell what a mask is."""
SMALLEST_PHOTO = 1024
"""Pixels under which nothing is known to look like a photo."""
TODO = "paint what is to be filled white on black, or on a transparent ground"


@dataclass(frozen=True, eq=False)
class Paint:
    """What was understood of a mask.

    Attributes:
        light: ``(H, W)`` in [0, 1]: more than half = fill.
        notice: How it was read.
    """

    light: Light
    notice: str


def read_paint(mask: Picture, picture: Picture) -> Paint | None:
    """Understand a mask that is not white on black.

    Args:
        mask: The mask, read.
        picture: The picture that it is for: the mask may be a copy of it.

    Returns:
        What it marks; ``None`` where brightness says it.

    Raises:
        MaskError: If it could mean several things, or looks like a photo and is no copy of this.
    """
    if mask.mode == "1" or mask.samples.dtype.kind not in "u":
        return None
    opaque = _opaque(mask)
    if opaque is not None and opaque.all():
        opaque = None
    if mask.mode in GREY:
        values = mask.samples[..., 0] if mask.samples.ndim == 3 else mask.samples
        if opaque is None:
            return _grey(values, mask, picture)
        colours = _eight_bits(values)[..., None]
    else:
        colours = _colours(mask)
        if _spread(colours, opaque) <= FEW:
            if opaque is None:
                return _grey(colours[..., 1], mask, picture)
            colours = colours[..., 1:2]
    if opaque is not None:
        return _on_transparent(colours, opaque, mask, picture)
    return _in_colour(colours, mask, picture)


def _grey(values: NDArray[np.unsignedinteger], mask: Picture, picture: Picture) -> Paint | None:
    """Understand greys: labels that are all dark, and grey photos."""
    top = int(np.iinfo(values.dtype).max)
    if values.max() > top // 2:
        thin = _thinned(values)
        shares = np.bincount(thin.ravel(), minlength=top + 1) / thin.size
        if values.size < SMALLEST_PHOTO or _levels(shares) < MANY // 2:
            return None
        if _is_photo(_eight_bits(values)):
            return _copy(mask, picture, _shades(shares, top))
        return _copied(mask, picture)
    counts = np.bincount(values.ravel(), minlength=top + 1)
    shares = counts / values.size
    if np.count_nonzero(counts) < 2:
        return None
    ground = int(counts.argmax())
    levels = np.flatnonzero(counts)
    away = np.abs(levels - ground)
    far = levels[away * 2 > away.max()]
    paint = int(far[counts[far].argmax()])
    # Levels that many pixels have are labels; an edge between two has few of each.
    labels = levels[(shares[levels] > FEW) | (levels == paint)]
    if len(levels) > 2 and away.max() <= FAINT * top // 255 and not _is_patches(values, ground):
        return None  # black, as lossy compression leaves it
    if len(levels) == 2 or (len(labels) <= 2 and paint in labels):
        if shares[ground] < GROUND:
            raise _doubtful(_shades(shares, top), mask)
        distance = np.abs(values.astype(np.int32) - ground).astype(np.float32)
        light = np.minimum(distance / np.float32(abs(paint - ground)), 1).astype(np.float32)
        return Paint(light, _told(f"the value {paint}", f"a ground of {ground}", light))
    found = _copied(mask, picture)
    if found is not None:
        return found
    raise _doubtful(_shades(shares, top), mask)


def _on_transparent(colours: Bytes, opaque: Mask, mask: Picture, picture: Picture) -> Paint | None:
    """Understand paint on a transparent ground, and photos of which a part is erased."""
    if not opaque.any():
        return None
    painted = colours[opaque]
    if len(painted) >= SMALLEST_PHOTO and _many(painted):
        return _copy(mask, picture, "many colours, and a transparent part")
    if colours.shape[-1] == 1 and (painted > 127).any():
        return None  # white and black, as on any mask
    share = float(opaque.mean())
    if share > GROUND:
        raise _doubtful(f"{share:.0%} opaque, the rest transparent", mask)
    light = _alpha(mask)
    return Paint(light, _told("what is painted", "the transparent ground", light))


def _in_colour(every: Bytes, mask: Picture, picture: Picture) -> Paint | None:
    """Understand paint on a ground of one colour; photos; and colours that are many or none's."""
    colours = _thinned(every)
    lossy = mask.format not in (None, "PNG", "BMP", "TIFF", "GIF")
    if _is_one_hue(colours, 0.05 if lossy else 0.02):
        # As bright on black: what is white is only yellow here.
        light = _luma(colours).astype(np.uint8)
        photo = light.size >= SMALLEST_PHOTO and _is_photo(light)
        return _copy(mask, picture, "shades of one colour") if photo else None
    if colours[..., 0].size >= SMALLEST_PHOTO and _many(colours.reshape(-1, 3)):
        return _copy(mask, picture, "many colours")
    codes, counts = _coded(colours)
    size = codes.size
    ground = _mean_of(colours, codes, int(counts.argmax()))
    distance = _from(colours, ground)
    near = distance < OTHER_PAINT / 2
    if near.mean() < GROUND:
        if size < SMALLEST_PHOTO:
            return None
        return _copy(mask, picture, _seen(colours, codes, counts))
    far = distance * 2 > distance.max()
    if distance.max() < OTHER_PAINT / 2 or not far.any():
        return None
    most = int(np.bincount(codes[far], minlength=len(counts)).argmax())
    paint = _mean_of(colours, codes, most)
    # Blends of ground and paint are edges; what lies beside them is another paint.
    along = paint - ground
    reach = float(np.linalg.norm(along))
    part = np.clip((colours - ground) @ (along / np.float32(reach**2)), 0, 1)
    aside = _from(colours, ground + part[..., None] * along)
    others = (aside > OTHER_PAINT).sum() / max((~near).sum(), 1)
    if others > (0.3 if lossy else 0.02):
        found = _copied(mask, picture)
        if found is not None:
            return found
        raise _doubtful(_seen(colours, codes, counts), mask)
    if _luma(ground) <= 127.5 < _luma(paint):
        return None  # bright paint on a dark ground: a mask by its brightness
    light = np.minimum(_from(every, ground) / np.float32(reach), 1).astype(np.float32)
    return Paint(light, _told(f"the colour {_name(paint)}", f"a ground of {_name(ground)}", light))


def _is_one_hue(colours: Bytes, specks: float) -> bool:
    """Whether all lies between black and one bright colour."""
    light = _luma(colours)
    top = float(light.max())
    if top <= 127.5:
        return False
    brightest = colours[light > 0.9 * top].mean(0).astype(np.float32)
    if _luma(brightest) <= 127.5:
        return False
    along = brightest / np.linalg.norm(brightest)
    aside = _from(colours, (colours @ along)[..., None] * along)
    return bool((aside > OTHER_PAINT).sum() <= specks * max((light > FAINT).sum(), 1))


def _copy(mask: Picture, picture: Picture, seen: str) -> Paint:
    """Compare what looks like a photo with the photo."""
    found = _copied(mask, picture)
    if found is not None:
        return found
    if mask.size == picture.size:
        raise MaskError(
            f"the mask looks like a photo ({seen}) and is no painted copy of the image, most of "
            f"whose pixels it would share: {TODO}"
        )
    (height, width), (rows, columns) = picture.size, mask.size
    raise MaskError(
        f"the mask looks like a photo ({seen}) of {columns}x{rows}, and the image is "
        f"{width}x{height}, so it is no painted copy of it: {TODO}"
    )


def _copied(mask: Picture, picture: Picture) -> Paint | None:
    """Give what differs between a painted copy and the photo."""
    if mask.size != picture.size:
        return None
    whole = Box.whole(picture.size)
    colours, photo = mask.rgb(whole), picture.rgb(whole)
    differs = np.abs(colours - photo).max(-1) * np.float32(255)
    erased = np.zeros(mask.size, bool)
    if mask.has_alpha:
        mine = _alpha(mask)
        theirs = _alpha(picture) if picture.has_alpha else np.float32(1)
        erased = np.abs(mine - theirs) * np.float32(255) >= 1.5
        differs[mine == 0] = 0  # under what is erased any colour may lie
    same = (differs < 1.5) & ~erased
    near = (differs <= FAINT) & ~erased
    if near.mean() <= GROUND:
        return None
    darkest, brightest = np.percentile(_luma(colours[near] * 255), (2, 98))
    if brightest - darkest < SHADES:
        return None  # one dark ground is like another
    if same.mean() > GROUND and ((near & ~same).mean() < 0.05 or _whole_blocks(same) > GROUND):
        hole = ~same
    else:
        # Noise has a mean of nothing; what is painted has another colour throughout.
        steps = (_means(colours[..., i] - photo[..., i], 2) for i in range(3))
        hole = grow(np.maximum.reduce([np.abs(step) for step in steps]) > SHIFT / 255, 2) | erased
    if not hole.any():
        raise MaskError(f"the mask is the image itself, nothing of it is painted: {TODO}")
    notice = f"the mask is a copy of the image: what differs is filled, {hole.mean():.1%} of it"
    return Paint(hole.astype(np.float32), notice)


def _whole_blocks(same: Mask, side: int = 16) -> float:
    """Give the share of blocks that are marked as a whole: noise leaves few."""
    height, width = (length // side for length in same.shape)
    blocks = same[: height * side, : width * side].reshape(height, side, width, side)
    return float(blocks.all((1, 3)).mean()) if blocks.size else 1.0


def _is_patches(values: NDArray[np.unsignedinteger], ground: int) -> bool:
    """Whether what is not ground lies in patches of one value, as labels do and noise does not."""
    there = values[:, :-1] != ground
    return bool((values[:, 1:] == values[:, :-1])[there].mean() > 0.6) if there.any() else False


def _means(values: NDArray[Any], reach: int) -> NDArray[np.float64]:
    """Give the means of windows of ``2 * reach + 1`` pixels."""
    side = 2 * reach + 1
    sums = np.pad(values, (reach, reach), "edge").astype(np.float64).cumsum(0).cumsum(1)
    sums = np.pad(sums, ((1, 0), (1, 0)))
    inside = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    return np.asarray(inside / side**2, np.float64)


def _is_photo(values: Bytes) -> bool:
    """Whether greys are those of a photo: between black and white, many, and up and down.

    The feather of a mask is between black and white, too, and goes up or down only.
    """
    shares = np.bincount(values.ravel(), minlength=256) / values.size
    if shares[25:230].sum() < GROUND or _levels(shares) < MANY or shares.max() > GROUND / 2:
        return False
    turns = []
    for side in (values, values.T):
        steps = np.diff(side.astype(np.int16), axis=1)
        first, second = steps[:, :-1], steps[:, 1:]
        steep = (np.abs(first) > STEP) & (np.abs(second) > STEP)
        turns.append(float((steep & ((first > 0) != (second > 0))).mean()))
    return max(turns) > TURNS


def _levels(shares: NDArray[np.float64]) -> int:
    """Give how many of 256 levels are more than specks."""
    return int(np.count_nonzero(shares.reshape(256, -1).sum(1) > 1e-4))


def _many(colours: Bytes) -> bool:
    """Whether pixels ``(n, C)`` have so many colours as those of a photo, none of them most."""
    if colours.shape[-1] == 1:
        counts = np.bincount(colours[:, 0], minlength=256)
        return bool(np.count_nonzero(counts > len(colours) * 1e-4) >= MANY)
    coded = colours >> np.uint8(4)
    codes = (coded[:, 0].astype(np.int32) << 8) | (coded[:, 1].astype(np.int32) << 4) | coded[:, 2]
    counts = np.bincount(codes, minlength=4096)
    return bool(
        np.count_nonzero(counts > len(colours) * 1e-4) >= MANY // 2
        and np.sort(counts)[-3:].sum() < 0.9 * len(colours)
    )


def _thinned(values: NDArray[Any]) -> NDArray[Any]:
    """Give about a million pixels of a large mask, by which to tell what it is."""
    step = math.isqrt(values.shape[0] * values.shape[1] // AT_MOST) + 1
    return values[::step, ::step]


def _coded(colours: Bytes) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Give each pixel the number of its colour in 4096, and how many have each."""
    coded = (colours >> np.uint8(4)).astype(np.int32)
    codes: NDArray[np.int32] = (coded[..., 0] << 8) | (coded[..., 1] << 4) | coded[..., 2]
    return codes, np.bincount(codes.ravel(), minlength=4096)


def _mean_of(colours: Bytes, codes: NDArray[np.int32], code: int) -> Light:
    return np.asarray(colours[codes == code].mean(0), np.float32)


def _from(colours: NDArray[Any], point: NDArray[np.float32]) -> Light:
    """Give the distance of colours from another, 0 to 441."""
    apart = colours.astype(np.float32) - point
    return np.asarray(np.sqrt((apart * apart).sum(-1)), np.float32)


def _luma(colours: NDArray[Any]) -> Light:
    return np.asarray(colours.astype(np.float32) @ LUMA, np.float32)


def _spread(colours: Bytes, opaque: Mask | None) -> float:
    """Give the share of pixels that are no grey."""
    red, green, blue = (colours[..., i] for i in range(3))
    if (red == green).all() and (green == blue).all():
        return 0
    lowest = np.minimum(np.minimum(red, green), blue)
    highest = np.maximum(np.maximum(red, green), blue)
    coloured = (highest - lowest) > COLOURLESS
    return float(coloured.mean() if opaque is None else (coloured & opaque).mean())


def _opaque(mask: Picture) -> Mask | None:
    """Give what of a mask is there; ``None`` where it has no alpha."""
    if mask.has_alpha or (mask.mode == "P" and mask.layout.transparency is not None):
        return _alpha(mask) > 0.5
    return None


def _alpha(mask: Picture) -> Light:
    if mask.has_alpha:
        return mask.alpha()
    hidden = mask.layout.transparency
    opacity = np.ones(256, np.float32)
    if isinstance(hidden, int):
        opacity[hidden] = 0
    elif hidden is not None:
        opacity[: len(hidden)] = np.frombuffer(hidden, np.uint8) / np.float32(255)
    return opacity[mask.samples.reshape(mask.size)]


def _colours(mask: Picture) -> Bytes:
    if mask.mode in ("RGB", "RGBA") and mask.samples.dtype == np.uint8:
        return mask.samples[..., :3]
    return (mask.rgb(Box.whole(mask.size)) * 255).round().astype(np.uint8)


def _eight_bits(values: NDArray[np.unsignedinteger]) -> Bytes:
    if values.dtype == np.uint8:
        return values.astype(np.uint8)
    return (values >> np.uint16(8)).astype(np.uint8)


def _shades(shares: NDArray[np.float64], top: int) -> str:
    most = np.argsort(shares, kind="stable")[::-1][:4]
    listed = ", ".join(f"{value} on {shares[value]:.1%}" for value in most if shares[value] > 0)
    count = np.count_nonzero(shares)
    return f"{count} values of 0 to {top}: {listed}{', ...' if count > 4 else ''}"


def _seen(colours: Bytes, codes: NDArray[np.int32], counts: NDArray[np.int64]) -> str:
    most = [int(code) for code in np.argsort(counts, kind="stable")[::-1][:4] if counts[code]]
    listed = (
        f"{_name(_mean_of(colours, codes, code))} on {counts[code] / codes.size:.1%}"
        for code in most
    )
    more = ", ..." if np.count_nonzero(counts) > 4 else ""
    return f"{', '.join(listed)}{more}"


def _name(colour: NDArray[np.float32]) -> str:
    return "#" + "".join(f"{round(float(value)):02x}" for value in colour)


def _told(paint: str, ground: str, light: Light) -> str:
    return f"the mask is read as paint: {paint} on {ground} is filled, {(light > 0.5).mean():.1%}"


def _doubtful(seen: str, mask: Picture) -> MaskError:
    return MaskError(f"the mask can be understood in several ways ({seen}): {TODO}")
