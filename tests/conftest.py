"""What every test may ask for: a photo, a hole, the pipeline, and the command line."""

from __future__ import annotations

import os

# Before NumPy and torch are loaded, here and in every process that a test starts. The suite keeps
# all cores busy with processes; threads that wait for each other over tiny arrays only cost.
os.environ["OMP_NUM_THREADS"] = "1"

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from freefill.cli import main
from freefill.pipeline.inpainter import Inpainter
from freefill.server.site.build import write_site
from freefill.weights import third_party

# Whoever runs the tests may have fetched weights and segmenters, which the page lists and which
# find other things, and may have settings of their own. Only what `make slow` fetches is used.
REFERENCES = third_party.folder()
_cache = tempfile.TemporaryDirectory(prefix="freefill-tests-")
for _variable in [name for name in os.environ if name.startswith("FREEFILL_")]:
    if _variable != "FREEFILL_RUNTIME":
        del os.environ[_variable]
os.environ["FREEFILL_CACHE"] = _cache.name

Ran = subprocess.CompletedProcess[str]
Run = Callable[..., Ran]

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="session")
def examples() -> Path:
    return EXAMPLES


@pytest.fixture(scope="session")
def photo() -> NDArray[np.uint8]:
    with Image.open(EXAMPLES / "coffee.jpg") as image:
        pixels = np.asarray(image)[96:192, 120:240].copy()
    # Shared by all tests, so none may write to it.
    pixels.setflags(write=False)
    return pixels


@pytest.fixture(scope="session")
def hole() -> NDArray[np.bool_]:
    """A hole for ``photo`` that is not a rectangle and touches no border."""
    row, column = np.mgrid[0:96, 0:120]
    found: NDArray[np.bool_] = ((row - 45) / 20) ** 2 + ((column - 63) / 30) ** 2 < 1
    found[60:75, 90:100] = True
    found.setflags(write=False)
    return found


@pytest.fixture(scope="session")
def references() -> Path:
    """The folder of what `freefill references` has fetched for the user: for slow tests."""
    return REFERENCES


@pytest.fixture(scope="session")
def runtime() -> Path:
    """The folder of onnxruntime-web's files: `make .venv/node_modules` brings the package."""
    named = os.environ.get("FREEFILL_RUNTIME")
    found = Path(named or Path(sys.prefix) / "node_modules" / "onnxruntime-web") / "dist"
    assert found.is_dir(), f"no {found}: make .venv/node_modules, or set FREEFILL_RUNTIME"
    return found


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, runtime: Path) -> Path:
    """The studio as a folder of files, below another folder."""
    folder = tmp_path_factory.mktemp("static") / "some" / "where"
    write_site(folder, runtime=runtime, log=lambda _: None)
    return folder


@pytest.fixture(scope="session")
def inpainter() -> Inpainter:
    return Inpainter(threads=1)


@pytest.fixture
def cli() -> Run:
    """Run ``freefill`` as people do, in a process of its own."""

    def run(*args: object, cwd: Path | None = None, timeout: float = 120) -> Ran:
        command = [sys.executable, "-m", "freefill", *map(str, args)]
        return subprocess.run(
            command, capture_output=True, text=True, cwd=cwd, timeout=timeout, check=False
        )

    return run


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run ``freefill`` in this process: the same entry point as the script's, without its start.

    Anything but the exit that a command is allowed comes through as it is raised, so a traceback
    that a person would see fails the test.
    """

    def run(*args: object) -> Ran:
        argv = ["freefill", *map(str, args)]
        monkeypatch.setattr(sys, "argv", argv)
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        code: Any = stop.value.code
        return subprocess.CompletedProcess(argv, code or 0, captured.out, captured.err)

    return run
