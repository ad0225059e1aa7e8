"""Clips that lie on their side, on their head or in a mirror, by their display matrix."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from clips import Scene, planes, scene, write_clip
from numpy.typing import NDArray

from freefill.pipeline.inpainter import Inpainter
from freefill.tasks import video
from freefill.video.masks import holes_of
from freefill.video.orientation import Orientation
from freefill.video.reading import Clip

ALL = [(turn, mirror) for turn in (0, 90, 180, 270) for mirror in (False, True)]


@pytest.fixture(scope="module")
def passing(examples: Path) -> Scene:
    return scene(examples / "coffee.jpg", pan=0, speed=3.5, count=2)


def marked(plain: Path, path: Path, turn: int, mirror: bool) -> Path:
    """Copy a clip and have players turn it counter-clockwise, then mirror it left to right."""
    with av.open(str(plain)) as source, av.open(str(path), "w") as file:
        stream = file.add_stream_from_template(source.streams.video[0])
        stream.set_display_rotation(turn, hflip=mirror)
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                file.mux(packet)
    return path


def seen(samples: NDArray[np.generic], turn: int, mirror: bool) -> NDArray[np.generic]:
    turned = np.rot90(samples, turn // 90)
    return turned[:, ::-1] if mirror else turned


@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize(("turn", "mirror"), ALL)
def test_all_eight_come_upright(
    tmp_path: Path, passing: Scene, turn: int, mirror: bool, container: str
) -> None:
    plain = write_clip(tmp_path / "plain.mp4", passing.frames, codec="libx264")
    clip = marked(plain, tmp_path / f"clip.{container}", turn, mirror)
    opened = Clip.open(clip)
    assert opened.coding.size == seen(passing.holes[0], turn, mirror).shape
    assert not opened.notices
    for frame, given in zip(planes(clip), planes(plain), strict=True):
        for plane, original in zip(frame, given, strict=True):
            np.testing.assert_array_equal(plane, seen(original, turn, mirror))


@pytest.mark.parametrize(("turn", "mirror"), ALL)
def test_the_hole_is_where_it_is_seen(
    tmp_path: Path, passing: Scene, inpainter: Inpainter, turn: int, mirror: bool
) -> None:
    plain = write_clip(tmp_path / "plain.mp4", passing.frames, codec="libx264")
    clip = marked(plain, tmp_path / "clip.mp4", turn, mirror)
    mask = np.zeros(Clip.open(clip).coding.size, bool)
    mask[:20, :40] = True
    filled = video(clip, mask, tmp_path / "out.mkv", inpainter=inpainter, lossless=True)
    for one, other in zip(planes(clip), planes(filled.path), strict=True):
        different = one[0] != other[0]
        assert different[:20, :40].any()
        assert not different[20:].any()
        assert not different[:, 40:].any()


@pytest.mark.parametrize(("turn", "mirror"), ALL)
def test_a_clip_of_masks_is_turned_too(
    tmp_path: Path, passing: Scene, turn: int, mirror: bool
) -> None:
    white = [np.where(h[..., None], 255, 0).astype(np.uint8).repeat(3, 2) for h in passing.holes]
    corner = [frame.copy() for frame in white]
    for frame in corner:
        frame[:16, :48] = 255
    plain = write_clip(tmp_path / "plain.mp4", corner, codec="libx264")
    masks = marked(plain, tmp_path / "masks.mp4", turn, mirror)
    clip = Clip.open(marked(plain, tmp_path / "clip.mp4", turn, mirror))
    upright = Clip.open(plain)
    for found, given in zip(
        holes_of(masks, clip)[0].each(), holes_of(plain, upright)[0].each(), strict=True
    ):
        np.testing.assert_array_equal(found, seen(given, turn, mirror))


@pytest.mark.parametrize(("turn", "mirror"), ALL)
def test_colour_of_odd_sizes_does_not_move(
    tmp_path: Path, passing: Scene, turn: int, mirror: bool
) -> None:
    frames = [frame[:95, :127] for frame in passing.frames]
    plain = write_clip(tmp_path / "plain.mp4", frames, codec="libx264", pixels="yuv444p")
    shared = write_clip(tmp_path / "shared.mkv", frames)
    turned = Clip.open(marked(shared, tmp_path / "clip.mkv", turn, mirror))
    height, width = turned.coding.size
    colours = turned.coding.to_rgb(next(turned.frames()).planes)[:height, :width]
    upright = Clip.open(plain)
    truth = upright.coding.to_rgb(next(upright.frames()).planes)[:95, :127]
    error = np.abs(colours - np.stack([seen(truth[..., i], turn, mirror) for i in range(3)], -1))
    # Beside what it costs that colour is shared at all.
    whole = Clip.open(shared)
    shares = whole.coding.to_rgb(next(whole.frames()).planes)[:95, :127]
    assert error.mean() < 1.1 * np.abs(shares - truth).mean()


def test_a_tilt_is_brought_to_the_nearest_turn_and_told(tmp_path: Path, passing: Scene) -> None:
    plain = write_clip(tmp_path / "plain.mp4", passing.frames, codec="libx264")
    clip = Clip.open(marked(plain, tmp_path / "clip.mp4", 70, False))
    assert clip.coding.size == passing.holes[0].shape[::-1]
    assert any("odd angle" in line for line in clip.notices)


@pytest.mark.parametrize(
    ("matrix", "swapped", "rows", "columns"),
    [
        ([1, 0, 0, 1], False, False, False),
        ([-1, 0, 0, 1], False, False, True),
        ([1, 0, 0, -1], False, True, False),
        ([-1, 0, 0, -1], False, True, True),
        ([0, 1, 1, 0], True, False, False),
        ([0, -1, 1, 0], True, True, False),
        ([0, 1, -1, 0], True, False, True),
        ([0, -1, -1, 0], True, True, True),
        ([0, 0, 0, 0], False, False, False),
        ([2, 0, 0, 3], False, False, False),
    ],
)
def test_where_each_pixel_goes(matrix: list[int], swapped: bool, rows: bool, columns: bool) -> None:
    a, b, c, d = (number << 16 for number in matrix)
    found, exact = Orientation.from_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])
    assert (found, exact) == ((swapped, rows, columns), True)
    if not any(matrix) or max(matrix) > 1:
        return
    # QuickTime's own words: (x, y) is shown at (a x + c y, b x + d y), moved to begin at 0.
    samples = np.arange(6).reshape(2, 3)
    upright = found.apply(samples)
    a, b, c, d = matrix
    places = {(a * x + c * y, b * x + d * y): samples[y, x] for y in range(2) for x in range(3)}
    left, top = (min(place[i] for place in places) for i in (0, 1))
    for (x, y), value in places.items():
        assert upright[y - top, x - left] == value
