"""``freefill fill`` as people use it: good input, odd input, bad input, and Ctrl-C."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from freefill.pipeline.inpainter import Inpainter
from freefill.types import Mask

Photo = NDArray[np.uint8]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def place(tmp_path: Path, photo: Photo, hole: Mask) -> Path:
    """A folder with a photo and its mask."""
    Image.fromarray(photo).save(tmp_path / "photo.png")
    Image.fromarray(hole.astype(np.uint8) * 255).save(tmp_path / "mask.png")
    return tmp_path


def pixels(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, so that "nothing else was written" can be said."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def check_refused(ran: subprocess.CompletedProcess[str], *words: str) -> None:
    """One line that a person can act on, and exit code 2."""
    assert ran.returncode == 2, ran.stderr
    lines = ran.stderr.splitlines()
    assert len(lines) == 1, ran.stderr
    assert lines[0].startswith("freefill: error: ")
    assert all(word in lines[0] for word in words), lines[0]
    assert ran.stdout == ""


# --- what it is for -----------------------------------------------------------------------------


def test_one_photo(cli: Run, place: Path, photo: Photo, hole: Mask, inpainter: Inpainter) -> None:
    ran = cli("fill", "photo.png", "--mask", "mask.png", "--out", "filled.png", cwd=place)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    assert "filled.png" in ran.stdout
    assert f"{photo.shape[1]}x{photo.shape[0]}" in ran.stdout
    assert f"{hole.mean():.1%}" in ran.stdout
    expected = inpainter(image=photo, mask=hole)
    # The command uses every core, which sums in another order.
    np.testing.assert_allclose(pixels(place / "filled.png").astype(int), expected, atol=1)
    np.testing.assert_array_equal(pixels(place / "filled.png")[~hole], photo[~hole])
    assert sorted(tree(place)) == ["filled.png", "mask.png", "photo.png"]


def test_every_example_is_filled_with_the_mask_beside_it(
    command: Run, examples: Path, tmp_path: Path
) -> None:
    ran = command("fill", examples, "-o", tmp_path / "out", "--format", "png")
    assert ran.returncode == 0, ran.stderr
    masks = sorted(examples.glob("*_mask.png"))
    assert f"{len(masks)} filled" in ran.stdout
    for mask in masks:
        name = mask.stem.removesuffix("_mask")
        keep = pixels(mask) <= 127
        before, after = pixels(examples / f"{name}.jpg"), pixels(tmp_path / "out" / f"{name}.png")
        np.testing.assert_array_equal(after[keep], before[keep])
        assert (after[~keep] != before[~keep]).any()


def test_options_change_the_fill(command: Run, place: Path, photo: Photo, hole: Mask) -> None:
    Image.fromarray(~hole).save(place / "keep.png")
    Image.fromarray(hole[::2, ::2]).save(place / "half.png")
    ways = {
        "plain": ("mask.png",),
        "inverted": ("keep.png", "--invert"),
        "threads": ("mask.png", "--threads", "1"),
        "grown": ("mask.png", "--grow", "6"),
        "resized": ("half.png", "--fit", "resize"),
    }
    for name, (mask, *options) in ways.items():
        ran = command(
            "fill", place / "photo.png", "-m", place / mask, "-o", place / f"{name}.png", *options
        )
        assert ran.returncode == 0, ran.stderr
    plain = pixels(place / "plain.png")
    np.testing.assert_array_equal(pixels(place / "inverted.png"), plain)
    np.testing.assert_allclose(pixels(place / "threads.png").astype(int), plain, atol=1)
    changed = {name: (pixels(place / f"{name}.png") != photo).any(-1) for name in ways}
    assert changed["grown"].sum() > changed["plain"].sum()
    # Half the resolution: the edge lies within two pixels of the whole mask's.
    assert (changed["resized"] != changed["plain"]).sum() < 0.25 * hole.sum()


def test_one_mask_for_all_and_subfolders_are_kept(command: Run, place: Path, hole: Mask) -> None:
    for name in ("a.png", "sub/b.png"):
        (place / "in" / name).parent.mkdir(exist_ok=True, parents=True)
        shutil.copy(place / "photo.png", place / "in" / name)
    ran = command("fill", place / "in", "-m", place / "mask.png", "-o", place / "out")
    assert ran.returncode == 0, ran.stderr
    assert sorted(tree(place / "out")) == ["a.png", "sub/b.png"]
    assert "2 filled" in ran.stdout


def test_a_folder_of_masks(command: Run, place: Path, photo: Photo, hole: Mask) -> None:
    (place / "in").mkdir()
    (place / "masks").mkdir()
    masks = {"a": hole, "b": hole[::-1]}
    for name, mask in masks.items():
        shutil.copy(place / "photo.png", place / "in" / f"{name}.png")
        ending = "_mask" if name == "b" else ""
        Image.fromarray(mask).save(place / "masks" / f"{name}{ending}.png")
    ran = command("fill", place / "in", "--mask", place / "masks", "--out", place / "out")
    assert ran.returncode == 0, ran.stderr
    for name, mask in masks.items():
        after = pixels(place / "out" / f"{name}.png")
        np.testing.assert_array_equal(after[~mask], photo[~mask])
        assert (after[mask] != photo[mask]).any()


def test_results_that_exist_are_skipped_or_replaced(command: Run, place: Path) -> None:
    (place / "in").mkdir()
    for name in ("a.png", "b.png"):
        shutil.copy(place / "photo.png", place / "in" / name)
    (place / "out").mkdir()
    (place / "out" / "a.png").write_bytes(b"mine")
    work = ("fill", place / "in", "-m", place / "mask.png", "-o", place / "out")

    ran = command(*work)
    assert ran.returncode == 0
    assert "1 filled" in ran.stdout
    assert "1 skipped" in ran.stdout
    assert (place / "out" / "a.png").read_bytes() == b"mine"

    ran = command(*work, "--overwrite")
    assert ran.returncode == 0
    assert "2 filled" in ran.stdout
    assert (pixels(place / "out" / "a.png") == pixels(place / "out" / "b.png")).all()


@pytest.mark.parametrize("out", ["filled.png", "out", "out/photo.png"])
def test_a_single_result_that_exists_is_refused_or_replaced(
    command: Run, place: Path, hole: Mask, out: str
) -> None:
    # With another mask, say: whoever reads only the exit code must not take the old picture.
    (place / "out").mkdir()
    there = place / (f"{out}/photo.png" if out == "out" else out)
    there.write_bytes(b"mine")
    work = ("fill", place / "photo.png", "-m", place / "mask.png", "-o", place / out)
    check_refused(command(*work), there.name, "exists: --overwrite replaces it")
    check_refused(command(*work, "--sheet", place / "sheet.png"), "--overwrite")
    assert there.read_bytes() == b"mine"
    assert not (place / "sheet.png").exists()
    assert command(*work, "--overwrite").returncode == 0
    assert pixels(there).shape == pixels(place / "photo.png").shape
    # Several photos, also one in a folder, go on where an earlier call has stopped.
    (place / "in").mkdir()
    shutil.copy(place / "photo.png", place / "in" / "photo.png")
    ran = command("fill", place / "in", "-m", place / "mask.png", "-o", there.parent / "many")
    assert ran.returncode == 0
    ran = command("fill", place / "in", "-m", place / "mask.png", "-o", there.parent / "many")
    assert (ran.returncode, "1 skipped" in ran.stdout) == (0, True)


@pytest.mark.parametrize("name", ["jpg", ".PNG", "webp"])
def test_format_sets_the_ending_and_the_content(command: Run, place: Path, name: str) -> None:
    (place / "in").mkdir()
    shutil.copy(place / "photo.png", place / "in" / "a.png")
    ran = command(
        "fill", place / "in", "-m", place / "mask.png", "-o", place / "out", "--format", name
    )
    assert ran.returncode == 0, ran.stderr
    (out,) = (place / "out").iterdir()
    ending = name.lower().removeprefix(".")
    assert out.name == f"a.{ending}"
    with Image.open(out) as image:
        assert image.format == {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}[ending]


@pytest.mark.parametrize("count", [1, 3])
def test_a_sheet_is_drawn(command: Run, place: Path, photo: Photo, count: int) -> None:
    photos = [place / f"{i}.png" for i in range(count)]
    for path in photos:
        shutil.copy(place / "photo.png", path)
    out = place / "out.png" if count == 1 else place / "out"
    work = ("fill", *photos, "-m", place / "mask.png", "-o", out, "--sheet", place / "sheet.png")
    ran = command(*work)
    assert ran.returncode == 0, ran.stderr
    sheet = pixels(place / "sheet.png")
    assert sheet.shape[0] * sheet.shape[1] > count * 3 * photo.shape[0] * photo.shape[1]
    # Results that were there already are drawn like new ones.
    (place / "sheet.png").unlink()
    assert command(*work, *(["--overwrite"] if count == 1 else [])).returncode == 0
    np.testing.assert_array_equal(pixels(place / "sheet.png"), sheet)


def test_a_sheet_of_results_whose_masks_are_gone(command: Run, place: Path) -> None:
    (place / "in").mkdir()
    shutil.copy(place / "photo.png", place / "in" / "a.png")
    work = ("fill", place / "in", "-o", place / "out")
    assert command(*work, "-m", place / "mask.png").returncode == 0
    ran = command(*work, "--sheet", place / "sheet.png")
    # There is nothing to mark the hole with: said in a line, not in a traceback.
    assert ran.returncode in (0, 1, 2)
    assert ran.stderr.startswith("freefill: ")


def test_the_result_folder_may_lie_among_the_photos(command: Run, place: Path) -> None:
    (place / "in").mkdir()
    shutil.copy(place / "photo.png", place / "in" / "a.png")
    shutil.copy(place / "mask.png", place / "in" / "a_mask.png")
    for _ in range(2):
        ran = command("fill", place / "in", "-o", place / "in" / "filled", "--overwrite")
        assert ran.returncode == 0, ran.stderr
        assert "1 filled" in ran.stdout
    assert sorted(tree(place / "in")) == ["a.png", "a_mask.png", "filled/a.png"]


def test_paint_is_filled_as_white_is(command: Run, place: Path, hole: Mask) -> None:
    layer = Image.new("RGBA", (120, 96))
    layer.paste((255, 0, 0, 255), mask=Image.fromarray(hole))
    copy = Image.open(place / "photo.png")
    copy.paste((255, 0, 0), mask=Image.fromarray(hole))
    work = ("fill", place / "photo.png", "-m")
    assert command(*work, place / "mask.png", "-o", place / "white.png").returncode == 0
    for name, mask in {"layer": layer, "copy": copy}.items():
        mask.save(place / f"{name}_paint.png")
        ran = command(*work, place / f"{name}_paint.png", "-o", place / f"{name}.png")
        assert ran.returncode == 0
        assert ran.stderr.startswith("freefill: the mask is ")
        np.testing.assert_array_equal(pixels(place / f"{name}.png"), pixels(place / "white.png"))


# --- many, of which some fail -------------------------------------------------------------------


def test_failures_are_named_and_the_others_are_done(cli: Run, place: Path, photo: Photo) -> None:
    folder = place / "in"
    folder.mkdir()
    for name in ("good", "better", "nomask", "small", "black"):
        shutil.copy(place / "photo.png", folder / f"{name}.png")
    whole = (place / "photo.png").read_bytes()
    (folder / "half.png").write_bytes(whole[: len(whole) // 2])
    (folder / "text.jpg").write_text("not a picture")
    for name in ("good", "better", "half", "text"):
        shutil.copy(place / "mask.png", folder / f"{name}_mask.png")
    Image.new("L", (30, 20), 255).save(folder / "small_mask.png")
    Image.new("L", (120, 96)).save(folder / "black_mask.png")

    ran = cli("fill", "in", "--out", "out", cwd=place)

    assert ran.returncode == 1
    assert sorted(tree(place / "out")) == ["better.png", "good.png"]
    lines = ran.stderr.splitlines()
    assert len(lines) == 5, ran.stderr
    for name in ("black.png", "half.png", "nomask.png", "small.png", "text.jpg"):
        (line,) = [line for line in lines if name in line]
        assert line.startswith("freefill: error: ")
    assert "2 filled" in ran.stdout
    assert "5 failed" in ran.stdout


def test_two_photos_that_would_become_one_file_are_refused(command: Run, place: Path) -> None:
    (place / "in").mkdir()
    shutil.copy(place / "photo.png", place / "in" / "a.png")
    Image.open(place / "photo.png").save(place / "in" / "a.bmp")
    ran = command(
        "fill", place / "in", "-m", place / "mask.png", "-o", place / "out", "--format", "png"
    )
    check_refused(ran, "a.bmp", "a.png")
    assert not (place / "out").exists()


# --- odd input that is handled ------------------------------------------------------------------


def full_mask(place: Path, photo: Photo) -> str:
    Image.new("L", photo.shape[1::-1], 255).save(place / "mask.png")
    return "whole"


def animated(place: Path, photo: Photo) -> str:
    first = Image.fromarray(photo)
    frames = [Image.fromarray(255 - photo), Image.fromarray(photo[::-1].copy())]
    first.save(place / "photo.gif", save_all=True, append_images=frames)
    return "3 frames"


def pixel(place: Path, photo: Photo) -> str:
    Image.new("RGB", (1, 1), (9, 99, 199)).save(place / "photo.bmp")
    Image.new("L", (1, 1), 255).save(place / "mask.png")
    return "whole"


def strip(place: Path, photo: Photo) -> str:
    wide = np.tile(photo[:5], (1, 40, 1))[:, :4000]
    Image.fromarray(wide).save(place / "photo.bmp")
    mask = np.zeros((5, 4000), np.uint8)
    mask[1:4, 1000:1030] = mask[:, 3000:3010] = 255
    Image.fromarray(mask).save(place / "mask.png")
    return ""


def in_palette(place: Path, photo: Photo) -> str:
    Image.fromarray(photo).quantize(32).save(place / "photo.bmp")
    return "palette"


def one_bit(place: Path, photo: Photo) -> str:
    Image.fromarray(photo).convert("1").save(place / "photo.tif")
    return "1-bit"


def in_grey(place: Path, photo: Photo) -> str:
    Image.fromarray(photo).convert("L").save(place / "photo.bmp")
    return ""


def in_ink(place: Path, photo: Photo) -> str:
    Image.fromarray(photo).convert("CMYK").save(place / "photo.jpg")
    return "CMYK"


@pytest.mark.parametrize(
    "make", [full_mask, animated, pixel, strip, in_palette, one_bit, in_grey, in_ink]
)
def test_odd_input_is_handled_and_told(
    command: Run, place: Path, photo: Photo, make: Callable[[Path, Photo], str]
) -> None:
    notice = make(place, photo)
    (odd,) = [path for path in place.glob("photo.*") if path.suffix != ".png"] or [
        place / "photo.png"
    ]
    out = place / "out" / odd.name
    out.parent.mkdir()

    ran = command("fill", odd, "-m", place / "mask.png", "-o", out)

    assert ran.returncode == 0, ran.stderr
    lines = ran.stderr.splitlines()
    assert all(line.startswith("freefill: ") and "error" not in line for line in lines)
    if notice:
        assert any(notice in line for line in lines)
    else:
        assert lines == []
    with Image.open(odd) as before, Image.open(out) as after:
        assert (after.size, after.mode, after.format) == (before.size, before.mode, before.format)
        assert getattr(after, "n_frames", 1) == 1
        known = pixels(place / "mask.png") < 128
        if after.format != "JPEG":
            was, now = (np.asarray(image.convert("RGB")) for image in (before, after))
            np.testing.assert_array_equal(now[known], was[known])


def test_an_ink_jpeg_keeps_its_colours(command: Run, place: Path, photo: Photo) -> None:
    # CMYK JPEGs are stored inverted: a slip turns the picture into its negative.
    in_ink(place, photo)
    ran = command("fill", place / "photo.jpg", "-m", place / "mask.png", "-o", place / "out.jpg")
    assert ran.returncode == 0
    with Image.open(place / "photo.jpg") as before, Image.open(place / "out.jpg") as after:
        was, now = (np.asarray(image.convert("RGB")).astype(int) for image in (before, after))
    assert np.abs(was - now)[:, :24].mean() < 6


# --- bad input that is refused ------------------------------------------------------------------


def mask_of_another_size(place: Path) -> tuple[list[object], list[str]]:
    Image.new("L", (50, 40), 255).save(place / "small.png")
    return ["photo.png", "-m", "small.png", "-o", "out.png"], ["120x96", "50x40"]


def truncated(place: Path) -> tuple[list[object], list[str]]:
    whole = (place / "photo.png").read_bytes()
    (place / "half.png").write_bytes(whole[: len(whole) // 2])
    return ["half.png", "-m", "mask.png", "-o", "out.png"], ["half.png"]


def truncated_mask(place: Path) -> tuple[list[object], list[str]]:
    whole = (place / "mask.png").read_bytes()
    (place / "half.png").write_bytes(whole[: len(whole) // 2])
    return ["photo.png", "-m", "half.png", "-o", "out.png"], ["half.png"]


def text(place: Path) -> tuple[list[object], list[str]]:
    (place / "text.jpg").write_text("not a picture\nat all\n")
    return ["text.jpg", "-m", "mask.png", "-o", "out.png"], ["text.jpg", "not an image"]


def no_folder(place: Path) -> tuple[list[object], list[str]]:
    return ["photo.png", "-m", "mask.png", "-o", "none/out.png"], ["none", "does not exist"]


def onto_a_folder(place: Path) -> tuple[list[object], list[str]]:
    # The result's own path: 'results' would be taken as the folder to write photo.png into.
    (place / "results" / "photo.png").mkdir(parents=True)
    return ["photo.png", "-m", "mask.png", "-o", "results"], ["photo.png", "it is a folder"]


def unknown_ending(place: Path) -> tuple[list[object], list[str]]:
    return ["photo.png", "-m", "mask.png", "-o", "out.xyz"], ["out.xyz", "png"]


def no_ending(place: Path) -> tuple[list[object], list[str]]:
    return ["photo.png", "-m", "mask.png", "-o", "out"], ["out", "png"]


def unknown_model(place: Path) -> tuple[list[object], list[str]]:
    return (
        ["photo.png", "-m", "mask.png", "-o", "out.png", "--model", "heavy"],
        ["'heavy'", "light"],
    )


def missing_model(place: Path) -> tuple[list[object], list[str]]:
    return (
        ["photo.png", "-m", "mask.png", "-o", "out.png", "--model", "my.onnx"],
        ["my.onnx does not exist"],
    )


def missing_photo(place: Path) -> tuple[list[object], list[str]]:
    return ["none.png", "-m", "mask.png", "-o", "out.png"], ["none.png does not exist"]


def missing_mask(place: Path) -> tuple[list[object], list[str]]:
    return ["photo.png", "-m", "none.png", "-o", "out.png"], ["none.png does not exist"]


def no_mask(place: Path) -> tuple[list[object], list[str]]:
    return ["photo.png", "-o", "out.png"], ["photo.png has no mask", "photo_mask.png"]


def empty_mask(place: Path) -> tuple[list[object], list[str]]:
    Image.new("L", (120, 96)).save(place / "black.png")
    return (
        ["photo.png", "-m", "black.png", "-o", "out.png"],
        ["the mask is empty: nothing would be filled", "white on black"],
    )


def full_mask_that_is_inverted(place: Path) -> tuple[list[object], list[str]]:
    Image.new("L", (120, 96), 255).save(place / "white.png")
    return ["photo.png", "-m", "white.png", "-o", "out.png", "--invert"], ["the mask is empty"]


def transparent_mask(place: Path) -> tuple[list[object], list[str]]:
    Image.new("RGBA", (120, 96), (255, 0, 0, 0)).save(place / "clear.png")
    return ["photo.png", "-m", "clear.png", "-o", "out.png"], ["the mask is empty"]


def opaque(place: Path) -> tuple[list[object], list[str]]:
    Image.open(place / "photo.png").convert("RGBA").save(place / "opaque.png")
    return (
        ["opaque.png", "-m", "alpha", "-o", "out.png"],
        ["nothing of the image is transparent"],
    )


def labels_for_a_mask(place: Path) -> tuple[list[object], list[str]]:
    labels = np.zeros((96, 120), np.uint8)
    labels[10:30, 10:30], labels[50:70, 50:70] = 3, 9
    Image.fromarray(labels).save(place / "labels.png")
    return (
        ["photo.png", "-m", "labels.png", "-o", "out.png"],
        ["3 values", "3 on 3.5%", "9 on 3.5%", "several ways"],
    )


def photo_for_a_mask(place: Path) -> tuple[list[object], list[str]]:
    Image.open(place / "photo.png").transpose(Image.Transpose.ROTATE_180).save(place / "b.png")
    return ["photo.png", "-m", "b.png", "-o", "out.png"], ["looks like a photo", "painted copy"]


def no_alpha(place: Path) -> tuple[list[object], list[str]]:
    return ["photo.png", "-m", "alpha", "-o", "out.png"], ["alpha", "RGB"]


def alpha_to_jpeg(place: Path) -> tuple[list[object], list[str]]:
    Image.open(place / "photo.png").convert("RGBA").save(place / "alpha.png")
    return ["alpha.png", "-m", "mask.png", "-o", "out.jpg"], ["JPEG", "alpha", ".png"]


def empty_folder(place: Path) -> tuple[list[object], list[str]]:
    (place / "empty").mkdir()
    return ["empty", "-m", "mask.png", "-o", "out"], ["empty holds no photos"]


def empty_format(place: Path) -> tuple[list[object], list[str]]:
    (place / "in").mkdir()
    shutil.copy(place / "photo.png", place / "in")
    return ["in", "-m", "mask.png", "-o", "out", "--format", ""], ["--format"]


def sheet_of_unknown_ending(place: Path) -> tuple[list[object], list[str]]:
    return (
        ["photo.png", "-m", "mask.png", "-o", "out.png", "--sheet", "sheet.xyz"],
        ["sheet.xyz", "png"],
    )


@pytest.mark.parametrize(
    "make",
    [
        mask_of_another_size,
        truncated,
        truncated_mask,
        text,
        no_folder,
        onto_a_folder,
        unknown_ending,
        no_ending,
        unknown_model,
        missing_model,
        missing_photo,
        missing_mask,
        no_mask,
        empty_mask,
        full_mask_that_is_inverted,
        transparent_mask,
        opaque,
        labels_for_a_mask,
        photo_for_a_mask,
        no_alpha,
        alpha_to_jpeg,
        empty_folder,
        empty_format,
        sheet_of_unknown_ending,
    ],
)
def test_bad_input_is_refused_in_one_line(
    command: Run,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Path], tuple[list[object], list[str]]],
) -> None:
    monkeypatch.chdir(place)
    arguments, words = make(place)
    before = tree(place)
    ran = command("fill", *arguments)
    check_refused(ran, *words)
    assert tree(place) == before, "no result, nothing partial, nothing changed"


def test_a_refusal_is_the_same_in_a_process_of_its_own(cli: Run, place: Path) -> None:
    arguments, words = mask_of_another_size(place)
    before = tree(place)
    check_refused(cli("fill", *arguments, cwd=place), *words)
    assert tree(place) == before


# --- Ctrl-C -------------------------------------------------------------------------------------


# As from a terminal, also where the tests run in the background, with SIGINT ignored.
INTERRUPTIBLE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from freefill.cli import main
main()
"""


