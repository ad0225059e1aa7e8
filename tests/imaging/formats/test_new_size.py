"""What metadata tell about the size, and about pictures behind the picture, holds in the result."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from freefill.imaging.formats.jpeg import APP1, APP2, XMP, Segment, segments, written
from freefill.imaging.io import encode, read_picture

PANORAMA = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><d GPano:CroppedAreaImageWidthPixels="120"'
    b' GPano:FullPanoWidthPixels="120" tiff:ImageWidth="120" tiff:ImageLength="96"/></x:xmpmeta>'
)


def described(photo: NDArray[np.uint8], file_format: str, orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif.get_ifd(0x8769).update({0xA002: photo.shape[1], 0xA003: photo.shape[0]})
    out = BytesIO()
    if file_format == "TIFF":
        # Pillow leaves out the folder of EXIF there.
        return encode(read_picture(described(photo, "PNG")), "TIFF")[0]
    # Pillow writes the XMP of all but PNG.
    options = {} if file_format == "PNG" else {"xmp": PANORAMA}
    Image.fromarray(photo).save(out, file_format, exif=exif, **options)
    return out.getvalue()


def told(content: bytes) -> tuple[int, int]:
    with Image.open(BytesIO(content)) as image:
        folder = image.getexif().get_ifd(0x8769)
    return folder[0xA003], folder[0xA002]


@pytest.mark.parametrize("target", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("source", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_another_frame_has_its_own_size(photo: NDArray[np.uint8], source: str, target: str) -> None:
    picture = read_picture(described(photo, source))
    assert told(encode(picture, target)[0]) == photo.shape[:2]
    wider = np.concatenate([picture.samples, picture.samples[:, :30]], 1)
    content, _ = encode(picture.reframed(wider), target)
    assert told(content) == (96, 150)
    if source not in ("PNG", "TIFF"):
        for word in (b'ImageWidthPixels="150"', b'FullPanoWidthPixels="150"', b'Width="150"'):
            assert word in content
        assert b'tiff:ImageLength="96"' in content


@pytest.mark.parametrize("target", ["PNG", "WEBP", "TIFF"])
def test_a_photo_that_is_turned_upright_has_its_own_size(
    photo: NDArray[np.uint8], target: str
) -> None:
    picture = read_picture(described(photo, "JPEG", 6))
    assert picture.size == told(encode(picture, target)[0]) == (120, 96)
    # As a JPEG it lies as it did.
    assert told(encode(picture, "JPEG")[0]) == (96, 120)


@pytest.mark.parametrize("target", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_nothing_announces_what_is_left_out(photo: NDArray[np.uint8], target: str) -> None:
    content = described(photo, "JPEG")
    found, place = segments(content)
    xmp = b'<d GCamera:MotionPhoto="1" hdrgm:Version="1.0" dc:format="image/jpeg"/>'
    more = [
        Segment(APP1, XMP + xmp),
        Segment(APP2, b"urn:iso:std:iso:ts:21496:-1\0" + bytes(4)),
    ]
    found = [s for s in found if not s.content.startswith(XMP)]
    content = b"\xff\xd8" + written([found[0], *more, *found[1:]]) + content[place:] + b"a video"
    result, _ = encode(read_picture(content), target)
    assert b"dc:format" in result
    for word in (b"MotionPhoto=", b"hdrgm:Version=", b"ts:21496"):
        assert word not in result
