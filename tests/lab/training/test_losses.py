"""Losses by arithmetic, and the windows of the perceptual one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from freefill.lab.training import losses


def test_l1_weighs_known_pixels() -> None:
    hole = torch.zeros(1, 1, 2, 2)
    hole[..., 0, 0] = 1
    predicted, target = torch.full((1, 3, 2, 2), 0.5), torch.zeros(1, 3, 2, 2)
    assert float(losses.l1(predicted, target, hole)) == pytest.approx(0.5)
    assert float(losses.l1(predicted, target, hole, 0.2)) == pytest.approx(0.5 * (1 + 3 * 0.2) / 4)


def test_hinge_stops_at_the_margin() -> None:
    assert float(losses.hinge_discriminator(torch.tensor([1.5]), torch.tensor([-2.0]))) == 0
    loss = losses.hinge_discriminator(torch.tensor([0.0, 2.0]), torch.tensor([1.0]))
    assert float(loss) == pytest.approx(0.5 * (0.5 + 2.0))
    assert float(losses.hinge_generator(torch.tensor([3.0, 1.0]))) == -2


def test_r1_is_the_squared_gradient() -> None:
    picture = torch.rand(4, 3, 2, 2, requires_grad=True)
    weight = torch.tensor(3.0, requires_grad=True)
    scores = (weight * picture).sum((1, 2, 3)).view(4, 1, 1, 1)
    penalty = losses.r1(scores, [picture])
    assert float(penalty.detach()) == pytest.approx(9.0 * 12)
    penalty.backward()
    assert weight.grad is not None
    assert float(weight.grad) == pytest.approx(2 * 3.0 * 12)


class Recorder(nn.Module):
    """Stands in for the metric and keeps what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[Tensor, Tensor]] = []

    def stages(self, x: Tensor) -> list[Tensor]:
        return [x]

    def between(self, a: list[Tensor], b: list[Tensor]) -> Tensor:
        self.seen.append((a[0], b[0]))
        return (a[0] - b[0]).abs().mean((1, 2, 3))


def drawn(loss: losses.PerceptualLoss, batch: int, seed: int) -> tuple[list[float], Tensor]:
    return split(loss.draw(batch, torch.Generator().manual_seed(seed)))


def split(table: Tensor) -> tuple[list[float], Tensor]:
    return table[:, 0].tolist(), table[:, 1:]


def windows(side: int, calls: int = 40) -> list[tuple[Tensor, Tensor]]:
    recorder = Recorder()
    loss = losses.PerceptualLoss(recorder, size=32)  # type: ignore[arg-type]
    ramp = torch.arange(side, dtype=torch.float32) / side
    picture = ramp.expand(2, 3, side, side).clone()
    generator = torch.Generator().manual_seed(0)
    for _ in range(calls):
        loss(picture + 1, picture, torch.ones(2, 1, side, side), *split(loss.draw(2, generator)))
    return recorder.seen


def test_windows_have_one_size_and_several_scales() -> None:
    seen = windows(128)
    assert {a.shape for a, _ in seen} == {(2, 3, 32, 32)}
    # On a ramp the step between neighbours tells the scale: 1, 2 or 4 pixels.
    steps = {round(float(b[0, 0, 0, 1] - b[0, 0, 0, 0]) * 128) for _, b in seen}
    assert steps == {1, 2, 4}


def test_both_pictures_are_cut_alike_and_places_differ() -> None:
    seen = windows(64)
    for a, b in seen:
        torch.testing.assert_close(a, b + 1)
    assert len({round(float(b[0, 0, 0, 0]), 4) for _, b in seen}) > 5


@pytest.mark.parametrize("row", [0, 70, 127])
def test_windows_lie_around_the_hole(row: int) -> None:
    recorder = Recorder()
    loss = losses.PerceptualLoss(recorder, size=32)  # type: ignore[arg-type]
    hole = torch.zeros(1, 1, 128, 128)
    hole[..., row, 5] = 1
    target = torch.zeros(1, 3, 128, 128)
    for seed in range(10):
        loss(target + hole, target, hole, *drawn(loss, 1, seed))
    # The only pixel that differs is in every window, whatever its scale.
    assert all((a - b).abs().max() > 0 for a, b in recorder.seen)


