"""Depths that no reader here gives whole are told."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from freefill.imaging.formats.high_bit_depth import lost_bits
from freefill.imaging.io import read_picture


def saved(file_format: str) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (32, 24), (10, 130, 250)).save(buffer, file_format)
    return buffer.getvalue()


def deeper(file_format: str) -> bytes:
    """The same file, whose header says that it has more than 8 bits."""
    content = bytearray(saved(file_format))
    if file_format == "AVIF":
        place = content.index(b"pixi")
        content[place + 9 : place + 12] = bytes([10, 10, 10])
    elif file_format == "JPEG2000":
        place = content.index(b"\xff\x4f\xff\x51") + 42
        content[place : place + 7 : 3] = bytes([15, 15, 15])
    else:
        samples = np.zeros((24, 32, 3), ">u2")
        return b"P6 32 24 65535\n" + samples.tobytes()
    return bytes(content)


@pytest.mark.parametrize(("file_format", "bits"), [("AVIF", 10), ("JPEG2000", 16), ("PPM", 16)])
def test_bits_that_are_lost_are_told(file_format: str, bits: int) -> None:
    image = Image.open(BytesIO(deeper("PPM") if file_format == "PPM" else saved(file_format)))
    assert lost_bits(BytesIO(deeper(file_format)), image) == bits
    assert lost_bits(BytesIO(saved(file_format)), Image.open(BytesIO(saved(file_format)))) == 0
    assert not read_picture(saved(file_format)).notices


@pytest.mark.parametrize(("file_format", "bits"), [("JPEG2000", 16), ("PPM", 16)])
def test_reading_tells(file_format: str, bits: int) -> None:
    # Of AVIF the decoder refuses a file whose header was changed.
    (line,) = read_picture(deeper(file_format)).notices
    assert f"{bits} bits a channel" in line
