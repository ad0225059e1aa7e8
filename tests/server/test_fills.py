"""What a fill answers: the library's own result, in every form that can be asked for."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from live import form
from numpy.typing import NDArray
from PIL import Image
from starlette.testclient import TestClient

from freefill.imaging.io import encode, read_picture
from freefill.pipeline import request
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import FillOptions, FillRequest

Answer = Any


def _expected(
    inpainter: Inpainter, image: bytes, mask: bytes | str, file_format: str, **options: Any
) -> bytes:
    guides = {name: options.pop(name, None) for name in ("sketch", "colour")}
    strip = options.pop("strip", False)
    request = FillRequest(image, mask, **guides, options=FillOptions(**options))
    return inpainter.run(request).encode(file_format, strip=strip).content


def _jpeg(examples: Path) -> bytes:
    exif = Image.Exif()
    exif[0x010F] = "A camera"
    out = io.BytesIO()
    with Image.open(examples / "coffee.jpg") as image:
        image.crop((100, 90, 260, 210)).save(out, "JPEG", quality=88, exif=exif, dpi=(300, 300))
    return out.getvalue()


def _png(pixels: NDArray[np.uint8]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def _spot(size: tuple[int, int]) -> bytes:
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]]
    spot = ((rows - 50) ** 2 + (columns - 70) ** 2 < 500).astype(np.uint8) * 255
    out = io.BytesIO()
    Image.fromarray(spot).save(out, "PNG")
    return out.getvalue()


def test_a_form_gives_the_librarys_bytes(
    client: TestClient, inpainter: Inpainter, image: bytes, mask: bytes
) -> None:
    answer = client.post("/v1/fill", files=form(image, mask))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"
    assert answer.content == _expected(inpainter, image, mask, "PNG")
    details = json.loads(answer.headers["fill-details"])
    assert (details["width"], details["height"]) == (120, 96)
    assert details["hole"] == pytest.approx(np.asarray(Image.open(io.BytesIO(mask))).mean())
    assert details["model"] == "light"
    assert details["format"] == "png"
    assert details["notices"] == []


def test_a_jpeg_stays_one_with_its_metadata(
    client: TestClient, inpainter: Inpainter, examples: Path
) -> None:
    photo = _jpeg(examples)
    mask = _spot((120, 160))
    answer = client.post("/v1/fill", files=form(photo, mask))
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.content == _expected(inpainter, photo, mask, "JPEG")
    with Image.open(io.BytesIO(answer.content)) as filled:
        assert filled.getexif()[0x010F] == "A camera"
        assert filled.info["dpi"] == (300, 300)
    bare = client.post("/v1/fill", files=form(photo, mask), data={"strip": "true"})
    with Image.open(io.BytesIO(bare.content)) as filled:
        assert 0x010F not in filled.getexif()


@pytest.mark.parametrize("head", ["", "data:image/png;base64,"])
def test_json_gives_the_same_as_a_form(
    client: TestClient, inpainter: Inpainter, image: bytes, mask: bytes, head: str
) -> None:
    # As `base64 FILE` writes it; the mask's has the line ends of another system.
    coded = [head + base64.encodebytes(part).decode() for part in (image, mask)]
    coded[1] = coded[1].replace("\n", "\r\n")
    body = {"image": coded[0], "mask": coded[1], "grow": 2}
    expected = _expected(inpainter, image, mask, "PNG", grow=2)
    assert client.post("/v1/fill", json=body).content == expected
    answer = client.post("/v1/fill", json=body, headers={"Accept": "application/json"})
    found = answer.json()
    assert base64.b64decode(found["image"]) == expected
    assert found["media_type"] == "image/png"
    assert found["width"] == 120
    assert "fill-details" not in answer.headers


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "image/png"),
        ("", "image/png"),
        ("image/webp,image/*;q=0.8,application/json;q=0.1", "image/png"),
        ("application/json, image/*;q=0.2", "application/json"),
        ("Application/JSON; q=0.9", "application/json"),
        ("application/json;q=0, */*", "image/png"),
        ("text/html", "image/png"),
        (";;,q=,application/json;q=x", "image/png"),
    ],
)
def test_accept_decides_between_image_and_json(
    client: TestClient, image: bytes, mask: bytes, accept: str, kind: str
) -> None:
    answer = client.post("/v1/fill", files=form(image, mask), headers={"Accept": accept})
    assert answer.headers["content-type"] == kind


@pytest.mark.parametrize(
    "options",
    [{"invert": True}, {"grow": 5}, {"soft": True}, {"invert": True, "soft": True}],
    ids=str,
)
def test_options_are_the_librarys(
    client: TestClient, inpainter: Inpainter, image: bytes, mask: bytes, options: dict[str, Any]
) -> None:
    with Image.open(io.BytesIO(mask)) as opened:
        grey = opened.convert("L").resize((60, 48)).resize((120, 96), Image.Resampling.BICUBIC)
    out = io.BytesIO()
    grey.save(out, "PNG")
    fields = {name: str(value).lower() for name, value in options.items()}
    answer = client.post("/v1/fill", files=form(image, out.getvalue()), data=fields)
    assert answer.content == _expected(inpainter, image, out.getvalue(), "PNG", **options)


def test_a_mask_of_another_size_is_refused_or_resized(
    client: TestClient, inpainter: Inpainter, image: bytes
) -> None:
    small = _spot((60, 90))
    refused = client.post("/v1/fill", files=form(image, small))
    assert refused.status_code == 422
    assert "120x96" in refused.json()["detail"]
    assert "90x60" in refused.json()["detail"]
    answer = client.post("/v1/fill", files=form(image, small), data={"fit": "resize"})
    assert answer.content == _expected(inpainter, image, small, "PNG", fit="resize")


def test_without_a_mask_the_transparent_part_is_filled(
    client: TestClient, inpainter: Inpainter, photo: NDArray[np.uint8], hole: NDArray[np.bool_]
) -> None:
    out = io.BytesIO()
    Image.fromarray(np.dstack([photo, np.where(hole, 0, 255).astype(np.uint8)])).save(out, "PNG")
    answer = client.post("/v1/fill", files=form(out.getvalue()))
    assert answer.content == _expected(inpainter, out.getvalue(), "alpha", "PNG")
    with Image.open(io.BytesIO(answer.content)) as filled:
        assert filled.getchannel("A").getextrema() == (255, 255)


def test_without_a_mask_what_is_opaque_stays_as_it_is(
    client: TestClient, image: bytes, photo: NDArray[np.uint8]
) -> None:
    out = io.BytesIO()
    opaque = np.dstack([photo, np.full(photo.shape[:2], 255, np.uint8)])
    Image.fromarray(opaque).save(out, "PNG")
    answer = client.post("/v1/fill", files=form(out.getvalue()))
    assert answer.status_code == 200
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(answer.content))), opaque)
    told = json.loads(answer.headers["fill-details"])["notices"]
    assert told == ["the mask is empty: nothing is filled"]
    # Without an alpha channel there is nothing that could have been meant.
    refused = client.post("/v1/fill", files=form(image))
    assert refused.status_code == 422
    assert "no mask is given" in refused.json()["detail"]


@pytest.mark.parametrize("file_format", ["jpeg", "webp", "tiff", "bmp", "gif", "avif"])
def test_the_format_can_be_another(
    client: TestClient, image: bytes, mask: bytes, file_format: str
) -> None:
    answer = client.post("/v1/fill", files=form(image, mask), data={"format": file_format})
    assert answer.headers["content-type"] == f"image/{file_format}"
    with Image.open(io.BytesIO(answer.content)) as filled:
        assert filled.format == file_format.upper()


def test_sixteen_bits_stay(client: TestClient, mask: bytes, hole: NDArray[np.bool_]) -> None:
    rows, columns = np.mgrid[0:96, 0:120].astype(np.uint16)
    deep = np.stack([rows * 600, columns * 500, rows * columns], -1)
    content, _ = encode(read_picture(deep), "PNG")
    answer = client.post("/v1/fill", files=form(content, mask))
    filled = read_picture(answer.content).samples
    assert filled.dtype == np.uint16
    assert (filled[~hole] == deep[~hole]).all()
    assert len(np.unique(filled[hole] % 256)) > 10


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
def test_a_patch_is_the_filled_part_and_nothing_else(
    client: TestClient, photo: NDArray[np.uint8], mask: bytes, hole: NDArray[np.bool_], mode: str
) -> None:
    out = io.BytesIO()
    Image.fromarray(photo).convert(mode).save(out, "PNG")
    whole = client.post("/v1/fill", files=form(out.getvalue(), mask))
    answer = client.post("/v1/fill", files=form(out.getvalue(), mask), data={"patch": "true"})
    details = json.loads(answer.headers["fill-details"])
    rows, columns = np.nonzero(hole)
    assert (details["left"], details["top"]) == (columns.min(), rows.min())
    assert (details["width"], details["height"]) == (120, 96)
    with Image.open(io.BytesIO(answer.content)) as image:
        patch = np.asarray(image)
    with Image.open(io.BytesIO(whole.content)) as image:
        filled = np.asarray(image.convert("RGB"))
    local = hole[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    assert patch.shape == (*local.shape, 4)
    assert (patch[..., 3] == np.where(local, 255, 0)).all()
    assert (patch[local][:, :3] == filled[hole]).all()


def test_a_patch_of_nothing_is_one_transparent_pixel(
    client: TestClient, image: bytes, hole: NDArray[np.bool_]
) -> None:
    out = io.BytesIO()
    Image.fromarray(np.zeros_like(hole)).save(out, "PNG")
    answer = client.post("/v1/fill", files=form(image, out.getvalue()), data={"patch": "true"})
    with Image.open(io.BytesIO(answer.content)) as patch:
        assert patch.size == (1, 1)
        assert patch.getpixel((0, 0)) == (0, 0, 0, 0)
    assert "empty" in json.loads(answer.headers["fill-details"])["notices"][0]


def test_notices_come_through_a_header_whatever_their_letters(
    client: TestClient, image: bytes, mask: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = "a notice of größe, \N{SNOWMAN}\r\nand more"

    def noted(*given: Any, **named: Any) -> tuple[bytes, list[str]]:
        return encode(*given, **named)[0], [line]

    monkeypatch.setattr(request, "encode", noted)
    answer = client.post("/v1/fill", files=form(image, mask))
    assert json.loads(answer.headers["fill-details"])["notices"] == [line]


def test_view_shows_what_no_browser_reads(
    client: TestClient, photo: NDArray[np.uint8], tmp_path: Path
) -> None:
    deep = photo.astype(np.uint16) * 257
    content, _ = encode(read_picture(deep), "TIFF")
    answer = client.post("/v1/view", files=form(content))
    assert answer.headers["view-size"] == "120x96"
    assert answer.headers["content-type"] == "image/jpeg"
    with Image.open(io.BytesIO(answer.content)) as shown:
        assert np.abs(np.asarray(shown).astype(int) - photo).mean() < 3
    small = client.post("/v1/view", files=form(content), data={"longest": "60"})
    assert small.headers["view-size"] == "120x96"
    with Image.open(io.BytesIO(small.content)) as shown:
        assert shown.size == (60, 48)
    clear = np.dstack([photo, np.full(photo.shape[:2], 77, np.uint8)])
    out = io.BytesIO()
    Image.fromarray(clear).save(out, "TIFF")
    answer = client.post("/v1/view", files=form(out.getvalue()))
    assert answer.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(answer.content)) as shown:
        assert (np.asarray(shown) == clear).all()


def test_a_mask_is_viewed_as_a_fill_reads_it(
    client: TestClient, photo: NDArray[np.uint8], hole: NDArray[np.bool_]
) -> None:
    red = np.zeros((*hole.shape, 4), np.uint8)
    red[hole] = 220, 20, 20, 255
    answer = client.post("/v1/view", files=form(_png(photo), _png(red)))
    assert answer.headers["view-size"] == "120x96"
    assert len(json.loads(answer.headers["view-notices"])) == 1  # how it was understood
    with Image.open(io.BytesIO(answer.content)) as shown:
        assert (shown.format, shown.mode) == ("PNG", "L")
        assert (np.asarray(shown) == 255 * hole).all()
    small = _png(hole[::2, ::2].astype(np.uint8) * 255)
    answer = client.post("/v1/view", files=form(_png(photo), small))
    assert answer.headers["view-size"] == "60x48"
    assert "view-notices" not in answer.headers
    with Image.open(io.BytesIO(answer.content)) as shown:
        assert shown.size == (120, 96)
    answer = client.post("/v1/view", files=form(_png(photo), b"no picture"))
    assert answer.status_code == 422
    assert "mask" in answer.json()["detail"]


def test_a_photo_lying_on_its_side_is_shown_upright(
    client: TestClient, photo: NDArray[np.uint8]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    Image.fromarray(photo).save(out, "TIFF", exif=exif)
    assert client.post("/v1/view", files=form(out.getvalue())).headers["view-size"] == "96x120"


def test_a_sketch_and_a_dab_of_colour_guide_a_fill(
    client: TestClient, inpainter: Inpainter, image: bytes, mask: bytes, hole: NDArray[np.bool_]
) -> None:
    def encoded(layer: NDArray[np.uint8]) -> bytes:
        out = io.BytesIO()
        Image.fromarray(layer).save(out, "PNG")
        return out.getvalue()

    rows, columns = np.nonzero(hole)
    middle = int(np.median(rows)), int(np.median(columns))
    line, dab = np.zeros((2, *hole.shape, 4), np.uint8)
    line[middle[0], :, 3] = 255
    dab[middle[0] - 3 : middle[0] + 4, middle[1] - 3 : middle[1] + 4] = (250, 20, 20, 255)
    sketch, colour = encoded(line), encoded(dab)
    plain = client.post("/v1/fill", files=form(image, mask))
    drawn = {"sketch": ("s.png", sketch), "colour": ("c.png", colour)}
    answer = client.post("/v1/fill", files={**form(image, mask), **drawn})
    assert answer.status_code == 200
    assert answer.content == _expected(inpainter, image, mask, "PNG", sketch=sketch, colour=colour)
    assert answer.content != plain.content
    texts = {"image": image, "mask": mask, "sketch": sketch, "colour": colour}
    coded = {name: base64.b64encode(part).decode() for name, part in texts.items()}
    assert client.post("/v1/fill", json=coded).content == answer.content
    refused = client.post(
        "/v1/fill", files={**form(image, mask), "sketch": ("s.png", encoded(line[1:]))}
    )
    assert refused.status_code == 422
    assert refused.json()["type"] == "urn:freefill:problem:guidance"
    assert "resize it" in refused.json()["detail"]
    (model,) = client.get("/v1/models").json()["models"]
    assert model["sketch"] is True
