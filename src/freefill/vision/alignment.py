"""Where photos of one scene overlap: features, matches, and the homography between them.

As "Automatic Panoramic Image Stitching using Invariant Features" (Brown and Lowe, 2007): SIFT,
matches that are clearly the best, a homography by random samples, and their test of whether so many
matches can be chance. OpenCV does it (the extra ``stitch``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from freefill.errors import ExtraMissingError, ImageError
from freefill.imaging.box import Box
from freefill.imaging.codecs import LUMA
from freefill.imaging.picture import Picture

Homography = NDArray[np.float64]
"""``(3, 3)``: from columns and rows of one photo to those of another."""

EXTRA = "pip install 'freefill[stitch]'"
LOOKED_AT = 1024
"""Pixels of the longer side that features are looked for in."""
FEATURES = 4000
CLEAR = 0.75
"""The best match may be as far as this share of the second best."""
APART = 3.0
"""Pixels that a match may lie from where the homography has it."""
FEWEST, SHARE = 12, 0.22
"""A pair needs this many matches that agree, and more than 5.9 and this share of all."""
STRETCHED = 6.0
"""How many times larger or smaller a photo may become."""


@dataclass(frozen=True)
class Placed:
    """A photo in the frame of the first.

    Attributes:
        number: Of the photo.
        to_first: From its pixels to the first's.
        matches: That agree, with the photo that it was placed by; 0 for the first.
    """

    number: int
    to_first: Homography
    matches: int


def opencv() -> ModuleType:
    """Give OpenCV.

    Returns:
        The module.

    Raises:
        ExtraMissingError: If it is not installed; the message is the command that does.
    """
    try:
        import cv2
    except ImportError:
        raise ExtraMissingError(f"stitching needs OpenCV: {EXTRA}") from None
    return cv2


def align(pictures: Sequence[Picture]) -> list[Placed]:
    """Place photos in the frame of the first, each by the one that it overlaps best.

    Args:
        pictures: Two or more.

    Returns:
        All of them, in the order in which they can be laid on each other.

    Raises:
        ExtraMissingError: Without OpenCV.
        ImageError: If one overlaps none of the others, or would be stretched beyond measure.
    """
    cv2 = opencv()
    seen = [_features(cv2, picture) for picture in pictures]
    placed = [Placed(0, np.eye(3), 0)]
    waiting = list(range(1, len(pictures)))
    pairs: dict[tuple[int, int], tuple[Homography | None, int, int]] = {}
    while waiting:
        best: tuple[int, int, int] | None = None
        for number in waiting:
            for other in placed:
                key = number, other.number
                if key not in pairs:
                    pairs[key] = _pair(cv2, seen[number], seen[other.number])
                found, agreeing, _ = pairs[key]
                if found is not None and (best is None or agreeing > best[0]):
                    best = agreeing, number, other.number
        if best is None:
            raise ImageError(_apart(waiting[0], pairs))
        matches, number, base = best
        step = pairs[number, base][0]
        assert step is not None
        frame = next(one.to_first for one in placed if one.number == base)
        to_first = frame @ step
        _check_stretch(number, to_first, pictures[number].size)
        placed.append(Placed(number, to_first / to_first[2, 2], matches))
        waiting.remove(number)
    return placed


def corners(to_first: Homography, size: tuple[int, int]) -> NDArray[np.float64]:
    """Give where the corners of a photo lie, ``(4, 2)``: columns and rows, of pixel centres."""
    bottom, right = size[0] - 1, size[1] - 1
    points = np.array([[0, 0, 1], [right, 0, 1], [right, bottom, 1], [0, bottom, 1]], float)
    there = points @ to_first.T
    placed: NDArray[np.float64] = there[:, :2] / there[:, 2:]
    return placed


def _features(
    cv2: ModuleType, picture: Picture
) -> tuple[NDArray[np.float64], NDArray[np.float32] | None]:
    """Give places in the photo, ``(n, 2)``, and what they look like."""
    height, width = picture.size
    factor = -(-max(height, width) // LOOKED_AT)
    rows = []
    for top in range(0, height, factor):
        # Row by row: the colours of a large photo in floats are many times its file.
        bright = (
            picture.rgb(Box(left=0, top=top, right=width, bottom=min(top + factor, height))) @ LUMA
        ).mean(0)
        starts = np.arange(0, width, factor)
        rows.append(np.add.reduceat(bright, starts) / np.diff(np.append(starts, width)))
    grey = np.rint(np.array(rows) * 255).astype(np.uint8)
    points, described = cv2.SIFT_create(FEATURES).detectAndCompute(grey, None)
    places = np.array([point.pt for point in points], float).reshape(-1, 2)
    return (places + 0.5) * factor - 0.5, described


def _pair(
    cv2: ModuleType,
    one: tuple[NDArray[np.float64], NDArray[np.float32] | None],
    other: tuple[NDArray[np.float64], NDArray[np.float32] | None],
) -> tuple[Homography | None, int, int]:
    """Give the homography from one photo to another, if there is one; agreeing matches, and all."""
    (places, described), (there, known) = one, other
    if described is None or known is None or min(len(described), len(known)) < 2:
        return None, 0, 0
    found = cv2.BFMatcher(cv2.NORM_L2).knnMatch(described, known, k=2)
    clear = [first for first, second in found if first.distance < CLEAR * second.distance]
    if len(clear) < 4:
        return None, 0, len(clear)
    source = places[[match.queryIdx for match in clear]]
    target = there[[match.trainIdx for match in clear]]
    cv2.setRNGSeed(0)
    matrix, inside = cv2.findHomography(source, target, cv2.RANSAC, APART, maxIters=5000)
    agreeing = 0 if inside is None else int(inside.sum())
    if matrix is None or agreeing < max(FEWEST, 5.9 + SHARE * len(clear)):
        return None, agreeing, len(clear)
    return np.asarray(matrix, np.float64), agreeing, len(clear)


def _apart(number: int, pairs: dict[tuple[int, int], tuple[Homography | None, int, int]]) -> str:
    mine = {other: pair for (one, other), pair in pairs.items() if one == number}
    other, (_, agreeing, count) = max(mine.items(), key=lambda item: item[1][1])
    needed = max(FEWEST, int(5.9 + SHARE * count) + 1)
    return (
        f"photo {number + 1} overlaps none of the others: {agreeing} of {count} matches with photo "
        f"{other + 1} agree, {needed} are needed; take photos that share about a third"
    )


def _check_stretch(number: int, to_first: Homography, size: tuple[int, int]) -> None:
    bottom, right = size[0] - 1, size[1] - 1
    points = np.array([[0, 0, 1], [right, 0, 1], [right, bottom, 1], [0, bottom, 1]], float)
    depth = (points @ to_first.T)[:, 2] / to_first[2, 2]
    place = corners(to_first, size)
    x, y = place.T
    area = 0.5 * float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum()) / max(bottom * right, 1)
    if depth.min() <= 0 or not STRETCHED**-2 < area < STRETCHED**2:
        raise ImageError(
            f"photo {number + 1} would be stretched to {area:.2g} times its area to meet the "
            "others: turn less between photos, or begin with the middle one"
        )
