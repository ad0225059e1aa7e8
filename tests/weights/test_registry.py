"""Weights: what is bundled is small, whole and described."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import pytest
from wayward import CONTENT, SIZE, URL, Site, files

import freefill
from freefill.errors import WeightsError
from freefill.pipeline.fill import shared
from freefill.pipeline.inpainter import Inpainter
from freefill.weights import cache
from freefill.weights.registry import (
    BUNDLED,
    DEFAULT,
    Weights,
    find,
    find_entry,
    list_entries,
    list_weights,
    pull,
    remove,
)

# By their files, not by list_weights(): that lists what whoever runs the tests has pulled, too.
EVERY = pytest.mark.parametrize(
    "weights",
    [Weights(path.stem, path) for path in sorted(BUNDLED.glob("*.onnx"))],
    ids=lambda weights: weights.name,
)


@pytest.fixture
def copy(tmp_path: Path) -> Weights:
    for suffix in (".onnx", ".json"):
        shutil.copy(BUNDLED / f"{DEFAULT}{suffix}", tmp_path / f"mine{suffix}")
    return Weights("mine", tmp_path / "mine.onnx")


def test_there_are_weights_and_the_default_is_one_of_them() -> None:
    assert DEFAULT in [weights.name for weights in list_weights()]
    assert freefill.list_weights() == list_weights()
    assert all(weights.is_bundled for weights in list_weights())


@EVERY
def test_bundled_weights_are_small_enough_for_a_wheel(weights: Weights) -> None:
    assert 0 < weights.size < 10_000_000


@EVERY
def test_cards_say_what_the_file_is(weights: Weights) -> None:
    card = weights.card
    assert {"name", "parameters", "gmac_512", "sha256", "bytes", "training"} <= card.keys()
    assert card["name"] == weights.name
    content = weights.path.read_bytes()
    assert card["bytes"] == len(content)
    assert card["sha256"] == hashlib.sha256(content).hexdigest()
    # Two bytes each at the least: fewer parameters than that many would not fill the file.
    assert 0 < card["parameters"] <= len(content) / 2
    assert card["gmac_512"] > 0
    assert {"photos", "steps", "crops"} <= card["training"].keys()
    weights.check()


@EVERY
def test_weights_are_found_by_name_and_by_path(weights: Weights) -> None:
    assert find(weights.name) == weights
    assert find(weights.path).path == weights.path
    assert find(str(weights.path)).path == weights.path


def test_one_changed_byte_is_found(copy: Weights) -> None:
    copy.check()
    content = bytearray(copy.path.read_bytes())
    content[len(content) // 2] ^= 1
    copy.path.write_bytes(content)
    with pytest.raises(WeightsError, match=hashlib.sha256(content).hexdigest()) as refused:
        copy.check()
    assert copy.card["sha256"] in str(refused.value)


def test_a_card_without_a_sum_does_not_pass(copy: Weights) -> None:
    copy.card_path.write_text(json.dumps({"name": "mine"}))
    with pytest.raises(WeightsError):
        copy.check()


@pytest.mark.parametrize("card", [True, False])
def test_ten_gigabytes_are_not_read_to_be_refused(copy: Weights, card: bool) -> None:
    os.truncate(copy.path, 10 * 2**30)
    if not card:
        copy.card_path.unlink()
    start = time.perf_counter()
    with pytest.raises(WeightsError, match=r"10,737,418,240 bytes, its card says|is missing"):
        copy.check()
    assert time.perf_counter() - start < 1


def test_a_card_without_a_size_costs_no_memory(copy: Weights) -> None:
    copy.card_path.write_text(json.dumps({"sha256": "0"}))
    os.truncate(copy.path, 64 * 2**20)
    tracemalloc.start()
    with pytest.raises(WeightsError, match="its card says 0"):
        copy.check()
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


def test_a_missing_card_is_named(copy: Weights) -> None:
    copy.card_path.unlink()
    with pytest.raises(WeightsError, match=r"mine\.json is missing"):
        copy.check()


def test_weights_of_another_card_are_not_filled_with(copy: Weights) -> None:
    assert Inpainter(copy.path, threads=1).weights.card["name"] == DEFAULT
    card = copy.card | {"sha256": "0" * 64}
    copy.card_path.write_text(json.dumps(card))
    for load in (Inpainter, shared):
        with pytest.raises(
            WeightsError, match=rf"mine\.onnx is damaged: its sha256 is {copy.short}"
        ):
            load(copy.path)
    # A size that differs, and a card that says nothing of it or is not there.
    copy.card_path.write_text(json.dumps(card | {"bytes": 3}))
    with pytest.raises(WeightsError, match="its card says 3"):
        Inpainter(copy.path)
    copy.card_path.write_text("{}")
    Inpainter(copy.path, threads=1)
    copy.card_path.unlink()
    Inpainter(copy.path, threads=1)


BROKEN = {
    "cut": b"{",
    "not utf-8": b"\xff\xfe",
    "empty": b"",
    "list": b"[]",
    "number": b"3",
    "deep": b"[" * 200_000,
    "deep and whole": b'{"a":' * 100 + b"1" + b"}" * 100,
    "nan": b'{"parameters": NaN}',
    "infinite": b'{"parameters": 1e999}',
    "long number": b'{"parameters": ' + b"9" * 5000 + b"}",
    "half a character": b'{"licence": "\\ud800"}',
    "16 MB": b'{"a": "' + b" " * 2**24 + b'"}',
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_card_that_cannot_be_read_is_named(copy: Weights, content: bytes) -> None:
    copy.card_path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"mine\.json"):
        copy.check()
    with pytest.raises(WeightsError, match=r"mine\.json"):
        Inpainter(copy.path)


@pytest.mark.parametrize("what", ["pipe", "device", "folder", "link"])
def test_a_card_that_is_no_file_is_named_and_not_waited_for(copy: Weights, what: str) -> None:
    copy.card_path.unlink()
    if what == "pipe":
        os.mkfifo(copy.card_path)
    elif what == "folder":
        copy.card_path.mkdir()
    else:
        copy.card_path.symlink_to("/dev/zero" if what == "device" else copy.card_path)
    with pytest.raises(WeightsError, match=r"mine\.json"):
        Inpainter(copy.path)


def test_an_unknown_name_lists_those_that_exist() -> None:
    with pytest.raises(WeightsError, match="'heavy'") as refused:
        find("heavy")
    assert all(weights.name in str(refused.value) for weights in list_weights())
    assert isinstance(refused.value, freefill.FreefillError)


def test_a_path_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"none\.onnx does not exist"):
        find(tmp_path / "none.onnx")
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(WeightsError, match=r"folder\.onnx"):
        find(tmp_path / "folder.onnx")


@EVERY
def test_the_registry_says_what_the_card_and_the_file_say(weights: Weights) -> None:
    entry = find_entry(weights.name)
    assert entry.url is None
    assert entry.sha256 == weights.card["sha256"]
    assert entry.sha256 == hashlib.sha256(weights.path.read_bytes()).hexdigest()
    assert entry.bytes == weights.card["bytes"] == weights.size
    assert entry.licence == weights.card["licence"]
    assert entry.architecture == weights.card["architecture"]
    assert not entry.non_commercial


GOOD = {
    "name": "big",
    "url": "https://example.org/big.onnx",
    "sha256": "AB" * 32,
    "bytes": 204_100_000,
    "licence": "CC BY-NC 4.0",
    "architecture": "deepfill",
}


def written(path: Path, *entries: dict[str, object]) -> Path:
    """Write a registry; JSON's texts, numbers and lists are TOML's, too."""
    parts = [
        "[[weights]]\n" + "\n".join(f"{k} = {json.dumps(v)}" for k, v in entry.items())
        for entry in entries
    ]
    path.write_text("\n\n".join(parts) + "\n", "utf-8")
    return path


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One's own registry, not there yet."""
    monkeypatch.setenv("FREEFILL_REGISTRY", str(tmp_path / "own.toml"))
    return tmp_path / "own.toml"


