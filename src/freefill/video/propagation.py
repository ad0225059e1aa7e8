"""Filling a shot whose camera moves: from neighbouring frames first, by the network last.

Each cell of a hole is followed along the flow, back and forth in time, to the nearest frame that
shows what lies there, and is sampled from that frame in one step, as "Flow-edge Guided Video
Completion" does (Gao et al., ECCV 2020). What is sampled is first brought to fit what both frames
show around the hole, in place and in light. Where both directions find something they are
mixed, the nearer weighing more, so that the change from one to the other is gradual. What no frame
of the window shows is taken from where the network made it up in an earlier frame, and only what
is left is made up anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from freefill.imaging.box import Box, bounds
from freefill.pipeline.inpainter import Inpainter
from freefill.types import Mask
from freefill.video import load_cv2
from freefill.video.flow import Flow, complete, dis, eight_bits, flow_between, places, widened
from freefill.video.frames import CELL, Coding, Frame, Plane
from freefill.video.painting import paint
from freefill.video.patches import Folder, Patch

WINDOW = 16
"""Frames before and after one that it is filled from, by default."""

RING = 12
"""Cells around a hole by which frames are brought to fit."""
MENDED = 2.0
"""Cells by which a source is moved at most to fit."""
LIGHT = 0.75
"""Levels of 255 from which on the light is taken to have changed, and not the grain."""
SMALLEST = 32
"""Pixels from which on DIS looks at a picture."""

Values = NDArray[np.float32]


@dataclass(eq=False)
class _Entry:
    """A frame in the window; its planes are filled when its turn has come."""

    frame: Frame
    hole: Mask
    made: Mask
    """What the network made up in this frame."""
    carried: Mask
    """What it made up in an earlier one."""
    beside: Mask
    """The hole and a cell around it, where its edge is blurred."""
    flows: dict[int, Flow] = field(default_factory=dict)
    """To the frame before (-1) and after (1) it, once they are needed."""


def fill_moving(
    frames: Iterable[tuple[Frame, Mask]],
    coding: Coding,
    inpainter: Inpainter,
    folder: Folder,
    window: int = WINDOW,
) -> Iterator[int]:
    """Fill the frames of one shot and keep what is new in a folder.

    Args:
        frames: Each with its hole, in cells.
        coding: How they are to be understood.
        inpainter: The pipeline.
        folder: Where patches go; those that are there are taken over.
        window: Frames before and after one that it is filled from.

    Yields:
        The number of each frame that is done.
    """
    entries: list[_Entry] = []
    centre, coming = 0, iter(frames)
    while True:
        while len(entries) - centre <= window:
            pair = next(coming, None)
            if pair is None:
                break
            entries.append(_entry(*pair, coding, folder))
        if centre >= len(entries):
            return
        entry = entries[centre]
        if entry.hole.any() and folder.load(_name(entry)) is None:
            _Filling(entries, centre, coding, window).fill(inpainter)
            patch = Patch.cut(entry.frame.planes, entry.hole, entry.made, entry.carried, coding)
            folder.save(_name(entry), patch)
        yield entry.frame.index
        centre += 1
        if centre > window:
            entries.pop(0)
            centre -= 1


def _name(entry: _Entry) -> str:
    return name_of(entry.frame.index)


def name_of(index: int) -> str:
    """Name the patch of a frame."""
    return f"frame-{index:06d}"


def _entry(frame: Frame, hole: Mask, coding: Coding, folder: Folder) -> _Entry:
    entry = _Entry(frame, hole, np.zeros_like(hole), np.zeros_like(hole), widened(hole, 1))
    patch = folder.load(name_of(frame.index)) if hole.any() else None
    if patch is not None:
        patch.put(entry.frame.planes, coding)
        entry.made[patch.box.window] = patch.made
        entry.carried[patch.box.window] = patch.carried
    return entry


class _Filling:
    """Filling one frame of the window."""

    def __init__(self, entries: list[_Entry], centre: int, coding: Coding, window: int) -> None:
        self.cv2 = load_cv2()
        self.entries, self.centre, self.coding, self.window = entries, centre, coding, window
        self.entry = entries[centre]
        tight = bounds(self.entry.hole)
        assert tight is not None
        rows, columns = self.entry.hole.shape
        self.box = Box(
            left=max(tight.left - RING, 0),
            top=max(tight.top - RING, 0),
            right=min(tight.right + RING, columns),
            bottom=min(tight.bottom + RING, rows),
        )
        self.hole = self.entry.hole[self.box.window]

    def fill(self, inpainter: Inpainter) -> None:
        """Change the frame's planes inside its hole, and note what was made up."""
        sums: list[Values] = [
            np.zeros(self._part(i).shape, np.float32) for i in range(len(self._planes))
        ]
        weight = np.zeros(self.hole.shape, np.float32)
        for direction in (-1, 1):
            for steps, cells, found in self._sources(direction):
                share = np.where(cells, np.float32(1 / steps), 0)
                weight += share
                for i, values in enumerate(found):
                    sums[i] += values * self._spread(share, i)
        known = weight > 0
        for i, total in enumerate(sums):
            total /= np.maximum(self._spread(weight, i), np.float32(1e-6))
        self._write(sums, known)
        carried = self._take_over(self.hole & ~known)
        self.entry.carried[self.box.window] = carried
        known |= carried
        left = np.zeros_like(self.entry.hole)
        left[self.box.window] = self.hole & ~known
        if left.any():
            paint(self._planes, left, self.coding, inpainter)
            self.entry.made |= left

    @property
    def _planes(self) -> list[Plane]:
        return self.entry.frame.planes

    def _part(self, plane: int) -> Plane:
        return self._planes[plane][self.coding.window(self.box, plane)]

    def _spread(self, cells: Values, plane: int) -> Values:
        down, across = (CELL // ratio for ratio in self.coding.ratios[plane])
        spread: Values = cells.repeat(down, 0).repeat(across, 1)
        return spread

    def _write(self, found: list[Values], cells: Mask) -> None:
        for i, values in enumerate(found):
            inside = self.coding.spread(cells, i)
            self._part(i)[inside] = self.coding.quantised(values[inside])

    def _way(self, direction: int) -> Iterator[tuple[int, _Entry, Values, Values, Mask]]:
        """Follow the box along the flow: steps, the frame there, columns, rows, what is inside."""
        box = self.box
        x = np.arange(box.left, box.right, dtype=np.float32)[None].repeat(box.size[0], 0)
        y = np.arange(box.top, box.bottom, dtype=np.float32)[:, None].repeat(box.size[1], 1)
        rows, columns = self.entry.hole.shape
        alive = np.ones(self.hole.shape, bool)
        for steps in range(1, self.window + 1):
            number = self.centre + direction * steps
            if not 0 <= number < len(self.entries):
                return
            flow = self._flow(number - direction, direction)
            moved = self._at(flow, x, y)
            x, y = x + moved[..., 0], y + moved[..., 1]
            alive = alive & (x >= 0) & (x <= columns - 1) & (y >= 0) & (y <= rows - 1)
            yield steps, self.entries[number], x, y, alive

    def _sources(self, direction: int) -> Iterator[tuple[int, Mask, list[Values]]]:
        """Give, for each number of steps, the cells that are first seen there, and samples."""
        wanted = self.hole.copy()
        for steps, entry, x, y, alive in self._way(direction):
            if not (wanted & alive).any():
                return
            known = alive & self._known(entry, x, y)
            cells = wanted & known
            if cells.any():
                wanted &= ~cells
                shown = known & ~self.entry.beside[self.box.window]
                places_there = self._aligned(entry, x, y, shown)
                yield steps, cells, self._lit(self._samples(entry, *places_there), shown)

    def _take_over(self, wanted: Mask) -> Mask:
        """Take what the network made up in earlier frames, from where it did; give those cells."""
        done = np.zeros_like(wanted)
        before: tuple[Mask, list[Values]] | None = None
        for steps, entry, x, y, alive in self._way(-1):
            if not (wanted & ~done & alive).any():
                break
            if steps == 1:
                before = alive, self._carried(entry, x, y, alive)
            cells = wanted & ~done & alive & (self._at(entry.made.astype(np.float32), x, y) > 0.999)
            if cells.any():
                self._write(self._carried(entry, x, y, alive), cells)
                done |= cells
        if before is not None:
            # What was made, or found, longer ago than the window lasts is in the frame before.
            cells = wanted & ~done & before[0]
            self._write(before[1], cells)
            done |= cells
        return done

    def _known(self, entry: _Entry, x: Values, y: Values) -> Mask:
        """Tell where a frame shows the background."""
        return self._at(entry.beside.astype(np.float32), x, y) < 1e-3

    def _carried(self, entry: _Entry, x: Values, y: Values, alive: Mask) -> list[Values]:
        """Give samples of what was made up, in this frame's light.

        They are not brought to fit: there is no truth to fit, and mending it anew for each frame
        would make it tremble.
        """
        shown = alive & self._known(entry, x, y) & ~self.entry.beside[self.box.window]
        return self._lit(self._samples(entry, x, y), shown)

    def _aligned(self, entry: _Entry, x: Values, y: Values, shown: Mask) -> tuple[Values, Values]:
        """Mend what many steps have added up to, by how the surroundings of the hole fit."""
        here = eight_bits(self._part(0), self.coding)
        if min(here.shape) < SMALLEST:
            return x, y
        there = eight_bits(self._sampled(entry, 0, x, y), self.coding)
        # What is known of one only is made the same in both, and so stays where it is.
        here = np.where(self.coding.spread(shown, 0), here, there)
        rows, columns = shown.shape
        left = self.cv2.resize(dis(here, there), (columns, rows), interpolation=self.cv2.INTER_AREA)
        left = complete(left / np.float32(CELL), widened(~shown, 2))
        right, below = places(np.clip(left, -MENDED, MENDED))
        return self._at(x, right, below), self._at(y, right, below)

    def _lit(self, found: list[Values], shown: Mask) -> list[Values]:
        """Bring samples to this frame's light, by what both show around the hole."""
        if not shown.any():
            return found
        least = np.float32(LIGHT * (1 << (self.coding.depth - 8)))
        for i, values in enumerate(found):
            where = self.coding.spread(shown, i)
            step = np.float32(np.median(self._part(i)[where] - values[where]))
            if abs(step) >= least:
                values += step
        return found

    def _flow(self, number: int, direction: int) -> Flow:
        a, b = self.entries[number], self.entries[number + direction]
        if direction not in a.flows:
            a.flows[direction] = flow_between(a.frame, b.frame, a.hole, b.hole, self.coding)
        return a.flows[direction]

    def _at(self, values: Values, x: Values, y: Values) -> Values:
        cv2 = self.cv2
        found: Values = cv2.remap(values, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return found

    def _samples(self, entry: _Entry, x: Values, y: Values) -> list[Values]:
        """Give the samples of a frame at places of cells, of each plane."""
        numbers = range(len(self._planes))
        return [self._sampled(entry, i, x, y).astype(np.float32) for i in numbers]

    def _sampled(self, entry: _Entry, plane: int, x: Values, y: Values) -> Plane:
        cv2 = self.cv2
        apart = np.stack(
            [
                x - np.arange(self.box.left, self.box.right, dtype=np.float32),
                y - np.arange(self.box.top, self.box.bottom, dtype=np.float32)[:, None],
            ],
            -1,
        )
        down, across = (CELL // ratio for ratio in self.coding.ratios[plane])
        rows, columns = self.hole.shape
        size = columns * across, rows * down
        steps = cv2.resize(apart, size, interpolation=cv2.INTER_LINEAR)
        right, below = places(steps * np.array([across, down], np.float32))
        found: Plane = cv2.remap(
            entry.frame.planes[plane],
            right + self.box.left * across,
            below + self.box.top * down,
            cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return found
