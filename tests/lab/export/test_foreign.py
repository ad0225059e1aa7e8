"""Weights from elsewhere: the same numbers whatever the file, or a refusal that runs nothing."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import google_crc32c
import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from freefill.errors import ConfigError, FreefillError, WeightsError
from freefill.lab.config import from_dict
from freefill.lab.export.export import starting_point
from freefill.lab.export.foreign import Foreign, read
from freefill.lab.export.importing import build, import_weights
from freefill.lab.export.onnx import read_weights
from freefill.lab.models.deepfill import DeepFill, Variant
from freefill.lab.models.deepfill_names import Layout, names, swap_colours
from freefill.lab.training import checkpoint
from freefill.pipeline.engines.onnx import OnnxEngine
from freefill.weights.registry import find

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Weights = dict[str, Tensor]


def load_writer() -> ModuleType:
    """Get the tests' own writer of TensorFlow's checkpoints."""
    place = Path(__file__).parent / "tf_bundle" / "bundles.py"
    spec = importlib.util.spec_from_file_location("bundles", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_weights(sketch: bool = False) -> Weights:
    torch.manual_seed(3)
    # Larger than fresh ones, so that every layer can be seen in the picture.
    return {
        name: (value * 1.5 if value.ndim == 4 else torch.randn_like(value) * 0.1)
        for name, value in DeepFill(sketch).state_dict().items()
    }


@pytest.fixture(scope="module")
def weights() -> Weights:
    return make_weights()


def in_layout(weights: Weights, layout: Layout) -> Weights:
    return {name: weights[own] for own, name in names(layout).items()}


def save_bundle(folder: Path, weights: Weights) -> Path:
    """Save as a training with TensorFlow does: with optimizers, and a file that names the rest."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {}
    for name, value in in_layout(weights, "tensorflow").items():
        kernel = value.ndim == 4
        arrays[name] = (value.permute(2, 3, 1, 0) if kernel else value).contiguous().numpy()
    bias = arrays["inpaint_net/conv1/bias"]
    arrays |= {f"inpaint_net/conv1/bias/{slot}": bias * 7 for slot in ("Adam", "Adam_1")}
    arrays |= {"beta1_power": np.float32(0.5), "global_step": np.int64(9)}
    arrays = {name: np.asarray(values) for name, values in arrays.items()}
    load_writer().write_bundle(folder / "snap-0", arrays, per_block=40, crc=google_crc32c.value)
    (folder / "checkpoint").write_text('model_checkpoint_path: "snap-0"\n')
    return folder


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, weights: Weights) -> Path:
    return save_bundle(tmp_path_factory.mktemp("released") / "places2", weights)


@pytest.fixture(scope="module")
def imported(
    tmp_path_factory: pytest.TempPathFactory, bundle: Path
) -> tuple[Path, dict[str, Any], list[str]]:
    out = tmp_path_factory.mktemp("imported") / "new" / "places2.onnx"
    lines: list[str] = []
    return out, import_weights(bundle, out, on_message=lines.append), lines


FUSE = {"stage2.contextual_attention.fuse_weight": torch.eye(3)[None, None]}
WRITERS: dict[str, Callable[[Path, Weights], Path]] = {}


def writer(function: Callable[[Path, Weights], Path]) -> Callable[[Path, Weights], Path]:
    WRITERS[function.__name__] = function
    return function


@writer
def tensorflow(folder: Path, weights: Weights) -> Path:
    return save_bundle(folder, weights)


@writer
def port_tf(folder: Path, weights: Weights) -> Path:
    torch.save({"G": in_layout(weights, "port-tf"), "n_iter": 7}, folder / "w.pth")
    return folder / "w.pth"


@writer
def port_tf_bare_and_old(folder: Path, weights: Weights) -> Path:
    state = in_layout(weights, "port-tf")
    torch.save(state, folder / "old.pth", _use_new_zipfile_serialization=False)
    return folder / "old.pth"


