"""The segmenter that is always there: GrabCut, and for a click several of them.

Inside a box as in Rother et al. (2004): colours of the surroundings against colours of the object,
both learned anew from each cut (:mod:`~freefill.vision.segmentation.colours`,
:mod:`~freefill.vision.segmentation.cutting`). A click says nothing of the object's size, so boxes
of several sizes are tried around it, and the cut is taken whose outline lies on the strongest edges
and keeps off its box. It knows colours and edges, not things.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from freefill.imaging.box import Box
from freefill.imaging.picture import Picture
from freefill.masks.thinning import components
from freefill.types import Mask, Plane
from freefill.vision.segmentation.colours import fit
from freefill.vision.segmentation.cutting import cut, edge_costs
from freefill.vision.segmentation.prompt import Point, Prompt
from freefill.vision.segmentation.view import around, look, resized, size_for

LONGEST_SIDE = 176
"""Pixels of the longer side of what is looked at."""
MARGIN = 0.35
"""Of a box, that is taken for background on each side."""
STRENGTH = 4.0
CUTS = 4
SURE = np.float32(60)
"""Cost of what a person has said."""
REACHES = (0.05, 0.08, 0.125, 0.19, 0.28, 0.4)
"""Half sides of the boxes tried around a click, as shares of the picture's longer side."""
PRIOR = 1.0
"""Weight of what else is known, beside the colours'."""
KNOWN = 2.0
"""The same where the object is known already, and only its outline is to be drawn."""
USUAL = 85
"""Percentile of the background's own strangeness above which a pixel is not of it."""
AS_GOOD = 0.94
"""Of the best score, that a smaller cut needs to be taken before it."""
LIKELIEST = np.float32(6)
"""A colour alone does not decide: this is as sure as it gets."""


Prior = Callable[[Box, tuple[int, int]], Plane]
"""Tells of a box of the picture, at a size, how likely each pixel is of an object: [0, 1]."""


class Found(NamedTuple):
    """A cut."""

    box: Box
    """Of the picture, that was looked at."""
    share: Plane
    """``(h, w)`` in [0, 1]; above half is the object."""
    score: float
    """How good its outline is: a mean change of colour across it, in [0, 1], less its faults."""
    held: float = 0.0
    """Share of the outline that lies on the box that was tried, and on no edge of its own."""
    agreement: float | None = None
    """How far another look (IoU) or another segmenter found the same, where there was one."""


def find(
    picture: Picture,
    prompt: Prompt,
    prior: Prior | None = None,
    reaches: Sequence[float] = REACHES,
) -> Found:
    """Find the object that is pointed at.

    Args:
        picture: Of any size.
        prompt: With points, a box, or neither: then the border is taken for background.
        prior: What else is known of where objects are.
        reaches: Half sides of the boxes tried around a click, as shares of the longer side.

    Returns:
        The cut.
    """
    height, width = picture.size
    if prompt.box is not None:
        return _in_box(picture, prompt.box, prompt, prior)
    if prompt.is_subject:
        inset = round(0.04 * min(height, width))
        box = Box(left=inset, top=inset, right=width - inset, bottom=height - inset)
        return _in_box(picture, box, prompt, prior)
    columns, rows = ([point[axis] for point in prompt.at] for axis in (0, 1))
    tried = []
    for share in reaches:
        reach = max(round(share * max(height, width)), 6)
        box = Box(
            left=max(min(columns) - reach, 0),
            top=max(min(rows) - reach, 0),
            right=min(max(columns) + reach + 1, width),
            bottom=min(max(rows) + reach + 1, height),
        )
        tried.append(_in_box(picture, box, prompt, prior))
    best = max(tried, key=lambda found: found.score)
    if prior is not None or best.score <= 0:
        return best
    # By colours alone, a larger cut easily scores a little more for the edges that it takes along.
    return next(found for found in tried if found.score >= AS_GOOD * best.score)


