"""Following a box through a clip.

Points on a grid in the box are followed by Lucas-Kanade, forwards and back; those that come back
where they started vote, by their median, for how far the box has moved and grown ("Forward-
Backward Error: Automatic Detection of Tracking Failures", Kalal et al., 2010). Small errors would
add up, so the box is then drawn to where the first frame's piece is found again near it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from freefill.errors import VideoError
from freefill.imaging.box import Box
from freefill.video import load_cv2
from freefill.video.frames import Coding, Frame

GRID = 12
"""Points down and across."""
STRAY = 1.5
"""Pixels by which a point may miss its start after going forwards and back."""
SURE, HALF_SURE = 0.75, 0.45
"""Correlation from which the first frame's piece draws the box to it; under which it is lost."""
MOSTLY = 0.6
"""Share of the box that must lie in the picture for it to be looked for."""
LARGEST = 640
"""Longer side of the frames that are looked at."""

Grey = NDArray[np.uint8]
Corners = tuple[float, float, float, float]
"""Left, top, right, bottom."""


def track(
    frames: Iterable[Frame], coding: Coding, box: Box, seen: Callable[[int], None] = lambda _: None
) -> list[Box | None]:
    """Follow a box.

    Args:
        frames: All frames of a clip.
        coding: How they are to be understood.
        box: Where it is in the first, in pixels.
        seen: Called with the number of each frame.

    Returns:
        The box in each frame; ``None`` from the frame on in which it has left the picture.

    Raises:
        VideoError: If the box does not lie in the picture, is smaller than 8 pixels, or is lost.
    """
    height, width = coding.size
    if box.left < 0 or box.top < 0 or box.right > width or box.bottom > height:
        raise VideoError(
            f"the box {box.left},{box.top},{box.right},{box.bottom} (left, top, right, bottom) "
            f"does not lie in the picture of {width}x{height}"
        )
    if min(box.size) < 8:
        raise VideoError(
            f"the box is {box.right - box.left}x{box.bottom - box.top} pixels; it can be followed "
            "from 8x8 on"
        )
    shrink = min(LARGEST / max(coding.size), 1.0)
    found: list[Box | None] = []
    tracker: _Tracker | None = None
    for frame in frames:
        seen(frame.index)
        grey = small_grey(frame, coding, shrink)
        if tracker is None:
            start = tuple(side * shrink for side in (box.left, box.top, box.right, box.bottom))
            tracker = _Tracker(grey, start)  # type: ignore[arg-type]
        elif not tracker.gone and not tracker.step(grey):
            raise VideoError(
                f"the box is lost at frame {frame.index}: give a mask for each frame, or fill the "
                "clip in parts"
            )
        corners = None if tracker.gone else [side / shrink for side in tracker.box]
        found.append(None if corners is None else _inside(corners, height, width))
    return found


def small_grey(frame: Frame, coding: Coding, shrink: float) -> Grey:
    """Give a frame's luma, in 8 bits, shrunk."""
    cv2 = load_cv2()
    height, width = coding.size
    luma = frame.planes[0][:height, :width]
    if coding.depth > 8:
        luma = (luma >> (coding.depth - 8)).astype(np.uint8)
    if shrink < 1:
        size = max(round(width * shrink), 1), max(round(height * shrink), 1)
        luma = cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(luma)


