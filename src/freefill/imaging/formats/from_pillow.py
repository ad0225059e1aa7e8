"""What Pillow has read as a picture: samples, upright, and what has to be carried to the result."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

from freefill.errors import ImageError
from freefill.imaging.codecs import CODECS, NOTED, Samples
from freefill.imaging.formats import (
    tiff,
)
from freefill.imaging.formats.ifd import ORIENTATION, BadDirectory, read_block
from freefill.imaging.formats.metadata import (
    clean_exif,
    clean_xmp,
    orientation_of,
    xmp_orientation,
)
from freefill.imaging.picture import Picture, SourceMetadata
from freefill.imaging.rotate import apply_orientation

KEPT = ("icc_profile", "exif", "xmp", "dpi", "transparency", "compression", "gamma", "comment")
"""What is carried from Pillow's ``info`` of the source to the result's."""


def from_pillow(
    image: Image.Image,
    kind: Literal["path", "bytes", "pil"],
    name: str,
    samples: Samples | None = None,
    mode: str | None = None,
) -> Picture:
    """Take over what Pillow has read.

    Args:
        image: Pillow's image.
        kind: Where it came from.
        name: What errors call it.
        samples: The samples, where Pillow cannot hold them, as they lie in the file.
        mode: Their mode.

    Returns:
        The picture, upright.

    Raises:
        ImageError: If the mode is not supported.
    """
    notices: list[str] = []
    file_format = image.format
    if samples is None:
        depth = image.info.get("bit_depth", 8)
        if file_format == "HEIF" and depth > 8:
            notices.append(f"{name} has {depth} bits a channel: it is read and written with 8")
        samples, mode = _samples(image, name)
    assert mode is not None
    info = {k: v for k, v in image.info.items() if k in KEPT}
    if not _is_resolution(info.get("dpi")):
        info.pop("dpi", None)
    if "icc_profile" in info and not (
        isinstance(info["icc_profile"], bytes) and info["icc_profile"]
    ):
        # Pillow's word for one that it cannot put together.
        del info["icc_profile"]
        notices.append(f"{name} has a damaged colour profile: it is left out")
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        info["qtables"] = image.quantization
        info["progressive"] = bool(image.info.get("progressive"))
        sampling = JpegImagePlugin.get_sampling(image)
        if sampling >= 0:
            info["subsampling"] = sampling
    orientation = _orientation(image, kind, info, notices)
    _carry_exif(image, kind, info, orientation)
    palette = _palette(image, samples, name) if mode == "P" else None
    opacities = _opacities(image) if mode == "P" else None
    if opacities is not None and "transparency" not in info:
        info["transparency"] = opacities
    if mode in NOTED:
        notices.append(f"{name} is {NOTED[mode]}")
    upright = apply_orientation(samples, orientation) if orientation > 1 else samples
    metadata = SourceMetadata(orientation)
    return Picture(upright, mode, kind, file_format, info, palette, notices, metadata)


def _orientation(image: Image.Image, kind: str, info: dict[str, Any], notices: list[str]) -> int:
    """Give how the samples have to be turned, 1 to 8."""
    # Pillow turns TIFFs itself.
    if image.format == "TIFF":
        return 1
    if kind == "pil":
        try:
            found = image.getexif().get(ORIENTATION, 1)
        except Exception:  # whatever damaged EXIF trips Pillow over; it then gives none
            found = 1
            notices.append("the image has damaged EXIF: it is left out")
    else:
        # Without Pillow's reader, which unpacks all of the EXIF for this one number.
        exif, xmp = info.get("exif"), info.get("xmp")
        found = orientation_of(exif) if isinstance(exif, bytes) else None
        if found is None and xmp:
            found = xmp_orientation(xmp.encode() if isinstance(xmp, str) else xmp)
    return int(found) if found in range(1, 9) else 1


def _is_resolution(found: Any) -> bool:
    """Whether dots per inch are a pair that can be written: damaged files say anything."""
    try:
        across, down = (float(value) for value in found)
    except (TypeError, ValueError, ZeroDivisionError):
        return False
    return 0 < across < 400_000 and 0 < down < 400_000


def _samples(image: Image.Image, name: str) -> tuple[Samples, str]:
    if image.mode in ("I;16B", "I;16L", "I;16N"):
        return np.asarray(image).astype(np.uint16), "I;16"
    if image.mode == "I" and image.format == "PPM":
        # 16 bits of grey, scaled to all of them.
        return np.asarray(image).astype(np.uint16), "I;16"
    if image.mode not in CODECS:
        raise ImageError(
            f"{name} has Pillow mode {image.mode}; modes that work: {', '.join(CODECS)}"
        )
    samples = np.asarray(image)
    if samples.dtype == bool:
        # Pillow's True is a byte of 255, which NumPy's is unequal to here and there.
        samples = samples.view(np.uint8) > 0
    if samples.size == 0:
        raise ImageError(f"{name} is {image.width}x{image.height}: there is nothing in it")
    return samples, image.mode


def _carry_exif(image: Image.Image, kind: str, info: dict[str, Any], orientation: int) -> None:
    """Keep EXIF and XMP byte for byte where they are bytes, and let them say: upright."""
    if isinstance(info.get("xmp"), str):
        info["xmp"] = info["xmp"].encode()
    if info.get("xmp"):
        info["xmp"] = clean_xmp(info["xmp"])
    raw = info.pop("exif", None)
    if kind != "pil":
        if isinstance(raw, bytes):
            info["exif"] = clean_exif(raw)
        return
    exif = image.getexif()
    if orientation > 1:
        exif = Image.Exif()
        exif.load(image.getexif().tobytes())
        exif.pop(ORIENTATION, None)
    block: bytes | None = exif.tobytes()
    if image.format == "TIFF":
        # There Pillow counts everything as EXIF, also where the strips lie.
        with suppress(BadDirectory):
            block = tiff.exif_of(read_block(exif.tobytes()))
    if block and block != Image.Exif().tobytes():
        info["exif"] = block


def _palette(image: Image.Image, samples: Samples, name: str) -> NDArray[np.uint8]:
    table = np.array(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
    if not len(table):
        raise ImageError(f"{name} has a palette without colours")
    # Samples beyond the last colour are shown black. Without an entry of their own they would be
    # written with as few bits as the palette needs, and become another colour.
    missing = int(samples.max()) + 1 - len(table)
    return np.concatenate([table, np.zeros((max(0, missing), 3), np.uint8)])


def _opacities(image: Image.Image) -> bytes | None:
    """Give the opacity of each entry of a palette that holds it; ``None`` if all are opaque."""
    if image.palette is None or image.palette.mode != "RGBA":
        return None
    opacities = bytes((image.getpalette("RGBA") or [])[3::4])
    return opacities if opacities.strip(b"\xff") else None
