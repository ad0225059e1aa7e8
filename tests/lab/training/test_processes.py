"""Several processes on this machine, as torchrun and clusters start them."""

from __future__ import annotations

import csv
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import together
import torch

from freefill.errors import ConfigError
from freefill.lab.training import checkpoint, processes, start

SCRIPT = Path(__file__).with_name("together.py")
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
SMALL = (
    "model.channels=[8,8,16]",
    "model.dilations=[1,2]",
    "model.deep_dilations=[1]",
    "model.discriminator_width=4",
    "data.size=64",
    "data.holdout=2",
    "loss.perceptual=0",
    "train.precision=32-true",
    "train.warmup=5",
    "train.log_every=4",
    "train.preview_every=100",
    "train.save_every=8",
    "train.stages=[{steps=4,crop=32,batch=4},{steps=12,crop=32,batch=4,adversarial=0.1}]",
)
TIMED = ("minutes", "cpu_minutes", "img_s")


@pytest.fixture(autouse=True)
def _environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FREEFILL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def trained(
    count: int, data: Path, run: Path, *settings: str, resume: bool = False, stop: int = 0
) -> str:
    """Train in several processes, or in this one; give what they said."""
    given = [str(data), str(run), "yes" if resume else "no", str(stop), *SMALL, *settings]
    if count == 1:
        together.main(*given)
        return ""
    command = [*TORCHRUN, str(count), str(SCRIPT), *given]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    return done.stdout


def rows(run: Path) -> list[dict[str, float]]:
    with (run / "log.csv").open() as file:
        return [
            {k: float(v) for k, v in row.items() if v and k not in TIMED}
            for row in csv.DictReader(file)
        ]


def assert_same_run(one: Path, other: Path, tolerance: float = 1e-5) -> None:
    """Compare weights by how far a tensor is from the other one, relative to its largest value."""
    a, b = checkpoint.load(one), checkpoint.load(other)
    for key in ("generator", "discriminator", "ema"):
        for name, tensor in a[key].items():
            apart = float((tensor - b[key][name]).abs().max())
            assert apart <= tolerance * max(float(tensor.abs().max()), 1e-3), (key, name, apart)
    for mine, theirs in zip(rows(one), rows(other), strict=True):
        assert mine == pytest.approx(theirs, rel=1e-3, abs=1e-6)


GUIDED = ("guidance.sketch=0.7", "guidance.strokes=0.5", "loss.sketch=0.5", "loss.low=1")
FEATURES = (
    "model.discriminator=features",
    "loss.perceptual=1",
    "loss.perceptual_size=32",
    "loss.r1=1",
    "loss.r1_every=2",
)
PAPER = (
    "model.discriminator=local-global",
    "train.separate_batches=true",
    "data.shared_hole=true",
    "train.stages=[{steps=8,crop=64,batch=4,adversarial=0.1}]",
)


@pytest.mark.parametrize(
    "settings",
    [
        (*GUIDED, *FEATURES),
        pytest.param(("loss.r1=1", "loss.r1_every=2"), marks=pytest.mark.slow),
        pytest.param(PAPER, marks=pytest.mark.slow),
        pytest.param(("model.name=encoder-decoder",), marks=pytest.mark.slow),
    ],
)
def test_two_processes_equal_one(settings: tuple[str, ...], examples: Path, tmp_path: Path) -> None:
    trained(1, examples, tmp_path / "one", *settings)
    said = trained(2, examples, tmp_path / "two", *settings)
    assert "batch 4 shared by 2 processes; learning rate 0.0004" in said
    # What one process says is said once.
    assert said.count("photos to train on") == 1
    assert_same_run(tmp_path / "one", tmp_path / "two")
    first, last = rows(tmp_path / "one")[0], rows(tmp_path / "one")[-1]
    assert last["generator"] != first["generator"]


@pytest.mark.slow
def test_another_number_of_processes_goes_on_in_the_middle_of_an_epoch(
    examples: Path, tmp_path: Path
) -> None:
    trained(1, examples, tmp_path / "whole")
    # Ten photos and four a step: step 8 is a fifth into the fourth epoch.
    trained(2, examples, tmp_path / "cut", stop=8)
    assert checkpoint.load(tmp_path / "cut")["step"] == 8
    trained(1, examples, tmp_path / "cut", resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "cut")


