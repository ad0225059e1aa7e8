"""From file to file in Python: the bytes that the command line writes, or a sentence."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

import freefill
from freefill.errors import ConfigError, FreefillError, ImageError, MaskError, WeightsError
from freefill.imaging.io import encode, read_picture
from freefill.types import Mask

Photo = NDArray[np.uint8]


@pytest.fixture
def place(tmp_path: Path, photo: Photo, hole: Mask) -> Path:
    """A folder with a photo of each format, full of metadata, and a mask."""
    tags = Image.Exif()
    tags[0x010F], tags[0x0112], tags[0x8298] = "A maker", 1, "Somebody"
    kept: dict[str, Any] = {
        "exif": tags,
        "icc_profile": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
        "dpi": (300, 300),
    }
    image = Image.fromarray(photo)
    image.save(tmp_path / "photo.jpg", quality=90, **kept)
    image.save(tmp_path / "photo.png", **kept)
    image.save(tmp_path / "photo.tif", **kept)
    image.putalpha(Image.fromarray(np.where(hole, 0, 255).astype(np.uint8)))
    image.save(tmp_path / "alpha.png", **kept)
    deep = read_picture(photo.astype(np.uint16) * np.uint16(257) + np.uint16(3))
    (tmp_path / "deep.png").write_bytes(encode(deep, "PNG")[0])
    Image.fromarray(hole).save(tmp_path / "mask.png")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "out", "options"),
    [
        ("photo.jpg", "out.jpg", {}),
        ("photo.jpg", "out.png", {"grow": 4}),
        ("photo.png", "out.png", {"strip": True}),
        ("photo.png", "out.webp", {"invert": True}),
        ("photo.tif", "out.tif", {}),
        ("deep.png", "out.png", {}),
        ("deep.png", "out.tif", {}),
        ("alpha.png", "out.png", {"mask": "alpha"}),
    ],
)
@pytest.mark.filterwarnings("ignore::freefill.FreefillWarning")
def test_the_bytes_are_those_of_the_command_line(
    place: Path,
    command: Callable[..., Any],
    name: str,
    out: str,
    options: dict[str, Any],
) -> None:
    options = dict(options)
    mask = options.pop("mask", place / "mask.png")
    result = freefill.fill_file(place / name, mask, place / out, **options)
    told = [
        word
        for key, value in options.items()
        for word in ([f"--{key}"] if value is True else [f"--{key}", value])
    ]
    theirs = place / f"theirs{Path(out).suffix}"
    ran = command("fill", place / name, "--mask", mask, "--out", theirs, *told)
    assert ran.returncode == 0, ran.stderr
    assert (place / out).read_bytes() == theirs.read_bytes()
    assert result.share == result.mask.mean() > 0
    with Image.open(place / out) as after:
        kept = not options.get("strip") and name != "deep.png"
        assert after.getexif().get(0x8298) == ("Somebody" if kept else None)
        assert ("icc_profile" in after.info) == (name != "deep.png")


def test_what_a_file_holds_stays_outside_the_hole(place: Path, hole: Mask) -> None:
    freefill.fill_file(place / "deep.png", place / "mask.png", place / "out.png")
    before, after = (read_picture(place / name).samples for name in ("deep.png", "out.png"))
    assert after.dtype == np.uint16
    np.testing.assert_array_equal(after[~hole], before[~hole])
    # Of a JPEG whole blocks of 8, so where none is touched the decoded pixels are the same.
    freefill.fill_file(place / "photo.jpg", hole, place / "out.jpg")
    touched = hole.reshape(12, 8, 15, 8).any((1, 3)).repeat(8, 0).repeat(8, 1)
    # Colours are stored at half the size, and are interpolated across an edge of blocks.
    far = ~_widened(touched, 16)
    before, after = (np.asarray(Image.open(place / n)) for n in ("photo.jpg", "out.jpg"))
    np.testing.assert_array_equal(after[far], before[far])
    assert far.any()


def _widened(marked: Mask, by: int) -> Mask:
    rows, columns = np.nonzero(marked)
    wide = np.zeros_like(marked)
    for row, column in zip(rows, columns, strict=True):
        wide[max(row - by, 0) : row + by + 1, max(column - by, 0) : column + by + 1] = True
    return wide


def test_a_mask_may_be_of_any_kind(place: Path, hole: Mask) -> None:
    masks: list[Any] = [hole, str(place / "mask.png"), (place / "mask.png").read_bytes()]
    masks += [Image.open(place / "mask.png"), io.BytesIO((place / "mask.png").read_bytes())]
    written = set()
    for mask in masks:
        freefill.fill_file(place / "photo.png", mask, place / "out.png", overwrite=True)
        written.add((place / "out.png").read_bytes())
    assert len(written) == 1


def test_a_file_that_exists_is_replaced_only_if_that_is_said(place: Path, hole: Mask) -> None:
    out = place / "out.png"
    out.write_bytes(b"dear")
    with pytest.raises(ImageError, match=r"out\.png exists: `overwrite=True` replaces it"):
        freefill.fill_file(place / "photo.png", hole, out)
    assert out.read_bytes() == b"dear"
    freefill.fill_file(place / "photo.png", hole, str(out), overwrite=True)
    assert Image.open(out).size == (120, 96)


@pytest.mark.parametrize(
    ("out", "words"),
    [
        ("none/out.png", "the folder .*none does not exist"),
        ("", "it is a folder"),
        ("folder", "it is a folder"),
        ("folder.png", "it is a folder"),
        ("out.xyz", r"out\.xyz has no ending of an image format"),
        ("out", "out has no ending"),
        ("photo.png", "is the `image` of this call: give `out` another name"),
        ("folder/../photo.png", "is the `image` of this call"),
        ("mask.png", "is the `mask` of this call"),
        ("x" * 300 + ".png", "cannot be written: File name too long"),
        ("a\0b.png", "cannot be written: .*null"),
        (7, "`out=7`: it must be a path"),
        (None, "`out=None`: it must be a path"),
        (b"out.png", "`out=b'out.png'`: it must be a path"),
    ],
    ids=str,
)
def test_places_that_cannot_be_written_are_refused(place: Path, out: Any, words: str) -> None:
    for name in ("folder", "folder.png"):
        (place / name).mkdir()
    before = {path: path.read_bytes() for path in place.iterdir() if path.is_file()}
    target = place / out if isinstance(out, str) else out
    with pytest.raises(ImageError, match=words):
        freefill.fill_file(place / "photo.png", place / "mask.png", target, overwrite=True)
    assert {path: path.read_bytes() for path in place.iterdir() if path.is_file()} == before


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"image": "none.png"}, ImageError, r"none\.png does not exist"),
        ({"image": np.zeros((8, 8), np.uint8)}, ImageError, "it must be a path; `fill` takes"),
        ({"image": None}, ImageError, "`image=None`: it must be a path"),
        ({"mask": "none.png"}, MaskError, r"none\.png does not exist"),
        ({"mask": None}, MaskError, "no mask is given"),
        ({"mask": np.zeros((8, 8), bool)}, MaskError, "120x96.*8x8"),
        ({"strip": "no"}, ConfigError, '`strip="no"`: it must be True or False'),
        ({"overwrite": 1}, ConfigError, "`overwrite=1`: it must be True or False"),
        ({"max_pixels": 99}, ImageError, "99"),
        ({"model": "heavy"}, WeightsError, "heavy"),
    ],
    ids=str,
)
def test_what_cannot_be_filled_leaves_no_file(
    place: Path, options: dict[str, Any], kind: type[FreefillError], words: str
) -> None:
    given: dict[str, Any] = {"image": place / "photo.png", "mask": place / "mask.png"} | options
    before = set(place.iterdir())
    with pytest.raises(kind, match=words):
        freefill.fill_file(out=place / "out.png", **given)
    assert set(place.iterdir()) == before


def test_whoever_stops_it_finds_no_part_of_a_file(
    place: Path, hole: Mask, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = set(place.iterdir())

    def stopped(self: Path, *_: object) -> None:
        raise KeyboardInterrupt

    for step in ("write_bytes", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(Path, step, stopped)
            with pytest.raises(KeyboardInterrupt):
                freefill.fill_file(place / "photo.png", hole, place / "out.png")
        assert set(place.iterdir()) == before


def test_notices_are_warnings_at_the_callers_line(place: Path, hole: Mask) -> None:
    with pytest.warns(freefill.FreefillWarning, match="empty") as told:
        freefill.fill_file(place / "photo.png", hole & False, place / "out.png")
    assert [line.filename for line in told] == [__file__]
