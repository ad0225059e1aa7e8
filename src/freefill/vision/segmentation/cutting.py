"""The boundary between object and background that is short and follows the edges of the picture.

GrabCut's energy (a cost for each pixel, and one for each pair of neighbours that are apart, small
where their colours differ), but minimised as a convex problem with total variation, which NumPy
does on whole planes: Unger et al., "TVSeg" (2008), with the primal-dual steps of Chambolle and
Pock (2011). A graph cut visits pixel after pixel, and would take minutes in Python.
"""

from __future__ import annotations

import numpy as np

from freefill.types import Plane

STEP = np.float32(0.35)
"""Primal and dual: their product times 8, the norm of the gradient squared, is below 1."""
ROUNDS = 120


def edge_costs(rgb: Plane, strength: float) -> tuple[Plane, Plane]:
    """Give what it costs to part neighbours.

    Args:
        rgb: ``(H, W, 3)``.
        strength: Between pixels of one colour.

    Returns:
        Two ``(H, W)``: to the right neighbour, and to the one below; the last column and row have
        none and are 0.
    """
    across = ((rgb[:, 1:] - rgb[:, :-1]) ** 2).sum(2)
    down = ((rgb[1:] - rgb[:-1]) ** 2).sum(2)
    # GrabCut's rule: what differs by as much as neighbours do on average is an edge, by and by.
    mean = max(float(np.concatenate([across.ravel(), down.ravel()]).mean()), 1e-6)
    right, below = (np.zeros(rgb.shape[:2], np.float32) for _ in range(2))
    right[:, :-1] = strength * (0.03 + 0.97 * np.exp(-across / (2 * mean)))
    below[:-1] = strength * (0.03 + 0.97 * np.exp(-down / (2 * mean)))
    return right, below


def cut(cost: Plane, edges: tuple[Plane, Plane], start: Plane | None = None) -> Plane:
    """Find the object.

    Args:
        cost: ``(H, W)``, of a pixel's being the object's: negative where it would rather be.
        edges: Of :func:`edge_costs`.
        start: ``(H, W)`` in [0, 1], a guess to start from.

    Returns:
        ``(H, W)`` float32 in [0, 1]; above half is the object.
    """
    right, below = edges
    found = (cost < 0).astype(np.float32) if start is None else start.astype(np.float32)
    ahead = found.copy()
    across, down = np.zeros_like(found), np.zeros_like(found)
    divergence = np.zeros_like(found)
    scaled = STEP * cost
    for _ in range(ROUNDS):
        across[:, :-1] += STEP * (ahead[:, 1:] - ahead[:, :-1])
        down[:-1] += STEP * (ahead[1:] - ahead[:-1])
        np.clip(across, -right, right, out=across)
        np.clip(down, -below, below, out=down)
        np.add(across, down, out=divergence)
        divergence[:, 1:] -= across[:, :-1]
        divergence[1:] -= down[:-1]
        before = found
        found = np.clip(before + STEP * divergence - scaled, 0, 1)
        ahead = 2 * found - before
    return found
