"""NumPy's own threads: none, as photos are what is worked on side by side, unless a person asks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# How many threads the process has once something large was multiplied.
CODE = """
import os, sys
import freefill.cli
sys.argv = ["freefill", "--version"]
try:
    freefill.cli.main()
except SystemExit:
    pass
assert "numpy" not in sys.modules
import numpy
large = numpy.ones((600, 600), numpy.float32)
large @ large
print(len(os.listdir("/proc/self/task")))
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted on Linux")
@pytest.mark.parametrize(("given", "threads"), [(None, 1), ("3", 3)])
def test_a_product_takes_one_thread_unless_more_were_asked_for(
    given: str | None, threads: int
) -> None:
    env = {name: value for name, value in os.environ.items() if "NUM_THREADS" not in name}
    if given is not None:
        env["OPENBLAS_NUM_THREADS"] = given
    ran = subprocess.run(
        [sys.executable, "-c", CODE], env=env, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout.split()[-1]) == min(threads, len(os.sched_getaffinity(0)))
