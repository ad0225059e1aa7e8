"""Optical flow between frames, also behind what is to be filled.

Flow is OpenCV's DIS ("Fast Optical Flow using Dense Inverse Search", Kroeger et al., 2016). What
moves in a hole is of no interest; what lies behind it moves as its surroundings do. So the flow
near a hole is replaced: by the motion of a plane (a homography) that most of the picture follows,
plus what the surroundings of the hole have beyond it, spread inwards. Completing the flow before
any colour is the idea of "Deep Flow-Guided Video Inpainting" (Xu et al., CVPR 2019); here no
network is needed for it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from freefill.types import Mask
from freefill.video import load_cv2
from freefill.video.frames import Coding, Frame, Plane

Flow = NDArray[np.float32]
"""``(h, w, 2)``: how far each cell moves, right and down, in cells."""
Values = NDArray[np.float32]

FULL_SIZE = 1_300_000
"""Pixels up to which flow is computed at full size; above, at half of it."""
MARGIN = 4
"""Cells around a hole whose flow is not believed: DIS looks at patches of 8 pixels."""
ODD = 4.0
"""Pixels by which flow may differ from the plane's and still speak for what is behind a hole."""
NEAR = 1.0
"""Pixels by which flow may miss the plane's motion and still follow it."""


def flow_between(a: Frame, b: Frame, hole_a: Mask, hole_b: Mask, coding: Coding) -> Flow:
    """Give the flow of the background from one frame to another.

    Args:
        a: The frame it starts from.
        b: The frame it leads to.
        hole_a: Cells of ``a`` that are to be filled.
        hole_b: Those of ``b``.
        coding: How the frames are to be understood.

    Returns:
        For each cell of ``a``.
    """
    cv2 = load_cv2()
    one, other = (_grey(frame, hole, coding) for frame, hole in ((a, hole_a), (b, hole_b)))
    scale = one.shape[0] // hole_a.shape[0]
    inside_a, inside_b = (_enlarged(widened(hole, MARGIN), scale) for hole in (hole_a, hole_b))
    plane = _plane(dis(one, other), ~(inside_a | inside_b))
    # With the plane's motion taken out, what is left is small. Where only one of both shows the
    # background they are made equal: a hole's own edges move with what is in it.
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = one.shape[::-1]
    still = cv2.warpPerspective(other, plane, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    hidden = cv2.warpPerspective(inside_b.astype(np.float32), plane, size, flags=flags) > 0
    either = inside_a | hidden
    left = dis(np.where(either, still, one), still)
    left = complete(left, either)
    x, y = places(left)
    there = cv2.perspectiveTransform(np.stack([x, y], -1), plane)
    flow: Flow = there - np.stack(places(np.zeros_like(left)), -1)
    if scale > 1:
        flow = cv2.resize(flow, hole_a.shape[::-1], interpolation=cv2.INTER_AREA)
    return flow / np.float32(scale)


def dis(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> Flow:
    """Give DIS flow between two grey pictures, in pixels; the same on any number of cores."""
    cv2 = load_cv2()
    # Its stripes, and so its result, depend on the number of threads.
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        found: Flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(a, b, None)
        return found
    finally:
        cv2.setNumThreads(threads)


def complete(flow: Flow, unsure: Mask) -> Flow:
    """Replace flow where it is not to be believed.

    Args:
        flow: ``(h, w, 2)``.
        unsure: ``(h, w)``: where to replace it.

    Returns:
        A new flow; elsewhere it is the same.

    Examples:
        >>> flow = np.full((16, 16, 2), 2, np.float32)
        >>> hole = np.zeros((16, 16), bool)
        >>> hole[4:12, 4:12] = True
        >>> flow[hole] = -3
        >>> bool(np.allclose(complete(flow, hole), 2, atol=0.01))
        True
    """
    if not unsure.any() or unsure.all():
        return flow if not unsure.all() else np.zeros_like(flow)
    middle = np.median(flow[~unsure], axis=0)
    beyond = flow - middle
    distance = np.abs(beyond).max(-1)
    weight = np.where(unsure, 0, np.exp(-((distance / np.float32(ODD)) ** 2))).astype(np.float32)
    spread = spread_in(beyond, weight)
    return np.where(unsure[..., None], middle + spread, flow)


def _plane(flow: Flow, sure: Mask) -> NDArray[np.float64]:
    """Give the homography that most pixels follow; a shift by the median, where none fits."""
    cv2 = load_cv2()
    rows, columns = np.nonzero(sure)
    step = max(len(rows) // 4000, 1)
    rows, columns = rows[::step], columns[::step]
    if not len(rows):
        return np.eye(3)
    before = np.stack([columns, rows], 1).astype(np.float32)
    after = before + flow[rows, columns]
    if len(before) >= 64:
        # OpenCV starts its draws from the same seed on each call.
        matrix, inliers = cv2.findHomography(before, after, cv2.RANSAC, NEAR)
        if matrix is not None and inliers.mean() > 0.3 and _is_sane(matrix, flow.shape):
            return np.asarray(matrix)
    shift = np.eye(3)
    shift[:2, 2] = np.median(after - before, axis=0)
    return shift


def _is_sane(matrix: NDArray[np.float64], size: tuple[int, ...]) -> bool:
    """Whether a homography is one of neighbouring frames: it neither folds nor blows up much."""
    height, width = size[:2]
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]], float)
    there = corners @ matrix.T
    if not np.isfinite(there).all() or (there[:, 2] <= 0.2).any():
        return False
    moved = np.abs(there[:, :2] / there[:, 2:] - corners[:, :2]).max()
    return bool(moved < 0.5 * max(height, width))


