"""Pull-push: keeps what is known, invents nothing, needs no network."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from freefill.lab.layers.pullpush import pull_push


def random_case(height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    image = torch.rand(2, 3, height, width) * 2 - 1
    hole = (F.interpolate(torch.rand(2, 1, 4, 4), (height, width)) < 0.4).float()
    return image, hole


@pytest.mark.parametrize("size", [(64, 64), (48, 80), (16, 16), (33, 47)])
def test_known_pixels_are_kept(size: tuple[int, int]) -> None:
    image, hole = random_case(*size)
    known = (hole == 0).expand_as(image)
    assert (pull_push(image, hole)[known] - image[known]).abs().max() < 2e-4


def test_what_is_inside_the_hole_does_not_matter() -> None:
    image, hole = random_case(64, 64)
    other = torch.where(hole > 0, torch.randn_like(image) * 9, image)
    torch.testing.assert_close(pull_push(image, hole), pull_push(other, hole))


def test_guess_stays_within_the_range_of_the_known() -> None:
    image, hole = random_case(64, 96)
    image = image.clamp(0.2, 0.6)
    guess = pull_push(image, hole)
    assert guess.min() > 0.19
    assert guess.max() < 0.601


def test_samples_of_a_batch_do_not_touch() -> None:
    image, hole = random_case(32, 32)
    alone = pull_push(image[1:], hole[1:])
    torch.testing.assert_close(pull_push(image, hole)[1:], alone)


def test_all_hole_is_grey() -> None:
    assert pull_push(torch.ones(1, 3, 32, 32), torch.ones(1, 1, 32, 32)).abs().max() == 0
