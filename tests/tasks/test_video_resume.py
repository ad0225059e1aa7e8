"""Clips on the command line: stopped, killed and taken up again; what is said."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from clips import scene, write_clip, write_masks

from freefill.errors import VideoError
from freefill.pipeline.inpainter import Inpainter
from freefill.tasks import video

Run = Callable[..., "subprocess.CompletedProcess[str]"]
ARGUMENTS = ("video", "clip.mkv", "--mask", "masks", "--out", "out.mp4", "--window", "3")


@pytest.fixture
def place(tmp_path: Path, examples: Path) -> Path:
    """A folder with a clip whose camera moves, and its masks."""
    moving = scene(examples / "pagoda.jpg", pan=2, speed=3, count=10)
    write_clip(tmp_path / "clip.mkv", moving.frames, sound=True)
    write_masks(tmp_path / "masks", moving.holes)
    return tmp_path


# As from a terminal, also where the tests run in the background, with SIGINT ignored.
MAIN = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from freefill.cli import main
main()
"""


def start(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", MAIN, *ARGUMENTS]
    return subprocess.Popen(
        command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def wait_for_frames(run: subprocess.Popen[str], folder: Path, count: int) -> None:
    """Wait until a run has kept so many frames."""
    limit = time.monotonic() + 60
    while len(list((folder / "out.mp4.partial").glob("frame-*.npz"))) < count:
        assert run.poll() is None, run.communicate()
        assert time.monotonic() < limit
        time.sleep(0.005)


def test_stopped_and_killed_it_gives_the_file_of_an_undisturbed_run(
    place: Path, command: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start(place)
    wait_for_frames(run, place, 2)
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 130, err
    assert out == ""
    (line,) = err.splitlines()
    assert "out.mp4.partial keeps them" in line
    assert "the same command goes on" in line
    assert not (place / "out.mp4").exists()
    kept = sorted((place / "out.mp4.partial").glob("frame-*.npz"))
    stamps = {path: path.stat().st_mtime_ns for path in kept}

    run = start(place)
    wait_for_frames(run, place, len(kept) + 3)
    run.kill()
    run.communicate(timeout=60)
    assert {path: path.stat().st_mtime_ns for path in kept} == stamps
    assert not (place / "out.mp4").exists()
    # What a kill leaves of a file that was being written is no file of the run.
    (place / "out.mp4.partial" / ".frame-000009.99.partial").write_bytes(b"half")
    # And a disk that loses power may leave one that is damaged.
    kept[1].write_bytes(kept[1].read_bytes()[:40])

    monkeypatch.chdir(place)
    ran = command(*ARGUMENTS)
    assert ran.returncode == 0, ran.stderr
    assert "10 frames of 128x96" in ran.stdout
    assert not (place / "out.mp4.partial").exists()
    taken_up = (place / "out.mp4").read_bytes()
    ran = command(*ARGUMENTS, "--overwrite")
    assert ran.returncode == 0, ran.stderr
    assert (place / "out.mp4").read_bytes() == taken_up


def test_another_run_is_not_mixed_in(place: Path, inpainter: Inpainter) -> None:
    class StopError(Exception):
        pass

    def stop(stage: str, done: int, total: int) -> None:
        if stage == "filling" and done == 3:
            raise StopError

    clip, masks, out = place / "clip.mkv", place / "masks", place / "out.mp4"
    with pytest.raises(StopError):
        video(clip, masks, out, inpainter=inpainter, progress=stop, window=2)
    folder = place / "out.mp4.partial"
    before = sorted(folder.iterdir())
    with pytest.raises(VideoError, match=r"another option.*`overwrite=True`"):
        video(clip, masks, out, inpainter=inpainter, window=3)
    os.utime(masks / "mask3.png", (1, 1))
    with pytest.raises(VideoError, match=r"another mask.*`overwrite=True`"):
        video(clip, masks, out, inpainter=inpainter, window=2)
    assert sorted(folder.iterdir()) == before
    with pytest.raises(StopError):
        video(clip, masks, out, inpainter=inpainter, progress=stop, window=3, overwrite=True)
    assert folder.is_dir()


def test_a_folder_of_something_else_is_left_alone(place: Path, inpainter: Inpainter) -> None:
    folder = place / "out.mp4.partial"
    folder.mkdir()
    (folder / "letter.txt").write_text("mine")
    with pytest.raises(VideoError, match="something else"):
        video(
            place / "clip.mkv",
            place / "masks",
            place / "out.mp4",
            inpainter=inpainter,
            overwrite=True,
        )
    assert [path.name for path in folder.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--box", "1,2,3"), ("--box", "LEFT,TOP,RIGHT,BOTTOM")),
        (("--box", "100,20,140,60"), ("128x96", "100,20,140,60")),
        (("--box", "10,10,14,60"), ("4x50", "8x8")),
        ((), ("either --mask, or a --box",)),
        (("--mask", "nothing.png"), ("nothing.png",)),
    ],
)
def test_bad_input_is_one_line(
    place: Path, command: Run, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    given = [place / a if a.endswith("png") else a for a in arguments]
    ran = command("video", place / "clip.mkv", "--out", place / "new.mp4", *given)
    assert ran.returncode == 2, ran.stderr
    (line,) = ran.stderr.splitlines()
    assert line.startswith("freefill: error: ")
    assert all(word in line for word in words), line
    assert ran.stdout == ""
    assert not (place / "new.mp4").exists()
