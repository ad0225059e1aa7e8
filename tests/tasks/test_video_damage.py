"""Clips that are cut off or damaged: refused with how much can be read, or kept where asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from clips import BASE, STEP, Scene, packets, planes, scene, write_clip, write_masks
from numpy.typing import NDArray
from PIL import Image

from freefill.errors import FreefillError, MaskError, VideoError
from freefill.pipeline.inpainter import Inpainter
from freefill.tasks import video
from freefill.video.checksums import slices_fit
from freefill.video.damage import Tally, decoded
from freefill.video.frames import to_cells
from freefill.video.masks import holes_of
from freefill.video.opening import opened
from freefill.video.reading import Clip
from freefill.video.structure import broken

COUNT = 24


@pytest.fixture(scope="module")
def passing(examples: Path) -> Scene:
    return scene(examples / "coffee.jpg", pan=0, speed=2, count=COUNT)


def remuxed(source: Path, path: Path, **options: str) -> Path:
    """Copy all packets into another container."""
    with av.open(str(source)) as given, av.open(str(path), "w", options=options) as file:
        streams = {s.index: file.add_stream_from_template(s) for s in given.streams}
        for packet in given.demux():
            if packet.size:
                packet.stream = streams[packet.stream_index]
                file.mux(packet)
    return path


def halved(path: Path) -> Path:
    """Cut a clip off in the middle of its frames, and of one of them."""
    place, size = places(path)[COUNT // 2]
    path.write_bytes(path.read_bytes()[: place + size // 2])
    return path


def places(path: Path) -> list[tuple[int, int]]:
    """Where each frame's packet lies in the file, and how long it is."""
    with av.open(str(path)) as file:
        return [(p.pos, p.size) for p in file.demux(video=0) if p.size]


def scribbled(path: Path, number: int, filling: bytes = b"\0") -> Path:
    """Overwrite the packet of a frame, in the order of the file."""
    place, size = places(path)[number]
    content = bytearray(path.read_bytes())
    # In Matroska behind the head that says whose it is.
    start = place + 8 if path.suffix == ".mkv" else place
    content[start : place + size] = (filling * size)[: place + size - start]
    path.write_bytes(bytes(content))
    return path


