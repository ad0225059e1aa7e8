"""``freefill pack`` as people use it: the summary, Ctrl-C, kill -9."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from PIL import Image

from freefill.cli.pack import lines_of_progress
from freefill.lab.data.packing.run import Progress

Run = Callable[..., "CompletedProcess[str]"]

# As from a terminal, also where the tests run in the background, with SIGINT ignored.
INTERRUPTIBLE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from freefill.cli import main
main()
"""
COUNT = 120
ARGUMENTS = ["pack", "in", "out", "--per-shard", "5", "--keep-duplicates", "--size", "300"]


def tree(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def link(folder: Path, examples: Path) -> None:
    (folder / "in").mkdir()
    for number in range(COUNT):
        (folder / "in" / f"{number}.jpg").symlink_to(examples / "galaxies.jpg")


@pytest.fixture
def many(examples: Path, tmp_path: Path) -> Path:
    link(tmp_path, examples)
    return tmp_path


@pytest.fixture(scope="module")
def whole(examples: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a run makes that nobody stops."""
    folder = tmp_path_factory.mktemp("whole")
    link(folder, examples)
    ran = subprocess.run([sys.executable, "-m", "freefill", *ARGUMENTS], cwd=folder, check=False)
    assert ran.returncode == 0
    return tree(folder / "out")


def stopped_in_the_middle(
    folder: Path, stop: Callable[[subprocess.Popen[str]], None]
) -> tuple[int, str]:
    """Start packing, stop it when some shards are there, and give exit code and stderr."""
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, *ARGUMENTS, "--workers", "2"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 60
        while not (folder / "out/shard-000003.tar").exists() and time.monotonic() < deadline:
            time.sleep(0.005)
        stop(process)
        # The pipes are closed when the workers have ended, too.
        _, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    assert not (folder / "out/index.json").exists(), "it was stopped too late"
    return process.returncode, stderr


def test_ctrl_c_says_how_to_go_on_and_the_result_is_the_same(
    cli: Run, many: Path, whole: dict[str, bytes]
) -> None:
    # A terminal sends it to all processes.
    code, stderr = stopped_in_the_middle(many, lambda p: os.killpg(p.pid, signal.SIGINT))
    assert code == 130
    (line,) = stderr.splitlines()
    assert line.startswith("freefill: stopped: ")
    kept = int(line.split(", ")[1].split(" ")[0])
    assert 20 <= kept < COUNT
    assert kept % 5 == 0
    assert f"of {COUNT} files" in line
    assert [p.name for p in (many / "out").glob(".*")] in ([], [".pack.lock"])
    goes_on(cli, many, whole, kept)


def test_kill_9_loses_nothing_and_the_result_is_the_same(
    cli: Run, many: Path, whole: dict[str, bytes]
) -> None:
    code, _ = stopped_in_the_middle(many, lambda p: p.kill())
    assert code == -signal.SIGKILL
    goes_on(cli, many, whole, None)


def goes_on(cli: Run, folder: Path, whole: dict[str, bytes], kept: int | None) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in (folder / "out").glob("shard-*.tar")}
    ran = cli(*ARGUMENTS, cwd=folder)
    assert ran.returncode == 0, ran.stderr
    assert f"{COUNT} packed into 24 shards" in ran.stdout
    if kept is not None:
        assert f"going on from {kept} of {COUNT}" in ran.stderr
    for number in range(3):
        name = f"shard-{number:06}.tar"
        assert (folder / "out" / name).stat().st_mtime_ns == before[name], "made a second time"
    assert tree(folder / "out") == whole


def test_summary_broken_files_and_a_second_call(
    command: Run, examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    photos = tmp_path / "in"
    photos.mkdir()
    for path in examples.glob("*.jpg"):
        shutil.copy(path, photos)
    with Image.open(examples / "galaxies.jpg") as image:
        image.resize((300, 262)).save(photos / "smaller.png")
    (photos / "broken.jpg").write_bytes((examples / "coffee.jpg").read_bytes()[:5000])
    ran = command("pack", "in", "out", "--workers", 1)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("12 packed into 1 shard of ")
    assert "MB in all, 1 duplicate, 1 broken (out/report.csv says why), " in ran.stdout
    assert "photos/s" in ran.stdout
    again = command("pack", "in", "out")
    assert again.returncode == 0
    assert "out is packed already: --overwrite packs it anew" in again.stderr
    assert again.stdout.startswith("12 packed into 1 shard of ")
    assert "photos/s" not in again.stdout
    other = command("pack", "in", "out", "--size", 256)
    assert other.returncode == 2
    (line,) = other.stderr.splitlines()
    assert "--size 512, not --size 256" in line


def test_a_bar_is_drawn_on_a_terminal(
    command: Run, examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    ran = command("pack", examples, tmp_path / "out", "--workers", 1)
    assert ran.returncode == 0, ran.stderr
    assert "packing" in ran.stderr
    found = re.sub("\x1b\\[[0-9;?]*[A-Za-z]", "", ran.stderr)
    assert "12/12" in found
    assert "0 duplicates" in found


def test_lines_of_progress_tell_speed_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    said: list[str] = []
    show, listing = lines_of_progress(0, said.append)
    listing(10_000)
    now = 40
    listing(20_000)
    now = 50
    for done in range(1000, 12_000, 1000):
        # Ten seconds for a thousand files.
        show(Progress(done, 13_000, 1000, done - 30, 20, 10, 1000))
        now += 10
    assert said == [
        "listing: 20000 photos so far",
        "going on from 1000 of 13000 files",
        "3000/13000 files  2970 packed  20 duplicates  10 broken  100 photos/s  ETA 1:40",
        "6000/13000 files  5970 packed  20 duplicates  10 broken  100 photos/s  ETA 1:10",
        "9000/13000 files  8970 packed  20 duplicates  10 broken  100 photos/s  ETA 0:40",
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing", "out"], "nothing is not a folder"),
        (["in", "in/out"], "lies in"),
        (["in", "out", "--smallest", "600"], "--smallest 600 is more than --size 512"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_refused_in_one_line(
    command: Run,
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    ran = command("pack", *arguments)
    assert ran.returncode == 2
    (line,) = ran.stderr.splitlines()
    assert line.startswith("freefill: error: ")
    assert words in line
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["in"]


def test_nothing_heavy_is_loaded() -> None:
    code = (
        "import sys, freefill.cli.pack, freefill.lab.data.packing.run\n"
        "print([n for n in ('torch', 'onnxruntime', 'imagehash', 'scipy') if n in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
