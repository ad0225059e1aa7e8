"""``freefill batch`` on this machine: every kind of source, bad photos, reruns, and Ctrl-C."""

from __future__ import annotations

import io
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import batches
import numpy as np
import pyarrow as pa
import pytest
from batches import check_whole, content, parts, started, until
from PIL import Image
from pyarrow import parquet

from freefill.batch.distributed import manifest
from freefill.batch.distributed.blocks import Batch, Row
from freefill.batch.distributed.worker import BatchWorker
from freefill.errors import WeightsError
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import FillRequest, Result

Ran = subprocess.CompletedProcess[str]
Run = Callable[..., Ran]
SIDE = 64


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten photos, which no test changes."""
    return batches.photos(tmp_path_factory.mktemp("scale") / "photos", 10, SIDE)


@pytest.fixture(scope="module")
def expected(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What ``freefill fill FOLDER`` makes of them."""
    from freefill.batch.fill_photo import Options
    from freefill.batch.local_files import collect, run_all
    from freefill.pipeline.engines.blas_threads import use_one_thread

    use_one_thread()
    out = tmp_path_factory.mktemp("filled")
    work = collect([folder], None, out)
    assert [done.state for done in run_all(Inpainter(threads=1), work, Options(), 2)] == [
        "filled"
    ] * 10
    return {path.name: path.read_bytes() for path in out.iterdir()}


