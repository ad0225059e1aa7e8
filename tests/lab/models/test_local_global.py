"""The local and global discriminators: what each sees, and that its layers are bounded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from freefill.lab.config import load
from freefill.lab.models import build_discriminator, build_generator
from freefill.lab.models.local_global import LocalGlobalDiscriminator, around_hole
from freefill.lab.training import checkpoint
from freefill.lab.training.loop import Progress, train


def tiny(side: int = 64) -> LocalGlobalDiscriminator:
    torch.manual_seed(0)
    return LocalGlobalDiscriminator(width=4, side=side, features=16).eval()


def naive(x: np.ndarray, side: int) -> np.ndarray:
    """The window of each sample by a search for the hole's first and last row and column."""
    found = []
    for sample in x:
        hole = sample[-1]
        corner = []
        for lines in (hole, hole.T):
            rows = [i for i, line in enumerate(lines) if any(line > 0)]
            start = (len(lines) - side) // 2
            if rows:
                # The middle of the box, rounded up, stands in the middle of the window.
                start = (rows[0] + rows[-1] + 1) // 2 - side // 2
            while start < 0:
                start += 1
            while start + side > len(lines):
                start -= 1
            corner.append(start)
        found.append(sample[:, corner[0] : corner[0] + side, corner[1] : corner[1] + side])
    return np.stack(found)


def boxes(height: int, width: int, *places: tuple[int, int, int, int]) -> Tensor:
    """One hole (1, H, W) of boxes given by top, bottom, left and right."""
    hole = torch.zeros(1, height, width)
    for top, bottom, left, right in places:
        hole[:, top:bottom, left:right] = 1
    return hole


@pytest.mark.parametrize(("height", "width", "side"), [(64, 64, 32), (48, 71, 32), (32, 90, 32)])
def test_window_around_the_hole(height: int, width: int, side: int) -> None:
    holes = [
        boxes(height, width),  # none
        boxes(height, width, (0, height, 0, width)),  # all
        boxes(height, width, (20, 28, 30, 41)),
        boxes(height, width, (20, 27, 30, 40)),
        boxes(height, width, (0, 3, 0, 2)),
        boxes(height, width, (height - 1, height, width - 1, width)),
        boxes(height, width, (0, 4, width - 9, width)),
        boxes(height, width, (2, 4, 3, 7), (22, 31, 50, 60)),  # two: one window between them
    ]
    rng = np.random.default_rng(0)
    holes += [
        boxes(height, width, (r, r + 1, c, c + 1))
        for r, c in zip(rng.integers(0, height, 20), rng.integers(0, width, 20), strict=True)
    ]
    hole = torch.stack(holes)
    x = torch.cat([torch.randn(len(hole), 3, height, width), hole], 1)
    found = around_hole(x, side)
    np.testing.assert_array_equal(found.numpy(), naive(x.numpy(), side))
    # A hole that fits is in its window whole, and where there is none, the middle is taken.
    for i in (2, 3, 4, 5, 6):
        assert found[i, -1].sum() == hole[i].sum()
    top, left = (height - side) // 2, (width - side) // 2
    assert torch.equal(found[0], x[0, :, top : top + side, left : left + side])


def test_a_faint_hole_is_one() -> None:
    """Shrinking leaves values between 0 and 1 at the hole's edge and in thin holes."""
    x = torch.zeros(1, 4, 64, 64)
    x[0, 3, 50, 9] = 0.02
    assert around_hole(x, 32)[0, 3].max() == x.max()


def test_one_score_a_picture() -> None:
    network = tiny()
    assert network(torch.randn(3, 3, 64, 64), torch.zeros(3, 1, 64, 64)).shape == (3, 1)


@pytest.mark.parametrize("factor", [2, 3])
def test_another_size_is_brought_to_its_own_by_means(factor: int) -> None:
    network = tiny()
    large = torch.randn(2, 3, 64 * factor, 64 * factor)
    hole = boxes(64 * factor, 64 * factor, (10, 41, 30, 95)).repeat(2, 1, 1, 1)

    def means(x: Tensor) -> Tensor:
        blocks = x.reshape(*x.shape[:2], 64, factor, 64, factor)
        return blocks.mean((3, 5))

    with torch.no_grad():
        found, expected = network(large, hole), network(means(large), means(hole))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert network(large[..., :80], hole[..., :80]).shape == (2, 1)