def cut_out(picture: Picture, view: Box, prompt: Prompt, known: Plane) -> Found:
    """Draw the outline of an object that is known already to the edges and colours of a view.

    Args:
        picture: Of any size.
        view: Of it, with some ground around the object.
        prompt: With points.
        known: ``(h, w)`` in [0, 1], how likely each pixel is of the object.

    Returns:
        The cut.
    """
    rgb = look(picture, view, known.shape)
    scale = known.shape[0] / view.size[0], known.shape[1] / view.size[1]
    said = np.zeros(known.shape, np.float32)
    for points, cost in ((prompt.avoid, SURE), (prompt.at, -SURE)):
        for point in points:
            _mark(said, _place(point, view, scale), cost)
    sure = np.clip(known, 0.002, 0.998)
    costs: Plane = np.float32(KNOWN) * np.log((1 - sure) / sure)
    object_ = known > 0.5
    if object_.any() and not object_.all():
        flat = rgb.reshape(-1, 3)
        likely = fit(flat[object_.ravel()]).log_density(flat)
        unlikely = fit(flat[~object_.ravel()]).log_density(flat)
        costs = costs + np.clip(unlikely - likely, -LIKELIEST, LIKELIEST).reshape(known.shape)
    costs = np.where(said != 0, said, costs).astype(np.float32)
    share = cut(costs, edge_costs(rgb, STRENGTH), object_.astype(np.float32))
    share = _connected(share, [_place(point, view, scale) for point in prompt.at])
    whole = np.ones(known.shape, bool)
    return Found(view, share, *_score(rgb, share > 0.5, whole))


def _in_box(picture: Picture, box: Box, prompt: Prompt, prior: Prior | None) -> Found:
    seen = around(box, MARGIN, picture.size, least=6)
    size = size_for(seen, LONGEST_SIDE)
    rgb = look(picture, seen, size)
    scale = size[0] / seen.size[0], size[1] / seen.size[1]
    inside = np.zeros(size, bool)
    top, left = round((box.top - seen.top) * scale[0]), round((box.left - seen.left) * scale[1])
    bottom, right = (
        round((box.bottom - seen.top) * scale[0]),
        round((box.right - seen.left) * scale[1]),
    )
    inside[top:bottom, left:right] = True
    if inside.all():
        # Nothing is known to be background: what touches the border is the likeliest.
        inside[0], inside[-1], inside[:, 0], inside[:, -1] = False, False, False, False
    said = np.zeros(size, np.float32)
    # What is of the object last: where both are close, it is still there.
    for points, cost in ((prompt.avoid, SURE), (prompt.at, -SURE)):
        for point in points:
            _mark(said, _place(point, seen, scale), cost)
    known = None if prior is None else prior(seen, size)
    share = _grabcut(rgb, inside, said, bool(prompt.at) and prompt.box is None, known)
    places = [_place(point, seen, scale) for point in prompt.at]
    share = _connected(share, places)
    return Found(seen, share, *_score(rgb, share > 0.5, inside))


def _place(point: Point, seen: Box, scale: tuple[float, float]) -> tuple[int, int]:
    return int((point[1] - seen.top) * scale[0]), int((point[0] - seen.left) * scale[1])


def _mark(said: Plane, place: tuple[int, int], cost: np.float32) -> None:
    row, column = place
    if 0 <= row < said.shape[0] and 0 <= column < said.shape[1]:
        said[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2] = cost


