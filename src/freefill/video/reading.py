"""Reading clips: what FFmpeg can decode, upright, frame by frame, as planes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np

from freefill.errors import VideoError
from freefill.imaging.formats import MAX_PIXELS
from freefill.video.damage import Tally, cut_away, decoded, kept_numbers
from freefill.video.frames import CELL, FULL, Coding, Frame, Plane
from freefill.video.opening import opened
from freefill.video.orientation import Orientation

PLANAR = ("yuv420p", "yuv422p", "yuv444p", "gray")
SAME = {"nv12": "yuv420p", "nv21": "yuv420p", "p010le": "yuv420p10le"}
"""Samples that are only laid out otherwise."""
TEN = "10le"
RATES = Fraction(1, 1000), Fraction(1000)
"""Frames a second that can be meant: encoders plan by them, frames are shown by their times."""

UPRIGHT = Orientation()
Damaged = Literal["refuse", "keep"]


@dataclass(frozen=True)
class Clip:
    """What is known of a clip before its frames are read.

    Attributes:
        path: The file.
        coding: How its frames are to be understood.
        time_base: Seconds of one unit of time.
        rate: Frames a second, on average.
        guess: How many frames there seem to be, as the file tells; 0: not told.
        aspect: Width of a pixel against its height, where the file tells.
        audio: Codecs of its sound, in the order of its streams.
        notices: Lines that a person should read.
        source: FFmpeg's name of the samples in the file, and their width and height there.
        orientation: How they are brought upright.
        max_pixels: The most that width times height of a frame may be.
        numbers: Where frames of a damaged clip are left out: the number of each that is kept.
    """

    path: Path
    coding: Coding
    time_base: Fraction
    rate: Fraction
    guess: int
    aspect: Fraction | None
    audio: tuple[str, ...]
    notices: tuple[str, ...]
    source: tuple[str, int, int]
    orientation: Orientation = UPRIGHT
    max_pixels: int = MAX_PIXELS
    numbers: tuple[int, ...] | None = None

    @classmethod
    def open(cls, path: Path, max_pixels: int = MAX_PIXELS, damaged: Damaged = "refuse") -> Clip:
        """Look at a clip and decode its first frame.

        Args:
            path: The file.
            max_pixels: The most that width times height of a frame may be.
            damaged: ``"keep"`` decodes all of it at once, to give the frames of a damaged clip that
                can be; otherwise :meth:`frames` refuses it when they have come to their end.

        Returns:
            The clip.

        Raises:
            VideoError: If it cannot be read, or holds no frame.
            ExtraMissingError: If PyAV is not installed.
        """
        numbers, notices = _kept(path, max_pixels) if damaged == "keep" else (None, [])
        with opened(path, max_pixels) as container:
            stream = container.streams.video[0]
            tally = Tally()
            first = next(decoded(container, stream, path, tally), None)
            if first is None:
                seen = f": {tally}" if tally.packets else ""
                raise VideoError(f"{path} holds no frame that can be decoded{seen}")
            orientation, exact = Orientation.of(first)
            swapped = orientation.swapped
            pixels, changes = _pixels(first, orientation)
            notices += [*changes, *_left_out(container, first)]
            if not exact:
                notices.append("it is marked as turned by an odd angle: the nearest turn is taken")
            # Names with a j are those of H.264's and JPEG's full range, in older words.
            full = first.format.name.startswith("yuvj")
            coded = stream.codec_context
            size = (first.height, first.width)
            rate = Fraction(stream.average_rate or stream.guessed_rate or 25)
            rate = min(max(rate, RATES[0]), RATES[1])
            seconds = max(stream.duration or 0, 0) * (stream.time_base or 0)
            return cls(
                path,
                Coding(
                    size[::-1] if swapped else size,
                    pixels,
                    10 if pixels.endswith(TEN) else 8,
                    int(coded.color_primaries),
                    int(coded.color_trc),
                    5 if _is_rgb(first) else int(coded.colorspace),
                    FULL if full else int(coded.color_range),
                ),
                stream.time_base or 1 / rate,
                rate,
                len(numbers) if numbers else stream.frames or round(seconds * rate),
                _aspect(coded.sample_aspect_ratio, swapped),
                tuple(
                    s.codec_context.name if s.codec_context else "an unknown codec"
                    for s in container.streams.audio
                ),
                tuple(notices),
                (first.format.name, first.width, first.height),
                orientation,
                max_pixels,
                numbers,
            )

    def frames(self) -> Iterator[Frame]:
        """Give every frame, from the first.

        Raises:
            VideoError: If one is of another size or kind; at the end, if not all could be decoded
                and this was not agreed to when the clip was opened.
        """
        with opened(self.path, self.max_pixels) as container:
            stream = container.streams.video[0]
            tally = Tally()
            yield from self.converted(decoded(container, stream, self.path, tally))
        if tally.damaged and self.numbers is None:
            raise VideoError(
                f'{self.path} is damaged: {tally}: `damaged="keep"` fills what can be decoded'
            )

    def converted(self, frames: Iterator[Any]) -> Iterator[Frame]:
        """Make PyAV's frames of this clip those of this project.

        Args:
            frames: Every decoded frame, from the first.
        """
        step = max(round(1 / (self.rate * self.time_base)), 1)
        last: int | None = None
        for index, frame in enumerate(frames):
            kind = (frame.format.name, frame.width, frame.height)
            if kind != self.source:
                raise VideoError(
                    f"{self.path}: frame {index} is {kind[1]}x{kind[2]} {kind[0]}, the first is "
                    f"{self.source[1]}x{self.source[2]} {self.source[0]}: cut the clip there"
                )
            pts = frame.pts
            if last is not None and (pts is None or pts <= last):
                # Raw streams carry no times, and damaged ones go back in time.
                pts = last + step
            last = pts if pts is not None else 0
            yield Frame(index, last, int(getattr(frame, "duration", 0) or 0), self._planes(frame))

    def _planes(self, frame: Any) -> list[Plane]:
        if frame.format.name != self.coding.pixels and not frame.format.name.startswith("yuvj"):
            frame = frame.reformat(format=self.coding.pixels)
        rows, columns = (side * CELL for side in self.coding.cells)
        found = []
        for plane, (down, across) in zip(frame.planes, self.coding.ratios, strict=True):
            samples = self.orientation.apply(_samples(plane, self.coding.depth))
            beyond = rows // down - samples.shape[0], columns // across - samples.shape[1]
            found.append(np.pad(samples, [(0, side) for side in beyond], "edge"))
        return found


def _kept(path: Path, max_pixels: int) -> tuple[tuple[int, ...] | None, list[str]]:
    """Give the numbers of the frames of a damaged clip that can be decoded, and what to say."""
    tally, numbers = kept_numbers(path, max_pixels)
    if not (tally.damaged and tally.shown):
        return None, []
    return tuple(numbers), [f"{path} is damaged: {tally}: these are filled"]


def _samples(plane: Any, depth: int) -> Plane:
    kind = np.dtype(np.uint8 if depth == 8 else "<u2")
    rows = np.frombuffer(plane, kind).reshape(-1, plane.line_size // kind.itemsize)
    return rows[: plane.height, : plane.width]


def _pixels(frame: Any, orientation: Orientation) -> tuple[str, list[str]]:
    """Choose the samples to work in: the clip's own where they are planes of 8 or 10 bits."""
    name = frame.format.name
    plain = SAME.get(name, name.replace("yuvj", "yuv"))
    odd = frame.width % CELL or frame.height % CELL
    if plain.removesuffix(TEN) in PLANAR:
        # Turned by 90 degrees, 4:2:2 would be colour by rows; odd sizes would shift it.
        moved = (orientation.swapped and "422" in plain) or (odd and any(orientation))
        if moved and not plain.startswith("gray"):
            return plain.replace("420", "444").replace("422", "444"), []
        return plain, []
    deep = max(component.bits for component in frame.format.components) > 8
    pixels = "yuv444p" + (TEN if deep else "")
    return pixels, [f"its samples are {name}: they are brought to {pixels}"]


