"""One photo to one result: what ``freefill fill`` and ``freefill batch`` do with each.

A photo, its mask and how it is to be filled go in, the bytes of the result come out. Where they
come from and where they go to is not known here.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

from PIL import Image

from freefill.batch.mask_pairing import ALPHA
from freefill.errors import FreefillError, ImageError
from freefill.imaging.formats import MAX_PIXELS, limits
from freefill.imaging.io import Source, encode, read_picture
from freefill.imaging.picture import Picture
from freefill.masks.convert import Fit, to_hole
from freefill.masks.morphology import grow as grow_hole
from freefill.pipeline.guidance import Guidance
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.tiling import explain, plan
from freefill.types import Mask

ENDINGS = {"JPEG": ".jpg", "MPO": ".jpg", "TIFF": ".tif", "HEIF": ".heic"}
"""Of formats whose ending is not just their name."""


@dataclass(frozen=True)
class Options:
    """How every photo of a call is filled."""

    invert: bool = False
    grow: int = 0
    fit: Fit = "exact"
    overwrite: bool = False
    explain: bool = False
    """Whether the outcome tells what the network was shown."""
    strip: bool = False
    """Leave out EXIF, XMP, GPS, comments and texts."""
    max_pixels: int = MAX_PIXELS
    """The most that width times height of a photo or mask may be."""


@dataclass(frozen=True)
class Filled:
    """A result."""

    content: bytes
    """The file."""
    ending: str
    """Of its format, e.g. ``.jpg``."""
    width: int
    height: int
    hole: float
    """Share of the picture that was filled."""
    notices: tuple[str, ...] = ()
    """Lines that a person should read."""
    plan: tuple[str, ...] = ()
    """What the network was shown, if that was asked for."""


def fill_photo(
    inpainter: Inpainter,
    photo: Source,
    mask: Source,
    options: Options,
    file_format: str | None = None,
    *,
    sketch: Source | None = None,
    colour: Source | None = None,
) -> Filled:
    """Fill one photo.

    Args:
        inpainter: The pipeline.
        photo: Path or bytes of a file.
        mask: The same, or the word ``alpha``.
        options: How.
        file_format: Pillow's name of the result's format; by default the photo's own.
        sketch: Lines that the fill is to follow.
        colour: Strokes of colour that it is to take up.

    Returns:
        The result. The same input gives the same bytes, from a path or from memory, as long as the
        engine has the same number of threads.

    Raises:
        FreefillError: If it cannot be filled.
    """
    picture = read_picture(photo, max_pixels=options.max_pixels)
    file_format = file_format or own_format(picture)
    hole, notices = hole_of(mask, picture, options)
    guidance = None
    if sketch is not None or colour is not None:
        guidance = Guidance.read(
            picture.size, sketch, colour, fit=options.fit, max_pixels=options.max_pixels
        )
        notices += guidance.notices(hole)
    opaque = isinstance(mask, str) and mask == ALPHA
    filled = inpainter.fill_hole(picture, hole, guidance=guidance, opaque=opaque)
    content, more = encode(filled, file_format, strip=options.strip)
    height, width = picture.size
    return Filled(
        content,
        ENDINGS.get(file_format, f".{file_format.lower()}"),
        width,
        height,
        float(hole.mean()),
        (*picture.notices, *notices, *more),
        tuple(explain(plan(hole))) if options.explain else (),
    )


def hole_of(mask: Source, picture: Picture, options: Options) -> tuple[Mask, list[str]]:
    """Make a mask the hole of a photo, with the options of a call.

    Args:
        mask: Path or bytes of a file, or the word ``alpha``.
        picture: The photo.
        options: Polarity, growth, fit and limit.

    Returns:
        The hole, ``(H, W)`` bool, and lines that a person should read.

    Raises:
        FreefillError: If the mask cannot be read or does not fit.
    """
    hole, notices = to_hole(
        mask, picture, invert=options.invert, fit=options.fit, max_pixels=options.max_pixels
    )
    return grow_hole(hole, options.grow), notices


def own_format(picture: Picture) -> str:
    """Give the format of a photo's file, if results can be written in it.

    Args:
        picture: One that was read from a file.

    Returns:
        Pillow's name.

    Raises:
        ImageError: If such files can only be read.
    """
    found = picture.format or "PNG"
    # MPO is a JPEG with more pictures behind it, of which only the first is filled.
    if found != "MPO" and found not in Image.SAVE:
        raise ImageError(f"results cannot be written as {found}: choose a format, --format png")
    return found


def pixels_of(content: bytes, max_pixels: int) -> int:
    """Look up how many pixels a photo has, without decoding it.

    Args:
        content: Its file.
        max_pixels: As for a fill.

    Returns:
        Width times height; the bytes of the file where Pillow cannot tell, for which the fill will
        say why.
    """
    try:
        image = limits.opened(BytesIO(content), "", max_pixels)
        return image.width * image.height
    except Exception:
        return len(content)


def reason_of(error: FreefillError, photo: str) -> str:
    """Say why a photo was not filled, in a line that names it: some errors are about its mask."""
    reason = str(error)
    return reason if photo in reason else f"{photo}: {reason}"
