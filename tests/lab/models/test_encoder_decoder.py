"""The ablation's network: three kinds that differ in their convolution and in nothing else."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from freefill.lab.config import load
from freefill.lab.export.export import count_macs
from freefill.lab.export.onnx import TOLERANCE, check_parity, round_to_half, to_onnx
from freefill.lab.models import Light, SNPatchDiscriminator, build_discriminator, build_generator
from freefill.lab.models.encoder_decoder import Convolution, EncoderDecoder, Layer
from freefill.lab.models.local_global import LocalGlobalDiscriminator

KINDS = get_args(Convolution)
EVERY = pytest.mark.parametrize("kind", KINDS)


def tiny(kind: Convolution, dilations: tuple[int, ...] = (1, 2)) -> EncoderDecoder:
    torch.manual_seed(0)
    return EncoderDecoder(kind, (8, 8, 12), dilations)


def example(height: int, width: int, batch: int = 2) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(batch, 3, height, width, generator=generator) * 2 - 1
    hole = torch.zeros(batch, 1, height, width)
    hole[..., height // 4 : 3 * height // 4, width // 4 : 3 * width // 4] = 1
    return image, hole


@EVERY
@pytest.mark.parametrize("size", [(8, 8), (64, 40), (24, 104)])
def test_shape(kind: Convolution, size: tuple[int, int]) -> None:
    image, hole = example(*size)
    assert tiny(kind)(image, hole).shape == image.shape


@EVERY
def test_what_is_in_the_hole_does_not_matter(kind: Convolution) -> None:
    image, hole = example(64, 64)
    network = tiny(kind)
    changed = torch.where(hole > 0, 1 - 5 * torch.rand_like(image), image)
    assert torch.equal(network(image, hole), network(changed, hole))


@EVERY
def test_what_is_known_and_where_the_hole_is_do_matter(kind: Convolution) -> None:
    image, hole = example(64, 64)
    network = tiny(kind)
    out = network(image, hole)
    other = image.clone()
    other[..., 14, 30] *= -1
    assert not torch.equal(network(other, hole), out)
    # A picture that is 0 in the hole is the same to the first layer, but for the mask.
    empty = image * (1 - hole)
    assert not torch.equal(network(empty, torch.zeros_like(hole)), network(empty, hole))


@EVERY
def test_samples_of_a_batch_are_apart(kind: Convolution) -> None:
    image, hole = example(32, 48)
    hole[1] = hole[1].roll(9, -1)
    network = tiny(kind)
    alone = torch.cat([network(image[i : i + 1], hole[i : i + 1]) for i in range(2)])
    torch.testing.assert_close(network(image, hole), alone, rtol=1e-5, atol=1e-6)


@EVERY
def test_starts_near_grey(kind: Convolution) -> None:
    torch.manual_seed(0)
    network = EncoderDecoder(kind)
    added = []
    for layer in network.trunk:
        layer.register_forward_hook(
            lambda _, inputs, output: added.append(float(output[0].std() / inputs[0].std()))
        )
    with torch.no_grad():
        out = network(*example(128, 128))
    assert out.isfinite().all()
    assert out.std() < 1
    assert out.mean().abs() < 0.5
    assert len(added) == 6
    assert max(added) < 1, "a residual layer adds less than there is"


def test_kinds_have_the_same_layers() -> None:
    networks = {kind: EncoderDecoder(kind) for kind in KINDS}
    shapes = {
        kind: sorted(tuple(p.shape) for p in network.parameters())
        for kind, network in networks.items()
    }
    assert shapes["partial"] == shapes["plain"]
    outputs: dict[str, list[tuple[int, ...]]] = {kind: [] for kind in KINDS}
    for kind, network in networks.items():
        for layer in (m for m in network.modules() if isinstance(m, Layer)):
            layer.register_forward_hook(
                lambda _, __, output, kind=kind: outputs[kind].append(tuple(output[0].shape))
            )
        with torch.no_grad():
            network(*example(64, 64))
    assert len(outputs["plain"]) == 3 + 6 + 2
    assert outputs["plain"] == outputs["partial"] == outputs["gated"]
    # The gate is a second convolution as large as the first, in all layers but the last.
    last = sum(p.numel() for p in networks["plain"].to_rgb.parameters())
    counts = {kind: sum(p.numel() for p in n.parameters()) for kind, n in networks.items()}
    assert counts["gated"] - last == 2 * (counts["plain"] - last)
    assert count_macs(networks["gated"], 64) > 1.9 * count_macs(networks["plain"], 64)


@pytest.mark.parametrize("dilation", [2, 4])
def test_dilations_widen_what_is_seen(dilation: int) -> None:
    def seen(dilations: tuple[int, ...]) -> list[int]:
        image, hole = example(256, 256, batch=1)
        image.requires_grad_()
        out = tiny("plain", dilations)(image, torch.zeros_like(hole))
        out[0, :, 128, 128].sum().backward()
        assert image.grad is not None
        rows, columns = (image.grad.abs().sum((0, 1)) > 0).nonzero(as_tuple=True)
        return [int(v.max() - v.min()) for v in (rows, columns)]

    # Each of both sides of a 3x3 kernel reaches farther by the dilation, at 1/8 of the resolution.
    more = 2 * 8 * (dilation - 1)
    assert seen((dilation,)) == [v + more for v in seen((1,))]
    assert seen((1, dilation)) == [v + 16 for v in seen((dilation,))]


@EVERY
def test_a_gradient_reaches_every_parameter(kind: Convolution) -> None:
    network = tiny(kind)
    image, hole = example(64, 64)
    (network(image, hole) - image).abs().mean().backward()
    still = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == []


def grown(known: NDArray[np.bool_], kernel: int, stride: int, dilation: int) -> NDArray[np.bool_]:
    """Places whose window holds a known one, by a shift for each place of the kernel."""
    reach = dilation * (kernel // 2)
    padded = np.pad(known, reach)
    height, width = known.shape
    after = np.zeros_like(known)
    for i, j in np.ndindex(kernel, kernel):
        after |= padded[i * dilation :, j * dilation :][:height, :width]
    return after[::stride, ::stride]


def test_partial_hands_on_what_is_known() -> None:
    """The mask at every layer follows the rule, and what is not known is 0 there."""
    network = tiny("partial", (1, 2))
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            nn.init.constant_(parameter, 0.3)
    seen: list[tuple[Tensor, Tensor]] = []
    for layer in (m for m in network.modules() if isinstance(m, Layer)):
        layer.register_forward_hook(lambda _, inputs, __: seen.append(inputs))
    to_rgb: list[Tensor] = []
    network.to_rgb.register_forward_hook(lambda _, inputs, __: to_rgb.append(inputs[0]))
    hole = torch.ones(1, 1, 256, 256)
    hole[..., 250:254, 100:103] = 0
    hole[..., 3, 5] = 0
    with torch.no_grad():
        network(example(256, 256, 1)[0], hole)

    def double(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return mask.repeat(2, 0).repeat(2, 1)

    known = hole[0, 0].numpy() == 0
    half = grown(known, 5, 2, 1)
    quarter = grown(half, 3, 2, 1)
    eighth = grown(quarter, 3, 2, 1)
    one = grown(eighth, 3, 1, 1)
    two = grown(one, 3, 1, 2)
    # Nearest-neighbour doubling, a layer, and the skip, whose own places stay known.
    upper = grown(double(two), 3, 1, 1) | quarter
    last = grown(double(upper), 3, 1, 1) | half
    expected = [known, half, quarter, eighth, one, double(two), double(upper)]
    assert len(seen) == len(expected)
    for (features, mask), right in zip(seen[1:], expected[1:], strict=True):
        np.testing.assert_array_equal(mask[0, 0].numpy() > 0, right)
        np.testing.assert_array_equal((features[0] != 0).any(0).numpy(), right)
    np.testing.assert_array_equal((to_rgb[0][0] != 0).any(0).numpy(), last)
    assert not last.all()


def silenced(*layers: nn.Module) -> None:
    for parameter in (p for layer in layers for p in layer.parameters()):
        nn.init.zeros_(parameter)


@EVERY
def test_the_trunk_adds_to_what_comes_in(kind: Convolution) -> None:
    network, bare = tiny(kind, (1, 2)), tiny(kind, ())
    bare.load_state_dict({k: v for k, v in network.state_dict().items() if k in bare.state_dict()})
    image, _ = example(64, 64)
    # Without a hole: a silenced partial layer still makes it smaller.
    hole = torch.zeros(2, 1, 64, 64)
    assert not torch.equal(network(image, hole), bare(image, hole))
    silenced(*network.trunk)
    torch.testing.assert_close(network(image, hole), bare(image, hole), rtol=0, atol=0)


@EVERY
def test_the_way_up_adds_to_the_skips(kind: Convolution) -> None:
    network = tiny(kind)
    image, hole = example(64, 64)
    silenced(network.up2)
    # All that is left is the first layer's features, so a pixel's reach is that layer's and the
    # last one's.
    half, _ = network.stem(torch.cat([image * (1 - hole), hole], 1), 1 - hole)
    expected = torch.pixel_shuffle(network.to_rgb(half), 2)
    assert expected.std() > 0.01
    torch.testing.assert_close(network(image, hole), expected, rtol=0, atol=0)
    # And the same a step below.
    network = tiny(kind)
    silenced(network.up1)
    seen: list[Tensor] = []
    network.down1.register_forward_hook(lambda _, __, output: seen.append(output[0]))
    network.up2.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    network(image, hole)
    torch.testing.assert_close(
        seen[1], seen[0].repeat_interleave(2, 2).repeat_interleave(2, 3), rtol=0, atol=0
    )


def test_partial_without_anything_known_is_the_last_bias() -> None:
    network = tiny("partial")
    for parameter in network.parameters():
        nn.init.normal_(parameter)
    with torch.no_grad():
        out = network(example(32, 32)[0], torch.ones(2, 1, 32, 32))
    expected = torch.pixel_shuffle(network.to_rgb.bias.detach().view(1, 12, 1, 1), 2)
    torch.testing.assert_close(out, expected.repeat(2, 1, 16, 16), rtol=0, atol=0)


@EVERY
def test_onnx_agrees(kind: Convolution) -> None:
    network = tiny(kind).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            # Equal tensors (the zeros that biases start from) are stored once by the exporter.
            parameter.add_(torch.randn_like(parameter) * 0.01)
        # Near grey a fault could stay below the tolerance: the last layer speaks up.
        network.to_rgb.weight.mul_(10)
    round_to_half(network)
    content = to_onnx(network).SerializeToString()
    assert check_parity(network, content) < TOLERANCE / 10
    with torch.no_grad():
        assert network(*example(64, 64)).std() > 0.1


def test_refuses_another_kind() -> None:
    with pytest.raises(ValueError, match=r"kind is 'dense'; it must be one of .*'gated'"):
        EncoderDecoder("dense")


@EVERY
def test_build_generator_follows_the_settings(kind: Convolution) -> None:
    config = load(
        None,
        [
            "model.name=encoder-decoder",
            f"model.convolution={kind}",
            "model.channels=[4, 6, 10]",
            "model.dilations=[1, 3, 5]",
        ],
    ).model
    network = build_generator(config)
    assert isinstance(network, EncoderDecoder)
    own = EncoderDecoder(kind, (4, 6, 10), (1, 3, 5))
    shapes = {k: v.shape for k, v in own.state_dict().items()}
    assert {k: v.shape for k, v in network.state_dict().items()} == shapes

    def dilations(module: nn.Module) -> list[tuple[int, ...]]:
        return [m.dilation for m in module.modules() if isinstance(m, nn.Conv2d)]

    assert dilations(network) == dilations(own)
    assert (3, 3) in dilations(network)
    assert isinstance(build_generator(load(None, ["model.channels=[8,8,16]"]).model), Light)


def test_build_discriminator_follows_the_settings() -> None:
    patch = build_discriminator(load(None, ["model.discriminator_width=4"]).model, 128)
    assert isinstance(patch, SNPatchDiscriminator)
    assert patch.layers[0].out_channels == 4
    config = load(None, ["model.discriminator=local-global", "model.discriminator_width=4"]).model
    pair = build_discriminator(config, 128)
    assert isinstance(pair, LocalGlobalDiscriminator)
    assert pair.side == 128
    assert pair.whole[0].out_channels == 4
    assert pair.whole[0].in_channels == 4
