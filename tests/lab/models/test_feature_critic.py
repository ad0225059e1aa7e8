"""The critic of features: what it is told, and that it can tell."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from freefill.errors import ConfigError
from freefill.lab.config import load
from freefill.lab.models import build_discriminator
from freefill.lab.models.feature_critic import FeatureCritic
from freefill.lab.models.lpips import Lpips
from freefill.lab.training import losses

WIDTHS = (6, 10)


def features(seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    stages = [torch.rand(2, width, side, side, generator=generator) - 0.5
              for width, side in zip(WIDTHS, (8, 4), strict=True)]  # fmt: skip
    fine, deep = (s / s.square().sum(1, keepdim=True).sqrt() for s in stages)
    return fine, deep


def critic() -> FeatureCritic:
    torch.manual_seed(0)
    return FeatureCritic(WIDTHS, hidden=8)


def test_a_score_for_every_place_of_every_stage() -> None:
    network, hole = critic(), torch.zeros(2, 1, 16, 16)
    fine, deep = features(1)
    before = network(fine, deep, hole)
    assert before.shape == (2, 64 + 16)
    # A stage is scored by itself, and a place by its neighbourhood.
    changed = deep.clone()
    changed[1, :, 0, 0] = -changed[1, :, 0, 0]
    after = network.eval()(fine, changed, hole)
    before = network.eval()(fine, deep, hole)
    moved = (after - before).abs() > 0
    assert not moved[0].any()
    assert not moved[1, :64].any()
    assert moved[1, 64:].view(4, 4).nonzero().max() == 1


def test_it_knows_where_the_hole_is() -> None:
    network = critic().eval()
    fine, deep = features(1)
    hole = torch.zeros(2, 1, 16, 16)
    hole[:, :, :2, :2] = 1  # one place of the finer stage, a quarter of one of the deeper
    with torch.no_grad():
        moved = (network(fine, deep, hole) - network(fine, deep, torch.zeros_like(hole))).abs() > 0
    assert moved[0, :64].view(8, 8).nonzero().max() == 1
    assert moved[0, 64:].any()


def test_it_knows_where_lines_are_and_a_line_counts_whole() -> None:
    torch.manual_seed(0)
    network = FeatureCritic(WIDTHS, hidden=8, guidance=2).eval()
    fine, deep = features(1)
    plain = torch.zeros(2, 3, 16, 16)
    line, block = plain.clone(), plain.clone()
    line[:, 1, 4, 4] = 1  # one pixel of the place that the block covers
    block[:, 1, 4:6, 4:6] = 1
    with torch.no_grad():
        scores = [network(fine, deep, conditions) for conditions in (plain, line, block)]
    moved = (scores[1] - scores[0]).abs() > 0
    assert moved[0, :64].view(8, 8)[2, 2]
    assert moved[0, :64].sum() <= 9
    torch.testing.assert_close(scores[1], scores[2])


def test_it_learns_to_tell_two_textures() -> None:
    network, hole = critic(), torch.ones(2, 1, 16, 16)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    base = features(3)
    for step in range(60):
        real, fake = features(2 * step + 10), features(2 * step + 11)
        fake = tuple((f + 0.5 * b.abs()) for f, b in zip(fake, base, strict=True))
        loss = losses.hinge_discriminator(network(*real, hole), network(*fake, hole))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.7  # 1 is where it starts


def test_built_for_the_features_of_the_perceptual_loss() -> None:
    network = build_discriminator(load(None, ["model.discriminator=features"]).model, 64)
    torch.manual_seed(0)
    loss = losses.PerceptualLoss(Lpips("vgg"), size=32)
    picture = torch.rand(1, 3, 64, 64)
    draws = loss.draw(1, torch.Generator().manual_seed(0))
    look = loss(picture, picture, torch.ones(1, 1, 64, 64), draws[:, 0].tolist(), draws[:, 1:])
    assert network(*look.filled[1:], look.conditions).shape == (1, 16**2 + 8**2 + 4**2 + 2**2)


def test_needs_the_perceptual_loss() -> None:
    with pytest.raises(ConfigError, match=r"perceptual is 0"):
        load(None, ["model.discriminator=features", "loss.perceptual=0"])
