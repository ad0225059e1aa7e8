"""Removing what is pointed at: what is found, what is refused, and what stays as it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from freefill.errors import DoubtError, ImageError, MaskError, ReferenceMissingError
from freefill.imaging.box import Box
from freefill.imaging.io import read_picture
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import FillRequest
from freefill.tasks import remove, segment
from freefill.tasks._segment import REFLECTED
from freefill.types import Mask
from freefill.vision.segmentation.prompt import prompt
from freefill.weights import third_party

Photo = NDArray[np.uint8]
SCENES = {"pagoda": (400, 60), "sunset": (90, 20), "bricks": (150, 160), "street": (70, 100)}
"""Photos, and where in them something is put, left and top."""


def read(examples: Path, name: str) -> Photo:
    with Image.open(examples / f"{name}.jpg") as image:
        return np.asarray(image.convert("RGB")).copy()


def scene(examples: Path, name: str) -> tuple[Photo, Photo, Mask]:
    """A photo, the same with a dahlia in it, and where that is."""
    behind = read(examples, name)
    with Image.open(examples / "dahlia.jpg") as image:
        flower = image.convert("RGB").crop((168, 85, 440, 357)).resize((84, 84))
    alpha = Image.new("L", (336, 336))
    ImageDraw.Draw(alpha).ellipse((8, 8, 328, 328), fill=255)
    alpha = alpha.resize((84, 84), Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(0.7))
    left, top = SCENES[name]
    seen, whole = Image.fromarray(behind), Image.new("L", behind.shape[1::-1])
    whole.paste(alpha, (left, top))
    seen.paste(flower, (left, top), alpha)
    return behind, np.asarray(seen).copy(), np.asarray(whole) > 127


def overlap(one: Mask, other: Mask) -> float:
    return float((one & other).sum() / (one | other).sum())


def off(one: Photo, other: Photo) -> float:
    return float(np.abs(one.astype(float) - other).mean())


# --- what it is for -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCENES)
def test_beats_filling_the_box(examples: Path, inpainter: Inpainter, name: str) -> None:
    behind, seen, object_ = scene(examples, name)
    left, top = SCENES[name]
    box = (left - 4, top - 3, left + 89, top + 90)
    gone = remove(seen, box=box, inpainter=inpainter)
    naive = np.zeros_like(object_)
    naive[box[1] : box[3], box[0] : box[2]] = True
    filled = inpainter.run(FillRequest(read_picture(seen), naive)).picture.samples
    assert off(gone.image, behind) < 0.9 * off(filled, behind)
    assert overlap(segment(seen, box=box, grow=0).mask, object_) > 0.9
    # Its soft edge is in the hole, too, and nothing else was touched.
    assert gone.mask[object_].all()
    np.testing.assert_array_equal(gone.image[~gone.mask], seen[~gone.mask])
    assert gone.info["segmenter"] == "u2netp"
    assert gone.info["object"] == pytest.approx(object_.mean(), rel=0.1)


@pytest.mark.parametrize("name", ["pagoda", "sunset"])
def test_a_click_finds_what_a_disc_does_not(examples: Path, name: str) -> None:
    _, seen, object_ = scene(examples, name)
    left, top = SCENES[name]
    click = (left + 30, top + 50)
    rows, columns = np.mgrid[: seen.shape[0], : seen.shape[1]]
    disc = (rows - click[1]) ** 2 + (columns - click[0]) ** 2 < object_.sum() / np.pi
    found = segment(seen, at=[click], grow=0).mask
    assert overlap(found, object_) > 0.9 > overlap(disc, object_)


def test_more_points_bring_more(examples: Path) -> None:
    photo = read(examples, "coffee")
    found = {"segmenter": "classical", "grow": 0, "force": True}
    rim = segment(photo, at=[(290, 80)], **found).mask  # type: ignore[arg-type]
    both = segment(photo, at=[(290, 80), (150, 300)], **found).mask  # type: ignore[arg-type]
    assert not rim[300, 150]
    assert both[300, 150]
    assert both[80, 290]


def test_the_subject_needs_no_place(examples: Path) -> None:
    photo = read(examples, "dahlia")
    rows, columns = np.mgrid[: photo.shape[0], : photo.shape[1]]
    flower = (rows - 222) ** 2 + (columns - 304) ** 2 < 134**2
    assert overlap(segment(photo, subject=True, grow=0).mask, flower) > 0.75


def test_gaps_in_an_object_are_of_it_unless_somebody_says_not() -> None:
    rng = np.random.default_rng(0)
    photo = rng.normal(200, 3, (120, 120, 3)).astype(np.uint8)
    photo[30:90, 30:90] = 20, 60, 140
    photo[55:65, 55:65] = rng.normal(200, 3, (10, 10, 3)).astype(np.uint8)
    box = (25, 25, 95, 95)
    assert segment(photo, box=box, grow=0).mask[60, 60]
    ring = segment(photo, box=box, avoid=[(60, 60)], grow=0).mask
    assert not ring[60, 60]
    assert ring[40, 40]


def test_growth_is_as_told_and_covers_soft_edges_by_itself(examples: Path) -> None:
    _, seen, _ = scene(examples, "sunset")
    areas = [
        int(segment(seen, box=(86, 16, 178, 108), grow=grow).mask.sum())
        for grow in (0, 2, None, 12)
    ]
    assert areas == sorted(areas)
    assert len(set(areas)) == 4


@pytest.mark.parametrize("kind", ["grey", "rgba", "deep", "palette"])
def test_any_samples_stay_what_they_are(examples: Path, inpainter: Inpainter, kind: str) -> None:
    _, seen, object_ = scene(examples, "sunset")
    image = Image.fromarray(seen)
    made: Any = {
        "grey": np.asarray(image.convert("L")),
        "rgba": np.dstack([seen, np.full(seen.shape[:2], 130, np.uint8)]),
        "deep": seen.astype(np.uint16) * 257,
        "palette": image.quantize(64),
    }[kind]
    gone = remove(made, box=(86, 16, 178, 108), inpainter=inpainter)
    before, after = read_picture(made), gone.picture
    assert (after.mode, after.samples.dtype) == (before.mode, before.samples.dtype)
    np.testing.assert_array_equal(after.samples[~gone.mask], before.samples[~gone.mask])
    assert overlap(gone.mask, object_) > 0.75
    if kind == "rgba":
        assert (after.samples[..., 3] == 130).all()


def test_a_large_photo_costs_no_more_to_look_at(examples: Path) -> None:
    _, seen, object_ = scene(examples, "sunset")
    large = seen.repeat(8, 0).repeat(8, 1)
    found = segment(large, at=[(130 * 8, 60 * 8)], grow=0).mask
    assert found.shape == (2048, 2048)
    assert overlap(found, object_.repeat(8, 0).repeat(8, 1)) > 0.85


def test_the_same_photo_gives_the_same_mask(examples: Path) -> None:
    _, seen, _ = scene(examples, "street")
    first, second = (segment(seen, box=(66, 96, 160, 190)).mask for _ in range(2))
    np.testing.assert_array_equal(first, second)


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "at"), [("bricks", (200, 300)), ("dahlia", (60, 60)), ("sunset", (128, 20))]
)
def test_a_click_on_nothing_is_told_with_numbers(
    examples: Path, name: str, at: tuple[int, int]
) -> None:
    with pytest.raises(MaskError, match=rf"{at[0]},{at[1]}.*%.*`box=L,T,R,B`"):
        segment(read(examples, name), at=[at])


def test_what_is_doubtful_is_refused_with_figures_and_a_mask_and_forced(
    examples: Path, inpainter: Inpainter
) -> None:
    photo, at = read(examples, "pagoda"), [(500, 100)]
    with pytest.raises(
        DoubtError, match=r"500,100 \(640x427\) is doubtful.*`force=True`"
    ) as refused:
        remove(photo, at=at, inpainter=inpainter)
    doubt = refused.value
    assert isinstance(doubt, MaskError)
    assert {"share", "border", "agreement"} <= set(doubt.figures)
    assert all(0 <= value <= 1 for value in doubt.figures.values())
    gone = remove(photo, at=at, force=True, inpainter=inpainter)
    np.testing.assert_array_equal(gone.mask, doubt.mask)
    assert "doubtful" in gone.notices[-1]
    assert gone.info["doubt"] in gone.notices[-1]
    np.testing.assert_array_equal(gone.image[~gone.mask], photo[~gone.mask])


def test_a_large_object_is_refused_at_a_click_and_told_in_a_box(examples: Path) -> None:
    photo = read(examples, "fruit")
    with pytest.raises(DoubtError, match="% of the photo, and 40% are filled well"):
        segment(photo, at=[(90, 110)])
    boxed = segment(photo, box=(4, 4, 250, 250))
    assert "doubt" not in boxed.info


def test_a_shadow_is_left_unless_it_is_asked_for(examples: Path) -> None:
    _, seen, object_ = scene(examples, "pagoda")
    left, top = SCENES["pagoda"]
    fallen = Image.new("L", seen.shape[1::-1])
    ImageDraw.Draw(fallen).ellipse((left + 16, top + 16, left + 96, top + 96), fill=115)
    fallen = fallen.filter(ImageFilter.GaussianBlur(3))
    dark = 1 - np.asarray(fallen)[..., None] / 255
    shaded = np.where(object_[..., None], seen, seen * dark).astype(np.uint8)
    box = (left - 3, top - 3, left + 87, top + 87)
    alone, both = (segment(shaded, box=box, grow=0, shadow=shadow).mask for shadow in (False, True))
    assert not (alone & ~both).any()
    assert 0.1 < (both.sum() - alone.sum()) / object_.sum() < 0.8
    assert (both & ~alone & (np.asarray(fallen) > 40)).sum() > 0.8 * (both & ~alone).sum()
    # Where none is cast, none is found.
    bare = [segment(seen, box=box, grow=0, shadow=shadow).mask.sum() for shadow in (False, True)]
    assert bare[1] - bare[0] < 0.05 * object_.sum()


def in_water(examples: Path, name: str, strength: float = 0.5) -> tuple[Photo, Mask, Mask]:
    """A flower and its reflection, which fades and has waves: the photo, and where both are."""
    _, seen, object_ = scene(examples, name)
    foot = SCENES[name][1] + 82
    rows, columns = np.indices(object_.shape)
    above = np.clip(2 * foot - rows, 0, len(seen) - 1)
    beside = np.clip(columns + np.rint(1.5 * np.sin(rows / 2)).astype(int), 0, seen.shape[1] - 1)
    below = object_[above, beside] & (rows > foot) & ~object_
    fading = np.clip(1 - (rows - foot) / 160, 0, 1) * strength * below
    mixed = seen * (1 - fading[..., None]) + seen[above, beside] * fading[..., None]
    return np.rint(mixed).astype(np.uint8), object_, below


@pytest.mark.parametrize("name", ["pagoda", "sunset"])
def test_a_reflection_is_left_unless_it_is_asked_for(examples: Path, name: str) -> None:
    seen, _, below = in_water(examples, name)
    left, top = SCENES[name]
    box = (left - 3, top - 3, left + 87, top + 87)
    alone = segment(seen, box=box, grow=0)
    assert alone.notices == (REFLECTED,)
    assert list(alone.offered) == ["reflection"]
    both = segment(seen, box=box, grow=0, reflection=True)
    assert (both.notices, both.offered) == ((), {})
    np.testing.assert_array_equal(both.mask, alone.offered["reflection"])
    assert not (alone.mask & ~both.mask).any()
    more = both.mask & ~alone.mask
    assert (more & below).sum() > 0.9 * below.sum()
    assert more.sum() < 1.4 * below.sum()


@pytest.mark.parametrize("name", SCENES)
def test_where_nothing_is_reflected_nothing_more_is_taken(examples: Path, name: str) -> None:
    _, seen, _ = scene(examples, name)
    left, top = SCENES[name]
    box = (left - 3, top - 3, left + 87, top + 87)
    masks = [segment(seen, box=box, grow=0, reflection=given) for given in (False, True)]
    np.testing.assert_array_equal(masks[0].mask, masks[1].mask)
    assert masks[0].notices == ()


def test_a_reflection_that_is_cut_off_by_the_border_is_found(examples: Path) -> None:
    seen, _, below = in_water(examples, "sunset")
    cut = seen[:150]
    both = segment(cut, box=(87, 17, 177, 107), grow=0, reflection=True).mask
    assert both[below[:150]].mean() > 0.9


@pytest.mark.parametrize(
    ("pointed", "words"),
    [
        ({}, "nothing is pointed at"),
        ({"at": [(300, 20)]}, "300,20 (`at`) is not in the image, which is 120x96"),
        ({"at": [(-1, 20)]}, "-1,20"),
        ({"at": [(5, 96)]}, "Y is 0 to 95"),
        ({"avoid": [(5, 6)]}, "nothing is pointed at"),
        ({"at": [(5, 6)], "avoid": [(5, 6)]}, "5,6 is to be of the object and not of it"),
        ({"at": [(5, 6)], "box": (20, 20, 60, 60)}, "5,6 is not in the box 20,20,60,60"),
        ({"box": (20, 20, 20, 60)}, "20,20,20,60 is empty"),
        ({"box": (60, 20, 20, 60)}, "is empty"),
        ({"box": (119, 20, 180, 60)}, "1x40 pixels of the box"),
        ({"box": (500, 500, 600, 600)}, "0x0 pixels of the box"),
        ({"box": (1, 2, 3)}, "`box` is (1, 2, 3); it must be 4 whole numbers"),
        ({"subject": True, "at": [(5, 6)]}, "the subject is asked for, and a place too"),
        ({"at": (5, 6)}, "`at` is 5; it must be 2 whole numbers"),
        ({"at": 5}, "`at` is 5; it must be a list of points"),
        ({"box": "1,2,30,40"}, "`box` is '1,2,30,40'"),
        ({"subject": True, "segmenter": "best"}, "`segmenter` is 'best'; it must be one of auto,"),
        ({"at": [(n, 6) for n in range(33)]}, "33 points; at most 32"),
        ({"at": [(5, 6)], "grow": -1}, "`grow` is -1"),
        ({"at": [(5, 6)], "grow": 257}, "0 to 256"),
    ],
    ids=str,
)
def test_a_place_that_is_none_is_refused(
    photo: Photo, inpainter: Inpainter, pointed: dict[str, Any], words: str
) -> None:
    with pytest.raises(MaskError) as refused:
        remove(photo, **pointed, inpainter=inpainter)
    assert words in str(refused.value)


def test_tiny_and_broken_photos(inpainter: Inpainter) -> None:
    with pytest.raises(MaskError, match="7x30: to find an object it needs 8"):
        remove(np.zeros((30, 7, 3), np.uint8), at=[(1, 1)], inpainter=inpainter)
    with pytest.raises(ImageError):
        remove(b"no photo", at=[(1, 1)], inpainter=inpainter)
    tiny = np.zeros((8, 8, 3), np.uint8)
    everywhere = [(x, y) for x in range(0, 8, 2) for y in range(0, 8, 2)]
    with pytest.raises(MaskError):
        segment(tiny, at=everywhere)


def test_a_segmenter_that_is_not_there_names_its_command(photo: Photo) -> None:
    with pytest.raises(ReferenceMissingError, match="freefill references sam2"):
        segment(photo, at=[(60, 40)], segmenter="sam2")


def test_a_box_beyond_the_border_ends_there() -> None:
    assert prompt((96, 120), box=(-10, -10, 60, 50)).box == Box.whole((50, 60))


# --- front ends -----------------------------------------------------------------------------------


def test_the_command(command: Any, examples: Path, tmp_path: Path) -> None:
    _, seen, object_ = scene(examples, "sunset")
    source, out, mask = (tmp_path / name for name in ("in.png", "out.png", "mask.png"))
    Image.fromarray(seen).save(source)
    ran = command("remove", source, "--at", "130,60", "-o", out, "--mask-out", mask)
    assert ran.returncode == 0, ran.stderr
    assert "256x256" in ran.stdout
    assert "segmenter u2netp" in ran.stdout
    with Image.open(mask) as image:
        hole = np.asarray(image) > 127
    assert overlap(hole, object_) > 0.75
    with Image.open(out) as image:
        after = np.asarray(image)
    np.testing.assert_array_equal(after[~hole], seen[~hole])
    assert (after[hole] != seen[hole]).any()


def test_what_the_object_casts_is_offered_as_masks_of_their_own(
    command: Any, examples: Path, tmp_path: Path
) -> None:
    seen, object_, below = in_water(examples, "sunset")
    source, out, mask = (tmp_path / name for name in ("in.png", "out.png", "mask.png"))
    Image.fromarray(seen).save(source)
    words = ("remove", source, "--box", "87,17,177,107", "-o", out, "--mask-out", mask)
    ran = command(*words)
    assert ran.returncode == 0, ran.stderr
    offered = tmp_path / "mask_reflection.png"
    assert f"{offered}: the mask with the reflection" in ran.stderr.replace("\n", " ")
    assert (tmp_path / "mask_shadow.png").exists()
    with Image.open(mask) as one, Image.open(offered) as other:
        alone, both = np.asarray(one) > 127, np.asarray(other) > 127
    assert both[object_ | below].mean() > 0.9
    assert alone[below].mean() < 0.2
    for written in (out, mask, tmp_path / "mask_shadow.png"):
        written.unlink()
    ran = command(*words)
    assert ran.returncode == 2
    assert "mask_reflection.png exists" in ran.stderr.replace("\n", " ")
    # What is taken along is in the mask itself.
    offered.unlink()
    ran = command(*words, "--reflection", "--overwrite")
    assert ran.returncode == 0, ran.stderr
    assert not offered.exists()
    with Image.open(mask) as image:
        assert (np.asarray(image) > 127)[object_ | below].mean() > 0.9


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--at", "130"], ["--at 130", "2 whole numbers, X,Y"]),
        (["--at", "a,b"], ["--at a,b"]),
        (["--at", "1,1", "--not", "1.5,2"], ["--not 1.5,2"]),
        (["--box", "1,2,3"], ["--box 1,2,3", "L,T,R,B"]),
        ([], ["--at X,Y", "--box L,T,R,B", "--subject"]),
        (["--at", "400,20"], ["400,20", "256x256"]),
        (["--at", "130,60", "--segmenter", "sam2"], ["freefill references sam2"]),
        (["--at", "130,60", "--segmenter", "best"], ["'best'", "classical"]),
    ],
    ids=str,
)
def test_the_command_refuses_in_one_line(
    command: Any, examples: Path, tmp_path: Path, options: list[str], words: list[str]
) -> None:
    ran = command("remove", examples / "sunset.jpg", *options, "-o", tmp_path / "out.png")
    assert ran.returncode == 2
    (line,) = ran.stderr.splitlines()
    assert line.startswith("freefill: error: ")
    assert all(word in line for word in words), line
    assert not list(tmp_path.glob("*.png"))


def test_the_command_writes_what_is_doubtful_for_a_look_and_forces_it(
    command: Any, examples: Path, tmp_path: Path
) -> None:
    photo, out = examples / "sunset.jpg", tmp_path / "out.png"
    (tmp_path / "out_mask.png").write_bytes(b"somebody's")
    ran = command("remove", photo, "--at", "128,20", "-o", out)
    assert ran.returncode == 2
    notice, error = ran.stderr.splitlines()
    assert "out_mask_2.png" in notice
    assert "out_look.jpg" in notice
    assert "at 128,20 (256x256) is doubtful" in error
    assert "--force" in error
    assert not out.exists()
    assert (tmp_path / "out_mask.png").read_bytes() == b"somebody's"
    with Image.open(tmp_path / "out_mask_2.png") as image:
        found = np.asarray(image) > 127
    with Image.open(tmp_path / "out_look.jpg") as image, Image.open(photo) as before:
        redder = np.asarray(image, int)[..., 0] - np.asarray(before.convert("RGB"), int)[..., 0]
        green = np.asarray(image, int)[..., 1] - np.asarray(before.convert("RGB"), int)[..., 1]
    assert (redder - green)[found].mean() > 20 > abs((redder - green)[~found].mean())
    ran = command("remove", photo, "--at", "128,20", "-o", out, "--force")
    assert ran.returncode == 0, ran.stderr
    assert "doubtful" in ran.stderr
    with Image.open(out) as image, Image.open(photo) as before:
        same = np.asarray(image) == np.asarray(before.convert("RGB"))
    assert same.all(-1)[~found].all()


def test_beside_standard_output_nothing_is_written_unasked(
    command: Any, examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("remove", examples / "sunset.jpg", "--at", "128,20", "--out", "-")
    ran = command(*words)
    assert ran.returncode == 2
    assert "--mask-out FILE keeps what was found" in ran.stderr
    assert list(tmp_path.iterdir()) == []
    ran = command(*words, "--mask-out", "found.png")
    assert ran.returncode == 2
    assert sorted(file.name for file in tmp_path.iterdir()) == ["found.png", "found_look.jpg"]


def test_segmenters_are_listed_and_need_no_lab(command: Any) -> None:
    ran = command("references")
    assert ran.returncode == 0
    for name in ("u2netp", "sam2_encoder", "sam2_decoder"):
        (line,) = [line for line in ran.stdout.splitlines() if line.startswith(f"{name}:")]
        assert "Apache-2.0" in line
        assert line.endswith("comes with freefill" if name == "u2netp" else "not fetched")
    assert not any(third_party.MODELS[n].for_lab for n in ("u2netp", *third_party.GROUPS["sam2"]))
    assert third_party.MODELS["lpips_alex"].for_lab


def test_details_of_the_mask_are_json(examples: Path) -> None:
    _, seen, _ = scene(examples, "sunset")
    told = json.loads(json.dumps(segment(seen, at=[(130, 60)]).info))
    assert set(told) == {"segmenter", "object", "border", "edge", "agreement"}