def test_an_own_registry_is_read_after_the_built_in_one(own: Path) -> None:
    written(own, GOOD, GOOD | {"name": "more", "about": "one more", "licence": "MIT"})
    entries = list_entries()
    assert [entry.name for entry in entries][-2:] == ["big", "more"]
    assert entries[0].name == DEFAULT
    assert entries[-2].sha256 == "ab" * 32
    assert entries[-2].non_commercial
    assert entries[-1].about == "one more"
    assert not entries[-1].non_commercial


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"sha256": None}, "'big': no sha256"),
        ({"sha256": ""}, "'big': no sha256"),
        ({"sha256": "ab" * 31}, "64 digits"),
        ({"bytes": None}, "no bytes"),
        ({"bytes": -1}, "-1"),
        ({"bytes": True}, "not the bool True"),
        ({"bytes": "204 MB"}, "not the str '204 MB'"),
        ({"licence": None}, "no licence"),
        ({"architecture": ""}, "no architecture"),
        ({"url": None}, "url, a package or bundled"),
        ({"url": None, "bundled": True}, "give a url"),
        ({"url": "http://host:99999/a.onnx"}, "'big': url: .* Port out of range"),
        ({"url": "http://host/a b.onnx"}, "'big': url: .* has ' ' as its character 14"),
        ({"url": "ftp://host/a.onnx"}, "'big': url: .* is no https"),
        ({"card_url": "http://h\u00e4st/a.json"}, "'big': card_url: .* as its character 9"),
        ({"card_url": "http://[h/a.json"}, "'big': card_url: .* is no address"),
        ({"card_url": "http://a:b@h/a.json"}, "'big': card_url: the address of 'h' has a user"),
        ({"sha265": "ab"}, "no field 'sha265'"),
        ({"name": "../big"}, "'../big' is no name"),
        ({"name": "big.onnx"}, "without a file's ending"),
        ({"name": None}, "None is no name"),
        ({"name": DEFAULT}, "registry.toml already"),
    ],
)
def test_a_wrong_entry_is_refused_by_name(own: Path, change: dict[str, object], word: str) -> None:
    written(own, {k: v for k, v in (GOOD | change).items() if v is not None})
    with pytest.raises(WeightsError, match=word) as refused:
        list_entries()
    assert str(own) in str(refused.value)


