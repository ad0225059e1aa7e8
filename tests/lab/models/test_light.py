"""``light``: its budget, its guidance, and that it ignores what it must not see."""

from __future__ import annotations

import pytest
import torch

from freefill.lab.export.export import count_macs, count_parameters
from freefill.lab.layers.copying import Match, by_distance, cell_means, patches, texture
from freefill.lab.models.light import SHARPNESS, Attention, Light, _mismatch
from freefill.types import GUIDANCE_CHANNELS
from freefill.weights.registry import find

BUDGET_PARAMETERS = 4_000_000
BUDGET_MACS = {256: 3e9, 512: 12e9}
BUDGET_BYTES = 8_000_000


@pytest.fixture(scope="module")
def network() -> Light:
    torch.manual_seed(0)
    return Light().eval()


def test_budget(network: Light) -> None:
    assert count_parameters(network) <= BUDGET_PARAMETERS
    for side, most in BUDGET_MACS.items():
        assert count_macs(network, side) <= most
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


def test_lines_change_nothing_before_they_are_learned_and_can_be() -> None:
    torch.manual_seed(0)
    network = Light(channels=(8, 8, 16), dilations=(1, 2), deep_dilations=(1,)).eval()
    image, hole = torch.rand(1, 3, 32, 32), torch.ones(1, 1, 32, 32)
    guidance = torch.zeros(1, GUIDANCE_CHANNELS, 32, 32)
    guidance[:, :1] = (torch.rand(1, 1, 32, 32) < 0.1).float()
    torch.testing.assert_close(network(image, hole), network(image, hole, guidance))
    network(image, hole, guidance).square().mean().backward()
    assert network.guide.weight.grad is not None
    assert network.guide.weight.grad.abs().max() > 0


def test_strokes_of_colour_spread_before_anything_is_learned() -> None:
    torch.manual_seed(0)
    network = Light(channels=(8, 8, 16), dilations=(1, 2), deep_dilations=(1,)).eval()
    image, hole = torch.zeros(1, 3, 96, 96), torch.zeros(1, 1, 96, 96)
    hole[..., 16:80, 16:80] = 1
    guidance = torch.zeros(1, GUIDANCE_CHANNELS, 96, 96)
    guidance[..., 1, 40:56, 40:56] = 1
    red = torch.tensor([0.8, -0.6, -0.6]).view(3, 1, 1)
    guidance[:, 2:, 40:56, 40:56] = red
    with torch.no_grad():
        for layer in (network.to_colours, network.to_rgb):
            layer.weight.zero_()
        change = network(image, hole, guidance) - network(image, hole)
    at = change[0, :, 44:52, 44:52].mean((1, 2))
    torch.testing.assert_close(at, red.flatten(), atol=0.1, rtol=0)
    # Beside it, its colour is there, fainter.
    assert 0.1 < float(change[0, 0, 44:52, 62].mean()) < float(at[0]) - 0.1


def test_two_by_two_zeros_stand_for_no_guidance_at_any_size() -> None:
    torch.manual_seed(0)
    network = Light(channels=(8, 8, 16), dilations=(1, 2), deep_dilations=(1,)).eval()
    with torch.no_grad():
        network.guide.weight.normal_()
        image, hole = torch.rand(2, 3, 32, 48), torch.ones(2, 1, 32, 48)
        plain = network(image, hole)
        torch.testing.assert_close(
            network(image, hole, torch.zeros(1, GUIDANCE_CHANNELS, 2, 2)), plain
        )
        torch.testing.assert_close(
            network(image, hole, torch.zeros(2, GUIDANCE_CHANNELS, 32, 48)), plain
        )
        guided = network(image, hole, torch.rand(2, GUIDANCE_CHANNELS, 32, 48))
    assert (guided - plain).abs().max() > 1e-2


def test_middle_of_a_large_hole_sees_beyond_its_rim() -> None:
    torch.manual_seed(0)
    network = Light(channels=(8, 8, 16)).train()
    image = torch.rand(1, 3, 512, 512, requires_grad=True)
    hole = torch.zeros(1, 1, 512, 512)
    hole[..., 128:384, 128:384] = 1
    # The predicted colours, for copies come from anywhere. Their gradient shows which pixels count.
    network(image, hole)["coarse"][0, :, 32, 32].sum().backward()
    assert image.grad is not None
    seen = image.grad.abs().sum(1)[0] > 0
    rows = seen.any(1).nonzero()
    assert int(rows.min()) < 64
    assert int(rows.max()) > 448


