"""Names that are unknown or taken, plugins that cannot be imported, and who may name one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from freefill import plugins
from freefill.errors import ConfigError, WeightsError
from freefill.lab.config import Config, from_dict, load
from freefill.lab.evaluation.baselines import register_baseline
from freefill.lab.evaluation.measures import register_metric
from freefill.lab.registries import (
    DISCRIMINATORS,
    LOSSES,
    MODELS,
    register_discriminator,
    register_loss,
    register_model,
)
from freefill.masks.presets import PRESETS, register_preset
from freefill.pipeline.engines import ENGINES, open_engine, register_engine
from freefill.registry import Registry


def nothing(*_: Any) -> Any:
    return None


def test_entries_are_seen_in_their_order() -> None:
    assert list(MODELS) == ["light", "deepfill", "encoder-decoder"]
    assert list(DISCRIMINATORS) == ["patch", "local-global", "features"]
    assert list(LOSSES) == [
        *("l1", "low", "lower", "coarse", "match", "sketch", "perceptual", "adversarial")
    ]
    assert list(ENGINES) == [".onnx"]
    assert next(iter(PRESETS)) == "free-form"
    assert len(PRESETS) == len(PRESETS.items()) == 10


@pytest.mark.parametrize(
    ("register", "message"),
    [
        (register_model("light"), "the model 'light' is there already"),
        (register_discriminator("patch"), "the discriminator 'patch' is there already"),
        (register_loss("l1"), "the loss 'l1' is there already"),
        (register_preset("thin"), "the mask preset 'thin' is there already"),
        (register_engine(".onnx"), "the engine '.onnx' is there already"),
        (register_baseline("telea", "cv2"), "the baseline 'telea' is there already"),
        (register_metric("lpips", "L", better=-1), "the metric 'lpips' is there already"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_name_that_is_taken_is_refused(register: Callable[..., Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        register(nothing)


def test_a_name_that_is_unknown_lists_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no model 'huge': there are light, deepfill, "):
        MODELS["huge"]
    (tmp_path / "weights.pt").touch()
    with pytest.raises(WeightsError, match=r"no engine opens files that end in '\.pt'.*\.onnx"):
        open_engine(tmp_path / "weights.pt")


def test_a_registry_loads_its_home_before_anything_is_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home_of_numbers.py").write_text(
        "from __main__ import numbers\nnumbers.add('one', 1)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    numbers: Registry[int] = Registry("number", home="home_of_numbers")
    monkeypatch.setattr(sys.modules["__main__"], "numbers", numbers, raising=False)
    numbers.add("two", 2)
    assert numbers.items() == [("one", 1), ("two", 2)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1 / 0", "cannot be imported: ZeroDivisionError: division by zero"),
        ("import freefill.nothing", "cannot be imported: ModuleNotFoundError"),
        (
            "from freefill.masks.presets import register_preset\nregister_preset('thin')(print)",
            "the mask preset 'thin' is there already",
        ),
    ],
)
def test_a_plugin_that_fails_is_named(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.py"
    path.write_text(content)
    with pytest.raises(ConfigError, match=message):
        plugins.load([str(path)])
    # Not half imported: the next try says the same.
    with pytest.raises(ConfigError, match=message):
        plugins.load([str(path)])


def test_paths_in_a_file_are_relative_to_it_and_in_set_to_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("configs", "work"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "empty.py").touch()
    (tmp_path / "configs" / "c.toml").write_text("plugins = ['empty.py']\n")
    monkeypatch.chdir(tmp_path / "work")
    assert load(tmp_path / "configs" / "c.toml").plugins == (
        str(tmp_path / "configs" / "empty.py"),
    )
    assert load(None, ["plugins=['empty.py']"]).plugins == (str(tmp_path / "work" / "empty.py"),)
    assert load(None, ["plugins=['json']"]).plugins == ("json",)
    with pytest.raises(ConfigError, match="plugins"):
        load(None, ["plugins=3"])


def test_settings_of_somebody_else_import_nothing(tmp_path: Path) -> None:
    path = tmp_path / "theirs.py"
    path.write_text("raise SystemExit('it was run')")
    values = Config(plugins=(str(path),)).to_dict()
    # As data they may name what they like.
    assert from_dict(values).plugins == (str(path),)
    values["model"]["name"] = "theirs"
    with pytest.raises(ConfigError, match=r"no model 'theirs'.*theirs\.py: they are code"):
        from_dict(values)


def test_average_weights_import_nothing(command: Callable[..., Any], tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    path = tmp_path / "theirs.py"
    path.write_text("raise SystemExit('it was run')")
    folder = tmp_path / "average"
    folder.mkdir()
    save_file({"x": torch.zeros(1)}, folder / "average.safetensors")
    values = Config(plugins=(str(path),)).to_dict()
    values["model"]["name"] = "theirs"
    facts = {"step": 1, "seconds": 1, "cpu_seconds": 1, "photos": 1, "hardware": "CPU"}
    (folder / "run.json").write_text(json.dumps(facts | {"config": values}))
    done = command("export", folder, "--out", tmp_path / "w.onnx")
    assert done.returncode == 2
    assert "name them yourself (--plugin) if you trust them" in done.stderr


def test_an_installed_package_is_found_by_its_entry_point(tmp_path: Path) -> None:
    (tmp_path / "dotted.py").write_text(
        "import numpy as np\n"
        "from freefill.masks.presets import register_preset\n"
        "@register_preset('nothing')\n"
        "def nothing(height, width, rng):\n"
        "    return np.zeros((height, width), bool)\n"
    )
    info = tmp_path / "dotted-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: dotted\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[freefill.plugins]\ndots = dotted\n")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import numpy as np\n"
        "from freefill.masks.presets import sample\n"
        "sample('thin', 32, 32, np.random.default_rng(0))\n"
        "assert 'dotted' not in sys.modules\n"
        "print(sample('nothing', 8, 8, np.random.default_rng(0)).sum())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "0\n", done.stderr


def test_declaring_registries_loads_no_torch() -> None:
    code = "import sys, freefill.lab.registries; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
