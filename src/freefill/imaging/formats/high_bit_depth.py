"""16 bits a channel in colour, through Pillow's own decoders.

Pillow has no mode for 16-bit colour: its unpackers take one byte of each sample and drop the other.
Which one, the raw mode says: ``16B`` takes the first of two bytes, ``16L`` the second. Decoding
twice gives both, so that everything its decoders know (interlaced PNG; tiles, strips and every
compression of TIFF) is read with all of its bits, without another library.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

Opener = Callable[[BinaryIO], ImageFile.ImageFile]

MODES = {"RGB": "RGB", "RGBA": "RGBA", "RGBa": "RGBA", "RGBX": "RGB", "CMYK": "CMYK", "LA": "LA"}
"""Raw modes of 16 bits to the modes that their samples make."""


def raw_mode(image: Image.Image) -> str:
    """Give the raw mode that a file's pixels are unpacked with, such as ``RGB;16B``."""
    for tile in getattr(image, "tile", []):
        found = tile.args[0] if isinstance(tile.args, tuple) else tile.args
        if isinstance(found, str):
            return found
    return ""


def is_deep(image: Image.Image) -> bool:
    """Whether a file that is open, and not loaded, has 16 bits a channel that Pillow would cut."""
    name, _, depth = raw_mode(image).partition(";")
    return depth.startswith("16") and name in MODES


def read(file: BinaryIO, opener: Opener) -> tuple[NDArray[np.uint16], str]:
    """Read all bits.

    Args:
        file: The file.
        opener: What opens it; its result's pixels are not loaded yet.

    Returns:
        ``(H, W, C)`` uint16, and the mode that the channels make.
    """
    file.seek(0)
    content = file.read()

    def decoded(mode: str, raw: str) -> NDArray[np.uint8]:
        image = opener(BytesIO(content))
        image.tile = [
            tile._replace(args=(raw, *tile.args[1:]) if isinstance(tile.args, tuple) else raw)
            for tile in image.tile
        ]
        image._mode = mode
        image.load()
        return np.asarray(image)

    name, _, order = raw_mode(opener(BytesIO(content))).partition(";")
    if name == "LA":
        # As four channels of 8 bits, whose bytes nothing touches.
        whole = np.ascontiguousarray(decoded("RGBA", "RGBA"))
        return whole.view(">u2").astype(np.uint16), "LA"
    # Of colours that are multiplied by alpha: as they are stored. Pillow would divide them by an
    # alpha that was cut to 8 bits.
    stored = "RGBA" if name == "RGBa" else name
    mode = MODES[name]
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda raw: decoded(mode, f"{stored};{raw}"), ("16B", "16L"))
    big = order == "16B" or (order == "16N" and sys.byteorder == "big")
    high, low = (first, second) if big else (second, first)
    samples = high.astype(np.uint16)
    samples <<= 8
    samples |= low
    return samples, mode


def lost_bits(file: BinaryIO, image: ImageFile.ImageFile) -> int:
    """Give the bits a channel of a file that Pillow reads with 8; 0 where it reads all of them.

    Args:
        file: The file.
        image: It, open and not loaded.

    Returns:
        10, 12 or 16, for AVIF, JPEG 2000 and PPM, of which nothing here reads more.
    """
    if image.mode not in ("RGB", "RGBA", "LA"):
        return 0
    depth = 8
    if image.format == "PPM":
        ends = [tile.args[1] for tile in image.tile if isinstance(tile.args, tuple)]
        depth = 16 if ends and isinstance(ends[0], int) and ends[0] > 255 else 8
    elif image.format in ("AVIF", "JPEG2000"):
        file.seek(0)
        head = file.read(1 << 16)
        # AVIF: a box of the bits of each channel (ISO 23008-12, 6.5.6). JPEG 2000: the marker of
        # sizes (T.800, A.5.1), in which the depth of the first channel is the 41st byte.
        avif = image.format == "AVIF"
        place = head.find(b"pixi") + 9 if avif else head.find(b"\xff\x4f\xff\x51") + 42
        if place >= 42 or (avif and place > 9):
            depth = head[place : place + 1][0] if avif else (head[place] & 127) + 1
    return depth if 8 < depth <= 16 else 0
