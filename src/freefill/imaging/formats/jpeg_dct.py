"""JPEG to JPEG: blocks that the hole does not touch keep their coefficients, bit for bit.

A JPEG that is decoded and coded again loses a little everywhere. Here only the 8x8 blocks that
contain a filled pixel are coded anew, with the file's own tables, and every other coefficient is
the input's. Reading and writing coefficients is jpeglib's, which the extra ``jpeg`` installs; the
transform of the new blocks is ITU-T T.81, annex A.
"""

from __future__ import annotations

import functools
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from freefill.errors import ExtraMissingError
from freefill.imaging.formats.jpeg import frame, segments

EXTRA = "pip install 'freefill[jpeg]'"

BASELINE, EXTENDED, PROGRESSIVE = 0xC0, 0xC1, 0xC2

# JFIF 1.02: ITU-R BT.601 with the full range of 8 bits.
TO_YCC = np.array(
    [[0.299, 0.587, 0.114], [-0.168735892, -0.331264108, 0.5], [0.5, -0.418687589, -0.081312411]],
    np.float32,
)

_row, _column = np.mgrid[0:8, 0:8]
COSINES = (
    np.where(_row == 0, np.sqrt(1 / 8), 0.5) * np.cos((2 * _column + 1) * _row * np.pi / 16)
).astype(np.float32)
"""The transform of 8 samples: ``COSINES @ block @ COSINES.T`` is that of a block."""


_one_at_a_time = threading.Lock()


def why_not(content: bytes, mode: str) -> str | None:
    """Say why the coefficients of a file cannot be kept.

    Args:
        content: The JPEG.
        mode: Mode of its samples.

    Returns:
        The reason, or ``None`` if they can be.
    """
    if mode not in ("L", "RGB"):
        return f"blocks of {mode} are all coded again"
    marker, depth, factors = frame(segments(content)[0])
    if marker not in (BASELINE, EXTENDED, PROGRESSIVE) or depth != 8:
        return f"one of kind 0x{marker:X} with {depth} bits is coded again as a whole"
    for sizes in zip(*factors, strict=True):
        if any(max(sizes) % size for size in sizes):
            return f"one whose channels have sizes {sizes} is coded again as a whole"
    try:
        _library()
    except ExtraMissingError:
        return f"all of its blocks are coded again; {EXTRA} keeps those outside the hole"
    return None


def _library() -> Any:
    try:
        import jpeglib
    except ImportError:
        raise ExtraMissingError(EXTRA) from None
    return jpeglib


def replaced(content: bytes, samples: NDArray[np.uint8], touched: NDArray[np.bool_]) -> bytes:
    """Give a JPEG with new pixels in some places and its own coefficients everywhere else.

    Args:
        content: The JPEG.
        samples: ``(H, W)`` or ``(H, W, 3)``: its pixels, turned as they lie in the file, with the
            new ones among them.
        touched: ``(H, W)``, True where they are new.

    Returns:
        The JPEG, progressive if it was. Its segments are the library's and have to be replaced.
    """
    library = _library()
    progressive = frame(segments(content)[0]).marker == PROGRESSIVE
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "source.jpg"), Path(folder, "target.jpg")
        source.write_bytes(content)
        # Of the libraries inside jpeglib, MozJPEG is the one that writes coefficients in scans.
        wanted = "mozjpeg403" if progressive else "6b"
        # Which library that is, jpeglib keeps in a global.
        with _one_at_a_time, _files_in(library, folder), library.version(wanted):
            image = library.read_dct(str(source))
            image.load()
            _replace(image, samples, touched)
            image.write_dct(str(target), flags=["+OPTIMIZE_CODING"])
        return target.read_bytes()


class _Folder:
    """Stands in for the module ``tempfile`` where files are to be made in one folder."""

    def __init__(self, folder: str) -> None:
        self.NamedTemporaryFile = functools.partial(tempfile.NamedTemporaryFile, dir=folder)


@contextmanager
def _files_in(library: Any, folder: str) -> Iterator[None]:
    """Have jpeglib make its temporary files in a folder that is removed.

    It copies each photo to a file of its own, and leaves that behind when the photo is damaged.
    """
    module = library.dct_jpeg
    kept = module.tempfile
    module.tempfile = _Folder(folder)
    try:
        yield
    finally:
        module.tempfile = kept


def _replace(image: Any, samples: NDArray[np.uint8], touched: NDArray[np.bool_]) -> None:
    pixels = samples[..., None] if samples.ndim == 2 else samples
    factors = np.array(image.samp_factor).reshape(-1, 2)[: pixels.shape[2]]
    mixed = "YCbCr" in str(image.jpeg_color_space)
    for i, name in enumerate(("Y", "Cb", "Cr")[: pixels.shape[2]]):
        blocks = getattr(image, name)
        down, across = (
            int(most // own) for most, own in zip(factors.max(0), factors[i], strict=True)
        )
        rows, columns = _touched_blocks(touched, 8 * down, 8 * across)
        cut = _cut(pixels, rows, columns, down, across)
        plane = cut @ TO_YCC[i] if mixed else cut[..., i]
        # Luminance and RGB are stored around their middle; differences of colour are already.
        level = np.float32(0 if mixed and i else 128)
        cells = plane.reshape(-1, 8, down, 8, across).mean((2, 4)) - level
        table = np.asarray(image.get_component_qt(i), np.float32)
        # 8-bit JPEG has room for 10 bits and a sign.
        new = np.clip(np.rint(COSINES @ cells @ COSINES.T / table), -1023, 1023)
        blocks[rows, columns] = new.astype(blocks.dtype)
        setattr(image, name, blocks)


def _touched_blocks(
    touched: NDArray[np.bool_], height: int, width: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Find the blocks, as rows and columns of them, that a hole reaches into."""
    rows, columns = np.nonzero(touched)
    wide = -(-touched.shape[1] // width)
    numbers = np.unique(rows // height * wide + columns // width)
    return numbers // wide, numbers % wide


def _cut(
    pixels: NDArray[np.uint8],
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    down: int,
    across: int,
) -> NDArray[np.float32]:
    """Cut out what blocks cover, ``(n, 8 * down, 8 * across, C)``."""
    # Beyond the border the last pixel goes on, as encoders have it.
    y = np.minimum(rows[:, None] * 8 * down + np.arange(8 * down), pixels.shape[0] - 1)
    x = np.minimum(columns[:, None] * 8 * across + np.arange(8 * across), pixels.shape[1] - 1)
    cut: NDArray[np.float32] = pixels[y[:, :, None], x[:, None, :]].astype(np.float32)
    return cut
