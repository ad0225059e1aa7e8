"""What is opened as a clip or a mask: one file that holds its own frames, whatever its name."""

from __future__ import annotations

import os
from pathlib import Path

import av
import numpy as np
import pytest
from clips import HEIGHT, WIDTH, Scene, scene, write_clip
from PIL import Image

from freefill.errors import FreefillError, MaskError, VideoError
from freefill.pipeline.inpainter import Inpainter
from freefill.tasks import video
from freefill.video.masks import holes_of
from freefill.video.opening import opened
from freefill.video.reading import Clip

LISTS = {
    "ffconcat": "ffconcat version 1.0\nfile whole.mp4\n",
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nwhole.mp4\n#EXT-X-ENDLIST\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static">'
    '<Period><AdaptationSet mimeType="video/mp4"><Representation id="1"><BaseURL>whole.mp4'
    "</BaseURL></Representation></AdaptationSet></Period></MPD>",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    "smooth": '<SmoothStreamingMedia MajorVersion="2"><StreamIndex Type="video" Url="whole.mp4"/>'
    "</SmoothStreamingMedia>",
    "ffmetadata": ";FFMETADATA1\ntitle=whole.mp4\n",
}
ADDRESSES = (
    *("http:c.mp4", "concat:whole.mp4|b.mp4", "subfile,,start,0,end,9,,:whole.mp4", "pipe:0.mp4"),
    *("crypto:whole.mp4", "data:video,abc.mp4", "file:c.mp4", "cache:c.mp4", "tee:c.mp4"),
    *("frame%d.mp4", "frame%03d.mp4", "*.mp4", "c.mp4?x=y#z", "async:c.mp4"),
)


@pytest.fixture(scope="module")
def passing(examples: Path) -> Scene:
    return scene(examples / "coffee.jpg", pan=0, speed=3.5, count=3)


