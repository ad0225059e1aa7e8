"""A run packed for a machine without internet: it fits, and trains where nothing is installed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

from freefill.errors import CheckpointError, DataError
from freefill.lab.config import Config, from_dict, load
from freefill.lab.export.export import export
from freefill.lab.models.lpips import Lpips
from freefill.lab.offline import run as offline_run
from freefill.lab.offline import start
from freefill.lab.offline.pack import MEBIBYTE, Packed, pack
from freefill.lab.offline.run import run

Command = Callable[..., subprocess.CompletedProcess[str]]
Ran = subprocess.CompletedProcess[str]

SMALL = (
    "model.channels=[8,8,16]", "model.dilations=[1]", "model.deep_dilations=[1]",
    "model.deepest_channels=16", "model.deepest_dilations=[1]", "data.size=64", "data.holdout=2",
    "train.precision=32-true", "train.log_every=1", "train.preview_every=100",
    "train.save_every=100", "loss.perceptual_size=32", "guidance.sketch=0.5",
    "guidance.strokes=0.5", "train.stages=[{steps=3, crop=64, batch=2, adversarial=0.1}]",
)  # fmt: skip

NOT_THERE = ("onnx", "onnxruntime", "typer", "rich", "jinja2", "scipy", "imagehash", "tifffile")
"""What the lab has and a machine that trains may lack."""


def settings(*overrides: str) -> Config:
    return load(None, [*SMALL, *overrides])


def photo(path: Path, side: int, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    Image.fromarray(noise).save(path)


def packed(data: Path, out: Path, config: Config, **options: object) -> Packed:
    options = {"network": None, "on_message": lambda _: None, **options}
    return pack(data, out, config, **options)  # type: ignore[arg-type]


def third(data: Path, out: Path, config: Config) -> float:
    """Give a size, in MiB, of which it takes three parts: the code grows."""
    whole = packed(data, out, config, parts=1, part_size=40).files[0].stat().st_size
    return 1.1 * whole / 3 / MEBIBYTE


def members(made: Packed) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for file in made.files[:-1]:
        with tarfile.open(file) as tar:
            for member in tar:
                content = tar.extractfile(member)
                assert content is not None
                assert member.name not in found
                found[member.name] = content.read()
    return found


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FREEFILL_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`lpips_vgg.safetensors` with random weights."""
    layers = [m for m in Lpips("vgg").features if not isinstance(m, nn.Identity)]
    tensors = {}
    for place, layer in enumerate(layers):
        if isinstance(layer, nn.Conv2d):
            scale = layer.weight[0].numel() ** 0.5
            tensors[f"features.{place}.weight"] = torch.randn(layer.weight.shape) / scale
            tensors[f"features.{place}.bias"] = torch.zeros(layer.bias.shape)  # type: ignore[union-attr]
    for number, width in enumerate((64, 128, 256, 512, 512)):
        tensors[f"lin{number}"] = torch.rand(1, width, 1, 1) / width
    path = tmp_path_factory.mktemp("network") / "lpips_vgg.safetensors"
    save_file(tensors, path)
    return path


def test_the_parts_hold_what_a_run_needs(examples: Path, tmp_path: Path, network: Path) -> None:
    config = settings("train.lr=1e-3")
    made = packed(examples, tmp_path / "parts", config, network=network, parts=3, part_size=40)
    names = [file.name for file in made.files]
    assert names == [*(f"part-{n}.tar" for n in range(1, len(names))), "start.py"]
    assert made.files[-1].read_text() == Path(start.__file__).read_text()
    found = members(made)
    photos = [name for name in found if name.startswith("photos/")]
    assert len(photos) == made.photos == len(list(examples.glob("*.jpg")))
    for name in photos:
        with Image.open(BytesIO(found[name])) as image:
            assert (image.format, min(image.size)) == ("JPEG", 64)
    inside = from_dict(start_toml(found[start.SETTINGS]))
    assert inside.train == config.train
    assert inside.data.resident
    assert inside.loss.perceptual_network in found
    assert {"src/freefill/__init__.py", "src/freefill/lab/offline/run.py"} <= set(found)
    assert json.loads(found[start.CONTENTS])["files"] == len(found) - 1
    (tmp_path / "halves").write_bytes(found[start.NETWORK])
    halves, whole = load_file(tmp_path / "halves"), load_file(network)
    assert all(torch.equal(halves[name], whole[name].half()) for name in whole)


