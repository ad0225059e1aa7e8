"""What is loaded when: nothing heavy for the name, and never torch to fill."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import freefill

HEAVY = ("numpy", "PIL", "onnxruntime", "torch")
# Pydantic is the lab's too, but comes with newer versions of Typer.
LAB = ("torch", "lightning_fabric", "tensorboard", "safetensors", "onnx", "tomli_w")

SERVER = ("fastapi", "starlette", "uvicorn", "prometheus_client")

# As if the lab had never been installed: nothing finds its packages.
WITHOUT_LAB = f"""
import importlib.machinery
search = importlib.machinery.PathFinder.find_spec
importlib.machinery.PathFinder.find_spec = classmethod(
    lambda cls, name, *rest: None if name.split(".")[0] in {LAB} else search(name, *rest)
)
"""


def python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def loaded(code: str, *arguments: object, of: tuple[str, ...]) -> list[str]:
    """Run code in a fresh interpreter and tell which of some packages it has loaded."""
    ask = f"\nimport json, sys\nprint(json.dumps([n for n in {of} if n in sys.modules]))"
    ran = python(code + ask, *arguments)
    assert ran.returncode == 0, ran.stderr
    found: list[str] = json.loads(ran.stdout.splitlines()[-1])
    return found


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded("import freefill", of=HEAVY) == []


def test_names_are_loaded_when_they_are_used() -> None:
    assert loaded("import freefill; freefill.fill", of=HEAVY) == ["numpy", "PIL", "onnxruntime"]
    for name in freefill.__all__:
        assert getattr(freefill, name) is not None
    assert set(freefill.__all__) <= set(dir(freefill))
    with pytest.raises(AttributeError, match="nothing"):
        _ = freefill.nothing


@pytest.mark.parametrize(
    "arguments", [["--version"], ["--help"], ["fill", "--help"], ["serve", "--help"]], ids=" ".join
)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = """
import freefill.cli
try:
    freefill.cli.main()
except SystemExit as stop:
    assert not stop.code
"""
    assert loaded(code, *arguments, of=HEAVY) == []


def test_filling_never_loads_the_lab(examples: Path, tmp_path: Path) -> None:
    code = """
import freefill.cli
try:
    freefill.cli.main()
except SystemExit as stop:
    assert not stop.code
"""
    # Both ways, with a sheet, in an interpreter that could load all of it.
    arguments = ["fill", examples / "bee.jpg", examples / "fruit.jpg", "--out", tmp_path / "out"]
    heavy = (*LAB, *SERVER)
    assert loaded(code, *arguments, "--sheet", tmp_path / "sheet.png", of=heavy) == []
    assert len(list((tmp_path / "out").iterdir())) == 2
    arguments = ["fill", examples / "bee.jpg", "--out", tmp_path / "bee.png"]
    assert loaded(code, *arguments, of=heavy) == []


def test_pointing_never_loads_the_lab() -> None:
    code = "import freefill.tasks, freefill.vision.segmentation.sam; freefill.tasks.remove"
    assert loaded(code, of=(*LAB, *SERVER)) == []


def test_serving_never_loads_the_lab() -> None:
    code = """
from freefill.server.app import build
from freefill.server.settings import Settings
build(Settings())
"""
    assert loaded(code, of=LAB) == []


def test_filling_and_doctor_work_without_the_lab(examples: Path, tmp_path: Path) -> None:
    code = WITHOUT_LAB + "import freefill.cli; freefill.cli.main()"
    ran = python(code, "fill", examples / "bee.jpg", "--out", tmp_path / "bee.png")
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "bee.png").is_file()
    ran = python(code, "doctor")
    assert ran.stderr == ""
    assert "self-test" in ran.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "--data", "photos", "--out", "run"],
        ["export", "run", "--out", "weights.onnx"],
        ["references", "lpips_alex"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_commands_of_the_lab_say_how_to_install_it(arguments: list[str]) -> None:
    ran = python(WITHOUT_LAB + "import freefill.cli; freefill.cli.main()", *arguments)
    assert ran.returncode == 2
    (line,) = ran.stderr.splitlines()
    assert line.startswith("freefill: error: ")
    assert "pip install 'freefill[lab]'" in line
    assert ran.stdout == ""


def test_what_decodes_for_the_server_loads_neither_server_nor_network() -> None:
    """There is one for each worker, and another when one is ended."""
    heavy = (*SERVER, *LAB, "onnxruntime", "typer", "rich", "cv2")
    assert loaded("import freefill.server.decoder_process", of=heavy) == []
