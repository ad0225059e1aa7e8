"""Two clips of five seconds and what `freefill video` makes of them, as one picture.

    python benchmarks/video_demo.py --photos examples --out docs/tasks/video.jpg [--keep folder]

A balloon, drawn, flies over examples/pagoda.jpg while the camera pans and zooms, and over
examples/coffee.jpg while it stands still; both clips are H.264 with a tone as their sound. The
first gets a mask a frame, the second the box of the balloon in the first frame, which is followed.
Prints the flicker: warping error inside the holes by the camera's true motion, against filling
frame by frame. Needs `pip install 'freefill[video]'`.
"""

from __future__ import annotations

import argparse
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from PIL import Image, ImageDraw

from freefill import Inpainter
from freefill.imaging.box import Box
from freefill.tasks import video
from freefill.video.reading import Clip

FRAMES, RATE, HEIGHT, WIDTH = 125, 25, 240, 320
SHOWN = (24, 84)
SOUND = 44100


def main() -> None:
    """Make the clips, fill them, print the flicker, and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True, help="the folder examples/")
    parser.add_argument("--out", type=Path, required=True, help="the picture")
    parser.add_argument("--keep", type=Path, help="folder that the clips are kept in")
    arguments = parser.parse_args()
    inpainter = Inpainter()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = arguments.keep or Path(name)
        folder.mkdir(exist_ok=True)
        for photo, still in (("pagoda", False), ("coffee", True)):
            with Image.open(arguments.photos / f"{photo}.jpg") as image:
                cameras = way(image.size, still)
                truth = [view(np.asarray(image.convert("RGB")), c) for c in cameras]
            rows += show(folder, photo, truth, cameras, still, inpainter)
    picture = Image.fromarray(np.concatenate(rows))
    picture = picture.resize(
        (picture.width * 3 // 4, picture.height * 3 // 4), Image.Resampling.LANCZOS
    )
    picture.save(arguments.out, quality=76)


def show(
    folder: Path,
    name: str,
    truth: list[np.ndarray],
    cameras: list[np.ndarray],
    still: bool,
    inpainter: Inpainter,
) -> list[np.ndarray]:
    """Fill one clip; give rows of frames: as given, frame by frame, filled, and the truth."""
    drawn = [balloon(frame, i) for i, frame in enumerate(truth)]
    clip, masks = folder / f"{name}.mp4", folder / f"{name}-masks"
    write(clip, [frame for frame, _ in drawn])
    masks.mkdir(exist_ok=True)
    for i, (_, hole) in enumerate(drawn):
        Image.fromarray(hole).save(masks / f"{i}.png")
    out = folder / f"{name}-filled.mp4"
    box = bounds(drawn[0][1]) if still else None
    filled = video(
        clip,
        None if still else masks,
        out,
        box=box,
        grow=4,
        inpainter=inpainter,
        overwrite=True,
    )
    print(name, filled)
    given, result = decoded(clip), decoded(out)
    holes = [cv2.dilate(h.astype(np.uint8), np.ones((9, 9))) > 0 for _, h in drawn]
    # Every frame of it would take a minute; a stretch in the middle tells as much.
    part = range(50, 75)
    each = {i: inpainter(image=given[i], mask=holes[i]) for i in {*part, *SHOWN}}
    ours = warping({i: result[i] for i in part}, holes, cameras)
    theirs = warping({i: each[i] for i in part}, holes, cameras)
    print(f"{name}: flicker {ours:.3f} against {theirs:.3f} frame by frame: {ours / theirs:.3f}")
    return [np.concatenate([given[i], each[i], result[i], truth[i]], 1) for i in SHOWN]


def way(size: tuple[int, int], still: bool) -> list[np.ndarray]:
    """Give the camera of each frame: 2x3, from its pixels to the photo's."""
    width, height = size
    cameras = []
    for i in range(FRAMES):
        part = 0.5 if still else i / (FRAMES - 1)
        zoom = 1.2 + 0.25 * part
        x = (width - WIDTH * zoom) * (0.1 + 0.8 * part)
        y = (height - HEIGHT * zoom) * (0.5 + 0.3 * np.sin(3 * part))
        cameras.append(np.array([[zoom, 0, x], [0, zoom, y]]))
    return cameras


