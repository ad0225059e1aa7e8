"""The commands that README, tutorial and how-to show do what is shown, line by line."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
PAGES = (
    "docs/tutorial/first-fill.md",
    "docs/tutorial/remove.md",
    "docs/how-to/masks.md",
    "docs/how-to/sketch.md",
)
QUICK = ("fill", "remove", "edges")
# A network that is fetched, an object of another photo, and a photo that no page has.
LEFT_OUT = ("--at", "20,145,105,215")


def shown(page: str) -> Iterator[tuple[list[str], list[str]]]:
    """Give each quick command of a page, and the lines that it is shown to print."""
    for block in re.findall(
        r"^ *```console\n(.*?)```", (ROOT / page).read_text("utf-8"), re.M | re.S
    ):
        for part in re.split(r"^ *\$ ", block, flags=re.M)[1:]:
            first, *lines = [line.strip() for line in part.strip().split("\n")]
            argv = shlex.split(first, comments=True)
            if argv[:1] == ["freefill"] and argv[1] in QUICK and not {*argv} & {*LEFT_OUT}:
                yield argv[1:], lines


@pytest.fixture
def folder(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the examples that a page names, and masks as editors make them."""
    examples = tmp_path / "examples"
    examples.mkdir()
    for name in {"bee", *re.findall(r"fill examples/(\w+)\.jpg", (ROOT / page).read_text("utf-8"))}:
        for file in (f"{name}.jpg", f"{name}_mask.png"):
            shutil.copy(ROOT / "examples" / file, examples)
    photo = Image.open(examples / "bee.jpg").convert("RGB")
    hole = Image.open(examples / "bee_mask.png").convert("L")
    photo.save(tmp_path / "photo.jpg", quality=95)
    photo.save(tmp_path / "photo.png")
    layer = Image.new("RGBA", photo.size)
    layer.paste((255, 0, 0, 255), mask=hole)
    layer.save(tmp_path / "mask.png")
    keep = hole.point(lambda value: 255 - value)
    keep.save(tmp_path / "black_on_white.png")
    cutout = photo.convert("RGBA")
    cutout.putalpha(keep)
    cutout.save(tmp_path / "cutout.png")
    photo.paste((255, 0, 255), mask=hole)
    photo.save(tmp_path / "painted.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FREEFILL_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.mark.parametrize("page", PAGES)
def test_what_is_shown_is_what_happens(
    page: str, folder: Path, command: Callable[..., CompletedProcess[str]]
) -> None:
    commands = list(shown(page))
    assert commands
    for argv, lines in commands:
        out = folder / argv[argv.index("--out") + 1]
        if "--overwrite" not in argv and out.is_file():
            out.unlink()  # each block of a how-to is one way among others
        ran = command(*argv)
        assert ran.returncode == 0, (argv, ran.stderr)
        assert out.exists()
        printed = ran.stderr.splitlines() + ran.stdout.splitlines()
        for line in lines:
            assert without_numbers(line) in map(without_numbers, printed), (argv, printed)


def test_the_commands_of_the_readme_are_those_of_the_tutorials() -> None:
    run = [argv for page in PAGES for argv, _ in shown(page)]
    examples = [argv for argv, _ in shown("README.md")]
    assert len(examples) == 3
    assert all(argv in run for argv in examples)


def without_numbers(line: str) -> str:
    """Leave out sizes, shares and times: those of another photo or machine are others."""
    return re.sub(r"\d+(\.\d+)?", "0", line)
