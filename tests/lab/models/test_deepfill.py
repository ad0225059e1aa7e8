"""``deepfill`` against a literal NumPy network, and the shapes of the released checkpoints."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from numpy_deepfill import deepfill

from freefill.lab.export.onnx import to_onnx
from freefill.lab.models.deepfill import LAYERS, DeepFill, Variant
from freefill.pipeline.engines.onnx import OnnxEngine
from freefill.pipeline.inpainter import Inpainter

# Typed from the released code, apart from the table in the package: kernels as TensorFlow has them.
KERNELS = """
conv1 5,5,5,48; conv2_downsample 3,3,24,96; conv3 3,3,48,96; conv4_downsample 3,3,48,192;
conv5 3,3,96,192; conv6 3,3,96,192; conv7_atrous 3,3,96,192; conv8_atrous 3,3,96,192;
conv9_atrous 3,3,96,192; conv10_atrous 3,3,96,192; conv11 3,3,96,192; conv12 3,3,96,192;
conv13_upsample 3,3,96,96; conv14 3,3,48,96; conv15_upsample 3,3,48,48; conv16 3,3,24,24;
conv17 3,3,12,3; xconv1 5,5,3,48; xconv2_downsample 3,3,24,48; xconv3 3,3,24,96;
xconv4_downsample 3,3,48,96; xconv5 3,3,48,192; xconv6 3,3,96,192; xconv7_atrous 3,3,96,192;
xconv8_atrous 3,3,96,192; xconv9_atrous 3,3,96,192; xconv10_atrous 3,3,96,192; pmconv1 5,5,3,48;
pmconv2_downsample 3,3,24,48; pmconv3 3,3,24,96; pmconv4_downsample 3,3,48,192;
pmconv5 3,3,96,192; pmconv6 3,3,96,192; pmconv9 3,3,96,192; pmconv10 3,3,96,192;
allconv11 3,3,192,192; allconv12 3,3,96,192; allconv13_upsample 3,3,96,96; allconv14 3,3,48,96;
allconv15_upsample 3,3,48,48; allconv16 3,3,24,24; allconv17 3,3,12,3
"""


def network_with(seed: int, sketch: bool = False, variant: Variant | None = None) -> DeepFill:
    """Make a network whose output is far from grey, so that differences show."""
    torch.manual_seed(seed)
    network = DeepFill(sketch, variant).double().eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter.uniform_(-0.1, 0.1)
            else:
                parameter.mul_(3.0)
    return network


def as_released(network: DeepFill) -> dict[str, NDArray[np.float64]]:
    weights = {}
    for name, layer in network.layers.items():
        conv = layer.get_submodule("conv")
        weights[f"{name}/kernel"] = conv.weight.detach().permute(2, 3, 1, 0).numpy()
        weights[f"{name}/bias"] = conv.bias.detach().numpy()
    return weights


def scene(height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw two pictures with different holes: a block, and specks that graze the grid."""
    rng = np.random.default_rng(height)
    image = rng.uniform(-1, 1, (2, 3, height, width))
    hole = np.zeros((2, 1, height, width))
    hole[0, 0, height // 4 : height // 2 + 3, width // 3 : width - 5] = 1
    hole[1, 0, 5:15, 1 : width // 2] = 1
    hole[1, 0] += (rng.uniform(size=(height, width)) < 0.002) * (1 - hole[1, 0])
    return torch.from_numpy(image), torch.from_numpy(hole)


def test_every_shape_is_that_of_the_released_checkpoints() -> None:
    expected = {}
    for entry in KERNELS.replace("\n", " ").split(";"):
        name, shape = entry.split()
        expected[name] = tuple(map(int, shape.split(",")))
    assert len(expected) == 42
    for sketch, total in ((False, 4_052_478), (True, 4_053_678)):
        network = DeepFill(sketch)
        state = network.state_dict()
        assert len(state) == 84
        assert sum(v.numel() for v in state.values()) == total
        if sketch:
            expected["conv1"] = (5, 5, 6, 48)
        for name, (kh, kw, inputs, outputs) in expected.items():
            assert state[f"layers.{name}.conv.weight"].shape == (outputs, inputs, kh, kw)
            assert state[f"layers.{name}.conv.bias"].shape == (outputs,)
    assert [spec.name for spec in LAYERS] == list(expected)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (96, 128)])
