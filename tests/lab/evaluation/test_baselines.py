"""Baselines: they fill, they keep what is known, and they do not look into the hole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from freefill.errors import (
    ConfigError,
    ExtraMissingError,
    ImageError,
    MaskError,
    ReferenceMissingError,
    WeightsError,
)
from freefill.lab.evaluation import baselines
from freefill.lab.evaluation.baselines import Baseline, find, hide_hole_and_composite
from freefill.weights import registry, third_party

Program = Callable[..., str]
COPY = "shutil.copy(image, out)"
"""What a program may do: gives back the photo as it was handed over."""


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Write a program in a folder with a blank in its name; give the template that runs it."""

    def write(body: str, arguments: str = "{image} --mask={mask} {out}") -> str:
        folder = tmp_path / "with blank"
        folder.mkdir(exist_ok=True)
        script = folder / "fill.py"
        script.write_text(
            "import os, shutil, sys, time\n"
            "import numpy as np\n"
            "from PIL import Image\n"
            "image, mask, out = sys.argv[1], sys.argv[2].removeprefix('--mask='), sys.argv[3]\n"
            f"{body}\n"
        )
        return f"'{sys.executable}' '{script}' {arguments}"

    return write


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Something with MI-GAN's inputs: where the mask is 0, red is 10, green 20 and blue 30."""
    colour = helper.make_tensor("colour", TensorProto.UINT8, [1, 3, 1, 1], [10, 20, 30])
    limit = helper.make_tensor("limit", TensorProto.UINT8, [], [128])
    planes = [("image", 3), ("mask", 1), ("result", 3)]
    image, mask, result = (
        helper.make_tensor_value_info(name, TensorProto.UINT8, ["n", depth, "h", "w"])
        for name, depth in planes
    )
    nodes = [
        helper.make_node("Less", ["mask", "limit"], ["fill"]),
        helper.make_node("Where", ["fill", "colour", "image"], ["result"]),
    ]
    graph = helper.make_graph(nodes, "stand-in", [image, mask], [result], [colour, limit])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    monkeypatch.setenv(third_party.FOLDER_VARIABLE, str(tmp_path))
    path = tmp_path / third_party.MODELS["migan"].file
    onnx.save(model, path)
    return path


@pytest.fixture(params=[*baselines.names(), "light", "command"])
def baseline(request: pytest.FixtureRequest, stand_in: Path, program: Program) -> Baseline:
    if request.param == "command":
        return find(f"mine={program(COPY)}")
    return find(request.param)


