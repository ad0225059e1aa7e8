"""One photo to one result: what ``freefill fill`` and ``freefill batch`` do with each."""

from __future__ import annotations

import os
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from freefill.errors import FreefillError, ImageError
from freefill.imaging.atomic import write_atomically
from freefill.imaging.formats import limits
from freefill.imaging.io import format_of
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import Encoded, FillOptions, FillRequest


@dataclass(frozen=True, kw_only=True)
class Options(FillOptions):
    """How every photo of a call is filled, and what becomes of the result.

    Attributes:
        overwrite: Replace results that exist.
        explain: Tell what the network was shown.
        strip: Leave out EXIF, XMP, GPS, comments and texts.
    """

    overwrite: bool = False
    explain: bool = False
    strip: bool = False


def fill_to_file(
    inpainter: Inpainter, request: FillRequest, out: Path, *, strip: bool = False
) -> Encoded:
    """Fill one photo and write the result, whole or not at all.

    Args:
        inpainter: The pipeline.
        request: The photo, its mask, and how.
        out: The file; its ending sets the format. It is replaced if it exists.
        strip: As for :meth:`freefill.pipeline.request.Result.encode`.

    Returns:
        What was written. The same input gives the same bytes, from a path or from memory, as long
        as the engine has the same number of threads.

    Raises:
        FreefillError: If it cannot be filled or written; nothing is written then.
    """
    file_format = format_of(out)
    check_writable(out)
    made = inpainter.run(request).encode(file_format, strip=strip)
    write_atomically(out, made.content)
    return made


def check_writable(out: Path) -> None:
    """Refuse before the work is done, not after.

    Raises:
        ImageError: If a file cannot be written there.
    """
    folder = out.parent
    if not folder.is_dir():
        raise ImageError(f"{out} cannot be written: the folder {folder} does not exist")
    if out.is_dir():
        raise ImageError(f"{out} cannot be written: it is a folder")
    if not os.access(folder, os.W_OK):
        raise ImageError(f"{out} cannot be written: no permission in {folder}")


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