@writer
def port(folder: Path, weights: Weights) -> Path:
    given = list(in_layout(weights, "port").items())
    mixed = dict([*given[:60], *FUSE.items(), *given[60:]])
    optimizer = {"state": {0: {"step": 1, "exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 1}]}
    torch.save({"G": mixed, "D": {"a": torch.zeros(2)}, "G_optim": optimizer}, folder / "p.pt")
    return folder / "p.pt"


@writer
def port_parameters(folder: Path, weights: Weights) -> Path:
    state = {k: torch.nn.Parameter(v) for k, v in in_layout(weights, "port").items()}
    torch.save(state | FUSE, folder / "p.pth")
    return folder / "p.pth"


@writer
def port_safetensors(folder: Path, weights: Weights) -> Path:
    save_file(in_layout(weights, "port") | FUSE, folder / "p.safetensors")
    return folder / "p.safetensors"


@writer
def own_safetensors(folder: Path, weights: Weights) -> Path:
    save_file(weights, folder / "w.safetensors")
    return folder / "w.safetensors"


@writer
def own_run(folder: Path, weights: Weights) -> Path:
    model = {
        "name": "deepfill",
        "padding": "symmetric",
        "mask_resize": "one-step",
        "fuse": False,
        "attention": "port",
    }
    config = from_dict({"model": model}).to_dict()
    checkpoint.save(folder, {"config": config, "ema": weights, "step": 1})
    return folder


@pytest.mark.parametrize("how", WRITERS)
def test_same_weights_from_every_file(tmp_path: Path, weights: Weights, how: str) -> None:
    foreign = read(WRITERS[how](tmp_path, weights))
    assert list(foreign.tensors) == list(weights)
    for name, value in weights.items():
        assert foreign.tensors[name].dtype == torch.float32
        assert torch.equal(foreign.tensors[name], value), name
    for source in foreign.sources:
        content = (tmp_path / source["file"]).read_bytes()
        assert source["sha256"] == sha256(content).hexdigest()
        assert source["bytes"] == len(content)


@pytest.mark.parametrize(
    ("how", "order", "variant", "licence"),
    [
        ("tensorflow", "bgr", Variant("same", "two-step", True), "CC BY-NC 4.0"),
        ("port_tf", "bgr", Variant("same", "two-step", True), "CC BY-NC 4.0"),
        ("port", "rgb", Variant("symmetric", "one-step", True, "port"), "CC BY-NC 4.0"),
        ("own_safetensors", "rgb", Variant(), "not stated"),
        ("own_run", "rgb", Variant("symmetric", "one-step", False, "port"), "not stated"),
    ],
)
def test_what_is_assumed_of_a_file(
    tmp_path: Path, weights: Weights, how: str, order: str, variant: Variant, licence: str
) -> None:
    assert read(WRITERS[how](tmp_path, weights)).assumed == (order, variant, licence)


def picture(height: int = 64, width: int = 96) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(1, 3, height, width, generator=generator) * 2 - 1
    hole = torch.zeros(1, 1, height, width)
    hole[..., 20:44, 30:70] = 1
    return image, hole


def run(network: torch.nn.Module, image: Tensor, hole: Tensor) -> Tensor:
    with torch.no_grad():
        filled: Tensor = network.eval()(image, hole)
    return filled


def test_bundle_and_port_give_the_same_picture_to_the_last_bit(
    tmp_path: Path, bundle: Path, weights: Weights
) -> None:
    variant = Variant()
    pictures = [
        run(build(read(path), variant, "bgr"), *picture())
        for path in (bundle, bundle / "snap-0", port_tf(tmp_path, weights))
    ]
    assert torch.equal(pictures[0], pictures[1])
    assert torch.equal(pictures[0], pictures[2])


@pytest.mark.parametrize("sketch", [False, True])
def test_turned_weights_do_with_rgb_what_they_did_with_bgr(tmp_path: Path, sketch: bool) -> None:
    weights = make_weights(sketch)
    blue_first = DeepFill(sketch)
    blue_first.load_state_dict(weights)
    image, hole = picture()
    foreign = read(save_bundle(tmp_path, weights))
    assert foreign.sketch == sketch
    turned = build(foreign, Variant(), "bgr")
    expected = run(blue_first, image.flip(1), hole).flip(1)
    found = run(turned, image, hole)
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=0)
    # And it matters: as it was, the network makes something else.
    assert float((run(blue_first, image, hole) - expected).abs().mean()) > 1e-2
    if sketch:
        lines = (torch.rand(1, 1, 64, 96) < 0.1).float()
        with torch.no_grad():
            expected = blue_first.eval()(image.flip(1), hole, lines).flip(1)
            torch.testing.assert_close(turned(image, hole, lines), expected, atol=2e-5, rtol=0)


def test_imported_files_agree_with_each_other(
    imported: tuple[Path, dict[str, Any], list[str]], bundle: Path, weights: Weights
) -> None:
    out, card, lines = imported
    assert json.loads(out.with_suffix(".json").read_text()) == card
    assert sorted(path.suffix for path in out.parent.iterdir()) == [
        ".json",
        ".onnx",
        ".safetensors",
    ]
    assert card["sha256"] == sha256(out.read_bytes()).hexdigest()
    assert card["bytes"] == out.stat().st_size
    assert card["name"] == "places2"
    assert card["architecture"] == "deepfill"
    assert card["layout"].startswith("tensorflow")
    assert card["channel_order"].startswith("bgr")
    assert card["variant"] == asdict(Variant())
    assert card["parameters"] == 4_052_478
    assert card["sketch"] is False
    assert card["gmac_512"] > 30
    assert card["parity"]["largest_difference"] < 1e-3
    assert card["licence"] == "CC BY-NC 4.0"
    assert "1806.03589" in card["paper"]
    assert [source["file"] for source in card["sources"]] == [
        "snap-0.index",
        "snap-0.data-00000-of-00001",
    ]
    for source in card["sources"]:
        content = (bundle / source["file"]).read_bytes()
        assert source["sha256"] == sha256(content).hexdigest()
    assert any("not for commercial use" in line and "--licence" in line for line in lines)

    expected = swap_colours(weights)
    for found in (load_file(out.with_suffix(".safetensors")), read_weights(out)):
        assert set(found) == set(expected)
        assert all(torch.equal(found[name], value) for name, value in expected.items())
    find(out).check()

    # An independent look: the network on BGR in torch, the file on RGB through the engine.
    network = DeepFill()
    network.load_state_dict(weights)
    image, hole = picture(80, 48)
    filled = OnnxEngine(out, 1).predict(image.numpy(), hole[..., :48].numpy())
    np.testing.assert_allclose(
        filled, run(network, image.flip(1), hole[..., :48]).flip(1).numpy(), atol=1e-4
    )


def test_imported_files_can_be_imported_again(
    imported: tuple[Path, dict[str, Any], list[str]], tmp_path: Path, weights: Weights
) -> None:
    out, _, _ = imported
    expected = swap_colours(weights)
    for path in (out, out.with_suffix(".safetensors")):
        foreign = read(path)
        assert foreign.layout == "freefill"
        # What is written is RGB, whatever the source was; the rest is on the card.
        assert foreign.assumed == ("rgb", Variant("same", "two-step", True), "CC BY-NC 4.0")
        assert all(torch.equal(foreign.tensors[name], value) for name, value in expected.items())
        with pytest.raises(ConfigError, match="would replace"):
            import_weights(path, out)
    with pytest.raises(ConfigError, match=r"must end in \.onnx"):
        import_weights(out, tmp_path / "w.pt")
    assert list(tmp_path.iterdir()) == []


def test_a_prefix_may_end_like_a_pickle(tmp_path: Path, weights: Weights) -> None:
    save_bundle(tmp_path, weights)
    for path in tmp_path.glob("snap-0.*"):
        path.rename(path.with_name(path.name.replace("snap-0", "model.ckpt")))
    assert read(tmp_path / "model.ckpt").layout == "tensorflow"


def test_a_card_beside_a_file_that_is_not_ours_does_not_matter(
    tmp_path: Path, weights: Weights
) -> None:
    path = port_safetensors(tmp_path, weights)
    path.with_suffix(".json").write_text("not JSON")
    assert read(path).layout == "port"


def test_weights_in_another_file_are_not_followed(
    imported: tuple[Path, dict[str, Any], list[str]], tmp_path: Path
) -> None:
    model = onnx.load(imported[0])
    onnx.save(model, tmp_path / "w.onnx", save_as_external_data=True, location="w.bin")
    os.truncate(tmp_path / "w.bin", 10 * 2**30)
    with pytest.raises(FreefillError, match="weights in another file"):
        read(tmp_path / "w.onnx")


def initializer(kind: int, dims: list[int], raw: bytes = bytes(16), **more: Any) -> Any:
    made = onnx.TensorProto(data_type=kind, dims=dims, **more)
    if not more:
        made.raw_data = raw
    return made


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        (initializer(1, [96]), "is 96, 96 numbers, and has 4"),
        (initializer(1, [96], float_data=[1.0]), "is 96, 96 numbers, and has 1"),
        (initializer(1, [10**6, 10**6]), "1000000x1000000, not 96"),
        (initializer(1, [-1, -96]), "-1x-96, not 96"),
        (initializer(99, [96]), "of the type number 99"),
        (initializer(8, [96], string_data=[b"x"] * 96), "of the type STRING"),
        (initializer(22, [96], bytes(48)), "of the type INT4"),
        (initializer(7, [96], bytes(768)), "of the type INT64"),
    ],
    ids=["short", "short list", "huge", "negative", "unknown", "text", "int4", "int64"],
)
def test_onnx_tensors_that_are_no_weights(
    imported: tuple[Path, dict[str, Any], list[str]], tmp_path: Path, stored: Any, words: str
) -> None:
    model = onnx.load(imported[0])
    name = "layers.conv3.conv.bias"
    (old,) = (tensor for tensor in model.graph.initializer if tensor.name == name)
    old.CopyFrom(stored)
    old.name = name
    (tmp_path / "w.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(FreefillError, match=words) as refused:
        read(tmp_path / "w.onnx")
    assert "\n" not in str(refused.value)
    if "not 96" not in words and "the type" not in words:
        with pytest.raises(FreefillError, match=words):
            starting_point(str(tmp_path / "w.onnx"))


def test_onnx_tensors_of_other_names_are_not_converted(tmp_path: Path) -> None:
    graph = onnx.GraphProto(name="g")
    graph.initializer.append(initializer(22, [2**25], bytes(2**24)))
    graph.initializer[0].name = "more"
    (tmp_path / "w.onnx").write_bytes(onnx.ModelProto(graph=graph).SerializeToString())
    tracemalloc.start()
    with pytest.raises(WeightsError, match=r"w\.onnx: it holds 1 tensors"):
        read(tmp_path / "w.onnx")
    assert starting_point(str(tmp_path / "w.onnx")).weights == {}
    assert tracemalloc.get_traced_memory()[1] < 2**27
    tracemalloc.stop()


def test_card_with_no_whole_variant(tmp_path: Path, weights: Weights) -> None:
    path = own_safetensors(tmp_path, weights)
    path.with_suffix(".json").write_text('{"variant": {"padding": "same"}}')
    with pytest.raises(WeightsError, match="its card names no whole variant: 'mask_resize'"):
        read(path)
    said = {"variant": {**asdict(Variant()), "padding": "wide"}}
    path.with_suffix(".json").write_text(json.dumps(said))
    with pytest.raises(WeightsError, match="padding is 'wide'"):
        build(read(path), read(path).assumed.variant, "rgb")


def test_refused_when_torch_and_onnx_differ(
    tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> float:
        raise WeightsError("differ by 0.5")

    monkeypatch.setattr("freefill.lab.export.importing.check_parity", refuse)
    with pytest.raises(WeightsError, match=r"differ by 0\.5"):
        import_weights(bundle, tmp_path / "w.onnx")
    assert list(tmp_path.iterdir()) == []


def test_other_networks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"light\.onnx.*'light'"):
        read(find("light").path)
    with pytest.raises(WeightsError, match="'light'"):
        read(Path("light"))
    mmagic = {
        "state_dict": {"generator.stage1.encoder.enc1.conv.weight": torch.zeros(1)},
        "meta": {"epoch": 1},
    }
    torch.save(mmagic, tmp_path / "m.pth")
    with pytest.raises(WeightsError, match="mmagic"):
        read(tmp_path / "m.pth")
    load_writer().write_bundle(
        tmp_path / "v1", {"inpaint_net/conv1/kernel": np.zeros((5, 5, 5, 32), "f4")}
    )
    with pytest.raises(WeightsError, match="DeepFill v1"):
        read(tmp_path / "v1")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (torch.zeros(96), "not numbers of a network"),
        (torch.full((96,), torch.nan), "not finite"),
        (torch.zeros(96).to_sparse(), "cannot be read|not numbers"),
        (torch.zeros(96, device="meta"), "cannot be read|not numbers"),
        (torch.zeros(1).expand(2**40), "asks for 1,099,511,627,776 numbers"),
        ([1.0], "is a list"),
    ],
    ids=["whole numbers", "nan", "sparse", "nowhere", "huge", "list"],
)
def test_tensors_that_are_no_weights(
    tmp_path: Path, weights: Weights, value: Any, words: str
) -> None:
    state: dict[str, Any] = in_layout(weights, "port-tf")
    if isinstance(value, Tensor) and value.layout == torch.strided and not value.is_meta:
        value = value.to(torch.int64) if words.startswith("not numbers") else value
    state["conv3.conv.bias"] = value
    torch.save(state, tmp_path / "w.pth")
    tracemalloc.start()
    with pytest.raises(WeightsError, match=words):
        read(tmp_path / "w.pth")
    assert tracemalloc.get_traced_memory()[1] < 2**23
    tracemalloc.stop()


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors", "w.onnx", "s.index", "last.pt"])
def test_ten_gigabytes_of_nothing(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.touch()
    os.truncate(path, 10 * 2**30)
    tracemalloc.start()
    start = time.perf_counter()
    with pytest.raises(WeightsError, match="has 10,737,418,240 bytes"):
        read(tmp_path if name == "last.pt" else path)
    assert time.perf_counter() - start < 1
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_ten_gigabytes_of_data_beside_a_good_index(tmp_path: Path, weights: Weights) -> None:
    save_bundle(tmp_path, weights)
    os.truncate(tmp_path / "snap-0.data-00000-of-00001", 10 * 2**30)
    with pytest.raises(WeightsError, match="has 10,737,418,240 bytes"):
        read(tmp_path)


def header(said: object, data: bytes = b"") -> bytes:
    text = json.dumps(said).encode()
    return len(text).to_bytes(8, "little") + text + data


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is no safetensors file"),
        (b"\xff" * 40, "header would have 18,446"),
        ((2**40).to_bytes(8, "little") + b"{}", "header would have 1,099"),
        (
            header({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}),
            "cannot be",
        ),
        (header({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 4]}}, b"1234"), "cannot"),
        (header({"a": 1}), "cannot be read"),
        (header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, b"1234"), "none of"),
    ],
    ids=["empty", "noise", "header", "huge", "wrong size", "no tensor", "another network"],
)
def test_damaged_safetensors(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(WeightsError, match=words):
        read(tmp_path / "w.safetensors")


@pytest.mark.parametrize("name", ["missing", "v1", "it", "tensors", "a: b"])
def test_each_error_names_the_file_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: Weights, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    some = dict(list(in_layout(weights, "port-tf").items())[:9])
    load_writer().write_bundle(Path("snap"), {"inpaint_net/conv1/bias": np.zeros(48, "f4")})
    Path(name).mkdir()
    for file in Path().glob("snap.*"):
        file.rename(Path(name) / file.name)
    torch.save(some, f"{name}.pth")
    torch.save({"a": 1}, f"{name}.pt")
    save_file(some, f"{name}.safetensors")
    Path(f"{name}.onnx").write_bytes(b"")
    Path(f"{name}.bin").write_bytes(b"")
    Path(f"{name}.h5").write_bytes(b"")
    for ending in ("", ".pth", ".pt", ".safetensors", ".onnx", ".bin", ".h5", ".none"):
        path = Path(f"{name}{ending}")
        with pytest.raises(FreefillError) as refused:
            read(path)
        message = str(refused.value)
        assert re.match(rf"{re.escape(str(path))}(:|\.index| )", message), message
        assert not message.startswith((f"{path}: {path}:", f"{path}: {path}/"))


def test_a_folder_with_a_file_in_it_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "states.pth").touch()
    (tmp_path / "readme.txt").touch()
    with pytest.raises(WeightsError, match=r"give the file in it, .*states\.pth$"):
        read(tmp_path)
    (tmp_path / "w.safetensors").touch()
    with pytest.raises(WeightsError, match=r"states\.pth \(or w\.safetensors\)$"):
        read(tmp_path)


