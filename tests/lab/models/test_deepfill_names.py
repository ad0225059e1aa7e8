"""Names of DeepFill v2's weights in other layouts: all 84, each by name, or a telling refusal."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from freefill.errors import WeightsError
from freefill.lab.models.deepfill import DeepFill
from freefill.lab.models.deepfill_names import Layout, match, names, shapes, swap_colours, to_own
from freefill.lab.models.light import Light

LAYOUTS: tuple[Layout, ...] = ("tensorflow", "port-tf", "port", "freefill")
EVERY = pytest.mark.parametrize("layout", LAYOUTS)

# Typed from the descriptions of both code bases: layer, shape of the TensorFlow kernel, its name,
# the name in either layout of the port.
ROWS = [
    ("conv1", (5, 5, 5, 48), "conv1", "conv1.conv", "stage1.conv1.conv"),
    (
        "conv2_downsample",
        (3, 3, 24, 96),
        "conv2_downsample",
        "conv2_downsample.conv",
        "stage1.down_block1.conv1_downsample.conv",
    ),
    (
        "conv4_downsample",
        (3, 3, 48, 192),
        "conv4_downsample",
        "conv4_downsample.conv",
        "stage1.down_block2.conv1_downsample.conv",
    ),
    ("conv6", (3, 3, 96, 192), "conv6", "conv6.conv", "stage1.conv_bn1.conv"),
    (
        "conv10_atrous",
        (3, 3, 96, 192),
        "conv10_atrous",
        "conv10_atrous.conv",
        "stage1.conv_bn5.conv",
    ),
    (
        "conv13_upsample",
        (3, 3, 96, 96),
        "conv13_upsample/conv13_upsample_conv",
        "conv13_upsample.conv.conv",
        "stage1.up_block1.conv1_upsample.conv.conv",
    ),
    (
        "conv15_upsample",
        (3, 3, 48, 48),
        "conv15_upsample/conv15_upsample_conv",
        "conv15_upsample.conv.conv",
        "stage1.up_block2.conv1_upsample.conv.conv",
    ),
    ("conv17", (3, 3, 12, 3), "conv17", "conv17.conv", "stage1.conv_to_rgb.conv"),
    ("xconv1", (5, 5, 3, 48), "xconv1", "xconv1.conv", "stage2.conv_conv1.conv"),
    (
        "xconv2_downsample",
        (3, 3, 24, 48),
        "xconv2_downsample",
        "xconv2_downsample.conv",
        "stage2.conv_down_block1.conv1_downsample.conv",
    ),
    ("xconv5", (3, 3, 48, 192), "xconv5", "xconv5.conv", "stage2.conv_down_block2.conv2.conv"),
    ("xconv6", (3, 3, 96, 192), "xconv6", "xconv6.conv", "stage2.conv_conv_bn1.conv"),
    (
        "xconv10_atrous",
        (3, 3, 96, 192),
        "xconv10_atrous",
        "xconv10_atrous.conv",
        "stage2.conv_conv_bn5.conv",
    ),
    (
        "pmconv4_downsample",
        (3, 3, 48, 192),
        "pmconv4_downsample",
        "pmconv4_downsample.conv",
        "stage2.ca_down_block2.conv1_downsample.conv",
    ),
    ("pmconv6", (3, 3, 96, 192), "pmconv6", "pmconv6.conv", "stage2.ca_conv_bn1.conv"),
    ("pmconv9", (3, 3, 96, 192), "pmconv9", "pmconv9.conv", "stage2.ca_conv_bn4.conv"),
    ("pmconv10", (3, 3, 96, 192), "pmconv10", "pmconv10.conv", "stage2.ca_conv_bn5.conv"),
    ("allconv11", (3, 3, 192, 192), "allconv11", "allconv11.conv", "stage2.conv_bn6.conv"),
    ("allconv12", (3, 3, 96, 192), "allconv12", "allconv12.conv", "stage2.conv_bn7.conv"),
    (
        "allconv15_upsample",
        (3, 3, 48, 48),
        "allconv15_upsample/allconv15_upsample_conv",
        "allconv15_upsample.conv.conv",
        "stage2.up_block2.conv1_upsample.conv.conv",
    ),
    ("allconv16", (3, 3, 24, 24), "allconv16", "allconv16.conv", "stage2.up_block2.conv2.conv"),
    ("allconv17", (3, 3, 12, 3), "allconv17", "allconv17.conv", "stage2.conv_to_rgb.conv"),
]


@pytest.fixture
def weights() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return {name: torch.randn_like(value) for name, value in DeepFill().state_dict().items()}


def foreign(weights: dict[str, Tensor], layout: Layout) -> dict[str, Tensor]:
    """Name own weights as a layout does, with TensorFlow's order of axes where that is its."""
    out = {}
    for own, name in names(layout).items():
        value = weights[own]
        if layout == "tensorflow" and value.ndim == 4:
            value = value.permute(2, 3, 1, 0).contiguous()
        out[name] = value
    return out


