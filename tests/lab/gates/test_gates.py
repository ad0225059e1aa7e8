"""Gates that are looked at are those that were used, and the numbers about them are right."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from freefill.lab.gates import report
from freefill.lab.gates.gates import Gate, correlations, filled, inspect_gates, record_gates
from freefill.lab.models.deepfill import DeepFill
from freefill.lab.models.encoder_decoder import EncoderDecoder
from freefill.lab.models.light import Light
from freefill.types import GUIDANCE_CHANNELS

SIZE = (60, 90)


@pytest.fixture(scope="module")
def light() -> Light:
    torch.manual_seed(0)
    network = Light(channels=(8, 8, 16), dilations=(1, 2, 4, 8, 1), deep_dilations=(1, 2)).eval()
    with torch.no_grad():
        network.guide.weight.normal_()
    return network


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)


@pytest.fixture(scope="module")
def hole() -> np.ndarray:
    marked = np.zeros(SIZE, bool)
    marked[15:45, 30:60] = True
    return marked


def test_every_gate_of_the_network_in_its_order(
    light: Light, image: np.ndarray, hole: np.ndarray
) -> None:
    found = inspect_gates(light, image, hole)
    assert list(found)[:3] == ["stem", "down1", "down2"]
    assert list(found)[-1] == "copies"
    gated = [name for name, module in light.named_modules() if hasattr(module, "features_and_gate")]
    assert set(found) == {*gated, "copies"}
    assert found["stem"].shape == (1, 32, 48)  # of 64x96: padded to multiples of 16
    assert found["deep1.0.conv"].shape == (1, 4, 6)
    assert all(((maps >= 0) & (maps <= 1)).all() for maps in found.values())


def test_gates_are_those_that_were_used(light: Light, image: np.ndarray, hole: np.ndarray) -> None:
    before = filled(light, image, hole)
    closed = inspect_gates(light, image, hole)["refine2.0.conv"]
    conv = light.refine2[0].conv.conv
    bias = conv.bias
    assert bias is not None
    kept = bias.detach().clone()
    try:
        with torch.no_grad():
            bias[-1] -= 100  # the gate's own logit
        shut = inspect_gates(light, image, hole)["refine2.0.conv"]
        after = filled(light, image, hole)
    finally:
        with torch.no_grad():
            bias.copy_(kept)
    assert closed.mean() > 0.05
    assert shut.max() < 1e-6
    assert (before != after).any()
    np.testing.assert_array_equal(after[~hole], image[~hole])
    assert light.training is False


def test_looking_leaves_the_network_as_it_was(image: np.ndarray, hole: np.ndarray) -> None:
    network = EncoderDecoder("gated", (4, 4, 8), (1,)).train()
    state = {name: value.clone() for name, value in network.state_dict().items()}
    record_gates(network, image, hole)
    assert network.training
    assert not any(module._forward_hooks for module in network.modules())
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, state[name], rtol=0, atol=0)


def test_masks_of_partial_convolutions_follow_the_rule(image: np.ndarray, hole: np.ndarray) -> None:
    network = EncoderDecoder("partial", (4, 4, 8), (1, 2, 4))
    gates = record_gates(network, image, hole)
    assert {gate.kind for gate in gates} == {"partial"}
    for gate in gates:
        # The rule that is shown beside other networks' gates is what the layers did.
        np.testing.assert_array_equal(gate.maps[0], gate.rule, gate.layer)
    unknown = [float((gate.maps < 0.5).mean()) for gate in gates]
    assert unknown[0] > 0
    assert unknown[-1] == 0
    (plain,) = {
        (float(g.maps.min()), float(g.maps.max()), g.kind)
        for g in record_gates(EncoderDecoder("plain", (4, 4, 8), (1,)), image, hole)
    }
    assert plain == (1.0, 1.0, "plain")


def test_a_sketch_changes_gates_inside_the_hole_alone_where_nothing_spreads(
    light: Light, image: np.ndarray, hole: np.ndarray
) -> None:
    planes = np.zeros((*SIZE, GUIDANCE_CHANNELS), np.float32)
    planes[30, :, 0] = 1  # reaches beyond the hole, where it does not count
    plain, guided = (inspect_gates(light, image, hole, g) for g in (None, planes))
    np.testing.assert_array_equal(plain["stem"], guided["stem"])  # it comes in after this one
    changed = (np.abs(plain["down1"] - guided["down1"]) > 0)[0]
    rows, columns = np.nonzero(changed)
    assert changed.any()
    assert rows.min() >= 6
    assert rows.max() <= 9
    assert columns.min() >= 6
    assert columns.max() <= 16


def test_what_cannot_be_looked_at_is_refused(image: np.ndarray, hole: np.ndarray) -> None:
    network = EncoderDecoder("gated", (4, 4, 8), (1,))
    planes = np.zeros((*SIZE, GUIDANCE_CHANNELS), np.float32)
    with pytest.raises(ValueError, match="takes no sketch"):
        record_gates(network, image, hole, planes)
    with pytest.raises(ValueError, match="takes no sketch"):
        record_gates(DeepFill(), image, hole, planes)
    with pytest.raises(ValueError, match=r"\(H, W, 3\)"):
        record_gates(network, image, hole[1:])
    with pytest.raises(ValueError, match=r"guidance is"):
        record_gates(Light((8, 8, 16), (1,), (1,)), image, hole, planes[..., :4])


def test_correlations_by_arithmetic(hole: np.ndarray) -> None:
    lines = np.zeros(SIZE, bool)
    lines[30, 30:60] = True
    padded = np.zeros((64, 96), np.float32)
    padded[:60, :90] = hole
    padded[60:, :90], padded[:, 90:] = padded[59:60, :90], padded[:, 89:90]
    near = np.zeros((64, 96), np.float32)
    near[29:32] = 1
    maps = np.stack([0.2 + 0.5 * padded, 0.9 - 0.5 * padded, near * padded, 0.5 + 0 * padded])
    gate = Gate("x", "gated", maps.astype(np.float32), padded)
    found = correlations(gate, hole, lines)
    np.testing.assert_allclose(found[0, :2], [1, -1], atol=1e-6)
    np.testing.assert_allclose(found[1, :2], [-1, 1], atol=1e-6)
    # That with the sketch is over the hole: to follow the hole is not to follow the sketch.
    assert np.isnan(found[0, 2])
    assert found[2, 2] == pytest.approx(1, abs=1e-6)
    assert np.isnan(found[3]).all()
    rim = np.zeros((64, 96), np.float32)
    rim[11:49, 26:64] = 1
    rim[19:41, 34:56] = 0
    border = correlations(Gate("x", "gated", rim[None], padded), hole)[0, 3]
    assert border > 0.9
    assert np.isnan(correlations(gate, hole)[:, 2]).all()


def test_a_report_holds_every_map(
    light: Light, image: np.ndarray, hole: np.ndarray, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    network = EncoderDecoder("gated", (4, 6, 8), (1, 2))
    for model in (light, network):
        gates = record_gates(model, image, hole)
        view = report.View("a <b>.png", "m", image, hole, None, image, gates)
        page = report.write(view, tmp_path).read_text()
        assert "a &lt;b&gt;.png" in page
        with (tmp_path / "gates.csv").open() as file:
            table = list(csv.DictReader(file))
        assert len(table) == sum(len(gate.maps) for gate in gates)
        for gate in gates:
            assert f'id="{gate.layer}"' in page
            (picture,) = tmp_path.glob(f"layers/*-{gate.layer}.png")
            assert f"layers/{picture.name}" in page
        assert "http" not in page.replace("http-equiv", "")
        with Image.open(tmp_path / "sheet.png") as sheet:
            assert sheet.height > 200


def test_a_map_is_drawn_from_closed_to_open(tmp_path: Path) -> None:
    ramp = np.linspace(0.4, 0.6, 16, dtype=np.float32)[None, None].repeat(16, 1)
    gate = Gate("x", "gated", ramp, ramp[0])
    pixels = np.asarray(report.channels(gate, (256, 256))).astype(int).sum(-1)
    row = pixels[100]
    assert (np.diff(row) >= 0).all()
    assert row[0] < 150
    assert row[-1] > 650
