"""Files that are given as networks and are meant to harm, or are something else: one line each."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networks
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from freefill.errors import WeightsError
from freefill.pipeline.engines import onnx as onnx_engine
from freefill.pipeline.engines import open_engine, running

CROP = np.zeros((1, 3, 16, 16), np.float32)
HOLE = np.ones((1, 1, 16, 16), np.float32)
ADD = [helper.make_node("Add", ["image", "w"], ["filled"])]
TEN_GIGABYTES = 2_500_000_000
"""Floats."""


def outside(location: str) -> Callable[[Path], Path]:
    """Weights that lie in a file elsewhere on the disk."""

    def make(path: Path) -> Path:
        tensor = onnx.TensorProto(name="w", data_type=networks.FLOAT, dims=[1, 3, 1, 1])
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", location), ("offset", "0"), ("length", "12")):
            tensor.external_data.add(key=key, value=value)
        (path.parent.parent / "secret.bin").write_bytes(b"\0" * 64)
        return networks.own(path, ADD, initializers=[tensor])

    return make


def custom(path: Path) -> Path:
    nodes = [helper.make_node("Run", ["image"], ["filled"], domain="evil")]
    return networks.own(path, nodes, domains=["evil"])


def claimed(path: Path) -> Path:
    """An initialiser that says it has 10 GB, and has none of them."""
    tensor = onnx.TensorProto(name="w", data_type=networks.FLOAT, dims=[TEN_GIGABYTES])
    return networks.own(path, ADD, initializers=[tensor])


def truncated(path: Path) -> Path:
    networks.lama(path)
    path.write_bytes(path.read_bytes()[:-40])
    return path


def content(given: bytes) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        path.write_bytes(given)
        return path

    return make


def sparse(path: Path) -> Path:
    with path.open("wb") as file:
        file.truncate(10_000_000_000)
    return path


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (outside("../secret.bin"), "External data path"),
        (outside("/dev/zero"), "External data path"),
        (custom, r"evil:Run\(-1\) is not a registered"),
        (claimed, "w"),
        (truncated, "cannot be loaded by ONNX Runtime: Load model from"),
        (sparse, r"has 10,000,000,000 bytes; an ONNX file has 2,147,483,647 at most"),
        (content(b""), "bad.onnx is empty"),
        (content(b"version https://git-lfs.github.com/spec/v1\n"), "is a pointer of Git LFS"),
        (content(b"\n<!DOCTYPE html><html>"), "is a web page"),
        (content(b"PK\x03\x04 and more"), "is a zip, not an ONNX file"),
        (content(b"\x00" * 2000), "cannot be loaded by ONNX Runtime"),
    ],
    ids=[
        *("outside", "absolute", "custom", "claimed", "truncated", "sparse", "empty", "lfs"),
        *("html", "zip", "zeros"),
    ],
)
def test_what_is_no_network_is_one_line(
    make: Callable[[Path], Path], told: str, tmp_path: Path
) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    path = make(folder / "bad.onnx")
    start = time.process_time()
    with pytest.raises(WeightsError, match=told) as refused:
        open_engine(path, 1)
    line = str(refused.value)
    assert "bad.onnx" in line
    assert "\n" not in line
    assert len(line) < 600
    assert time.process_time() - start < 5  # one that is read to its end takes minutes


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "a.onnx")
    with pytest.raises(WeightsError, match="is no file: it is a folder, a pipe or a device"):
        open_engine(tmp_path / "a.onnx", 1)


def grown(path: Path, op: str) -> Path:
    """Make 10 GB while it runs, out of a few bytes."""
    size = helper.make_tensor("size", TensorProto.INT64, [1], [TEN_GIGABYTES])
    mean = helper.make_node("ReduceMean", ["image"], ["mean"], keepdims=0)
    inputs = ["size"] if op == "ConstantOfShape" else ["mean", "size"]
    nodes: list[Any] = [
        mean,
        helper.make_node(op, inputs, ["much"]),
        helper.make_node("ReduceMean", ["much"], ["little"], keepdims=0),
        helper.make_node("Add", ["image", "little"], ["filled"]),
    ]
    return networks.own(path, nodes, initializers=[size])


@pytest.mark.parametrize("op", ["ConstantOfShape", "Expand"])
def test_memory_has_a_limit(op: str, tmp_path: Path) -> None:
    engine = open_engine(grown(tmp_path / "large.onnx", op), 1)
    with pytest.raises(MemoryError, match=r"no room for what large\.onnx computes"):
        engine.predict(CROP, HOLE)
    # What another needs is still there.
    other = open_engine(networks.write(tmp_path / "a.onnx", networks.scaled(1)), 1)
    assert (other.predict(CROP, HOLE) == CROP).all()
    assert 4 * TEN_GIGABYTES > onnx_engine.MOST_MEMORY


LIMITED = """
import resource, sys
from pathlib import Path
import numpy as np
from freefill.pipeline.engines import onnx, open_engine
onnx.MOST_MEMORY = int(sys.argv[2])
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
before = peak()
try:
    engine = open_engine(Path(sys.argv[1]), 1)
    engine.predict(np.zeros((1, 3, 16, 16), np.float32), np.ones((1, 1, 16, 16), np.float32))
    print("ran", peak() - before)
except MemoryError as error:
    assert "no room for what" in str(error), error
    print("refused", peak() - before)
