"""Clips as they are filled: what stays, what comes from other frames, what is written."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from clips import BASE, COUNT, Scene, packets, planes, rgb, scene, write_clip, write_masks
from numpy.typing import NDArray
from PIL import Image

from freefill.errors import ExtraMissingError, MaskError, VideoError
from freefill.imaging.box import Box
from freefill.pipeline.inpainter import Inpainter
from freefill.tasks import video
from freefill.types import Mask
from freefill.video.flow import widened
from freefill.video.frames import to_cells
from freefill.video.reading import Clip


@pytest.fixture(scope="module")
def still(examples: Path) -> Scene:
    return scene(examples / "coffee.jpg", pan=0, speed=3.5)


@pytest.fixture(scope="module")
def moving(examples: Path) -> Scene:
    return scene(examples / "pagoda.jpg", pan=2, speed=5)


def in_cells(hole: Mask) -> Mask:
    """The pixels of all cells that a hole reaches into."""
    height, width = hole.shape
    return to_cells(hole).repeat(2, 0).repeat(2, 1)[:height, :width]


def warping(frames: list[NDArray[np.uint8]], holes: list[Mask], pan: int) -> float:
    """Mean square between neighbours inside the hole, along the camera's true motion."""
    errors = []
    for one, other, hole in zip(frames, frames[1:], holes, strict=False):
        width = one.shape[1] - pan
        # A pixel lies `pan` further left in the next frame.
        step = one[:, pan:].astype(float) - other[:, :width]
        errors.append((step[hole[:, pan:]] ** 2).mean())
    return float(np.mean(errors))


def test_a_still_camera_gives_the_background_bit_for_bit(
    tmp_path: Path, still: Scene, inpainter: Inpainter
) -> None:
    clip = write_clip(tmp_path / "clip.mkv", still.frames)
    truth = write_clip(tmp_path / "truth.mkv", still.truth)
    masks = write_masks(tmp_path / "masks", still.holes)
    filled = video(clip, masks, tmp_path / "out.mkv", inpainter=inpainter, lossless=True)
    assert (filled.frames, filled.still) == (COUNT, COUNT)
    given, expected, result = planes(clip), planes(truth), planes(filled.path)
    known = np.stack([~to_cells(hole) for hole in still.holes])
    clear = np.stack([~widened(to_cells(hole), 1) for hole in still.holes]).any(0)
    for number, hole in enumerate(still.holes):
        cells = to_cells(hole)
        same = known.copy()
        for i, plane in enumerate(result[number]):
            step = plane.shape[0] // cells.shape[0]
            inside, shown = (m.repeat(step, 0).repeat(step, 1) for m in (cells, clear))
            np.testing.assert_array_equal(plane[~inside], given[number][i][~inside])
            # Beside the disc, its colour has run into the background before it was encoded.
            seen = inside & shown
            np.testing.assert_array_equal(plane[seen], expected[number][i][seen])
            equal = np.stack([plane == frame[i] for frame in given])
            same &= equal.reshape(COUNT, cells.shape[0], step, -1, step).all((2, 4))
        # Each cell is, luma and colour, that of one frame which shows it.
        assert same.any(0)[cells & known.any(0)].all()
    # Something was hidden in all frames, and something was not: both kinds were looked at.
    assert 0 < known.any(0)[to_cells(still.holes[5])].mean() < 1
    assert 0 < filled.made < 0.5
    assert not (tmp_path / "out.mkv.partial").exists()


def test_a_moving_camera_flickers_half_as_much_as_frame_by_frame(
    tmp_path: Path, moving: Scene, inpainter: Inpainter
) -> None:
    clip = write_clip(tmp_path / "clip.mkv", moving.frames)
    masks = write_masks(tmp_path / "masks", moving.holes)
    filled = video(clip, masks, tmp_path / "out.mkv", inpainter=inpainter, lossless=True)
    assert filled.still == 0
    given, result = planes(clip), planes(filled.path)
    for one, other, hole in zip(given, result, moving.holes, strict=True):
        outside = ~in_cells(hole)
        np.testing.assert_array_equal(one[0][outside], other[0][outside])
    each = [inpainter(image=f, mask=h) for f, h in zip(rgb(clip), moving.holes, strict=True)]
    frames = rgb(filled.path)
    ratio = warping(frames, moving.holes, 2) / warping(each, moving.holes, 2)
    assert ratio < 0.5, ratio
    true = rgb(write_clip(tmp_path / "truth.mkv", moving.truth))

    def error(some: list[NDArray[np.uint8]]) -> float:
        pairs = zip(some, true, moving.holes, strict=True)
        return float(np.mean([((a[h].astype(float) - b[h]) ** 2).mean() for a, b, h in pairs]))

    assert error(frames) < error(each) / 2


