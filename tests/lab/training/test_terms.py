"""The list of losses: which are in it, with which weight, and what they look at."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from freefill.lab.config import LossConfig, StageConfig
from freefill.lab.data.batches import Batch
from freefill.lab.registries import LOSSES, LossEntry
from freefill.lab.training.losses import PerceptualOutput
from freefill.lab.training.terms import LossContext, terms_at


def context(**changes: Any) -> LossContext:
    photo, hole = torch.zeros(2, 3, 32, 32), torch.zeros(2, 1, 32, 32)
    hole[..., 8:16, 8:16] = 1
    predicted = torch.full((2, 3, 32, 32), 0.5)
    values: dict[str, Any] = {
        "output": {"filled": predicted},
        "predicted": predicted,
        "composite": predicted * hole,
        "batch": Batch(photo, hole, None),
        "settings": LossConfig(known=0.0),
        "near": None,
        "see": None,
        "score": lambda _: torch.tensor([3.0]),
    }
    return LossContext(**{**values, **changes})


def value(name: str, seen: LossContext) -> Tensor | None:
    return LOSSES[name].compute(seen)


def test_which_losses_take_part_and_with_which_weight() -> None:
    settings = LossConfig(l1=0.0, low=4.0, coarse=0.0, match=0.5, perceptual=0.0)
    found = terms_at(settings, StageConfig(steps=1, adversarial=0.25))
    # Three are in the log at any weight.
    assert [(term.name, term.weight) for term in found] == [
        ("l1", 0.0), ("low", 4.0), ("coarse", 0.0), ("match", 0.5), ("adversarial", 0.25),
    ]  # fmt: skip
    names = [term.name for term in terms_at(LossConfig(), StageConfig(steps=1))]
    assert names == ["l1", "coarse", "match", "perceptual"]


def test_losses_of_plugins_come_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LOSSES._entries, "tv", LossEntry(lambda _: torch.tensor(1.0)))
    stage = StageConfig(steps=1, adversarial=0.1)
    assert "tv" not in [term.name for term in terms_at(LossConfig(), stage)]
    last = terms_at(LossConfig(extra={"tv": 0.3}), stage)[-1]
    assert (last.name, last.weight) == ("tv", 0.3)


def test_a_loss_that_does_not_apply_gives_nothing() -> None:
    plain = context()
    assert all(value(name, plain) is None for name in ("coarse", "match", "sketch", "perceptual"))
    assert float(value("l1", plain)) == pytest.approx(0.5 * 64 / 1024)  # type: ignore[arg-type]
    assert float(value("adversarial", plain)) == -3  # type: ignore[arg-type]
    chosen = torch.tensor(2.0)
    assert value("match", context(output={"match": chosen})) is chosen


def test_the_perceptual_network_is_asked_once_and_only_if_a_loss_asks() -> None:
    asked = []

    def see(seen: LossContext) -> PerceptualOutput:
        asked.append(seen)
        return PerceptualOutput(torch.tensor(0.7), [], [], seen.batch.hole)

    seen = context(see=see)
    value("l1", seen)
    assert not asked
    assert float(value("perceptual", seen)) == pytest.approx(0.7)  # type: ignore[arg-type]
    value("perceptual", seen)
    assert asked == [seen]
