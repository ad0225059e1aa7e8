"""Fetching weights: whole, the right ones, or nothing; and going on where it was cut."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections import namedtuple
from pathlib import Path

import pytest
from wayward import CONTENT, OTHER, SIZE, URL, Site, files, stopped

from freefill.errors import WeightsError
from freefill.weights import cache
from freefill.weights.cache import fetch, remove


def test_weights_are_fetched_once_and_have_a_card(site: Site, cache_folder: Path) -> None:
    told: list[tuple[int, int]] = []
    path = fetch(site.entry(), lambda done, size: told.append((done, size)))
    assert path == cache_folder / "big.onnx"
    assert path.read_bytes() == CONTENT
    assert files(cache_folder) == ["big.json", "big.onnx"]
    assert told[0] == (0, SIZE)
    assert told[-1] == (SIZE, SIZE)
    assert told == sorted(told)
    card = json.loads(path.with_suffix(".json").read_text("utf-8"))
    entry = site.entry()
    assert card == {
        "name": "big",
        "architecture": "deepfill",
        "licence": "CC BY-NC 4.0",
        "sha256": entry.sha256,
        "bytes": SIZE,
        "source": entry.url,
    }
    assert fetch(entry) == path
    assert len(site.asked) == 1


def test_a_wrong_sum_leaves_nothing_and_names_both(site: Site, cache_folder: Path) -> None:
    site.files[URL] = OTHER
    with pytest.raises(WeightsError, match=site.entry().sha256) as refused:
        fetch(site.entry())
    assert hashlib.sha256(OTHER).hexdigest() in str(refused.value)
    assert files(cache_folder) == []
    assert len(site.asked) == 1


def test_the_mirror_takes_the_place_of_host_and_folder(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.files = {"/kept/here/big_model.onnx": CONTENT, "/kept/here/big.json": b'{"about": "it"}'}
    monkeypatch.setenv("FREEFILL_MIRROR", f"{site.url}/kept/here/")
    entry = site.entry(
        url="https://nowhere.invalid/a/big_model.onnx?x=1",
        card_url="https://nowhere.invalid/big.json",
    )
    card = json.loads(fetch(entry).with_suffix(".json").read_text("utf-8"))
    assert card["about"] == "it"
    assert card["source"] == entry.url


def test_a_file_address_works_offline_too(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FREEFILL_OFFLINE", "1")
    (tmp_path / "my mirror").mkdir()
    monkeypatch.setenv("FREEFILL_MIRROR", (tmp_path / "my mirror").as_uri())
    with pytest.raises(WeightsError, match="No such file"):
        fetch(site.entry())
    (tmp_path / "my mirror" / "big_model.onnx").write_bytes(CONTENT)
    assert fetch(site.entry()).read_bytes() == CONTENT


def test_offline_opens_no_connection_and_says_where_the_file_goes(
    site: Site, monkeypatch: pytest.MonkeyPatch, cache_folder: Path
) -> None:
    entry = site.entry(card_url=f"{site.url}/v1/big.json")
    monkeypatch.setenv("FREEFILL_OFFLINE", "1")
    with pytest.raises(WeightsError, match="FREEFILL_OFFLINE") as refused:
        fetch(entry)
    for word in (entry.url, entry.sha256, "0.6 MB", str(cache_folder / "big.onnx")):
        assert str(word) in str(refused.value)
    # Doing what it says makes it work, the card included.
    (cache_folder / "big.onnx").write_bytes(CONTENT)
    path = fetch(entry)
    assert json.loads(path.with_suffix(".json").read_text("utf-8"))["sha256"] == entry.sha256
    assert site.asked == []
    monkeypatch.setenv("FREEFILL_OFFLINE", "0")
    remove("big")
    with pytest.raises(WeightsError, match="404"):  # the card's
        fetch(entry)


def test_another_file_under_the_name_is_left_alone(site: Site, cache_folder: Path) -> None:
    cache_folder.mkdir(parents=True)
    (cache_folder / "big.onnx").write_bytes(OTHER)
    with pytest.raises(WeightsError, match="weights remove big") as refused:
        fetch(site.entry())
    assert hashlib.sha256(OTHER).hexdigest() in str(refused.value)
    assert (cache_folder / "big.onnx").read_bytes() == OTHER


def test_a_card_is_fetched_and_completed(site: Site) -> None:
    site.files["/v1/big.json"] = b'{"name": "x", "licence": "?", "training": {"photos": 5}}'
    entry = site.entry(card_url=f"{site.url}/v1/big.json", card={"notes": [1], "bytes": 3})
    card = json.loads(fetch(entry).with_suffix(".json").read_text("utf-8"))
    assert card["training"] == {"photos": 5}
    assert card["notes"] == [1]
    assert (card["name"], card["licence"], card["bytes"]) == ("big", "CC BY-NC 4.0", SIZE)
    assert card["sha256"] == entry.sha256


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe\xfd", "not JSON"),
        (b"[]", "a list"),
        (b'{"sha256": "abc"}', "another file"),
        (b" " * 1_000_001, "1,000,000 bytes"),
    ],
)
def test_a_wrong_card_is_refused_before_the_weights(site: Site, content: bytes, word: str) -> None:
    site.files["/v1/big.json"] = content
    with pytest.raises(WeightsError, match=word):
        fetch(site.entry(card_url=f"{site.url}/v1/big.json"))
    assert len(site.asked) == 1


def test_a_card_is_asked_for_again(site: Site) -> None:
    site.files["/v1/big.json"] = b"{}"
    site.answers = [503]
    fetch(site.entry(card_url=f"{site.url}/v1/big.json"))
    site.answers = [503] * 9
    with pytest.raises(WeightsError, match="503"):
        fetch(site.entry(name="more", card_url=f"{site.url}/v1/big.json"))


def test_two_pulls_at_once_fetch_one_file(site: Site, cache_folder: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()
    waited: list[int] = []
    results: list[Path] = []

    def slow(done: int, size: int) -> None:
        begun.set()
        assert go_on.wait(20)

    def impatient(done: int, size: int) -> None:
        waited.append(done)
        go_on.set()

    first = threading.Thread(target=lambda: results.append(fetch(site.entry(), slow)))
    first.start()
    assert begun.wait(20)
    with pytest.raises(WeightsError, match="another process"):
        remove("big")
    results.append(fetch(site.entry(), impatient))
    first.join()
    assert waited
    assert results == [cache_folder / "big.onnx"] * 2
    assert results[0].read_bytes() == CONTENT
    assert len(site.asked) == 1
    assert files(cache_folder) == ["big.json", "big.onnx"]


def test_many_processes_at_once_fetch_one_file(site: Site, cache_folder: Path) -> None:
    code = f"""