def intra(path: Path, frames: list[NDArray[np.uint8]]) -> Path:
    """Write a clip each of whose frames can be decoded alone."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=25, options={"g": "1", "crf": "10"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = stream.time_base = BASE
        for i, frame in enumerate(frames):
            made = av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format="yuv420p")
            made.pts, made.time_base = i * STEP, BASE
            file.mux(stream.encode(made))
        file.mux(stream.encode(None))
    return path


def count(path: Path) -> int:
    return len(list(Clip.open(path).frames()))


def make(kind: str, folder: Path, scene: Scene) -> Path:
    """Make a clip of a kind that is whole."""
    if kind in ("mkv", "avi"):
        return write_clip(folder / f"clip.{kind}", scene.frames)
    if kind == "webm":
        return write_clip(folder / "clip.webm", scene.frames, codec="libvpx-vp9")
    plain = write_clip(folder / "plain.mp4", scene.frames, codec="libx264", sound=kind == "sound")
    if kind in ("fragments", "sound"):
        options = {"movflags": "frag_keyframe+empty_moov", "frag_duration": "200000"}
        return remuxed(plain, folder / "clip.mp4", **(options if kind == "fragments" else {}))
    if kind == "mp4":
        return remuxed(plain, folder / "clip.mp4", movflags="faststart")
    return remuxed(plain, folder / f"clip.{kind}")


@pytest.mark.parametrize("kind", ["mkv", "avi", "webm", "mp4", "fragments", "flv", "ts", "nut"])
def test_whole_clips_are_not_suspected(tmp_path: Path, passing: Scene, kind: str) -> None:
    path = make(kind, tmp_path, passing)
    assert count(path) == COUNT
    kept = Clip.open(path, damaged="keep")
    assert kept.numbers is None
    assert not kept.notices


@pytest.mark.parametrize("kind", ["mkv", "avi", "webm", "mp4", "fragments", "flv"])
def test_a_clip_cut_in_half_is_refused_or_kept(
    tmp_path: Path, passing: Scene, inpainter: Inpainter, kind: str
) -> None:
    clip = halved(make(kind, tmp_path, passing))
    out = tmp_path / "out.mkv"
    mask = passing.holes[0]
    with pytest.raises(VideoError) as raised:
        video(clip, mask, out, inpainter=inpainter)
    words = str(raised.value)
    assert "is damaged: " in words
    assert "frames can be decoded" in words
    assert '`damaged="keep"`' in words
    assert not out.exists()
    assert not (tmp_path / "out.mkv.partial").exists()
    filled = video(clip, mask, out, inpainter=inpainter, lossless=True, damaged="keep")
    assert 0 < filled.frames < COUNT
    assert f"{filled.frames} of " in words
    (line,) = [line for line in filled.notices if "damaged" in line]
    assert f"{filled.frames} of " in line
    assert "these are filled" in line
    # They stand where they stood, each at its own time.
    before = list(Clip.open(clip, damaged="keep").frames())
    after = list(Clip.open(filled.path).frames())
    outside = ~to_cells(mask).repeat(2, 0).repeat(2, 1)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one.planes[0][outside], other.planes[0][outside])


def test_how_many_of_how_many_is_said(tmp_path: Path, passing: Scene) -> None:
    path = halved(make("mp4", tmp_path, passing))
    with pytest.raises(VideoError, match=rf"\d of {COUNT} frames can be decoded \(.*it ends after"):
        count(path)
    path = halved(make("mkv", tmp_path, passing))
    words = rf"1\d of about {COUNT} frames can be decoded \(it has \d+ of the \d+ bytes"
    with pytest.raises(VideoError, match=words):
        count(path)


@pytest.mark.parametrize("number", [0, 7, COUNT - 1])
@pytest.mark.parametrize("kind", ["mp4", "mkv"])
def test_one_bad_packet(
    tmp_path: Path, passing: Scene, inpainter: Inpainter, kind: str, number: int
) -> None:
    clip = intra(tmp_path / f"clip.{kind}", passing.frames)
    truth = planes(clip)
    scribbled(clip, number, b"\xff")
    masks = write_masks(tmp_path / "masks", passing.holes)
    out = tmp_path / "out.mkv"
    with pytest.raises(VideoError, match=f"{COUNT - 1} of {COUNT} frames can be decoded"):
        video(clip, masks, out, inpainter=inpainter)
    filled = video(clip, masks, out, inpainter=inpainter, lossless=True, damaged="keep")
    assert filled.frames == COUNT - 1
    assert any(f"{COUNT - 1} of {COUNT}" in line for line in filled.notices)
    left = [i for i in range(COUNT) if i != number]
    frames = list(Clip.open(filled.path).frames())
    for frame, index in zip(frames, left, strict=True):
        # Each is itself, at its own time (the first at 0), and filled where its own mask says.
        assert round((frame.pts - frames[0].pts) * 25 / 1000) == index - left[0]
        cells = to_cells(passing.holes[index]).repeat(2, 0).repeat(2, 1)
        np.testing.assert_array_equal(frame.planes[0][~cells], truth[index][0][~cells])
        assert (frame.planes[0][cells] != truth[index][0][cells]).any()


def test_masks_of_the_frames_that_are_left_are_taken_in_order(
    tmp_path: Path, passing: Scene
) -> None:
    clip = scribbled(intra(tmp_path / "clip.mp4", passing.frames), 7, b"\xff")
    left = [hole for i, hole in enumerate(passing.holes) if i != 7]
    opened = Clip.open(clip, damaged="keep")
    assert opened.numbers == tuple(i for i in range(COUNT) if i != 7)
    white = [np.where(h[..., None], 255, 0).astype(np.uint8).repeat(3, 2) for h in passing.holes]
    all_masks = write_clip(tmp_path / "masks.mkv", white, pixels="gray")
    for masks in (write_masks(tmp_path / "left", left), all_masks):
        found = list(holes_of(masks, opened)[0].each())
        for cells, hole in zip(found, left, strict=True):
            np.testing.assert_array_equal(cells, to_cells(hole))
    few = write_masks(tmp_path / "few", left[:5])
    with pytest.raises(MaskError, match=f"5 masks but clip.mp4 has {COUNT - 1} frames"):
        video(clip, few, tmp_path / "out.mkv", damaged="keep")


@pytest.mark.parametrize("codec", ["libx264", "ffv1"])
def test_what_the_decoder_hides_is_found(tmp_path: Path, passing: Scene, codec: str) -> None:
    path = write_clip(tmp_path / "clip.mkv", passing.frames, codec=codec)
    place, size = places(path)[0]
    content = bytearray(path.read_bytes())
    for i in range(20, 60):
        content[place + size - i] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(
        VideoError, match=f"{COUNT} of {COUNT} frames can be decoded, .* with errors"
    ):
        count(path)


def test_a_hole_in_a_container_is_found(tmp_path: Path, passing: Scene) -> None:
    path = write_clip(tmp_path / "clip.mkv", passing.frames)
    content = bytearray(path.read_bytes())
    # Heads of packets go, and FFmpeg takes up reading at the next cluster that it finds.
    start = places(path)[5][0]
    content[start - 8 : start + 40] = bytes(48)
    path.write_bytes(bytes(content))
    with pytest.raises(VideoError, match=r"it is damaged at byte \d+"):
        count(path)


def test_a_clip_no_frame_of_which_can_be_decoded(
    tmp_path: Path, passing: Scene, inpainter: Inpainter
) -> None:
    clip = make("mp4", tmp_path, passing)
    scribbled(clip, 0, b"\xff")
    for damaged in ("refuse", "keep"):
        with pytest.raises(VideoError, match="no frame that can be decoded"):
            video(
                clip,
                passing.holes[0],
                tmp_path / "out.mp4",
                inpainter=inpainter,
                damaged=damaged,
            )
    masks = Clip.open(write_clip(tmp_path / "whole.mkv", passing.frames))
    with pytest.raises(VideoError, match="no frame that can be decoded"):
        holes_of(clip, masks)


def test_a_damaged_clip_of_masks_is_refused(tmp_path: Path, passing: Scene) -> None:
    white = [np.where(h[..., None], 255, 0).astype(np.uint8).repeat(3, 2) for h in passing.holes]
    clip = Clip.open(write_clip(tmp_path / "clip.mkv", passing.frames))
    masks = scribbled(intra(tmp_path / "masks.mp4", white), 4, b"\xff")
    with pytest.raises(VideoError, match="which mask is whose is not known"):
        list(holes_of(masks, clip)[0].each())


def test_sound_that_is_whole_is_kept(tmp_path: Path, passing: Scene, inpainter: Inpainter) -> None:
    clip = make("sound", tmp_path, passing)
    scribbled(clip, 3, b"\xff")
    filled = video(
        clip, passing.holes[0], tmp_path / "out.mp4", inpainter=inpainter, damaged="keep"
    )
    assert packets(filled.path) == packets(clip)
    assert packets(clip)


def written(path: Path, frames: list[NDArray[np.uint8]], times: list[int], seconds: float) -> Path:
    """Write a clip whose frames and whose sound are shown and heard as long as is said."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = stream.time_base = BASE
        tone = file.add_stream("aac", rate=44100, layout="mono")
        for frame, time in zip(frames, times, strict=True):
            made = av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format="yuv420p")
            made.pts, made.time_base = time, BASE
            file.mux(stream.encode(made))
        file.mux(stream.encode(None))
        for start in range(0, int(44100 * seconds), 1024):
            piece = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            piece.sample_rate, piece.pts = 44100, start
            file.mux(tone.encode(piece))
        file.mux(tone.encode(None))
    return path


