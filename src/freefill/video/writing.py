"""Writing clips: H.264 or FFV1, times and colour as they were, sound copied packet by packet."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from freefill.errors import VideoError
from freefill.video import load_av
from freefill.video.frames import CELL, Coding, Frame
from freefill.video.opening import Content, opened
from freefill.video.patches import writing
from freefill.video.reading import Clip

ENDINGS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
QUALITY = "16"
"""x264's constant rate factor: 18 is taken to look like the source, and less is closer."""


def check_out(clip: Clip, out: Path, lossless: bool) -> list[str]:
    """Refuse, before anything is filled, what could not be written.

    Args:
        clip: What is filled.
        out: Where the result goes.
        lossless: Whether as FFV1.

    Returns:
        Lines that a person should read.

    Raises:
        VideoError: If the ending is another, or the container does not take the clip's sound.
    """
    av = load_av()
    if out.suffix.lower() not in ENDINGS:
        raise VideoError(f"{out.name} has no ending that can be written: {', '.join(ENDINGS)}")
    if lossless and out.suffix.lower() != ".mkv":
        raise VideoError(f"{out.name}: FFV1 (`lossless=True`) goes into .mkv, not {out.suffix}")
    with opened(clip.path, clip.max_pixels) as container:
        trial = av.open(BytesIO(), "w", format=ENDINGS[out.suffix.lower()])
        try:
            _add_streams(trial, container, clip, lossless)
            trial.start_encoding()
        except (av.error.FFmpegError, ValueError, OverflowError) as error:
            raise VideoError(
                f"{clip.path.name} cannot be put into {out.suffix}: video as "
                f"{_codec(lossless)[0]}, sound as {', '.join(clip.audio) or 'none'} ({error}): "
                + ("convert the sound first" if out.suffix.lower() == ".mkv" else "try .mkv")
            ) from None
    height, width = clip.coding.size
    if _encoded(clip.coding, lossless) != clip.coding.pixels:
        return [
            f"H.264 has no {clip.coding.pixels} of odd size: to keep {width}x{height}, it is "
            f"written as {_encoded(clip.coding, lossless)}, which some players do not show; "
            "`lossless=True` keeps both"
        ]
    return []


def write_clip(clip: Clip, out: Path, frames: Iterable[Frame], lossless: bool) -> None:
    """Encode frames and copy the sound of the clip that they are of.

    Args:
        clip: Where sound, times and colour come from.
        out: The file, which is replaced.
        frames: As many as the clip has.
        lossless: FFV1 instead of H.264.

    Raises:
        VideoError: If it cannot be written.
    """
    with opened(clip.path, clip.max_pixels) as source, writing(out), out.open("wb") as file:
        content, count = Content(file), Counter[str]()
        counted = _counted(frames, count)
        try:
            _write(content, source, clip, counted, ENDINGS[out.suffix.lower()], lossless)
        except (load_av().error.FFmpegError, OSError) as error:
            if content.error is None:
                raise VideoError(f"{out} cannot be written: {error.strerror}") from None
        if content.error is not None:
            raise content.error
        file.flush()
        os.fsync(file.fileno())
    found = _packets(out)
    if found != count["frames"]:
        raise VideoError(
            f"{clip.path.name} cannot be put into {out.suffix}: {found} of {count['frames']} "
            "frames are found in what was written, as it cannot hold the times they are shown at"
            + ("" if out.suffix.lower() == ".mkv" else ": try .mkv")
        )


def _counted(frames: Iterable[Frame], count: Counter[str]) -> Iterator[Frame]:
    for frame in frames:
        count["frames"] += 1
        yield frame


def _packets(out: Path) -> int:
    """Count the frames that a file lists."""
    try:
        with opened(out, sys.maxsize) as container:
            return sum(1 for packet in container.demux(video=0) if _is_shown(packet))
    except (VideoError, load_av().error.FFmpegError):
        return 0


def _write(
    content: Content,
    source: Any,
    clip: Clip,
    frames: Iterable[Frame],
    container: str,
    lossless: bool,
) -> None:
    with load_av().open(content, "w", format=container, options={"fflags": "+bitexact"}) as file:
        video, copies = _add_streams(file, source, clip, lossless)
        packets = _encode(video, clip, frames, lossless)
        _interleave(file, source, copies, packets, clip)


def _is_shown(packet: Any) -> bool:
    return packet.size > 0 and not packet.is_discard


def _codec(lossless: bool) -> tuple[str, dict[str, str]]:
    if lossless:
        # Version 3 with checksums of its slices: a flipped bit is found, not seen.
        return "ffv1", {"level": "3", "slicecrc": "1"}
    # The macroblock tree makes other files of the same frames; a resumed run is to make the same.
    return "libx264", {"preset": "medium", "crf": QUALITY, "mbtree": "0"}


