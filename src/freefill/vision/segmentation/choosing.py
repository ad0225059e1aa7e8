"""Which segmenter is asked, what is done when it is not sure, and what is made of its answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import numpy as np

from freefill.errors import MaskError, ReferenceMissingError
from freefill.imaging.box import bounds
from freefill.imaging.picture import Picture
from freefill.masks.thinning import components
from freefill.types import Mask
from freefill.vision.segmentation import classical, networks, saliency, sam
from freefill.vision.segmentation.classical import Found, to_hole
from freefill.vision.segmentation.prompt import Prompt
from freefill.vision.segmentation.view import around, resized

Name = Literal["auto", "classical", "u2netp", "sam2"]

FILES = {"classical": (), "u2netp": ("u2netp",), "sam2": ("sam2_encoder", "sam2_decoder")}
"""References that each needs."""
UNSURE = 0.5
"""What SAM 2 thinks of its own mask, below which another segmenter is asked."""
FAINTEST = 0.03
"""Change of colour across an outline, below which there is none to be seen."""
HELD = 0.3
"""Of an outline, that may lie on the box tried around a click."""
ALL = 0.6
"""Of a photo, above which a click was on its background and not on an object."""
MUCH = 0.4
"""Of a photo, above which a person should know."""
SOFT = 2.0
"""Pixels of a soft edge that a hole is to go over."""
INEXACT = 1.5
"""Of a segmenter's own pixels, that its outline may be off."""
LARGEST_GROWTH = 64
CLOSED = 0.15
"""Of the object: gaps in it that are smaller are of it too."""


class Segment(NamedTuple):
    """What was found."""

    mask: Mask
    """``(H, W)``."""
    segmenter: str
    growth: int
    """Pixels by which a hole should go over the mask's edge."""
    notices: tuple[str, ...]


def available() -> list[str]:
    """List the segmenters that can be used here, the best first."""
    return [name for name in ("sam2", "u2netp", "classical") if networks.is_there(*FILES[name])]


def segment(picture: Picture, prompt: Prompt, segmenter: Name = "auto") -> Segment:
    """Find the object that is pointed at.

    Args:
        picture: Of any size.
        prompt: From :func:`freefill.vision.segmentation.prompt.prompt`.
        segmenter: ``"classical"``, ``"u2netp"``, ``"sam2"``, or ``"auto"``: the best that is there.

    Returns:
        The mask, who found it, and lines that a person should read.

    Raises:
        MaskError: If nothing is found, or a click was on the background.
        ReferenceMissingError: If the segmenter that was asked for has not been fetched.
        WeightsError: If it cannot be loaded.
    """
    if segmenter not in get_args(Name):
        raise MaskError(f"no segmenter {segmenter!r}: there are {', '.join(get_args(Name))}")
    if segmenter != "auto" and not networks.is_there(*FILES[segmenter]):
        raise ReferenceMissingError(
            f"the segmenter {segmenter} is not here yet: run `freefill references {segmenter}`, or "
            "leave out --segmenter"
        )
    names = available() if segmenter == "auto" else [segmenter]
    if prompt.is_subject and names[0] == "sam2":
        # It answers to a place. What a photo is of, the others know; then it can be asked.
        names = names[1:] or ["classical"]
    notices: list[str] = []
    found = _FIND[names[0]](picture, prompt)
    if names[0] == "sam2" and found.score < UNSURE:
        names = [*names[1:], "classical"]
        notices.append(
            f"SAM 2 is {found.score:.0%} sure of what it found, which is too little: {names[0]} "
            "was asked instead"
        )
        found = _FIND[names[0]](picture, prompt)
    mask = _closed(to_hole(found, picture.size), prompt)
    if prompt.box is not None:
        keep = np.zeros_like(mask)
        keep[around(prompt.box, 0.05, picture.size, least=2).window] = True
        mask &= keep
    notices += _check(mask, prompt, found, names[0])
    coarseness = max(found.box.size) / max(found.share.shape)
    growth = min(round(SOFT + INEXACT * coarseness), LARGEST_GROWTH)
    return Segment(mask, names[0], growth, tuple(notices))


_FIND: dict[str, Callable[[Picture, Prompt], Found]] = {
    "classical": lambda picture, prompt: classical.find(picture, prompt),
    "u2netp": lambda picture, prompt: saliency.find(picture, prompt),
    "sam2": lambda picture, prompt: sam.find(picture, prompt),
}


def _check(mask: Mask, prompt: Prompt, found: Found, name: str) -> list[str]:
    """Refuse what is no object, and say what may be none."""
    height, width = mask.shape
    where, advice = _told(prompt), "give a box around it (--box L,T,R,B)"
    share = float(mask.mean())
    if not mask.any():
        raise MaskError(f"no object was found {where}: {advice}")
    edges = sum(bool(side.any()) for side in (mask[0], mask[-1], mask[:, 0], mask[:, -1]))
    summary = f"what was found {where} covers {share:.0%} of the photo ({width}x{height})"
    if prompt.at and prompt.box is None:
        if share > ALL or (share > ALL / 3 and edges >= 3):
            raise MaskError(
                f"{summary} and touches {edges} of its 4 sides, so it is the background: point at "
                f"an object, or {advice}"
            )
        if name != "sam2" and found.score < FAINTEST:
            raise MaskError(
                f"no object was found {where}: colours change by {max(found.score, 0):.1%} across "
                f"the best outline there is, and {FAINTEST:.0%} are needed: point at an object, or "
                f"{advice}"
            )
        if name != "sam2" and found.held > HELD:
            raise MaskError(
                f"no object was found {where}: {found.held:.0%} of the best outline lies on no "
                f"edge, and {HELD:.0%} may: point at an object, or {advice}"
            )
        if share > MUCH / 4 and edges >= 2:
            return [f"{summary} and touches {edges} of its 4 sides: it may be the background"]
    if share > MUCH:
        return [f"{summary}: so much is not filled well"]
    return []


def _told(prompt: Prompt) -> str:
    if prompt.box is not None:
        box = prompt.box
        return f"in the box {box.left},{box.top},{box.right},{box.bottom}"
    return f"at {' and '.join(f'{x},{y}' for x, y in prompt.at)}" if prompt.at else "in the photo"


def _closed(mask: Mask, prompt: Prompt) -> Mask:
    """Fill gaps that are small and that nobody has said are not of the object."""
    box = bounds(mask)
    if box is None:
        return mask
    part = mask[box.window]
    factor = max(1, -(-max(box.size) // 512))
    small = part[::factor, ::factor]
    # A frame around it joins all that is outside to one part.
    label, count = components(np.pad(~small, 1, constant_values=True))
    sizes = np.bincount(label[label >= 0], minlength=count)
    gaps = sizes < CLOSED * small.sum()
    gaps[label[0, 0]] = False
    closed = (gaps[label] & (label >= 0))[1:-1, 1:-1]
    if not closed.any():
        return mask
    for x, y in prompt.avoid:
        row, column = (y - box.top) // factor, (x - box.left) // factor
        if 0 <= row < closed.shape[0] and 0 <= column < closed.shape[1] and closed[row, column]:
            closed &= label[1:-1, 1:-1] != label[row + 1, column + 1]
    result = mask.copy()
    result[box.window] |= (
        closed if factor == 1 else resized(closed.astype(np.float32), box.size) > 0.5
    )
    return result