def test_matches_numpy(height: int, width: int) -> None:
    network = network_with(0)
    image, hole = scene(height, width)
    with torch.no_grad():
        filled = network(image, hole).numpy()
        coarse = network.train()(image, hole)["coarse"].numpy()
    assert filled.std() > 0.05
    for i in range(2):
        picture, mask = image[i].permute(1, 2, 0).numpy(), hole[i].permute(1, 2, 0).numpy()
        x1, x2 = deepfill(as_released(network), picture, mask)
        np.testing.assert_allclose(coarse[i].transpose(1, 2, 0), x1, rtol=0, atol=1e-10)
        np.testing.assert_allclose(filled[i].transpose(1, 2, 0), x2, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("padding", "mask_resize", "fuse", "attention"),
    [
        *itertools.product(["same", "symmetric"], ["two-step", "one-step"], [True], ["released"]),
        ("same", "two-step", False, "released"),
        ("same", "two-step", True, "port"),
        ("symmetric", "one-step", True, "port"),
        ("symmetric", "one-step", False, "port"),
    ],
)
def test_each_variant_is_its_own_network_and_matches_numpy(
    padding: str, mask_resize: str, fuse: bool, attention: str
) -> None:
    variant = Variant(padding, mask_resize, fuse, attention)  # type: ignore[arg-type]
    network = network_with(1, variant=variant)
    image, hole = scene(64, 72)
    with torch.no_grad():
        filled = network(image, hole)[1].permute(1, 2, 0).numpy()
    given = (
        as_released(network),
        image[1].permute(1, 2, 0).numpy(),
        hole[1].permute(1, 2, 0).numpy(),
    )
    _, expected = deepfill(
        *given, padding=padding, mask_resize=mask_resize, fuse=fuse, attention_of=attention
    )
    np.testing.assert_allclose(filled, expected, rtol=0, atol=1e-10)
    if variant != Variant():
        _, released = deepfill(*given)
        assert np.abs(released - expected).max() > 1e-6


def test_sketch_matches_numpy_and_counts_in_the_hole_only() -> None:
    network = network_with(2, sketch=True)
    image, hole = scene(64, 64)
    sketch = (torch.rand(2, 1, 64, 64, dtype=torch.float64) < 0.1).double()
    with torch.no_grad():
        filled = network(image, hole, sketch)
        outside = network(image, hole, sketch * hole)
        without = network(image, hole)
        blank = network(image, hole, torch.zeros_like(sketch))
    torch.testing.assert_close(filled, outside, rtol=0, atol=0)
    torch.testing.assert_close(without, blank, rtol=0, atol=0)
    assert (filled - without).abs().max() > 1e-6
    given = [tensor[0].permute(1, 2, 0).numpy() for tensor in (image, hole, sketch)]
    _, expected = deepfill(as_released(network), *given)
    np.testing.assert_allclose(filled[0].permute(1, 2, 0), expected, rtol=0, atol=1e-10)


def test_what_is_in_the_hole_is_never_seen() -> None:
    network = network_with(3)
    image, hole = scene(64, 64)
    with torch.no_grad():
        one = network(image, hole)
        two = network(torch.where(hole > 0, torch.full_like(image, 0.7), image), hole)
    torch.testing.assert_close(one, two, rtol=0, atol=0)


def test_refusals() -> None:
    with pytest.raises(ValueError, match="multiples of 8, not 60x64"):
        DeepFill()(torch.zeros(1, 3, 64, 60), torch.zeros(1, 1, 64, 60))
    with pytest.raises(ValueError, match="take no sketch"):
        DeepFill()(*[torch.zeros(1, c, 64, 64) for c in (3, 1, 1)])
    with pytest.raises(ValueError, match="mask_resize is 'bilinear'"):
        DeepFill(variant=Variant(mask_resize="bilinear"))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="attention is 'own'"):
        DeepFill(variant=Variant(attention="own"))  # type: ignore[arg-type]


def test_every_parameter_learns() -> None:
    network = network_with(4).train()
    image, hole = scene(64, 64)
    output = network(image, hole)
    (output["filled"].square().mean() + output["coarse"].square().mean()).backward()
    still = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().max()]
    assert still == []


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[DeepFill, OnnxEngine]:
    network = network_with(5).float()
    path = tmp_path_factory.mktemp("deepfill") / "deepfill.onnx"
    path.write_bytes(to_onnx(network, half=False).SerializeToString())
    return network, OnnxEngine(path)


@pytest.mark.parametrize(
    ("batch", "height", "width"), [(2, 64, 64), (1, 8, 8), (1, 16, 136), (3, 72, 200)]
)
def test_onnx_agrees_with_torch_at_any_size(
    exported: tuple[DeepFill, OnnxEngine], batch: int, height: int, width: int
) -> None:
    network, engine = exported
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(batch, 3, height, width, generator=generator) * 2 - 1
    hole = (torch.rand(batch, 1, height, width, generator=generator) < 0.01).float()
    hole[0, :, height // 4 : height // 2, width // 4 : width // 2] = 1
    with torch.no_grad():
        expected = network(image, hole).numpy()
    found = engine.predict(image.numpy(), hole.numpy())
    assert expected.std() > 0.05
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_it_fills_photos_of_any_size_like_other_weights(
    exported: tuple[DeepFill, OnnxEngine],
) -> None:
    _, engine = exported
    inpainter = Inpainter()
    inpainter.engine = engine
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (203, 317, 3), dtype=np.uint8)
    hole = np.zeros((203, 317), bool)
    hole[40:90, 100:180] = True
    filled = inpainter(image=image, mask=hole)
    np.testing.assert_array_equal(filled[~hole], image[~hole])
    assert (filled[hole] != image[hole]).any()


def test_the_file_holds_one_loop_and_not_one_size() -> None:
    model = to_onnx(network_with(5).float(), half=False)
    assert [node.op_type for node in model.graph.node].count("Loop") == 1
