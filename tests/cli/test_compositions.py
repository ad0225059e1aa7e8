"""``freefill recompose``, ``harmonise``, ``retarget`` and ``stitch`` as people use them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def place(tmp_path: Path, examples: Path) -> Path:
    with Image.open(examples / "bee.jpg") as image, Image.open(examples / "bee_mask.png") as mask:
        box = (40, 60, 200, 220)
        image.crop(box).save(tmp_path / "photo.png")
        mask.crop(box).save(tmp_path / "mask.png")
    with Image.open(examples / "pagoda.jpg") as image:
        image.crop((40, 60, 260, 300)).save(tmp_path / "left.png")
        image.crop((140, 70, 360, 310)).save(tmp_path / "right.png")
    return tmp_path


def test_recompose(command: Run, place: Path) -> None:
    out, made = place / "out.png", place / "made.png"
    ran = command("recompose", place / "photo.png", "--mask", place / "mask.png", "--by", "-20,30",
                  "-o", out, "--mask-out", made)  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "now 44x54 at" in ran.stdout
    with Image.open(out) as image, Image.open(place / "photo.png") as photo:
        assert image.size == photo.size
        assert image.tobytes() != photo.tobytes()
    with Image.open(made) as mask:
        assert set(np.unique(np.asarray(mask))) == {0, 255}
    ran = command("recompose", place / "photo.png", "--box", "30,40,80,100", "--to", "5,5",
                  "--scale", "0.5", "-o", place / "small.png")  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "now 25x30 at (5, 5)" in ran.stdout


def test_harmonise(command: Run, place: Path) -> None:
    out = place / "out.png"
    ran = command("harmonise", place / "photo.png", "--box", "30,40,80,100", "--band", "2",
                  "--strength", "0.5", "-o", out)  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "stops" in ran.stdout
    with Image.open(out) as image, Image.open(place / "photo.png") as photo:
        same = (np.asarray(image) == np.asarray(photo)).all(-1)
    assert same[:38].all()
    assert not same[38:102, 28:82].all()


def test_retarget(command: Run, place: Path) -> None:
    out = place / "out.png"
    ran = command("retarget", place / "photo.png", "--aspect", "4:5", "--keep", place / "mask.png",
                  "-o", out)  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "columns -32" in ran.stdout
    with Image.open(out) as image:
        assert image.size == (128, 160)


def test_stitch(command: Run, place: Path) -> None:
    out = place / "out.png"
    ran = command("stitch", place / "left.png", place / "right.png", "-o", out)
    assert ran.returncode == 0, ran.stderr
    assert "matches of photo 2" in ran.stdout
    with Image.open(out) as image:
        assert image.width == pytest.approx(320, abs=3)
        assert image.height == pytest.approx(250, abs=3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("recompose", "photo.png", "--by", "1,1"), "--mask or --box L,T,R,B"),
        (("recompose", "photo.png", "--box", "1,2,3", "--by", "1,1"), "L,T,R,B"),
        (("recompose", "photo.png", "--box", "1,2,31,42", "--by", "left"), "DX,DY"),
        (("recompose", "photo.png", "--box", "1,2,31,42"), "stays where it is"),
        (("harmonise", "photo.png"), "--mask or --box L,T,R,B"),
        (("harmonise", "photo.png", "--box", "150,150,180,180"), "160x160"),
        (("retarget", "photo.png", "--width", "9"), "0.06 of 160"),
        (("stitch", "photo.png"), "two photos"),
        (("stitch", "photo.png", "left.png"), "overlaps none"),
        (("stitch", "photo.png", "mask.png"), "photo 2 is"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    arguments: tuple[str, ...], words: str, command: Run, place: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(place)
    before = sorted(path.name for path in place.iterdir())
    ran = command(*arguments, "-o", "out.png")
    assert ran.returncode == 2
    assert len(ran.stderr.splitlines()) == 1
    assert words in ran.stderr
    assert sorted(path.name for path in place.iterdir()) == before
