"""From the paths that a person names to fills of single files, and from each fill to its file.

One photo or thousands: the same function fills each. A result appears only when it is complete,
and a result that is there already is left alone: among many it is skipped, alone it is an error.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from freefill.batch import mask_pairing
from freefill.batch.fill_photo import Options, pixels_of, reason_of
from freefill.batch.mask_pairing import SUFFIXES
from freefill.batch.worker_pool import IN_WORK, WorkerSlots, in_order
from freefill.errors import FreefillError, GuidanceError, ImageError, MaskError
from freefill.files.paths import STREAM, files_below
from freefill.imaging.atomic import remove_partials, target_of
from freefill.imaging.io import NamedBytes, format_of
from freefill.masks.convert import ALPHA
from freefill.pipeline.files import fill_to_bytes, fill_to_file
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import FillRequest
from freefill.pipeline.tiling import explain


@dataclass(frozen=True)
class Job:
    """One photo to fill."""

    photo: Path
    mask: Path | None
    """``None``: no mask was found; ``Path("alpha")``: the photo's own transparency."""
    out: Path
    sketch: Path | None = None
    """Lines that the fill is to follow."""
    colour: Path | None = None
    """Strokes of colour that it is to take up."""
    stream: NamedBytes | None = None
    """What whichever of these is :data:`freefill.files.paths.STREAM` holds."""
    file_format: str | None = None
    """Pillow's name, of a result that has no name with an ending; ``None``: the photo's own."""

    @property
    def inputs(self) -> list[Path]:
        """The files that it reads, where they are named by paths."""
        named = (self.photo, self.mask, self.sketch, self.colour)
        return [path for path in named if path not in (None, STREAM)]

    def is_done(self, options: Options) -> bool:
        """Tell whether there is a result that is not to be replaced."""
        return self.out != STREAM and self.out.is_file() and not options.overwrite

    def request(self, options: Options) -> FillRequest:
        """Give what the pipeline is asked for.

        Raises:
            MaskError: If the photo has no mask.
        """
        if self.mask is None and self.photo == STREAM:
            raise MaskError(
                "a photo from standard input has no mask beside it: pass `mask`, a file or alpha"
            )
        if self.mask is None:
            raise MaskError(
                f"{self.photo} has no mask: {self.photo.stem}_mask.png is looked for beside it, or "
                "in the folder that `mask` names"
            )
        photo, mask, sketch, colour = (
            self.stream if path == STREAM else path
            for path in (self.photo, self.mask, self.sketch, self.colour)
        )
        assert photo is not None
        source = ALPHA if str(self.mask) == ALPHA else mask
        return FillRequest(photo, source, sketch=sketch, colour=colour, options=options)


@dataclass(frozen=True)
class Outcome:
    """What became of a job."""

    job: Job
    state: str
    """``"filled"``, ``"skipped"`` or ``"failed"``."""
    notices: tuple[str, ...] = ()
    width: int = 0
    height: int = 0
    hole: float = 0.0
    """Share of the picture that was filled."""
    seconds: float = 0.0
    """From opening the photo to the finished file."""
    plan: tuple[str, ...] = ()
    """How each hole was filled, if that was asked for."""
    content: bytes = b""
    """The result's file, where that is not written but given back."""
    again: bool = False
    """Whether another try may help where it failed: the system was to blame, not the photo."""