@pytest.mark.parametrize("ending", ["mp4", "mkv", "flv"])
def test_sound_that_outlasts_and_uneven_times_are_no_damage(
    tmp_path: Path, passing: Scene, ending: str
) -> None:
    even = [i * STEP for i in range(COUNT)]
    path = written(tmp_path / f"sound.{ending}", passing.frames, even, 5)
    assert count(path) == COUNT
    steps = [1800, 9000, 3600, 7201] * 6
    uneven = np.cumsum([0, *steps[: COUNT - 2], 900_000]).tolist()
    path = written(tmp_path / f"uneven.{ending}", passing.frames, uneven, 0.1)
    assert count(path) == COUNT


def opened_gop(folder: Path, frames: list[NDArray[np.uint8]]) -> Path:
    """Cut a clip at a frame whose neighbours refer to frames before it, as cutters do."""
    whole, path = folder / "whole.mp4", folder / "cut.mp4"
    with av.open(str(whole), "w") as file:
        options = {"x264-params": "keyint=8:min-keyint=8:open-gop=1:scenecut=0:bframes=3"}
        stream = file.add_stream("libx264", rate=25, options=options)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode(None))
    with av.open(str(whole)) as given, av.open(str(path), "w") as file:
        stream, keys = file.add_stream_from_template(given.streams.video[0]), 0
        for packet in given.demux(video=0):
            keys += packet.is_keyframe
            if packet.dts is not None and keys > 1:
                packet.stream = stream
                file.mux(packet)
    return path