def test_local_sees_the_window_and_global_all() -> None:
    network = tiny(128)
    seen: dict[str, Tensor] = {}
    for name in ("whole", "window"):
        network.get_submodule(name).register_forward_hook(
            lambda _, __, output, name=name: seen.update({name: output})
        )
    hole = boxes(128, 128, (50, 70, 60, 80))[None]
    picture = torch.randn(1, 3, 128, 128)

    def branches(picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        with torch.no_grad():
            score = network(picture, hole)
        return seen["whole"], seen["window"], score

    whole, window, score = branches(picture)
    # The box's middle is at row 60 and column 70, and the window's side is 64.
    inside, outside = [(28, 38), (91, 101)], [(27, 50), (92, 50), (50, 37), (50, 102)]
    for row, column in (*inside, *outside):
        other = picture.clone()
        other[..., row, column] += 5
        changed_whole, changed_window, changed_score = branches(other)
        assert torch.equal(changed_window, window) == ((row, column) in outside)
        assert not torch.equal(changed_whole, whole)
        assert not torch.equal(changed_score, score)


def test_a_gradient_reaches_both_branches_and_every_parameter() -> None:
    network = tiny().train()
    picture = torch.randn(2, 3, 64, 64, requires_grad=True)
    hole = boxes(64, 64, (0, 9, 0, 9)).repeat(2, 1, 1, 1)
    network(picture, hole).sum().backward()
    still = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == []
    assert picture.grad is not None
    assert (picture.grad.abs().sum((0, 1)) > 0).all()


def test_the_mask_matters() -> None:
    network = tiny()
    picture = torch.randn(1, 3, 64, 64)
    # The window is in the middle either way: it is the mask itself that is seen.
    one = network(picture, boxes(64, 64, (20, 44, 20, 44))[None])
    two = network(picture, boxes(64, 64, (30, 34, 30, 34))[None])
    assert (one - two).abs().max() > 1e-5


def test_every_layer_has_norm_one() -> None:
    torch.manual_seed(0)
    network = LocalGlobalDiscriminator(width=4, side=64, features=16).train()
    for _ in range(100):  # each pass in training mode is one power iteration
        with torch.no_grad():
            network(torch.zeros(1, 3, 64, 64), torch.zeros(1, 1, 64, 64))
    layers = {
        name: m for name, m in network.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)
    }
    assert len(layers) == (6 + 1) + (5 + 1) + 1
    for name, layer in layers.items():
        singular = torch.linalg.svdvals(layer.weight.detach().flatten(1))[0]
        assert abs(float(singular) - 1) < 0.02, name


def test_layers_are_the_papers() -> None:
    """Tables 2a and 2b of Iizuka et al.: 5x5 of stride 2, 1024 numbers from each branch."""
    network = LocalGlobalDiscriminator()
    for name, widths in (
        ("whole", [64, 128, 256, 512, 512, 512]),
        ("window", [64, 128, 256, 512, 512]),
    ):
        branch = list(network.get_submodule(name))
        convolutions = [m for m in branch if isinstance(m, nn.Conv2d)]
        assert [c.out_channels for c in convolutions] == widths
        assert {(c.kernel_size, c.stride) for c in convolutions} == {((5, 5), (2, 2))}
        # Both end at 4x4 places.
        assert branch[-1].in_features == 4 * 4 * 512
        assert branch[-1].out_features == 1024
    assert (network.join.in_features, network.join.out_features) == (2048, 1)


@pytest.mark.parametrize("side", [32, 100])
def test_refuses_a_side_that_does_not_halve(side: int) -> None:
    with pytest.raises(ValueError, match=f"side is {side}; it must be a multiple of 64"):
        LocalGlobalDiscriminator(side=side)


@pytest.mark.parametrize("kind", ["plain", "partial", "gated"])
def test_trains_with_the_encoder_decoder(
    kind: str, examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FREEFILL_CACHE", str(tmp_path / "cache"))
    config = load(
        None,
        [
            "model.name=encoder-decoder",
            f"model.convolution={kind}",
            "model.discriminator=local-global",
            "model.channels=[8,8,8]",
            "model.dilations=[1]",
            "model.discriminator_width=4",
            "data.size=64",
            "data.holdout=1",
            "loss.perceptual=0",
            "train.precision=32-true",
            "train.warmup=0",
            "train.log_every=1",
            "train.stages=[{steps=3, crop=64, batch=2, adversarial=0.1}]",
        ],
    )
    seen: list[Progress] = []
    train(examples, tmp_path / "run", config, on_message=lambda _: None, report=seen.append)
    assert [p.step for p in seen] == [1, 2, 3]
    assert all(np.isfinite(list(p.values.values())).all() for p in seen)
    assert "val_l1" in seen[-1].values
    # The weights that the seed gives, and those after three steps: all have moved.
    state = checkpoint.load(tmp_path / "run")
    torch.manual_seed(config.train.seed)
    for name, network in (
        ("generator", build_generator(config.model)),
        ("discriminator", build_discriminator(config.model, 64)),
    ):
        start = network.state_dict()
        assert set(start) == set(state[name])
        same = {k for k, _ in network.named_parameters() if torch.equal(start[k], state[name][k])}
        # The last bias adds the same to true and filled: within the margin its gradient is none.
        assert same <= {"join.bias"}
