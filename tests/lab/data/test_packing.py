"""Packing: what is in the shards, what is left out and why, and runs that are cut short."""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import json
import os
import shutil
import signal
import struct
import tarfile
import warnings
import zlib
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from freefill.errors import DataError
from freefill.lab.data.packing import workers as worker_module
from freefill.lab.data.packing.run import Options, Progress, Summary, pack
from freefill.lab.data.packing.sources import find_sources
from freefill.lab.data.packing.workers import Broken, Ready, Recipe, Workers, make_ready
from freefill.lab.data.photos import list_photos

SMALL = Options(size=64, per_shard=4)


def picture(number: int, width: int = 120, height: int = 90) -> Image.Image:
    """Random blots: no two numbers look alike to the hash."""
    rng = np.random.default_rng(number)
    blots = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8))
    return blots.resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Eleven photos that can be packed, two that show what others show, and three broken ones."""
    folder = tmp_path / "photos"
    (folder / "below").mkdir(parents=True)
    for number in range(8):
        picture(number).save(folder / f"{number}.png")
    for number in range(8, 11):
        picture(number, 60 * number, 700).save(folder / "below" / f"{number}, wide.jpg")
    picture(3).resize((80, 64)).save(folder / "3 small.png")
    picture(9, 540, 700).save(folder / "9 again.jpg", quality=40)
    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("not a photo")
    picture(20, 40, 200).save(folder / "narrow.png")
    picture(21).save(folder / "0_mask.png")
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    """All that a run wrote; the lock's file stays and is empty."""
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    assert files.pop(".pack.lock", b"") == b""
    return files


def report(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "report.csv").open(newline="", errors="surrogateescape") as file:
        return {row["source"]: row for row in csv.DictReader(file)}