def test_a_clip_that_was_cut_properly_is_whole(tmp_path: Path, passing: Scene) -> None:
    path = opened_gop(tmp_path, passing.frames)
    assert 0 < count(path) < COUNT
    assert Clip.open(path, damaged="keep").numbers is None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -5.0, 1e15, 0.0])
def test_an_absurd_duration_is_not_believed(tmp_path: Path, passing: Scene, value: float) -> None:
    import struct

    path = write_clip(tmp_path / "clip.mkv", passing.frames)
    content = bytearray(path.read_bytes())
    place = content.index(b"\x44\x89\x88") + 3
    content[place : place + 8] = struct.pack(">d", value)
    path.write_bytes(bytes(content))
    assert count(path) == COUNT


def number(path: Path, box: bytes, offset: int, value: int) -> Path:
    """Overwrite a number of 32 bits in a box of an MP4."""
    content = bytearray(path.read_bytes())
    place = content.index(box) + offset
    content[place : place + 4] = value.to_bytes(4, "big")
    path.write_bytes(bytes(content))
    return path


@pytest.mark.parametrize(
    ("box", "offset", "value"),
    [
        *[(b"mdhd", 16, value) for value in (0, 1, 2**31 - 1, 2**32 - 1)],
        *[(b"stts", 16, value) for value in (0, 2**31 - 1, 2**32 - 1)],
        *[(b"stts", 12, value) for value in (0, 1_000_000, 2**32 - 1)],
        *[(b"stsz", 12, value) for value in (0, 1_000_000, 2**32 - 1)],
    ],
)
def test_absurd_numbers_never_lose_frames_untold(
    tmp_path: Path, passing: Scene, inpainter: Inpainter, box: bytes, offset: int, value: int
) -> None:
    clip = number(make("mp4", tmp_path, passing), box, offset, value)
    try:
        filled = video(clip, passing.holes[0], tmp_path / "out.mp4", inpainter=inpainter)
    except FreefillError:
        assert not (tmp_path / "out.mp4").exists()
        return
    assert count(filled.path) == filled.frames
    assert filled.frames == COUNT or any("cut away" in line for line in filled.notices)


def test_gifs_that_are_read_in_part_are_found(tmp_path: Path) -> None:
    # Without delays, which FFmpeg's reader takes for its end.
    noise = np.random.default_rng(0).integers(0, 255, (4, 64, 64, 3), np.uint8)
    one, *others = (Image.fromarray(frame) for frame in noise)
    one.save(tmp_path / "clip.gif", save_all=True, append_images=others)
    with pytest.raises(VideoError, match="1 of 4 frames can be decoded"):
        count(tmp_path / "clip.gif")


