"""`freefill evaluate` and `manifest`, end to end: what a person types, sees, stops and mends."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
import torch
from PIL import Image

from freefill.lab.evaluation import runner
from freefill.lab.evaluation.protocol import PROTOCOLS, load
from freefill.weights import third_party

Run = Callable[..., "CompletedProcess[str]"]

pytestmark = pytest.mark.usefixtures("networks")
QUICK = ("--no-kid", "--fill", "mean_colour", "--protocol", "centre")
REPORT = {
    "manifest.toml", "pictures", "pictures.csv", "report.html", "report.md", "sheet.jpg",
    "table.csv", "times.csv",
}  # fmt: skip


def refused(ran: CompletedProcess[str], *words: str) -> None:
    assert ran.returncode == 2, ran.stderr
    *before, line = ran.stderr.splitlines()
    assert line.startswith("freefill: error: ")
    assert all(word in line for word in words), line
    assert not any("Traceback" in other for other in before)


def pictures(out: Path) -> dict[str, bytes]:
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in (out / "pictures").rglob("*")
        if path.is_file()
    }


def metrics(out: Path) -> set[str]:
    with (out / "table.csv").open(newline="") as file:
        return {row["metric"] for row in csv.DictReader(file)}


def test_evaluate(command: Run, photos: Path, copy: str, tmp_path: Path) -> None:
    out = tmp_path / "new/report"
    arguments = (
        *("evaluate", "--data", photos, "--out", out, "--protocol", "thin,centre"),
        *("--fill", "light, telea", "--baseline", f"copy={copy}"),
    )
    ran = command(*arguments, "--no-kid")
    assert ran.returncode == 0, ran.stderr
    assert {path.name for path in out.iterdir()} == REPORT
    *lines, last = ran.stdout.splitlines()
    assert last == f"{out}/report.html: 30 pictures made, the rest were there"
    assert len(lines) == 4
    with (out / "table.csv").open(newline="") as file:
        values = {
            (row["protocol"], row["size"], row["method"]): float(row["value"])
            for row in csv.DictReader(file)
            if row["metric"] == "lpips" and row["source"] == "all"
        }
    for line, (protocol, size) in zip(
        lines, [("thin", "64"), ("thin", "96"), ("centre", "64"), ("centre", "96")], strict=True
    ):
        told = ", ".join(
            f"{baseline} {values[protocol, size, baseline]:.4f}"
            for baseline in ("light", "telea", "copy")
        )
        assert line == f"{protocol}, {size}: LPIPS {told}"
    # Not on a terminal: a line for each protocol and baseline.
    told = [line for line in ran.stderr.splitlines() if "measuring" in line]
    assert len(told) == 6
    assert told[-1].endswith("of 30: centre, copy")
    text = (out / "report.md").read_text()
    assert "freefill evaluate --data" in text
    assert f"5 of {photos}; holes of seed 0" in text
    assert "less light's" in text
    assert not {"kid", "hole_kid"} & metrics(out)
    plan = load(out / "manifest.toml")
    assert plan.protocols == ("thin", "centre")

    before = (out / "table.csv").read_bytes()
    with_kid = command(*arguments)
    assert with_kid.returncode == 0, with_kid.stderr
    assert {"kid", "hole_kid"} <= metrics(out)
    assert "KID x1000" in (out / "report.md").read_text()
    again = command(*arguments, "--no-kid")
    assert again.returncode == 0, again.stderr
    assert again.stdout.splitlines()[-1].endswith(": 0 pictures made, the rest were there")
    assert (out / "table.csv").read_bytes() == before


def test_nothing_is_fetched_unasked(
    command: Run, photos: Path, networks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(*_: object) -> None:
        raise AssertionError("nobody asked for it")

    monkeypatch.setenv(third_party.FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setattr(third_party, "fetch", fetch)
    work = ("evaluate", "--data", photos, "--out", tmp_path / "report", *QUICK[1:])
    refused(command(*work), "lpips_alex is needed", "'freefill references lpips_alex' fetches it")
    # What is missing is said at once.
    ran = command(*work, "--fill", "migan,light")
    refused(ran, "lpips_alex and migan are needed", "'freefill references lpips_alex migan'")
    assert not (tmp_path / "report").exists()

    shutil.copy(networks / "lpips_alex.safetensors", tmp_path)
    ran = command(*work)
    assert ran.returncode == 0, ran.stderr
    assert "KID is left out: its network is not here; 'freefill references inception'" in ran.stderr
    assert not {"kid", "hole_kid"} & metrics(tmp_path / "report")
    ran = command(*work, "--no-kid")
    assert "KID" not in ran.stderr


def test_kid_is_left_out_where_there_are_too_few_photos(
    command: Run, photos: Path, networks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two of 96 pixels, and its network, which would be loaded for nothing, is not there.
    (networks / "fid_inception.pt").rename(tmp_path / "away.pt")
    out = tmp_path / "report"
    try:
        ran = command("evaluate", "--data", photos / "96", "--out", out, *QUICK[1:])
    finally:
        (tmp_path / "away.pt").rename(networks / "fid_inception.pt")
    assert ran.returncode == 0, ran.stderr
    assert "KID is left out: 2 photos of a size, 3 are the least" in ran.stderr
    assert not {"kid", "hole_kid"} & metrics(out)


def test_help_names_the_protocols(command: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("evaluate", "manifest"):
        ran = command(name, "--help")
        assert ran.returncode == 0
        text = " ".join(ran.stdout.replace("│", " ").split())
        for protocol in (p for p in PROTOCOLS if not p.startswith("ratio-")):
            assert protocol in text
        assert "ratio-1-10 to ratio-50-60" in text
        assert "'ratios'" in text
        assert "'all'" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--fill", "telea,light,telea"], ["two methods are called 'telea'"]),
        (["--fill", "telea,{folder}/telea.onnx"], ["two methods are called 'telea'"]),
        (["--baseline", "a=cp {image} {mask} {out}", "--baseline", "a=x {out}"], ["lacks {image}"]),
        (["--baseline", "a=cp {image} {mask} {out}"] * 2, ["two methods are called 'a'"]),
        (["--baseline", "truth=cp {image} {mask} {out}"], ["'truth'", "the report's own"]),
        (["--baseline", "hole=cp {image} {mask} {out}"], ["'hole'", "the report's own"]),
        (["--baseline", "..=cp {image} {mask} {out}"], ["'..'", "the report's own"]),
        (["--fill", "lama"], ["no baseline 'lama'", "there are mean_colour, telea"]),
        (["--fill", " , "], ["--fill names nothing"]),
        (["--protocol", "center"], ["no protocol 'center'", "free-form, centre"]),
        (["--protocol", ","], ["no protocol is named", "free-form, centre"]),
        (["--baseline", "a=false {image} {mask} {out}"], ["false exited with 1"]),
        (["--data", "{folder}/nothing"], ["nothing is not a folder"]),
        (["--data", "{folder}/empty"], ["empty holds no photos"]),
        (["--manifest", "{folder}/none.toml"], ["none.toml: No such file"]),
        (["--out", "{folder}/telea.onnx"], ["telea.onnx"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_refused_in_one_line(
    command: Run, photos: Path, tmp_path: Path, arguments: list[str], words: list[str]
) -> None:
    (tmp_path / "empty").mkdir()
    weights = Path(runner.__file__).parents[2] / "weights"
    shutil.copy(next(weights.rglob("light.onnx")), tmp_path / "telea.onnx")
    given = [a.replace("{folder}", str(tmp_path)) for a in arguments]
    defaults = ("--data", photos, "--out", tmp_path / "out", *QUICK)
    refused(command("evaluate", *defaults, *given), *words)
    assert not (tmp_path / "out/report.md").exists()


def test_out_is_a_file_and_the_manifest_given(command: Run, photos: Path, tmp_path: Path) -> None:
    made = command("manifest", "--data", photos, "--out", tmp_path / "test.toml")
    assert made.returncode == 0, made.stderr
    ran = command(
        *("evaluate", "--data", photos, "--out", tmp_path / "test.toml", *QUICK),
        *("--manifest", tmp_path / "test.toml"),
    )
    refused(ran, "test.toml", "Not a directory")


def test_own_manifest_grows(command: Run, own_photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "report"
    made = command(
        *("manifest", "--data", own_photos, "--out", tmp_path / "given.toml", "--seed", 5),
        *("--protocol", "centre,thin", "--source", "*street*=streets", "--source", "town_*=towns"),
    )
    assert made.returncode == 0, made.stderr
    assert made.stdout == f"{tmp_path}/given.toml: 5 photos, 2 protocols\n"
    out.mkdir()
    shutil.copy(tmp_path / "given.toml", out / "manifest.toml")
    common = ("evaluate", "--data", own_photos, "--out", out, "--no-kid", "--fill", "mean_colour")
    assert command(*common, "--protocol", "thin").returncode == 0
    before, given = pictures(out), load(out / "manifest.toml")
    assert given == load(tmp_path / "given.toml")

    # The sixth is told of, and neither it nor the report's own pictures slip in.
    Image.new("RGB", (64, 64)).save(own_photos / "64/new_1.png")
    grown = command(*common, "--protocol", "border,thin")
    assert grown.returncode == 0, grown.stderr
    assert f"photos of {own_photos} not in {out}/manifest.toml: 1; remove it" in grown.stderr
    assert grown.stdout.splitlines()[-1].endswith(": 5 pictures made, the rest were there")
    after, plan = pictures(out), load(out / "manifest.toml")
    assert {name: after[name] for name in before} == before
    assert len(after) == 2 * len(before)
    # Seed, sources and holes are those that were given.
    assert (plan.seed, plan.protocols) == (5, ("centre", "thin", "border"))
    assert [p.source for p in plan.photos] == [p.source for p in given.photos]
    assert {p.source for p in plan.photos} == {"flower", "streets", "towns"}
    for new, old in zip(plan.photos, given.photos, strict=True):
        assert (new.file, new.sha256) == (old.file, old.sha256)
        assert {k: v for k, v in new.holes.items() if k != "border"} == old.holes

    content = (out / "manifest.toml").read_bytes()
    (own_photos / "64/new_1.png").unlink()
    same = command(*common, "--protocol", "centre,border")
    assert same.returncode == 0, same.stderr
    assert "not in" not in same.stderr
    assert (out / "manifest.toml").read_bytes() == content

    changed = own_photos / "64/flower_bee.png"
    Image.new("RGB", (64, 64)).save(changed)
    refused(
        command(*common, "--protocol", "thin"),
        *("64/flower_bee.png has changed", f"{out}/manifest.toml was made of those: remove it"),
    )
    (out / "manifest.toml").unlink()
    anew = command(*common, "--protocol", "centre")
    assert anew.returncode == 0, anew.stderr
    assert load(out / "manifest.toml").seed == 0


@pytest.mark.parametrize("out", ["report", "."])
def test_report_among_the_photos(
    command: Run, own_photos: Path, monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    """Its pictures are not taken for photos, neither at once nor when the manifest grows."""
    monkeypatch.chdir(own_photos)
    common = ("evaluate", "--data", ".", "--out", out, "--no-kid", "--fill", "mean_colour")
    for number, protocol in enumerate(("centre", "thin", "thin"), 1):
        ran = command(*common, "--protocol", protocol)
        assert ran.returncode == 0, ran.stderr
        assert "not in" not in ran.stderr
        assert len(load(Path(out) / "manifest.toml").photos) == 5
        if number == 2:
            (Path(out) / "manifest.toml").unlink()
    for folder in ("64", "96"):
        shutil.rmtree(folder)
    Path(out, "manifest.toml").unlink()
    refused(command(*common, "--protocol", "thin"), "holds no photos but those of a report")


def test_given_manifest(command: Run, own_photos: Path, tmp_path: Path) -> None:
    plan, out = tmp_path / "test.toml", tmp_path / "report"
    made = command("manifest", "--data", own_photos, "--out", plan, "--protocol", "ratios,centre")
    assert made.stdout == f"{plan}: 5 photos, 7 protocols\n"
    content = plan.read_bytes()
    arguments = ("evaluate", "--data", own_photos, "--out", out, *QUICK, "--manifest", plan)
    refused(command(*arguments, "--protocol", "thin"), "no protocol 'thin'; it has ratio-1-10")
    assert command(*arguments).returncode == 0
    assert not (out / "manifest.toml").exists()
    assert plan.read_bytes() == content
    (own_photos / "64/flower_bee.png").unlink()
    refused(command(*arguments), "1 of 5 photos", "64/flower_bee.png is missing")
    plan.write_text("format = ")
    refused(command(*arguments), "is not TOML")


@pytest.mark.parametrize("source", ["a", "=a", "a=", "="])
def test_bad_source(command: Run, photos: Path, tmp_path: Path, source: str) -> None:
    plan = tmp_path / "test.toml"
    ran = command("manifest", "--data", photos, "--out", plan, "--source", source)
    refused(ran, f"--source {source}: write it as PATTERN=NAME")
    assert not plan.exists()


def test_manifest_holds_all_protocols(command: Run, photos: Path, tmp_path: Path) -> None:
    plan = tmp_path / "test.toml"
    ran = command("manifest", "--data", photos, "--out", plan, "--seed", 3)
    assert ran.returncode == 0, ran.stderr
    assert tomllib.loads(plan.read_text())["protocols"] == list(PROTOCOLS)
    assert load(plan).seed == 3
    refused(command("manifest", "--data", photos, "--out", tmp_path / "no/a.toml"), "No such file")


def test_ctrl_c(
    command: Run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "report"
    arguments = ("evaluate", "--data", photos, "--out", out, *QUICK)
    write, written = runner.write_atomically, []

    def stop(path: Path, content: bytes) -> None:
        written.append(path)
        if len(written) == 6:
            raise KeyboardInterrupt
        write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(runner, "write_atomically", stop)
        ran = command(*arguments)
    assert ran.returncode == 130
    line = ran.stderr.splitlines()[-1]
    assert line == (
        f"freefill: stopped; what is finished is in {out}, the same command goes on from there"
    )
    assert not (out / "report.md").exists()
    again = command(*arguments)
    assert again.returncode == 0, again.stderr
    # A picture and its measurement each: two were finished.
    assert again.stdout.splitlines()[-1].endswith(": 3 pictures made, the rest were there")


@pytest.mark.slow
def test_killed_and_run_again(
    command: Run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`kill -9` in the middle of a fill, and then the numbers of a run that was not killed."""
    wait, count = tmp_path / "wait", tmp_path / "count"
    script = tmp_path / "slow.py"
    script.write_text(
        "import os, shutil, sys, time\n"
        f"with open({str(count)!r}, 'a') as file: file.write('x')\n"
        f"while os.path.getsize({str(count)!r}) > 6 and os.path.exists({str(wait)!r}):\n"
        "    time.sleep(0.02)\n"
        "shutil.copyfile(sys.argv[1], sys.argv[3])\n"
    )
    baseline = f"slow={sys.executable} -S {script} {{image}} {{mask}} {{out}}"
    arguments = [
        *("evaluate", "--data", str(photos), "--protocol", "thin", "--fill", "telea"),
        *("--baseline", baseline),
    ]
    killed, whole, scratch = tmp_path / "killed", tmp_path / "whole", tmp_path / "scratch"
    scratch.mkdir()
    wait.touch()
    # As many threads as here: the order of summation depends on it.
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads()), "TMPDIR": str(scratch)}
    process = subprocess.Popen(
        [sys.executable, "-m", "freefill", *arguments, "--out", str(killed)],
        env=os.environ | threads,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 120
        while not count.exists() or count.stat().st_size <= 6:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        process.kill()
        code = process.wait()
        wait.unlink()  # lets the program end that the process has left behind
    assert code == -signal.SIGKILL
    done = list((killed / "pictures/thin/slow").rglob("*.json"))
    assert 0 < len(done) < 5
    kept = {path: path.read_bytes() for path in done}
    for out, made in ((killed, 5 - len(done)), (whole, 10)):
        ran = command(*arguments, "--out", out)
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout.splitlines()[-1].endswith(f": {made} pictures made, the rest were there")
    assert {path: path.read_bytes() for path in done} == kept
    for name in ("table.csv", "pictures.csv", "manifest.toml"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes()
    assert {"kid", "hole_lpips"} <= metrics(killed)
    for path in (killed / "pictures").rglob("*.png"):
        other = whole / path.relative_to(killed)
        np.testing.assert_array_equal(Image.open(path), Image.open(other))
