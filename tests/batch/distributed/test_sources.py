"""What a source is taken for, which blocks it becomes, and what of them is left to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from freefill.batch.distributed import files
from freefill.batch.distributed.blocks import Batch, Block, Item, Outcome, part_of
from freefill.batch.distributed.files import unsafe
from freefill.batch.distributed.sources import blocks, find, glob, remaining
from freefill.errors import ConfigError, ImageError, StorageError


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def planned(source: Path | str, to: Path, mask: str | None = None, size: int = 2) -> list[Block]:
    found = find(str(source), str(to), mask)
    return blocks(Batch(str(source), str(to), found.kind, mask), found, size)


def short(found: list[Block], root: Path) -> dict[str, str | None]:
    """Photo to mask, as names below ``root``."""
    return {
        item.name: item.mask and str(item.mask).removeprefix(f"{root}/")
        for block in found
        for item in block.items
    }


def test_a_mask_is_what_has_a_photo_beside_it(tmp_path: Path) -> None:
    touch(tmp_path / "in", "gas_mask.jpg", "gas_mask_mask.png", "a.jpg", "a_mask.png")
    touch(tmp_path / "in", "e\u0301t\u00e9.jpg", "\u00e9te\u0301_mask.png", "hole.png")
    hole = str(tmp_path / "in" / "hole.png")
    names = ["a.jpg", "e\u0301t\u00e9.jpg", "gas_mask.jpg"]
    assert sorted(short(planned(tmp_path / "in", tmp_path / "out", hole), tmp_path)) == names
    # Also where a pattern or a name leaves the photo out.
    for pattern in ("*_mask.*", "gas_mask.jpg"):
        source = tmp_path / "in" / pattern
        assert short(planned(source, tmp_path / "out"), tmp_path) == {
            "gas_mask.jpg": "in/gas_mask_mask.png"
        }


def test_masks_are_those_of_fill(tmp_path: Path) -> None:
    # The rules of tests/batch/test_local_files.py, by names in a listing.
    touch(tmp_path / "in", "a.jpg", "b.JPG", "b_mask.PNG", "sub/a.png", "sub/a_mask.webp", "x.txt")
    touch(tmp_path / "masks", "a.png", "b_mask.png", "b.png", "sub/a_mask.jpg")
    source, to = tmp_path / "in", tmp_path / "in" / "out"
    touch(to, "old.jpg")
    beside = planned(source, to)
    assert short(beside, tmp_path) == {
        "a.jpg": None,
        "b.JPG": "in/b_mask.PNG",
        "sub/a.png": "in/sub/a_mask.webp",
    }
    assert [block.count for block in beside] == [2, 1]
    assert short(planned(source, to, str(tmp_path / "masks")), tmp_path) == {
        "a.jpg": "masks/a.png",
        "b.JPG": "masks/b_mask.png",
        "sub/a.png": "masks/sub/a_mask.jpg",
    }
    touch(tmp_path / "own", "a.png", "b.png", "b_mask.png")
    own = planned(tmp_path / "own", to, str(tmp_path / "own"))
    assert short(own, tmp_path) == {"a.png": None, "b.png": "own/b_mask.png"}


def test_a_folder_with_signs_in_its_name_is_a_folder(tmp_path: Path) -> None:
    touch(tmp_path / "photos [1]", "a.jpg")
    assert len(planned(tmp_path / "photos [1]", tmp_path / "out")) == 1


def test_the_name_of_a_bucket_is_no_pattern(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "kind", lambda location: None)
    with pytest.raises(ConfigError, match="bucket has to be written out"):
        find("s3://b*/photos", "s3://to", None)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("*.jpg", ["a.jpg"], ["a/b.jpg", "ajpg"]),
        ("**/*.jpg", ["a.jpg", "a/b/c.jpg"], ["a.png"]),
        ("20[12]?/x.*", ["2019/x.jpg", "202a/x.png"], ["2039/x.jpg", "201/x.jpg"]),
        ("[!a]+(1).tar", ["b+(1).tar"], ["a+(1).tar", "bb+(1).tar"]),
        ("a/**", ["a/b", "a/b/c"], ["b/a"]),
    ],
)
def test_globs(pattern: str, yes: list[str], no: list[str]) -> None:
    assert all(glob(pattern).fullmatch(name) for name in yes)
    assert not any(glob(pattern).fullmatch(name) for name in no)


def test_names_that_would_leave_the_destination(tmp_path: Path) -> None:
    for name in ("../a.jpg", "a/../../b.jpg", "/etc/a.jpg", "a//b.jpg", "_manifest/a.jpg", "./a"):
        assert unsafe(name), name
    for name in ("a.jpg", "a/b.jpg", "..a/b..jpg", "a/_manifest.jpg"):
        assert unsafe(name) is None, name


def test_two_results_of_one_name_are_refused(tmp_path: Path) -> None:
    touch(tmp_path / "in", "a.jpg", "a.png")
    found = find(str(tmp_path / "in"), str(tmp_path / "out"), None)
    batch = Batch(str(tmp_path / "in"), str(tmp_path / "out"), "photos", ending=".webp")
    with pytest.raises(ImageError, match=r"a\.jpg and a\.png would both become a\.webp"):
        blocks(batch, found, 2)


def test_a_table_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text("no table")
    with pytest.raises(StorageError, match=r"a\.parquet is not a Parquet file"):
        planned(tmp_path / "a.parquet", tmp_path / "out")


def files_block(*names: str) -> Block:
    items = tuple(Item(name, name) for name in names)
    return Block(part_of(names), names[0], items, count=len(names))


def test_what_is_left_of_an_unchanged_source_are_the_same_blocks() -> None:
    all_blocks = [files_block("a", "b"), files_block("c", "d"), files_block("e")]
    # Whoever does a block again, at the same time or later, writes the same part.
    done = {all_blocks[1].part: Outcome(["c", "d"], ["d"])}
    assert remaining(all_blocks, done, retry=False) == [all_blocks[0], all_blocks[2]]
    again = remaining(all_blocks, done, retry=True)
    assert again[:2] == [all_blocks[0], all_blocks[2]]
    assert again[2].part == all_blocks[1].part
    assert [item.name for item in again[2].items] == ["d"]
    assert again[2].only == {"d"}


def test_new_photos_make_blocks_of_what_is_not_done() -> None:
    done = {files_block("b", "d").part: Outcome(["b", "d"], [])}
    left = remaining([files_block("a", "b"), files_block("c", "d"), files_block("e")], done, True)
    assert [[item.name for item in block.items] for block in left] == [["a"], ["c"], ["e"]]
    assert len({block.part for block in left} | set(done)) == 4


def test_shards_are_done_by_their_parts() -> None:
    shards = [Block(part_of([name]), name, location=f"/{name}") for name in ("a.tar", "b.tar")]
    done = {shards[0].part: Outcome(["a.tar#1", "a.tar#2"], ["a.tar#2"])}
    assert remaining(shards, done, False) == [shards[1]]
    again = remaining(shards, done, True)
    assert again[0].only == {"a.tar#2"}
    # The shard itself was cut off: all of it is done again.
    done[shards[0].part] = Outcome(["a.tar#1", "a.tar"], ["a.tar"])
    assert remaining(shards, done, True)[0].only is None
