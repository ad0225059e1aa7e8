"""Verify: of eight settings, the one that made the known outputs is found, or it says why not."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from freefill.errors import DataError, FreefillError
from freefill.lab.export.foreign import read
from freefill.lab.export.importing import build
from freefill.lab.export.verifying import CODES, Setting, fill, read_examples, verify_outputs
from freefill.lab.models.deepfill import DeepFill, Variant
from freefill.lab.models.deepfill_names import names
from freefill.weights.registry import find

Run = Callable[..., "subprocess.CompletedProcess[str]"]

pytestmark = pytest.mark.usefixtures("one_size")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file in the port's layout that does not tell how it is to be run."""
    torch.manual_seed(4)
    state = {
        name: (value * 1.5 if value.ndim == 4 else torch.randn_like(value) * 0.1)
        for name, value in DeepFill().state_dict().items()
    }
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    save_file({name: state[own] for own, name in names("port-tf").items()}, path)
    return path


def make_examples(folder: Path, weights: Path, setting: Setting) -> Path:
    """Write examples as the released ones are; sizes are no multiples of 8 and differ."""
    folder.mkdir()
    network = build(read(weights), setting.variant, setting.channel_order)
    rng = np.random.default_rng(0)
    for number, (height, width) in enumerate([(67, 97), (80, 64)]):
        image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        hole = np.zeros((height, width), bool)
        hole[13:41, 21:52] = True
        cut = np.s_[: height // 8 * 8, : width // 8 * 8]
        output = fill(network, image[cut], hole[cut])
        holed = np.where(hole[..., None], np.uint8(255), image)
        for kind, pixels in (("input", holed), ("mask", np.uint8(255) * hole), ("output", output)):
            Image.fromarray(pixels).save(folder / f"case{number}_{kind}.png")
    return folder


@pytest.mark.parametrize(
    "setting",
    [
        Setting("bgr", True, "same"),
        Setting("rgb", False, "symmetric"),
        Setting("bgr", False, "same"),
    ],
    ids=str,
)
def test_the_right_setting_is_found(tmp_path: Path, weights: Path, setting: Setting) -> None:
    examples = make_examples(tmp_path / "known", weights, setting)
    lines: list[str] = []
    done: list[str] = []
    rows, verdict = verify_outputs(weights, examples, lines.append, done.append)
    assert len(done) == len(rows)
    assert done[0].startswith(f"1 of {len(rows)}: ")
    assert all(any(line.endswith(str(row.setting)) for line in done) for row in rows)
    assert verdict == "found"
    assert rows[0].setting == setting
    assert rows[0].mean > 45
    assert len({row.setting for row in rows}) == len(rows) == 8
    means = [row.mean for row in rows]
    assert means == sorted(means, reverse=True)
    assert means[0] - means[1] > 1
    assert all(len(row.psnr) == 2 for row in rows)
    assert lines[-1].startswith("the right setting, by ")
    assert lines[-1].endswith(str(setting))
    assert len(lines) == 11
    assert "case0" in lines[1]
    assert lines[2].startswith(str(setting))


def test_other_weights_are_told_apart(tmp_path: Path, weights: Path) -> None:
    examples = make_examples(tmp_path / "known", weights, Setting("bgr", True, "same"))
    torch.manual_seed(9)
    save_file(DeepFill().state_dict(), tmp_path / "other.safetensors")
    lines: list[str] = []
    _, verdict = verify_outputs(tmp_path / "other.safetensors", examples, lines.append)
    assert verdict == "none"
    assert "none reproduces the outputs: other weights or other examples" in lines[-1]


def test_settings_that_are_too_close(tmp_path: Path, weights: Path) -> None:
    # Without red, green and blue in its colours no order of them is the right one.
    state = dict(read(weights).tensors)
    for layer in ("conv1", "xconv1", "pmconv1"):
        state[f"layers.{layer}.conv.weight"] = state[f"layers.{layer}.conv.weight"].clone()
        state[f"layers.{layer}.conv.weight"][:, :3] = 0.01
    for layer in ("conv17", "allconv17"):
        state[f"layers.{layer}.conv.weight"] = state[f"layers.{layer}.conv.weight"][:1].repeat(
            3, 1, 1, 1
        )
        state[f"layers.{layer}.conv.bias"] = torch.zeros(3)
    save_file(state, tmp_path / "grey.safetensors")
    grey = tmp_path / "grey.safetensors"
    examples = make_examples(tmp_path / "known", grey, Setting("bgr", True, "same"))
    lines: list[str] = []
    rows, verdict = verify_outputs(grey, examples, lines.append)
    assert verdict == "close"
    assert "these examples do not decide between" in lines[-1]
    equal = [row.setting for row in rows if row.mean == rows[0].mean]
    assert {setting.channel_order for setting in equal} == {"rgb", "bgr"}


def test_an_imported_file_is_rgb(tmp_path: Path, weights: Path, command: Run) -> None:
    setting = Setting("bgr", False, "symmetric")
    examples = make_examples(tmp_path / "known", weights, setting)
    out = tmp_path / "all mine.onnx"
    # The order is left to what is assumed of such a file.
    options = str(setting).split()[2:]
    ran = command("weights", "import", weights, "--out", out, *options, "--name", "me")
    assert ran.returncode == 0, ran.stderr
    assert "4,052,478 parameters, colours in bgr, padding symmetric" in ran.stderr
    assert "bgr is assumed" in ran.stderr
    assert "not for commercial use" in ran.stderr
    assert f"--model '{out}'" in ran.stdout
    card = json.loads(out.with_suffix(".json").read_text())
    assert card["name"] == "me"
    assert card["variant"] == asdict(Variant("symmetric", "one-step", False, "port"))

    ran = command("weights", "verify", out, "--examples", examples)
    assert ran.returncode == 0, ran.stderr
    assert len([line for line in ran.stderr.splitlines() if " dB with --channel-order" in line]) > 7
    assert str(setting._replace(channel_order="rgb")) in ran.stdout.splitlines()[-1]
    ran = command("weights", "verify", out)
    assert ran.returncode == 0, ran.stderr
    assert "sha256 as on its card" in ran.stdout
    assert "all finite" in ran.stdout

    # And it fills, on the picture that made the example, what the example shows.
    source = examples / "case1_input.png"
    filled = tmp_path / "filled.png"
    ran = command(
        *("fill", source, "--mask", examples / "case1_mask.png", "--out", filled, "--model", out)
    )
    assert ran.returncode == 0, ran.stderr
    with Image.open(filled) as result, Image.open(source) as before:
        changed = np.asarray(result) != np.asarray(before)
    assert changed.any()


def test_licence_and_order_can_be_told(tmp_path: Path, weights: Path, command: Run) -> None:
    out = tmp_path / "w.onnx"
    options = ("--licence", "CC0-1.0", "--channel-order", "rgb", "--no-fuse")
    ran = command("weights", "import", weights, "--out", out, *options)
    assert ran.returncode == 0, ran.stderr
    assert "commercial" not in ran.stderr
    assert "not known for sure" not in ran.stderr
    card = find(out).card
    assert card["licence"] == "CC0-1.0"
    assert card["channel_order"].startswith("rgb")
    assert card["variant"] == asdict(Variant(fuse=False))


def test_known_weights_are_verified_without_examples(command: Run, tmp_path: Path) -> None:
    ran = command("weights", "verify", "light")
    assert ran.returncode == 0, ran.stderr
    for path in (find("light").path, find("light").card_path):
        shutil.copy(path, tmp_path)
    damaged = bytearray((tmp_path / "light.onnx").read_bytes())
    damaged[1000] ^= 1
    (tmp_path / "light.onnx").write_bytes(damaged)
    ran = command("weights", "verify", tmp_path / "light.onnx")
    assert ran.returncode == 2
    assert "is damaged: its sha256 is" in ran.stderr


def test_what_fills_with_nonsense_is_refused(command: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "freefill.pipeline.engines.onnx.OnnxEngine.predict",
        lambda self, image, hole: image * np.nan,
    )
    ran = command("weights", "verify", "light")
    assert ran.returncode == 2
    assert "not with finite colours" in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["import", "none.pth", "--out", "w.onnx"], "none.pth does not exist"),
        (["import", "none", "--out", "w.onnx"], "none.index does not exist"),
        (["import", "light", "--out", "w.onnx"], "'light'"),
        (["import", "none.pth", "--out", "w.pth"], "must end in .onnx"),
        (["verify", "heavy"], "no model 'heavy'"),
        (["verify", Path(__file__)], "give the folder of known outputs with --examples"),
        (["verify", "light", "--examples", "none"], "none has no example"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else "",
)
def test_refused_in_one_line(
    command: Run,
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = command("weights", *arguments)
    assert ran.returncode == 2
    (line,) = ran.stderr.splitlines()
    assert line.startswith("freefill: error: ")
    assert words in line
    assert list(tmp_path.iterdir()) == []


def test_verdict_is_the_exit_code(command: Run, tmp_path: Path, weights: Path) -> None:
    examples = make_examples(tmp_path / "known", weights, Setting("bgr", True, "same"))
    for path in examples.glob("*_output.png"):
        shutil.copy(path.with_name(path.name.replace("output", "input")), path)
    ran = command("weights", "verify", weights, "--examples", examples)
    assert ran.returncode == 1
    assert "none reproduces the outputs" in ran.stdout


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda f: (f / "a_mask.png").unlink(), "a_mask.png is missing"),
        (lambda f: (f / "a_output.png").write_bytes(b"x"), "a_output.png is not an image"),
        (lambda f: Image.new("L", (24, 8)).save(f / "a_mask.png"), "its mask 24x8, its output"),
        (lambda f: Image.new("RGB", (8, 8)).save(f / "a_output.png"), "its output 8x8"),
        (lambda f: Image.new("L", (19, 17)).save(f / "a_mask.png"), "has no hole"),
        (lambda f: (f / "a_input.png").rename(f / "b.png"), "has no example"),
    ],
    ids=["no mask", "no image", "mask", "output", "no hole", "no input"],
)
def test_examples_that_are_none(
    tmp_path: Path, damage: Callable[[Path], object], words: str
) -> None:
    for kind in ("input", "mask", "output"):
        Image.new("RGB", (19, 17), "white").save(tmp_path / f"a_{kind}.png")
    (example,) = read_examples(tmp_path)
    assert example.image.shape == example.output.shape == (16, 16, 3)
    assert example.hole.all()
    damage(tmp_path)
    with pytest.raises((DataError, FreefillError), match=words):
        read_examples(tmp_path)


