"""What is public, how it is called, and that it is documented: a change here is one on purpose."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

import freefill
from freefill import errors
from freefill.types import Mask

ROOT = Path(__file__).parents[1]

PUBLIC = [
    "FreefillError",
    "FreefillWarning",
    "Inpainter",
    "__version__",
    "fill",
    "fill_file",
    "list_weights",
]

OPTIONS = {
    "invert": False,
    "grow": 0,
    "fit": "exact",
    "soft": False,
    "sketch": None,
    "colour": None,
    "max_pixels": 100_000_000,
}
"""Of every call that fills."""


def test_the_inventory() -> None:
    assert sorted(freefill.__all__) == sorted(dir(freefill)) == PUBLIC
    for name in PUBLIC:
        assert getattr(freefill, name) is not None
    ran = subprocess.run(
        [sys.executable, "-c", "from freefill import *; print(sorted(set(dir()) - {'__name__'}))"],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = re.findall(r"'(\w+)'", ran.stdout)
    assert [name for name in imported if not name.startswith("__") or name in PUBLIC] == PUBLIC


def test_every_error_is_one_of_freefills() -> None:
    found = [each for _, each in inspect.getmembers(errors, inspect.isclass)]
    for error in found:
        if issubclass(error, Exception) and error.__module__ == "freefill.errors":
            assert issubclass(error, freefill.FreefillError | freefill.FreefillWarning)
            assert error.__doc__


def parameters(call: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    return {
        name: each for name, each in inspect.signature(call).parameters.items() if name != "self"
    }


@pytest.mark.parametrize(
    ("call", "first", "more"),
    [
        (freefill.fill, ["image", "mask"], {"model": "light"}),
        (freefill.Inpainter.__call__, ["image", "mask"], {"mask_image": None}),
        (
            freefill.fill_file,
            ["image", "mask", "out"],
            {"model": "light", "strip": False, "overwrite": False},
        ),
        (freefill.Inpainter, ["model"], None),
    ],
)
def test_calls_take_the_same_words(
    call: Callable[..., Any], first: list[str], more: dict[str, Any] | None
) -> None:
    found = parameters(call)
    either = [name for name, each in found.items() if each.kind is each.POSITIONAL_OR_KEYWORD]
    assert either == first
    named = {name: each.default for name, each in found.items() if each.kind is each.KEYWORD_ONLY}
    assert len(either) + len(named) == len(found)
    if more is None:
        assert named == {"threads": None, "device": "cpu"}
    else:
        assert named == OPTIONS | more
        # In the same order wherever they stand in a signature.
        assert [name for name in named if name in OPTIONS] == list(OPTIONS)


def test_positions_and_words_are_one(
    inpainter: freefill.Inpainter, photo: NDArray[np.uint8], hole: Mask
) -> None:
    for call in (inpainter, freefill.fill):
        np.testing.assert_array_equal(call(photo, hole), call(mask=hole, image=photo))


DOCUMENTED: list[tuple[Any, set[str]]] = [
    (freefill.fill, {"Args", "Returns", "Raises", "Examples"}),
    (freefill.fill_file, {"Args", "Returns", "Raises", "Examples"}),
    (freefill.Inpainter, {"Args", "Raises", "Examples"}),
    (freefill.Inpainter.__call__, {"Args", "Returns", "Raises"}),
    (freefill.Inpainter.run, {"Args", "Returns", "Raises"}),
    (freefill.list_weights, {"Returns", "Examples"}),
    (freefill.FreefillError, set()),
    (freefill.FreefillWarning, set()),
]


@pytest.mark.parametrize(("what", "sections"), DOCUMENTED)
def test_what_is_public_is_documented(what: Any, sections: set[str]) -> None:
    text = inspect.getdoc(what) or ""
    assert text.partition("\n")[0].endswith((".", "kept."))
    found = set(re.findall(r"^(\w+):$", text, re.MULTILINE))
    assert sections <= found
    if "Args" in sections:
        described = re.findall(r"^    (\w+): ", text.partition("Args:")[2], re.MULTILINE)
        assert set(parameters(what)) <= set(described)


def test_the_table_of_documents_is_complete() -> None:
    names = {getattr(freefill, name) for name in PUBLIC if not name.startswith("__")}
    assert names <= {what for what, _ in DOCUMENTED}
    callables = {
        each
        for name, each in vars(freefill.Inpainter).items()
        if callable(each) and (not name.startswith("_") or name == "__call__")
    }
    assert callables <= {what for what, _ in DOCUMENTED}


@pytest.mark.parametrize("page", ["README.md", "docs/guidance.md", "docs/reference/python.md"])
def test_the_code_of_the_documents_runs(
    page: str,
    photo: NDArray[np.uint8],
    hole: Mask,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(photo).save("photo.jpg", quality=95)
    for name in ("mask.png", "hole.png"):
        Image.fromarray(hole).save(name)
    lines, dabs = Image.new("L", (120, 96), 255), Image.new("RGBA", (120, 96))
    lines.paste(0, (50, 44, 80, 46))
    dabs.paste("red", (60, 40, 66, 46))
    lines.save("lines.png")
    dabs.save("dabs.png")
    with Path("photo.jpg").open("rb") as open_file:
        known = {
            "freefill": freefill,
            "array": photo,
            "hole": hole,
            "tensor": torch.from_numpy(photo.copy()).permute(2, 0, 1),
            "open_file": open_file,
        }
        blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.M | re.S)
        public = [block for block in blocks if "freefill.lab" not in block]
        assert public
        for block in public:
            exec(compile(block, page, "exec"), known)
    if page == "README.md":
        assert Path("filled.jpg").is_file()