def hole_at_border(height: int, width: int) -> NDArray[np.bool_]:
    hole = np.zeros((height, width), bool)
    hole[: height // 2, width // 3 : width // 2] = True
    hole[-4:, -7:] = True
    return hole


def test_fills_and_keeps(
    baseline: Baseline, photo: NDArray[np.uint8], hole: NDArray[np.bool_]
) -> None:
    # Both are read-only: a baseline that writes into them fails.
    filled = baseline.fill(photo, hole)
    assert filled.shape == photo.shape
    assert filled.dtype == np.uint8
    np.testing.assert_array_equal(filled[~hole], photo[~hole])
    # Better than black, by more than MI-GAN's stand-in, which is nearly black.
    error = np.abs(filled[hole].astype(float) - photo[hole]).mean()
    assert error < photo[hole].mean() * (1 if baseline.name == "migan" else 0.8)
    np.testing.assert_array_equal(baseline.fill(photo, hole), filled)


def test_any_order_in_memory(
    baseline: Baseline, photo: NDArray[np.uint8], hole: NDArray[np.bool_]
) -> None:
    turned = baseline.fill(np.asfortranarray(photo), np.asfortranarray(hole))
    np.testing.assert_array_equal(turned, baseline.fill(photo, hole))


def test_does_not_look_into_the_hole(
    baseline: Baseline, photo: NDArray[np.uint8], hole: NDArray[np.bool_]
) -> None:
    other = np.where(hole[..., None], 255 - photo, photo)
    before = other.copy()
    np.testing.assert_array_equal(baseline.fill(other, hole), baseline.fill(photo, hole))
    np.testing.assert_array_equal(other, before)


@pytest.mark.parametrize("size", [(37, 53), (64, 9), (9, 11)])
def test_odd_sizes_and_holes_at_the_border(
    baseline: Baseline, photo: NDArray[np.uint8], size: tuple[int, int]
) -> None:
    small, hole = photo[: size[0], : size[1]], hole_at_border(*size)
    filled = baseline.fill(small, hole)
    assert filled.shape == (*size, 3)
    np.testing.assert_array_equal(filled[~hole], small[~hole])
    # Nothing is left black: this part of the photo has no black pixel.
    assert filled[hole].max(axis=-1).min() > 0


def test_colours_stay_in_their_channels(baseline: Baseline) -> None:
    blue = np.zeros((48, 48, 3), np.uint8)
    blue[..., 2] = 220
    hole = np.zeros((48, 48), bool)
    hole[16:32, 12:30] = True
    red, green, filled = np.moveaxis(baseline.fill(blue, hole)[hole].astype(float), -1, 0)
    if baseline.name == "migan":
        assert (red.mean(), green.mean(), filled.mean()) == (10, 20, 30)
    else:
        assert filled.mean() > 150
        assert max(red.mean(), green.mean()) < 40


def test_large_hole_none_and_nothing_but_hole(baseline: Baseline, photo: NDArray[np.uint8]) -> None:
    hole = np.ones(photo.shape[:2], bool)
    hole[:10, :20] = False
    # Warnings of freefill are errors in this suite.
    assert baseline.fill(photo, hole)[hole].any()
    unfilled = baseline.fill(photo, np.zeros_like(hole))
    np.testing.assert_array_equal(unfilled, photo)
    assert not np.shares_memory(unfilled, photo)
    with pytest.raises(MaskError, match="the hole is the whole photo"):
        baseline.fill(photo, np.ones_like(hole))


def test_fair_blanks_and_puts_back(photo: NDArray[np.uint8], hole: NDArray[np.bool_]) -> None:
    seen: list[NDArray[np.uint8]] = []

    def spy(given: NDArray[np.uint8], _: NDArray[np.bool_]) -> NDArray[np.uint8]:
        seen.append(given.copy())
        given[:] = 7
        return given

    filled = hide_hole_and_composite(spy)(photo, hole)
    np.testing.assert_array_equal(filled, np.where(hole[..., None], np.uint8(7), photo))
    np.testing.assert_array_equal(seen[0][~hole], photo[~hole])
    assert (seen[0][hole] != photo[hole]).any(axis=-1).mean() > 0.9


def test_blanks_with_the_nearest_known_pixel() -> None:
    photo = np.arange(1, 19, dtype=np.uint8).reshape(1, 6, 3)
    hole = np.array([[False, True, True, True, True, False]])
    blanked = baselines.blanked(photo, hole)
    assert blanked[0, :, 0].tolist() == [1, 1, 1, 16, 16, 16]


def test_mean_colour() -> None:
    photo = np.array([[[10, 0, 200], [21, 0, 100], [255, 255, 255]]], np.uint8)
    filled = find("mean_colour").fill(photo, np.array([[False, False, True]]))
    # 15.5 is rounded to even.
    assert filled.tolist() == [[[10, 0, 200], [21, 0, 100], [16, 0, 150]]]


def test_patchmatch_copies_what_is_there() -> None:
    # Stripes of four pixels, 170 apart: what does not copy patches is off by half of that.
    row = np.repeat(np.tile(np.array([40, 210], np.uint8), 12), 4)
    photo = np.repeat(np.tile(row, (96, 1))[..., None], 3, axis=-1)
    hole = np.zeros((96, 96), bool)
    hole[30:60, 20:70] = True
    filled = find("patchmatch").fill(photo, hole)
    assert np.abs(filled[hole].astype(float) - photo[hole]).mean() < 20


def test_library_methods_differ(photo: NDArray[np.uint8], hole: NDArray[np.bool_]) -> None:
    known = ["mean_colour", "telea", "ns", "biharmonic", "patchmatch"]
    assert len({find(name).fill(photo, hole).tobytes() for name in known}) == len(known)


def test_migan_gets_its_layout_and_polarity(
    stand_in: Path, photo: NDArray[np.uint8], hole: NDArray[np.bool_]
) -> None:
    filled = find("migan").fill(photo, hole)
    assert (filled[hole] == [10, 20, 30]).all()
    raw = baselines.migan(stand_in)(photo, hole)
    np.testing.assert_array_equal(raw, filled)


def test_identities(stand_in: Path, program: Program, tmp_path: Path) -> None:
    found = {name: find(name).identity for name in (*baselines.names(), "light")}
    assert len(set(found.values())) == len(found)
    assert found["telea"].startswith("opencv")
    assert found["telea"].endswith(" telea radius 5")
    first = find("migan").identity
    stand_in.write_bytes(stand_in.read_bytes() + b"\x32\x00")  # an empty field: still a model
    assert find("migan").identity != first
    assert len(first) == 16
    copied = tmp_path / "a=b.onnx"
    copied.write_bytes((registry.BUNDLED / "light.onnx").read_bytes())
    assert (find(str(copied)).name, find(str(copied)).identity) == ("a=b", found["light"])
    template = program(COPY)
    mine = find(f"my-own_2.0={template}")
    assert (mine.name, mine.identity) == ("my-own_2.0", template)


def test_weights_whose_name_a_baseline_has_are_found_by_another() -> None:
    own, plain = find("freefill-light"), find("light")
    assert (own.name, own.identity) == ("freefill-light", plain.identity)
    with pytest.raises(WeightsError, match="no model 'nothing'"):
        find("freefill-nothing")


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ("lama", ConfigError, r"'lama'.* mean_colour, telea, ns, .*migan, light, or .*NAME=comm"),
        ("missing.onnx", WeightsError, "does not exist"),
        ("telea=x {image} {mask} {out}", ConfigError, "'telea' is taken"),
        ("light=x {image} {mask} {out}", ConfigError, "'light' is taken"),
        ("a b=x {image} {mask} {out}", ConfigError, "'a b': only letters"),
        ("=x {image} {mask} {out}", ConfigError, "'': only letters"),
        ("x=", ConfigError, "lacks {image}, {mask}, {out}"),
        ("x=ls {image} {out}", ConfigError, "lacks {mask}$"),
        ("x=ls '{image} {mask} {out}", ConfigError, "cannot be split: No closing quotation"),
        ("x=no-such-program {image} {mask} {out}", ConfigError, "no program 'no-such-program'"),
    ],
)
def test_what_cannot_be_found(spec: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        find(spec)


def test_missing_reference_and_libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(third_party.FOLDER_VARIABLE, str(tmp_path))
    with pytest.raises(ReferenceMissingError, match="freefill references migan"):
        find("migan")
    for name, module in [("ns", "cv2"), ("biharmonic", "skimage"), ("patchmatch", "patchmatch")]:
        for loaded in [m for m in sys.modules if m == module or m.startswith(f"{module}.")]:
            monkeypatch.setitem(sys.modules, loaded, None)
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(ExtraMissingError, match=r"pip install 'freefill\[baselines\]'"):
            find(name)


def test_broken_patchmatch(monkeypatch: pytest.MonkeyPatch) -> None:
    from patchmatch import patch_match

    monkeypatch.setattr(patch_match, "patchmatch_available", False)
    with pytest.raises(ExtraMissingError, match="pip install -U pypatchmatch"):
        find("patchmatch")


def test_import_is_light() -> None:
    heavy = "cv2", "skimage", "torch", "patchmatch", "scipy"
    code = f"import sys, freefill.lab.evaluation.baselines; print(set({heavy}) & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_command_gets_photo_and_mask(
    program: Program, photo: NDArray[np.uint8], hole: NDArray[np.bool_]
) -> None:
    # Green in the white of the mask, and red elsewhere, which is put back.
    body = (
        "white = np.asarray(Image.open(mask))\n"
        "seen = Image.open(image)\n"
        "assert seen.mode == 'RGB' and set(np.unique(white)) == {0, 255}, 'not the right files'\n"
        "result = np.where(white[..., None] > 0, [0, 250, 0], [250, 0, 0]).astype(np.uint8)\n"
        "Image.fromarray(result).convert('RGBA').save(out)"
    )
    filled = find(f"mine={program(body)}").fill(photo, hole)
    np.testing.assert_array_equal(filled, np.where(hole[..., None], [0, 250, 0], photo))


