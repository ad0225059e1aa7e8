"""The parts that clips are filled with, each against what is known of the clip."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from clips import HEIGHT, WIDTH, scene, write_clip
from PIL import Image

from freefill.errors import MaskError, VideoError
from freefill.imaging.box import Box
from freefill.pipeline.inpainter import Inpainter
from freefill.types import Mask
from freefill.video.flow import flow_between
from freefill.video.frames import Frame, to_cells
from freefill.video.masks import holes_of
from freefill.video.patches import Folder
from freefill.video.propagation import fill_moving
from freefill.video.reading import Clip
from freefill.video.shots import Shot, survey
from freefill.video.tracking import track


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv444p", "yuv422p", "yuv420p10le"])
@pytest.mark.parametrize("space", [1, 5, 9])
@pytest.mark.parametrize("full", [1, 2])
def test_colours_are_those_of_ffmpeg(
    tmp_path: Path, examples: Path, pixels: str, space: int, full: int
) -> None:
    from dataclasses import replace

    with Image.open(examples / "fruit.jpg") as image:
        photo = np.asarray(image.convert("RGB"))[:64, :64]
    # Without colour edges, how colour is shrunk and enlarged makes no difference.
    photo = cv2.GaussianBlur(photo, (0, 0), 6)
    coding = Clip.open(write_clip(tmp_path / "clip.mkv", [photo], pixels=pixels)).coding
    coding = replace(coding, space=space, range=full)
    made = av.VideoFrame.from_ndarray(photo, format="rgb24").reformat(
        format=pixels, dst_colorspace=space, src_color_range=2, dst_color_range=full
    )
    kind = np.uint8 if coding.depth == 8 else np.uint16
    planes = []
    for plane in made.planes:
        rows = np.frombuffer(plane, kind).reshape(-1, plane.line_size // np.dtype(kind).itemsize)
        planes.append(rows[: plane.height, : plane.width])
    assert np.abs(coding.to_rgb(planes) * 255 - photo).max() < 6
    for one, other in zip(coding.from_rgb(photo / np.float32(255)), planes, strict=True):
        assert np.abs(one.astype(int) - other).max() <= 3 << (coding.depth - 8)


@pytest.fixture(scope="module")
def pagoda(examples: Path) -> Path:
    return examples / "pagoda.jpg"


def test_flow_is_that_of_what_lies_behind(tmp_path: Path, pagoda: Path) -> None:
    made = scene(pagoda, pan=3, speed=8, count=4)
    clip = Clip.open(write_clip(tmp_path / "clip.mkv", made.frames))
    a, b = list(clip.frames())[1:3]
    cells = [to_cells(hole) for hole in made.holes[1:3]]
    flow = flow_between(a, b, *cells, clip.coding)
    # The camera moves by three pixels, a cell and a half; the disc moves the other way.
    inside = flow[cells[0]]
    np.testing.assert_allclose(np.median(inside, 0), (-1.5, 0), atol=0.05)
    assert np.percentile(np.abs(inside - (-1.5, 0)), 95) < 0.2


def test_shots_and_still_cameras_are_told_apart(tmp_path: Path, examples: Path) -> None:
    still = scene(examples / "coffee.jpg", pan=0, speed=6, count=5)
    moving = scene(examples / "bricks.jpg", pan=2, speed=6, count=5)
    slow = scene(examples / "pagoda.jpg", pan=1, speed=6, count=3)
    darker = [np.clip(f * 1.0 - 4 * i, 0, 255).astype(np.uint8) for i, f in enumerate(still.frames)]
    parts = [still, moving, slow]
    clip = Clip.open(
        write_clip(
            tmp_path / "clip.mkv", [frame for part in parts for frame in part.frames] + darker
        )
    )
    masks = tmp_path / "masks"
    masks.mkdir()
    holes = [hole for part in parts for hole in part.holes] + still.holes
    for i, hole in enumerate(holes):
        Image.fromarray(hole).save(masks / f"{i}.png")
    found, notices = survey(clip, holes_of(masks, clip)[0], lambda _: None)
    assert found.shots == (
        Shot(0, 5, True),
        Shot(5, 10, False),
        Shot(10, 13, False),
        Shot(13, 18, False),
    )
    assert notices == []


def frames_and_boxes(
    tmp_path: Path, photo: Path, count: int, speed: float, growth: float
) -> tuple[Clip, list[tuple[float, float, float, float]]]:
    """A piece of one photo that moves and grows over another."""
    with Image.open(photo) as image:
        ground = np.asarray(image.convert("RGB"))[100 : 100 + HEIGHT, 100 : 100 + WIDTH]
        piece = np.asarray(image.convert("RGB"))[250:290, 300:330][::-1].copy()
    frames, boxes = [], []
    for i in range(count):
        size = 1 + growth * i
        part = cv2.resize(piece, (round(30 * size), round(40 * size)))
        left, top = 40 + round(speed * i), 20 + i
        frame = np.pad(ground, ((0, 100), (0, 100), (0, 0)), "reflect")
        frame[top : top + part.shape[0], left : left + part.shape[1]] = part
        frames.append(frame[:HEIGHT, :WIDTH].copy())
        boxes.append((left, top, left + part.shape[1], top + part.shape[0]))
    return Clip.open(write_clip(tmp_path / "clip.mkv", frames)), boxes


def test_a_box_is_followed_as_it_moves_and_grows(tmp_path: Path, pagoda: Path) -> None:
    clip, boxes = frames_and_boxes(tmp_path, pagoda, 14, 2.5, 0.02)
    left, top, right, bottom = (int(side) for side in boxes[0])
    found = track(clip.frames(), clip.coding, Box(left=left, top=top, right=right, bottom=bottom))
    assert len(found) == 14
    for box, (l, t, r, b) in zip(found, boxes, strict=True):  # noqa: E741
        assert box is not None
        across = min(box.right, r) - max(box.left, l)
        down = min(box.bottom, b) - max(box.top, t)
        both = box.area + (r - l) * (b - t) - across * down
        assert across * down / both > 0.75


def test_a_box_that_leaves_the_picture_ends(tmp_path: Path, pagoda: Path) -> None:
    clip, boxes = frames_and_boxes(tmp_path, pagoda, 20, 6, 0)
    left, top, right, bottom = (int(side) for side in boxes[0])
    found = track(clip.frames(), clip.coding, Box(left=left, top=top, right=right, bottom=bottom))
    gone = next(i for i, box in enumerate(boxes) if box[0] >= WIDTH)
    assert found[gone - 4] is not None
    assert found[-1] is None
    last = next(i for i, box in enumerate(found) if box is None)
    assert abs(last - gone) <= 2


def test_a_box_that_is_lost_is_told(tmp_path: Path, pagoda: Path, examples: Path) -> None:
    clip, boxes = frames_and_boxes(tmp_path, pagoda, 4, 2, 0)
    noise = np.random.default_rng(0).integers(0, 255, (3, HEIGHT, WIDTH, 3), np.uint8)
    other = Clip.open(write_clip(tmp_path / "noise.mkv", list(noise)))
    left, top, right, bottom = (int(side) for side in boxes[0])

    def both() -> Iterator[Frame]:
        yield from clip.frames()
        for frame in other.frames():
            yield Frame(frame.index + 4, frame.pts, frame.duration, frame.planes)

    with pytest.raises(VideoError, match=r"lost at frame 4: give a mask for each frame"):
        track(both(), clip.coding, Box(left=left, top=top, right=right, bottom=bottom))


def test_masks_of_every_kind_are_the_same_holes(tmp_path: Path, pagoda: Path) -> None:
    made = scene(pagoda, pan=0, speed=4, count=12)
    clip = Clip.open(write_clip(tmp_path / "clip.mkv", made.frames))
    folder = tmp_path / "masks"
    folder.mkdir()
    for i, hole in enumerate(made.holes):
        Image.fromarray(hole).save(folder / f"m{i}.png")
    (folder / "notes.txt").write_text("no mask")
    white = [np.where(h[..., None], 255, 0).astype(np.uint8).repeat(3, 2) for h in made.holes]
    lossless = write_clip(tmp_path / "masks.mkv", white, pixels="gray")
    for mask in (folder, lossless):
        for found, hole in zip(holes_of(mask, clip)[0].each(), made.holes, strict=True):
            np.testing.assert_array_equal(found, to_cells(hole))
    inverse = holes_of(folder, clip, invert=True)[0].each()
    np.testing.assert_array_equal(next(inverse), to_cells(~made.holes[0]))
    small = made.holes[3][::2, ::2]
    wide = next(holes_of(small, clip, fit="resize", grow=2)[0].each())
    assert wide[to_cells(made.holes[3])].all()
    assert wide.sum() > to_cells(made.holes[3]).sum()
    (tmp_path / "empty").mkdir()
    with pytest.raises(MaskError, match="holds no masks"):
        holes_of(tmp_path / "empty", clip)


def test_memory_holds_a_window_of_frames(
    tmp_path: Path, pagoda: Path, inpainter: Inpainter
) -> None:
    made = scene(pagoda, pan=1, speed=2, count=8)
    clip = Clip.open(write_clip(tmp_path / "clip.mkv", made.frames))
    alive: weakref.WeakSet[Frame] = weakref.WeakSet()
    most = 0

    class Watched(Frame):
        __hash__ = object.__hash__

    def frames() -> Iterator[tuple[Frame, Mask]]:
        nonlocal most
        for frame, hole in zip(clip.frames(), made.holes, strict=True):
            watched = Watched(frame.index, frame.pts, frame.duration, frame.planes)
            alive.add(watched)
            most = max(most, len(alive))
            yield watched, to_cells(hole)

    folder = Folder(tmp_path / "partial", {})
    done = list(fill_moving(frames(), clip.coding, inpainter, folder, window=1))
    assert done == list(range(8))
    # The window, the one that is coming, and the generator's own.
    assert most <= 2 * 1 + 3