"""
"""In a process of its own: the pool of memory is made once, with the limit that counts then."""


def within(path: Path, mebibytes: int) -> tuple[str, int]:
    """Say what becomes of a network within a limit, and the MiB that it took."""
    words = [sys.executable, "-c", LIMITED, str(path), str(mebibytes << 20)]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
    told, grown = ran.stdout.split()
    return told, int(grown)


@pytest.mark.parametrize("op", ["ConstantOfShape", "Expand"])
def test_it_is_the_limit_that_refuses_and_not_the_machine(
    op: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "TEN_GIGABYTES", 50_000_000)  # 200 MB
    path = grown(tmp_path / "large.onnx", op)
    told, took = within(path, 100)
    assert (told, took < 100) == ("refused", True)
    assert within(path, 1000)[0] == "ran"


def constants(path: Path, count: int) -> Path:
    """Take one number each out of arrays of 100 MB that no two of are alike."""
    size = helper.make_tensor("size", TensorProto.INT64, [1], [25_000_000])
    mean = helper.make_node("ReduceMean", ["image"], ["mean"], keepdims=0)
    nodes: list[Any] = [mean, helper.make_node("Cast", ["mean"], ["at"], to=TensorProto.INT64)]
    last = "image"
    for i in range(count):
        value = helper.make_tensor("v", networks.FLOAT, [1], [float(i + 1)])
        nodes += [
            helper.make_node("ConstantOfShape", ["size"], [f"much{i}"], value=value),
            helper.make_node("Gather", [f"much{i}", "at"], [f"one{i}"]),
            helper.make_node("Mul", [last, f"one{i}"], [f"on{i}"]),
        ]
        last = f"on{i}"
    nodes.append(helper.make_node("Identity", [last], ["filled"]))
    return networks.own(path, nodes, initializers=[size])


def test_constants_are_within_the_limit_too(tmp_path: Path) -> None:
    """ONNX Runtime computes them when it loads a file, where no limit of ours is."""
    path = constants(tmp_path / "constants.onnx", 8)
    assert path.stat().st_size < 2000
    # One after the other they need no more than one of them.
    told, took = within(path, 300)
    assert (told, took < 300) == ("ran", True)


def test_time_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "LIMIT", 0.3)
    engine = open_engine(networks.write(tmp_path / "endless.onnx", networks.endless()), 1)
    with pytest.raises(WeightsError, match=r"network endless\.onnx was stopped: .* 0\.3 s on one"):
        engine.predict(CROP, HOLE)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for another process there")
def test_ctrl_c_ends_a_run(tmp_path: Path) -> None:
    path = networks.write(tmp_path / "endless.onnx", networks.endless())
    code = (
        "import signal, sys, numpy as np\n"
        "from pathlib import Path\n"
        "from freefill.pipeline.engines import open_engine\n"
        # A job in the background ignores Ctrl-C, and with it what it starts.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "engine = open_engine(Path(sys.argv[1]), 1)\n"
        "print('running', flush=True)\n"
        "try:\n"
        "    engine.predict(np.zeros((1, 3, 16, 16), 'f'), np.ones((1, 1, 16, 16), 'f'))\n"
        "except KeyboardInterrupt:\n"
        "    print('stopped', flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
        assert out == "stopped\n"
    finally:
        process.kill()


# --- files of PyTorch ----------------------------------------------------------------------------


def torchscript(path: Path, module: str) -> Path:
    """A zip with the names of a TorchScript file; its pickle would be found out if it ran."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{path.stem}/data.pkl", b"cos\nsystem\n(S'touch ran'\ntR.")
        archive.writestr(f"{path.stem}/constants.pkl", b"cos\nsystem\n(S'touch ran'\ntR.")
        archive.writestr(f"{path.stem}/code/__torch__/{module}.py", "raise SystemExit\n")
    return path


@pytest.mark.parametrize(
    ("name", "module", "pull"),
    [
        ("big-lama.pt", "saicinpainting/training/modules/ffc", "lama"),
        ("model.pt", "saicinpainting/training/modules/ffc", "lama"),
        ("migan_traced.pt", "lib/model_zoo/migan_inference", "migan"),
        ("migan_traced.pt", "net", "migan"),
        ("big-lama.onnx", "net", "lama"),
    ],
)
def test_torchscript_is_answered_with_what_takes_its_place(
    name: str, module: str, pull: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = torchscript(tmp_path / name, module)
    with pytest.raises(WeightsError) as refused:
        open_engine(path, 1)
    told = str(refused.value)
    assert f"{name} is a TorchScript file: a program for PyTorch, which freefill does not" in told
    assert f"`freefill weights pull {pull}`, then --model {pull}" in told
    assert not (tmp_path / "ran").exists()


def test_other_torchscript_and_other_zips(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="does not run; export it as ONNX"):
        open_engine(torchscript(tmp_path / "mine.pt", "net"), 1)
    with zipfile.ZipFile(tmp_path / "lama.pt", "w") as archive:
        archive.writestr("data.pkl", b"")
    with pytest.raises(WeightsError, match=r"no engine opens files that end in '\.pt'"):
        open_engine(tmp_path / "lama.pt", 1)
    (tmp_path / "cut.pt").write_bytes((tmp_path / "mine.pt").read_bytes()[:200])
    with pytest.raises(WeightsError, match="no engine opens"):
        open_engine(tmp_path / "cut.pt", 1)


def test_the_list_of_a_zip_is_not_read_without_end(tmp_path: Path) -> None:
    path = torchscript(tmp_path / "big-lama.pt", "net")
    whole = bytearray(path.read_bytes())
    place = whole.rfind(b"PK\x05\x06")
    whole[place + 12 : place + 16] = (1 << 30).to_bytes(4, "little")
    path.write_bytes(whole)
    with pytest.raises(WeightsError, match="no engine opens"):
        open_engine(path, 1)
