"""Places where a batch could lose, repeat or mix up photos: odd names, and sources that go away."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import batches
import pyarrow as pa
import pytest
from batches import check_whole, content
from pyarrow import parquet

from freefill.batch.distributed import files, manifest, ownership, prepare, worker
from freefill.batch.distributed.blocks import Batch
from freefill.errors import StorageError

Ran = subprocess.CompletedProcess[str]
Run = Callable[..., Ran]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return batches.photos(tmp_path_factory.mktemp("odd") / "photos", 4, 64)


def shard(path: Path, folder: Path, keys: dict[str, str]) -> None:
    """Pack photos under other names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz" if path.suffix in (".gz", ".tgz") else "w") as tar:
        for key, photo in keys.items():
            tar.add(folder / f"{photo}.jpg", f"{key}.jpg")
            tar.add(folder / f"{photo}_mask.png", f"{key}.mask.png")


def test_folders_that_end_in_manifest_are_folders_of_photos(
    command: Run, folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path / "in/my_manifest/deep")
    ran = command("batch", tmp_path / "in", tmp_path / "out")
    assert ran.returncode == 0, ran.stderr
    check_whole(str(tmp_path / "out"), [f"my_manifest/deep/{n:03}.jpg" for n in range(4)])


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ("x.tar", "x.tgz", "both lie in x/"),
        ("x.tar", "x.TAR.gz", "both lie in x/"),
        ("t.tar", "t/00.tar", "among those of t.tar"),
    ],
)
def test_shards_whose_results_would_mix_are_refused(
    one: str, other: str, said: str, command: Run, folder: Path, tmp_path: Path
) -> None:
    shard(tmp_path / "in" / one, folder, {"00/a": "000"})
    shard(tmp_path / "in" / other, folder, {"a": "001"})
    ran = command("batch", tmp_path / "in", tmp_path / "out")
    assert ran.returncode == 2
    assert said in ran.stderr
    assert not (tmp_path / "out").exists()


def test_a_dot_before_every_name_of_a_shard(command: Run, folder: Path, tmp_path: Path) -> None:
    shard(tmp_path / "in/x.tar", folder, {"./a": "000", "./sub/b": "001"})
    ran = command("batch", tmp_path / "in", tmp_path / "out")
    assert ran.returncode == 0, ran.stderr
    check_whole(str(tmp_path / "out"), ["x.tar#a", "x.tar#sub/b"])
    assert set(content(str(tmp_path / "out"))) == {"x/a.jpg", "x/sub/b.jpg"}


def test_links_to_folders_are_not_followed(command: Run, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "in")
    (tmp_path / "in/loop").symlink_to(".")
    (tmp_path / "in/linked.jpg").symlink_to(folder / "000.jpg")
    (tmp_path / "in/linked_mask.png").symlink_to(folder / "000_mask.png")
    ran = command("batch", tmp_path / "in", tmp_path / "out")
    assert ran.returncode == 0, ran.stderr
    check_whole(str(tmp_path / "out"), [*(f"{n:03}.jpg" for n in range(4)), "linked.jpg"])


def test_a_name_that_is_not_utf_8_costs_a_row(command: Run, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "in")
    name = os.fsencode(tmp_path / "in") + b"/\xff.jpg"
    shutil.copy(folder / "000.jpg", name)
    ran = command("batch", tmp_path / "in", tmp_path / "out")
    assert ran.returncode == 1
    assert "its name is not UTF-8" in ran.stderr
    rows = check_whole(str(tmp_path / "out"), [*(f"{n:03}.jpg" for n in range(4)), "\\udcff.jpg"])
    assert "rename it" in rows["\\udcff.jpg"]["error"]
    # Beside it, a glob that does not mean it.
    assert command("batch", tmp_path / "in/00*.jpg", tmp_path / "two").returncode == 0


def test_a_pattern_that_means_nothing_is_named(command: Run, folder: Path, tmp_path: Path) -> None:
    ran = command("batch", folder / "[z-a].jpg", tmp_path / "out")
    assert ran.returncode == 2
    assert "no pattern that can be followed" in ran.stderr