def test_command_words_stay_whole(
    program: Program,
    photo: NDArray[np.uint8],
    hole: NDArray[np.bool_],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scratch = tmp_path / "a folder {mask} $HOME"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    template = program(f"assert sys.argv[4:] == ['$HOME; ls', 'b']\n{COPY}")
    filled = find(f"mine={template} '$HOME; ls' b").fill(photo, hole)
    np.testing.assert_array_equal(filled[~hole], photo[~hole])
    assert not list(scratch.iterdir())


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        (
            "sys.exit('first\\nlast line')",
            ConfigError,
            r"exited with 1: first \| last line",
        ),
        ("sys.exit(3)", ConfigError, "exited with 3: nothing on its standard error"),
        ("os.abort()", ConfigError, "exited with -6"),
        ("print('a\\nno GPU', file=sys.stderr)", ImageError, r"wrote no \{out\}: no GPU$"),
        ("pass", ImageError, r"wrote no \{out\}: nothing"),
        ("open(out, 'w').write('text')", ImageError, "wrote cannot be read"),
        ("open(out, 'wb').write(open(image, 'rb').read()[:900])", ImageError, "cannot be read"),
        ("Image.new('RGB', (50, 40)).save(out)", ImageError, "50x40 pixels for a photo of 120x96"),
    ],
)
def test_commands_that_fail(
    program: Program,
    photo: NDArray[np.uint8],
    hole: NDArray[np.bool_],
    body: str,
    error: type[Exception],
    message: str,
) -> None:
    baseline = find(f"mine={program(body)}")
    with pytest.raises(error, match=message):
        baseline.fill(photo, hole)


