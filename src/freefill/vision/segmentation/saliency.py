"""What is an object at all: U^2-Net's small network, beside colours and edges.

Qin et al., "U^2-Net: Going Deeper with Nested U-Structure for Salient Object Detection" (2020). It
was trained to find what a whole photo is of, and says nothing of what lies beside that. So a click
is looked at in several views, from the whole photo to its surroundings, and what each of them shows
at the click is looked at once more, in a view of its own. What comes back the same is an object,
and the largest of those is meant; how much of it came back is known to whoever decides.

A box, and a photo's subject, are a view already: there the map goes to GrabCut
(:mod:`~freefill.vision.segmentation.classical`) beside the colours, and is cut out at its edges.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from freefill.imaging.box import Box, bounds
from freefill.imaging.picture import Picture
from freefill.masks.thinning import components
from freefill.types import Mask, Plane
from freefill.vision.segmentation import classical, networks
from freefill.vision.segmentation.classical import Found
from freefill.vision.segmentation.prompt import Point, Prompt
from freefill.vision.segmentation.view import around, look, resized, size_for

SIDE = 224
"""Of what the network sees; it was trained at 320, which takes twice the time."""
REACHES = (0.3, 0.13)
"""Half sides of the views around a click, as shares of the longer side, beside the whole photo."""
FALLBACK = (0.1, 0.2, 0.4)
"""Half sides of the boxes that colours are tried in where the network sees nothing."""
COMPARED = 384
"""Pixels of the longer side of the photo on which masks are compared."""
NEAR = 3
"""Pixels of a view by which a click may miss."""
ALIKE = 0.8
"""Overlap (IoU) from which two views show the same."""
MARGIN = 0.25
"""Of an object's box, that the view of its own has around it."""
LOOKED = 3
"""Objects that are looked at once more."""
AGREED = 0.6
"""Overlap of an object with what its own view shows, from which it is one."""
LARGEST = 0.4
"""Of a photo, above which something smaller at the click is meant, if there is anything."""


class Seen(NamedTuple):
    """A view of its own, and how much of an object came back in it."""

    view: Box
    shown: Plane
    """``(side, side)`` in [0, 1]."""
    agreement: float
    """IoU with the views before."""


def find(picture: Picture, prompt: Prompt) -> Found:
    """Find the object that is pointed at; as :func:`freefill.vision.segmentation.classical.find`.

    Raises:
        ReferenceMissingError: If the network has not been fetched.
        WeightsError: If it cannot be loaded.
    """

    def prior(box: Box, size: tuple[int, int]) -> Plane:
        return resized(salient(picture, box), size)

    if prompt.is_subject or prompt.box is not None:
        return classical.find(picture, prompt, prior)
    seen = _object_at(picture, prompt.at)
    if seen is None:
        # Nothing that the network takes for an object; colours may still tell something apart.
        return classical.find(picture, prompt, reaches=FALLBACK)._replace(agreement=0.0)
    return _cut_out(picture, prompt, seen)


def salient(picture: Picture, view: Box) -> Plane:
    """Tell how much each place of a view belongs to what the view is of.

    Args:
        picture: Of any size.
        view: Of it.

    Returns:
        ``(side, side)`` in [0, 1]; the bundled network takes any side, and :data:`SIDE` is asked of
        it, that of the package takes its own.
    """
    network = networks.session("u2netp")
    given, first = network.get_inputs()[0], network.get_outputs()[0].name
    side = given.shape[2] if isinstance(given.shape[2], int) else SIDE
    # The first output is the fused map; the others are what it was fused from.
    (found,) = network.run(
        [first], {given.name: networks.planes(look(picture, view, (side, side)))}
    )
    shown: Plane = np.clip(found[0, 0], 0, 1)
    return shown


def agreement(picture: Picture, mask: Mask) -> float:
    """Tell how far the network takes what another segmenter has found for an object.

    Args:
        picture: Of any size.
        mask: ``(H, W)``.

    Returns:
        The overlap (IoU) of the mask with what the view around it is of.
    """
    box = bounds(mask)
    if box is None:
        return 0.0
    view = around(box, MARGIN, picture.size, least=4)
    shown = salient(picture, view)
    part = resized(mask[view.window].astype(np.float32), shown.shape) > 0.5
    return _overlap(part, shown > 0.5)


