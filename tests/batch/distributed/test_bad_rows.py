"""One bad row is one failure: the batch goes on, and want of memory is not final."""

from __future__ import annotations

import os
import subprocess
import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import batches
import pyarrow as pa
import pytest
from batches import check_whole, content
from pyarrow import parquet

from freefill.batch.distributed import manifest, shards
from freefill.errors import OutOfMemoryError
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import FillRequest, Result

Ran = subprocess.CompletedProcess[str]
Run = Callable[..., Ran]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return batches.photos(tmp_path_factory.mktemp("bad") / "photos", 3, 64)


def add(tar: tarfile.TarFile, folder: Path, key: str, photo: str) -> None:
    tar.add(folder / f"{photo}.jpg", f"{key}.jpg")
    tar.add(folder / f"{photo}_mask.png", f"{key}.mask.png")


def table(path: Path, images: list[object], masks: list[object]) -> Path:
    parquet.write_table(pa.table({"image": images, "mask": masks}), path)
    return path


def test_rows_of_a_table_that_lead_nowhere(command: Run, folder: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "sparse.jpg").touch()
    os.truncate(tmp_path / "sparse.jpg", 2**42)
    mask = str(folder / "000_mask.png")
    bad = {
        "/no/such/folder/a.jpg": "No such file",
        "none.jpg": "No such file",
        "/dev/zero": "it is no file",
        "pipe.jpg": "it is no file",
        "sparse.jpg": "it has 4,398,046,511,104 bytes",
        "a\0b.jpg": "null byte",
        "a" * 300 + ".jpg": "name too long",
        str(folder): "it is no file|Is a directory",
    }
    images: list[object] = [str(folder / "000.jpg"), *bad, str(folder / "002.jpg")]
    masks: list[object] = [*[mask] * (len(images) - 1), "/no/such/mask.png"]
    images.append(str(folder / "001.jpg"))
    masks.append(mask)
    path = table(tmp_path / "rows.parquet", images, masks)
    ran = command("batch", path, tmp_path / "out")
    assert ran.returncode == 1, ran.stderr
    names = [f"rows.parquet#{n}" for n in range(len(images))]
    rows = check_whole(str(tmp_path / "out"), names)
    assert [name for name in names if not rows[name]["error"]] == [names[0], names[-1]]
    for name, why in zip(names[1:], bad.values(), strict=False):
        assert any(word in rows[name]["error"] for word in why.split("|")), rows[name]["error"]
    assert command("batch", path, tmp_path / "out").returncode == 1


def test_a_text_of_a_table_that_is_not_utf_8(command: Run, folder: Path, tmp_path: Path) -> None:
    names = [os.fsencode(folder / f"{n:03}.jpg") for n in range(3)]
    names[1] = b"\xff.jpg"
    images = pa.array(names, pa.binary()).view(pa.string())
    path = table(tmp_path / "rows.parquet", images, [str(folder / "000_mask.png")] * 3)
    assert command("batch", path, tmp_path / "out").returncode == 1
    rows = check_whole(str(tmp_path / "out"), [f"rows.parquet#{n}" for n in range(3)])
    assert [bool(row["error"]) for _, row in sorted(rows.items())] == [False, True, False]