def test_command_that_cannot_be_run(
    tmp_path: Path, photo: NDArray[np.uint8], hole: NDArray[np.bool_]
) -> None:
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    baseline = find(f"mine={script} {{image}} {{mask}} {{out}}")
    with pytest.raises(ConfigError, match="cannot be run"):
        baseline.fill(photo, hole)


def test_interrupt_ends_the_program(program: Program, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    template = program(
        f"open({str(pid_file)!r} + '.part', 'w').write(str(os.getpid()))\n"
        f"os.rename({str(pid_file)!r} + '.part', {str(pid_file)!r})\n"
        "time.sleep(60)"
    )
    code = (
        "import signal, sys, numpy as np\n"
        "from freefill.lab.evaluation.baselines import find\n"
        # A suite that a script runs in the background hands on that Ctrl-C is ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "find(sys.argv[1]).fill(np.zeros((8, 8, 3), np.uint8), np.eye(8, dtype=bool))"
    )
    waiting = subprocess.Popen(
        [sys.executable, "-c", code, f"mine={template}"], stderr=subprocess.DEVNULL
    )
    for _ in range(600):
        if pid_file.exists():
            break
        time.sleep(0.05)
    # To this process alone: a terminal would send it to the program as well.
    waiting.send_signal(signal.SIGINT)
    assert waiting.wait(20) != 0
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)