def _encoded(coding: Coding, lossless: bool) -> str:
    """Name the samples to write: H.264 has shared colour samples for whole cells only."""
    odd = any(side % CELL for side in coding.size)
    if odd and not lossless and not coding.pixels.startswith("gray"):
        return coding.pixels.replace("420", "444").replace("422", "444")
    return coding.pixels


def _add_streams(file: Any, source: Any, clip: Clip, lossless: bool) -> tuple[Any, dict[int, Any]]:
    codec, options = _codec(lossless)
    video = file.add_stream(codec, rate=clip.rate, options=options)
    coding, context = clip.coding, video.codec_context
    video.height, video.width = coding.size
    video.pix_fmt = _encoded(coding, lossless)
    context.time_base = video.time_base = clip.time_base
    context.color_range, context.color_primaries = coding.range, coding.primaries
    context.color_trc, context.colorspace = coding.transfer, coding.space
    if clip.aspect:
        context.sample_aspect_ratio = clip.aspect
    # How x264 cuts its work depends on its threads, and so do its bytes.
    context.thread_count = 1
    video.metadata.update(
        {k: v for k, v in source.streams.video[0].metadata.items() if k in ("language", "title")}
    )
    copies = {}
    for sound in source.streams.audio:
        copies[sound.index] = file.add_stream_from_template(sound)
        copies[sound.index].metadata.update(sound.metadata)
    kept = {k: v for k, v in source.metadata.items() if k not in BRANDS}
    file.metadata.update(kept)
    return video, copies


BRANDS = ("major_brand", "minor_version", "compatible_brands", "encoder")
"""What a container says of itself; another says its own."""


def _encode(video: Any, clip: Clip, frames: Iterable[Frame], lossless: bool) -> Iterator[Any]:
    durations: dict[int, int] = {}
    for frame in frames:
        durations[frame.pts] = frame.duration
        yield from _with_durations(video.encode(_av_frame(frame, clip, lossless)), durations)
    yield from _with_durations(video.encode(None), durations)


def _with_durations(packets: list[Any], durations: dict[int, int]) -> Iterator[Any]:
    for packet in packets:
        duration = durations.pop(packet.pts, 0)
        if duration:
            packet.duration = duration
        yield packet


def _av_frame(frame: Frame, clip: Clip, lossless: bool) -> Any:
    av = load_av()
    coding = clip.coding
    height, width = coding.size
    pixels = _encoded(coding, lossless)
    planes = frame.planes
    if pixels != coding.pixels:
        # Each colour sample is repeated for its pixels, so that none is changed.
        planes = [
            plane.repeat(down, 0).repeat(across, 1)
            for plane, (down, across) in zip(planes, coding.ratios, strict=True)
        ]
    made = av.VideoFrame(width, height, pixels)
    for target, samples in zip(made.planes, planes, strict=True):
        part = samples[: target.height, : target.width]
        room = np.zeros((target.height, target.line_size // part.itemsize), part.dtype)
        room[:, : target.width] = part
        target.update(room.tobytes())
    made.pts, made.time_base = frame.pts, clip.time_base
    made.color_range, made.color_primaries = coding.range, coding.primaries
    made.color_trc, made.colorspace = coding.transfer, coding.space
    return made


def _interleave(
    file: Any, source: Any, copies: dict[int, Any], packets: Iterator[Any], clip: Clip
) -> None:
    """Write sound where it belongs in time, so that players need not look far for it."""
    waiting = next(packets, None)
    for packet in _sound(source, clip) if copies else ():
        seconds = packet.dts * packet.time_base
        while waiting is not None and waiting.dts * waiting.time_base <= seconds:
            file.mux(waiting)
            waiting = next(packets, None)
        packet.stream = copies[packet.stream_index]
        file.mux(packet)
    while waiting is not None:
        file.mux(waiting)
        waiting = next(packets, None)


def _sound(source: Any, clip: Clip) -> Iterator[Any]:
    """Give the packets of the sound; of a damaged clip that is to be kept those that are whole."""
    coming = source.demux(*source.streams.audio)
    while True:
        try:
            packet = next(coming, None)
        except (load_av().error.FFmpegError, OSError) as error:
            if clip.numbers is not None:
                return
            raise VideoError(
                f"the sound of {clip.path} cannot be read to its end: {error.strerror}"
            ) from None
        if packet is None:
            return
        # Without a time: what FFmpeg gives at the end of a stream.
        if packet.dts is not None and not (clip.numbers is not None and packet.is_corrupt):
            yield packet