def test_what_is_deepest_begins_as_if_it_were_not_there_and_learns() -> None:
    torch.manual_seed(0)
    network = Light(channels=(8, 8, 16), dilations=(1,), deepest_channels=24)
    plain = Light(channels=(8, 8, 16), dilations=(1,), deepest_dilations=(), attention=0)
    plain.load_state_dict(network.state_dict(), strict=False)
    # 80 pixels are 5 places at 1/16, and 3 at 1/32.
    image, hole = torch.rand(1, 3, 80, 48), torch.zeros(1, 1, 80, 48)
    hole[..., 16:48, 8:40] = 1
    with torch.no_grad():
        expected = plain.eval()(image, hole)
        torch.testing.assert_close(network.eval()(image, hole), expected)
    output = network.train()(image, hole)
    (output["filled"].square().mean() + output["coarse"].square().mean()).backward()
    for layer in (network.deepest[-1].conv, network.attention[0].out, network.attention[1].out):
        assert layer.weight.grad.abs().max() > 0


def test_attention_sees_all_places_and_tells_near_from_far() -> None:
    torch.manual_seed(0)
    layer = Attention(16)
    torch.nn.init.normal_(layer.out.weight, std=0.5)
    x = torch.randn(1, 16, 6, 9, requires_grad=True)
    layer(x)[0, :, 0, 0].sum().backward()
    seen = x.grad.abs().sum(1)[0]
    assert (seen > 0).all()
    # The same contents in another order are something else: a place knows its neighbours.
    order = torch.randperm(9, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        moved = layer(x[..., order])
        assert (moved - layer(x)[..., order]).abs().max() > 0.1


def test_training_gives_more_than_the_picture(network: Light) -> None:
    image, hole = torch.rand(2, 3, 64, 48), torch.zeros(2, 1, 64, 48)
    hole[..., 16:32, 16:32] = 1
    with torch.no_grad():
        filled = network.eval()(image, hole)
        output = network.train()(image, hole)
        network.eval()
    assert output["coarse"].shape == (2, 3, 8, 6)
    assert output["match"].shape == ()
    torch.testing.assert_close(output["filled"], filled)


def test_the_match_learns_to_point_at_the_texture_that_was_there() -> None:
    # Left half striped, right half flat, all of one colour: the hole's texture is beyond its rim's
    # colours, but the network can learn to want stripes on the left.
    torch.manual_seed(0)
    network = Light(channels=(8, 8, 16), dilations=(1, 2), deep_dilations=(1,)).train()
    image = torch.zeros(1, 3, 96, 96)
    image[..., :48] = torch.tensor([0.5, -0.5]).repeat(24)
    hole = torch.zeros(1, 1, 96, 96)
    hole[..., 32:64, 8:40] = 1
    hole[..., 32:64, 56:88] = 1
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    losses = []
    for _ in range(40):
        loss = network(image, hole)["match"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] - 0.5
    with torch.no_grad():
        network.to_rgb.weight.zero_()
        network.to_rgb.bias.zero_()
        network.to_rgb.bias[12:] = 20.0  # the copies as they are
        filled = network.eval()(image, hole)[0, 0, 40:56]
    assert filled[:, 16:32].diff(dim=1).abs().mean() > 0.5
    assert filled[:, 64:80].diff(dim=1).abs().mean() < 0.2


def test_the_loss_of_the_match_is_least_for_the_true_texture() -> None:
    torch.manual_seed(0)
    image, hole = torch.rand(2, 3, 96, 96), torch.zeros(2, 1, 96, 96)
    image[..., :48] *= torch.rand(2, 1, 96, 1)  # a roughness of its own for every row
    hole[0, :, 32:64, 24:72] = 1
    truth = torch.cat([2 * texture(image), 0.5 * cell_means(image)], 1)
    padded = torch.nn.functional.pad(truth, (1, 1, 1, 1), mode="replicate")
    queries, keys = by_distance(patches(padded), patches(truth))
    right = _mismatch(Match(queries / SHARPNESS, keys, hole), image)
    level = _mismatch(Match(queries * 0, keys, hole), image)
    wrong = _mismatch(Match(-queries / SHARPNESS, keys, hole), image)
    assert right < level < wrong
    # A picture with nothing to fill has no say, and one with nothing known neither.
    none = torch.zeros_like(hole)
    assert _mismatch(Match(queries, keys, none), image) == 0
    assert _mismatch(Match(queries, keys, none + 1), image) == 0


def test_a_shut_gate_leaves_no_trace_of_the_copies() -> None:
    torch.manual_seed(0)
    network = Light(channels=(8, 8, 16), dilations=(1,), deep_dilations=(1,)).eval()
    image, hole = torch.rand(1, 3, 64, 64), torch.zeros(1, 1, 64, 64)
    hole[..., 16:40, 16:48] = 1
    with torch.no_grad():
        network.to_rgb.weight.zero_()
        network.to_rgb.bias.zero_()
        network.to_rgb.bias[12:] = 20.0
        open_gate = network(image, hole)
        network.to_rgb.bias[12:] = -20.0
        shut = network(image, hole)
    # Nothing but the local colours is left: hardly any change from one pixel to the next.
    assert open_gate[..., 20:36, 20:44].diff(dim=-1).abs().mean() > 0.1
    assert shut[..., 20:36, 20:44].diff(dim=-1).abs().mean() < 0.02
    torch.testing.assert_close(shut * (1 - hole), image * (1 - hole))


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
