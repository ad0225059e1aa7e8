"""What tests of exports share."""

from __future__ import annotations

import pytest


@pytest.fixture
def one_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare files with torch at one size, where a test is about what is written.

    The paper's network is large; `test_foreign.py` compares it at all sizes.
    """
    monkeypatch.setattr("freefill.lab.export.onnx.SIZES", ((1, 64, 64),))
