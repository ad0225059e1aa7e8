"""From a photo to a file that is there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from freefill.errors import ImageError, MaskError
from freefill.imaging.atomic import target_of, write_atomically
from freefill.imaging.io import Source, format_of, path_of
from freefill.imaging.picture import Picture
from freefill.masks.convert import is_alpha, is_hard
from freefill.masks.paint import TODO
from freefill.pipeline.request import Encoded, FillRequest, Result

if TYPE_CHECKING:
    from freefill.pipeline.inpainter import Inpainter


def fill_to_file(
    inpainter: Inpainter, request: FillRequest, out: Path, *, strip: bool = False
) -> Encoded:
    """Fill one photo and write the result, whole or not at all.

    Args:
        inpainter: The pipeline.
        request: The photo, its mask, and how.
        out: The file; its ending sets the format. It is replaced if it exists; of a link, what it
            leads to.
        strip: As for :meth:`freefill.pipeline.request.Result.encode`.

    Returns:
        What was written. The same input gives the same bytes, from a path or from memory, as long
        as the engine has the same number of threads.

    Raises:
        FreefillError: If it cannot be filled or written; nothing is written then.
    """
    check_writable(out)
    made = fill_to_bytes(inpainter, request, format_of(out), strip=strip)
    write_atomically(out, made.content)
    return made


def fill_to_bytes(
    inpainter: Inpainter, request: FillRequest, file_format: str | None, *, strip: bool = False
) -> Encoded:
    """Fill one photo and encode the result.

    Args:
        inpainter: The pipeline.
        request: The photo, its mask, and how.
        file_format: Pillow's name; ``None``: the photo's own.
        strip: As for :meth:`freefill.pipeline.request.Result.encode`.

    Returns:
        The file, as :func:`fill_to_file` writes it.

    Raises:
        FreefillError: If it cannot be filled.
    """
    result = inpainter.run(request)
    check_not_empty(request.mask, result)
    return result.encode(file_format, strip=strip)


def check_not_empty(mask: Source | Picture | None, result: Result[Any]) -> None:
    """Refuse a file that would be a copy of its photo, unless truth values asked for that.

    Args:
        mask: What the mask was read from.
        result: What it came to.

    Raises:
        MaskError: If nothing was filled.
    """
    if result.mask.any():
        return
    if mask is None or is_alpha(mask):
        raise MaskError("nothing of the image is transparent: nothing would be filled")
    if not is_hard(mask):
        raise MaskError(f"the mask is empty: nothing would be filled; {TODO}")


def check_writable(out: Path) -> None:
    """Refuse before the work is done, not after.

    Raises:
        ImageError: If a file cannot be written there.
    """
    try:
        folder = target_of(out).parent
        if not folder.is_dir():
            raise ImageError(f"{out} cannot be written: the folder {folder} does not exist")
        if not os.access(folder, os.W_OK):
            raise ImageError(f"{out} cannot be written: no permission in {folder}")
    except OSError as error:  # its name is too long, a loop of links
        raise ImageError(f"{out} cannot be written: {error.strerror or error}") from None
    except ImageError:
        raise
    except ValueError as error:  # a name that no file can have
        raise ImageError(f"{str(out)!r} cannot be written: {error}") from None


def check_not_read(out: Path, inputs: dict[str, object]) -> None:
    """Refuse to write over what is read.

    Args:
        out: The result.
        inputs: What is read, by the name of its argument; of these, what is a path counts.

    Raises:
        ImageError: If the result is one of them.
    """
    for name, given in inputs.items():
        if isinstance(given, str | os.PathLike) and _resolved(path_of(given, name)) == _resolved(
            out
        ):
            raise ImageError(f"{out} is the `{name}` of this call: give `out` another name")


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, ValueError):  # no file can have this name, as who reads it will say
        return path