def view(photo: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """Give what a camera sees of a photo."""
    flags = cv2.INTER_AREA | cv2.WARP_INVERSE_MAP
    soft = cv2.GaussianBlur(photo, (0, 0), 0.6)
    return np.asarray(
        cv2.warpAffine(soft, camera, (WIDTH, HEIGHT), flags=flags, borderMode=cv2.BORDER_REFLECT)
    )


def balloon(frame: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw the balloon of a frame; give the picture, and where it is."""
    scale = 4
    x = 50 + 220 * number / (FRAMES - 1)
    y = 110 + 18 * np.sin(number / 9)
    layer = Image.new("RGBA", (WIDTH * scale, HEIGHT * scale), (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    ball = [(x - 22) * scale, (y - 30) * scale, (x + 22) * scale, (y + 26) * scale]
    draw.ellipse(ball, fill=(214, 40, 40, 255))
    for stripe in (-12, 2, 13):
        draw.chord(ball, 60 + stripe * 3, 120 + stripe * 3, fill=(250, 200, 60, 255))
    shine = [(x - 13) * scale, (y - 22) * scale, (x - 3) * scale, (y - 9) * scale]
    draw.ellipse(shine, fill=(255, 190, 190, 255))
    basket = [(x - 8) * scale, (y + 34) * scale, (x + 8) * scale, (y + 46) * scale]
    draw.rectangle(basket, fill=(120, 74, 30, 255))
    for side in (-7, 7):
        ends = [(x + side * 2) * scale, (y + 20) * scale, (x + side) * scale, (y + 36) * scale]
        draw.line(ends, fill=(60, 40, 20, 255), width=scale)
    small = np.asarray(layer.resize((WIDTH, HEIGHT), Image.Resampling.BOX)).astype(np.float32)
    share = small[..., 3:] / 255
    # BOX averages colours with those of what is transparent; alpha has them back.
    colours = small[..., :3] / np.maximum(share, 1e-3)
    mixed = frame * (1 - share) + np.clip(colours, 0, 255) * share
    return np.rint(mixed).astype(np.uint8), share[..., 0] > 0


def bounds(hole: np.ndarray) -> Box:
    """Give the box around a mask."""
    rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
    return Box(
        left=int(columns[0]), top=int(rows[0]), right=int(columns[-1]) + 1, bottom=int(rows[-1]) + 1
    )


def write(path: Path, frames: list[np.ndarray]) -> None:
    """Write a clip as cameras do, with a tone."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=Fraction(RATE), options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        sound = file.add_stream("aac", rate=SOUND, layout="mono")
        for frame in frames:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode(None))
        seconds = np.arange(len(frames) * SOUND // RATE, dtype=np.float32) / SOUND
        tone = 0.3 * np.sin(2 * np.pi * 440 * seconds).astype(np.float32)
        for start in range(0, len(tone) - 1023, 1024):
            piece = np.ascontiguousarray(tone[None, start : start + 1024])
            frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = SOUND, start
            file.mux(sound.encode(frame))
        file.mux(sound.encode(None))


def decoded(path: Path) -> list[np.ndarray]:
    """Read the frames of a clip as uint8 RGB."""
    clip = Clip.open(path)
    return [np.rint(clip.coding.to_rgb(f.planes) * 255).astype(np.uint8) for f in clip.frames()]


def warping(
    frames: dict[int, np.ndarray], holes: list[np.ndarray], cameras: list[np.ndarray]
) -> float:
    """Give the mean square between frames and the next, moved as the camera has, times 1000."""
    whole = [np.vstack([camera, [0, 0, 1]]) for camera in cameras]
    errors = []
    for i in sorted(frames)[:-1]:
        move = (np.linalg.inv(whole[i + 1]) @ whole[i])[:2]
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        following = cv2.warpAffine(
            frames[i + 1].astype(np.float32) / 255, move, (WIDTH, HEIGHT), flags=flags
        )
        hole = holes[i]
        errors.append(((frames[i][hole] / np.float32(255) - following[hole]) ** 2).mean())
    return float(np.mean(errors)) * 1000


if __name__ == "__main__":
    main()
