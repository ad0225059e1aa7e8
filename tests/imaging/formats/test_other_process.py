"""A photo that one process has read is written by another, as a server does and a batch."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from freefill.imaging.formats import heif
from freefill.imaging.io import read_picture

WRITE = """
import pickle, sys
from freefill.imaging.io import encode
from freefill.pipeline.request import own_format
picture = pickle.load(sys.stdin.buffer)
sys.stdout.buffer.write(encode(picture, own_format(picture))[0])
"""


@pytest.mark.parametrize("file_format", ["HEIF", "WEBP", "TIFF", "JPEG2000"])
def test_each_format_is_written_where_nothing_was_read(
    photo: NDArray[np.uint8], file_format: str
) -> None:
    heif.register("the test's")
    content = io.BytesIO()
    Image.fromarray(photo).save(content, file_format)
    picture = read_picture(content.getvalue())
    ran = subprocess.run(
        [sys.executable, "-c", WRITE], input=pickle.dumps(picture), capture_output=True, check=False
    )
    assert ran.returncode == 0, ran.stderr.decode()
    written = read_picture(ran.stdout)
    assert written.format == file_format
    assert np.abs(written.samples.astype(int) - photo).mean() < 8
