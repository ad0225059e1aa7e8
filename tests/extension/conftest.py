"""What a stranger has: the files of docs/extending.md, and the command line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from freefill.lab.evaluation.baselines import BASELINES
from freefill.lab.evaluation.measures import METRICS
from freefill.lab.registries import DISCRIMINATORS, LOSSES, MODELS
from freefill.masks.presets import PRESETS
from freefill.pipeline.engines import ENGINES
from freefill.registry import Registry

# It has no doctests; as a module it would be taken for that of another folder.
collect_ignore = ["conftest.py"]

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"
REGISTRIES: tuple[Registry[object], ...] = (
    MODELS, DISCRIMINATORS, LOSSES, PRESETS, ENGINES, BASELINES, METRICS,
)  # type: ignore[assignment]  # fmt: skip

TINY = """
[data]
size = 64
holdout = 2
{data}
[loss]
perceptual = 0.0
{loss}
[train]
stages = [
    {{ steps = 2, crop = 32, batch = 2 }},
    {{ steps = 2, crop = 32, batch = 2, adversarial = 0.1 }},
]
precision = "32-true"
log_every = 1
preview_every = 4
save_every = 2
"""


@pytest.fixture
def page(tmp_path: Path) -> Callable[[str], Path]:
    """Write a file of the page into an empty folder."""

    def write(name: str) -> Path:
        found = re.search(
            rf"<!-- file: {re.escape(name)} -->\n```python\n(.*?)```", PAGE.read_text(), re.DOTALL
        )
        assert found, f"docs/extending.md has no {name}"
        path = tmp_path / "mine" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(found[1])
        return path

    return write


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., Path]:
    """Write settings of a few tiny steps beside the stranger's file."""

    def write(plugin: str, *, model: str = "", data: str = "", loss: str = "") -> Path:
        path = tmp_path / "mine" / "mine.toml"
        path.parent.mkdir(exist_ok=True)
        light = (
            "channels = [8, 8, 16]\ndilations = [1]\ndeep_dilations = [1]\ndeepest_channels = 8\n"
            "discriminator_width = 4\n"
        )
        head = f'plugins = ["{plugin}"]\n[model]\n{light}{model}\n'
        path.write_text(head + TINY.format(data=data, loss=loss))
        return path

    return write


@pytest.fixture
def registries() -> Iterator[None]:
    """Take away again what a test registers in this process."""
    before = [dict(registry.items()) for registry in REGISTRIES]
    yield
    for registry, entries in zip(REGISTRIES, before, strict=True):
        registry._entries = entries