def test_a_name_that_is_taken_twice_is_refused(own: Path) -> None:
    written(own, GOOD, GOOD)
    with pytest.raises(WeightsError, match=r"'big' are in .* already"):
        list_entries()


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (None, "cannot be read: No such file"),
        (b"[[weights", "is not TOML"),
        (b"\xff", "is not TOML"),
        (b"weights = 3", "weights as a int"),
        (b"weights = " + b"[" * 100_000, "is not TOML"),
        (b"weights = [3]", "None is no name"),
        (b"[big]\nurl = 'x'", "not big"),
    ],
)
def test_a_registry_that_cannot_be_read_is_named(
    own: Path, content: bytes | None, word: str
) -> None:
    if content is not None:
        own.write_bytes(content)
    with pytest.raises(WeightsError, match=word) as refused:
        list_entries()
    assert "own.toml" in str(refused.value)
    # What is here is used without a look at the registry.
    assert find(DEFAULT).name == DEFAULT


def test_weights_that_are_not_here_name_the_command_and_are_not_fetched(own: Path) -> None:
    written(own, GOOD)
    with pytest.raises(WeightsError, match=r"`freefill weights pull big` \(204\.1 MB\)"):
        find("big")
    there = f"there is {DEFAULT}; 'freefill weights pull' fetches migan, lama, lama-small, big;"
    with pytest.raises(WeightsError, match=there):
        find("huge")


def test_pulled_weights_are_found_and_removed(own: Path, site: Site, cache_folder: Path) -> None:
    written(own, GOOD | {"url": site.url + URL, "sha256": site.entry().sha256, "bytes": SIZE})
    told: list[int] = []
    weights = pull("big", lambda done, size: told.append(done))
    assert told[-1] == SIZE
    assert weights == find("big") == list_weights()[-1]
    assert not weights.is_bundled
    assert weights.path.read_bytes() == CONTENT
    weights.check()
    assert weights.card["licence"] == GOOD["licence"]
    assert remove("big") > SIZE
    assert [weights.name for weights in list_weights()] == [DEFAULT]
    assert files(cache_folder) == []


def test_bundled_weights_are_neither_fetched_nor_removed(cache_folder: Path) -> None:
    assert pull(DEFAULT) == find(DEFAULT)
    with pytest.raises(WeightsError, match="nothing to fetch"):
        cache.fetch(find_entry(DEFAULT))
    with pytest.raises(WeightsError, match="is bundled"):
        remove(DEFAULT)
    assert find(DEFAULT).is_bundled
    # Nor can a file in the cache take their place.
    cache_folder.mkdir(parents=True)
    (cache_folder / f"{DEFAULT}.onnx").write_bytes(b"")
    assert find(DEFAULT).is_bundled
    assert [weights.name for weights in list_weights()] == [DEFAULT]


def test_bundled_weights_that_are_gone_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("freefill.weights.registry.BUNDLED", tmp_path)
    with pytest.raises(WeightsError, match="install it again"):
        find(DEFAULT)


def test_weights_that_are_here_are_found_without_network_code_or_the_registry() -> None:
    code = (
        "from freefill.weights.registry import find; find('light'); import sys; print(*sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"urllib.request", "http.client", "ssl", "tomllib"}.isdisjoint(ran.stdout.split())


def test_tables_name_weights_by_the_start_of_their_hash(copy: Weights) -> None:
    assert copy.short == copy.card["sha256"][:12]
