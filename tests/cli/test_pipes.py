"""``-``, ``--json``, ``--quiet``, ``--log-level``: freefill among other programs."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from freefill.cli import console, streams
from freefill.errors import ImageError
from freefill.types import Mask

Run = Callable[..., "subprocess.CompletedProcess[str]"]

FIELDS = ["input", "output", "status", "width", "height", "hole", "seconds", "notices", "error"]


@pytest.fixture
def place(
    tmp_path: Path, photo: NDArray[np.uint8], hole: Mask, monkeypatch: pytest.MonkeyPatch
) -> Path:
    Image.fromarray(photo).save(tmp_path / "photo.png")
    Image.fromarray(photo).save(tmp_path / "photo.jpg")
    Image.fromarray(hole.astype(np.uint8) * 255).save(tmp_path / "mask.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Any:
    """Run a command with bytes for its input; give exit code, stdout and the lines of stderr."""

    def run(content: bytes, *words: object) -> tuple[int, bytes, list[str]]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        monkeypatch.setattr(sys, "argv", ["freefill", *map(str, words)])
        capsysbinary.readouterr()
        from freefill.cli import main

        with pytest.raises(SystemExit) as stop:
            main()
        told = capsysbinary.readouterr()
        code: Any = stop.value.code
        return code or 0, told.out, told.err.decode().splitlines()

    return run


def records(out: str | bytes) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in out.splitlines()]
    for record in found:
        assert list(record)[: len(FIELDS)] == FIELDS
        assert record["status"] in ("filled", "exists", "failed", "refused")
        assert (record["error"] is None) == (record["status"] == "filled")
    return found


# --- pipes --------------------------------------------------------------------------------------


def test_a_photo_goes_through_a_pipe_as_through_files(pipe: Any, place: Path) -> None:
    for name, words in (("photo.png", ()), ("photo.jpg", ()), ("photo.jpg", ("--format", "png"))):
        content = (place / name).read_bytes()
        out = place / f"out{(words[1:] and '.png') or Path(name).suffix}"
        code, piped, told = pipe(content, "fill", "-", "-m", "mask.png", "-o", "-", *words)
        assert (code, len(told)) == (0, 1)
        assert told[0].startswith("freefill: -: 120x96, ")
        pipe(b"", "fill", name, "-m", "mask.png", "-o", out, "--overwrite")
        assert piped == out.read_bytes()
    assert not (place / "-").exists()


def test_each_side_can_be_a_file(pipe: Any, place: Path) -> None:
    whole = place / "whole.png"
    assert pipe(b"", "fill", "photo.png", "-m", "mask.png", "-o", whole)[0] == 0
    photo, mask = (place / "photo.png").read_bytes(), (place / "mask.png").read_bytes()
    code, out, told = pipe(photo, "fill", "-", "-m", "mask.png", "-o", "a.png")
    assert (code, told) == (0, [])
    assert out.startswith(b"a.png: 120x96, ")
    assert (place / "a.png").read_bytes() == whole.read_bytes()
    code, out, _ = pipe(mask, "fill", "photo.png", "-m", "-", "-o", "-", "--quiet")
    assert (code, out) == (0, whole.read_bytes())
    # One mask from a pipe for a folder of photos.
    (place / "in").mkdir()
    for name in "ab":
        shutil.copy("photo.png", place / "in" / f"{name}.png")
    assert pipe(mask, "fill", "in", "-m", "-", "-o", "out")[0] == 0
    assert (place / "out/b.png").read_bytes() == (place / "out/a.png").read_bytes()


def test_tasks_go_through_pipes(pipe: Any, place: Path) -> None:
    content = (place / "photo.jpg").read_bytes()
    code, piped, told = pipe(content, "uncrop", "-", "--right", "8", "-o", "-")
    assert code == 0, told
    assert pipe(b"", "uncrop", "photo.jpg", "--right", "8", "-o", "b.jpg")[0] == 0
    assert piped == (place / "b.jpg").read_bytes()
    mask = (place / "mask.png").read_bytes()
    assert pipe(mask, "recompose", "photo.png", "-m", "-", "--by", "4,0", "-o", "c.png")[0] == 0
    assert (place / "c.png").exists()


def test_what_a_pipe_cannot_be_is_one_line(
    pipe: Any, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = ("fill", "-", "-m", "mask.png", "-o")
    (place / "folder").mkdir()
    content = (place / "photo.png").read_bytes()
    monkeypatch.setattr(streams, "MARGIN", 100)
    for words, said in (
        ((b"", *work, "new.png"), "standard input is empty"),
        ((b"no photo", *work, "new.png"), "standard input is not an image"),
        ((content[:80], *work, "new.png"), "standard input cannot be read"),
        ((content, *work, "folder"), "has no name"),
        ((content, "fill", "-", "photo.png", "-m", "mask.png", "-o", "new"), "has no name"),
        ((content, "fill", "-", "-o", "new.png"), "standard input has no mask beside it"),
        ((content, *work, "-", "--format", "xyz"), "--format 'xyz'"),
        ((content, *work, "-", "--sheet", "s.png"), "--sheet reads photo and result from files"),
        ((content, *work, "-", "--json"), "--json and --out - both want standard output"),
        ((content, "uncrop", "-", "--left", "4", "-o", "-", "--json"), "both want standard output"),
        ((content, "stitch", "-", "-", "-o", "new.png"), "- is given 2 times"),
        ((content, *work, "new.png", "--max-pixels", "99"), "more than a photo of 99 pixels can"),
    ):
        code, out, told = pipe(*words)
        assert code == 2, words[1:]
        assert len(told) == 1
        assert told[0].startswith("freefill: error: ")
        assert said in told[0]
        assert out == b"" or records(out)
    assert sorted(path.name for path in place.iterdir()) == [
        "folder", "mask.png", "photo.jpg", "photo.png",
    ]  # fmt: skip


def test_a_terminal_is_no_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdout", Terminal())
    with pytest.raises(Exception, match="which is a terminal"):
        streams.check(["a.png"], Path("-"))
    monkeypatch.setattr(sys, "stdin", Terminal())
    with pytest.raises(Exception, match="nothing is piped into it"):
        streams.check(["-"], Path("a.png"))


def test_reading_stops_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            return len(buffer)

    endless = io.TextIOWrapper(io.BufferedReader(Endless()))
    monkeypatch.setattr(sys, "stdin", endless)
    monkeypatch.setattr(streams, "MARGIN", 5_000_000)
    with pytest.raises(ImageError, match="more than 5 MB, which is more than a photo of 1,000 "):
        streams.read(1000)


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of Unix")
@pytest.mark.parametrize(
    "words",
    [
        "fill --help",
        "fill photo.png -m mask.png -o -",
        "weights list",
        "fill in -m mask.png -o out --json",
    ],
)
def test_a_reader_that_ends_is_no_error(place: Path, words: str) -> None:
    (place / "in").mkdir()
    shutil.copy("photo.png", place / "in" / "a.png")
    # Nobody has the other end from the beginning: no race with who reads.
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ran = subprocess.run(
            [sys.executable, "-m", "freefill", *words.split()],
            stdout=writing, stderr=subprocess.PIPE, text=True, timeout=120, check=False,
        )  # fmt: skip
    finally:
        os.close(writing)
    assert (ran.returncode, ran.stderr) == (141, "")


# --- records ------------------------------------------------------------------------------------


def test_a_line_of_json_for_each_photo(command: Run, place: Path, hole: Mask) -> None:
    (place / "in").mkdir()
    for name in ("a.png", "b.png", "c.png"):
        shutil.copy("photo.png", place / "in" / name)
    (place / "in" / "c.png").write_bytes(b"no photo")
    (place / "out").mkdir()
    (place / "out" / "b.png").write_bytes(b"mine")
    ran = command("fill", "in", "-m", "mask.png", "-o", "out", "--json")
    assert ran.returncode == 1
    a, b, c = records(ran.stdout)
    assert (a["input"], a["output"]) == ("in/a.png", "out/a.png")
    assert [one["status"] for one in (a, b, c)] == ["filled", "exists", "refused"]
    assert (a["width"], a["height"], a["hole"]) == (120, 96, round(float(hole.mean()), 6))
    assert a["seconds"] > 0
    assert a["notices"] == []
    assert b["error"] == "out/b.png exists: --overwrite replaces it"
    assert "in/c.png is not an image" in c["error"]
    assert c["width"] is c["hole"] is None
    # What is for people is on the other stream.
    assert "1 filled in " in ran.stderr


def test_what_the_system_failed_at_may_be_tried_again(
    command: Run, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "in").mkdir()
    shutil.copy("photo.png", place / "in" / "a.png")

    def full(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("freefill.batch.local_files.fill_to_file", full)
    ran = command("fill", "in", "-m", "mask.png", "-o", "out", "--json")
    assert [one["status"] for one in records(ran.stdout)] == ["failed"]


def test_one_photo_has_a_record_whatever_becomes_of_it(command: Run, place: Path) -> None:
    for words, code, status in (
        (("fill", "photo.png", "-m", "mask.png", "-o", "a.png", "--explain"), 0, "filled"),
        (("fill", "photo.png", "-m", "mask.png", "-o", "a.png"), 2, "exists"),
        (("fill", "photo.png", "-m", "photo.jpg", "-o", "b.png"), 2, "refused"),
        (("fill", "none.png", "-m", "mask.png", "-o", "b.png"), 2, "refused"),
        (("uncrop", "photo.png", "--left", "4", "-o", "c.png"), 0, "filled"),
        (("uncrop", "photo.png", "--left", "4", "-o", "c.png"), 2, "exists"),
        (("uncrop", "photo.png", "-o", "d.png"), 2, "refused"),
        (("uncrop", "none.png", "--left", "4", "-o", "d.png"), 2, "refused"),
    ):
        ran = command(*words, "--json")
        assert ran.returncode == code, ran.stderr
        (record,) = records(ran.stdout)
        assert record["status"] == status, words
        if code:
            assert f"freefill: error: {record['error']}" in ran.stderr
        if record["input"] is not None:
            assert (record["input"], record["output"]) == (words[1], words[words.index("-o") + 1])
        assert ("plan" in record) == ("--explain" in words)


def test_notices_are_in_the_record(command: Run, place: Path, photo: NDArray[np.uint8]) -> None:
    Image.fromarray(photo).save(
        "twice.gif", save_all=True, append_images=[Image.new("RGB", (120, 96))]
    )
    ran = command("fill", "twice.gif", "-m", "mask.png", "-o", "a.png", "--json")
    (record,) = records(ran.stdout)
    assert record["notices"][0] == "twice.gif has 2 frames: only the first is used"
    assert [f"freefill: {line}" for line in record["notices"]] == ran.stderr.splitlines()[:-1]
    ran = command("uncrop", "twice.gif", "--left", "4", "-o", "b.png", "--json", "--quiet")
    (record,) = records(ran.stdout)
    assert "twice.gif has 2 frames: only the first is used" in record["notices"]
    assert ran.stderr == ""


def test_a_batch_tells_what_its_manifest_does(command: Run, place: Path) -> None:
    (place / "in").mkdir()
    shutil.copy("photo.png", place / "in" / "a.png")
    (place / "in" / "b.png").write_bytes(b"no photo")
    ran = command("batch", "in", "out", "-m", "mask.png", "--json", "--workers", "1")
    assert ran.returncode == 1, ran.stderr
    a, b = records(ran.stdout)
    assert (a["input"], a["output"], a["status"], a["width"]) == ("a.png", "a.png", "filled", 120)
    assert (b["input"], b["output"], b["status"]) == ("b.png", None, "refused")
    from freefill.batch.distributed import manifest

    (part,) = manifest.parts(str(place / "out"))
    told = manifest.rows_of(str(place / "out"), part.removesuffix(".parquet"))
    assert [row["error"] for row in told] == [None, b["error"]]


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes")
def test_names_that_no_encoding_holds_are_records(cli: Run, place: Path) -> None:
    name = "bad\udcff\n\x1b.png"
    shutil.copy("photo.png", place / name)
    ran = cli("fill", name, "-m", "mask.png", "-o", "a.png", "--json", "--quiet", cwd=place)
    assert (ran.returncode, ran.stderr) == (0, "")
    (record,) = records(ran.stdout)
    assert record["input"] == name
    assert ran.stdout.isascii()


# --- how much is printed ------------------------------------------------------------------------


def test_quiet_leaves_errors_and_answers(command: Run, place: Path) -> None:
    for words in (("--quiet", "fill"), ("fill", "-q"), ("--quiet", "fill", "--quiet")):
        ran = command(*words, "photo.png", "-m", "mask.png", "-o", "a.png", "--overwrite")
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    ran = command("fill", "photo.png", "-m", "mask.png", "-o", "a.png", "--quiet")
    assert ran.returncode == 2
    assert ran.stderr == "freefill: error: a.png exists: --overwrite replaces it\n"
    assert "light" in command("weights", "list", "--quiet").stdout
    # The next command of a process is not quiet.
    assert command("fill", "photo.png", "-m", "mask.png", "-o", "b.png").stdout


def test_the_log_tells_how_each_photo_is_filled(command: Run, cli: Run, place: Path) -> None:
    work = ("fill", "photo.png", "-m", "mask.png", "-o", "a.png", "--overwrite")
    assert command(*work).stderr == ""
    # In a process of its own, where stderr is kept from libraries while it fills.
    ran = cli(*work, "--log-level", "debug", cwd=place)
    assert ran.returncode == 0, ran.stderr
    lines = ran.stderr.splitlines()
    assert all(line.startswith("freefill: debug: ") for line in lines)
    assert any("photo.png: hole 66x49 " in line and "seen with its" in line for line in lines), (
        lines
    )
    assert command("--log-level", "info", *work).stderr == ""
    ran = command("uncrop", "photo.png", "--left", "4", "-o", "b.png", "--log-level", "debug")
    assert "freefill: debug: " in ran.stderr
    assert "Invalid value for '--log-level'" in command(*work, "--log-level", "loud").stderr


def test_libraries_in_c_are_silenced_and_this_program_is_not(place: Path) -> None:
    code = (
        "import os, sys; from freefill.cli.console import quiet_libraries, print_notice\n"
        "with quiet_libraries():\n"
        "  os.write(2, b'TIFFReadDirectory: odd\\n'); print_notice('one')\n"
        "print_notice('two'); os.write(2, b'three\\n')"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stderr == "freefill: one\nfreefill: two\nthree\n"


def test_the_library_logs_nothing_until_it_is_asked(tmp_path: Path) -> None:
    code = (
        "import logging, freefill; log = logging.getLogger('freefill.anything')\n"
        "log.error('lost'); logging.basicConfig(level='DEBUG', format='%(name)s %(message)s')\n"
        "log.error('seen')"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stderr == "freefill.anything seen\n"


def test_log_lines_are_clean(capsys: pytest.CaptureFixture[str]) -> None:
    import logging

    handler = console.LogLines()
    handler.emit(logging.LogRecord("a", logging.INFO, "", 0, "a\n%s", ("\x1b[2J",), None))
    assert capsys.readouterr().err == "freefill: info: a \\x1b[2J\n"
