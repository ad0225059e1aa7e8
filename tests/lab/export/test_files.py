"""Three files that belong together: all or none, nothing of others replaced, nothing lost."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from freefill.errors import FreefillWarning, WeightsError
from freefill.lab.export.export import starting_point
from freefill.lab.export.foreign import read
from freefill.lab.export.importing import import_weights
from freefill.lab.models.deepfill import DeepFill, Variant
from freefill.lab.models.deepfill_names import names
from freefill.pipeline.inpainter import Inpainter
from freefill.weights.registry import find

pytestmark = pytest.mark.usefixtures("one_size")


def released(folder: Path, sketch: bool = False) -> Path:
    """Write weights in the layout of those that were converted from TensorFlow."""
    torch.manual_seed(3)
    state = DeepFill(sketch).state_dict()
    # Equal tensors, the zeros that biases start from, are stored once by the exporter.
    # Larger ones than they start with, so that a line in the input can be seen in the output.
    state = {name: (value + torch.randn_like(value) * 0.01) * 2.5 for name, value in state.items()}
    torch.save({name: state[own] for own, name in names("port-tf").items()}, folder / "w.pth")
    return folder / "w.pth"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return released(tmp_path_factory.mktemp("released"))


@pytest.fixture(scope="module")
def imported(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ONNX file of an import, which no test changes, its card and its tensors beside it."""
    out = tmp_path_factory.mktemp("imported") / "w.onnx"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("freefill.lab.export.onnx.SIZES", ((1, 64, 64),))
        import_weights(
            source,
            out,
            padding="symmetric",
            mask_resize="one-step",
            fuse=False,
            licence="mine alone",
            on_message=lambda _: None,
        )
    return out


@pytest.mark.parametrize("ending", [".onnx", ".safetensors"])
def test_nothing_is_lost_without_the_card(imported: Path, tmp_path: Path, ending: str) -> None:
    first = json.loads(imported.with_suffix(".json").read_text())
    alone = tmp_path / f"alone{ending}"
    shutil.copy(imported.with_suffix(ending), alone)
    foreign = read(alone)
    assert foreign.assumed == ("rgb", Variant("symmetric", "one-step", False), "mine alone")
    known = starting_point(str(alone)).card
    kept = ("licence", "variant", "sources", "paper", "channel_order", "layout", "sketch")
    assert {key: known[key] for key in kept} == {key: first[key] for key in kept}
    # As in the file of an unknown origin, so in what is made of it.
    again = import_weights(alone, tmp_path / "again.onnx", on_message=lambda _: None)
    assert {key: again[key] for key in kept} == {key: first[key] for key in kept}
    assert again["imported_from"] == foreign.sources
    assert again["imported_from"][0]["file"] == alone.name
    # A card beside it has the last word, and need not say everything.
    alone.with_suffix(".json").write_text('{"licence": "told later"}')
    assert read(alone).assumed == ("rgb", Variant("symmetric", "one-step", False), "told later")
    assert starting_point(str(alone)).card["sources"] == first["sources"]


@pytest.mark.parametrize("said", ["{", "[" * 100_000, "[]", "x" * 2_000_000])
def test_cards_in_files_are_not_trusted(tmp_path: Path, said: str) -> None:
    path = tmp_path / "w.safetensors"
    save_file(DeepFill().state_dict(), path, {"freefill": said})
    with pytest.raises(WeightsError, match=rf"{re.escape(str(path))}(:| holds)"):
        read(path)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("w.json", b'{"photos": 3}', "w.json is there and not freefill's"),
        ("w.json", b"[" * 100_000, "w.json is there and not freefill's"),
        ("w.safetensors", b"of somebody else", "w.safetensors is there and not freefill's"),
        ("w.onnx", None, "w.onnx is a folder"),
        ("w.json", None, "w.json is a folder"),
        ("w.safetensors", None, "w.safetensors is a folder"),
    ],
)
def test_what_is_not_ours_is_not_replaced(
    source: Path, tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    if content is None:
        (tmp_path / name).mkdir()
    else:
        (tmp_path / name).write_bytes(content)
    before = snapshot(tmp_path)
    with pytest.raises(WeightsError, match=words):
        import_weights(source, tmp_path / "w.onnx", on_message=lambda _: None)
    assert snapshot(tmp_path) == before


def test_an_import_that_breaks_off_changes_nothing(
    source: Path, imported: Path, tmp_path: Path
) -> None:
    for ending in (".onnx", ".json", ".safetensors"):
        shutil.copy(imported.with_suffix(ending), tmp_path)
    before = snapshot(tmp_path)
    write = Path.write_bytes

    def fail(path: Path, content: bytes) -> int:
        if ".onnx" in path.name:
            raise OSError(28, "No space left on device")
        return write(path, content)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "write_bytes", fail)
        with pytest.raises(WeightsError, match=r"w\.onnx cannot be written: No space left"):
            import_weights(source, tmp_path / "w.onnx", licence="other", on_message=lambda _: None)
    assert snapshot(tmp_path) == before
    lines: list[str] = []
    import_weights(source, tmp_path / "w.onnx", licence="another", on_message=lines.append)
    (line,) = (line for line in lines if line.startswith("replaced: "))
    assert all(str(tmp_path / f"w{ending}") in line for ending in (".onnx", ".json"))
    find(tmp_path / "w.onnx").check()


def test_guided_weights_follow_a_sketch_in_onnx(tmp_path: Path) -> None:
    lines: list[str] = []
    path = released(tmp_path, sketch=True)
    import_weights(path, tmp_path / "out.onnx", on_message=lines.append)
    assert any("can be guided by a sketch" in line for line in lines)
    assert read(tmp_path / "out.safetensors").sketch
    inpainter = Inpainter(tmp_path / "out.onnx")
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 256, (64, 64, 3), np.uint8)
    hole, drawn = np.zeros((2, 64, 64), bool)
    hole[16:48, 16:48] = drawn[30, 8:60] = True
    plain = inpainter(image=photo, mask=hole)
    with pytest.warns(FreefillWarning, match="no line in the hole"):
        beside = inpainter(image=photo, mask=hole, sketch=drawn & ~hole)
    np.testing.assert_array_equal(beside, plain)
    guided = inpainter(image=photo, mask=hole, sketch=drawn)
    assert (guided != plain).any()
