"""ONNX Runtime reports nothing to its makers, unless a person has let it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import os
import freefill
freefill.Inpainter(threads=1)
print(os.environ["ORT_DISABLE_TELEMETRY"])
"""


@pytest.mark.parametrize("given", [None, "0"])
def test_loading_a_network_leaves_no_identifier_behind(tmp_path: Path, given: str | None) -> None:
    # ONNX Runtime keeps quiet by itself where it takes the process for a test.
    silencing = ("CI", "ORT_RUNNING_UNIT_TESTS", "ORT_DISABLE_TELEMETRY")
    env = {name: value for name, value in os.environ.items() if name not in silencing}
    env |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    if given is not None:
        env["ORT_DISABLE_TELEMETRY"] = given
    ran = subprocess.run(
        [sys.executable, "-c", CODE], env=env, capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == f"{given or 1}\n"
    if given is None:
        assert list(tmp_path.iterdir()) == []