def collect(
    photos: Sequence[Path],
    mask: str | None,
    out: Path,
    ending: str | None = None,
    *,
    sketch: Path | None = None,
    colour: Path | None = None,
) -> list[Job]:
    """Decide what to fill, with which mask and guidance, and where to.

    Args:
        photos: Files and folders (or ``-`` alone: :attr:`Job.stream`); folders are searched with
            their subfolders, ``NAME_mask`` left out where there is a photo ``NAME``, and
            ``NAME_sketch`` or ``NAME_colour`` where these are given. What is hidden in them is left
            out (:func:`freefill.files.paths.is_hidden`).
        mask: A file (for all photos), a folder (``NAME_mask.*`` or ``NAME.*`` in it), the word
            ``alpha``, or ``None`` (``NAME_mask.*`` beside each photo).
        out: The result's file for one photo, or ``-``; else a folder, in which subfolders are kept.
        ending: Of the results in a folder, or of one that goes to standard output (``-``), e.g.
            ``.png``; by default each photo's own.
        sketch: A file (for all photos) or a folder (``NAME_sketch.*`` or ``NAME.*`` in it; photos
            without one are filled without).
        colour: The same with ``NAME_colour.*``.

    Returns:
        The jobs, sorted by photo.

    Raises:
        ImageError: If a path does not exist, a folder holds no photos or cannot be listed, two
            results would have the same name, or a result would replace a photo or mask.
        MaskError: If the mask does not exist.
        GuidanceError: If sketch or strokes do not exist.
    """
    to_folder = len(photos) > 1 or photos[0].is_dir() or out.is_dir()
    if to_folder and not out.is_dir() and out.suffix.lower() in SUFFIXES:
        raise ImageError(
            f"`out={out}` names a file, but several photos are filled: name a folder for them"
        )
    if to_folder and STREAM in (*photos, out):
        raise ImageError("- is one photo, or one result, and has no name: name files, or one `out`")
    if ending is not None and not to_folder and out != STREAM:
        raise ImageError(f"`file_format` is for folders: the ending of `out={out}` sets the format")
    _check_exist(mask, sketch, colour)
    guides = (("_sketch", sketch), ("_colour", colour))
    endings = ("_mask", *(ending for ending, path in guides if path is not None))
    no_photos = [out, *(Path(named) for named in (mask, sketch, colour) if named is not None)]
    jobs = []
    for named in photos:
        if named != STREAM and not named.exists():
            raise ImageError(f"{named} does not exist")
        for photo, relative in _photos(named, no_photos, endings):
            job = Job(
                photo,
                _mask_of(photo, relative, mask),
                out / relative.with_suffix(ending or relative.suffix) if to_folder else out,
                _guide_of(photo, relative, sketch, "sketch"),
                _guide_of(photo, relative, colour, "colour"),
                file_format=format_of(Path(f"-{ending}")) if ending and out == STREAM else None,
            )
            jobs.append(job)
    _check_results(jobs)
    return sorted(jobs, key=lambda job: job.photo)


def _check_exist(mask: str | None, sketch: Path | None, colour: Path | None) -> None:
    if mask not in (None, ALPHA, str(STREAM)) and not Path(mask).exists():
        raise MaskError(f"{mask} does not exist")
    for path in (sketch, colour):
        if path not in (None, STREAM) and not path.exists():
            raise GuidanceError(f"{path} does not exist")


def _check_results(jobs: Sequence[Job]) -> None:
    """Refuse results that would replace each other, or what they are made of."""
    targets: dict[Path, Path] = {}
    for job in jobs:
        if job.out in targets:
            raise ImageError(
                f"{targets[job.out]} and {job.photo} would both become {job.out}: rename one, or "
                "fill them in two calls"
            )
        targets[job.out] = job.photo
    inputs = {path.resolve() for job in jobs for path in job.inputs}
    for job in jobs:
        if job.out != STREAM and job.out.resolve() in inputs:
            raise ImageError(
                f"{job.out} is a photo, mask or sketch of this call: give `out` another name"
            )


def run(
    inpainter: Inpainter, job: Job, options: Options, *, left: Sequence[str] | None = None
) -> Outcome:
    """Fill one file.

    Args:
        inpainter: The pipeline.
        job: What to fill.
        options: How.
        left: What was said of files that earlier runs have left in the result's folder; ``None``:
            they are looked for.

    Returns:
        What became of it.

    Raises:
        FreefillError: If it cannot be filled, or its result exists; nothing is written then.
    """
    start = time.perf_counter()
    content = b""
    if job.out == STREAM:
        left = ()
        made = fill_to_bytes(inpainter, job.request(options), job.file_format, strip=options.strip)
        content = made.content
    else:
        if job.is_done(options):
            raise ImageError(_exists(job.out))
        left = _left_in(job.out) if left is None else left
        made = fill_to_file(inpainter, job.request(options), job.out, strip=options.strip)
    height, width = made.result.picture.size
    return Outcome(
        job,
        "filled",
        (*left, *made.notices),
        width,
        height,
        made.result.share,
        time.perf_counter() - start,
        tuple(explain(made.result.crops, made.result.even)) if options.explain else (),
        content,
    )