def _grabcut(rgb: Plane, inside: Mask, said: Plane, clicked: bool, known: Plane | None) -> Plane:
    """Cut and learn the colours, in turn."""
    flat = rgb.reshape(-1, 3)
    object_ = _first_guess(flat, inside, said, clicked)
    prior = np.zeros(inside.shape, np.float32)
    if known is not None and _is_told(known, inside, said, clicked):
        sure = np.clip(known, 0.002, 0.998)
        prior = np.float32(PRIOR) * np.log((1 - sure) / sure)
        object_ = inside & (known > 0.5) & (said <= 0) | (said < 0)
    edges = edge_costs(rgb, STRENGTH)
    share = object_.astype(np.float32)
    for _ in range(CUTS):
        if object_.all():
            break
        likely = fit(flat[object_.ravel()]).log_density(flat)
        unlikely = fit(flat[~object_.ravel()]).log_density(flat)
        cost = np.clip(unlikely - likely, -LIKELIEST, LIKELIEST).reshape(inside.shape)
        cost += prior
        cost[~inside] = SURE
        cost = np.where(said != 0, said, cost)
        share = cut(cost, edges, share)
        now = share > 0.5
        if not now.any() or (now == object_).all():
            break
        object_ = now
    return share


def _is_told(known: Plane, inside: Mask, said: Plane, clicked: bool) -> bool:
    """Tell whether what else is known is of what is pointed at: it may be of something beside."""
    if clicked:
        return bool((known[said < 0] > 0.5).mean() > 0.5)
    return bool((known[inside] > 0.5).mean() > 0.05)


def _first_guess(flat: Plane, inside: Mask, said: Plane, clicked: bool) -> Mask:
    """Guess the object: what is around a click, or in the box, and unlike what is outside."""
    height, width = inside.shape
    background = fit(flat[~inside.ravel()])
    strange = -background.log_density(flat).reshape(inside.shape)
    usual = np.percentile(strange[~inside], USUAL)
    guess = inside
    if clicked:
        places = np.argwhere(said < 0)
        (top, left), (bottom, right) = places.min(0), places.max(0)
        reach = max(np.argwhere(inside).max(0) - places.mean(0)) / 2
        rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
        apart = np.hypot(
            np.maximum(np.maximum(top - rows, rows - bottom), 0),
            np.maximum(np.maximum(left - columns, columns - right), 0),
        )
        guess = inside & (apart < max(reach, 2))
    object_: Mask = guess & (strange > usual) & (said <= 0) | (said < 0)
    return object_ if object_.sum() > 0.02 * guess.sum() else guess


def _connected(share: Plane, places: list[tuple[int, int]]) -> Plane:
    """Keep the parts that a point is on; without points, all that are not much smaller."""
    label, count = components(share > 0.5)
    if not count:
        return share
    if places:
        kept = {int(label[place]) for place in places} - {-1}
    else:
        counts = np.bincount(label[label >= 0])
        kept = set(np.flatnonzero(counts > 0.1 * counts.max()).tolist())
    keep = np.isin(label, list(kept)) | (label < 0)
    return np.where(keep, np.minimum(share, 1), np.float32(0)).astype(np.float32)


def _score(rgb: Plane, found: Mask, inside: Mask) -> tuple[float, float]:
    """Tell how much the colours change across the outline, and what of it lies on the box."""
    across = found[:, 1:] != found[:, :-1]
    down = found[1:] != found[:-1]
    length = int(across.sum() + down.sum())
    if not length:
        return -1.0, 0.0
    change_across = np.abs(rgb[:, 1:] - rgb[:, :-1]).max(2)
    change_down = np.abs(rgb[1:] - rgb[:-1]).max(2)
    change = np.concatenate([change_across[across], change_down[down]])
    kept = (across & (inside[:, 1:] != inside[:, :-1])).sum()
    kept += (down & (inside[1:] != inside[:-1])).sum()
    within = found[:, 1:] & found[:, :-1]
    rough = float(change_across[within].mean()) if within.any() else 0.0
    held = float(kept / length)
    return float(np.minimum(change, 0.25).mean() - 0.5 * rough - 0.3 * held), held


def to_hole(found: Found, size: tuple[int, int]) -> Mask:
    """Bring a cut back to the picture.

    Args:
        found: The cut.
        size: Height and width of the picture.

    Returns:
        ``(H, W)`` bool.
    """
    hole = np.zeros(size, bool)
    hole[found.box.window] = resized(found.share, found.box.size) > 0.5
    return hole
