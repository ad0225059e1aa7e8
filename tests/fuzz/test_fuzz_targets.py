"""Any bytes as photos, masks, metadata, weights and requests: an answer or a refusal.

The same inputs each time, a few seconds of them; ``make fuzz`` looks for new ones.
"""

from __future__ import annotations

import random
import subprocess
from pathlib import Path
from typing import Any

import pytest
import run
import targets
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutate import mutate
from targets import TARGETS, Target, run_check

QUIET = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example)
KINDS = [(name, kind) for name, target in TARGETS.items() for kind in target.seeds()]


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_what_is_in_the_corpus_is_taken(name: str, kind: str) -> None:
    run_check(TARGETS[name], TARGETS[name].seeds()[kind])


def check_changed(target: Target, rng: random.Random) -> None:
    corpus = target.seeds()
    run_check(target, mutate(rng, corpus[rng.choice(sorted(corpus))], list(corpus.values())))


@pytest.mark.parametrize("name", TARGETS)
def test_changed_inputs(name: str) -> None:
    @settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=QUIET)
    @given(st.randoms(use_true_random=False))
    def changed(rng: random.Random) -> None:
        check_changed(TARGETS[name], rng)

    changed()


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_many_changed_inputs(name: str) -> None:
    rng = random.Random(name)
    for _ in range(2000):
        check_changed(TARGETS[name], rng)


def test_an_input_that_fails_is_kept_and_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(content: bytes) -> None:
        if content.startswith(b"\x89PNG"):
            raise KeyError("a bug")

    target = Target(TARGETS["masks"].seeds, fails)
    monkeypatch.setitem(targets.TARGETS, "masks", target)
    with pytest.raises(KeyError):
        run.by_chance("masks", 3, 60, tmp_path)
    (kept,) = tmp_path.iterdir()
    assert kept.name.startswith("masks-failed-3-")
    with pytest.raises(KeyError):
        run.replay("masks", kept)


def test_an_input_that_costs_too_much_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    target = Target(TARGETS["masks"].seeds, lambda content: None)
    clock, most = iter((0.0, 9.0, 0.0, 11.0, 0.0, 1.0)), iter((5, 90, 5, 90, 5, 1100))
    monkeypatch.setattr(targets.time, "process_time", lambda: next(clock))
    monkeypatch.setattr(targets, "peak", lambda: next(most))
    run_check(target, b"")
    with pytest.raises(AssertionError, match=r"11\.0 s"):
        run_check(target, b"")
    with pytest.raises(AssertionError, match="1095 MiB"):
        run_check(target, b"")


def test_an_input_that_ends_the_process_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ended(command: list[str], **options: Any) -> subprocess.CompletedProcess[bytes]:
        (tmp_path / "photos-last").write_bytes(b"an input")
        return subprocess.CompletedProcess(command, -11, b"", b"Segmentation fault")

    monkeypatch.setattr(subprocess, "run", ended)
    (kept,) = run.fuzz("photos", 5, 1, tmp_path, plain=True)
    assert kept.read_bytes() == b"an input"
    told = capsys.readouterr().out
    assert "Segmentation fault" in told
    assert f"--target photos --replay {kept}" in told
