"""SN-PatchGAN: size, receptive field, and that its layers are bounded."""

from __future__ import annotations

import numpy as np
import torch
from numpy_deepfill import conv

from freefill.lab.models.discriminator import SNPatchDiscriminator, receptive_field


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


def test_matches_numpy_with_its_power_iteration() -> None:
    torch.manual_seed(0)
    network = SNPatchDiscriminator(width=4).double().train()
    picture, hole = torch.randn(1, 3, 72, 64).double(), torch.zeros(1, 1, 72, 64).double()
    hole[..., 10:40, 20:50] = 1
    expected = np.concatenate([picture[0].numpy(), hole[0].numpy()]).transpose(1, 2, 0)
    for layer in network.layers:
        # One iteration before each use, as in the released code; the vectors are unit length.
        kernel = layer.parametrizations.weight.original.detach().permute(2, 3, 1, 0).numpy()
        u = layer.parametrizations.weight[0].u.numpy()
        matrix = kernel.transpose(2, 0, 1, 3).reshape(-1, kernel.shape[3])
        v = matrix @ u / np.linalg.norm(matrix @ u)
        u = v @ matrix / np.linalg.norm(v @ matrix)
        sigma = v @ matrix @ u
        expected = conv(expected, kernel / sigma, layer.bias.detach().numpy(), stride=2)
        expected = np.where(expected > 0, expected, 0.2 * expected)
    with torch.no_grad():
        scores = network(picture, hole)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-10)