def test_plugins_are_packed_beside_the_settings(examples: Path, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.py").write_text(f"WHERE = {folder!r}\n")
    named = [str(tmp_path / folder / "same.py") for folder in ("a", "b")]
    found = members(packed(examples, tmp_path / "parts", settings(f"plugins={[*named, 'json']}")))
    inside = start_toml(found[start.SETTINGS])["plugins"]
    # Relative to the settings, as both are unpacked into one folder.
    assert inside == ["plugins/0/same.py", "plugins/1/same.py", "json"]
    assert found["plugins/0/same.py"] == b"WHERE = 'a'\n"
    assert found["plugins/1/same.py"] == b"WHERE = 'b'\n"


def start_toml(content: bytes) -> dict[str, object]:
    import tomllib

    return tomllib.loads(content.decode())


def test_as_few_parts_as_needed_and_none_too_large(examples: Path, tmp_path: Path) -> None:
    config, sizes = settings("data.size=0"), {}
    for name, part_size in (("one", 40.0), ("three", third(examples, tmp_path / "all", config))):
        made = packed(examples, tmp_path / name, config, parts=3, part_size=part_size)
        sizes[name] = [file.stat().st_size for file in made.files[:-1]]
        assert all(size <= part_size * MEBIBYTE for size in sizes[name])
    assert [len(found) for found in sizes.values()] == [1, 3]


def test_the_quality_falls_until_all_fits(examples: Path, tmp_path: Path) -> None:
    config = settings("data.size=0")
    best = packed(examples, tmp_path / "a", config, parts=1, part_size=40)
    whole = best.files[0].stat().st_size
    assert best.quality == 90
    photos = sum(len(v) for k, v in members(best).items() if k.startswith("photos/"))
    tight = (whole - 0.3 * photos) / MEBIBYTE
    less = packed(examples, tmp_path / "b", config, parts=1, part_size=tight)
    assert less.quality in (70, 75, 80)
    assert less.files[0].stat().st_size <= tight * MEBIBYTE
    assert less.photos == best.photos
    # The best that fits: the next one would take a seventh more, and a tar's end some room.
    left = tight * MEBIBYTE - less.files[0].stat().st_size
    assert left < 0.15 * photos + 4 * tarfile.RECORDSIZE


def test_what_does_not_fit_is_said_with_numbers(examples: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"have \d\.\d MiB, .* do not fit into 2 x 0\.5 MiB"):
        packed(examples, tmp_path / "parts", settings(), parts=2, part_size=0.5)
    config = settings("data.size=0")
    made = packed(examples, tmp_path / "a", config, parts=1, part_size=40)
    code = sum(len(v) + 1024 for k, v in members(made).items() if not k.startswith("photos/"))
    with pytest.raises(DataError, match=r"^12 photos have about \d\.\d MiB at JPEG quality 50, .*"):
        packed(examples, tmp_path / "parts", config, parts=1, part_size=code / MEBIBYTE + 0.1)
    assert not (tmp_path / "parts").exists()


def test_a_list_takes_the_larger_of_two_and_no_others(tmp_path: Path) -> None:
    for number, name in enumerate(("256/a", "256/b", "256/c", "512/a", "512/d")):
        photo(tmp_path / f"data/{name}.png", 96 if name[0] == "5" else 64, number)
    file = tmp_path / "list.csv"
    file.write_text("file,use\na.png,train\nb.png,held-out-256\nd.png,train\nx.png,held-out-256\n")
    config = settings("data.size=512", f"data.list='{file}'")
    made = packed(tmp_path / "data", tmp_path / "parts", config)
    found = members(made)
    photos = {Path(name).name: name for name in found if name.startswith("photos/")}
    assert sorted(photos) == ["a.png", "b.png", "d.png"]
    assert made.photos == 3
    sides = {name: Image.open(BytesIO(found[path])).width for name, path in photos.items()}
    assert sides == {"a.png": 96, "b.png": 64, "d.png": 96}
    assert found[start.LIST] == file.read_bytes()
    assert from_dict(start_toml(found[start.SETTINGS])).data.list == start.LIST


def test_photos_of_one_name_are_both_there_without_a_list(tmp_path: Path) -> None:
    for number, name in enumerate(("x/a", "y/a", "a")):
        photo(tmp_path / f"data/{name}.png", 64, number)
    # Any length: more than the 100 bytes of a tar's plain header, and no ASCII.
    long = "ö" * 110
    photo(tmp_path / f"data/{long}.png", 64, 3)
    made = packed(tmp_path / "data", tmp_path / "parts", settings())
    names = [Path(name).name for name in members(made) if name.startswith("photos/")]
    assert sorted(names) == ["a.png", "a.png", "a.png", f"{long}.png"]
    again = packed(tmp_path / "data", tmp_path / "again", settings())
    for one, two in zip(made.files, again.files, strict=True):
        assert one.read_bytes() == two.read_bytes()


def test_wheels_and_weights_are_those_that_are_named(examples: Path, tmp_path: Path) -> None:
    for name in ("wheels", "init"):
        (tmp_path / name).mkdir()
    with pytest.raises(DataError, match="holds no wheels"):
        packed(examples, tmp_path / "parts", settings(), wheels=tmp_path / "wheels")
    with pytest.raises(CheckpointError, match="holds no average weights"):
        packed(examples, tmp_path / "parts", settings(), init=tmp_path / "init")
    with zipfile.ZipFile(tmp_path / "wheels/tiny-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny_module.py", "VALUE = 3\n")
    (tmp_path / "wheels/notes.txt").write_text("no wheel")
    for name in ("average.safetensors", "run.json", "discriminator.safetensors"):
        (tmp_path / "init" / name).write_text(name)
    made = packed(
        examples, tmp_path / "parts", settings(), wheels=tmp_path / "wheels",
        init=tmp_path / "init",
    )  # fmt: skip
    start.unpack(tmp_path / "parts", tmp_path / "work")
    assert (tmp_path / "work/site/tiny_module.py").read_text() == "VALUE = 3\n"
    inside = {name for name in members(made) if name.split("/")[0] in ("init", "wheels")}
    assert inside == {
        "init/average.safetensors", "init/discriminator.safetensors", "init/run.json",
        "wheels/tiny-1-py3-none-any.whl",
    }  # fmt: skip


def test_who_stops_it_keeps_the_older_parts(
    examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "parts"
    size = third(examples, tmp_path / "all", settings())
    made = packed(examples, out, settings(), part_size=size)
    before = {file: file.read_bytes() for file in made.files}
    assert len(before) > 2
    written = tarfile.TarFile.addfile

    def stopped(tar: tarfile.TarFile, info: tarfile.TarInfo, *rest: object) -> None:
        if "part-2" in str(tar.name):
            raise KeyboardInterrupt
        written(tar, info, *rest)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(tarfile.TarFile, "addfile", stopped)
        with pytest.raises(KeyboardInterrupt):
            packed(examples, out, settings("data.size=100"), part_size=1.5 * size)
    assert {file: file.read_bytes() for file in sorted(out.iterdir())} == before
    # And fewer parts leave none of the older ones.
    packed(examples, out, settings(), part_size=40)
    assert sorted(file.name for file in out.iterdir()) == ["part-1.tar", "start.py"]


@pytest.fixture(scope="module")
def three(examples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three parts with `start.py`, and no network."""
    out = tmp_path_factory.mktemp("three")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FREEFILL_CACHE", str(tmp_path_factory.mktemp("cache")))
        config = settings("loss.perceptual=0")
        size = third(examples, tmp_path_factory.mktemp("all"), config)
        made = packed(examples, out, config, part_size=size)
    assert len(made.files) == 4
    return out


@pytest.fixture
def copied(three: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(three, tmp_path / "copied"))


def test_unpacking_is_done_once_and_again_for_other_parts(copied: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    start.unpack(copied, work)
    (work / "mine.txt").write_text("kept")
    start.unpack(copied, work)
    assert (work / "mine.txt").exists()
    photos = len(list((work / "photos").rglob("*.jpg")))
    assert photos == 12
    # Other parts under the same names: nothing of the older ones stays.
    (tmp_path / "data").mkdir()
    photo(tmp_path / "data/only.png", 64)
    packed(tmp_path / "data", copied, settings("loss.perceptual=0"))
    start.unpack(copied, work)
    assert [file.name for file in (work / "photos").rglob("*.*")] == ["only.png"]
    assert not (work / "mine.txt").exists()
    assert not work.with_name("work.partial").exists()


def test_a_part_that_is_missing_or_not_whole_is_named(copied: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    for number in (1, 2):
        (copied / f"part-{number}.tar").rename(tmp_path / "away.tar")
        with pytest.raises(SystemExit, match=r"has part-\d\.tar, part-3\.tar; there are .* parts"):
            start.unpack(copied, work)
        (tmp_path / "away.tar").rename(copied / f"part-{number}.tar")
    whole = (copied / "part-2.tar").read_bytes()
    (copied / "part-2.tar").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SystemExit, match=r"part-2\.tar is not whole .*: copy it again"):
        start.unpack(copied, work)
    assert not work.exists()
    (copied / "part-2.tar").write_bytes(whole)
    start.unpack(copied, work)
    with pytest.raises(SystemExit, match=r"no part-1\.tar in"):
        start.unpack(tmp_path / "cache", work)


def test_a_cut_between_two_files_is_noticed(copied: Path, tmp_path: Path) -> None:
    file = copied / "part-3.tar"
    with tarfile.open(file) as tar:
        third = tar.getmembers()[3].offset
    file.write_bytes(file.read_bytes()[:third])
    with pytest.raises(SystemExit, match="3 parts of one packing, each whole"):
        start.unpack(copied, tmp_path / "work")


def test_nothing_of_others_is_written_over(copied: Path, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work/thesis.txt").write_text("mine")
    with pytest.raises(SystemExit, match="holds something else"):
        start.unpack(copied, tmp_path / "work")
    assert (tmp_path / "work/thesis.txt").read_text() == "mine"
    with tarfile.open(copied / "part-3.tar", "a") as tar:
        info = tarfile.TarInfo("../beside.txt")
        info.size = 3
        tar.addfile(info, BytesIO(b"bad"))
    with pytest.raises(SystemExit, match="which is not of this program"):
        start.unpack(copied, tmp_path / "other")
    assert not (tmp_path / "beside.txt").exists()


@cache
def offline() -> list[str]:
    """Give a command that runs another without any network, where the system lets one."""
    command = ["unshare", "--net", "--map-root-user"]
    try:
        works = subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        works = False
    return command if works else []


def other_side(parts: Path, home: Path, *arguments: object, timeout: float = 240) -> Ran:
    """Run `start.py` as on a machine with torch, without freefill, without internet."""
    home.mkdir(exist_ok=True)
    hidden = f"sys.modules.update(dict.fromkeys({NOT_THERE}))"
    code = f"import runpy, sys; {hidden}; sys.argv = sys.argv[1:]; "
    code += "runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [*offline(), sys.executable, "-I", "-c", code, parts / "start.py", *arguments]
    # No proxy is there: what asks for anything fails.
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), "http://127.0.0.1:9")
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", **proxies}
    return subprocess.run(
        list(map(str, command)), capture_output=True, text=True, cwd=home, env=environment,
        timeout=timeout, check=False,
    )  # fmt: skip


def test_it_trains_there_and_comes_back(
    examples: Path, tmp_path: Path, network: Path, command: Command
) -> None:
    parts, home = tmp_path / "parts", tmp_path / "home"
    chosen = [part for setting in SMALL for part in ("--set", setting)]
    ran = command(
        "offline", "--data", examples, "--out", parts, *chosen,
        "--set", f"loss.perceptual_network='{network}'",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "start.py" in ran.stdout

    assert other_side(parts, home, "--only-unpack").returncode == 0
    # The code that was packed runs, whatever is installed.
    (parts / "unpacked/src/freefill/__init__.py").open("a").write(
        "open(__file__ + '.ran', 'w').close()\n"
    )
    ran = other_side(parts, home, "--out", "run")
    assert ran.returncode == 0, ran.stderr
    assert "step 3/3" in ran.stderr
    assert str(home / "run" / "average") in ran.stdout
    assert (parts / "unpacked/src/freefill/__init__.py.ran").exists()
    assert "unpacking" not in ran.stderr
    assert [file.name for file in home.iterdir()] == ["run"]
    average = home / "run/average"
    said = json.loads((average / "run.json").read_text())
    assert (said["step"], said["photos"], said["started_from"]) == (3, 10, "random weights")
    assert said["command"] == "start.py --out run"

    # Brought back: weights are made of it, and a run goes on from it.
    brought = Path(shutil.copytree(average, tmp_path / "average"))
    card = export(brought, tmp_path / "weights.onnx", on_message=lambda _: None)
    assert card["training"]["steps"] == 3
    assert (tmp_path / "weights.onnx").stat().st_size > 10_000

    again = other_side(
        parts, home, "--init-from", average, "--out", "second", "--seconds", 1,
        "--set", "train.stages.0.steps=500",
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert "starting from" in again.stderr
    assert "as the time is up" in again.stderr
    said = json.loads((home / "second/average/run.json").read_text())
    assert said["started_from"] == str(average)
    assert 0 < said["step"] < 500


def test_what_is_refused_there_is_one_line(
    copied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = tmp_path / "work"
    start.unpack(copied, work)
    given: dict[str, Any] = {
        "overrides": [], "init": None, "resume": False, "seconds": None, "average_every": 60,
        "command": "",
    }  # fmt: skip
    for wrong, line in (
        ({"overrides": ["train.lr=-1"]}, "error: train.lr"),
        ({"init": tmp_path / "nothing"}, "does not exist"),
        ({"resume": True}, "there is no run to go on with"),
        ({"resume": True, "overrides": ["train.lr=1e-3"]}, "give no others"),
    ):
        asked = {**given, **wrong}
        assert run(tmp_path / "run", work / start.SETTINGS, str(work / "photos"), **asked) == 2
        assert line in capsys.readouterr().err


def test_between_two_rows_of_the_log_it_says_where_it_is(
    copied: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("freefill.lab.training.reporting.TELL_EVERY", 0.0)
    start.unpack(copied, tmp_path / "work")
    code = run(
        tmp_path / "run", tmp_path / "work" / start.SETTINGS, str(tmp_path / "work/photos"),
        overrides=["train.log_every=50", "loss.perceptual=0"], init=None, resume=False,
        seconds=None, average_every=60, command="",
    )  # fmt: skip
    lines = capsys.readouterr().err
    assert code == 0, lines
    told = re.findall(r"^start.py: step (\d)/3  [\d.]+ img/s(  .*)?$", lines, re.M)
    # Losses and time are those of a row; where it is stands between rows, too.
    assert [number for number, _ in told] == ["1", "2", "3"]
    assert [("min" in values, "l1" in values) for _, values in told] == [
        (False, False), (False, False), (True, True),
    ]  # fmt: skip


def test_ctrl_c_ends_with_130(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(offline_run, "train", stopped)
    start.unpack(copied, tmp_path / "work")
    code = run(
        tmp_path / "run", tmp_path / "work" / start.SETTINGS, "photos", overrides=[], init=None,
        resume=False, seconds=None, average_every=60, command="",
    )  # fmt: skip
    assert code == 130


def test_packages_that_are_missing_there_are_named(
    copied: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.setattr(sys, "argv", ["start.py", "--parts", str(copied)])
    monkeypatch.setitem(start.NEEDED, "no_such_module", "no-such-package")
    assert start.main() == 2
    assert "has no no-such-package: install them, or pack their wheels" in capsys.readouterr().err
    for option in ("--seconds", "--average-every"):
        monkeypatch.setattr(sys, "argv", ["start.py", option, "0"])
        with pytest.raises(SystemExit, match="2"):
            start.main()
        assert f"{option} 0: it must be at least 1" in capsys.readouterr().err


@pytest.mark.slow
def test_a_minute_there_is_a_minute(examples: Path, tmp_path: Path, network: Path) -> None:
    parts, home = tmp_path / "parts", tmp_path / "home"
    steps = "train.stages=[{steps=1000000, crop=64, batch=4, adversarial=0.05}]"
    packed(examples, parts, settings(steps, "data.size=128", "train.warmup=5"), network=network)
    ran = other_side(parts, home, "--seconds", 60, "--average-every", 20)
    assert ran.returncode == 0, ran.stderr
    assert "as the time is up" in ran.stderr
    said = json.loads((home / "run/average/run.json").read_text())
    assert 50 < said["seconds"] < 75
    with (home / "run/log.csv").open() as file:
        rates = [float(line.split(",")[6]) for line in list(file)[1:]]
    assert rates[-1] < 0.05 * max(rates)
