"""``light``: its budget, its guidance, and that it ignores what it must not see."""

from __future__ import annotations

import pytest
import torch

from freefill.export.export import count_macs, count_parameters
from freefill.models.light import Light
from freefill.weights.registry import find

BUDGET_PARAMETERS = 2_000_000
BUDGET_MACS = 8_000_000_000
BUDGET_BYTES = 5_000_000


@pytest.fixture(scope="module")
def network() -> Light:
    torch.manual_seed(0)
    return Light().eval()


def test_budget(network: Light) -> None:
    assert count_parameters(network) <= BUDGET_PARAMETERS
    assert count_macs(network, 512) <= BUDGET_MACS
    assert find("light").size <= BUDGET_BYTES


def test_macs_are_counted_as_arithmetic_says() -> None:
    # One 3x3 convolution of 5 to 7 channels over 16x16: what the counter must give for it alone.
    class One(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 7, 3, padding=1)

        def forward(self, image: torch.Tensor, hole: torch.Tensor) -> torch.Tensor:
            return self.conv(image)

    assert count_macs(One(), 16) == 16 * 16 * 7 * 3 * 9


def test_content_of_the_hole_is_ignored(network: Light) -> None:
    image, hole = torch.rand(1, 3, 64, 64), torch.zeros(1, 1, 64, 64)
    hole[..., 20:40, 16:48] = 1
    other = torch.where(hole > 0, -image, image)
    with torch.no_grad():
        torch.testing.assert_close(network(image, hole), network(other, hole))


def test_unused_guidance_changes_nothing_and_used_guidance_learns() -> None:
    torch.manual_seed(0)
    network = Light(channels=(8, 8, 16), dilations=(1, 2), deep_dilations=(1,))
    image, hole = torch.rand(1, 3, 32, 32), torch.ones(1, 1, 32, 32)
    guidance = torch.rand(1, 4, 32, 32)
    torch.testing.assert_close(network(image, hole), network(image, hole, guidance))
    network(image, hole, guidance).square().mean().backward()
    assert network.guide.weight.grad is not None
    assert network.guide.weight.grad.abs().max() > 0


def test_middle_of_a_large_hole_sees_beyond_its_rim() -> None:
    torch.manual_seed(0)
    network = Light(channels=(8, 8, 16)).eval()
    # Linear in the picture but for the activations: a gradient shows which pixels matter.
    image = torch.rand(1, 3, 512, 512, requires_grad=True)
    hole = torch.zeros(1, 1, 512, 512)
    hole[..., 128:384, 128:384] = 1
    network(image, hole)[0, :, 256, 256].sum().backward()
    assert image.grad is not None
    seen = image.grad.abs().sum(1)[0] > 0
    rows = seen.any(1).nonzero()
    assert int(rows.min()) < 64
    assert int(rows.max()) > 448


def test_samples_of_a_batch_have_their_own_holes(network: Light) -> None:
    image = torch.rand(2, 3, 32, 48)
    hole = torch.zeros(2, 1, 32, 48)
    hole[0, :, :16] = 1
    hole[1, :, 16:] = 1
    with torch.no_grad():
        both = network(image, hole)
        torch.testing.assert_close(both[1:], network(image[1:], hole[1:]), atol=1e-5, rtol=1e-4)


def test_refuses_other_sizes(network: Light) -> None:
    with pytest.raises(ValueError, match="72x64"):
        network(torch.zeros(1, 3, 64, 72), torch.zeros(1, 1, 64, 72))