def test_several_windows_of_each_picture() -> None:
    recorder = Recorder()
    loss = losses.PerceptualLoss(recorder, size=32, windows=3)  # type: ignore[arg-type]
    target = torch.rand(2, 3, 256, 256)
    hole = torch.zeros(2, 1, 256, 256)
    hole[..., 60:180, 80:200] = 1
    look = loss(target + hole, target, hole, *drawn(loss, 2, 1))
    assert recorder.seen[0][0].shape == (6, 3, 32, 32)
    assert look.conditions.shape == (6, 1, 32, 32)
    # What differs is the hole, whatever the scale: each window has its own hole beside it.
    torch.testing.assert_close(look.filled[0] - look.true[0], look.conditions.expand(-1, 3, -1, -1))
    # The windows of one picture lie apart: first those of both pictures, then the next.
    assert not torch.equal(look.true[0][0], look.true[0][2])


def test_a_picture_without_a_hole_is_still_judged() -> None:
    recorder = Recorder()
    loss = losses.PerceptualLoss(recorder, size=32)  # type: ignore[arg-type]
    ramp = (torch.arange(64 * 64.0).view(1, 1, 64, 64) / 4096).expand(1, 3, -1, -1)
    for seed in range(20):
        loss(ramp, ramp, torch.zeros(1, 1, 64, 64), *drawn(loss, 1, seed))
    seen = recorder.seen
    assert {a.shape for a, _ in seen} == {(1, 3, 32, 32)}
    assert len({float(a[0, 0, 0, 0]) for a, _ in seen}) > 5


def test_coarse_l1_compares_means_and_weighs_by_what_is_missing() -> None:
    target = torch.zeros(1, 3, 8, 16)
    target[..., :8] = torch.tensor([0.0, 1.0]).repeat(4)  # mean 0.5
    hole = torch.zeros(1, 1, 8, 16)
    hole[..., :4, :8] = 1  # half of the first cell
    right = torch.tensor([0.5, 0.0]).expand(1, 3, 1, 2)
    assert float(losses.coarse_l1(right, target, hole)) == 0
    wrong = right + torch.tensor([1.0, 0.0])
    expected = 1.0 * (0.5 + 0.2 * 0.5) / 2
    assert float(losses.coarse_l1(wrong, target, hole, 0.2)) == pytest.approx(expected)


def test_a_picture_smaller_than_the_window_is_enlarged() -> None:
    assert {a.shape for a, _ in windows(16, 3)} == {(2, 3, 32, 32)}


def test_same_draws_same_loss() -> None:
    loss = losses.PerceptualLoss(Recorder(), size=32)  # type: ignore[arg-type]
    a, b = torch.rand(2, 2, 3, 64, 64)
    hole = (torch.rand(2, 1, 64, 64) < 0.1).float()
    first, second = (loss(a, b, hole, *drawn(loss, 2, 7)) for _ in range(2))
    assert float(first.distance) == float(second.distance)


def test_windows_of_shares_are_those_of_the_whole() -> None:
    recorder = Recorder()
    loss = losses.PerceptualLoss(recorder, size=32, windows=3)  # type: ignore[arg-type]
    target, hole = torch.rand(4, 3, 128, 128), (torch.rand(4, 1, 128, 128) < 0.01).float()
    scales, places = drawn(loss, 4, 3)
    whole = loss(target + hole, target, hole, scales, places)
    parts = []
    for mine in (slice(0, 2), slice(2, 4)):
        columns = places[:, mine]
        parts.append(loss(target[mine] + hole[mine], target[mine], hole[mine], scales, columns))
    both = torch.stack([part.distance for part in parts]).mean()
    torch.testing.assert_close(both, whole.distance)
    # Windows stand one after the other, each with all pictures.
    for number in range(3):
        first, second = (part.true[0].view(3, 2, 3, 32, 32)[number] for part in parts)
        expected = whole.true[0].view(3, 4, 3, 32, 32)[number]
        assert torch.equal(torch.cat([first, second]), expected)


