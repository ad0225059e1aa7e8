"""Batches from and to S3, which is a server on loopback here."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import batches
import pyarrow as pa
import pytest
from batches import check_whole, content, parts, started, until
from pyarrow import parquet

from freefill.batch.distributed import files, manifest, ownership, prepare, worker
from freefill.batch.distributed.blocks import AGAIN, Batch, Item
from freefill.errors import ConfigError, StorageError

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def server() -> Iterator[dict[str, str]]:
    with batches.s3_server() as environment:
        yield environment


@pytest.fixture
def s3(
    server: dict[str, str], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> str:
    """A bucket of the test's own, to which the environment leads."""
    for name, value in server.items():
        monkeypatch.setenv(name, value)
    files._s3.cache_clear()
    return batches.bucket("b" + str(abs(hash(request.node.name))), server)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return batches.photos(tmp_path_factory.mktemp("s3") / "photos", 24, 256)


NAMES = [f"{number:03}.jpg" for number in range(24)]


def test_from_s3_to_s3_and_between(command: Run, s3: str, folder: Path, tmp_path: Path) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for path in folder.glob("00[0-5]*"):
        shutil.copy(path, few)
    batches.upload(few, f"{s3}/photos")
    ran = command("batch", few, tmp_path / "here", "--block", 4)
    assert ran.returncode == 0, ran.stderr
    here = content(str(tmp_path / "here"))
    for source, to in (
        (f"{s3}/photos", f"{s3}/filled"),
        (f"{s3}/photos/", str(tmp_path / "down")),
        (str(few), f"{s3}/up/deep/"),
    ):
        ran = command("batch", source, to, "--block", 4)
        assert ran.returncode == 0, ran.stderr
        assert ran.stderr == ""
        root = to.rstrip("/")
        assert content(root) == here
        check_whole(root, NAMES[:6])
        assert "6 done before" in command("batch", source, to).stdout


def test_globs_shards_and_masks_in_s3(command: Run, s3: str, folder: Path, tmp_path: Path) -> None:
    shard = tmp_path / "a b.tar"
    with tarfile.open(shard, "w") as archive:
        archive.add(folder / "000.jpg", "k?y.jpg")
        archive.add(folder / "000_mask.png", "k?y.mask.png")
    files.write(s3, "shards/a b.tar", shard.read_bytes())
    assert command("batch", f"{s3}/shards/*.tar", f"{s3}/one").returncode == 0
    check_whole(f"{s3}/one", ["a b.tar#k?y"])
    assert list(content(f"{s3}/one")) == ["a b/k?y.jpg"]
    for name in ("001", "002"):
        files.write(s3, f"in/{name}.jpg", (folder / f"{name}.jpg").read_bytes())
    files.write(s3, "masks/all.png", (folder / "001_mask.png").read_bytes())
    ran = command("batch", f"{s3}/in/*.jpg", f"{s3}/two", "-m", f"{s3}/masks/all.png")
    assert ran.returncode == 0, ran.stderr
    check_whole(f"{s3}/two", ["001.jpg", "002.jpg"])
    ran = command("batch", f"{s3}/in", f"{s3}/three", "-m", f"{s3}/masks")
    assert ran.returncode == 1
    assert ran.stderr.count("has no mask") == 2


