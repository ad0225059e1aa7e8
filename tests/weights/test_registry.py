"""Weights: what is bundled is small, whole and described."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

import freefill
from freefill.errors import WeightsError
from freefill.weights.registry import BUNDLED, DEFAULT, Weights, find, list_weights

EVERY = pytest.mark.parametrize("weights", list_weights(), ids=lambda weights: weights.name)


@pytest.fixture
def copy(tmp_path: Path) -> Weights:
    for suffix in (".onnx", ".json"):
        shutil.copy(BUNDLED / f"{DEFAULT}{suffix}", tmp_path / f"mine{suffix}")
    return Weights("mine", tmp_path / "mine.onnx")


def test_there_are_weights_and_the_default_is_one_of_them() -> None:
    assert DEFAULT in [weights.name for weights in list_weights()]
    assert freefill.list_weights() == list_weights()


@EVERY
def test_bundled_weights_are_small_enough_for_a_wheel(weights: Weights) -> None:
    assert 0 < weights.size < 5_000_000


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


def test_a_missing_card_is_named(copy: Weights) -> None:
    copy.card_path.unlink()
    with pytest.raises(WeightsError, match=r"mine\.json is missing"):
        copy.check()


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"", b"[]", b"3"])
def test_a_card_that_cannot_be_read_is_named(copy: Weights, content: bytes) -> None:
    copy.card_path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"mine\.json"):
        copy.check()


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