def test_edges_of_shares_are_those_of_the_whole() -> None:
    pictures, true = torch.rand(2, 4, 3, 64, 64)
    lines = torch.zeros(4, 1, 64, 64)
    lines[0, :, 10, :40] = 1
    lines[3, :, ::7, 20] = 1
    whole = losses.edge_difference(pictures, true, lines)
    shares = [slice(0, 2), slice(2, 4)]
    near = torch.stack([losses.near_lines(lines[mine]) for mine in shares]).mean(0)
    parts = [
        losses.edge_difference(pictures[mine], true[mine], lines[mine], near) for mine in shares
    ]
    torch.testing.assert_close(torch.stack(parts).mean(), whole)


def test_lines_of_a_sketch_stay_lines_in_every_window() -> None:
    loss = losses.PerceptualLoss(Recorder(), size=32, windows=6)
    target = torch.rand(1, 3, 128, 128)
    hole = torch.ones(1, 1, 128, 128)
    lines = torch.zeros(1, 1, 128, 128)
    lines[..., ::9, :] = 1
    conditions = torch.cat([hole, lines], 1)
    look = loss(target, target, conditions, *drawn(loss, 1, 2))
    # In a window that is shrunk four times, too.
    assert set(look.conditions[:, 1].unique().tolist()) == {0.0, 1.0}
    assert (look.conditions[:, 0] == 1).all()


def step(height: float, place: int = 32) -> Tensor:
    picture = torch.full((1, 3, 64, 64), -0.5)
    picture[..., place:] += height
    return picture


def test_an_edge_costs_what_it_is_fainter_or_stronger_than_the_truths() -> None:
    lines = torch.zeros(1, 1, 64, 64)
    lines[..., 32] = 1
    truth = step(0.8)

    def cost(picture: Tensor, true: Tensor = truth) -> float:
        return float(losses.edge_difference(picture, true, lines))

    assert cost(truth) == 0
    assert cost(-truth) == 0  # a line does not say which side is brighter
    fainter = [cost(step(height)) for height in (0.0, 0.2, 0.4, 0.6, 0.8)]
    assert fainter == sorted(fainter, reverse=True)
    assert cost(step(1.4)) > cost(step(1.0)) > 0
    assert cost(step(0.8, place=33)) < cost(step(0.0))  # beside it, as a trembling hand has it
    # Nothing is asked for that the truth has not, and nothing where there is no line.
    assert cost(step(0.0), step(0.0)) == 0
    assert float(losses.edge_difference(step(0.0), truth, torch.zeros_like(lines))) == 0
    assert cost(step(0.8, place=56)) == cost(step(0.0))


def test_a_ridge_over_a_line_is_no_better_than_no_edge() -> None:
    lines = torch.zeros(1, 1, 64, 64)
    lines[..., 32] = 1
    for width in (2, 4, 6):
        ridge = step(0.0)
        ridge[..., 32 - width // 2 : 32 + width // 2] += 0.8
        found = losses.edge_difference(ridge, step(0.8), lines)
        none = losses.edge_difference(step(0.0), step(0.8), lines)
        assert float(found) > 0.999 * float(none)


def test_edges_have_a_gradient_where_there_is_hardly_one_yet() -> None:
    lines = torch.zeros(1, 1, 64, 64)
    lines[..., 32] = 1
    blank = step(0.02).requires_grad_()
    losses.edge_difference(blank, step(0.8), lines).backward()
    assert blank.grad is not None
    assert torch.isfinite(blank.grad).all()
    # Down it goes: darker on one side, brighter on the other.
    assert float((blank.grad[..., 28:32]).mean()) > 0 > float((blank.grad[..., 32:36]).mean())