def _is_rgb(frame: Any) -> bool:
    return bool(frame.format.is_rgb) or frame.format.name == "pal8"


def _left_out(container: Any, first: Any) -> list[str]:
    stream, notices = container.streams.video[0], []
    if _has_alpha(stream, first):
        notices.append("its transparency (alpha) is not kept")
    if hidden := cut_away(container, stream):
        notices.append(
            f"{hidden} of its {stream.frames} frames are cut away by its list of edits: they are "
            "not filled"
        )
    kinds = [s.type for s in container.streams if s.type not in ("video", "audio")]
    kinds += ["video"] * (len(container.streams.video) - 1)
    if kinds:
        notices.append(
            f"only its first video stream and its sound are kept, not: {', '.join(kinds)}"
        )
    return notices


def _has_alpha(stream: Any, first: Any) -> bool:
    """Whether frames are transparent: WebM has that beside them, and decoders leave it out."""
    beside = {(key.lower(), value) for key, value in stream.metadata.items()}
    inside = any(component.is_alpha for component in first.format.components)
    return inside or first.format.name == "pal8" or ("alpha_mode", "1") in beside


def _aspect(aspect: Fraction | None, swapped: bool) -> Fraction | None:
    if not aspect:
        return None
    return 1 / aspect if swapped else aspect