@pytest.fixture
def fills(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The photos that are looked at, by name."""
    seen: list[str] = []
    row = BatchWorker.row

    def watched(self: BatchWorker, item: Any) -> Row:
        seen.append(item.name)
        return row(self, item)

    monkeypatch.setattr(BatchWorker, "row", watched)
    return seen


def inputs(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("???.jpg"))


def test_a_folder_is_filled_as_fill_does(
    command: Run, folder: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    ran = command("batch", folder, tmp_path / "out", "--block", 4)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    assert "10 filled in" in ran.stdout
    assert content(str(tmp_path / "out")) == expected
    rows = check_whole(str(tmp_path / "out"), inputs(folder))
    assert len(parts(str(tmp_path / "out"))) == 3
    for row in rows.values():
        assert (row["width"], row["height"]) == (SIDE, SIDE)
        assert row["output"] == row["input"]
        assert row["bytes"] == len(expected[row["output"]])
        assert row["ms"] > 0
        assert row["hole"] == pytest.approx(21 * 16 / SIDE**2)


def test_a_glob_and_a_folder_of_masks(
    command: Run, folder: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    for name in ("000", "001", "002"):
        for place, ending in (("in/deep", ".jpg"), ("masks/deep", "_mask.png")):
            (tmp_path / place).mkdir(parents=True, exist_ok=True)
            shutil.copy(folder / f"{name}{ending}", tmp_path / place)
    (tmp_path / "masks/deep/001_mask.png").rename(tmp_path / "masks/deep/001.png")
    out = tmp_path / "out"
    ran = command("batch", f"{tmp_path}/in/**/00[01].jpg", out, "-m", tmp_path / "masks")
    assert ran.returncode == 0, ran.stderr
    assert content(str(out)) == {f"deep/{n}.jpg": expected[f"{n}.jpg"] for n in ("000", "001")}
    # Without their folder, the masks lie beside no photo: one row each says so.
    ran = command("batch", tmp_path / "in", tmp_path / "none")
    assert ran.returncode == 1
    assert ran.stderr.count("has no mask") == 3
    assert "0 filled" in ran.stdout
    assert "3 failed (see the manifest)" in ran.stdout


def test_shards(command: Run, folder: Path, expected: dict[str, bytes], tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as shard:
        for number in range(3):
            for ending, source in ((".jpg", ".jpg"), (".json", None), (".mask.png", "_mask.png")):
                found = (folder / f"{number:03}{source}").read_bytes() if source else b"{}"
                _add(shard, f"sub/{number:03}{ending}", found)
        _add(shard, "sub/lonely.jpg", (folder / "003.jpg").read_bytes())
        _add(shard, "../escape.jpg", (folder / "003.jpg").read_bytes())
        _add(shard, "../escape.mask.png", (folder / "003_mask.png").read_bytes())
        _add(shard, "__meta__.json", b"{}")
    tarfile.open(tmp_path / "empty.tar", "w").close()
    whole = (tmp_path / "a.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[:5000])
    out = tmp_path / "out"
    ran = command("batch", f"{tmp_path}/*.tar", out)
    assert ran.returncode == 1
    rows = check_whole(
        str(out),
        [
            *(f"a.tar#sub/{number:03}" for number in range(3)),
            *("a.tar#sub/lonely", "a.tar#../escape", "cut.tar"),
            *[row["input"] for row in manifest.rows(str(out)) if row["input"][:8] == "cut.tar#"],
        ],
    )
    assert (
        content(str(out)).items()
        >= {f"a/sub/{number:03}.jpg": expected[f"{number:03}.jpg"] for number in range(3)}.items()
    )
    assert "no lonely.mask.png" in rows["a.tar#sub/lonely"]["error"].replace("sub/", "")
    assert "'..'" in rows["a.tar#../escape"]["error"]
    assert "cannot be read to its end" in rows["cut.tar"]["error"]
    assert not (tmp_path / "escape.jpg").exists()
    ran = command("batch", f"{tmp_path}/*.tar", out)
    assert "0 filled" in ran.stdout
    # The shard comes whole: what failed is done again, and nothing else is told of anew.
    (tmp_path / "cut.tar").write_bytes(whole)
    ran = command("batch", f"{tmp_path}/*.tar", out, "--retry-failed")
    assert "3 filled" in ran.stdout
    again = {row["input"] for row in manifest.rows(str(out))}
    assert again == {name for name in rows if name[0] == "a"} | {
        name.replace("a.tar", "cut.tar") for name in rows if name[0] == "a"
    }


def test_samples_that_are_not_clear_cost_a_row(
    command: Run, folder: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    photo, mask = ((folder / f"000{end}").read_bytes() for end in (".jpg", "_mask.png"))
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as shard:
        for name, found in (
            *(("one.jpg", photo), ("one.mask.png", mask), ("text.txt", b"no photo")),
            *(("two.jpg", photo), ("two.png", photo), ("two.mask.png", mask)),
            *(("one.JPG", photo), ("one.mask.png", mask)),
        ):
            _add(shard, name, found)
    out = tmp_path / "out"
    ran = command("batch", tmp_path / "a.tar.gz", out)
    assert "1 filled" in ran.stdout
    rows = check_whole(str(out), ["a.tar.gz#one", "a.tar.gz#two", "a.tar.gz#one (2)"])
    assert content(str(out)) == {"a/one.jpg": expected["000.jpg"]}
    assert "2 photos (jpg, png)" in rows["a.tar.gz#two"]["error"]
    assert "another sample of this key" in rows["a.tar.gz#one (2)"]["error"]
    # One mask for all samples, and none of their own.
    ran = command("batch", tmp_path / "a.tar.gz", tmp_path / "b", "-m", folder / "000_mask.png")
    assert content(str(tmp_path / "b")) == {"a/one.jpg": expected["000.jpg"]}
    ran = command("batch", tmp_path / "a.tar.gz", tmp_path / "c", "-m", folder)
    assert ran.returncode == 2
    assert "samples of shards and tables carry their masks" in ran.stderr


def test_a_manifest_that_is_damaged_is_named(command: Run, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert command("batch", folder, out).returncode == 0
    (part,) = parts(str(out))
    whole = (out / "_manifest" / part).read_bytes()
    (out / "_manifest" / part).write_bytes(whole[:50])
    ran = command("batch", folder, out)
    assert ran.returncode == 2
    assert f"{part} is damaged" in ran.stderr
    # As it says: without it, its photos are filled again.
    (out / "_manifest" / part).unlink()
    assert "10 filled" in command("batch", folder, out).stdout
    (out / "_manifest/_job.json").write_text("{")
    ran = command("batch", folder, out)
    assert ran.returncode == 2
    assert "_job.json is damaged" in ran.stderr


def _add(shard: tarfile.TarFile, name: str, found: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(found)
    shard.addfile(member, io.BytesIO(found))


@pytest.mark.parametrize("way", ["paths", "bytes", "structs"])
def test_tables(
    command: Run, folder: Path, expected: dict[str, bytes], tmp_path: Path, way: str
) -> None:
    def cell(name: str) -> Any:
        found = (folder / name).read_bytes()
        both = {"bytes": found, "path": name}
        return {"paths": f"{folder.name}/{name}", "bytes": found, "structs": both}[way]

    shutil.copytree(folder, tmp_path / folder.name)
    rows = [{"photo": cell(f"{n:03}.jpg"), "hole": cell(f"{n:03}_mask.png")} for n in range(5)]
    rows[3]["photo"] = None
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "some.parquet", row_group_size=2)
    named = ("--image-column", "photo", "--mask-column", "hole")
    refused = command("batch", tmp_path / "some.parquet", tmp_path / "out")
    assert refused.returncode == 2
    assert "no column 'image': it has photo, hole (--image-column" in refused.stderr
    ran = command("batch", tmp_path / "some.parquet", tmp_path / "out", *named)
    assert ran.returncode == 1
    assert "some.parquet#3 has no image" in ran.stderr
    assert content(str(tmp_path / "out")) == {
        f"some/{n:08}.jpg": expected[f"{n:03}.jpg"] for n in (0, 1, 2, 4)
    }
    check_whole(str(tmp_path / "out"), [f"some.parquet#{n}" for n in range(5)])
    assert len(parts(str(tmp_path / "out"))) == 3


def test_a_bad_photo_costs_a_row_and_can_be_tried_again(
    command: Run, folder: Path, expected: dict[str, bytes], tmp_path: Path, fills: list[str]
) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    shutil.copytree(folder, source)
    good = (source / "004.jpg").read_bytes()
    (source / "004.jpg").write_bytes(good[: len(good) // 2])
    (source / "007_mask.png").write_text("not a picture")
    ran = command("batch", source, out, "--block", 5)
    assert ran.returncode == 1
    assert "8 filled" in ran.stdout
    assert "2 failed" in ran.stdout
    rows = check_whole(str(out), inputs(folder))
    assert "004.jpg" in rows["004.jpg"]["error"]
    # The folder is one table to readers.
    failed = parquet.read_table(out / "_manifest", filters=[("error", "!=", "")])
    assert sorted(failed["input"].to_pylist()) == ["004.jpg", "007.jpg"]
    assert rows["004.jpg"]["output"] is None
    assert "007_mask.png is not an image" in rows["007.jpg"]["error"]

    # A rerun leaves them alone, unless it is told to try them again.
    fills.clear()
    ran = command("batch", source, out, "--block", 5)
    assert ran.returncode == 1
    assert fills == []
    assert "0 filled" in ran.stdout
    assert "8 done before" in ran.stdout
    assert "2 failed" in ran.stdout
    (source / "004.jpg").write_bytes(good)
    ran = command("batch", source, out, "--block", 5, "--retry-failed")
    assert ran.returncode == 1
    assert sorted(fills) == ["004.jpg", "007.jpg"]
    assert "1 filled" in ran.stdout
    rows = check_whole(str(out), inputs(folder))
    assert rows["004.jpg"]["error"] is None
    assert content(str(out))["004.jpg"] == expected["004.jpg"]
    assert len(parts(str(out))) == 2


def test_an_error_nobody_thought_of_costs_a_row(
    command: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Inpainter.run

    def failing(self: Inpainter, request: FillRequest) -> Result:
        result = run(self, request)
        if result.mask[: SIDE // 8 + 5].any() and not result.mask[: SIDE // 8 + 4].any():
            raise ZeroDivisionError("by nothing")
        return result

    monkeypatch.setattr(Inpainter, "run", failing)
    ran = command("batch", folder, tmp_path / "out")
    assert ran.returncode == 1
    assert ran.stderr == "freefill: error: 004.jpg: ZeroDivisionError: by nothing\n"
    assert len(content(str(tmp_path / "out"))) == 9


def test_a_rerun_does_only_what_is_missing(
    command: Run, folder: Path, expected: dict[str, bytes], tmp_path: Path, fills: list[str]
) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    shutil.copytree(folder, source)
    # With their masks: what is called so and has no photo is a photo.
    away = [f"{number}{ending}" for number in ("002", "008") for ending in (".jpg", "_mask.png")]
    for name in away:
        (source / name).rename(tmp_path / name)
    assert command("batch", source, out, "--block", 3).returncode == 0
    before = batches.changed(str(out))
    for name in away:
        (tmp_path / name).rename(source / name)
    # A block that was not committed: its results may be there or not.
    lost = parts(str(out))[1]
    gone = {row["input"] for row in manifest._read(str(out), lost, None)}
    (out / "_manifest" / lost).unlink()
    fills.clear()
    ran = command("batch", source, out, "--block", 3)
    assert ran.returncode == 0
    assert sorted(fills) == sorted({"002.jpg", "008.jpg"} | gone)
    assert f"{8 - len(gone)} done before" in ran.stdout
    check_whole(str(out), inputs(folder))
    assert content(str(out)) == expected
    after = batches.changed(str(out))
    # Which run fills it is written down each time.
    kept = set(before) - gone - {f"_manifest/{lost}", manifest.JOB}
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}


def test_what_is_another_batch_is_refused(command: Run, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert command("batch", folder, out, "--dry-run").stdout.startswith("10 photos to fill in 1 ")
    assert not out.exists()
    assert command("batch", folder, out).returncode == 0
    before = batches.changed(str(out))
    for arguments, words in (
        ((folder, out, "--grow", 3), "grow was 0 and is 3"),
        ((folder, out, "--format", "png"), "format was not set and is '.png'"),
        ((f"{folder}/00*.jpg", out), "source was"),
        ((folder, folder), "source, too"),
        ((out, tmp_path / "x", "-m", tmp_path / "none.png"), "none.png does not exist"),
        ((tmp_path / "nothing", tmp_path / "x"), "does not exist"),
        ((folder, tmp_path), "is not empty and is not the destination of a batch"),
        ((folder, tmp_path / "x", "--format", "xyz"), "--format 'xyz'"),
        (("gs://mine/photos", tmp_path / "x"), "paths on this disk and s3://"),
        ((folder, tmp_path / "x", "--address", "auto"), "--runner ray"),
        ((folder, tmp_path / "x", "--cores", 2), "--workers are the cores"),
    ):
        ran = command("batch", *arguments)
        assert ran.returncode == 2, arguments
        assert words in ran.stderr
        assert len(ran.stderr.splitlines()) == 1
    assert batches.changed(str(out)) == before
    assert not (tmp_path / "x").exists()


def test_a_batch_that_has_done_nothing_binds_nobody(
    command: Run, folder: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    ran = command("batch", folder, tmp_path / "out", "--device", "cuda")
    assert ran.returncode == 2
    assert "pip install onnxruntime-gpu" in ran.stderr
    assert command("batch", folder, tmp_path / "out").returncode == 0
    assert content(str(tmp_path / "out")) == expected


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_gpu_that_does_not_answer_is_no_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    # A single fill goes on with the processor; in a batch results would differ.
    # Where it is built for one, ONNX Runtime only warns, and computes on the CPU.
    there = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: there)
    with pytest.raises(WeightsError, match="found no cuda that it can use"):
        BatchWorker(Batch("a", "b", "photos", device="cuda"), 1)


def test_photos_and_shards_in_one_folder_are_told_apart(command: Run, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    (tmp_path / "b.tar").touch()
    ran = command("batch", tmp_path, tmp_path / "out")
    assert "1 photos and 1 shards" in ran.stderr


def test_what_cannot_be_written_at_all_stops_the_batch(
    command: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from freefill.batch.distributed import files

    write = files.write

    def full(root: str, name: str, found: bytes) -> None:
        if name == "004.jpg":
            raise OSError(28, "No space left on device")
        write(root, name, found)

    monkeypatch.setattr(files, "write", full)
    ran = command("batch", folder, tmp_path / "out", "--block", 2)
    assert ran.returncode == 2
    assert "004.jpg cannot be written" in ran.stderr
    assert "No space left" in ran.stderr
    assert len(parts(str(tmp_path / "out"))) == 2
    # There is space again.
    monkeypatch.setattr(files, "write", write)
    assert "4 done before" in command("batch", folder, tmp_path / "out", "--block", 2).stdout
    check_whole(str(tmp_path / "out"), inputs(folder))


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return batches.photos(tmp_path_factory.mktemp("scale") / "many", 60, 256)


@pytest.fixture
def running(many: Path, tmp_path: Path) -> Iterator[Any]:
    """A batch in a process of its own that has done some blocks and has more to do."""
    process = started(many, tmp_path / "out", "--block", 3)
    until(lambda: len(parts(str(tmp_path / "out"))) >= 2, process)
    yield process
    process.kill()
    process.communicate()


def test_a_second_batch_into_the_same_place_is_refused(
    command: Run, many: Path, tmp_path: Path, running: Any
) -> None:
    ran = command("batch", many, tmp_path / "out")
    assert ran.returncode == 2
    assert f"another run fills {tmp_path / 'out'}: process {running.pid} on" in ran.stderr
    assert running.wait(60) == 0
    check_whole(str(tmp_path / "out"), inputs(many))


def test_ctrl_c_says_how_to_go_on(command: Run, many: Path, tmp_path: Path, running: Any) -> None:
    running.send_signal(signal.SIGINT)
    out, error = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "the same command goes on" in error
    assert len(error.splitlines()) == 1
    assert out == ""
    before = len(manifest.rows(str(tmp_path / "out")))
    assert f"{before} done before" in command("batch", many, tmp_path / "out", "--block", 3).stdout
    check_whole(str(tmp_path / "out"), inputs(many))


def test_kill_9_loses_nothing(command: Run, many: Path, tmp_path: Path, running: Any) -> None:
    running.kill()
    running.communicate()
    out = str(tmp_path / "out")
    before, told = batches.changed(out), manifest.rows(out)
    assert 0 < len(told) < 60
    ran = command("batch", many, tmp_path / "out", "--block", 3)
    assert ran.returncode == 0
    assert f"{60 - len(told)} filled" in ran.stdout
    assert f"{len(told)} done before" in ran.stdout
    check_whole(out, inputs(many))
    after = batches.changed(out)
    for row in told:
        assert after[row["output"]] == before[row["output"]]


@pytest.mark.parametrize(
    ("missing", "runner", "extra"),
    [("pyarrow", "local", "batch"), ("pyarrow", "ray", "ray"), ("ray", "ray", "ray")],
)
def test_what_is_missing_is_named_with_its_extra(
    folder: Path, tmp_path: Path, missing: str, runner: str, extra: str
) -> None:
    code = f"""
import sys
sys.modules["{missing}"] = None
import freefill.cli
freefill.cli.main()
"""
    command = [sys.executable, "-c", code, "batch", str(folder), str(tmp_path / "out")]
    command += ["--runner", runner]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 2
    assert ran.stderr.startswith(f"freefill: error: {missing}")
    assert ran.stderr.endswith(f" is missing: pip install 'freefill[{extra}]'\n")


def test_help_loads_nothing_heavy_and_filling_here_no_ray(folder: Path, tmp_path: Path) -> None:
    code = """
import sys, freefill.cli
try:
    freefill.cli.main()
except SystemExit as stop:
    assert not stop.code
print([name for name in ("numpy", "pyarrow", "ray") if name in sys.modules])
"""

    def loaded(*arguments: object) -> str:
        command = [sys.executable, "-c", code, "batch", *map(str, arguments)]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        return ran.stdout.splitlines()[-1]

    assert loaded("--help") == "[]"
    assert loaded(f"{folder}/00[01].jpg", tmp_path / "out") == "['numpy', 'pyarrow']"


def test_names_that_begin_alike_are_not_written_over_each_other(
    command: Run, folder: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    long = "x" * 60
    (tmp_path / "in").mkdir()
    for number in range(8):
        for ending in (".jpg", "_mask.png"):
            shutil.copy(folder / f"{number:03}{ending}", tmp_path / f"in/{long}{number:03}{ending}")
    for verb in (
        ("batch", tmp_path / "in", tmp_path / "a"),
        ("fill", tmp_path / "in", "-o", tmp_path / "b"),
    ):
        assert command(*verb).returncode == 0
    for place in ("a", "b"):
        found = {path.name[60:]: path.read_bytes() for path in (tmp_path / place).glob("x*")}
        assert found == {f"{n:03}.jpg": expected[f"{n:03}.jpg"] for n in range(8)}


def test_the_mask_is_grown_and_inverted_as_asked(
    command: Run, folder: Path, tmp_path: Path
) -> None:
    mask = np.asarray(Image.open(folder / "000_mask.png"))
    Image.fromarray(255 - mask).save(tmp_path / "keep.png")
    out = tmp_path / "out"
    ran = command(
        *("batch", f"{folder}/00[0-2].jpg", out, "-m", tmp_path / "keep.png"),
        *("--invert", "--grow", 4, "--format", "png", "--strip"),
    )
    assert ran.returncode == 0, ran.stderr
    rows = check_whole(str(out), ["000.jpg", "001.jpg", "002.jpg"])
    assert {row["output"] for row in rows.values()} == {"000.png", "001.png", "002.png"}
    assert all(row["hole"] > (mask > 127).mean() * 1.3 for row in rows.values())
