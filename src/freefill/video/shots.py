"""A first look at a clip: how many frames, where it cuts, and whether the camera stands still."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from freefill.errors import MaskError, plural
from freefill.types import Mask
from freefill.video import load_cv2
from freefill.video.flow import dis, places, widened
from freefill.video.masks import Holes
from freefill.video.reading import Clip
from freefill.video.tracking import small_grey

LOOK = 320
"""Longer side of the frames that are looked at."""
STILL = 0.25
"""Pixels of the clip that three quarters of a still camera's picture may move by."""
STEADY = 2.5
"""Levels of 255 by which its brightness may differ, in the middle and on average."""
CUT, CUT_FACTOR = 18.0, 4.0
"""Levels that flow leaves unexplained at a cut, and how many times more that is than before."""

Grey = NDArray[np.uint8]


@dataclass(frozen=True)
class Shot:
    """Frames without a cut between them.

    Attributes:
        start: The first.
        stop: The one after the last.
        still: Whether neither camera nor light changes, so that pixels stay in place.
    """

    start: int
    stop: int
    still: bool


@dataclass(frozen=True)
class Survey:
    """What a first look has found.

    Attributes:
        shots: All of the clip's, in order.
        share: How much of all its pixels is to be filled.
    """

    shots: tuple[Shot, ...]
    share: float

    @property
    def frames(self) -> int:
        """How many frames the clip has."""
        return self.shots[-1].stop


def survey(clip: Clip, holes: Holes, seen: Callable[[int], None]) -> tuple[Survey, list[str]]:
    """Look at every frame once.

    Args:
        clip: The clip.
        holes: What is to be filled.
        seen: Called with the number of each frame.

    Returns:
        What was found, and lines that a person should read.

    Raises:
        MaskError: If there are fewer masks than frames.
        VideoError: If the clip cannot be decoded.
    """
    shrink = min(LOOK / max(clip.coding.size), 1.0)
    coming = holes.each()
    shots: list[Shot] = []
    now: _Look | None = None
    count, masks, marked = 0, 0, 0.0
    for frame in clip.frames():
        seen(frame.index)
        count += 1
        hole = next(coming, None)
        if hole is None:
            continue
        masks += 1
        marked += float(hole.mean())
        grey = small_grey(frame, clip.coding, shrink)
        known = ~widened(_shrunk(hole, grey.shape), 2)
        if now is None or now.cuts(grey, known):
            if now is not None:
                shots.append(Shot(now.start, frame.index, now.still))
            now = _Look(frame.index, grey, known, STILL * shrink)
        else:
            now.add(grey, known)
    if masks < count:
        raise MaskError(
            f"{plural(masks, 'mask')} but {clip.path.name} has {plural(count, 'frame')}: "
            "give one for each frame, or one picture for all"
        )
    assert now is not None  # a clip without frames is refused when it is opened
    shots.append(Shot(now.start, count, now.still))
    notices = []
    if not holes.endless and next(coming, None) is not None:
        notices.append(
            f"there are more masks than the {plural(count, 'frame')}: the rest is not used"
        )
    if not marked and not holes.endless:  # of a single picture that has been said
        notices.append("the masks are empty: nothing is filled")
    return Survey(tuple(shots), marked / count), notices


def _shrunk(hole: Mask, size: tuple[int, ...]) -> Mask:
    """Bring cells to the size of a look; a pixel with any hole in it is one."""
    cv2 = load_cv2()
    share = cv2.resize(hole.astype(np.float32), size[::-1], interpolation=cv2.INTER_AREA)
    found: Mask = share > 0
    return found


class _Look:
    """One shot while it goes on."""

    def __init__(self, start: int, grey: Grey, known: Mask, still: float) -> None:
        self.start, self.first, self.first_known = start, grey, known
        self.last, self.last_known = grey, known
        self.limit, self.still = still, True
        self.residuals: list[float] = []

    def cuts(self, grey: Grey, known: Mask) -> bool:
        """Whether the next frame belongs to another shot."""
        both = known & self.last_known
        if not both.any() or _apart(self.last, grey, both) < CUT / 2:
            self.residuals.append(0.0)
            return False
        cv2 = load_cv2()
        flow = dis(self.last, grey)
        moved = cv2.remap(grey, *places(flow), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        left = _apart(self.last, moved, both)
        usual = float(np.median(self.residuals[-9:])) if self.residuals else 0.0
        self.residuals.append(left)
        return left > CUT and left > CUT_FACTOR * usual

    def add(self, grey: Grey, known: Mask) -> None:
        """Take the next frame of this shot."""
        both = known & self.first_known
        if self.still and both.any():
            step = grey[both].astype(np.float32) - self.first[both]
            moved = np.linalg.norm(dis(self.first, grey), axis=-1)[both]
            self.still = bool(
                np.percentile(moved, 75) <= self.limit
                and np.median(np.abs(step)) <= STEADY
                and abs(float(step.mean())) <= STEADY
            )
        self.last, self.last_known = grey, known


def _apart(a: Grey, b: Grey, where: Mask) -> float:
    return float(np.abs(a[where].astype(np.float32) - b[where]).mean())
