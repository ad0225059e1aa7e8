"""Where the result of a clip goes: one run at a time, and whole or not at all."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import pytest
from clips import Scene, scene, write_clip, write_masks
from test_video_resume import ARGUMENTS, Run, start, wait_for_frames

from freefill.errors import VideoError
from freefill.pipeline.inpainter import Inpainter
from freefill.tasks import video
from freefill.video.opening import Content
from freefill.video.patches import Folder
from freefill.video.reading import Clip
from freefill.video.writing import write_clip as encode


@pytest.fixture(scope="module")
def moving(examples: Path) -> Scene:
    return scene(examples / "pagoda.jpg", pan=2, speed=3, count=10)


@pytest.fixture
def place(tmp_path: Path, moving: Scene, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a clip and its masks."""
    write_clip(tmp_path / "clip.mkv", moving.frames, sound=True)
    write_masks(tmp_path / "masks", moving.holes)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("more", [(), ("--overwrite",), ("--grow", "3", "--overwrite")])
def test_two_runs_do_not_write_one_result(place: Path, command: Run, more: tuple[str, ...]) -> None:
    first = start(place)
    wait_for_frames(first, place, 2)
    first.send_signal(signal.SIGSTOP)
    before = {path: path.read_bytes() for path in (place / "out.mp4.partial").iterdir()}
    try:
        ran = command(*ARGUMENTS, *more)
        assert ran.returncode == 2, ran.stderr
        (line,) = ran.stderr.splitlines()
        assert "out.mp4.partial: another process is making the same file" in line
        assert {p: p.read_bytes() for p in (place / "out.mp4.partial").iterdir()} == before
        # Beside it, another result may be made.
        ran = command("video", "clip.mkv", "--mask", "masks/mask0.png", "--out", "other.mp4")
        assert ran.returncode == 0, ran.stderr
    finally:
        first.kill()
        first.communicate(timeout=60)
    # What is killed holds no lock.
    ran = command(*ARGUMENTS, *more)
    assert ran.returncode == 0, ran.stderr
    assert Clip.open(place / "out.mp4").guess == 10
    assert not (place / "out.mp4.partial").exists()


def test_a_run_that_is_refused_leaves_the_lock_free(place: Path, inpainter: Inpainter) -> None:
    with (
        Folder.locked(place / "out.mp4.partial", {"a": 1}),
        pytest.raises(VideoError, match="another process"),
        Folder.locked(place / "out.mp4.partial", {"a": 1}),
    ):
        pass
    with (
        pytest.raises(VideoError, match="another a"),
        Folder.locked(place / "out.mp4.partial", {"a": 2}),
    ):
        pass
    with Folder.locked(place / "out.mp4.partial", {"a": 2}, overwrite=True) as folder:
        assert folder.read("run") == {"a": 2}
        folder.remove()
    assert not (place / "out.mp4.partial").exists()


# A disk that is full, as far as one process can have one of its own: no file may become longer.
FULL = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
from freefill.cli import main
main()
"""


@pytest.mark.parametrize(
    ("limit", "name"), [(100, "run.json"), (1000, "frame-0"), (8_000, "encoded.mp4")]
)
def test_a_full_disk_is_one_line(place: Path, command: Run, limit: int, name: str) -> None:
    run = [sys.executable, "-c", FULL.format(limit=limit), *ARGUMENTS]
    ran = subprocess.run(run, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 2, ran.stderr
    (line,) = ran.stderr.splitlines()
    assert name in line
    assert "cannot be written: File too large" in line
    assert not (place / "out.mp4").exists()
    left = [path.name for path in place.glob("out.mp4.partial/*")]
    assert not [name for name in left if "encoded" in name or name.endswith(".partial")]
    # With room, the same command goes on.
    ran = command(*ARGUMENTS)
    assert ran.returncode == 0, ran.stderr
    assert len(list(Clip.open(place / "out.mp4").frames())) == 10


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_no_space_left_is_said(place: Path) -> None:
    os.symlink("/dev/full", "full.mp4")
    clip = Clip.open(Path("clip.mkv"))
    with pytest.raises(VideoError, match=r"full\.mp4 cannot be written: No space left.*make room"):
        encode(clip, Path("full.mp4"), clip.frames(), lossless=False)


def test_what_stops_a_write_is_not_lost() -> None:
    class Stopping(BytesIO):
        def write(self, content: object) -> int:
            raise KeyboardInterrupt

    content = Content(Stopping())
    with pytest.raises(OSError, match="stopped"):
        content.write(b"")
    assert isinstance(content.error, KeyboardInterrupt)


@pytest.mark.parametrize("kind", ["fifo", "device", "folder", "missing", "nowhere"])
def test_what_cannot_be_a_result(place: Path, inpainter: Inpainter, kind: str) -> None:
    out = place / "out.mp4"
    if kind == "fifo":
        os.mkfifo(out)
    elif kind == "device":
        out.symlink_to("/dev/null")
    elif kind == "folder":
        out.mkdir()
    elif kind == "missing":
        out = place / "missing" / "out.mp4"
    else:
        out.symlink_to(place / "missing" / "out.mp4")
    before = sorted(place.iterdir())
    with pytest.raises(VideoError, match=r"cannot be written: (it is|the folder)"):
        video("clip.mkv", "masks", out, inpainter=inpainter, overwrite=True)
    assert sorted(place.iterdir()) == before


def test_a_link_is_followed_and_a_mode_kept(place: Path, inpainter: Inpainter) -> None:
    (place / "elsewhere").mkdir()
    real = place / "elsewhere" / "real.data"
    real.write_bytes(b"old")
    real.chmod(0o640)
    link = place / "out.mp4"
    link.symlink_to(real)
    filled = video("clip.mkv", "masks/mask0.png", link, inpainter=inpainter, overwrite=True)
    assert filled.path == link
    assert link.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert len(list(Clip.open(real).frames())) == 10
    assert [path.name for path in (place / "elsewhere").iterdir()] == ["real.data"]


def test_a_result_that_cannot_be_read_is_none(place: Path, examples: Path) -> None:
    many = scene(examples / "pagoda.jpg", pan=1, speed=2, count=48)
    clip = Clip.open(write_clip(place / "plain.mp4", many.frames, codec="libx264"))
    # So short that MP4, whose edits count in milliseconds, hides all of it.
    short = replace(clip, time_base=Fraction(1, 2**31 - 1))
    with pytest.raises(VideoError, match=r"cannot be put into \.mp4: \d+ of 48 frames"):
        encode(short, place / "out.mp4", clip.frames(), lossless=False)
