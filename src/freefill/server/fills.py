"""The one function behind the routes: encoded bytes in, encoded bytes out, in a worker's thread."""

from __future__ import annotations

import time
from dataclasses import dataclass
from io import BytesIO
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from freefill.errors import spell
from freefill.imaging.formats import limits
from freefill.imaging.io import read_picture
from freefill.imaging.preview import QUICK, patch, preview
from freefill.masks.convert import ALPHA, to_mask
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import Encoded, FillRequest
from freefill.server.problems import field
from freefill.server.schemas import Details, FillOptions
from freefill.server.work import Ticket

D = TypeVar("D", bound=Details)

LARGEST_UNKNOWN = 2**24
"""Pixels that are counted for a file that tells them to nobody but its own reader."""


@dataclass(frozen=True)
class Files:
    """The files of a fill, encoded.

    Attributes:
        image: The photo.
        mask: ``None`` takes the photo's transparent part.
        sketch: Lines to follow, if any.
        colour: Strokes of colour, if any.
    """

    image: bytes
    mask: bytes | None = None
    sketch: bytes | None = None
    colour: bytes | None = None

    @property
    def size(self) -> int:
        """Bytes of all of them."""
        return sum(len(f) for f in (self.image, self.mask, self.sketch, self.colour) if f)


def fill(
    inpainter: Inpainter,
    files: Files,
    options: FillOptions,
    max_pixels: int,
    ticket: Ticket,
) -> tuple[bytes, str, Details]:
    """Fill one image.

    Args:
        inpainter: The pipeline.
        files: What to fill, where, and with what guidance.
        options: How.
        max_pixels: The most that any of them may have.
        ticket: Is told of each step, and may stop the work between two.

    Returns:
        The file, its media type, and what became of it.

    Raises:
        FreefillError: If it cannot be filled.
        StoppedError: If nobody waits for it any more.
    """
    start = time.perf_counter()
    picture = read_picture(files.image, max_pixels=max_pixels)
    ticket.enter("filling")
    # A photo that has nothing transparent is given back as it is, with a notice that says so.
    alpha = ALPHA if picture.has_alpha else None
    request = FillRequest(
        picture,
        alpha if files.mask is None else files.mask,
        sketch=files.sketch,
        colour=files.colour,
        options=options.pipeline(max_pixels),
    )
    result = inpainter.run(request, ticket.progress)
    ticket.enter("writing")
    left = top = 0
    if options.patch:
        content, (left, top) = patch(result.picture)
        made = Encoded(result, content, "PNG", result.notices)
    else:
        made = result.encode(options.format and options.format.upper(), strip=options.strip)
    details = details_of(made, inpainter, start, Details, left=left, top=top)
    return made.content, media_type(made.file_format), details


def details_of(made: Encoded, inpainter: Inpainter, start: float, kind: type[D], **more: Any) -> D:
    """Say what became of a fill or a task.

    Args:
        made: Its result.
        inpainter: The pipeline.
        start: When work on it began, by :func:`time.perf_counter`.
        kind: Of details.
        more: What else they hold.

    Returns:
        The details.
    """
    height, width = made.result.picture.size
    return kind(
        width=width,
        height=height,
        hole=made.result.share,
        seconds=round(time.perf_counter() - start, 4),
        model=inpainter.weights.name,
        format=made.file_format.lower(),
        notices=[spell(line, field) for line in made.notices],
        **more,
    )


def view(
    image: bytes, longest: int, max_pixels: int, ticket: Ticket
) -> tuple[bytes, str, tuple[int, int]]:
    """Give an image as a browser can show it.

    Args:
        image: An image file.
        longest: The most that the longer side may have.
        max_pixels: The most that the image may have.
        ticket: As for :func:`fill`.

    Returns:
        The file, its media type, and the image's own width and height.

    Raises:
        ImageError: If it cannot be read.
        StoppedError: If nobody waits for it any more.
    """
    picture = read_picture(image, max_pixels=max_pixels)
    ticket.enter("writing")
    content, kind = preview(picture, longest)
    height, width = picture.size
    return content, kind, (width, height)


def view_mask(
    image: bytes, mask: bytes, max_pixels: int, ticket: Ticket
) -> tuple[bytes, tuple[int, int], list[str]]:
    """Give what a mask marks of an image, as a fill reads it.

    Args:
        image: An image file.
        mask: A mask file; one of another size is stretched.
        max_pixels: The most that either may have.
        ticket: As for :func:`fill`.

    Returns:
        A PNG of the image's size, 8 bits of grey, white = fill; the mask's own width and height;
        and lines that a person should read.

    Raises:
        ImageError: If the image cannot be read.
        MaskError: If the mask cannot be read or understood.
        StoppedError: If nobody waits for it any more.
    """
    picture = read_picture(image, max_pixels=max_pixels)
    hole, notices = to_mask(mask, picture, fit="resize", max_pixels=max_pixels)
    height, width = read_picture(mask, max_pixels=max_pixels).size
    ticket.enter("writing")
    out = BytesIO()
    Image.fromarray(hole.astype(np.uint8) * 255).save(out, "PNG", compress_level=QUICK)
    return out.getvalue(), (width, height), [spell(line, field) for line in notices]


def pixels_of(image: bytes, max_pixels: int) -> int:
    """Look up how many pixels an image has, without decoding it."""
    try:
        found = limits.opened(BytesIO(image), "the image", max_pixels)
        return found.width * found.height
    except Exception:
        # Not for Pillow, or not to be read at all: the fill will say why.
        return min(len(image), LARGEST_UNKNOWN)


def media_type(file_format: str) -> str:
    """Give the media type of a format by Pillow's name.

    Examples:
        >>> media_type("JPEG")
        'image/jpeg'
    """
    Image.init()
    return Image.MIME.get(file_format, f"image/{file_format.lower()}")
