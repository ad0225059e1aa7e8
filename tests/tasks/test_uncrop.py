"""Uncrop: the photo stays, its border is better than repeated edges, nonsense is refused."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from starlette.testclient import TestClient

from freefill.errors import ImageError
from freefill.imaging.io import encode, read_picture
from freefill.pipeline.inpainter import Inpainter
from freefill.server.app import build
from freefill.server.settings import Settings
from freefill.tasks import uncrop

Run = Callable[..., "CompletedProcess[str]"]

Pixels = NDArray[Any]


def _photo(examples: Path, name: str) -> Pixels:
    with Image.open(examples / f"{name}.jpg") as image:
        return np.asarray(image.convert("RGB"))


def test_the_photo_stays_in_its_place_bit_for_bit(photo: Pixels, inpainter: Inpainter) -> None:
    before = photo.copy()
    result = uncrop(photo, left=17, right="10%", top="5px", bottom="12.5%", inpainter=inpainter)
    height, width = photo.shape[:2]
    assert result.image.shape == (height + 5 + 12, width + 17 + 12, 3)
    assert (result.image[5 : 5 + height, 17 : 17 + width] == photo).all()
    assert (photo == before).all()
    inside = np.zeros(result.mask.shape, bool)
    inside[5 : 5 + height, 17 : 17 + width] = True
    assert (result.mask == ~inside).all()


def test_cut_borders_come_back_better_than_repeated_edges(
    examples: Path, inpainter: Inpainter
) -> None:
    errors, textures = [], []
    for name, turns in (("bee", 0), ("coffee", 2), ("fruit", 0), ("street", 1), ("dandelion", 3)):
        truth = np.rot90(_photo(examples, name)[:240, :240], turns)
        kept = np.ascontiguousarray(truth[:, 48:])
        result = uncrop(kept, left=48, inpainter=inpainter).image
        edge = np.pad(kept, ((0, 0), (48, 0), (0, 0)), "edge")
        pictures = [made[:, :48].astype(float) for made in (truth, result, edge)]
        errors.append([np.abs(made - pictures[0]).mean() for made in pictures[1:]])
        # The border has a texture, where repeated edges have none along their rows.
        true, made, _ = (np.abs(np.diff(picture, axis=1)).mean() for picture in pictures)
        textures.append(made / true)
    own, naive = np.mean(errors, 0)
    assert own < 0.95 * naive
    assert 0.4 < np.mean(textures) < 1.6


def test_what_is_even_goes_on_evenly_through_several_bands(inpainter: Inpainter) -> None:
    plain = np.full((96, 96, 3), (90, 140, 200), np.uint8)
    seen: list[tuple[int, int]] = []
    result = uncrop(
        plain, right="100%", inpainter=inpainter, progress=lambda *now: seen.append(now)
    )
    assert (result.image == plain[0, 0]).all()
    # Four bands of a quarter each, told as one piece of work.
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (4, 4)


@pytest.mark.parametrize(
    ("aspect", "anchor", "size", "place"),
    [
        ("16:9", "centre", (96, 171), (0, 25)),
        ("16:9", "left", (96, 171), (0, 0)),
        ("16:9", "right", (96, 171), (0, 51)),
        ("1:1", "centre", (120, 120), (12, 0)),
        ("1/1", "top", (120, 120), (0, 0)),
        ("1.0x1", "bottom", (120, 120), (24, 0)),
    ],
)
def test_an_aspect_adds_on_one_axis_and_cuts_nothing(
    photo: Pixels,
    inpainter: Inpainter,
    aspect: str,
    anchor: Any,
    size: tuple[int, int],
    place: tuple[int, int],
) -> None:
    result = uncrop(photo, aspect=aspect, anchor=anchor, inpainter=inpainter)
    assert result.image.shape[:2] == size
    top, left = place
    assert (result.image[top : top + 96, left : left + 120] == photo).all()


def test_a_photo_of_that_shape_stays_as_it_is(photo: Pixels, inpainter: Inpainter) -> None:
    result = uncrop(photo, aspect="5:4", inpainter=inpainter)
    assert (result.image == photo).all()
    assert not result.mask.any()
    assert "120x96" in result.notices[0]


def test_sixteen_bits_grey_and_palette_keep_their_samples(
    photo: Pixels, inpainter: Inpainter
) -> None:
    deep = photo[..., 1].astype(np.uint16) * 257
    result = uncrop(deep, bottom=20, inpainter=inpainter).image
    assert result.dtype == np.uint16
    assert (result[:96] == deep).all()
    assert len(np.unique(result[96:] % 257)) > 10
    palette = Image.fromarray(photo).quantize(16)
    made = uncrop(palette, bottom=20, inpainter=inpainter).image
    assert made.mode == "P"
    assert (np.asarray(made)[:96] == np.asarray(palette)).all()
    assert np.asarray(made).max() < 16


def test_beside_transparent_pixels_nothing_is_made_up(photo: Pixels, inpainter: Inpainter) -> None:
    clear = np.dstack([photo, np.full(photo.shape[:2], 255, np.uint8)])
    clear[:40, :, 3] = 0
    result = uncrop(clear, left=30, inpainter=inpainter)
    assert (result.image[:40, :30, 3] == 0).all()
    assert (result.image[40:, :30, 3] == 255).all()
    assert not result.mask[:40].any()
    assert result.mask[40:, :30].all()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "nothing is to be added"),
        ({"left": "0%"}, "nothing is to be added"),
        ({"left": 121}, r"121 pixels .* photo that is 120 pixels wide; at most 120"),
        ({"bottom": "101%"}, r"97 pixels .* photo that is 96 pixels high; at most 96"),
        ({"top": "9" * 400}, "at most 96"),
        ({"right": -3}, "`right` is -3"),
        ({"right": "1e3"}, "`right` is '1e3'"),
        ({"right": "ten"}, "`right` is 'ten'"),
        ({"aspect": "16"}, "width:height"),
        ({"aspect": "0:9"}, "width:height"),
        ({"right": 1.5}, "`right` is 1.5; it must be a whole number or a text"),
        ({"aspect": 2}, "`aspect` is 2"),
        ({"aspect": "2:1", "anchor": "middle"}, "`anchor` is 'middle'; it must be one of centre"),
        ({"aspect": "9:1"}, r"at most 120"),
        ({"aspect": "2:1", "left": 4}, "one or the other"),
        ({"aspect": "2:1", "anchor": "top"}, "left, centre or right"),
        ({"anchor": "left", "left": 4}, "give one"),
        ({"left": 100, "max_pixels": 20_000}, "220x96"),
    ],
    ids=str,
)
def test_nonsense_is_refused_in_a_line(
    photo: Pixels, inpainter: Inpainter, options: dict[str, Any], told: str
) -> None:
    with pytest.raises(ImageError, match=told) as refused:
        uncrop(photo, **options, inpainter=inpainter)
    assert "\n" not in str(refused.value)


def test_the_command_writes_photo_and_mask(command: Run, photo: Pixels, tmp_path: Path) -> None:
    source, out, mask = (tmp_path / name for name in ("in.png", "out.png", "mask.png"))
    Image.fromarray(photo).save(source)
    ran = command("uncrop", source, "--left", "25%", "-o", out, "--mask-out", mask)
    assert ran.returncode == 0, ran.stderr
    assert "out.png: 150x96, 20.0% filled" in ran.stdout
    assert (np.asarray(Image.open(out))[:, 30:] == photo).all()
    assert (np.asarray(Image.open(mask)) == 255).mean() == pytest.approx(0.2)
    again = command("uncrop", source, "--left", "200%", "-o", tmp_path / "b.png")
    assert again.returncode == 2
    assert again.stderr.count("\n") == 1
    assert "240 pixels" in again.stderr
    assert not (tmp_path / "b.png").exists()


def test_the_route_gives_the_functions_own_bytes(photo: Pixels, inpainter: Inpainter) -> None:
    content = encode(read_picture(photo), "PNG")[0]
    expected = uncrop(photo, aspect="16:9", anchor="left", inpainter=inpainter)
    with TestClient(build(Settings(workers=1)), base_url="http://127.0.0.1:8080") as client:

        def ask(**fields: str) -> Any:
            return client.post("/v1/uncrop", files={"image": ("a.png", content)}, data=fields)

        answer = ask(aspect="16:9", anchor="left")
        assert answer.status_code == 200, answer.text
        assert (np.asarray(Image.open(io.BytesIO(answer.content))) == expected.image).all()
        details = json.loads(answer.headers["fill-details"])
        assert (details["width"], details["height"]) == (171, 96)
        assert ask(left="ten").status_code == 422
        refused = ask(left="150")
        assert refused.status_code == 422
        assert "at most 120" in refused.json()["detail"]
