"""What is hidden in folders and archives is no photo, wherever photos are looked for."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from freefill.batch.distributed import files, manifest
from freefill.batch.local_files import collect
from freefill.errors import FreefillError, ImageError, MaskError
from freefill.lab.data.shards import Shard, is_photo, list_shards, names_shards
from freefill.tasks._video import _stamp
from freefill.video.masks import _pictures

Run = Callable[..., "subprocess.CompletedProcess[str]"]

HIDDEN = (
    "._a.png",
    "._a_mask.png",
    ".DS_Store",
    "__MACOSX/a.png",
    "below/__MACOSX/deep/b.png",
    ".thumbnails/a.png",
    "below/._b.png",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two photos with masks, and what must not be taken for more of them."""
    photos = tmp_path / "photos"
    pixels = np.random.default_rng(4).integers(0, 256, (48, 48, 3), np.uint8)
    mask = np.zeros((48, 48), np.uint8)
    mask[20:30, 20:30] = 255
    for name in ("a", "below/b"):
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(photos / f"{name}.png")
        Image.fromarray(mask).save(photos / f"{name}_mask.png")
    for name in HIDDEN:
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        (photos / name).write_bytes(b"\0\5\x16\7")
    return photos


def test_fill_leaves_out_what_is_hidden(command: Run, folder: Path, tmp_path: Path) -> None:
    ran = command("fill", folder, "-o", tmp_path / "out")
    assert ran.returncode == 0, ran.stderr
    assert "2 filled" in ran.stdout
    # What is named is meant.
    (job,) = collect([folder / "._a.png"], None, tmp_path / "one.png")
    assert job.photo.name == "._a.png"
    assert len(collect([folder / ".thumbnails"], None, tmp_path / "out")) == 1


@pytest.mark.parametrize("pattern", ["", "/**/*.png"])
def test_batch_leaves_out_what_is_hidden(
    command: Run, folder: Path, tmp_path: Path, pattern: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    # The destination was looked at before, too.
    (out / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    ran = command("batch", f"{folder}{pattern}", out)
    assert ran.returncode == 0, ran.stderr
    assert sorted(row["input"] for row in manifest.rows(str(out))) == ["a.png", "below/b.png"]


def test_shards_leave_out_what_is_hidden(command: Run, folder: Path, tmp_path: Path) -> None:
    shards = tmp_path / "shards"
    shards.mkdir()
    with tarfile.open(shards / "x.tar", "w") as tar:
        for name in ("a.png", "__MACOSX/a.png", "below/._b.png", ".thumbnails/a.png"):
            tar.add(folder / name, f"./{name}")
            if name == "a.png":
                tar.add(folder / "a_mask.png", "./a.mask.png")
    (shards / "._x.tar").write_bytes(b"\0\5\x16\7")
    ran = command("batch", shards, tmp_path / "out")
    assert ran.returncode == 0, ran.stderr
    assert [row["input"] for row in manifest.rows(str(tmp_path / "out"))] == ["x.tar#a"]
    # And so does training.
    assert [is_photo(name) for name in ("./a.png", "__MACOSX/a.png", ".t/a.png")] == [
        True,
        False,
        False,
    ]
    assert names_shards(str(shards))
    found = list_shards(
        str(shards), lambda _: b"", lambda names: [Shard(name, 1, 1) for name in names]
    )
    assert [shard.address for shard in found] == [str(shards / "x.tar")]
    (shards / "x.tar").unlink()
    assert not names_shards(str(shards))


def test_masks_of_a_clip_leave_out_what_is_hidden(folder: Path) -> None:
    assert [path.name for path in _pictures(folder)] == ["a.png", "a_mask.png"]
    before = _stamp(folder)
    (folder / ".DS_Store").write_bytes(b"another view")
    assert _stamp(folder) == before
    shutil.copy(folder / "a.png", folder / "c.png")
    assert _stamp(folder) != before


def test_a_stack_leaves_out_what_is_hidden(command: Run, folder: Path, tmp_path: Path) -> None:
    shutil.rmtree(folder / "below")
    ran = command("unmark", "--stack", folder, "--out", tmp_path / "out")
    # Two photos are too few, and of those that are hidden none was counted.
    assert ran.returncode == 2
    assert "._a" not in ran.stderr
    assert " 2" in ran.stderr


@pytest.mark.parametrize("where", ["locked", ".hidden"])
def test_a_folder_that_cannot_be_listed_is_said_unless_it_is_hidden(
    command: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    (folder / where).mkdir()
    scandir, listdir = os.scandir, os.listdir

    def check(path: object) -> None:
        if Path(str(path)).name == where:
            raise PermissionError(13, "Permission denied", str(path))

    def scanning(path: str) -> Iterator[os.DirEntry[str]]:
        check(path)
        return scandir(path)

    def listing(path: str) -> list[str]:
        check(path)
        return listdir(path)

    # The tests may run as root, who may read anything.
    monkeypatch.setattr(os, "scandir", scanning)
    monkeypatch.setattr(os, "listdir", listing)
    if where == ".hidden":
        assert len(collect([folder], None, tmp_path / "out")) == 2
        assert "a.png" in files.listing(str(folder))
        return
    with pytest.raises(ImageError, match="locked cannot be listed: Permission denied"):
        collect([folder], None, tmp_path / "out")
    with pytest.raises(FreefillError, match="cannot be listed"):
        files.listing(str(folder))
    with pytest.raises(MaskError, match="locked cannot be listed: Permission denied"):
        _pictures(folder / where)
    ran = command("unmark", "--stack", folder / where, "--out", tmp_path / "out")
    assert ran.returncode == 2
    assert "locked cannot be listed: Permission denied" in ran.stderr