def test_masks_are_read_as_the_released_code_reads_them(tmp_path: Path) -> None:
    mask = np.zeros((8, 16, 3), np.uint8)
    mask[:, 4:8, 0] = 128
    mask[:, 8:12, 0] = 127
    mask[:, 12:, 1:] = 255
    for kind in ("input", "mask", "output"):
        Image.fromarray(mask).save(tmp_path / f"a_{kind}.png")
    (example,) = read_examples(tmp_path)
    assert example.hole[:, 4:8].all()
    assert example.hole.sum() == 32


def test_settings_say_the_options_of_import() -> None:
    for padding, (resize, attention) in CODES.items():
        setting = Setting("bgr", False, padding)
        assert str(setting) == (
            f"--channel-order bgr --no-fuse --padding {padding} --mask-resize {resize} "
            f"--attention {attention}"
        )
        assert setting.variant.mask_resize == resize
        assert setting.variant.attention == attention


WITHOUT_LAB = """
import importlib.machinery
search = importlib.machinery.PathFinder.find_spec
importlib.machinery.PathFinder.find_spec = classmethod(
    lambda cls, name, *rest: None if name.split(".")[0] in ("torch", "onnx", "safetensors")
    else search(name, *rest)
)
import freefill.cli; freefill.cli.main()
"""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["import", "x", "--out", "w.onnx"], 2),
        (["verify", "light", "--examples", "x"], 2),
        (["verify", "light"], 0),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else "",
)
def test_only_what_needs_the_lab_asks_for_it(arguments: list[str], code: int) -> None:
    command = [sys.executable, "-c", WITHOUT_LAB, "weights", *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == code, ran.stderr
    assert ("pip install 'freefill[lab]'" in ran.stderr) == (code == 2)
