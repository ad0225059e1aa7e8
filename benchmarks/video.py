"""What other frames are worth: clips made of photos, whose truth and camera are known.

    python benchmarks/video.py --data data/test [--photos 20] [--out table.md] [--sheet sheet.jpg]

Of each photo of 512 pixels three clips of 16 frames of 256x192 are made, with something cut out of
another photo in them. `moving`: the camera pans and zooms over the photo, the thing passes through.
`still`: the camera stands still, the thing passes through. `parked`: the camera moves, the thing
stays where it is in the scene, so that no frame shows what is behind it.

`freefill video` removes it and is compared with filling frame by frame by the same network: warping
error inside the holes (Lai et al., "Learning Blind Video Temporal Consistency", ECCV 2018; by the
camera's true motion instead of an estimate; mean square in [0, 1], times 1000), PSNR and
LPIPS-AlexNet there. Clips are written and read without loss, so that no codec is measured.
Fetches LPIPS (`freefill references lpips_alex`); needs `pip install 'freefill[lab,video]'`.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from PIL import Image

from freefill import Inpainter
from freefill.lab.data.photos import list_photos
from freefill.lab.evaluation.metrics.lpips import lpips
from freefill.tasks import video
from freefill.video.reading import Clip
from measured import measured_with

FRAMES, HEIGHT, WIDTH = 16, 192, 256
NAMES = ("frame by frame", "freefill video")
KINDS = ("moving", "still", "parked")


@dataclass(frozen=True)
class Scene:
    """A clip, and what is true of it."""

    frames: list[np.ndarray]
    truth: list[np.ndarray]
    holes: list[np.ndarray]
    cameras: list[np.ndarray]
    """2x3 each: from a frame's pixels to the photo's."""


def main() -> None:
    """Make clips, fill, measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of photos")
    parser.add_argument("--photos", type=int, default=20, help="photos to use")
    parser.add_argument("--out", type=Path, help="write the table here, too")
    parser.add_argument("--sheet", type=Path, help="draw frames of the first clips")
    arguments = parser.parse_args()
    paths = [path for path in list_photos(arguments.data) if min(size(path)) >= 512]
    paths = paths[: arguments.photos]
    inpainter = Inpainter()
    found: dict[tuple[str, str], list[list[float]]] = {}
    rows = []
    for number, path in enumerate(paths):
        sprite = read(paths[(number + 7) % len(paths)])
        for place, kind in enumerate(KINDS):
            rng = np.random.default_rng([number, place])
            scene = make(read(path), sprite, rng, kind)
            results, truth, made = fill(scene, inpainter)
            for name, result in results.items():
                values = measure(result, truth, scene)
                found.setdefault((kind, name), []).append(values)
                print(path.stem, kind, name, [round(v, 4) for v in values], f"{made:.0%} made up")
            own = [warping(truth, scene)]
            found.setdefault((kind, "truth itself"), []).append(own)
            if number < 3:
                rows.append(strip(scene, results, truth))
    text = measured_with() + table(found)
    print(text)
    if arguments.out:
        arguments.out.write_text(text)
    if arguments.sheet:
        Image.fromarray(np.concatenate(rows)).save(arguments.sheet, quality=88)


def size(path: Path) -> tuple[int, int]:
    """Give width and height."""
    with Image.open(path) as image:
        return image.size


def read(path: Path) -> np.ndarray:
    """Read a photo, ``(H, W, 3)``."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def make(photo: np.ndarray, other: np.ndarray, rng: np.random.Generator, kind: str) -> Scene:
    """Make a clip: the camera's way, and something that passes through or stays in the scene."""
    still = kind == "still"
    times = np.arange(FRAMES) - (FRAMES - 1) / 2
    middle = np.array(photo.shape[1::-1]) / 2
    angle = rng.uniform(0, 2 * np.pi)
    pan = 0 if still else rng.uniform(1.5, 4)
    centres = middle + times[:, None] * pan * np.array([np.cos(angle), np.sin(angle) * 0.7])
    zooms = np.full(FRAMES, 1.15) if still else 1.15 + times * rng.uniform(-0.008, 0.008)
    cameras = [
        np.array([[z, 0, x - z * (WIDTH - 1) / 2], [0, z, y - z * (HEIGHT - 1) / 2]])
        for (x, y), z in zip(centres, zooms, strict=True)
    ]
    half = rng.uniform(22, 34), rng.uniform(26, 40)
    speed = rng.uniform(1.5, 6) * rng.choice([-1, 1])
    paths = [
        (WIDTH / 2 + t * speed, HEIGHT / 2 + 8 * np.sin(t / 3 + angle)) for t in times.tolist()
    ]
    if kind == "parked":
        paths = [tuple((middle - camera[:, 2]) / camera[0, 0]) for camera in cameras]
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    truth, frames, holes = [], [], []
    for camera, (cx, cy) in zip(cameras, paths, strict=True):
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        true = cv2.warpAffine(
            photo, camera, (WIDTH, HEIGHT), flags=flags, borderMode=cv2.BORDER_REFLECT
        )
        inside = ((x - cx) / half[0]) ** 2 + ((y - cy) / half[1]) ** 2
        soft = np.clip((1 - inside) * 12 + 0.5, 0, 1)[..., None]
        piece = cv2.remap(other, x - np.float32(cx - 200), y - np.float32(cy - 200), 1)
        truth.append(true)
        frames.append(np.rint(soft * piece + (1 - soft) * true).astype(np.uint8))
        holes.append(cv2.dilate((soft[..., 0] > 0).astype(np.uint8), np.ones((3, 3))) > 0)
    return Scene(frames, truth, holes, cameras)


