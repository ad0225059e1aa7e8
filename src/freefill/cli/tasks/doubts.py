"""What is written when a task would not act on what it has found: a mask, and a picture of it."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from freefill.cli.console import print_notice
from freefill.cli.tasks.common import write_mask
from freefill.files.paths import STREAM

if TYPE_CHECKING:
    from freefill.errors import DoubtError
    from freefill.imaging.picture import Picture
    from freefill.types import Mask

LONGEST = 1600
"""Pixels of the longer side of the picture to look at."""
TINT = (1.0, 0.1, 0.1)


def write_doubt(picture: Picture, doubt: DoubtError, out: Path, mask_out: Path | None) -> None:
    """Write what was found beside the result that is not written, and say where.

    Args:
        picture: The photo.
        doubt: Why it was not filled.
        out: Where the result would have gone. Standard output has nothing beside it: files are
            written only if ``mask_out`` says where.
        mask_out: Where the mask goes; by default beside ``out``, under a name that is free.

    Raises:
        ImageError: If they cannot be written.
    """
    from freefill.imaging.atomic import write_atomically

    if doubt.mask is None:
        return
    result = "standard output" if out == STREAM else str(out)
    near = mask_out if out == STREAM else out
    if near is None:
        print_notice(f"nothing goes to {result}; --mask-out FILE keeps what was found, for a look")
        return
    mask_path = mask_out or free_name(out.with_name(f"{out.stem}_mask.png"))
    write_mask(doubt.mask, mask_path)
    look_path = free_name(near.with_name(f"{near.stem}_look.jpg"))
    write_atomically(look_path, overlay(picture, doubt.mask))
    print_notice(
        f"{result} is not written; {mask_path} is what was found, {look_path} shows it in red"
    )


def free_name(path: Path) -> Path:
    """Give a path that nothing has: the path, or it with a number."""
    number, found = 1, path
    while found.exists():
        number += 1
        found = path.with_name(f"{path.stem}_{number}{path.suffix}")
    return found


def overlay(picture: Picture, mask: Mask) -> bytes:
    """Give a photo with a mask in red on it, as a JPEG.

    Args:
        picture: The photo.
        mask: ``(H, W)``.
    """
    import numpy as np
    from PIL import Image

    from freefill.imaging.box import Box

    factor = -(-max(picture.size) // LONGEST)
    rgb = picture.shrunk(Box.whole(picture.size), factor)
    red = mask[factor // 2 :: factor, factor // 2 :: factor][: rgb.shape[0], : rgb.shape[1]]
    share = np.zeros((*rgb.shape[:2], 1), np.float32)
    share[: red.shape[0], : red.shape[1], 0] = np.where(red, 0.55, 0)
    shown = rgb * (1 - share) + np.array(TINT, np.float32) * share
    out = BytesIO()
    Image.fromarray(np.rint(shown * 255).astype(np.uint8)).save(out, "JPEG", quality=88)
    return out.getvalue()