def test_ctrl_c_leaves_whole_results_and_a_second_call_goes_on(
    cli: Run, examples: Path, tmp_path: Path
) -> None:
    photos = tmp_path / "in"
    photos.mkdir()
    count = 40
    for i in range(count):
        shutil.copy(examples / "coffee.jpg", photos / f"{i:02}.jpg")
    out = tmp_path / "out"
    arguments = ["fill", "in", "--mask", str(examples / "coffee_mask.png"), "--out", "out"]
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, *arguments, "--threads", "1"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 60
        while not list(out.glob("*.jpg")) and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    finally:
        process.kill()

    assert process.returncode == 130, stderr
    assert all(line.startswith("freefill: ") for line in stderr.splitlines()), stderr
    done = tree(out)
    assert 1 <= len(done) < count
    assert f"of {count}" in stderr
    assert not list(tmp_path.rglob("*.partial"))
    for name in done:
        assert pixels(out / name).shape == pixels(photos / name).shape

    ran = cli(*arguments, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert f"{count - len(done)} filled" in ran.stdout
    assert f"{len(done)} skipped" in ran.stdout
    after = tree(out)
    assert sorted(after) == [f"{i:02}.jpg" for i in range(count)]
    assert {name: after[name] for name in done} == done


@pytest.mark.parametrize(
    ("out", "sheet"),
    [
        ("mask.png", None),
        ("photo.png", None),
        ("out.png", "photo.png"),
        ("out.png", "mask.png"),
        ("out.png", "out.png"),
        ("out.png", "nowhere/sheet.png"),
    ],
)
def test_nothing_of_the_input_is_ever_replaced(
    command: Run, place: Path, out: str, sheet: str | None
) -> None:
    before = {name: (place / name).read_bytes() for name in ("photo.png", "mask.png")}
    drawn = [] if sheet is None else ["--sheet", place / sheet]
    work = ("fill", place / "photo.png", "-m", place / "mask.png", "-o", place / out)
    check_refused(command(*work, *drawn, "--overwrite"), (sheet or out).split("/")[-1])
    assert {name: (place / name).read_bytes() for name in before} == before
    assert not (place / "out.png").exists()


def test_endings_in_capitals(command: Run, place: Path) -> None:
    (place / "in").mkdir()
    shutil.copy(place / "photo.png", place / "in" / "A.PNG")
    shutil.copy(place / "mask.png", place / "in" / "A_mask.PNG")
    ran = command("fill", place / "in", "-o", place / "out")
    assert ran.returncode == 0, ran.stderr
    assert "1 filled" in ran.stdout


def test_names_that_are_too_long(command: Run, place: Path) -> None:
    work = ("fill", place / "photo.png", "-m", place / "mask.png", "-o")
    assert command(*work, place / ("a" * 245 + ".png")).returncode == 0
    check_refused(command(*work, place / ("a" * 300 + ".png")), "too long")


def test_explain_tells_what_the_network_was_shown(
    command: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (700, 900, 3), np.uint8)).save(tmp_path / "a.png")
    mask = np.zeros((700, 900), np.uint8)
    mask[200:400, 300:520] = mask[650:660, 10:30] = 255
    Image.fromarray(mask).save(tmp_path / "a_mask.png")
    quiet = command("fill", tmp_path / "a.png", "--out", tmp_path / "b.png")
    told = command("fill", tmp_path / "a.png", "--out", tmp_path / "c.png", "--explain")
    assert told.returncode == quiet.returncode == 0
    lines = told.stdout.splitlines()
    assert lines[0].startswith("hole 220x200 at (300, 200): seen with its surroundings, 560x544 ")
    assert lines[0].endswith("as 288x272, 2 times smaller; its detail comes from the photo")
    assert lines[1].startswith("hole 20x10 at (10, 650)")
    assert lines[1].endswith("as 320x288, 2 times larger")
    assert "surroundings" not in quiet.stdout
    assert (tmp_path / "b.png").read_bytes() == (tmp_path / "c.png").read_bytes()
