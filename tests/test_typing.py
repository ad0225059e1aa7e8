"""What a type checker knows of the public calls: each kind in, the same kind out, never Any."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import freefill

ROOT = Path(__file__).parents[1]


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(freefill.__file__).parent / "py.typed").is_file()


def test_calls_have_the_types_that_they_should() -> None:
    # With the settings of the project, and so with what `make check` has found out already.
    ran = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-error-summary", "tests/typed_calls.py"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=300,
        check=False,
    )
    assert ran.stderr == ""
    # Errors of the package itself are for `make check` to tell.
    assert [line for line in ran.stdout.splitlines() if line.startswith("tests")] == []
    assert ran.returncode in (0, 1)
