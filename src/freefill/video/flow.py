"""Optical flow between frames, also behind what is to be filled.

Flow is OpenCV's DIS ("Fast Optical Flow using Dense Inverse Search", Kroeger et al., 2016). What
moves in a hole is of no interest; what lies behind it moves as its surroundings do. So the flow
near a hole is replaced: by the plane's motion (a homography) that most of the picture follows,
plus what the surroundings of the hole have beyond it, spread inwards. Completing the flow before
any colour is the idea of "Deep Flow-Guided Video Inpainting" (Xu et al., CVPR 2019); here no
network is needed for it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from freefill.video import load_cv2
from freefill.video.frames import Coding, Frame, Hole, Plane

Flow = NDArray[np.float32]
"""``(h, w, 2)``: how far each cell moves, right and down, in cells."""
Values = NDArray[np.float32]

FULL_SIZE = 1_300_000
"""Pixels up to which flow is computed at full size; above, at half of it."""
MARGIN = 4
"""Cells around a hole whose flow is not believed: DIS looks at patches of 8 pixels."""
ODD = 3.0
"""Cells by which flow may differ from the plane's and still speak for what is behind a hole."""


def flow_between(a: Frame, b: Frame, hole_a: Hole, hole_b: Hole, coding: Coding) -> Flow:
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
    greys = [_grey(frame, hole, coding) for frame, hole in ((a, hole_a), (b, hole_b))]
    moved = dis(*greys)
    rows, columns = hole_a.shape
    scale = np.float32(columns / moved.shape[1])
    if moved.shape[:2] != hole_a.shape:
        moved = cv2.resize(moved, (columns, rows), interpolation=cv2.INTER_AREA)
    moved = moved * scale
    unsure = widened(hole_a, MARGIN)
    there = cv2.remap(
        widened(hole_b, MARGIN).astype(np.float32),
        *places(moved),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    unsure |= there > 0
    return complete(moved, unsure)


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


def complete(flow: Flow, unsure: Hole) -> Flow:
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
    plane = _plane_motion(flow, ~unsure)
    beyond = flow - plane
    distance = np.abs(beyond).max(-1)
    weight = np.where(unsure, 0, np.exp(-((distance / np.float32(ODD)) ** 2))).astype(np.float32)
    spread = spread_in(beyond, weight)
    return np.where(unsure[..., None], plane + spread, flow)


def _plane_motion(flow: Flow, sure: Hole) -> Flow:
    """Give the flow of the homography that most cells follow; of a median, where none fits."""
    cv2 = load_cv2()
    rows, columns = np.nonzero(sure)
    step = max(len(rows) // 4000, 1)
    rows, columns = rows[::step], columns[::step]
    before = np.stack([columns, rows], 1).astype(np.float32)
    moved = flow[rows, columns]
    matrix = None
    if len(before) >= 16:
        # OpenCV starts its draws from the same seed on each call.
        matrix, _ = cv2.findHomography(before, before + moved, cv2.RANSAC, 0.5)
    if matrix is None or not np.isfinite(matrix).all():
        return np.broadcast_to(np.median(moved, axis=0), flow.shape).astype(np.float32)
    height, width = flow.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    points = np.stack([x, y], -1)
    there = cv2.perspectiveTransform(points.reshape(1, -1, 2), matrix).reshape(points.shape)
    found: Flow = (there - points).astype(np.float32)
    largest = float(np.abs(moved).max()) + 4
    return np.clip(found, -largest, largest)


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


def widened(hole: Hole, cells: int) -> Hole:
    """Widen a hole by a square; quicker than a disc, for margins."""
    cv2 = load_cv2()
    side = 2 * cells + 1
    found: Hole = cv2.dilate(hole.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    return found


def eight_bits(plane: Plane, coding: Coding) -> NDArray[np.uint8]:
    """Give samples in 8 bits."""
    return plane if coding.depth == 8 else (plane >> (coding.depth - 8)).astype(np.uint8)


def _grey(frame: Frame, hole: Hole, coding: Coding) -> NDArray[np.uint8]:
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
