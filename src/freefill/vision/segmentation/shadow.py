"""The shadow that an object casts, which would stay behind it as a stain.

A shadow darkens what it falls on and leaves its hue; it begins at the object. What the ground would
be without it is continued from further around, smoothly, so this sees shadows on even ground and
not those on a pattern of dark and bright.
"""

from __future__ import annotations

import numpy as np

from freefill.imaging.box import bounds
from freefill.imaging.codecs import LUMA
from freefill.imaging.picture import Picture
from freefill.masks.morphology import grow
from freefill.masks.thinning import components
from freefill.pipeline.blending import spread
from freefill.types import Mask, Plane
from freefill.vision.segmentation.cutting import cut, edge_costs
from freefill.vision.segmentation.view import around, look, resized, size_for

LONGEST = 192
"""Pixels of the longer side of what is looked at."""
REACH = 0.45
"""How far a shadow is looked for, as a share of the longer side of the object's box."""
DARKEST, BRIGHTEST = 0.25, 0.93
"""Of the ground's brightness, that a shadow leaves."""
FADED = 0.06
"""Change of hue (shares of red, green and blue) that is too much for a shadow."""
SHARPNESS = 40.0
"""How fast a pixel becomes a shadow's with its darkness, beyond :data:`BRIGHTEST`."""
BLOCK = 16
"""Side of the parts of lit ground that are guessed from those beside them: how even is it?"""
DARK_SHARE = 10
"""Percent of the lit ground that may be darker than what a shadow begins at."""
FAINTEST = 0.72
"""Where lit ground gets darker than that, shadows are not told from its pattern."""
LARGEST = 1.5
"""Times the object, that a shadow may be."""


def cast(picture: Picture, found: Mask) -> Mask:
    """Find the shadow that an object casts.

    Args:
        picture: Of any size.
        found: The object, ``(H, W)``.

    Returns:
        ``(H, W)`` bool: the shadow alone, empty where none is seen.
    """
    shadow = np.zeros_like(found)
    box = bounds(found)
    if box is None:
        return shadow
    seen = around(box, REACH * 1.6, picture.size, least=8)
    size = size_for(seen, LONGEST)
    rgb = look(picture, seen, size)
    object_ = resized(found[seen.window].astype(np.float32), size) > 0
    reach = max(2, round(REACH * max(box.size) * size[0] / seen.size[0]))
    near = grow(object_, reach)
    lit = ~near
    if lit.mean() < 0.05:
        return shadow
    darker = min(BRIGHTEST, _evenness(rgb, lit))
    if darker < FAINTEST:
        return shadow
    ratio, hue = _beside(rgb, lit)
    cost = (ratio - darker) * SHARPNESS + np.maximum(hue - FADED, 0) * SHARPNESS * 4
    cost[ratio < DARKEST] = 4
    cost = np.clip(cost, -4, 4).astype(np.float32)
    cost[~near] = 60
    cost[object_] = -60
    share = cut(cost, edge_costs(rgb, 2.0))
    label, _ = components(share > 0.5)
    own = np.isin(label, np.unique(label[object_])) & (label >= 0) & ~object_
    if not own.any() or own.sum() > LARGEST * object_.sum():
        return shadow
    whole = resized((own | object_).astype(np.float32), seen.size) > 0.5
    shadow[seen.window] = whole & ~found[seen.window]
    return shadow


def _beside(rgb: Plane, lit: Mask) -> tuple[Plane, Plane]:
    """Compare pixels with what the lit ground would be in their place: brightness, and hue."""
    weighted = np.where(lit[..., None], np.dstack([rgb, np.ones(lit.shape, np.float32)]), 0)
    ground = spread(weighted.astype(np.float32))
    ratio: Plane = (rgb @ LUMA + np.float32(0.01)) / (ground @ LUMA + np.float32(0.01))
    return ratio, np.abs(_hue(rgb) - _hue(ground)).max(2)


def _evenness(rgb: Plane, lit: Mask) -> float:
    """Tell how dark lit ground gets, seen from the ground beside it: near 1 where it is even."""
    rows, columns = np.indices(lit.shape) // BLOCK
    ratios = []
    for turn in (0, 1):
        left_out = (rows + columns) % 2 == turn
        ratio, hue = _beside(rgb, lit & ~left_out)
        # Things that nobody would take for shadow do not make the ground uneven.
        like = lit & left_out & (ratio > DARKEST) & (hue < FADED)
        ratios.append(ratio[like])
    all_ = np.concatenate(ratios)
    return float(np.percentile(all_, DARK_SHARE)) if all_.size > lit.sum() / 4 else 0.0


def _hue(rgb: Plane) -> Plane:
    shares: Plane = (rgb + 0.03) / (rgb + 0.03).sum(2, keepdims=True)
    return shares
