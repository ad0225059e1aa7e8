"""Clips for the tests, made of photos: what is true of them is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from freefill.video.reading import Clip

Frames = list[NDArray[np.uint8]]
HEIGHT, WIDTH, COUNT = 96, 128, 10
BASE = Fraction(1, 90000)
STEP = 3600


@dataclass(frozen=True)
class Scene:
    """Frames with something in them, without it, and where it is."""

    frames: Frames
    truth: Frames
    holes: list[NDArray[np.bool_]]


def scene(photo: Path, pan: int, speed: float, count: int = COUNT) -> Scene:
    """Pan over a photo by whole pixels; a striped disc passes by ``speed`` pixels a frame."""
    with Image.open(photo) as image:
        pixels = np.asarray(image.convert("RGB"))
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    frames, truth, holes = [], [], []
    for i in range(count):
        true = pixels[60 : 60 + HEIGHT, 20 + pan * i : 20 + pan * i + WIDTH]
        cx, cy = WIDTH / 2 + (i - (count - 1) / 2) * speed, HEIGHT / 2
        hole = (x - cx) ** 2 + (y - cy) ** 2 < 18**2
        stripes = ((x - cx) // 5 + (y - cy) // 7) % 2
        disc = np.stack([stripes * 200 + 40, 60 + 0 * stripes, 220 - stripes * 150], -1)
        frames.append(np.where(hole[..., None], disc, true).astype(np.uint8))
        truth.append(true)
        holes.append(hole)
    return Scene(frames, truth, holes)


def write_clip(
    path: Path,
    frames: Sequence[NDArray[np.uint8]],
    *,
    codec: str = "ffv1",
    pixels: str = "yuv420p",
    times: Sequence[int] | None = None,
    sound: bool = False,
    rotation: int = 0,
) -> Path:
    """Write RGB frames; times are in units of 1/90000 s."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixels
        stream.codec_context.time_base = stream.time_base = BASE
        context = stream.codec_context
        context.color_range, context.color_primaries = 1, 1
        context.color_trc, context.colorspace = 1, 1
        if rotation:
            stream.set_display_rotation(rotation)
        tone = file.add_stream("aac", rate=44100, layout="mono") if sound else None
        for i, frame in enumerate(frames):
            made = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            made = made.reformat(format=pixels, dst_colorspace=1)
            made.pts, made.time_base = times[i] if times else i * STEP, BASE
            file.mux(stream.encode(made))
        file.mux(stream.encode(None))
        if tone is not None:
            wave = np.sin(np.arange(1024 * 16, dtype=np.float32) * np.float32(0.06))
            for start in range(0, len(wave), 1024):
                piece = av.AudioFrame.from_ndarray(
                    wave[None, start : start + 1024], format="fltp", layout="mono"
                )
                piece.sample_rate, piece.pts = 44100, start
                file.mux(tone.encode(piece))
            file.mux(tone.encode(None))
    return path


def write_masks(folder: Path, holes: Sequence[NDArray[np.bool_]]) -> Path:
    """Write a mask a frame, named so that sorting by letters would mix them up."""
    folder.mkdir()
    for i, hole in enumerate(holes):
        Image.fromarray(hole).save(folder / f"mask{i}.png")
    return folder


def planes(path: Path) -> list[list[NDArray[np.generic]]]:
    """Read the samples of every frame."""
    return [frame.planes for frame in Clip.open(path).frames()]


def rgb(path: Path) -> Frames:
    """Read every frame in RGB."""
    clip = Clip.open(path)
    return [np.rint(clip.coding.to_rgb(f.planes) * 255).astype(np.uint8) for f in clip.frames()]


def packets(path: Path) -> list[tuple[bytes, Fraction]]:
    """Give the packets of the sound, and when they are heard."""
    with av.open(str(path)) as file:
        found = [p for p in file.demux(file.streams.audio[0]) if p.dts is not None]
        return [(bytes(p), p.pts * p.time_base) for p in found]