def test_members_of_a_shard_that_no_photo_can_be(
    command: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "MAX_MEMBER", 100_000)
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.GNU_FORMAT) as tar:
        add(tar, folder, "a", "000")
        add(tar, folder, "b\udcff", "001")
        for name in ("big.bin", "c.jpg"):
            member = tarfile.TarInfo(name)
            member.size = 300_000
            tar.addfile(member, BytesIO(bytes(member.size)))
        add(tar, folder, "d", "002")
    # The last one claims 1 TB.
    claim = tarfile.TarInfo("e.jpg")
    claim.size = 2**40
    whole = (tmp_path / "x.tar").read_bytes().rstrip(b"\0")
    whole += bytes(-len(whole) % 512)
    (tmp_path / "x.tar").write_bytes(whole + claim.tobuf(tarfile.GNU_FORMAT) + bytes(1000))
    ran = command("batch", tmp_path / "x.tar", tmp_path / "out")
    assert ran.returncode == 1
    told = ["x.tar#a", "x.tar#b\\udcff", "x.tar#c", "x.tar#d", "x.tar"]
    rows = check_whole(str(tmp_path / "out"), told)
    assert [name for name in told if not rows[name]["error"]] == ["x.tar#a", "x.tar#d"]
    assert "not UTF-8" in rows[told[1]]["error"]
    assert "cannot be read to its end: unexpected end of data" in rows["x.tar"]["error"]


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, b"Z"], ids=["file", "unknown"])
def test_a_claim_of_1_tb_is_not_looked_for(
    kind: bytes, command: Run, folder: Path, tmp_path: Path
) -> None:
    claim = tarfile.TarInfo("e.bin")
    claim.size, claim.type = 2**40, kind
    (tmp_path / "x.tar").write_bytes(claim.tobuf(tarfile.GNU_FORMAT) + bytes(1000))
    ran = command("batch", tmp_path / "x.tar", tmp_path / "out")
    assert ran.returncode == 1
    assert "x.tar cannot be read to its end" in ran.stderr


@pytest.mark.parametrize("kind", ["photos", "shards", "rows"])
def test_want_of_memory_is_said_and_not_final(
    kind: str, command: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, names = folder, [f"{n:03}.jpg" for n in range(3)]
    if kind == "shards":
        source = tmp_path / "x.tar"
        with tarfile.open(source, "w") as tar:
            for n in range(3):
                add(tar, folder, str(n), f"{n:03}")
        names = [f"x.tar#{n}" for n in range(3)]
    elif kind == "rows":
        images = [str(folder / f"{n:03}.jpg") for n in range(3)]
        masks = [str(folder / f"{n:03}_mask.png") for n in range(3)]
        source = table(tmp_path / "x.parquet", [*images], [*masks])
        names = [f"x.parquet#{n}" for n in range(3)]
    run, seen = Inpainter.run, list[str]()

    def failing(self: Inpainter, request: FillRequest) -> Result[object]:
        seen.append(request.image.name)
        if request.image.name == names[1]:
            # As decoding says it: an error of freefill's, which others of those are final.
            raise OutOfMemoryError("no room for the samples")
        if request.image.name == names[2]:
            raise ZeroDivisionError
        return run(self, request)

    monkeypatch.setattr(Inpainter, "run", failing)
    ran = command("batch", source, tmp_path / "out")
    assert ran.returncode == 1
    assert f"{names[1]}: there was not enough memory: the next run tries it again" in ran.stderr
    check_whole(str(tmp_path / "out"), names)
    seen.clear()
    monkeypatch.setattr(Inpainter, "run", run)
    ran = command("batch", source, tmp_path / "out")
    assert ran.returncode == 1  # the other one is left alone
    assert "1 filled" in ran.stdout
    assert "1 done before, 1 failed" in ran.stdout
    rows = check_whole(str(tmp_path / "out"), names)
    assert [name for name in names if rows[name]["error"]] == [names[2]]
    assert len(content(str(tmp_path / "out"))) == 2


JOBS = {
    "cut": b"{",
    "not utf-8": b"\xff",
    "deep": b"[" * 100_000,
    "deep and whole": b'{"source":' * 500 + b"1" + b"}" * 500,
    "nan": b'{"grow": NaN}',
    "infinite": b'{"grow": -1e999}',
}


@pytest.mark.parametrize("what", [*JOBS, "pipe", "device", "folder"])
def test_settings_of_a_batch_that_are_none(
    what: str, command: Run, folder: Path, tmp_path: Path
) -> None:
    job = tmp_path / "out" / manifest.JOB
    job.parent.mkdir(parents=True)
    if what == "pipe":
        os.mkfifo(job)
    elif what == "folder":
        job.mkdir()
    elif what == "device":
        job.symlink_to("/dev/zero")
    else:
        job.write_bytes(JOBS[what])
    ran = command("batch", folder, tmp_path / "out")
    assert ran.returncode == 2
    assert "_job.json is damaged" in ran.stderr
    assert ran.stderr.count("\n") == 1