def test_nothing_there(tmp_path: Path) -> None:
    for name, words in (
        ("none.pth", "does not exist"),
        ("none.safetensors", "does not exist"),
        ("none.onnx", "does not exist"),
        ("none", r"none\.index does not exist"),
        ("", r"0 \.index files"),
    ):
        with pytest.raises(WeightsError, match=words):
            read(tmp_path / name)
    (tmp_path / "folder.pth").mkdir()
    with pytest.raises(FreefillError):
        read(tmp_path / "folder.pth")
    (tmp_path / "weights.h5").touch()
    with pytest.raises(WeightsError, match=r"weights\.h5: its ending is of no kind"):
        read(tmp_path / "weights.h5")
    (tmp_path / "bad.onnx").write_bytes(b"no protocol buffer")
    with pytest.raises(FreefillError, match=r"bad\.onnx"):
        read(tmp_path / "bad.onnx")


def test_nothing_executable_is_loaded_to_read(bundle: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from freefill.lab.export.foreign import read\n"
        f"assert len(read(Path({str(bundle)!r})).tensors) == 84\n"
        "assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_weights_that_need_no_turning_are_shared(bundle: Path) -> None:
    foreign: Foreign = read(bundle)
    networks = [build(foreign, Variant(fuse=fuse), "bgr") for fuse in (True, False)]
    name = "layers.conv5.conv.weight"
    places = {n.state_dict()[name].data_ptr() for n in networks}
    assert places == {foreign.tensors[name].data_ptr()}