def test_what_the_network_makes_up_is_carried_on(
    tmp_path: Path, examples: Path, inpainter: Inpainter
) -> None:
    # The disc stays where it is in the scene: no frame shows what is behind it.
    parked = scene(examples / "dahlia.jpg", pan=2, speed=-2, count=6)
    clip = write_clip(tmp_path / "clip.mkv", parked.frames)
    masks = write_masks(tmp_path / "masks", parked.holes)
    filled = video(clip, masks, tmp_path / "out.mkv", inpainter=inpainter, lossless=True)
    assert filled.made > 0.8
    given = rgb(clip)
    each = [inpainter(image=f, mask=h) for f, h in zip(given, parked.holes, strict=True)]
    ratio = warping(rgb(filled.path), parked.holes, 2) / warping(each, parked.holes, 2)
    assert ratio < 0.5, ratio


def test_light_that_changes_is_followed(
    tmp_path: Path, examples: Path, inpainter: Inpainter
) -> None:
    made = scene(examples / "pagoda.jpg", pan=2, speed=5, count=8)

    def darker(frames: list[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
        return [
            np.clip(f.astype(int) - 6 * i, 0, 255).astype(np.uint8) for i, f in enumerate(frames)
        ]

    clip = write_clip(tmp_path / "clip.mkv", darker(made.frames))
    truth = rgb(write_clip(tmp_path / "truth.mkv", darker(made.truth)))
    masks = write_masks(tmp_path / "masks", made.holes)
    filled = video(clip, masks, tmp_path / "out.mkv", inpainter=inpainter, lossless=True)
    steps = [
        float((one[hole].astype(int) - true[hole]).mean())
        for one, true, hole in zip(rgb(filled.path), truth, made.holes, strict=True)
    ]
    # Frames that show the background are three and more away: 18 levels brighter, or darker.
    assert np.abs(steps).max() < 5, steps


def test_sound_times_and_colour_are_kept(
    tmp_path: Path, still: Scene, inpainter: Inpainter
) -> None:
    # A variable frame rate: each frame is shown for another time.
    times = np.cumsum([0, 3600, 3600, 7201, 1800, 9000, 3601, 3600, 5400, 1801]).tolist()
    clip = write_clip(tmp_path / "clip.mp4", still.frames, codec="libx264", times=times, sound=True)
    mask = tmp_path / "mask.png"
    Image.fromarray(still.holes[4]).save(mask)
    filled = video(clip, mask, tmp_path / "out.mp4", inpainter=inpainter)
    before, after = Clip.open(clip), Clip.open(filled.path)
    assert after.coding == before.coding
    assert (after.coding.range, after.coding.primaries) == (1, 1)
    assert (after.coding.transfer, after.coding.space) == (1, 1)
    assert [f.pts * after.time_base for f in after.frames()] == [t * BASE for t in times]
    assert packets(filled.path) == packets(clip)
    assert packets(clip)
    for one, other in zip(planes(clip), planes(filled.path), strict=True):
        assert np.abs(one[0].astype(int) - other[0])[:, :30].mean() < 2


@pytest.mark.parametrize("pixels", ["yuv420p10le", "yuv422p", "yuv444p", "gray"])
def test_other_samples_stay_outside_the_hole(
    tmp_path: Path, still: Scene, inpainter: Inpainter, pixels: str
) -> None:
    clip = write_clip(tmp_path / "clip.mkv", still.frames[:3], pixels=pixels)
    mask = np.zeros(still.holes[0].shape, bool)
    mask[40:60, 50:71] = True
    filled = video(clip, mask, tmp_path / "out.mkv", inpainter=inpainter, lossless=True)
    assert Clip.open(filled.path).coding == Clip.open(clip).coding
    assert filled.made == 1
    outside = ~in_cells(mask)
    for one, other in zip(planes(clip), planes(filled.path), strict=True):
        np.testing.assert_array_equal(one[0][outside], other[0][outside])
        assert (one[0][~outside] != other[0][~outside]).any()


def test_odd_sizes_are_kept(tmp_path: Path, still: Scene, inpainter: Inpainter) -> None:
    frames = [frame[:95, :127] for frame in still.frames[:3]]
    clip = write_clip(tmp_path / "clip.mkv", frames)
    mask = np.zeros((95, 127), bool)
    mask[80:, 110:] = True
    lossless = video(clip, mask, tmp_path / "out.mkv", inpainter=inpainter, lossless=True)
    lossy = video(clip, mask, tmp_path / "out.mp4", inpainter=inpainter)
    codings = [Clip.open(path).coding for path in (clip, lossless.path, lossy.path)]
    assert [coding.size for coding in codings] == [(95, 127)] * 3
    assert [coding.pixels for coding in codings] == ["yuv420p", "yuv420p", "yuv444p"]
    assert any("odd size" in line for line in lossy.notices)
    assert not lossless.notices
    for one, other in zip(planes(clip), planes(lossless.path), strict=True):
        np.testing.assert_array_equal(one[0][:80, :126], other[0][:80, :126])


def test_a_turned_clip_comes_out_upright(
    tmp_path: Path, still: Scene, inpainter: Inpainter
) -> None:
    clip = write_clip(tmp_path / "clip.mp4", still.frames[:2], codec="libx264", rotation=90)
    upright = Clip.open(clip)
    height, width = still.holes[0].shape
    assert upright.coding.size == (width, height)
    mask = np.zeros((width, height), bool)
    mask[:20, :20] = True
    filled = video(clip, mask, tmp_path / "out.mkv", inpainter=inpainter, lossless=True)
    one, other = planes(clip)[0], planes(filled.path)[0]
    np.testing.assert_array_equal(one[0][20:], other[0][20:])
    np.testing.assert_array_equal(one[1][10:], other[1][10:])
    # Turned the way players turn it: what was at the right is at the top, or at the bottom.
    plain = write_clip(tmp_path / "plain.mp4", still.frames[:2], codec="libx264")
    np.testing.assert_array_equal(np.rot90(planes(plain)[0][0], 1), one[0])


def test_a_box_is_followed(tmp_path: Path, still: Scene, inpainter: Inpainter) -> None:
    clip = write_clip(tmp_path / "clip.mkv", still.frames)
    truth = planes(write_clip(tmp_path / "truth.mkv", still.truth))
    rows, columns = np.nonzero(still.holes[0])
    box = Box(
        left=int(columns.min()),
        top=int(rows.min()),
        right=int(columns.max()) + 1,
        bottom=int(rows.max()) + 1,
    )
    filled = video(
        clip, None, tmp_path / "out.mkv", box=box, grow=3, inpainter=inpainter, lossless=True
    )
    result = planes(filled.path)
    # The disc is gone in every frame: what other frames show is back.
    for number in (0, 4, 9):
        wrong = np.abs(result[number][0].astype(int) - truth[number][0]) > 40
        assert (wrong & still.holes[number]).mean() < 0.02, number


def test_pixels_do_not_cross_a_cut(tmp_path: Path, examples: Path, inpainter: Inpainter) -> None:
    one = scene(examples / "coffee.jpg", pan=0, speed=12, count=5)
    other = scene(examples / "bricks.jpg", pan=0, speed=12, count=5)
    both = [write_clip(tmp_path / f"{n}.mkv", s.frames) for n, s in enumerate((one, other))]
    clip = write_clip(tmp_path / "clip.mkv", one.frames + other.frames)
    masks = write_masks(tmp_path / "masks", one.holes + other.holes)
    filled = video(clip, masks, tmp_path / "out.mkv", inpainter=inpainter, lossless=True)
    assert filled.still == 10
    apart = []
    for path, name in zip(both, ("a", "b"), strict=True):
        own = write_masks(tmp_path / name, one.holes)
        done = video(path, own, tmp_path / f"{name}.mkv", inpainter=inpainter, lossless=True)
        apart += planes(done.path)
    for frame, alone in zip(planes(filled.path), apart, strict=True):
        for plane, expected in zip(frame, alone, strict=True):
            np.testing.assert_array_equal(plane, expected)


@pytest.mark.parametrize("kind", ["few", "size", "later", "both", "none", "grow"])
def test_masks_that_do_not_fit(
    tmp_path: Path, still: Scene, inpainter: Inpainter, kind: str
) -> None:
    clip = write_clip(tmp_path / "clip.mkv", still.frames)
    content = clip.read_bytes()
    holes, box, grow, words = list(still.holes), None, 0, ("",)
    if kind == "few":
        holes, words = holes[:7], ("7 masks", "10 frames")
    elif kind == "size":
        holes, words = [hole[:50] for hole in holes], ("128x96", "128x50", "resize")
    elif kind == "later":
        holes[5], words = holes[5][:, :60], ("mask5.png", "128x96", "60x96")
    elif kind == "both":
        box, words = Box.whole((20, 20)), ("either `mask`, or a `box`",)
    elif kind == "grow":
        grow, words = 300, ("300", "256")
    masks = None if kind == "none" else write_masks(tmp_path / "masks", holes)
    words = ("either `mask`, or a `box`",) if kind == "none" else words
    with pytest.raises(MaskError) as raised:
        video(clip, masks, tmp_path / "out.mp4", inpainter=inpainter, box=box, grow=grow)
    assert all(word in str(raised.value) for word in words), raised.value
    assert clip.read_bytes() == content
    assert not (tmp_path / "out.mp4").exists()


def test_a_clip_of_masks_that_is_too_long_is_told(
    tmp_path: Path, still: Scene, inpainter: Inpainter
) -> None:
    clip = write_clip(tmp_path / "clip.mkv", still.frames[:4])
    white = [np.where(h[..., None], 255, 0).astype(np.uint8).repeat(3, 2) for h in still.holes]
    masks = write_clip(tmp_path / "masks.mp4", white, codec="libx264")
    filled = video(clip, masks, tmp_path / "out.mkv", inpainter=inpainter, lossless=True)
    assert any("more masks than the 4 frames" in line for line in filled.notices)
    exact = float(np.mean([to_cells(h).mean() for h in still.holes[:4]]))
    assert filled.share == pytest.approx(exact, abs=0.01)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("out.avi", {}, (".avi", ".mp4")),
        ("out.mp4", {"lossless": True}, ("FFV1", ".mkv")),
        ("clip.mkv", {"overwrite": True}, ("input",)),
        ("there.mp4", {}, ("exists", "`overwrite=True`")),
        ("nowhere/out.mp4", {}, ("folder", "nowhere")),
        ("out.mp4", {"window": 0}, ("`window` is 0", "1 to 240")),
        ("out.mp4", {"max_pixels": 1000}, ("128x96", "1000")),
    ],
)
def test_results_that_cannot_be(
    tmp_path: Path,
    still: Scene,
    inpainter: Inpainter,
    name: str,
    options: dict[str, int],
    words: tuple[str, ...],
) -> None:
    clip = write_clip(tmp_path / "clip.mkv", still.frames[:2])
    (tmp_path / "there.mp4").write_bytes(b"kept")
    before = {p: p.read_bytes() for p in tmp_path.iterdir()}
    with pytest.raises(VideoError) as raised:
        video(clip, still.holes[0], tmp_path / name, inpainter=inpainter, **options)  # type: ignore[arg-type]
    assert all(word in str(raised.value) for word in words), raised.value
    assert {p: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_files_that_are_no_clips(tmp_path: Path, still: Scene, inpainter: Inpainter) -> None:
    mask = still.holes[0]
    text = tmp_path / "text.mp4"
    text.write_text("not a clip")
    whole = write_clip(tmp_path / "whole.mkv", still.frames[:4], sound=True).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[:900])
    sound = tmp_path / "sound.mkv"
    import av

    with av.open(str(tmp_path / "whole.mkv")) as source, av.open(str(sound), "w") as file:
        copy = file.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(audio=0):
            if packet.dts is not None:
                packet.stream = copy
                file.mux(packet)
    expected = {
        "missing.mp4": "does not exist",
        "text.mp4": "not a clip",
        "cut.mkv": "no frame",
        "sound.mkv": "no video stream",
    }
    for name, words in expected.items():
        with pytest.raises(VideoError, match=words):
            video(tmp_path / name, mask, tmp_path / "out.mp4", inpainter=inpainter)
    assert not (tmp_path / "out.mp4").exists()


