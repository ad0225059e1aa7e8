"""One photo of many: how it is filled, how large it is, and why it was not filled."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from freefill.errors import FreefillError
from freefill.imaging.formats import limits
from freefill.pipeline.request import FillOptions


@dataclass(frozen=True, kw_only=True)
class Options(FillOptions):
    """How every photo of a call is filled, and what becomes of the result.

    Attributes:
        overwrite: Replace results that exist.
        explain: Tell how each hole was filled.
        strip: Leave out EXIF, XMP, GPS, comments and texts.
    """

    overwrite: bool = False
    explain: bool = False
    strip: bool = False


def pixels_of(photo: bytes | Path, max_pixels: int) -> int:
    """Look up how many pixels a photo has, without decoding it.

    Args:
        photo: Its file.
        max_pixels: As for a fill.

    Returns:
        Width times height; the bytes of the file where Pillow cannot tell, for which the fill will
        say why.
    """
    try:
        with BytesIO(photo) if isinstance(photo, bytes) else photo.open("rb") as file:
            image = limits.opened(file, str(photo) if isinstance(photo, Path) else "", max_pixels)
            return image.width * image.height
    except Exception:
        if isinstance(photo, bytes):
            return len(photo)
        return photo.stat().st_size if photo.exists() else 0


def reason_of(error: FreefillError, photo: str) -> str:
    """Say why a photo was not filled, in a line that names it: some errors are about its mask."""
    reason = str(error)
    return reason if photo in reason else f"{photo}: {reason}"