def command(data: Path, run: Path, *more: str) -> list[str]:
    settings = [x for s in SMALL for x in ("--set", s)]
    return ["-m", "freefill", "train", "--data", str(data), "--out", str(run), *settings, *more]


def test_a_mistake_is_said_once_and_ends_all_processes(examples: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [*TORCHRUN, "2", *command(tmp_path / "none", tmp_path / "run")],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode != 0
    assert done.stderr.count("is not a folder") == 1
    # torchrun's own.
    assert done.stderr.count("Traceback") == 1
    assert not (tmp_path / "run").exists()


def children(process: subprocess.Popen[str]) -> list[int]:
    found = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return [int(pid) for pid in found.split()]


def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
        return number


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE is 'two', which is no number"),
        ({"WORLD_SIZE": "5", "LOCAL_WORLD_SIZE": "2"}, "5 and LOCAL_WORLD_SIZE 2: every machine"),
    ],
)
def test_variables_that_do_not_fit_are_named(
    variables: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=said):
        processes.launch("32-true")


@pytest.mark.slow
@pytest.mark.parametrize("started_by", ["torchrun", "a cluster"])
def test_two_machines_by_the_environments_variables(
    started_by: str, examples: Path, tmp_path: Path
) -> None:
    trained(1, examples, tmp_path / "one")
    address, number = "127.0.0.1", str(port())
    started = []
    for rank in range(2):
        script = [str(SCRIPT), str(examples), str(tmp_path / "two"), "no", "0", *SMALL]
        # Each machine decodes for itself.
        environment = os.environ | {"FREEFILL_CACHE": str(tmp_path / f"cache{rank}")}
        launcher = [sys.executable]
        if started_by == "torchrun":
            launcher += ["-m", "torch.distributed.run", "--nnodes", "2", "--node-rank", str(rank)]
            launcher += ["--master-addr", address, "--master-port", number]
        else:
            environment |= {"RANK": str(rank), "WORLD_SIZE": "2"}
            environment |= {"MASTER_ADDR": address, "MASTER_PORT": number}
        started.append(subprocess.Popen([*launcher, *script], env=environment))
    assert [process.wait(300) for process in started] == [0, 0]
    assert (tmp_path / "cache1/photos").is_dir()
    assert_same_run(tmp_path / "one", tmp_path / "two")


@pytest.mark.slow
def test_processes_end_when_torchrun_is_killed(examples: Path, tmp_path: Path) -> None:
    steps = "train.stages=[{steps=100000,crop=32,batch=4}]"
    run = tmp_path / "run"
    process = subprocess.Popen(
        [*TORCHRUN, "2", *command(examples, run, "--set", steps)],
        stderr=subprocess.DEVNULL,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not (run / "last.pt").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    workers = children(process)
    assert len(workers) == 2
    process.kill()
    process.wait()
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < deadline, "they go on without it"
        time.sleep(0.05)
    assert checkpoint.load(run)["step"] < 100000
    # The folder is free for the next run.
    with start.run_lock(run):
        pass


@pytest.mark.slow
def test_a_killed_process_is_started_anew_and_the_run_goes_on(
    examples: Path, tmp_path: Path
) -> None:
    steps = "train.stages=[{steps=150,crop=32,batch=4},{steps=150,crop=32,batch=4,adversarial=0.1}]"
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    subprocess.run(
        [*TORCHRUN, "2", *command(examples, whole, "--set", steps)],
        check=True,
        capture_output=True,
        timeout=300,
    )
    restarting = [*TORCHRUN, "2", "--max-restarts", "1"]
    process = subprocess.Popen(
        [*restarting, *command(examples, cut, "--set", steps)],
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not (cut / "last.pt").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(time.monotonic_ns() % 500 / 1000)
    os.kill(max(children(process)), signal.SIGKILL)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0
    assert "resuming" in said
    # Not to the bit: how sums of two processes are rounded is not fixed.
    for mine, theirs in zip(rows(whole), rows(cut), strict=True):
        assert mine["step"] == theirs["step"]
        assert mine["l1"] == pytest.approx(theirs["l1"], rel=1e-3)
    assert [r["step"] for r in rows(cut)] == list(range(4, 301, 4))
    assert torch.isfinite(next(iter(checkpoint.load(cut)["ema"].values()))).all()
