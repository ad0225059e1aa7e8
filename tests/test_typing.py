"""Type checkers may look into the package; what they find is in `typed_calls.py`."""

from __future__ import annotations

from pathlib import Path

import freefill


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(freefill.__file__).parent / "py.typed").is_file()