@pytest.mark.parametrize(
    ("codec", "pixels", "said"),
    [("ffv1", "yuva420p", True), ("ffv1", "yuv444p", False), ("ffv1", "bgr0", False)],
)
def test_alpha_that_is_lost_is_said(
    tmp_path: Path, passing: Scene, codec: str, pixels: str, said: bool
) -> None:
    path = write_clip(tmp_path / "clip.mkv", passing.frames[:2], codec=codec, pixels=pixels)
    assert any("alpha" in line for line in Clip.open(path).notices) == said


def test_alpha_beside_the_frames_of_webm_is_said(tmp_path: Path, passing: Scene) -> None:
    plain = write_clip(tmp_path / "plain.webm", passing.frames[:2], codec="libvpx-vp9")
    path = tmp_path / "alpha.webm"
    with av.open(str(plain)) as given, av.open(str(path), "w") as file:
        stream = file.add_stream_from_template(given.streams.video[0])
        stream.metadata["alpha_mode"] = "1"
        for packet in given.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                file.mux(packet)
    assert not any("alpha" in line for line in Clip.open(plain).notices)
    assert any("alpha" in line for line in Clip.open(path).notices)


def test_checksums_are_those_of_ffv1(tmp_path: Path, passing: Scene) -> None:
    path = write_clip(tmp_path / "clip.mkv", passing.frames[:3])
    with av.open(str(path)) as file:
        found = [bytes(packet) for packet in file.demux(video=0) if packet.size]
    assert all(slices_fit(packet) for packet in found)
    for place in (0, len(found[0]) // 2, len(found[0]) - 1):
        wrong = bytearray(found[0])
        wrong[place] ^= 1
        assert not slices_fit(bytes(wrong))
    assert not slices_fit(b"")
    assert not slices_fit(found[0][:-1])


@pytest.mark.parametrize("kind", ["mkv", "avi", "webm"])
def test_a_container_is_whole_up_to_its_last_byte(
    tmp_path: Path, passing: Scene, kind: str
) -> None:
    path = make(kind, tmp_path, passing)
    name = "avi" if kind == "avi" else "matroska,webm"
    assert broken(path, name) is None
    content = path.read_bytes()
    path.write_bytes(content + b"more")
    assert broken(path, name) is None
    path.write_bytes(content[:-1])
    words = f"it has {len(content) - 1} of the {len(content)} bytes that it tells of"
    assert broken(path, name) == words


def test_a_matroska_that_was_written_live_tells_no_sizes(tmp_path: Path, passing: Scene) -> None:
    plain = write_clip(tmp_path / "plain.mkv", passing.frames)
    assert count(remuxed(plain, tmp_path / "live.mkv", live="1")) == COUNT


def test_an_unknown_choice_is_refused(tmp_path: Path, inpainter: Inpainter) -> None:
    with pytest.raises(VideoError, match="`damaged` is 'drop'; it must be one of refuse, keep"):
        video(tmp_path / "a.mp4", None, tmp_path / "b.mp4", damaged="drop")  # type: ignore[arg-type]


def test_a_reader_that_fails_is_an_end(tmp_path: Path, passing: Scene) -> None:
    path = write_clip(tmp_path / "clip.mkv", passing.frames)
    tally = Tally()
    with opened(path) as container:
        stream = container.streams.video[0]
        real: Callable[..., object] = container.demux

        class Failing:
            format = container.format
            duration = container.duration

            def demux(self, *streams: object) -> object:
                for number, packet in enumerate(real(*streams)):  # type: ignore[arg-type,var-annotated]
                    if number == 5:
                        raise OSError(5, "Input/output error")
                    yield packet

        frames = list(decoded(Failing(), stream, path, tally))
    assert len(frames) == 5
    assert "cannot be read to its end (Input/output error)" in str(tally)
