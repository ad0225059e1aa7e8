"""What of a clip can be decoded, frame by frame, and what it says there should be."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from freefill.video import load_av
from freefill.video.checksums import slices_fit
from freefill.video.opening import opened
from freefill.video.structure import broken

MOV = "mov,mp4,m4a,3gp,3g2,mj2"
TIMED = (MOV, "flv", "asf")
"""Containers that tell a duration, and nothing else by which one that was cut off is known."""
SHORT = Fraction(3, 10), 4
"""Seconds, and frames, by which a clip may be shorter than it tells."""
OFF_GRID = Fraction(1, 4)
"""Steps by which a frame of a steady clip may come too early or too late."""


@dataclass
class Tally:
    """What was seen while a clip was decoded.

    Attributes:
        shown: Frames that came out, also such with errors.
        flawed: Those among them with errors, as they build on something that is missing.
        failed: Packets that cannot be decoded.
        packets: Packets that were read of frames that are to be shown.
        times: When these are shown, where that is asked for; ``None`` where one does not tell.
        end: When the last of them ends.
        reasons: What is wrong besides.
        told: How many frames the container lists.
        guess: How many there should be by the duration that it tells.
        checks: Of packets of FFV1, whether their checksums fit.
    """

    shown: int = 0
    flawed: int = 0
    failed: int = 0
    packets: int = 0
    times: list[int | None] | None = None
    end: int = 0
    reasons: list[str] = field(default_factory=list)
    told: int = 0
    guess: int = 0
    checks: list[bool] = field(default_factory=list)

    @property
    def damaged(self) -> bool:
        """Whether something is not as it was."""
        return bool(self.flawed or self.failed or self.reasons)

    def __str__(self) -> str:
        """Give what can be read of how much, as the end of a sentence."""
        seen = max(self.packets, self.shown + self.failed)
        total = f"about {self.guess}" if self.guess > seen else max(self.told, seen)
        text = f"{self.shown} of {total} frames can be decoded"
        if self.flawed:
            text += f", {self.flawed} of them with errors"
        return f"{text} ({'; '.join(self.reasons)})" if self.reasons else text


def decoded(container: Any, stream: Any, path: Path, tally: Tally) -> Iterator[Any]:
    """Give every frame that can be decoded.

    Args:
        container: PyAV's, as it was opened.
        stream: Its video stream.
        path: The file.
        tally: Counts what is seen; it is complete when the frames have come to their end.
    """
    av = load_av()
    checked = stream.codec_context.name == "ffv1"
    for packet in _packets(container, stream, tally):
        if checked and packet.size:
            tally.checks.append(slices_fit(bytes(packet)))
        try:
            frames = packet.decode()
        except (av.error.FFmpegError, OSError, ValueError):
            tally.failed += 1
            continue
        for frame in frames:
            tally.shown += 1
            tally.flawed += bool(frame.is_corrupt)
            yield frame
    if any(tally.checks):  # where none fits there are none
        tally.flawed += max(tally.checks.count(False) - tally.failed, 0)
    _compare(container, stream, path, tally)


def kept_numbers(path: Path, max_pixels: int) -> tuple[Tally, list[int]]:
    """Decode all of a clip to see which of its frames can be.

    Args:
        path: The file.
        max_pixels: The most that width times height of a frame may be.

    Returns:
        What was seen, and the number of each frame that can be decoded, among all that the clip
        had as far as that is known.

    Raises:
        VideoError: If it cannot be opened.
    """
    packets: list[int | None] = []
    tally = Tally(times=packets)
    with opened(path, max_pixels) as container:
        stream = container.streams.video[0]
        times = [frame.pts for frame in decoded(container, stream, path, tally)]
        step = 1 / (_rate(stream) * stream.time_base) if stream.time_base else Fraction(0)
    return tally, _numbers(times, packets, step)


def _packets(container: Any, stream: Any, tally: Tally) -> Iterator[Any]:
    """Give all packets that can be read, and at the end the empty one that calls for the rest."""
    av = load_av()
    coming = container.demux(stream)
    while True:
        try:
            packet = next(coming, None)
        except (av.error.FFmpegError, OSError) as error:
            tally.reasons.append(f"it cannot be read to its end ({error.strerror})")
            # What the decoder has not given yet is lost with it.
            return
        if packet is None:
            return
        if packet.size and not packet.is_discard:
            tally.packets += 1
            if tally.times is not None:
                tally.times.append(packet.pts)
            if packet.pts is not None:
                tally.end = max(tally.end, packet.pts + (packet.duration or 0))
        if packet.is_corrupt and not tally.reasons:
            tally.reasons.append("packets are not whole")
        yield packet


def _compare(container: Any, stream: Any, path: Path, tally: Tally) -> None:
    """Note what the container tells of and has not."""
    kind = container.format.name
    if kind == MOV:
        tally.told = len(stream.index_entries) - cut_away(container, stream)
    elif kind == "gif":  # whose reader counts them when it opens the file
        tally.told = stream.frames
    if tally.packets < tally.told:
        tally.reasons.append(f"it ends after {tally.packets} of them")
    if kind == MOV and tally.told <= stream.frames:
        return
    # In fragments: of those that are missing nothing is known but how long they are.
    if (wrong := broken(path, kind)) is not None:
        tally.reasons.append(wrong)
    rate, seconds = _rate(stream), told_seconds(container, stream)
    end = tally.end * stream.time_base if stream.time_base else Fraction(0)
    short = seconds - end > max(SHORT[0], SHORT[1] / rate)
    if short and kind in TIMED and not _reaches(path, seconds):
        tally.reasons.append(f"it tells of {float(seconds):.1f} s and has {float(end):.1f} s")
    if tally.reasons:
        tally.guess = round(seconds * rate)


def cut_away(container: Any, stream: Any) -> int:
    """Count the frames that lie in an MP4 or MOV and that its list of edits does not show."""
    if container.format.name != MOV:
        return 0
    return sum(entry.is_discard for entry in stream.index_entries)


def _reaches(path: Path, seconds: Fraction) -> bool:
    """Whether anything in the file, such as sound, lasts as long as the file tells."""
    av = load_av()
    last = Fraction(0)
    with opened(path, sys.maxsize) as container:
        try:
            for packet in container.demux():
                if packet.pts is not None and packet.time_base:
                    end = packet.pts + (packet.duration or 0)
                    last = max(last, end * packet.time_base)
        except (av.error.FFmpegError, OSError):
            pass
    return seconds - last <= SHORT[0]


def told_seconds(container: Any, stream: Any) -> Fraction:
    """Give how long a clip is, as its file tells; 0: not told."""
    tags = {key.upper(): value for key, value in stream.metadata.items()}
    found = _CLOCK.fullmatch(tags.get("DURATION", ""))
    if found:
        hours, minutes, seconds = found.groups()
        return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
    if stream.duration and stream.time_base:
        return max(Fraction(stream.duration * stream.time_base), Fraction(0))
    return max(Fraction(container.duration or 0, 1_000_000), Fraction(0))


_CLOCK = re.compile(r"(\d{1,6}):(\d\d):(\d\d(?:\.\d{1,9})?)")


def _rate(stream: Any) -> Fraction:
    return Fraction(stream.average_rate or stream.guessed_rate or 25)


def _numbers(times: list[Any], packets: list[int | None], step: Fraction) -> list[int]:
    """Number frames by when they are shown, where they are shown in steady steps.

    Otherwise by their place among the packets, and where times are not told as they come.
    """
    known = sorted({time for time in packets if time is not None})
    if not known or None in times or len(known) < len(packets):
        return list(range(len(times)))
    if step >= 1:
        places = [Fraction(time - known[0]) / step for time in times]
        numbers = [round(place) for place in places]
        steady = all(abs(p - n) <= OFF_GRID for p, n in zip(places, numbers, strict=True))
        if steady and len(set(numbers)) == len(numbers) and min(numbers, default=0) >= 0:
            return numbers
    ranks = {time: rank for rank, time in enumerate(known)}
    found = [ranks.get(time, -1) for time in times]
    return found if -1 not in found else list(range(len(times)))