@pytest.fixture
def place(tmp_path: Path, passing: Scene, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a clip in it that lists of files name."""
    write_clip(tmp_path / "whole.mp4", passing.frames, codec="libx264")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pictures() -> list[Image.Image]:
    noise = np.random.default_rng(0).integers(0, 255, (3, HEIGHT, WIDTH, 3), np.uint8)
    return [Image.fromarray(one) for one in noise]


def write_odd(kind: str, path: Path) -> Path:
    if kind in LISTS:
        path.write_text(LISTS[kind])
    else:
        one, *others = pictures()
        one.save(path, kind, save_all=kind == "webp", append_images=others)
    return path


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip", "list.m3u8", "i%d.png"])
@pytest.mark.parametrize("kind", [*LISTS, "jpeg", "png", "webp"])
def test_what_holds_no_frames_of_its_own_is_no_clip(place: Path, kind: str, name: str) -> None:
    with pytest.raises(VideoError, match="not a clip that can be read"):
        Clip.open(write_odd(kind, Path(name)))


@pytest.mark.parametrize("kind", LISTS)
def test_lists_are_no_masks_either(place: Path, kind: str) -> None:
    clip = Clip.open(Path("whole.mp4"))
    alone = write_odd(kind, Path("mask.mp4"))
    with pytest.raises(VideoError, match="not a clip that can be read"):
        holes_of(alone, clip)
    (place / "masks").mkdir()
    for number in range(3):
        write_odd(kind, Path(f"masks/{number}.png"))
    with pytest.raises(MaskError, match=r"0\.png"):
        holes_of("masks", clip)


@pytest.mark.parametrize("name", ADDRESSES)
def test_a_name_is_a_name(place: Path, passing: Scene, inpainter: Inpainter, name: str) -> None:
    os.rename("whole.mp4", name)
    out = name.removesuffix(".mp4") + ".out.mp4"
    filled = video(name, passing.holes[0], out, inpainter=inpainter)
    assert filled.frames == 3
    assert sorted(os.listdir()) == sorted([name, out])
    assert Clip.open(Path(out)).coding == Clip.open(Path(name)).coding


@pytest.mark.parametrize("codec", ["libx264", "ffv1"])
def test_containers_that_people_have_are_opened(tmp_path: Path, passing: Scene, codec: str) -> None:
    endings = ("mkv", "avi", "nut") if codec == "ffv1" else ("mkv", "mp4", "mov", "ts", "flv")
    for ending in endings:
        path = write_clip(tmp_path / f"clip.{ending}", passing.frames, codec=codec)
        assert len(list(Clip.open(path.rename(tmp_path / "x")).frames())) == 3, ending


def test_words_in_another_encoding_are_no_fault(
    place: Path, passing: Scene, inpainter: Inpainter
) -> None:
    with av.open("whole.mp4") as given, av.open("titled.mp4", "w") as file:
        stream = file.add_stream_from_template(given.streams.video[0])
        file.metadata["title"] = "Grosse xx"
        for packet in given.demux(video=0):
            if packet.size:
                packet.stream = stream
                file.mux(packet)
    titled = Path("titled.mp4")
    titled.write_bytes(
        titled.read_bytes().replace(b"Grosse xx", "Gr\u00f6\u00dfe \u00fcber".encode("latin-1")[:9])
    )
    filled = video(titled, passing.holes[0], "out.mp4", inpainter=inpainter)
    assert filled.frames == 3


def test_pictures_that_move_are_clips(tmp_path: Path) -> None:
    for kind in ("gif", "png"):
        one, *others = pictures()
        path = tmp_path / f"clip.{kind}"
        one.save(path, save_all=True, append_images=others, duration=40)
        assert len(list(Clip.open(path).frames())) == 3, kind


def test_what_is_no_regular_file_is_refused_at_once(
    place: Path, passing: Scene, inpainter: Inpainter
) -> None:
    os.mkfifo("fifo.mp4")
    os.symlink("/dev/zero", "device.mp4")
    os.mkdir("folder.mp4")
    for name, words in (
        ("fifo.mp4", "no regular file"),
        ("device.mp4", "no regular file"),
        ("folder.mp4", "is a folder"),
        ("nothing.mp4", "does not exist"),
    ):
        with pytest.raises(VideoError, match=words):
            video(name, passing.holes[0], "out.mp4", inpainter=inpainter)
    Path("empty.mp4").touch()
    with pytest.raises(VideoError, match="it is empty"):
        video("empty.mp4", passing.holes[0], "out.mp4", inpainter=inpainter)


def widened(path: Path, sides: tuple[int, int]) -> Path:
    """Have a Matroska file tell of another size."""
    content = path.read_bytes()
    old = b"\xb0\x81" + bytes([WIDTH]) + b"\xba\x81" + bytes([HEIGHT])
    new = b"\xb0\x83" + sides[0].to_bytes(3, "big") + b"\xba\x83" + sides[1].to_bytes(3, "big")
    place = content.index(old)
    grown = bytearray(content[:place])
    # What they lie in is four bytes longer.
    for name in (b"\x18\x53\x80\x67", b"\x16\x54\xae\x6b", b"\xae", b"\xe0"):
        start = grown.rindex(name) + len(name)
        width = 9 - grown[start].bit_length()
        size = int.from_bytes(grown[start : start + width], "big") + 4
        grown[start : start + width] = size.to_bytes(width, "big")
    path.write_bytes(bytes(grown) + new + content[place + len(old) :])
    return path


@pytest.mark.parametrize("sides", [(100_000, 100_000), (8_000, 8_000), (1 << 23, 1)])
def test_frames_of_absurd_size_are_not_decoded(
    tmp_path: Path, passing: Scene, sides: tuple[int, int]
) -> None:
    path = widened(write_clip(tmp_path / "clip.mkv", passing.frames), sides)
    # What is beyond all that FFmpeg allows has no size to it.
    words = r"frames of 8000x8000, .* the limit is 99999|tells no size of its frames"
    with pytest.raises(VideoError, match=words):
        Clip.open(path, max_pixels=99999)


def test_frames_that_grow_later_are_not_decoded(tmp_path: Path, passing: Scene) -> None:
    small = write_clip(tmp_path / "small.ts", passing.frames, codec="libx264")
    large = [np.tile(frame, (8, 8, 1)) for frame in passing.frames]
    later = write_clip(tmp_path / "large.ts", large, codec="libx264")
    both = tmp_path / "both.ts"
    both.write_bytes(small.read_bytes() + later.read_bytes())
    with opened(both, 99999) as container, pytest.raises(av.error.FFmpegError):
        list(container.decode(video=0))
    with pytest.raises(VideoError, match="3 of 6 frames can be decoded"):
        list(Clip.open(both, max_pixels=99999).frames())


def test_the_limit_counts_for_masks(tmp_path: Path, passing: Scene) -> None:
    clip = Clip.open(write_clip(tmp_path / "clip.mkv", passing.frames))
    large = [np.tile(frame, (4, 4, 1)) for frame in passing.frames]
    masks = write_clip(tmp_path / "masks.mkv", large)
    with pytest.raises(FreefillError, match=r"512x384.*99999"):
        holes_of(masks, clip, fit="resize", max_pixels=99999)