def fill(
    scene: Scene, inpainter: Inpainter
) -> tuple[dict[str, list[np.ndarray]], list[np.ndarray], float]:
    """Fill both ways; give the frames, the true ones as a clip holds them, and what was made up."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "clip.mkv", scene.frames)
        write(folder / "truth.mkv", scene.truth)
        (folder / "masks").mkdir()
        for i, hole in enumerate(scene.holes):
            Image.fromarray(hole).save(folder / "masks" / f"{i}.png")
        filled = video(
            folder / "clip.mkv",
            folder / "masks",
            folder / "out.mkv",
            inpainter=inpainter,
            lossless=True,
        )
        given, truth = (decoded(folder / f"{name}.mkv") for name in ("clip", "truth"))
        each = [inpainter(image=f, mask=h) for f, h in zip(given, scene.holes, strict=True)]
        results = dict(zip(NAMES, (each, decoded(folder / "out.mkv")), strict=True))
        return results, truth, filled.made


def write(path: Path, frames: list[np.ndarray]) -> None:
    """Write frames without loss, as most clips hold them: 4:2:0."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("ffv1", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for frame in frames:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode(None))


def decoded(path: Path) -> list[np.ndarray]:
    """Read the frames of a clip as uint8 RGB."""
    clip = Clip.open(path)
    return [np.rint(clip.coding.to_rgb(f.planes) * 255).astype(np.uint8) for f in clip.frames()]


def measure(result: list[np.ndarray], truth: list[np.ndarray], scene: Scene) -> list[float]:
    """Give warping error, PSNR and LPIPS inside the holes."""
    square, distances = [], []
    for i, (one, true, hole) in enumerate(zip(result, truth, scene.holes, strict=True)):
        square.append((((one[hole] / 255.0) - true[hole] / 255.0) ** 2).mean())
        if i % 5 == 0:
            distances.append(lpips(one, true, hole))
    psnr = -10 * np.log10(max(float(np.mean(square)), 1e-7))
    return [warping(result, scene), float(psnr), float(np.mean(distances))]


def warping(frames: list[np.ndarray], scene: Scene) -> float:
    """Give the mean square between frames and their neighbours, moved as the camera has moved."""
    whole = [np.vstack([camera, [0, 0, 1]]) for camera in scene.cameras]
    errors = []
    for i in range(len(frames) - 1):
        move = (np.linalg.inv(whole[i + 1]) @ whole[i])[:2]
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        following, hole, seen = (
            cv2.warpAffine(a, move, (WIDTH, HEIGHT), flags=flags)
            for a in (
                frames[i + 1].astype(np.float32) / 255,
                scene.holes[i + 1].astype(np.float32),
                np.ones((HEIGHT, WIDTH), np.float32),
            )
        )
        where = (scene.holes[i] | (hole > 0.5)) & (seen > 0.999)
        errors.append(((frames[i][where] / np.float32(255) - following[where]) ** 2).mean())
    return float(np.mean(errors)) * 1000


def strip(
    scene: Scene, results: dict[str, list[np.ndarray]], truth: list[np.ndarray]
) -> np.ndarray:
    """Draw three frames: as given, filled both ways, and the truth."""
    rows = []
    for i in (2, 8, 13):
        rows.append(
            np.concatenate([scene.frames[i], *(r[i] for r in results.values()), truth[i]], 1)
        )
    return np.concatenate(rows)


def table(found: dict[tuple[str, str], list[list[float]]]) -> str:
    """Give the table as Markdown, with intervals of the paired ratio."""
    lines = [
        "| camera | | warping error x1000 | of frame by frame's | PSNR | LPIPS | better on |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    rng = np.random.default_rng(0)
    for kind in KINDS:
        first = np.array(found[kind, NAMES[0]])
        for name in (*NAMES, "truth itself"):
            values = np.array(found[kind, name])
            means = values.mean(0)
            draws = rng.integers(0, len(values), (10_000, len(values)))
            ratios = values[draws, 0].mean(1) / first[draws, 0].mean(1)
            low, high = np.percentile(ratios, (2.5, 97.5))
            ratio = f"{means[0] / first[:, 0].mean():.3f} [{low:.3f}, {high:.3f}]"
            rest = ["", "", ""]
            if len(means) > 1:
                wins = [(values[:, i] < first[:, i]).sum() for i in (0, 2)]
                wins.insert(1, (values[:, 1] > first[:, 1]).sum())
                better = " / ".join(map(str, wins)) if name != NAMES[0] else ""
                rest = [f"{means[1]:.2f}", f"{means[2]:.4f}", better]
            lines.append(
                f"| {kind} | {name} | {means[0]:.3f} | {ratio} | " + " | ".join(rest) + " |"
            )
    count = len(found["moving", NAMES[0]])
    return "\n".join(lines) + f"\n\n{count} photos, a clip of each kind of each.\n"


if __name__ == "__main__":
    main()