def run_all(
    inpainter: Inpainter, jobs: Sequence[Job], options: Options, workers: int = 1
) -> Generator[Outcome]:
    """Fill many files; one that cannot be filled is reported and does not stop the others.

    A photo whose result exists is skipped: a call that was stopped goes on with the rest.

    Args:
        inpainter: The pipeline; with several workers, an engine of one thread keeps as many cores
            busy as there are workers, and better than an engine of many threads would.
        jobs: What to fill.
        options: How.
        workers: Photos that are worked on at a time. Large ones wait for each other, so that no
            more than :data:`IN_WORK` pixels are.

    Yields:
        What became of each job, in their order. Whoever stops early waits for the photos that are
        being worked on, and for no others.
    """
    slots = WorkerSlots(workers, IN_WORK)
    # A folder is looked through once, before the first result is written into it.
    first = {job.out.parent: job.out for job in reversed(jobs)}

    def outcome(job: Job) -> Outcome:
        with slots.taken(pixels_of(job.photo, options.max_pixels)):
            return _outcome(inpainter, job, options, first[job.out.parent] == job.out)

    return in_order(outcome, jobs, workers, 4 * workers)


def _outcome(inpainter: Inpainter, job: Job, options: Options, first: bool) -> Outcome:
    if job.is_done(options):
        return Outcome(job, "skipped", (_exists(job.out),))
    again = True
    try:
        job.out.parent.mkdir(parents=True, exist_ok=True)
        return run(inpainter, job, options, left=_left_in(job.out) if first else ())
    except MemoryError:
        # Nothing is written, so the next run tries it again.
        reason = f"{job.photo}: there was not enough memory"
    except FreefillError as error:
        # With many photos each line has to name its own.
        reason, again = reason_of(error, str(job.photo)), False
    except OSError as error:
        reason = f"{job.out.parent}: {error.strerror or error}"
    return Outcome(job, "failed", (reason,), again=again)


def _exists(out: Path) -> str:
    return f"{out} exists: `overwrite=True` replaces it"


def _left_in(out: Path) -> list[str]:
    """Remove what killed runs have left where a result goes."""
    try:
        return remove_partials(target_of(out).parent)
    except (OSError, ValueError):  # whoever writes there will say what is wrong
        return []


def _photos(
    named: Path, no_photos: Sequence[Path], endings: tuple[str, ...]
) -> Iterator[tuple[Path, Path]]:
    """Yield each photo with its place below the folder that was named."""
    if not named.is_dir():
        yield named, Path(named.name)
        return
    # Results, masks and sketches are not photos, where they lie below the photos' folder.
    others = [path.resolve() for path in no_photos if path.resolve() != named.resolve()]
    pictures = {
        path.as_posix(): path
        for path in sorted(files_below(named, ImageError))
        if mask_pairing.is_picture(path.name)
        and path.is_file()
        and not any(path.resolve().is_relative_to(other) for other in others)
    }
    found = [pictures[name] for name in mask_pairing.photos(pictures, endings)]
    if not found:
        raise ImageError(f"{named} holds no photos (looked for {', '.join(SUFFIXES)})")
    for path in found:
        yield path, path.relative_to(named)


def _mask_of(photo: Path, relative: Path, mask: str | None) -> Path | None:
    if mask == ALPHA:
        return Path(ALPHA)
    if mask is not None and not Path(mask).is_dir():
        return Path(mask)
    if mask is None:
        return _first_of(photo, photo.parent, mask_pairing.stems_beside(photo.stem))
    return _first_of(
        photo, (Path(mask) / relative).parent, mask_pairing.stems_in_folder(photo.stem)
    )


def _guide_of(photo: Path, relative: Path, named: Path | None, kind: str) -> Path | None:
    if named is None or not named.is_dir():
        return named
    return _first_of(
        photo, (named / relative).parent, mask_pairing.stems_in_folder(photo.stem, kind)
    )


def _first_of(photo: Path, folder: Path, stems: Sequence[str]) -> Path | None:
    def exists(name: str) -> bool:
        return (folder / name).exists() and folder / name != photo

    name = mask_pairing.first(stems, exists)
    return None if name is None else folder / name