from freefill.weights.cache import fetch
from freefill.weights.entries import Entry
fetch({site.entry()!r})
"""
    many = [subprocess.Popen([sys.executable, "-c", code], env=os.environ) for _ in range(4)]
    assert [process.wait(60) for process in many] == [0] * 4
    assert (cache_folder / "big.onnx").read_bytes() == CONTENT
    assert len(site.asked) == 1
    assert files(cache_folder) == ["big.json", "big.onnx"]


def test_removing_frees_what_was_pulled_and_what_was_left(site: Site, cache_folder: Path) -> None:
    with pytest.raises(WeightsError, match="there are none"):
        remove("big")
    path = fetch(site.entry())
    card = path.with_suffix(".json").stat().st_size
    assert remove("big") == SIZE + card
    left = stopped(site)
    assert remove("big") >= left
    assert files(cache_folder) == []
    outside = cache_folder.parent / "mine.onnx"
    outside.write_bytes(b"mine")
    with pytest.raises(WeightsError, match=r"\.\./mine"):
        remove("../mine")
    assert outside.is_file()


def test_what_cannot_be_removed_is_named(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    path, unlink = fetch(site.entry()), Path.unlink

    def refuse(self: Path, missing_ok: bool = False) -> None:
        if self == path:
            raise PermissionError(13, "Permission denied", str(self))
        unlink(self, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(WeightsError, match=r"big\.onnx cannot be removed: Permission denied"):
        remove("big")


def test_a_full_disk_is_said_before(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda path: usage(400_000))
    with pytest.raises(WeightsError, match=r"0\.4 MB of room and big needs 0\.6 MB"):
        fetch(site.entry())
    assert site.asked == []


def test_a_folder_that_cannot_be_written_is_named(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FREEFILL_CACHE", str(tmp_path / "file"))
    with pytest.raises(WeightsError, match=r"file.* cannot be written: .*FREEFILL_CACHE"):
        fetch(site.entry())