def _object_at(picture: Picture, points: tuple[Point, ...]) -> Seen | None:
    """Look at points in several views, then at what these show in a view of its own."""
    size = size_for(Box.whole(picture.size), COMPARED)
    shown: list[Mask] = []
    for view in _views(picture.size, points):
        part = _part_at(salient(picture, view), view, points)
        if part is not None:
            shown.append(_onto(part, view, picture.size, size))
    best: Seen | None = None
    different: list[Mask] = []
    # The largest is meant, unless it is most of the photo: a sign before a crowd is the sign.
    for mask in sorted(shown, key=lambda one: (one.mean() > LARGEST, -int(one.sum()))):
        if not mask.any() or any(_overlap(mask, other) > ALIKE for other in different):
            continue
        different.append(mask)
        seen = _seen_again(picture, mask, points)
        if best is None or seen.agreement > best.agreement:
            best = seen
        if best.agreement >= AGREED or len(different) == LOOKED:
            break
    return best


def _views(size: tuple[int, int], points: tuple[Point, ...]) -> list[Box]:
    height, width = size
    columns, rows = ([point[axis] for point in points] for axis in (0, 1))
    views = [Box.whole(size)]
    for share in REACHES:
        reach = max(round(share * max(size)), 6)
        views.append(
            Box(
                left=max(min(columns) - reach, 0),
                top=max(min(rows) - reach, 0),
                right=min(max(columns) + reach + 1, width),
                bottom=min(max(rows) + reach + 1, height),
            )
        )
    return views


def _seen_again(picture: Picture, mask: Mask, points: tuple[Point, ...]) -> Seen:
    box = bounds(mask)
    assert box is not None
    tall, wide = picture.size[0] / mask.shape[0], picture.size[1] / mask.shape[1]
    own = Box(
        left=int(box.left * wide),
        top=int(box.top * tall),
        right=min(int(np.ceil(box.right * wide)), picture.size[1]),
        bottom=min(int(np.ceil(box.bottom * tall)), picture.size[0]),
    )
    view = around(own, MARGIN, picture.size, least=4)
    shown = salient(picture, view)
    part = _part_at(shown, view, points)
    if part is None:
        return Seen(view, shown, 0.0)
    return Seen(view, shown, _overlap(_onto(part, view, picture.size, mask.shape), mask))


def _part_at(shown: Plane, view: Box, points: tuple[Point, ...]) -> Mask | None:
    """Give the parts of a view's map that the points are on, or close to."""
    label, _ = components(shown > 0.5)
    found: set[int] = set()
    for x, y in points:
        row = min(int((y - view.top) * shown.shape[0] / view.size[0]), shown.shape[0] - 1)
        column = min(int((x - view.left) * shown.shape[1] / view.size[1]), shown.shape[1] - 1)
        if label[row, column] >= 0:
            found.add(int(label[row, column]))
            continue
        near = label[max(row - NEAR, 0) : row + NEAR + 1, max(column - NEAR, 0) : column + NEAR + 1]
        near = near[near >= 0]
        if near.size:
            found.add(int(np.bincount(near).argmax()))
    part: Mask | None = np.isin(label, list(found)) if found else None
    return part


def _onto(part: Mask, view: Box, size: tuple[int, int], small: tuple[int, ...]) -> Mask:
    """Bring a mask of a view to the whole photo as it is compared."""
    down, right = small[0] / size[0], small[1] / size[1]
    top, left = (
        min(round(view.top * down), small[0] - 1),
        min(round(view.left * right), small[1] - 1),
    )
    bottom, end = max(round(view.bottom * down), top + 1), max(round(view.right * right), left + 1)
    whole = np.zeros(small, bool)
    whole[top:bottom, left:end] = resized(part.astype(np.float32), (bottom - top, end - left)) > 0.5
    return whole


def _overlap(one: Mask, other: Mask) -> float:
    return float((one & other).sum() / max((one | other).sum(), 1))


def _cut_out(picture: Picture, prompt: Prompt, seen: Seen) -> Found:
    """Cut an object out of its view: at the network's own outline, drawn to the edges."""
    size = size_for(seen.view, classical.LONGEST_SIDE)
    part = _part_at(seen.shown, seen.view, prompt.at)
    shown = seen.shown if part is None else np.where(part | (seen.shown <= 0.5), seen.shown, 0)
    found = classical.cut_out(picture, seen.view, prompt, resized(shown.astype(np.float32), size))
    return found._replace(agreement=seen.agreement)
