"""The background of a shot whose camera stands still, from the frames that show it.

Where nothing moves but what is to be removed, each cell behind it is seen at the same place in
other frames, and is taken from one of them as it was decoded: nothing is rounded or mixed. Of up
to 15 frames spread over the shot it is the one whose luma is the median, so that whoever else
walks by is not taken for background; what none of these shows comes from the first frame that
does. All frames of the shot get the same cells, so that nothing flickers.
"""

from __future__ import annotations

import numpy as np

from freefill.pipeline.inpainter import Inpainter
from freefill.types import Mask
from freefill.video.flow import widened
from freefill.video.frames import Coding, Frame, Plane
from freefill.video.painting import paint
from freefill.video.patches import Patch
from freefill.video.shots import Shot

SAMPLES = 15
"""Frames that the median is taken of, and that are held in memory."""


class Plate:
    """What is known of the background while the frames of a still shot go by.

    Args:
        shot: The shot.
        coding: How its frames are to be understood.
    """

    def __init__(self, shot: Shot, coding: Coding) -> None:
        self.coding = coding
        count = min(SAMPLES, shot.stop - shot.start)
        self.chosen = set(np.linspace(shot.start, shot.stop - 1, count).round().astype(int))
        self.samples: list[tuple[Frame, Mask]] = []
        self.needed = np.zeros(coding.cells, bool)
        self.first: list[Plane] = []
        self.shown = np.zeros(coding.cells, bool)
        self.begin: tuple[Frame, Mask] | None = None

    def add(self, frame: Frame, hole: Mask) -> None:
        """Take the next frame."""
        if self.begin is None:
            self.begin, self.first = (frame, hole), frame.copy().planes
            self.shown = ~hole
        self.needed |= hole
        new = ~hole & ~self.shown
        if new.any():
            self._take(self.first, frame.planes, new)
            self.shown |= new
        if frame.index in self.chosen:
            self.samples.append((frame, hole))

    def finish(self, inpainter: Inpainter) -> Patch | None:
        """Give the cells of all holes of the shot; the network makes up what no frame shows.

        Args:
            inpainter: The pipeline.

        Returns:
            The patch, or ``None`` where no frame of the shot has a hole.
        """
        if not self.needed.any():
            return None
        assert self.begin is not None
        planes = [plane.copy() for plane in self.first]
        # Beside a hole lie the shadow and the blurred edge of what is in it: better elsewhere.
        for margin in (0, 1):
            self._take_medians(planes, margin)
        made = self.needed & ~self.shown
        if made.any():
            paint(planes, made, self.coding, inpainter)
        return Patch.cut(planes, self.needed, made, np.zeros_like(made), self.coding)

    def _take_medians(self, planes: list[Plane], margin: int) -> None:
        rows, columns = np.nonzero(self.needed)
        known = np.stack(
            [
                ~(widened(hole, margin) if margin else hole)[rows, columns]
                for _, hole in self.samples
            ]
        )
        lumas = np.stack([_cell_sums(frame.planes[0])[rows, columns] for frame, _ in self.samples])
        lumas[~known] = np.iinfo(lumas.dtype).max
        count = known.sum(0)
        order = np.argsort(lumas, axis=0, kind="stable")
        middle = np.maximum(count - 1, 0) // 2
        source = np.take_along_axis(order, middle[None], 0)[0]
        for number, (frame, _) in enumerate(self.samples):
            mine = (source == number) & (count > 0)
            cells = np.zeros_like(self.needed)
            cells[rows[mine], columns[mine]] = True
            self._take(planes, frame.planes, cells)

    def _take(self, target: list[Plane], source: list[Plane], cells: Mask) -> None:
        for i, plane in enumerate(target):
            inside = self.coding.spread(cells, i)
            plane[inside] = source[i][inside]


def _cell_sums(luma: Plane) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    wide = luma.astype(np.int64)
    tall = wide[::2] + wide[1::2]
    return tall[:, ::2] + tall[:, 1::2]