@EVERY
def test_the_whole_network_and_nothing_else(layout: Layout) -> None:
    found = names(layout)
    assert len(found) == len(set(found.values())) == 84
    assert list(found) == list(DeepFill().state_dict())
    sizes = {name: torch.Size(shape).numel() for name, shape in shapes(layout).items()}
    assert sum(sizes.values()) == 4_052_478
    guided = shapes(layout, sketch=True)
    assert sum(torch.Size(shape).numel() for shape in guided.values()) == 4_053_678
    # pmconv7 and pmconv8 do not exist.
    assert not any("pmconv7" in name or "pmconv8" in name for name in found.values())
    assert not any("ca_conv_bn2" in name or "ca_conv_bn3" in name for name in found.values())


@pytest.mark.parametrize(("layer", "kernel", "tf", "mirror", "port"), ROWS, ids=lambda v: str(v))
def test_rows_of_the_table(
    layer: str, kernel: tuple[int, ...], tf: str, mirror: str, port: str
) -> None:
    height, width, inputs, outputs = kernel
    for kind, ending in (("weight", "kernel"), ("bias", "bias")):
        own = f"layers.{layer}.conv.{kind}"
        assert names("tensorflow")[own] == f"inpaint_net/{tf}/{ending}"
        assert names("port-tf")[own] == f"{mirror}.{kind}"
        assert names("port")[own] == f"{port}.{kind}"
        assert names("freefill")[own] == own
    assert shapes("tensorflow")[f"inpaint_net/{tf}/kernel"] == kernel
    assert shapes("tensorflow")[f"inpaint_net/{tf}/bias"] == (outputs,)
    for layout, name in (("port-tf", mirror), ("port", port)):
        assert shapes(layout)[f"{name}.weight"] == (outputs, inputs, height, width)


@EVERY
@pytest.mark.parametrize("sketch", [False, True])
def test_shapes_are_the_networks(layout: Layout, sketch: bool) -> None:
    own = DeepFill(sketch).state_dict()
    for name, other in names(layout).items():
        shape = shapes(layout, sketch)[other]
        expected = tuple(own[name].shape)
        if layout == "tensorflow" and len(shape) == 4:
            shape = (shape[3], shape[2], shape[0], shape[1])
        assert shape == expected
    assert match(shapes(layout, sketch)) == (layout, sketch, names(layout))


@EVERY
def test_round_trip(layout: Layout, weights: dict[str, Tensor]) -> None:
    given = foreign(weights, layout)
    # Neither the order of a file nor what lies beside the network matters.
    shuffled = dict(sorted(given.items(), key=lambda item: item[0][::-1]))
    found = match({name: tuple(value.shape) for name, value in shuffled.items()})
    assert found.layout == layout
    for own, name in found.names.items():
        back = to_own(layout, shuffled[name])
        assert back.is_contiguous()
        assert back.dtype == torch.float32
        assert torch.equal(back, weights[own])
        assert back.data_ptr() != shuffled[name].data_ptr()


def test_kernels_are_turned_and_not_mirrored() -> None:
    # Each number says where it was: row, column, input, output.
    rows, columns, inputs, outputs = torch.meshgrid(
        *(torch.arange(n) for n in (3, 3, 4, 5)), indexing="ij"
    )
    kernel = (rows * 1000 + columns * 100 + inputs * 10 + outputs).double()
    turned = to_own("tensorflow", kernel)
    assert turned.shape == (5, 4, 3, 3)
    assert turned[4, 3, 2, 1] == 2134
    assert torch.equal(to_own("port", turned), turned)


OPTIMIZERS = {
    "inpaint_net/conv1/kernel/Adam": (5, 5, 5, 48),
    "inpaint_net/conv1/kernel/Adam_1": (5, 5, 5, 48),
    "beta1_power": (),
    "beta2_power_1": (),
    "global_step": (),
    "lr": (),
    "discriminator/sn_patch_gan/conv1/kernel": (5, 5, 4, 64),
    "discriminator/sn_patch_gan/conv1/kernel_sn/u": (1, 64),
}


def test_what_lies_beside_the_network_is_left_out() -> None:
    assert match(shapes("tensorflow") | OPTIMIZERS).layout == "tensorflow"
    extra = {"stage2.contextual_attention.fuse_weight": (1, 1, 3, 3)}
    given = list(shapes("port").items())
    for place in (0, 40, 84):
        mixed = dict([*given[:place], *extra.items(), *given[place:]])
        assert match(mixed).names == names("port")
    with pytest.raises(WeightsError, match="1 unknown"):
        match(shapes("port-tf") | extra)


