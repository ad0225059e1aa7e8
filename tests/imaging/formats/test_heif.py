"""HEIC is written at a speed that a large photo can be waited for."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image

from freefill.imaging.io import encode, read_picture

pillow_heif.register_heif_opener()


def test_heic_is_written_by_the_fastest_preset(photo: NDArray[np.uint8]) -> None:
    content, _ = encode(read_picture(photo), "HEIF")
    fast, slow = BytesIO(), BytesIO()
    Image.fromarray(photo).save(fast, "HEIF", quality=90, enc_params={"preset": "ultrafast"})
    Image.fromarray(photo).save(slow, "HEIF", quality=90)
    # Presets write other bytes: what is in the file is what the fastest one made.
    assert content[-1000:] == fast.getvalue()[-1000:] != slow.getvalue()[-1000:]
