"""The browser's runtime and Node, for the tests of the site."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from in_node import Node


@pytest.fixture(scope="session")
def runtime() -> Path:
    """The folder of onnxruntime-web's files: `make .venv/node_modules` brings the package."""
    named = os.environ.get("FREEFILL_RUNTIME")
    found = Path(named or Path(sys.prefix) / "node_modules" / "onnxruntime-web") / "dist"
    assert found.is_dir(), f"no {found}: make .venv/node_modules, or set FREEFILL_RUNTIME"
    return found


@pytest.fixture
def node(tmp_path: Path, runtime: Path) -> Node:
    return Node(tmp_path, runtime)
