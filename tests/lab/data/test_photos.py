"""Decoding photos once: what is stored, what is refused, what is kept out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from freefill.errors import DataError, OutOfMemoryError
from freefill.imaging.formats import reader
from freefill.lab.config import DataConfig
from freefill.lab.data.packing.sources import find_sources
from freefill.lab.data.packing.workers import Recipe, make_ready
from freefill.lab.data.photos import PhotoStore, list_photos, open_store, sampling_weights, split
from freefill.lab.data.sources import Folder, listed


def write(path: Path, width: int, height: int, colour: tuple[int, int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), colour).save(path)


def test_photos_are_shrunk_to_the_shorter_side_and_kept_apart(tmp_path: Path) -> None:
    write(tmp_path / "data/a.png", 300, 200, (255, 0, 0))
    write(tmp_path / "data/below/b.png", 64, 128, (0, 255, 0))
    write(tmp_path / "data/a_mask.png", 64, 64, (9, 9, 9))
    write(tmp_path / "data/gas_mask.png", 64, 64, (9, 9, 9))
    store = open_store(tmp_path / "data", 100, tmp_path / "cache")
    assert store.names == ("a.png", "below/b.png", "gas_mask.png")
    assert [view.shape for view in store.views()] == [(100, 150, 3), (128, 64, 3), (64, 64, 3)]
    assert (store.views()[0] == [255, 0, 0]).all()
    assert (store.views()[1] == [0, 255, 0]).all()


def test_orientation_is_applied(tmp_path: Path) -> None:
    image = Image.new("RGB", (40, 20))
    exif = image.getexif()
    exif[0x0112] = 6
    (tmp_path / "data").mkdir()
    image.save(tmp_path / "data/a.jpg", exif=exif)
    store = open_store(tmp_path / "data", 256, tmp_path / "cache")
    assert store.views()[0].shape == (40, 20, 3)


def test_second_opening_decodes_nothing_and_a_changed_folder_does(tmp_path: Path) -> None:
    write(tmp_path / "data/a.png", 64, 64, (1, 2, 3))
    calls: list[int] = []

    def opened() -> int:
        return len(
            open_store(
                tmp_path / "data", 64, tmp_path / "cache", lambda done, total: calls.append(done)
            )
        )

    assert opened() == 1
    assert calls == [1]
    assert opened() == 1
    assert calls == [1]
    write(tmp_path / "data/b.png", 64, 64, (1, 2, 3))
    assert opened() == 2
    assert calls == [1, 2]


def test_a_photo_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    write(tmp_path / "data/a.png", 64, 64, (1, 2, 3))
    (tmp_path / "data/b.jpg").write_text("not a photo")
    whole = (tmp_path / "data/a.png").read_bytes()
    (tmp_path / "data/c.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="2 of 3 photos cannot be read") as caught:
        open_store(tmp_path / "data", 64, tmp_path / "cache")
    assert "b.jpg" in str(caught.value)
    assert "c.png" in str(caught.value)
    assert not list((tmp_path / "cache").glob("*.u8"))
    assert not list((tmp_path / "cache").glob("*.partial"))


def test_no_folder_and_no_photos(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a folder"):
        list_photos(tmp_path / "nothing")
    with pytest.raises(DataError, match="holds no photos"):
        list_photos(tmp_path)


def test_split_keeps_out_what_is_named_first() -> None:
    names = [f"a/face_{i}.jpg" for i in range(60)] + [f"scene_{i}.jpg" for i in range(20)]
    _, held = split(names, 12, ["scene_*"])
    assert len(held) == 12
    assert all(index >= 60 for index in held)
    # More than there are: the rest comes from the others, up to a quarter of all.
    _, held = split(names[20:], 15, ["scene_1*", "none_*"])
    assert sum(names[20:][i].startswith("scene_1") for i in held) == 11
    assert len(held) == 15


def test_split_depends_on_names_alone_and_is_stable() -> None:
    names = [f"photo{i}.jpg" for i in range(100)]
    train, held = split(names, 10)
    assert len(held) == 10
    assert sorted(train + held) == list(range(100))
    moved, more = split(["x.jpg", *names], 10)
    assert len(set(more) - {0} & {i + 1 for i in held}) >= 9
    assert len(moved) == 91
    assert len(split(names[:8], 32)[1]) == 2


def test_sampling_weights() -> None:
    weights = sampling_weights(["x/a_1.jpg", "a_2.jpg", "b.jpg"], {"a_*": 4.5, "b*": 0})
    np.testing.assert_allclose(weights, [4.5, 4.5, 0])
    with pytest.raises(DataError, match="weight 0"):
        sampling_weights(["a.jpg"], {"*": 0})


def test_size_0_keeps_photos_whole(tmp_path: Path) -> None:
    write(tmp_path / "data/a.jpg", 3000, 2000, (255, 0, 0))
    store = open_store(tmp_path / "data", 0, tmp_path / "cache")
    assert [view.shape for view in store.views()] == [(2000, 3000, 3)]


def listing(folder: Path, *rows: str, heading: str = "file,use") -> Path:
    file = folder / "list.csv"
    file.write_text("\n".join([heading, *rows]) + "\n", encoding="utf-8")
    return file


@pytest.fixture
def sizes(tmp_path: Path) -> PhotoStore:
    for name, side in (("256/a", 40), ("512/a", 80), ("256/b", 40), ("256/c", 40), ("512/d", 80)):
        write(tmp_path / f"data/{name}.png", side, side, (1, 2, 3))
    return open_store(tmp_path / "data", 0, tmp_path / "cache")


def test_a_list_chooses_each_photo_once_and_the_larger_one(
    sizes: PhotoStore, tmp_path: Path
) -> None:
    rows = ["a.png,train", "b.png,held-out-256", "c.png,dropped", "e.png,held-out-512"]
    used, held = listed(sizes, listing(tmp_path, *rows))
    assert [sizes.names[i] for i in used] == ["512/a.png"]
    assert [sizes.names[i] for i in held] == ["256/b.png"]
    folder = Folder(sizes, DataConfig(list=str(tmp_path / "list.csv")), 0)
    assert (folder.photos, len(folder.held), folder.epoch) == (1, 1, 1)


def test_a_list_may_come_from_a_spreadsheet(sizes: PhotoStore, tmp_path: Path) -> None:
    file = listing(tmp_path, "a.png,train", "b.png", "d.png,train", heading="\ufefffile,use")
    used, held = listed(sizes, file)
    assert [sizes.names[i] for i in used] == ["512/a.png", "512/d.png"]
    assert held == []


def test_what_is_wrong_with_a_list_is_said(sizes: PhotoStore, tmp_path: Path) -> None:
    file = listing(tmp_path, "a.png,train", "x.png,train", "y.png,train")
    with pytest.raises(DataError, match=r"2 of the photos that .* are not there, x\.png among"):
        listed(sizes, file)
    with pytest.raises(DataError, match="has no column 'use'"):
        listed(sizes, listing(tmp_path, "a.png,train", heading="file,purpose"))
    with pytest.raises(DataError, match="has the use 'train'"):
        listed(sizes, listing(tmp_path, "a.png,held-out-256"))
    with pytest.raises(DataError, match=r"cannot be read as a list: .*No such file"):
        listed(sizes, tmp_path / "nothing.csv")
    file.write_bytes(b"file,use\n\xff,train\n")
    with pytest.raises(DataError, match="cannot be read as a list: 'utf-8'"):
        listed(sizes, file)


def test_what_is_hidden_is_no_photo(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write(data / "a.png", 64, 64, (1, 2, 3))
    write(data / "below/b.png", 64, 64, (1, 2, 3))
    for name in ("._a.png", "__MACOSX/a.png", "__MACOSX/below/._b.png", ".thumbnails/a.png"):
        (data / name).parent.mkdir(exist_ok=True, parents=True)
        (data / name).write_bytes(b"\0\5\x16\7")
    assert open_store(data, 64, tmp_path / "cache").names == ("a.png", "below/b.png")
    packed = find_sources(data)
    assert {packed[i] for i in range(len(packed))} == {"a.png", "below/b.png"}
    # A hidden folder that is named is meant.
    assert len(list_photos(data / ".thumbnails")) == 1


def test_a_folder_that_cannot_be_listed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a.png", 64, 64, (1, 2, 3))
    (tmp_path / "locked").mkdir()
    scandir = os.scandir

    def refusing(path: str | os.PathLike[str]) -> Iterator[os.DirEntry[str]]:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    # The tests may run as root, who may read anything.
    monkeypatch.setattr(os, "scandir", refusing)
    for find in (list_photos, find_sources):
        with pytest.raises(DataError, match=r"locked cannot be listed: Permission denied"):
            find(tmp_path)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_16_bits_of_grey_are_scaled(tmp_path: Path, name: str) -> None:
    (tmp_path / "data").mkdir()
    grey = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64)
    Image.fromarray(grey).save(tmp_path / "data" / name)
    (view,) = open_store(tmp_path / "data", 64, tmp_path / "cache").views()
    np.testing.assert_allclose(view[..., 0], grey / 257, atol=0.51)


def test_memory_that_is_short_is_not_a_photo_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "data/a.png", 64, 64, (1, 2, 3))

    def full(*arguments: object, **options: object) -> None:
        raise MemoryError

    monkeypatch.setattr(reader, "from_pillow", full)
    with pytest.raises(OutOfMemoryError, match=r"not enough memory to read .*a\.png"):
        open_store(tmp_path / "data", 64, tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*"))
    recipe = Recipe(size=64, quality=90, smallest=8, max_pixels=10_000)
    with pytest.raises(OutOfMemoryError):
        make_ready(tmp_path / "data/a.png", recipe)