def test_the_format_is_the_one_that_is_promised(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    summary = pack(photos, out, SMALL)
    assert sorted(tree(out)) == [
        "index.json", "pack.json", "report.csv",
        "shard-000000.tar", "shard-000001.tar", "shard-000002.tar",
    ]  # fmt: skip
    index = json.loads((out / "index.json").read_text())
    assert list(index) == ["format", "size", "photos", "bytes", "shards"]
    assert (index["format"], index["size"], index["photos"]) == (1, 64, 11)
    assert [shard["photos"] for shard in index["shards"]] == [4, 4, 3]
    assert index["bytes"] == sum(shard["bytes"] for shard in index["shards"]) == summary.bytes
    number, sources = 0, set()
    for shard in index["shards"]:
        assert list(shard) == ["name", "photos", "bytes", "sha256"]
        content = (out / shard["name"]).read_bytes()
        assert len(content) == shard["bytes"]
        assert hashlib.sha256(content).hexdigest() == shard["sha256"]
        with tarfile.open(out / shard["name"], "r:") as tar:
            members = tar.getmembers()
            for jpg, text in zip(members[::2], members[1::2], strict=True):
                assert (jpg.name, text.name) == (f"{number:08}.jpg", f"{number:08}.json")
                for member in (jpg, text):
                    assert (member.mtime, member.uid, member.gid, member.mode) == (0, 0, 0, 0o644)
                    assert (member.uname, member.gname, member.pax_headers) == ("", "", {})
                    assert member.isreg()
                facts = json.load(tar.extractfile(text))  # type: ignore[arg-type]
                assert list(facts) == ["name", "width", "height", "phash"]
                with Image.open(tar.extractfile(jpg)) as image:  # type: ignore[arg-type]
                    assert (image.format, image.mode) == ("JPEG", "RGB")
                    assert image.size == (facts["width"], facts["height"])
                    # 4:4:4: each component sampled 1x1.
                    assert {part[1:3] for part in image.layer} == {(1, 1)}  # type: ignore[attr-defined]
                    assert min(image.size) == 64
                    assert not image.getexif()
                row = report(out)[facts["name"]]
                assert (row["state"], row["key"]) == ("packed", f"{number:08}")
                assert row["shard"] == shard["name"]
                assert row["phash"] == facts["phash"]
                sources.add(facts["name"])
                number += 1
    assert number == len(sources) == 11


def test_the_webdataset_library_reads_it(photos: Path, tmp_path: Path) -> None:
    import webdataset

    pack(photos, tmp_path / "out", SMALL)
    shards = sorted(map(str, (tmp_path / "out").glob("*.tar")))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = list(webdataset.WebDataset(shards, shardshuffle=False).decode("rgb8"))
    assert [sample["__key__"] for sample in found] == [f"{i:08}" for i in range(11)]
    for sample in found:
        facts = sample["json"]
        assert sample["jpg"].shape == (facts["height"], facts["width"], 3)
        # The picture is the one that its name says, not a neighbour's.
        number = int(Path(facts["name"]).name.split(".")[0].split(",")[0].split(" ")[0])
        expected = np.asarray(picture(number).resize(sample["jpg"].shape[1::-1]), float)
        assert np.abs(expected - sample["jpg"]).mean() < 20


def test_every_file_is_in_the_report_once_and_left_out_for_a_reason(
    photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    summary = pack(photos, out, SMALL)
    rows = report(out)
    with (out / "report.csv").open() as file:
        assert len(file.readlines()) == 1 + len(rows)
    assert sorted(rows) == sorted(str(p.relative_to(photos)) for p in list_photos(photos))
    states = {name: row["state"] for name, row in rows.items()}
    assert (summary.packed, summary.duplicates, summary.broken) == (11, 2, 3)
    assert [n for n, state in states.items() if state == "broken"] == [
        name for name in states if name in ("empty.jpg", "text.jpg", "narrow.png")
    ]
    assert "0 bytes" in rows["empty.jpg"]["reason"]
    assert "not an image" in rows["text.jpg"]["reason"]
    assert "40x200: the shorter side is under 64" in rows["narrow.png"]["reason"]
    for pair in ({"3.png", "3 small.png"}, {"below/9, wide.jpg", "9 again.jpg"}):
        (left,) = (name for name in pair if states[name] == "duplicate")
        (kept,) = pair - {left}
        assert states[kept] == "packed"
        assert rows[left]["duplicate_of"] == kept
        assert int(rows[left]["distance"]) <= 2
        assert rows[left]["key"] == rows[left]["shard"] == ""


def test_of_photos_that_look_alike_the_first_is_kept_unless_all_are(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    photo = picture(5, 400, 300)
    variants = {
        "a.png": photo,
        "b.png": photo.resize((200, 150)),
        "c.png": ImageEnhance.Brightness(photo).enhance(1.05),
        "d.png": picture(6),
    }
    for name, variant in variants.items():
        variant.save(folder / name)
    photo.save(folder / "e.jpg", quality=50)
    order = [*map(find_sources(folder).__getitem__, range(5))]
    order.remove("d.png")
    pack(folder, tmp_path / "out", SMALL)
    rows = report(tmp_path / "out")
    assert [rows[name]["state"] for name in order] == ["packed", *["duplicate"] * 3]
    assert {rows[name]["duplicate_of"] for name in order[1:]} == {order[0]}
    assert rows["d.png"]["state"] == "packed"
    every = pack(folder, tmp_path / "all", replace(SMALL, distance=None))
    assert (every.packed, every.duplicates) == (5, 0)


def bomb() -> bytes:
    """A PNG of few bytes that says that it is 60000x60000."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(999)))


def test_broken_files_say_why(tmp_path: Path) -> None:
    recipe = Recipe(64, 92, 64, 1_000_000)
    whole = io.BytesIO()
    picture(1, 800, 600).save(whole, "JPEG")
    path = tmp_path / "photo.jpg"
    for content, words in [
        (whole.getvalue()[:-2000], "truncated"),
        (whole.getvalue()[:300], ""),
        (b"", "0 bytes"),
        (b"some text", "not an image"),
        (bomb(), "60000x60000"),
    ]:
        path.write_bytes(content)
        made = make_ready(path, recipe)
        assert isinstance(made, Broken), words
        assert words in made.reason
        assert not made.unread
    picture(1, 1100, 1000).save(path)
    made = make_ready(path, recipe)
    assert isinstance(made, Broken)
    assert "max_pixels=1100000" in made.reason
    Image.new("1", (70_000, 64)).save(path.with_suffix(".png"))
    made = make_ready(path.with_suffix(".png"), replace(recipe, max_pixels=10**8))
    assert isinstance(made, Broken)
    assert "70000x64 when shrunk, and a JPEG has at most 65500" in made.reason
    gone = make_ready(tmp_path / "gone.jpg", recipe)
    assert isinstance(gone, Broken)
    assert gone.unread
    picture(1, 800, 600).convert("CMYK").save(path)
    assert isinstance(make_ready(path, recipe), Ready)


def test_workers_change_nothing(photos: Path, tmp_path: Path) -> None:
    pack(photos, tmp_path / "one", SMALL)
    pack(photos, tmp_path / "two", SMALL, workers=2)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_the_order_is_shuffled_and_hangs_on_the_names_alone(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    for path in reversed(list_photos(photos)):
        target = tmp_path / "again" / path.relative_to(photos)
        target.parent.mkdir(exist_ok=True)
        shutil.copy(path, target)
    first, second = find_sources(photos), find_sources(tmp_path / "again")
    order = [first[i] for i in range(len(first))]
    assert order == [second[i] for i in range(len(second))]
    assert first.digest == second.digest
    assert order != sorted(order)
    assert sorted(order) == sorted(str(p.relative_to(photos)) for p in list_photos(photos))


def test_names_of_any_bytes(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    names = ['a "quote", and\na line.png', "é ü 漢.png", os.fsdecode(b"latin \xe9.png"), "=1+1.png"]
    for number, name in enumerate(names):
        picture(number).save(folder / name)
    pack(folder, tmp_path / "out", replace(SMALL, per_shard=1))
    assert sorted(report(tmp_path / "out")) == sorted(names)
    again = pack(folder, tmp_path / "out", replace(SMALL, per_shard=1))
    assert (again.packed, again.fresh) == (4, 0)


# --- runs that are cut short --------------------------------------------------------------------


def at_each_step(monkeypatch: pytest.MonkeyPatch, act: Callable[[int], None]) -> list[int]:
    """Act before each time that something is brought to the disk."""
    steps = [0]
    fsync = os.fsync

    def instead(handle: int) -> None:
        act(steps[0])
        steps[0] += 1
        fsync(handle)

    monkeypatch.setattr(os, "fsync", instead)
    return steps


def test_killed_at_any_step_it_goes_on_to_the_same_bytes(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"

    def keep(step: int) -> None:
        # What a run that is killed now leaves behind.
        shutil.copytree(out, tmp_path / f"killed-{step:03}")

    with monkeypatch.context() as patch:
        steps = at_each_step(patch, keep)
        pack(photos, out, SMALL)
    whole = tree(out)
    assert steps[0] >= 12
    fresh = set()
    for step in range(steps[0]):
        left = tmp_path / f"killed-{step:03}"
        # And with the last lines half on the disk, as after the power fails.
        torn = shutil.copytree(left, tmp_path / f"torn-{step:03}")
        for name in ("report.csv", "progress.jsonl"):
            # Once the index is there, the report is known to be on the disk.
            if (torn / name).exists() and not (torn / "index.json").exists():
                with (torn / name).open("ab") as file:
                    file.write(b'{"name": "shard-0000\0\0\0')
        for folder in (left, torn):
            fresh.add(pack(photos, folder, SMALL).fresh)
            assert tree(folder) == whole, folder.name
    # It did go on: all was done again only where no shard was finished.
    assert len(fresh) == 4
    assert max(fresh) == 16
    assert min(fresh) == 0


def test_a_full_disk_leaves_nothing_half_and_can_be_gone_on_from(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        steps = at_each_step(patch, lambda step: None)
        pack(photos, tmp_path / "whole", SMALL)
    whole = tree(tmp_path / "whole")
    for limit in range(steps[0]):

        def full(step: int, limit: int = limit) -> None:
            if step >= limit:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        out = tmp_path / f"full-{limit}"
        # The last step brings the folder's list of names to the disk, which not every system does.
        at_last = limit == steps[0] - 1
        with monkeypatch.context() as patch:
            at_each_step(patch, full)
            with nullcontext() if at_last else pytest.raises(DataError) as caught:
                pack(photos, out, SMALL)
        if caught is not None:
            assert f"{out} cannot be written to: No space left on device" in str(caught.value)
            assert [path.name for path in out.glob(".*")] in ([], [".pack.lock"])
        pack(photos, out, SMALL)
        assert tree(out) == whole


class Deadly:
    """A folder in which one file ends the process that opens it, always or once."""

    def __init__(self, folder: Path, deadly: str, once: bool) -> None:
        self.folder, self.deadly, self.once = folder, deadly, once

    def __truediv__(self, name: str) -> Path:
        died = self.folder / "died"
        if name == self.deadly and not (self.once and died.exists()):
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.folder / name


@pytest.mark.parametrize("once", [False, True])
def test_a_file_that_crashes_the_decoder_stops_nothing_else(tmp_path: Path, once: bool) -> None:
    names = [f"{number}.png" for number in range(12)]
    for number, name in enumerate(names):
        picture(number).save(tmp_path / name)
    folder = Deadly(tmp_path, "5.png", once)
    with Workers(folder, names, Recipe(64, 92, 64, 10**8), 2) as workers:  # type: ignore[arg-type]
        made = list(workers.results(0))
    crashed = [name for name, one in zip(names, made, strict=True) if isinstance(one, Broken)]
    assert crashed == ([] if once else ["5.png"])
    if not once:
        assert isinstance(made[5], Broken)
        assert "crashed on it (signal 9)" in made[5].reason
    direct = [make_ready(tmp_path / name, Recipe(64, 92, 64, 10**8)) for name in names]
    assert [one for one in made if isinstance(one, Ready)] == [
        one for name, one in zip(names, direct, strict=True) if name not in crashed
    ]


class DeadlyToAll:
    """A folder in which every file ends the process that opens it."""

    def __truediv__(self, name: str) -> Path:
        os._exit(3)


def test_workers_that_only_die_stop_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "DEATHS", 0)
    names = [f"{number}.png" for number in range(60)]
    with (
        pytest.raises(DataError, match=r"exit code 3.*fewer `workers`"),
        Workers(DeadlyToAll(), names, Recipe(64, 92, 64, 10**8), 1) as workers,  # type: ignore[arg-type]
    ):
        list(workers.results(0))


def test_a_disk_that_goes_away_is_no_list_of_broken_files(photos: Path, tmp_path: Path) -> None:
    shutil.move(photos, tmp_path / "kept")
    shutil.copytree(tmp_path / "kept", photos)
    out = tmp_path / "out"

    def unplug(progress: Progress) -> None:
        shutil.rmtree(photos, ignore_errors=True)

    with pytest.raises(DataError, match=r"16 files in a row cannot be read .*still there"):
        pack(photos, out, SMALL, progress=unplug)
    shutil.move(tmp_path / "kept", photos)
    assert pack(photos, out, SMALL).packed == 11


# --- refusals -----------------------------------------------------------------------------------


def test_other_options_and_other_photos_are_refused(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    pack(photos, out, SMALL)
    before = tree(out)

    def refused(words: str, options: Options = SMALL) -> None:
        with pytest.raises(DataError, match=words):
            pack(photos, out, options)
        assert tree(out) == before

    refused("--size 64 --quality 92, not --size 65 --quality 80", Options(65, 80, 4))
    refused("--distance 2, not --keep-duplicates", replace(SMALL, distance=None))
    picture(77).save(photos / "new.png")
    refused("17 photos, not 16")
    (photos / "new.png").unlink()
    (photos / "1.png").rename(photos / "renamed.png")
    refused("16 photos as before, but with other names or sizes")
    summary = pack(photos, out, replace(SMALL, per_shard=6), overwrite=True)
    assert (summary.packed, summary.fresh) == (11, 16)
    assert len(list(out.glob("*.tar"))) == 2


def test_shards_that_were_changed_are_noticed(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    pack(photos, out, SMALL)
    with (out / "shard-000001.tar").open("ab") as file:
        file.write(b"more")
    with pytest.raises(DataError, match=r"shard-000001\.tar has \d+ bytes, not"):
        pack(photos, out, SMALL)
    (out / "shard-000001.tar").unlink()
    with pytest.raises(DataError, match=r"shard-000001\.tar is gone"):
        pack(photos, out, SMALL)
    pack(photos, out, SMALL, overwrite=True)
    text = (out / "report.csv").read_text()
    for changed in (
        None,
        "",
        "something else\n",
        text + "one cell\n",
        text.replace("packed,0", "x,0"),
    ):
        (out / "report.csv").unlink()
        if changed is not None:
            (out / "report.csv").write_text(changed)
        with pytest.raises(DataError, match=r"report\.csv was changed"):
            pack(photos, out, SMALL)
        (out / "report.csv").write_text(text)
    (out / "pack.json").write_text("{")
    with pytest.raises(DataError, match=r"pack\.json is damaged"):
        pack(photos, out, SMALL)


@pytest.mark.parametrize(
    ("out", "words"),
    [
        ("photos", "lies in"),
        ("photos/below/shards", "lies in"),
        (".", "of its own"),
        ("other", "holds other files"),
        ("file", "is a file"),
        ("file/below", "cannot be written to"),
    ],
)
def test_places_for_shards_that_are_refused(
    photos: Path, tmp_path: Path, out: str, words: str
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("not to be lost")
    (tmp_path / "file").touch()
    before = sorted(tmp_path.rglob("*"))
    for overwrite in (False, True):
        with pytest.raises(DataError, match=words):
            pack(photos, tmp_path / out, SMALL, overwrite=overwrite)
    assert sorted(tmp_path.rglob("*")) == before


def test_nothing_to_pack(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a folder"):
        pack(tmp_path / "none", tmp_path / "out")
    (tmp_path / "photos").mkdir()
    with pytest.raises(DataError, match="holds no photos"):
        pack(tmp_path / "photos", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "photos/a.jpg").write_text("no")
    with pytest.raises(DataError, match=r"none of 1 photos could be packed: .*report\.csv"):
        pack(tmp_path / "photos", tmp_path / "out")
    assert report(tmp_path / "out")["a.jpg"]["state"] == "broken"
    assert not (tmp_path / "out/index.json").exists()


def test_two_at_a_time_are_one_too_many(photos: Path, tmp_path: Path) -> None:
    seen: list[str] = []

    def second(progress: Progress) -> None:
        if not seen:
            with pytest.raises(DataError, match="another process") as caught:
                pack(photos, tmp_path / "out", SMALL)
            seen.append(str(caught.value))

    summary: Summary = pack(photos, tmp_path / "out", SMALL, progress=second)
    assert seen
    assert summary.packed == 11


def test_impossible_options() -> None:
    for options in ({"size": 63}, {"quality": 0}, {"distance": 13}, {"per_shard": 0}):
        with pytest.raises(DataError, match=next(iter(options))):
            Options(**options)  # type: ignore[arg-type]