def _enlarged(cells: Mask, scale: int) -> Mask:
    return cells.repeat(scale, 0).repeat(scale, 1)


def spread_in(values: Values, weight: Values) -> Values:
    """Continue values into where they have no weight, by pull-push.

    Args:
        values: ``(h, w, c)``.
        weight: ``(h, w)`` in [0, 1].

    Returns:
        ``(h, w, c)``: near ``values`` where the weight is 1.
    """
    cv2 = load_cv2()
    rows, columns = weight.shape
    if max(rows, columns) <= 2:
        total = weight.sum()
        mean = (values * weight[..., None]).sum((0, 1)) / max(float(total), 1e-6)
        return np.broadcast_to(mean, values.shape).astype(np.float32)
    size = (columns + 1) // 2, (rows + 1) // 2
    share = cv2.resize(weight, size, interpolation=cv2.INTER_AREA)
    sums = cv2.resize(values * weight[..., None], size, interpolation=cv2.INTER_AREA)
    sums = sums.reshape(size[1], size[0], -1)
    means = sums / np.maximum(share, 1e-6)[..., None]
    coarse = spread_in(means, np.minimum(share * 4, 1))
    coarse = cv2.resize(coarse, (columns, rows), interpolation=cv2.INTER_LINEAR)
    coarse = coarse.reshape(values.shape)
    found: Values = values * weight[..., None] + coarse * (1 - weight[..., None])
    return found


def places(flow: Flow) -> tuple[Values, Values]:
    """Give where each cell comes to lie: columns and rows."""
    height, width = flow.shape[:2]
    x, y = flow[..., 0].copy(), flow[..., 1].copy()
    x += np.arange(width, dtype=np.float32)
    y += np.arange(height, dtype=np.float32)[:, None]
    return x, y


def widened(hole: Mask, cells: int) -> Mask:
    """Widen a hole by a square; quicker than a disc, for margins."""
    cv2 = load_cv2()
    side = 2 * cells + 1
    found: Mask = cv2.dilate(hole.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    return found


def eight_bits(plane: Plane, coding: Coding) -> NDArray[np.uint8]:
    """Give samples in 8 bits."""
    return plane if coding.depth == 8 else (plane >> (coding.depth - 8)).astype(np.uint8)


def _grey(frame: Frame, hole: Mask, coding: Coding) -> NDArray[np.uint8]:
    """Give luma in 8 bits with a smooth surface for the hole, which has no edges to follow."""
    cv2 = load_cv2()
    luma = eight_bits(frame.planes[0], coding)
    if luma.size > FULL_SIZE:
        luma = cv2.resize(luma, hole.shape[::-1], interpolation=cv2.INTER_AREA)
    if not hole.any():
        return luma
    rows, columns = hole.shape
    cells = cv2.resize(luma, (columns, rows), interpolation=cv2.INTER_AREA)
    weight = (~widened(hole, 1)).astype(np.float32)
    smooth = spread_in(cells.astype(np.float32)[..., None], weight)[..., 0]
    height, width = luma.shape
    smooth = cv2.resize(smooth, (width, height), interpolation=cv2.INTER_LINEAR)
    inside = hole.repeat(height // rows, 0).repeat(width // columns, 1)
    return np.where(inside, np.clip(np.rint(smooth), 0, 255), luma).astype(np.uint8)