def test_sound_that_the_container_does_not_take(
    tmp_path: Path, still: Scene, inpainter: Inpainter
) -> None:
    clip = write_clip(tmp_path / "clip.mkv", still.frames[:2], sound=True)
    import av

    other = tmp_path / "other.mkv"
    with av.open(str(clip)) as source, av.open(str(other), "w") as file:
        picture = file.add_stream_from_template(source.streams.video[0])
        sound = file.add_stream("pcm_u8", rate=44100, layout="mono")
        piece = av.AudioFrame.from_ndarray(np.zeros((1, 441), np.uint8), "u8", "mono")
        piece.sample_rate = 44100
        file.mux(sound.encode(piece))
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = picture
                file.mux(packet)
    with pytest.raises(VideoError, match=r"cannot be put into \.mp4.*pcm_u8.*\.mkv"):
        video(other, still.holes[0], tmp_path / "out.mp4", inpainter=inpainter)
    assert not (tmp_path / "out.mp4.partial").exists()


@pytest.mark.parametrize("package", ["av", "cv2"])
def test_without_the_extra(
    tmp_path: Path, inpainter: Inpainter, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ExtraMissingError, match=r"pip install 'freefill\[video\]'"):
        video(tmp_path / "a.mp4", None, tmp_path / "b.mp4", inpainter=inpainter)