def test_what_is_not_there_is_said_in_a_line(command: Run, s3: str, tmp_path: Path) -> None:
    for source, words in (
        (f"{s3}/nothing", "does not exist, or is empty"),
        ("s3://no-such-bucket/photos", "does not exist, or is empty"),
        ("s3://", "names no bucket"),
    ):
        ran = command("batch", source, tmp_path / "out")
        assert ran.returncode == 2
        assert words in ran.stderr
        assert len(ran.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


class Refusing(BaseHTTPRequestHandler):
    """Answers as S3 does, by the bucket; the buckets ``open`` and ``listless`` hold one photo."""

    protocol_version = "HTTP/1.1"
    codes: ClassVar = {"denied": 403, "elsewhere": 301, "Bad_name": 400, "missing": 404}
    photo = b""

    def do_HEAD(self) -> None:
        bucket, _, key = self.path.lstrip("/").partition("?")[0].partition("/")
        there = key == "a.jpg" and bucket in ("open", "listless")
        code = 200 if there else 403 if bucket == "listless" else self.codes.get(bucket, 404)
        content = self.photo if there else b""
        self.send_response(code)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    do_GET = do_HEAD  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def refusing(
    server: dict[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[type[Refusing]]:
    """The environment leads to a server that refuses most buckets."""
    handler = type("Handler", (Refusing,), {"photo": (folder / "000.jpg").read_bytes()})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        Thread(target=listening.serve_forever, daemon=True).start()
        for name, value in server.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{listening.server_port}")
        files._s3.cache_clear()
        yield handler
        listening.shutdown()
    files._s3.cache_clear()


def table(path: Path, rows: list[tuple[str, str]]) -> Path:
    images, masks = zip(*rows, strict=True)
    parquet.write_table(pa.table({"image": list(images), "mask": list(masks)}), path)
    return path


def test_a_row_that_names_a_bucket_that_is_refused_is_one_failure(
    command: Run, refusing: type[Refusing], folder: Path, tmp_path: Path
) -> None:
    mask, to = str(folder / "000_mask.png"), tmp_path / "out"
    final = ["s3://missing/a.jpg", "s3://open/no.jpg", "s3://denied", "s3:///a.jpg", "s3://"]
    again = ["s3://denied/a.jpg", "s3://elsewhere/a.jpg", "s3://Bad_name/a.jpg"]
    rows = [(image, mask) for image in (str(folder / "001.jpg"), *final, *again)]
    # Who may read a bucket and not list it is refused a key that is not there.
    rows += [("s3://listless/no.jpg", mask), (mask, "s3://denied/mask.png")]
    rows += [("s3://listless/a.jpg", "/no/such/mask.png"), ("s3://open/a.jpg", mask)]
    names = [f"rows.parquet#{number}" for number in range(len(rows))]
    source = table(tmp_path / "rows.parquet", rows)
    ran = command("batch", source, to)
    assert ran.returncode == 1, ran.stderr
    assert "2 filled" in ran.stdout
    told = check_whole(str(to), names)
    assert [name for name in names if told[name]["error"] is None] == [names[0], names[-1]]
    waiting = [name for name in names if str(told[name]["error"]).endswith(AGAIN)]
    assert waiting == [*names[6:9], names[9], names[10]]
    # The same command tries those again that may have been let in since, and no others.
    refusing.codes = dict.fromkeys(refusing.codes, 404)
    ran = command("batch", source, to)
    assert ran.returncode == 1, ran.stderr
    assert "0 filled" in ran.stdout
    told = check_whole(str(to), names)
    assert [n for n in names if str(told[n]["error"]).endswith(AGAIN)] == [names[9]]


def test_a_bucket_that_is_not_there_is_one_failure(
    command: Run, s3: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ownership, "SETTLING", 0.0)
    for name in ("000.jpg", "000_mask.png"):
        files.write(s3, f"photos/{name}", (folder / name).read_bytes())
    rows = [(f"{root}/000.jpg", f"{s3}/photos/000_mask.png") for root in ("s3://no-such", s3)]
    rows[1] = (f"{s3}/photos/000.jpg", rows[1][1])
    files.write(s3, "rows.parquet", table(tmp_path / "rows.parquet", rows).read_bytes())
    for _ in range(2):
        ran = command("batch", f"{s3}/rows.parquet", f"{s3}/out")
        assert ran.returncode == 1, ran.stderr
        told = check_whole(f"{s3}/out", ["rows.parquet#0", "rows.parquet#1"])
        assert [bool(row["error"]) for _, row in sorted(told.items())] == [True, False]


def test_a_server_that_is_gone_stops_the_batch(
    command: Run,
    refusing: type[Refusing],
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def gone(location: str) -> bytes:
        raise OSError("AWS Error NETWORK_CONNECTION during HeadObject operation: no route")

    monkeypatch.setattr(files, "read", gone)
    rows = [("s3://open/a.jpg", str(folder / "000_mask.png"))]
    item = Item("a", "a", *rows[0], table=str(table(tmp_path / "rows.parquet", rows)))

    def unseen(location: str) -> None:
        raise StorageError("gone")

    monkeypatch.setattr(files, "kind", unseen)
    batch = Batch("s", str(tmp_path), "rows")
    with pytest.raises(StorageError, match="goes on from there"):
        worker.BatchWorker(batch, 1).row(item)


def small_batch(s3: str, folder: Path, tmp_path: Path, **settings: Any) -> Any:
    """Prepare to fill four photos from here into S3."""
    few = tmp_path / "few"
    few.mkdir(exist_ok=True)
    for path in folder.glob("00[0-3]*"):
        shutil.copy(path, few)
    return prepare.batch_of(str(few), f"{s3}/to", None, model="light", **settings)


def test_the_last_run_into_s3_takes_it_over(
    s3: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ownership, "SETTLING", 0.0)
    batch, found = small_batch(s3, folder, tmp_path)
    with prepare.prepared(batch, found, 1) as first:
        earlier = worker.BatchWorker(first.batch, 1)
        assert len(list(earlier.run(first.blocks[:1]))) == 1
        with prepare.prepared(batch, found, 2) as second:
            assert second.before == 1
            # It may fill what it has begun, and commits nothing of it.
            with pytest.raises(StorageError, match=r"another run has begun.*this one stops"):
                list(earlier.run(first.blocks[1:]))
            assert len(parts(f"{s3}/to")) == 1
            list(worker.BatchWorker(second.batch, 1).run(second.blocks))
    check_whole(f"{s3}/to", NAMES[:4])


def test_runs_that_slip_through_make_the_same_bytes(
    s3: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit that had passed its check: rows may be there twice, and nothing is lost."""
    monkeypatch.setattr(ownership, "SETTLING", 0.0)
    batch, found = small_batch(s3, folder, tmp_path)
    with prepare.prepared(batch, found, 1) as first, prepare.prepared(batch, found, 2) as second:
        monkeypatch.setattr(ownership, "check", lambda to, token: None)
        list(worker.BatchWorker(first.batch, 1).run(first.blocks[:1]))
        before = content(f"{s3}/to")
        list(worker.BatchWorker(second.batch, 1).run(second.blocks))
    rows = manifest.rows(f"{s3}/to")
    assert sorted(row["input"] for row in rows) == [NAMES[0], *NAMES[:4]]
    assert len({(row["input"], row["sha256"]) for row in rows}) == 4
    assert before.items() <= content(f"{s3}/to").items()
    with prepare.prepared(batch, found, 4, dry=True) as work:
        assert (work.before, work.blocks) == (4, [])


def test_another_batch_is_refused_while_one_runs_in_s3(
    s3: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, found = small_batch(s3, folder, tmp_path)
    other, _ = small_batch(s3, folder, tmp_path, ending=".png")
    # Before anything is committed, too: what it has begun would lie over the other's.
    with prepare.prepared(batch, found, 4), pytest.raises(ConfigError, match="begun in another"):
        prepare.prepared(other, found, 4).__enter__()
    # Nothing was done, and nobody is at it.
    with prepare.prepared(other, found, 4):
        pass
    # Who begins and commits between another's look and its first word makes both stop.
    begin = manifest.begin

    def late(batch: Any, driver: Any = None) -> None:
        monkeypatch.setattr(manifest, "begin", begin)
        with prepare.prepared(other, found, 4) as work:
            list(worker.BatchWorker(work.batch, 1).run(work.blocks))
        begin(batch, driver)

    monkeypatch.setattr(manifest, "begin", late)
    with pytest.raises(StorageError, match="at the same moment"):
        prepare.prepared(batch, found, 4).__enter__()
    for again in (batch, other):
        with pytest.raises(ConfigError, match="is not the destination of a batch"):
            prepare.prepared(again, found, 4).__enter__()


@pytest.mark.parametrize(
    "runner",
    ["local", pytest.param("ray", marks=pytest.mark.slow)],
)
def test_kill_9_of_the_driver_loses_nothing(
    command: Run, s3: str, folder: Path, runner: str
) -> None:
    batches.upload(folder, f"{s3}/photos")
    work = (f"{s3}/photos", f"{s3}/out", "--block", 2, "--runner", runner)
    process = started(*work)
    until(lambda: len(parts(f"{s3}/out")) >= 2, process)
    batches.killed(process)
    before, told = batches.changed(f"{s3}/out"), manifest.rows(f"{s3}/out")
    assert 0 < len(told) < 24
    second: Any = started(*work)
    out, error = second.communicate(timeout=120)
    assert second.returncode == 0, error
    assert f"{24 - len(told)} filled" in out
    assert f"{len(told)} done before" in out
    check_whole(f"{s3}/out", NAMES)
    after = batches.changed(f"{s3}/out")
    assert all(after[row["output"]] == before[row["output"]] for row in told)


@pytest.mark.slow
def test_kill_9_of_a_worker_of_ray_loses_nothing(s3: str, folder: Path, tmp_path: Path) -> None:
    batches.upload(folder, f"{s3}/photos")
    process = started(f"{s3}/photos", f"{s3}/out", "--block", 2, "--runner", "ray")
    until(lambda: len(parts(f"{s3}/out")) >= 2, process)
    batches.kill_worker(process.pid)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    assert "a process of Ray has died: what it had not committed is done again" in error
    check_whole(f"{s3}/out", NAMES)