def test_what_a_kill_at_once_leaves_binds_nobody(
    command: Run, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "out/_manifest/_partial").mkdir(parents=True)
    (tmp_path / "out/_manifest/_partial/0123").write_text("half")
    ran = command("batch", folder, tmp_path / "out")
    assert ran.returncode == 0, ran.stderr
    check_whole(str(tmp_path / "out"), [f"{n:03}.jpg" for n in range(4)])
    (tmp_path / "out" / manifest.JOB).write_text("[]")
    ran = command("batch", folder, tmp_path / "out")
    assert ran.returncode == 2
    assert "not the settings of a batch" in ran.stderr


def test_a_table_with_other_groups_is_refused(command: Run, folder: Path, tmp_path: Path) -> None:
    rows = {
        "image": [str(folder / f"{n:03}.jpg") for n in range(4)],
        "mask": [str(folder / f"{n:03}_mask.png") for n in range(4)],
    }
    path = tmp_path / "in/a.parquet"
    path.parent.mkdir()
    parquet.write_table(pa.table(rows), path)
    assert command("batch", path, tmp_path / "out").returncode == 0
    parquet.write_table(pa.table(rows), path, row_group_size=2)
    ran = command("batch", path, tmp_path / "out")
    assert ran.returncode == 2
    assert "written anew with other groups" in ran.stderr
    check_whole(str(tmp_path / "out"), [f"a.parquet#{n}" for n in range(4)])


@pytest.mark.parametrize("gone", [True, False])
def test_a_source_that_goes_away_stops_the_batch_and_a_bad_file_does_not(
    gone: bool, command: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "in"
    shutil.copytree(folder, source)
    read = worker.files.read

    def failing(location: str) -> bytes:
        if location.endswith("/002.jpg"):
            if gone:
                shutil.rmtree(source, ignore_errors=True)
            raise OSError(errno.EIO, "Input/output error")
        return read(location)

    monkeypatch.setattr(worker.files, "read", failing)
    ran = command("batch", source, tmp_path / "out")
    names = [f"{n:03}.jpg" for n in range(4)]
    if not gone:
        assert ran.returncode == 1
        rows = check_whole(str(tmp_path / "out"), names)
        assert [name for name in names if rows[name]["error"]] == ["002.jpg"]
        return
    assert ran.returncode == 2
    assert "nor what lies beside it" in ran.stderr
    assert manifest.rows(str(tmp_path / "out")) == []
    # Nothing is held against the photos.
    monkeypatch.undo()
    shutil.copytree(folder, source)
    assert command("batch", source, tmp_path / "out").returncode == 0
    check_whole(str(tmp_path / "out"), names)


def test_workers_of_a_dead_driver_commit_nothing_after_the_next_has_come(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ownership, "SETTLING", 0.0)
    batch, found = prepare.batch_of(str(folder), str(tmp_path / "out"), None, model="light")
    with prepare.prepared(batch, found, 2) as first:
        assert first.batch.token
        old = worker.BatchWorker(first.batch, 1)
        assert len(list(old.run(first.blocks[:1]))) == 1
        with pytest.raises(StorageError, match=rf"another run fills .*: process {os.getpid()} on"):
            prepare.prepared(batch, found, 3).__enter__()
        # As after kill -9: the lock is gone with its holder, and what it wrote is there.
        monkeypatch.setattr(ownership, "file_lock", lambda path, on_busy: nullcontext())
        with prepare.prepared(batch, found, 3) as second:
            with pytest.raises(StorageError, match="another run has begun"):
                list(old.run(first.blocks[1:]))
            list(worker.BatchWorker(second.batch, 1).run(second.blocks))
    check_whole(str(tmp_path / "out"), [f"{n:03}.jpg" for n in range(4)])
    assert isinstance(batch, Batch)


def test_an_address_without_its_scheme_is_named(
    command: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "localhost:9000")
    ran = command("batch", "s3://no-such-bucket-of-ours/in", tmp_path / "out")
    assert ran.returncode == 2
    assert "write it as http://HOST:PORT" in ran.stderr


def test_a_place_is_told_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    error = OSError(errno.EIO, "Input/output error")
    assert not files.lost(str(tmp_path / "a/x.jpg"), error)
    assert files.lost(str(tmp_path / "b/x.jpg"), error)
    assert files.lost(str(tmp_path / "a/x.jpg"), OSError(errno.EMFILE, "Too many open files"))
