"""Lines of one pixel, and which pixels of them hang together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from freefill.types import Mask


def thin(lines: Mask) -> Mask:
    """Thin lines of any width to their middle, one pixel wide.

    Guo and Hall, "Parallel Thinning with Two-Subiteration Algorithms" (1989), their first one: what
    is connected stays so, nothing vanishes, and ends stay where they are but for half of the width.

    Args:
        lines: ``(H, W)`` bool.

    Returns:
        ``(H, W)`` bool, a part of ``lines``.

    Examples:
        >>> bar = np.zeros((7, 12), bool)
        >>> bar[2:5, 1:11] = True
        >>> thin(bar).sum(1).tolist()
        [0, 0, 0, 8, 0, 0, 0]
    """
    height, width = lines.shape
    canvas = np.zeros((height + 2, width + 2), np.uint8)
    canvas[1:-1, 1:-1] = lines
    flat = canvas.ravel()
    stride = width + 2
    # Clockwise from above; only pixels of lines are ever looked at.
    steps = np.array([-stride, 1 - stride, 1, 1 + stride, stride, stride - 1, -1, -1 - stride])
    waiting = np.flatnonzero(flat)
    rested = 0
    half = 0
    while rested < 2 and waiting.size:
        around = flat[waiting[:, None] + steps]
        gone = waiting[_REMOVABLE[half][around @ _BITS]]
        rested = 0 if gone.size else rested + 1
        flat[gone] = 0
        waiting = waiting[flat[waiting] > 0]
        half = 1 - half
    return canvas[1:-1, 1:-1].astype(bool)


_BITS = (1 << np.arange(8)).astype(np.int64)


def _removable(half: int) -> NDArray[np.bool_]:
    """Tabulate, for each of 256 neighbourhoods, whether the pixel in it goes; names are theirs."""
    around = (np.arange(256)[:, None] >> np.arange(8) & 1).astype(bool)
    p2, p3, p4, p5, p6, p7, p8, p9 = around.T
    parts = [~p2 & (p3 | p4), ~p4 & (p5 | p6), ~p6 & (p7 | p8), ~p8 & (p9 | p2)]
    pairs = [p9 | p2, p3 | p4, p5 | p6, p7 | p8], [p2 | p3, p4 | p5, p6 | p7, p8 | p9]
    count = np.minimum(*(np.sum(pair, 0) for pair in pairs))
    kept = (p6 | p7 | ~p9) & p8 if half == 0 else (p2 | p3 | ~p5) & p4
    gone: NDArray[np.bool_] = (np.sum(parts, 0) == 1) & (count >= 2) & (count <= 3) & ~kept
    return gone


_REMOVABLE = (_removable(0), _removable(1))


def components(lines: Mask) -> tuple[NDArray[np.int32], int]:
    """Number the connected parts of lines; pixels that touch at a corner are connected.

    Args:
        lines: ``(H, W)`` bool.

    Returns:
        ``(H, W)`` int32, the number of each pixel's part from 0 and -1 off the lines, and how many
        there are.

    Examples:
        >>> label, count = components(np.array([[1, 0, 0, 1], [0, 1, 0, 1]], bool))
        >>> count, label.tolist()
        (2, [[0, -1, -1, 1], [-1, 0, -1, 1]])
    """
    height, width = lines.shape
    places = np.flatnonzero(lines)
    order = np.full((height + 1, width + 2), -1, np.int64)
    order[:-1, 1:-1][lines] = np.arange(places.size)
    own = order[:-1, 1:-1]
    pairs = []
    for y, x in ((0, 1), (1, -1), (1, 0), (1, 1)):
        other = order[y : y + height, 1 + x : 1 + x + width]
        both = (own >= 0) & (other >= 0)
        pairs.append(np.stack([own[both], other[both]]))
    a, b = np.concatenate(pairs, 1)
    root = np.arange(places.size)
    while True:
        # Each root takes the smallest that one of its pixels touches; then all point to their root.
        lower = np.minimum(root[a], root[b])
        before = root.copy()
        np.minimum.at(root, before[a], lower)
        np.minimum.at(root, before[b], lower)
        while not np.array_equal(root[root], root):
            root = root[root]
        if np.array_equal(root, before):
            break
    roots, numbers = np.unique(root, return_inverse=True)
    label = np.full(lines.shape, -1, np.int32)
    label.ravel()[places] = numbers
    return label, int(roots.size)