@EVERY
def test_missing_unknown_and_misshapen(layout: Layout) -> None:
    whole = shapes(layout)
    listed = list(whole)
    few = {name: shape for name, shape in whole.items() if name not in listed[3:9]}
    with pytest.raises(WeightsError) as raised:
        match(few)
    assert f"of 84 tensors 6 missing ({listed[3]}, {listed[4]}, {listed[5]} and 3 more)" in str(
        raised.value
    )
    scope = "inpaint_net/" if layout == "tensorflow" else ""
    with pytest.raises(WeightsError, match=r"1 unknown \(.*pmconv7.conv.weight\)$"):
        match(whole | {f"{scope}pmconv7.conv.weight": (192, 96, 3, 3)})
    wrong = whole | {listed[2]: (9, 9), listed[-1]: ()}
    with pytest.raises(WeightsError) as raised:
        match(wrong)
    assert f"2 of another shape ({listed[2]} is 9x9, not 3x3x24x96" in str(
        raised.value
    ) or f"2 of another shape ({listed[2]} is 9x9, not 96x24x3x3" in str(raised.value)
    assert f"{listed[-1]} is one number, not 3)" in str(raised.value)


def test_a_transposed_kernel_is_refused() -> None:
    given = shapes("port-tf")
    given["conv3.conv.weight"] = (3, 3, 48, 96)
    with pytest.raises(WeightsError, match=r"conv3\.conv\.weight is 3x3x48x96, not 96x48x3x3"):
        match(given)


def first_version() -> dict[str, tuple[int, ...]]:
    # Of its 3x3 layers, those that have the same names in both versions.
    return {
        "inpaint_net/conv1/kernel": (5, 5, 5, 32),
        "inpaint_net/conv1/bias": (32,),
        "inpaint_net/conv2_downsample/kernel": (3, 3, 32, 64),
        "inpaint_net/xconv1/kernel": (5, 5, 5, 32),
        "inpaint_net/pmconv1/kernel": (5, 5, 5, 32),
        "discriminator/discriminator_local/conv1/kernel": (5, 5, 3, 64),
    }


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (first_version(), r"DeepFill v1.* 79 missing \(.* of another shape \("),
        ({"generator.stage1.encoder.enc1.conv.weight": (48, 5, 5, 5)}, "mmagic"),
        ({"generator.encdec2.decoder.dec1.conv.weight": (96, 96, 3, 3)}, "5 channels"),
        ({k: tuple(v.shape) for k, v in Light().state_dict().items()}, "'light'"),
        (
            {"generator.0.weight": (1,), "generator.1.bias": (1,)},
            r"2 tensors .*none of DeepFill v2's",
        ),
        ({"stem.weight": (1,), "to_rgb.0.weight": (1,)}, r"2 tensors .*none of DeepFill v2's"),
        ({f"unet.{i}": (1,) for i in range(9)}, r"9 tensors \(unet.0, unet.1, unet.2, ...\), none"),
        ({}, r"0 tensors \(nothing\), none"),
    ],
    ids=[
        *("first version", "mmagic", "mmagic, second", "light", "a generator", "a stem"),
        *("another network", "nothing"),
    ],
)
def test_other_networks_are_refused_by_name(given: dict[str, tuple[int, ...]], words: str) -> None:
    with pytest.raises(WeightsError, match=words):
        match(given)


@pytest.mark.parametrize("sketch", [False, True])
def test_colours_are_turned_where_they_are_seen_and_painted(sketch: bool) -> None:
    torch.manual_seed(0)
    weights = {k: torch.randn_like(v) for k, v in DeepFill(sketch).state_dict().items()}
    before = {name: value.clone() for name, value in weights.items()}
    turned = swap_colours(weights)
    changed = {name for name in weights if not torch.equal(turned[name], before[name])}
    assert changed == {
        "layers.conv1.conv.weight",
        "layers.xconv1.conv.weight",
        "layers.pmconv1.conv.weight",
        "layers.conv17.conv.weight",
        "layers.conv17.conv.bias",
        "layers.allconv17.conv.weight",
        "layers.allconv17.conv.bias",
    }
    name = "layers.conv1.conv.weight"
    order = [2, 1, 0, 3, 4, 5] if sketch else [2, 1, 0, 3, 4]
    assert torch.equal(turned[name], weights[name][:, order])
    assert all(torch.equal(weights[name], before[name]) for name in weights)
    again = swap_colours(turned)
    assert all(torch.equal(again[name], before[name]) for name in weights)


def test_the_ports_other_names_of_its_branches_are_known(weights: dict[str, Tensor]) -> None:
    given = {foreign: tuple(weights[own].shape) for own, foreign in names("port").items()}
    older = {
        name.replace("stage2.conv_conv", "stage2.b1_conv")
        .replace("stage2.conv_down", "stage2.b1_down")
        .replace("stage2.ca_", "stage2.b2_"): shape
        for name, shape in given.items()
    }
    assert len(older) == 84
    assert sum("b1_" in name for name in older) == 20
    assert sum("b2_" in name for name in older) == 16
    found = match(older)
    assert found.layout == "port"
    assert set(found.names.values()) == set(older)
    assert found.names["layers.pmconv9.conv.bias"] == "stage2.b2_conv_bn4.conv.bias"
    assert found.names["layers.allconv11.conv.bias"] == "stage2.conv_bn6.conv.bias"
