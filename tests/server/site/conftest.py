"""The browser's runtime and Node, for the tests of the site."""

from __future__ import annotations

from pathlib import Path

import pytest
from in_node import Node


@pytest.fixture
def node(tmp_path: Path, runtime: Path) -> Node:
    return Node(tmp_path, runtime)
