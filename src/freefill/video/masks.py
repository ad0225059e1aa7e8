"""Where to fill in each frame: one picture for all, a folder of them, or a clip of masks."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from freefill.errors import ImageError, MaskError, VideoError
from freefill.files.paths import is_hidden
from freefill.imaging.box import Box
from freefill.imaging.formats import MAX_PIXELS
from freefill.imaging.io import Source, read_picture
from freefill.imaging.rgb import is_picture
from freefill.masks.convert import Fit, to_mask
from freefill.masks.morphology import grow as grow_hole
from freefill.types import Mask
from freefill.video.damage import Tally, decoded
from freefill.video.frames import to_cells
from freefill.video.opening import opened
from freefill.video.orientation import Orientation
from freefill.video.reading import Clip

T = TypeVar("T")


@dataclass(frozen=True)
class Holes:
    """What is to be filled in each frame.

    Attributes:
        each: Gives the cells to fill of each frame, from the first, as often as it is called.
        endless: Whether they never run out.
    """

    each: Callable[[], Iterator[Mask]]
    endless: bool = False


ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".avif", ".pgm")


def holes_of(
    mask: Source,
    clip: Clip,
    *,
    invert: bool = False,
    grow: int = 0,
    fit: Fit = "exact",
    max_pixels: int = MAX_PIXELS,
) -> tuple[Holes, list[str]]:
    """Make any mask the holes of a clip.

    Args:
        mask: A folder of pictures (in the order of the numbers in their names), a clip, or one
            picture (path, bytes, Pillow image or array) for all frames; white = fill.
        clip: The clip that it is for.
        invert: Swap fill and keep first.
        grow: Pixels by which each hole is widened.
        fit: ``"resize"`` brings masks of another size to the clip's.
        max_pixels: The most that width times height of a mask may be.

    Returns:
        The holes, and lines that a person should read.

    Raises:
        MaskError: If the first mask is of another size or cannot be used. Later ones raise it
            when they come.
        ImageError: If a picture cannot be read.
        VideoError: If a clip of masks cannot be read.
    """
    stand_in = read_picture(np.zeros(clip.coding.size, np.uint8))

    def cells(one: Source, name: str) -> tuple[Mask, list[str]]:
        try:
            hole, notices = to_mask(one, stand_in, invert=invert, fit=fit, max_pixels=max_pixels)
        except MaskError as error:
            raise MaskError(f"{name}: {error}") from None
        return to_cells(grow_hole(hole, grow)), notices

    if isinstance(mask, str | os.PathLike):
        path = Path(mask)
        if path.is_dir():
            files = _pictures(path)
            notices = cells(files[0], str(files[0]))[1]
            picked = _for_kept(lambda: iter(files), clip)
            return Holes(lambda: (cells(file, str(file))[0] for file in picked())), notices
        if _is_clip(path, max_pixels):
            first = next(_frames(path, max_pixels), None)
            if first is None:
                raise VideoError(f"{path} holds no frame that can be decoded: no mask")
            notices = cells(first, str(path))[1]
            shown = _for_kept(lambda: _frames(path, max_pixels), clip)
            return Holes(lambda: (cells(one, str(path))[0] for one in shown())), notices
    hole, notices = cells(mask, "the mask")

    def always() -> Iterator[Mask]:
        while True:
            yield hole

    return Holes(always, endless=True), notices


def holes_of_boxes(boxes: list[Box | None], clip: Clip, grow: int) -> Holes:
    """Make boxes, one a frame (``None``: nothing to fill), the holes of a clip."""

    def cells() -> Iterator[Mask]:
        for box in boxes:
            hole = np.zeros(clip.coding.size, bool)
            if box is not None:
                hole[
                    max(box.top - grow, 0) : box.bottom + grow,
                    max(box.left - grow, 0) : box.right + grow,
                ] = True
            yield to_cells(hole)

    return Holes(cells)


def _for_kept(each: Callable[[], Iterator[T]], clip: Clip) -> Callable[[], Iterator[T]]:
    """Leave out the masks of frames that a damaged clip has lost.

    As many masks as there are frames left are taken for theirs.

    Args:
        each: Gives all masks.
        clip: The clip.
    """
    if clip.numbers is None:
        return each
    kept = frozenset(clip.numbers)
    if sum(1 for _ in each()) <= len(kept):
        return each
    return lambda: (mask for number, mask in enumerate(each()) if number in kept)


def _pictures(folder: Path) -> list[Path]:
    try:
        listed = [path for path in folder.iterdir() if not is_hidden(path.name)]
    except OSError as error:
        raise MaskError(f"{folder} cannot be listed: {error.strerror or error}") from None
    files = [path for path in listed if path.suffix.lower() in ENDINGS]
    if not files:
        raise MaskError(f"{folder} holds no masks: a picture for each frame ({', '.join(ENDINGS)})")
    return sorted(files, key=lambda path: [_order(part) for part in _PARTS.split(path.name)])


_PARTS = re.compile(r"(\d+)")


def _order(part: str) -> tuple[int, str]:
    """Sort numbers by value: frame 10 comes after frame 9."""
    return (int(part), "") if part.isdecimal() else (-1, part)


def _is_clip(path: Path, max_pixels: int) -> bool:
    """Whether a file is a clip: what Pillow knows is a picture."""
    try:
        read_picture(path, max_pixels=max_pixels)
    except ImageError:
        # Else a clip or nothing that can be read, which opening it as one says.
        return path.is_file() and not is_picture(path)
    return False


def _frames(path: Path, max_pixels: int) -> Iterator[Mask]:
    """Give every frame of a clip of masks, upright; a damaged one is no mask."""
    tally = Tally()
    with opened(path, max_pixels) as container:
        for frame in decoded(container, container.streams.video[0], path, tally):
            if tally.damaged:
                break
            yield _bright(frame)
    if tally.damaged and tally.shown:
        raise VideoError(
            f"{path} is damaged: {tally}: which mask is whose is not known; give a whole clip or a "
            "folder of pictures"
        )


def _bright(frame: Any) -> Mask:
    # A clip's white is not always 255; what is bright is meant.
    bright: Mask = Orientation.of(frame)[0].apply(frame.to_ndarray(format="gray")) > 127
    return bright
