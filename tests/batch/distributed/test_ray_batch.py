"""``freefill batch --runner ray``: the local runner's bytes, and what becomes of processes."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import batches
import pytest
from batches import check_whole, content, parts, started, until

from freefill.batch.distributed import manifest
from freefill.batch.distributed.blocks import Batch
from freefill.batch.distributed.on_ray import Blocks
from freefill.batch.distributed.prepare import batch_of, prepared
from freefill.batch.distributed.ray_output import suppress_output
from freefill.batch.distributed.worker import BatchWorker

Run = Callable[..., "subprocess.CompletedProcess[str]"]
COUNT = 30
NAMES = [f"{number:03}.jpg" for number in range(COUNT)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos large enough that two processes have something to do for a while, one of them bad."""
    folder = batches.photos(tmp_path_factory.mktemp("ray") / "photos", COUNT, 256)
    (folder / "007.jpg").write_text("not a picture")
    return folder


@pytest.fixture(scope="module")
def expected(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The local runner's results."""
    to = tmp_path_factory.mktemp("local") / "out"
    batch, found = batch_of(str(folder), str(to), None)
    with prepared(batch, found, 8) as work:
        done = list(BatchWorker(batch, 2).run(work.blocks))
    assert sum(block.filled for block in done) == COUNT - 1
    return content(str(to))


@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")
def test_ray_gives_the_local_runners_bytes(
    command: Run, folder: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    ran = command("batch", folder, out, "--runner", "ray", "--block", 4)
    # One bad photo costs a row, and nothing of what Ray has to say reaches the terminal.
    assert ran.stderr.splitlines() == [
        "freefill: error: 007.jpg is not an image in a format that can be read"
    ]
    assert ran.returncode == 1
    assert f"{COUNT - 1} filled in" in ran.stdout
    assert "1 failed" in ran.stdout
    assert len(ran.stdout.splitlines()) == 1
    assert content(str(out)) == expected
    rows = check_whole(str(out), NAMES)
    assert rows["007.jpg"]["error"]
    # Nothing is left to do: Ray is not even started, and none of it runs any more.
    until(lambda: not [line for line in batches.below(os.getpid()).values() if "ray::" in line])
    again = command("batch", folder, out, "--runner", "ray", "--block", 4)
    assert "0 filled" in again.stdout
    assert f"{COUNT - 1} done before" in again.stdout


def test_a_worker_does_the_blocks_it_is_given(
    folder: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    import pyarrow as pa

    batch, found = batch_of(str(folder), str(tmp_path / "out"), None)
    with prepared(batch, found, 10) as work:
        worker = Blocks(batch, 1, {})
        for block in work.blocks[:2]:
            answer = worker(pa.table({"block": [pickle.dumps(block)]}))
            done = pickle.loads(answer["done"][0].as_py())
            assert done.part == block.part
            assert answer["trouble"][0].as_py() is None
        # What cannot be written is told of, for the driver to stop.
        shutil.rmtree(tmp_path / "out")
        (tmp_path / "out").touch()
        answer = worker(pa.table({"block": [pickle.dumps(work.blocks[2])]}))
        assert "cannot be written" in answer["trouble"][0].as_py()
        (tmp_path / "out").unlink()


@pytest.mark.slow
def test_kill_9_of_a_worker_loses_nothing(
    folder: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process = started(folder, out, "--runner", "ray", "--block", 2)
    for count in (1, 4):
        until(lambda count=count: len(parts(str(out))) >= count, process)  # type: ignore[misc]
        batches.kill_worker(process.pid)
    told, error = process.communicate(timeout=120)
    assert process.returncode == 1, error
    assert f"{COUNT - 1} filled in" in told
    # Each kill is a line, and Ray's own words are none.
    assert set(error.splitlines()) == {
        "freefill: a process of Ray has died: what it had not committed is done again",
        "freefill: error: 007.jpg is not an image in a format that can be read",
    }
    check_whole(str(out), NAMES)
    assert content(str(out)) == expected


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_driver_that_is_gone_leaves_no_worker_and_the_rest_to_do(
    folder: Path, expected: dict[str, bytes], tmp_path: Path, how: signal.Signals
) -> None:
    out = tmp_path / "out"
    work = (folder, out, "--runner", "ray", "--block", 2)
    process = started(*work)
    until(lambda: len(parts(str(out))) >= 2, process)
    if how == signal.SIGKILL:
        batches.killed(process)
    else:
        children = batches.below(process.pid)
        process.send_signal(how)
        _, error = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "the same command goes on" in error
        until(lambda: batches.gone(children))
    before, rows = batches.changed(str(out)), manifest.rows(str(out))
    assert 0 < len(rows) < COUNT
    again = started(*work)
    told, error = again.communicate(timeout=120)
    assert again.returncode == 1, error
    failed = sum(row["error"] is not None for row in rows)
    assert f"{COUNT - 1 - (len(rows) - failed)} filled" in told
    assert f"{len(rows) - failed} done before" in told
    check_whole(str(out), NAMES)
    assert content(str(out)) == expected
    after = batches.changed(str(out))
    for row in rows:
        if row["output"]:
            assert after[row["output"]] == before[row["output"]]


def test_a_node_that_would_fill_otherwise_refuses(folder: Path, tmp_path: Path) -> None:
    import pyarrow as pa

    batch, _ = batch_of(str(folder), str(tmp_path / "out"), None)
    given = {"AWS_PROFILE": os.environ.get("AWS_PROFILE", "")}
    for other, words in (
        (Batch(**{**vars(batch), "version": "0.0.1"}), "the batch was started by 0.0.1"),
        (Batch(**{**vars(batch), "weights": "0" * 64}), "has other weights light"),
        (Batch(**{**vars(batch), "model": "none"}), "no model 'none'"),
    ):
        answer = Blocks(other, 1, given)(pa.table({"block": pa.array([], pa.binary())}))
        assert words in answer["trouble"][0].as_py()


def test_no_cluster_is_said_in_a_line(command: Run, folder: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    ran = command("batch", folder, tmp_path / "out", "--runner", "ray", "--address", address)
    assert ran.returncode == 2
    assert len(ran.stderr.splitlines()) == 1
    assert "ray start --head" in ran.stderr


def test_what_ray_says_is_hushed_but_for_the_dead(capfd: pytest.CaptureFixture[str]) -> None:
    told: list[str] = []
    with suppress_output(told.append):
        os.write(2, b"logging.cc: something\n")
        print("(raylet) Task failed. There are infinite retries remaining")
        print("(raylet) A worker died or was killed while executing a task")
        print("seen", file=sys.stderr)
    print("after")
    out, error = capfd.readouterr()
    assert out == "after\n"
    assert error == "seen\n"
    assert told == ["a process of Ray has died: what it had not committed is done again"]
