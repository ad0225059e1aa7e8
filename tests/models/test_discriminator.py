"""SN-PatchGAN: size, receptive field, and that its layers are bounded."""

from __future__ import annotations

import torch

from freefill.models.discriminator import SNPatchDiscriminator, receptive_field


def test_parameters_at_full_width_are_the_papers() -> None:
    network = SNPatchDiscriminator(in_channels=4, width=64)
    assert sum(p.numel() for p in network.parameters()) == 5_946_816


def test_receptive_field_is_what_a_gradient_sees() -> None:
    network = SNPatchDiscriminator(width=4).eval()
    picture = torch.randn(1, 3, 512, 512, requires_grad=True)
    scores = network(picture, torch.zeros(1, 1, 512, 512))
    scores[0, :, 4, 4].sum().backward()
    assert picture.grad is not None
    seen = (picture.grad.abs().sum((0, 1)) > 0).nonzero()
    extent = seen.max(0).values - seen.min(0).values + 1
    # Each layer is zero-padded: one score sees the whole field only far from the border, as here.
    assert extent.tolist() == [receptive_field()] * 2


def test_every_layer_has_norm_one() -> None:
    torch.manual_seed(0)
    network = SNPatchDiscriminator(width=8).train()
    for _ in range(60):  # each pass in training mode is one power iteration
        network(torch.randn(1, 3, 64, 64), torch.zeros(1, 1, 64, 64))
    for layer in network.layers:
        singular = torch.linalg.svdvals(layer.weight.detach().flatten(1))[0]
        assert abs(float(singular) - 1) < 0.02


def test_mask_matters() -> None:
    torch.manual_seed(0)
    network = SNPatchDiscriminator(width=8).eval()
    picture = torch.randn(1, 3, 64, 64)
    one = network(picture, torch.zeros(1, 1, 64, 64))
    two = network(picture, torch.ones(1, 1, 64, 64))
    assert (one - two).abs().max() > 1e-4
