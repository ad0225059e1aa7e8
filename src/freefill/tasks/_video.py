"""Filling a clip: what is removed from it is replaced by what other frames show.

With a still camera the background comes from other frames as they were decoded; with a moving one
it is brought along the optical flow; the network makes up what no frame shows, once, and that is
carried on from frame to frame. See :mod:`freefill.video` for the parts. Never imports torch;
PyAV and OpenCV come with the extra ``video``.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

from freefill import __version__
from freefill.errors import FreefillError, MaskError, VideoError
from freefill.files.paths import is_hidden
from freefill.imaging.box import Box
from freefill.imaging.formats import MAX_PIXELS
from freefill.imaging.io import Source
from freefill.masks.convert import Fit
from freefill.masks.region import Corners, to_box
from freefill.pipeline.inpainter import LARGEST_GROWTH, PIPELINE_VERSION, Inpainter
from freefill.tasks.calls import checked, chosen
from freefill.tasks.options import Option
from freefill.types import Mask
from freefill.video import load_av, load_cv2
from freefill.video.frames import Frame
from freefill.video.masks import Holes, holes_of, holes_of_boxes
from freefill.video.patches import Folder, Patch, followed, partial_of, writing
from freefill.video.plates import Plate
from freefill.video.propagation import WINDOW, fill_moving, name_of
from freefill.video.reading import Clip, Damaged
from freefill.video.shots import Shot, Survey, survey
from freefill.video.tracking import track
from freefill.video.writing import check_out, write_clip

Progress = Callable[[str, int, int], None]
"""Called with what is being done, the frames that are done, and all there are (0: not known)."""

LARGEST_WINDOW = 240
METHOD = 2
"""Counted up when a clip is filled otherwise: what an older version left is not taken up."""


@dataclass(frozen=True)
class FilledClip:
    """What became of a clip.

    Attributes:
        path: The result.
        size: Height and width.
        frames: How many frames it has.
        still: How many of them are of shots whose camera stands still.
        share: How much of all its pixels was filled.
        made: How much of that the network made up; the rest is from other frames.
        notices: Lines that a person should read.
    """

    path: Path
    size: tuple[int, int]
    frames: int
    still: int
    share: float
    made: float
    notices: tuple[str, ...]


@checked
def video(
    clip: str | os.PathLike[str],
    mask: Annotated[
        Source | None,
        Option(
            "White = fill. A folder of masks or a clip of masks, one for each frame; or one "
            "picture for all frames.",
            file=True,
        ),
    ],
    out: str | os.PathLike[str],
    *,
    box: Annotated[
        Corners | None,
        Option(
            "Instead of a mask: left, top, right and bottom of what is to go, in the first frame, "
            "in pixels. The box is followed through the clip.",
            form="L,T,R,B",
        ),
    ] = None,
    lossless: Annotated[
        bool, Option("FFV1 in .mkv: every pixel outside the mask stays.", error=VideoError)
    ] = False,
    invert: Annotated[bool, Option("Black = fill instead.", error=MaskError)] = False,
    grow: Annotated[
        int,
        Option(
            "Widen the holes by this many pixels: compressed clips have traces around what moves.",
            ge=0,
            le=LARGEST_GROWTH,
            error=MaskError,
        ),
    ] = 0,
    fit: Annotated[
        Fit,
        Option("'resize' brings masks of another size to the clip's.", error=MaskError),
    ] = "exact",
    window: Annotated[
        int,
        Option(
            "Frames before and after each that it is filled from. More find more and need more "
            "memory: 6 bytes for each pixel of each of them.",
            ge=1,
            le=LARGEST_WINDOW,
            error=VideoError,
        ),
    ] = WINDOW,
    damaged: Annotated[
        Damaged,
        Option(
            "Of a clip that is cut off or damaged: 'keep' fills the frames that can be decoded and "
            "says how many those are.",
            error=VideoError,
        ),
    ] = "refuse",
    overwrite: bool = False,
    inpainter: Inpainter | None = None,
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
) -> FilledClip:
    """Fill the masked part of every frame of a clip.

    Until the result is there, what is filled is kept in the folder ``OUT.partial``; the same call
    takes it up from there, and gives the same file as one that was not stopped.

    Args:
        clip: A file that FFmpeg can read.
        mask: A folder of masks or a clip of masks, one for each frame, or one picture for all;
            white = fill. ``None`` where there is a box.
        out: The result: ``.mp4``, ``.mov`` or ``.mkv``.
        box: ``(left, top, right, bottom)`` of what to fill in the first frame; it is followed
            through the clip.
        invert: Masks mark what to keep.
        grow: Pixels by which holes are widened, 0 to 256.
        fit: ``"resize"`` brings masks of another size to the clip's.
        lossless: FFV1 in ``.mkv`` instead of H.264: what is not filled stays, bit for bit.
        window: Frames before and after one that it is filled from, 1 to 240. Memory grows with
            it: about 6 bytes for each pixel of each of ``2 * window + 1`` frames.
        damaged: What becomes of a clip that is cut off or damaged: ``"refuse"`` says how many of
            its frames can be decoded, ``"keep"`` fills these, each at its own time and with its own
            mask, and says so.
        overwrite: Whether a result that exists is replaced, and the start of another run thrown
            away.
        inpainter: The pipeline; by default that of the default weights, loaded once and kept.
        max_pixels: The most that width times height of a frame may be.
        progress: Called as frames are done; what it raises stops the run.

    Returns:
        What became of it.

    Raises:
        VideoError: If the clip or the box cannot be used, the result cannot be written, or another
            process is making it.
        MaskError: If masks do not fit the clip.
        ExtraMissingError: If the extra ``video`` is not installed.
    """
    load_av()
    load_cv2()
    for name, value in (("clip", clip), ("out", out)):
        if not isinstance(value, str | os.PathLike):
            raise VideoError(f"`{name}` is {value!r}; it must be a path")
    path, target = Path(clip), followed(Path(out))
    tell = progress or (lambda *_: None)
    where = None if box is None else to_box(box)
    _check(path, mask, where, target, overwrite)
    inpainter = chosen(inpainter)
    source = Clip.open(path, max_pixels, damaged)
    notices = [*source.notices, *check_out(source, Path(out), lossless)]
    identity = {
        "clip": _stamp(path),
        "mask": None if mask is None else _stamp(mask),
        "box": None if where is None else where.corners,
        "option": [invert, grow, fit, lossless, window, damaged, target.name],
        "weights": [inpainter.weights.name, _stamp(inpainter.weights.path)],
        "version": [__version__, METHOD, PIPELINE_VERSION],
    }
    if mask is not None:
        holes, more = holes_of(
            mask, source, invert=invert, grow=grow, fit=fit, max_pixels=max_pixels
        )
        notices += more
    with Folder.locked(partial_of(target), identity, overwrite=overwrite) as folder:
        try:
            if mask is None:
                assert where is not None
                holes = holes_of_boxes(_boxes(folder, source, where, tell), source, grow)
            found, more = _survey(folder, source, holes, tell)
        except FreefillError:
            # The corrected call is not to be refused for what this one left, if it is nothing.
            if not any(folder.path.glob("frame-*")):
                folder.remove()
            raise
        _fill(folder, source, holes, found, inpainter, window, tell)
        made = _Made()
        frames = _composed(folder, source, holes, found, made, tell)
        # Its name keeps the ending, which says what it is.
        encoded = folder.path / f"encoded{Path(out).suffix}"
        _write(source, encoded, target, frames, lossless)
        folder.remove()
    still = sum(shot.stop - shot.start for shot in found.shots if shot.still)
    share = made.made / max(made.cells, 1)
    return FilledClip(
        Path(out), source.coding.size, found.frames, still, found.share, share, (*notices, *more)
    )


def _write(
    source: Clip, encoded: Path, target: Path, frames: Iterator[Frame], lossless: bool
) -> None:
    """Encode beside the result, and give the file its name when it is whole."""
    try:
        write_clip(source, encoded, frames, lossless)
        with writing(target):
            if target.exists():
                encoded.chmod(stat.S_IMODE(target.stat().st_mode))
            encoded.replace(target)
    except VideoError:
        encoded.unlink(missing_ok=True)
        raise


def _check(
    clip: Path,
    mask: Source | None,
    box: Box | None,
    out: Path,
    overwrite: bool,
) -> None:
    if (mask is None) == (box is None):
        raise MaskError("give either `mask`, or a `box` to follow")
    if not out.parent.is_dir():
        raise VideoError(f"{out} cannot be written: the folder {out.parent} does not exist")
    inputs = [clip, *([Path(mask)] if isinstance(mask, str | os.PathLike) else [])]
    if out.resolve() in [path.resolve() for path in inputs]:
        raise VideoError(f"{out} is an input of this call: give the result another name")
    if out.is_dir():
        raise VideoError(f"{out} cannot be written: it is a folder")
    if out.exists() and not out.is_file():
        raise VideoError(f"{out} cannot be written: it is no regular file")
    if out.exists() and not overwrite:
        raise VideoError(f"{out} exists: `overwrite=True` replaces it")


def _stamp(source: Any) -> Any:
    """Tell one input from another: files by name, size and time, all else by content."""
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        try:
            files = [path]
            if path.is_dir():
                # Looking at a folder leaves a .DS_Store in it, and must not make it another one.
                files = sorted(file for file in path.iterdir() if not is_hidden(file.name))
            stats = [(file.name, file.stat()) for file in files]
        except OSError:
            return str(path)  # what is missing is told by whoever reads it
        text = repr([(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats])
        return hashlib.sha256(text.encode()).hexdigest()
    content = source if isinstance(source, bytes) else _content(source)
    return hashlib.sha256(content).hexdigest()


def _content(source: Any) -> bytes:
    shape = repr(getattr(source, "shape", getattr(source, "size", None))).encode()
    return shape + bytes(source.tobytes())


def _boxes(folder: Folder, clip: Clip, box: Box, tell: Progress) -> list[Box | None]:
    kept = folder.read("boxes")
    with suppress(TypeError, ValueError):  # nothing was noted, or the note is damaged
        return [None if one is None else Box.of(one) for one in kept]
    seen = _counter(tell, "following the box", clip.guess)
    found = track(clip.frames(), clip.coding, box, seen)
    folder.write("boxes", [None if one is None else one.corners for one in found])
    return list(found)


def _survey(folder: Folder, clip: Clip, holes: Holes, tell: Progress) -> tuple[Survey, list[str]]:
    kept = folder.read("survey")
    with suppress(TypeError, KeyError):  # nothing was noted, or the note is damaged
        shots = tuple(Shot(**shot) for shot in kept["found"]["shots"])
        if shots:
            return Survey(shots, kept["found"]["share"]), kept["notices"]
    found, notices = survey(clip, holes, _counter(tell, "looking", clip.guess))
    folder.write("survey", {"found": asdict(found), "notices": notices})
    return found, notices


def _counter(tell: Progress, stage: str, total: int) -> Callable[[int], None]:
    return lambda index: tell(stage, index + 1, total)


def _fill(
    folder: Folder,
    clip: Clip,
    holes: Holes,
    found: Survey,
    inpainter: Inpainter,
    window: int,
    tell: Progress,
) -> None:
    """Find or make up what is new in every frame, and keep it in the folder."""
    pairs = zip(clip.frames(), holes.each(), strict=False)
    for shot in found.shots:
        mine = islice(pairs, shot.stop - shot.start)
        if not shot.still:
            for index in fill_moving(mine, clip.coding, inpainter, folder, window):
                tell("filling", index + 1, found.frames)
            continue
        plate = None if folder.load(_plate(shot)) else Plate(shot, clip.coding)
        for frame, hole in mine:
            if plate is not None:
                plate.add(frame, hole)
            tell("filling", frame.index + 1, found.frames)
        patch = None if plate is None else plate.finish(inpainter)
        if patch is not None:
            folder.save(_plate(shot), patch)


def _plate(shot: Shot) -> str:
    return f"plate-{shot.start:06d}"


@dataclass
class _Made:
    """Cells that were filled, and those among them that the network made up."""

    cells: int = 0
    made: int = 0

    def count(self, patch: Patch, hole: Mask) -> None:
        """Add those of a frame."""
        mine = hole[patch.box.window] & patch.cells
        self.cells += int(mine.sum())
        self.made += int((mine & (patch.made | patch.carried)).sum())


def _composed(
    folder: Folder, clip: Clip, holes: Holes, found: Survey, made: _Made, tell: Progress
) -> Iterator[Frame]:
    """Give every frame with what is new in it."""
    pairs = zip(clip.frames(), holes.each(), strict=False)
    for shot in found.shots:
        plate = folder.load(_plate(shot)) if shot.still else None
        for frame, hole in islice(pairs, shot.stop - shot.start):
            if hole.any():
                patch = plate if shot.still else folder.load(name_of(frame.index))
                if patch is None:
                    raise VideoError(
                        f"{folder.path} has lost what was filled in frame {frame.index}: the same "
                        "call again fills it anew"
                    )
                patch.put(frame.planes, clip.coding, hole)
                made.count(patch, hole)
            yield frame
            tell("writing", frame.index + 1, found.frames)
