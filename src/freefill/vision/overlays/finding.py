"""All detectors as one: which overlays are on a picture, and where.

The photo is looked at shrunk to the size that the detectors were fitted at; the mask is brought
back to its size and widened, because the edges of strokes are soft.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import numpy as np

from freefill.errors import MaskError
from freefill.imaging.box import Box
from freefill.imaging.picture import Picture
from freefill.masks.morphology import grow
from freefill.types import Mask, Rgb
from freefill.vision.overlays.dust import find_dust
from freefill.vision.overlays.glyphs import find_stamp, find_text
from freefill.vision.overlays.judging import Findings
from freefill.vision.overlays.scratches import find_scratches

Kind = Literal["auto", "stamp", "text", "scratches", "dust"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SMALLEST = 32
"""Pixels of a side under which nothing is looked for."""
LARGEST = 1024
"""Pixels of the longer side that is looked at; what is larger is looked at smaller."""
DETECTORS: dict[str, Callable[[Rgb, Mask | None], Findings]] = {
    "stamp": find_stamp,
    "text": find_text,
    "scratches": find_scratches,
    "dust": find_dust,
}
STRONG = {"stamp": (1, 0.995), "text": (2, 0.9), "scratches": (3, 0.9), "dust": (5, 0.88)}
"""How many parts of a kind must be how likely for it to be beyond doubt. A photo without overlays
has single parts that are as likely; text is found by two thresholds, each of which counts."""
NAMED = {"stamp": (1, 0.75), "text": (1, 0.3), "scratches": (3, 0.4), "dust": (5, 0.65)}
"""The same where a person named the kind: that there is some is said then."""
MOST_SPECKS = 150
"""Parts above which dust is snow, stars or a pattern."""
WIDENED = {"stamp": 2, "text": 2, "scratches": 1, "dust": 1}
"""Pixels, as it is looked at, by which what is found is widened."""


class Overlay(NamedTuple):
    """One kind of overlay, found."""

    kind: str
    mask: Mask
    """``(H, W)``, widened."""
    evidence: float
    """How likely the least likely of as many parts is as are asked for, 0 to 1."""
    needed: float
    """How likely it must be for the overlay to be beyond doubt."""

    @property
    def is_strong(self) -> bool:
        """Whether it is beyond doubt."""
        return self.evidence >= self.needed


def find(picture: Picture, kind: Kind = "auto", box: Box | None = None) -> tuple[Mask, list[str]]:
    """Find overlays, strong evidence or weak.

    Args:
        picture: The picture.
        kind: Which; ``"auto"`` looks for each.
        box: Where to look only; everywhere by default.

    Returns:
        ``(H, W)`` bool, and the kinds that were found.

    Raises:
        MaskError: If there is no such kind, or the box is not within the picture or too small.

    Examples:
        >>> from freefill.imaging.io import read_picture
        >>> photo = np.full((128, 128, 3), 90, np.uint8)
        >>> photo[10:100, 60] = 230
        >>> hole, kinds = find(read_picture(photo), "scratches")
        >>> kinds, bool(hole[20:90, 60].all())
        (['scratches'], True)
    """
    hole = np.zeros(picture.size, bool)
    overlays = find_each(picture, kind, box)
    for overlay in overlays:
        hole |= overlay.mask
    return hole, [overlay.kind for overlay in overlays]


def find_each(picture: Picture, kind: Kind = "auto", box: Box | None = None) -> list[Overlay]:
    """Find overlays, each kind by itself, and how sure each is; as :func:`find`.

    Returns:
        Those kinds of which there is anything.
    """
    if kind not in KINDS:
        raise MaskError(f"kind is {kind!r}; it must be one of {', '.join(KINDS)}")
    height, width = picture.size
    box = checked(Box.whole((height, width)) if box is None else box, height, width)
    # What is in a box is seen with its surroundings: how large letters are is judged by them.
    view = _widened(box, height, width)
    rgb, factor = looked_at(picture, view)
    within = None if box.area == height * width else _inside(box, view, factor, rgb.shape[:2])
    overlays = []
    for name in DETECTORS if kind == "auto" else [kind]:
        findings = DETECTORS[name](rgb, within)
        small = grow(findings.mask, WIDENED[name])
        hole = np.zeros(picture.size, bool)
        rows, columns = view.size
        hole[view.window] = small.repeat(factor, 0).repeat(factor, 1)[:rows, :columns]
        if within is not None:
            inside = np.zeros(picture.size, bool)
            inside[box.window] = True
            hole &= inside
        if hole.any():
            count, needed = (STRONG if kind == "auto" else NAMED)[name]
            # A box is a person's word that there is something in it.
            needed = needed if within is None else 0.0
            evidence = evidence_of(name, findings.odds, count)
            overlays.append(Overlay(name, hole, evidence, needed))
    return overlays


def evidence_of(name: str, odds: tuple[float, ...], count: int) -> float:
    """Tell how likely the least likely of the best parts is.

    Args:
        name: A kind.
        odds: Of its parts, the likeliest first.
        count: How many of them are to be good.

    Returns:
        0 to 1; 0 where there are fewer, or so many that they are a pattern.

    Examples:
        >>> evidence_of("scratches", (0.9, 0.8, 0.5), 2), evidence_of("scratches", (0.9,), 2)
        (0.8, 0.0)
    """
    if len(odds) < count or (name == "dust" and len(odds) > MOST_SPECKS):
        return 0.0
    return odds[count - 1]


def _widened(box: Box, height: int, width: int) -> Box:
    """Give a box with what is around it, up to what is looked at at full size."""
    ends = []
    for first, last, length in ((box.top, box.bottom, height), (box.left, box.right, width)):
        side = min(max(last - first, LARGEST), length)
        start = min(max((first + last - side) // 2, 0), length - side)
        ends.append((start, start + side))
    (top, bottom), (left, right) = ends
    return Box(left=left, top=top, right=right, bottom=bottom)


def _inside(box: Box, view: Box, factor: int, size: tuple[int, ...]) -> Mask:
    within = np.zeros(size[:2], bool)
    top, left = (box.top - view.top) // factor, (box.left - view.left) // factor
    bottom, right = -(-(box.bottom - view.top) // factor), -(-(box.right - view.left) // factor)
    within[top:bottom, left:right] = True
    return within


def looked_at(picture: Picture, box: Box) -> tuple[Rgb, int]:
    """Give the colours of a box, shrunk by a whole factor to :data:`LARGEST` pixels.

    Args:
        picture: The picture.
        box: Where.

    Returns:
        ``(h, w, 3)`` float32 in [0, 1], and the factor.
    """
    factor = -(-max(box.size) // LARGEST)
    return picture.shrunk(box, factor), factor


def checked(box: Box, height: int, width: int) -> Box:
    """Give a box back if it lies within a picture and is large enough to look for anything in.

    Args:
        box: The box.
        height: Of the picture.
        width: Of the picture.

    Returns:
        The box.

    Raises:
        MaskError: If it does not, or is not.
    """
    inside = 0 <= box.top < box.bottom <= height and 0 <= box.left < box.right <= width
    if not inside:
        raise MaskError(
            f"the box {box.left},{box.top},{box.right},{box.bottom} (left, top, right, bottom) is "
            f"not within the image, which is {width}x{height}"
        )
    if min(box.size) < SMALLEST:
        rows, columns = box.size
        raise MaskError(
            f"{columns}x{rows} pixels are too few to find anything in: {SMALLEST}x{SMALLEST} at "
            "least; paint a mask and give it to 'freefill fill'"
        )
    return box
