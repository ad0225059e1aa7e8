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
"""Change of colour across an outline, below which it follows no edge."""
HELD = 0.3
"""Of an outline, that may lie on the box tried around a click."""
AGREED = 0.6
"""Overlap (IoU) with another look, or with another segmenter, below which it is another thing."""
BORDER = 0.3
"""Of the photo's border, above which what a click found is what the photo is full of."""
LARGEST = 0.4
"""Of a photo, above which so much is not filled well."""
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
    figures: dict[str, float]
    """What the doubts rest on, as far as it is known: ``share`` of the photo, ``border`` (share of
    its border), ``edge`` (change of colour across the outline), ``agreement`` (IoU of two looks).
    """
    doubts: tuple[str, ...]
    """Why it may be no object, or not the one that is meant; with numbers."""


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
        The mask, who found it, why it may be wrong, and lines that a person should read.

    Raises:
        MaskError: If nothing is found at all.
        ReferenceMissingError: If the segmenter that was asked for has not been fetched.
        WeightsError: If it cannot be loaded.
    """
    if segmenter not in get_args(Name):
        raise MaskError(f"no segmenter {segmenter!r}: there are {', '.join(get_args(Name))}")
    if segmenter != "auto" and not networks.is_there(*FILES[segmenter]):
        raise ReferenceMissingError(
            f"the segmenter {segmenter} is not here yet: run `freefill references {segmenter}`, or "
            "leave out `segmenter`"
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
    if not mask.any():
        raise MaskError(f"no object was found {told(prompt)}: give a box around it (`box=L,T,R,B`)")
    if names[0] == "sam2" and prompt.box is None:
        found = found._replace(agreement=saliency.agreement(picture, mask))
    figures = _figures(mask, found, names[0])
    coarseness = max(found.box.size) / max(found.share.shape)
    growth = min(round(SOFT + INEXACT * coarseness), LARGEST_GROWTH)
    doubts = _doubts(figures, found, prompt)
    if prompt.box is not None:
        # A person has said how large it is.
        notices += [f"what is in the box is much: {doubt}" for doubt in doubts]
        doubts = ()
    return Segment(mask, names[0], growth, tuple(notices), figures, doubts)


_FIND: dict[str, Callable[[Picture, Prompt], Found]] = {
    "classical": lambda picture, prompt: classical.find(picture, prompt),
    "u2netp": lambda picture, prompt: saliency.find(picture, prompt),
    "sam2": lambda picture, prompt: sam.find(picture, prompt),
}


def _figures(mask: Mask, found: Found, name: str) -> dict[str, float]:
    rim = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    figures = {"share": float(mask.mean()), "border": float(rim.mean())}
    if name != "sam2":
        figures["edge"] = max(found.score, 0.0)
    if found.agreement is not None:
        figures["agreement"] = found.agreement
    return {key: round(value, 4) for key, value in figures.items()}


def _doubts(figures: dict[str, float], found: Found, prompt: Prompt) -> tuple[str, ...]:
    """Say why what was found may not be what is meant."""
    doubts = []
    share, border = figures["share"], figures["border"]
    if share > LARGEST:
        doubts.append(f"it covers {share:.0%} of the photo, and {LARGEST:.0%} are filled well")
    if prompt.box is not None or prompt.is_subject:
        return tuple(doubts)
    if border > BORDER:
        doubts.append(f"it takes {border:.0%} of the photo's border, which the background does")
    edge = figures.get("edge", 1.0)
    if edge < FAINTEST:
        doubts.append(f"colours change by {edge:.1%} across its outline, less than {FAINTEST:.0%}")
    if found.held > HELD:
        doubts.append(f"{found.held:.0%} of its outline lies on no edge, more than {HELD:.0%}")
    agreement = figures.get("agreement", 1.0)
    if agreement < AGREED:
        doubts.append(
            f"another look at it agrees by {agreement:.0%}, less than {AGREED:.0%}"
            if agreement
            else "U^2-Net takes nothing there for an object"
        )
    return tuple(doubts)


def told(prompt: Prompt) -> str:
    """Say in words where something was looked for."""
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