class _Tracker:
    """The state from one frame to the next, in shrunk pixels."""

    def __init__(self, grey: Grey, box: Corners) -> None:
        self.cv2: Any = load_cv2()
        self.last, self.box, self.gone = grey, box, False
        left, top, right, bottom = (round(side) for side in box)
        self.piece = grey[top:bottom, left:right].copy()
        self.speed = (0.0, 0.0)

    def step(self, grey: Grey) -> bool:
        """Go to the next frame; give whether the box was found, or has left the picture."""
        if self._seen() < MOSTLY:
            # Too little of it is left to be followed: it goes on as it went.
            self.last = grey
            left, top, right, bottom = self.box
            x, y = self.speed
            self.box = left + x, top + y, right + x, bottom + y
            self.gone = self._seen() <= 0
            return True
        start = self.box
        points = self._grid()
        there = self._follow(self.last, grey, points)
        back = self._follow(grey, self.last, there)
        miss = np.linalg.norm(back - points, axis=1)
        good = miss < STRAY
        self.last = grey
        if good.sum() >= 6:
            self._move(points[good], there[good])
        score = self._draw_to_piece(grey)
        self._note_speed(start)
        self.gone = self._seen() <= 0
        return self.gone or bool(good.sum() >= 6) or score >= HALF_SURE or self._seen() < MOSTLY

    def _seen(self) -> float:
        """Give how much of the box lies in the picture."""
        height, width = self.last.shape
        left, top, right, bottom = self.box
        across, down = min(right, width) - max(left, 0), min(bottom, height) - max(top, 0)
        return float(max(across, 0.0) * max(down, 0.0) / ((right - left) * (bottom - top)))

    def _note_speed(self, before: Corners) -> None:
        """Remember how fast the middle moves, over some frames."""
        now = [(self.box[i] + self.box[i + 2] - before[i] - before[i + 2]) / 2 for i in (0, 1)]
        keep = 0.7 if self.speed != (0.0, 0.0) else 0.0
        x, y = (keep * old + (1 - keep) * new for old, new in zip(self.speed, now, strict=True))
        self.speed = x, y

    def _grid(self) -> NDArray[np.float32]:
        left, top, right, bottom = self.box
        # The rim of a box is mostly not the object's.
        inset_x, inset_y = (right - left) * 0.15, (bottom - top) * 0.15
        x, y = np.meshgrid(
            np.linspace(left + inset_x, right - inset_x, GRID, dtype=np.float32),
            np.linspace(top + inset_y, bottom - inset_y, GRID, dtype=np.float32),
        )
        points = np.stack([x.ravel(), y.ravel()], 1)
        height, width = self.last.shape
        within = (points >= 0).all(1) & (points < (width, height)).all(1)
        return points[within] if within.any() else points[:1]

    def _follow(self, a: Grey, b: Grey, points: NDArray[np.float32]) -> NDArray[np.float32]:
        there, _, _ = self.cv2.calcOpticalFlowPyrLK(
            a, b, points[:, None], None, winSize=(15, 15), maxLevel=4
        )
        moved: NDArray[np.float32] = there[:, 0]
        return moved

    def _move(self, before: NDArray[np.float32], after: NDArray[np.float32]) -> None:
        shift = np.median(after - before, axis=0)
        one, other = np.triu_indices(len(before), 1)
        old = np.linalg.norm(before[one] - before[other], axis=1)
        new = np.linalg.norm(after[one] - after[other], axis=1)
        scale = float(np.clip(np.median(new / np.maximum(old, 1e-3)), 0.9, 1.1))
        left, top, right, bottom = self.box
        x, y = (left + right) / 2 + shift[0], (top + bottom) / 2 + shift[1]
        half_x, half_y = (right - left) / 2 * scale, (bottom - top) / 2 * scale
        self.box = (x - half_x, y - half_y, x + half_x, y + half_y)

    def _draw_to_piece(self, grey: Grey) -> float:
        """Look for the first frame's piece near the box; give how sure it is, in [-1, 1]."""
        cv2 = self.cv2
        left, top, right, bottom = self.box
        size = max(round(right - left), 4), max(round(bottom - top), 4)
        piece = cv2.resize(self.piece, size, interpolation=cv2.INTER_AREA)
        reach_x, reach_y = max(size[0] // 4, 3), max(size[1] // 4, 3)
        x, y = round(left) - reach_x, round(top) - reach_y
        around = cv2.copyMakeBorder(grey, *[max(size) * 2] * 4, cv2.BORDER_REPLICATE)
        offset = max(size) * 2
        row, column = y + offset, x + offset
        near = around[
            max(row, 0) : max(row, 0) + size[1] + 2 * reach_y,
            max(column, 0) : max(column, 0) + size[0] + 2 * reach_x,
        ]
        if near.shape[0] < size[1] or near.shape[1] < size[0]:
            return -1.0
        scores = cv2.matchTemplate(near, piece, cv2.TM_CCOEFF_NORMED)
        _, best, _, (dx, dy) = cv2.minMaxLoc(scores)
        if best >= SURE:
            move_x, move_y = x + dx - left, y + dy - top
            self.box = (left + move_x, top + move_y, right + move_x, bottom + move_y)
        return float(best)


def _inside(corners: list[float], height: int, width: int) -> Box | None:
    left, top = (int(np.floor(side)) for side in corners[:2])
    right, bottom = (int(np.ceil(side)) for side in corners[2:])
    box = Box(
        left=max(left, 0), top=max(top, 0), right=min(right, width), bottom=min(bottom, height)
    )
    return box if min(box.size) > 0 else None
