"""``freefill doctor``, ``freefill weights``, and what the bare command says."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import freefill
from freefill.weights import registry

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Not the weights that whoever runs the tests has pulled.
    monkeypatch.setenv("FREEFILL_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FREEFILL_REGISTRY", raising=False)


def test_doctor_checks_a_sound_installation(cli: Run) -> None:
    ran = cli("doctor")
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    assert f"freefill {freefill.__version__}" in ran.stdout
    for name in ("numpy", "pillow", "onnxruntime"):
        assert name in ran.stdout
    for weights in registry.list_weights():
        assert f"weights {weights.name}" in ran.stdout
    assert "self-test: passed" in ran.stdout


class Broken:
    """An inpainter that answers as ``answer`` says."""

    answer: Callable[[Any, Any], Any]

    class engine:  # noqa: N801 the name of the attribute that is stood in for
        name = "broken"

    def __call__(self, *, image: Any, mask: Any) -> Any:
        return type(self).answer(np.array(image), mask)


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        # Nothing is filled: what was black stays black.
        (lambda image, hole: image, "unchanged"),
        # What a network says that has learnt nothing.
        (lambda image, hole: np.where(hole[..., None], np.uint8(127), image), "unchanged"),
        # One known pixel is off by one.
        (
            lambda image, hole: image + (np.indices(image.shape).sum(0) == 0).astype(np.uint8),
            "CHANGED",
        ),
    ],
    ids=["nothing filled", "one even grey", "changed pixel"],
)
def test_doctor_fails_where_the_fill_is_wrong(
    command: Run, monkeypatch: pytest.MonkeyPatch, answer: Callable[[Any, Any], Any], word: str
) -> None:
    monkeypatch.setattr(Broken, "answer", staticmethod(answer), raising=False)
    monkeypatch.setattr("freefill.pipeline.inpainter.Inpainter", Broken)
    ran = command("doctor")
    assert ran.returncode == 1
    assert "self-test: FAILED" in ran.stdout
    assert word in ran.stdout


def test_doctor_finds_damaged_weights(
    command: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for path in registry.BUNDLED.glob("light.*"):
        shutil.copy(path, tmp_path)
    damaged = bytearray((tmp_path / "light.onnx").read_bytes())
    damaged[len(damaged) // 2] ^= 255
    (tmp_path / "light.onnx").write_bytes(damaged)
    monkeypatch.setattr(registry, "BUNDLED", tmp_path)
    ran = command("doctor")
    assert ran.returncode == 2
    (line,) = ran.stderr.splitlines()
    assert line.startswith("freefill: error: ")
    assert "light.onnx is damaged" in line


def test_weights_list_names_them_all(command: Run) -> None:
    ran = command("weights", "list")
    assert ran.returncode == 0, ran.stderr
    text = ran.stdout
    for weights in registry.list_weights():
        (line,) = [line for line in text.splitlines() if line.startswith(weights.name)]
        assert f"{weights.size / 1e6:.1f} MB" in line
        assert f"licence {weights.card['licence']}" in line
        assert ("(default)" in line) == (weights.name == registry.DEFAULT)
        assert f"{weights.card['training']['photos']:,} photos" in text
        assert str(weights.card_path) in text


@pytest.mark.parametrize("by", ["nothing", "name", "path"])
def test_weights_card_is_the_card(command: Run, by: str) -> None:
    weights = registry.find(registry.DEFAULT)
    named = {"nothing": [], "name": [weights.name], "path": [weights.path]}[by]
    ran = command("weights", "card", *named)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == json.loads(weights.card_path.read_text("utf-8"))


@pytest.mark.parametrize(("name", "word"), [("heavy", "light"), ("none.onnx", "does not exist")])
def test_weights_card_of_unknown_weights_is_refused(command: Run, name: str, word: str) -> None:
    ran = command("weights", "card", name)
    assert ran.returncode == 2
    (line,) = ran.stderr.splitlines()
    assert line.startswith("freefill: error: ")
    assert name in line
    assert word in line


def test_weights_without_a_card_fill_all_the_same(
    command: Run, tmp_path: Path, examples: Path
) -> None:
    # The card is for people: a file that was handed on without it still works.
    shutil.copy(registry.find("light").path, tmp_path / "mine.onnx")
    work = ("fill", examples / "bee.jpg", "-o", tmp_path / "bee.png")
    ran = command(*work, "--model", tmp_path / "mine.onnx")
    assert ran.returncode == 0, ran.stderr
    with Image.open(tmp_path / "bee.png") as filled, Image.open(examples / "bee.jpg") as photo:
        assert filled.size == photo.size
    ran = command("weights", "card", tmp_path / "mine.onnx")
    assert ran.returncode == 2
    assert "mine.json is missing" in ran.stderr


def test_version_and_help(command: Run) -> None:
    ran = command("--version")
    assert (ran.returncode, ran.stdout) == (0, f"freefill {freefill.__version__}\n")
    ran = command("--help")
    assert ran.returncode == 0
    for name in ("fill", "weights", "doctor", "train", "export", "references"):
        assert name in ran.stdout


@pytest.mark.parametrize(
    "arguments",
    [["fil"], ["fill"], ["fill", "a.png"], ["fill", "a.png", "-o", "b.png", "--grow", "257"]],
    ids=" ".join,
)
def test_wrong_usage_exits_with_2(command: Run, arguments: list[str]) -> None:
    ran = command(*arguments)
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert "Traceback" not in ran.stderr
