"""TIFF that Pillow does not read: floats, 16 bits with a plane for each channel, grey with alpha.

tifffile reads them; it is imported only for such files. Compressions other than deflate need its
companion imagecodecs, which at 26 MB is left to those who have such files.
"""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from freefill.errors import ImageError
from freefill.imaging.formats.ifd import Directory
from freefill.imaging.formats.tiff import (
    BITS,
    CHANNELS,
    COMPRESSION,
    PHOTOMETRIC,
    PLANAR,
    RAW,
    SAMPLE_FORMAT,
)


def needed(tags: Directory) -> bool:
    """Whether the samples are of a kind that Pillow does not read, or not whole."""
    bits, channels = tags.first(BITS, 1), tags.first(CHANNELS, 1)
    if tags.first(SAMPLE_FORMAT, 1) == 3:
        return True
    planes = tags.first(PLANAR, 1) == 2 and channels > 1
    grey = tags.first(PHOTOMETRIC, 1)
    odd = (channels == 2 and grey < 2) or (channels == 1 and grey == 0 and tags.order == ">")
    return bits == 16 and (planes or odd)


def read(file: BinaryIO, tags: Directory) -> tuple[NDArray[Any], str]:
    """Read floats, or planes of 16 bits.

    Args:
        file: The TIFF.
        tags: Its directory.

    Returns:
        The samples, ``(H, W)`` or ``(H, W, C)``, and their mode.

    Raises:
        ImageError: If they have a form that cannot be used: values beyond [0, 1], five channels.
    """
    import tifffile

    file.seek(0)
    with tifffile.TiffFile(file) as opened:
        page = opened.pages[0]
        try:
            samples = page.asarray()
        except (ValueError, ImportError) as error:
            # Zstandard is looked for in Python itself, which has it from 3.14 on.
            if isinstance(error, ValueError) and "imagecodecs" not in str(error):
                raise
            raise ImageError(
                f"its compression {tags.first(COMPRESSION, RAW)} of {samples_of(tags)} needs "
                "another reader: pip install imagecodecs, or save it without compression"
            ) from None
    if tags.first(PLANAR, 1) == 2 and samples.ndim == 3:
        samples = np.ascontiguousarray(np.moveaxis(samples, 0, -1))
    channels = 1 if samples.ndim == 2 else samples.shape[-1]
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}.get(channels)
    photometric = tags.first(PHOTOMETRIC, 1)
    wanted = (0, 1) if channels < 3 else (2,)
    if mode is None or samples.ndim > 3 or photometric not in wanted:
        raise ImageError(
            f"it holds {samples_of(tags)} in a way (photometric {photometric}) that is not "
            "supported: grey and RGB are, with or without alpha"
        )
    if samples.dtype.kind == "f":
        _check_floats(samples)
    elif mode == "L":
        mode = "I;16"
    if photometric == 0:
        samples = _turned_round(samples)
    return samples.astype(samples.dtype.newbyteorder("=")), mode


def _turned_round(samples: NDArray[Any]) -> NDArray[Any]:
    """Make white of zero, leaving alpha as it is."""
    peak = 1 if samples.dtype.kind == "f" else np.iinfo(samples.dtype).max
    grey = samples if samples.ndim == 2 else samples[..., :1]
    turned: NDArray[Any] = (peak - grey).astype(samples.dtype)
    return turned if samples.ndim == 2 else np.concatenate([turned, samples[..., 1:]], -1)


def samples_of(tags: Directory) -> str:
    """Say in words what the samples are."""
    kind = "float" if tags.first(SAMPLE_FORMAT, 1) == 3 else "integer"
    return f"{tags.first(CHANNELS, 1)} channels of {tags.first(BITS, 1)}-bit {kind}s"


def _check_floats(samples: NDArray[Any]) -> None:
    wrong = int(samples.size - np.isfinite(samples).sum())
    if wrong:
        raise ImageError(
            f"{wrong} of its {samples.size} float samples are NaN or infinite: write numbers in "
            "[0, 1] there, also inside the hole"
        )
    low, high = float(samples.min()), float(samples.max())
    if low < 0 or high > 1:
        raise ImageError(
            f"its float samples go from {low:g} to {high:g}; they have to lie in [0, 1]: divide "
            "by what white is"
        )
