"""What becomes of an error that no command has thought of."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

Run = Callable[..., subprocess.CompletedProcess[str]]

ALLOCATION = "Unable to allocate 103. MiB for an array"
ROOM = "no room for what light computes: bad_alloc"


@pytest.mark.parametrize("words", [ALLOCATION, ROOM, ""], ids=["NumPy", "the network", "Python"])
@pytest.mark.parametrize(
    "task",
    [
        ("fill", "--mask", "mask.png"),
        ("uncrop", "--left", "8"),
        ("harmonise", "--mask", "mask.png"),
    ],
    ids=lambda task: task[0],
)
def test_want_of_memory_is_one_line_that_names_the_photo(
    command: Run,
    tmp_path: Path,
    photo: NDArray[np.uint8],
    hole: NDArray[np.bool_],
    monkeypatch: pytest.MonkeyPatch,
    task: tuple[str, ...],
    words: str,
) -> None:
    def full(*_: object, **__: object) -> None:
        raise MemoryError(*[words] if words else [])

    monkeypatch.chdir(tmp_path)
    Image.fromarray(photo).save("photo.png")
    Image.fromarray(hole).save("mask.png")
    # Beyond what reads and writes files, which says it by itself.
    monkeypatch.setattr("freefill.imaging.picture.Picture.shrunk", full)
    monkeypatch.setattr("freefill.imaging.picture.Picture.rgb", full)
    name, *options = task
    ran = command(name, "photo.png", *options, "--out", "out.png", "--json")
    assert ran.returncode == 2
    told = "photo.png: there was not enough memory" + (f" ({words})" if words else "")
    assert ran.stderr.splitlines()[-1] == f"freefill: error: {told}"
    record = json.loads(ran.stdout)
    assert (record["status"], record["error"]) == ("failed", told)
    assert not Path("out.png").exists()
