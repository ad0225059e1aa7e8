"""The functions behind the routes: pictures in, encoded bytes out, in a worker's thread."""

from __future__ import annotations

import time
from collections.abc import Mapping
from io import BytesIO
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from freefill.errors import spell
from freefill.imaging.picture import Picture
from freefill.imaging.preview import QUICK, patch, preview
from freefill.masks.convert import ALPHA, to_mask
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import Encoded, FillRequest
from freefill.server.problems import field
from freefill.server.schemas import Details, FillOptions
from freefill.server.work import Ticket

D = TypeVar("D", bound=Details)


def fill(
    inpainter: Inpainter,
    pictures: Mapping[str, Picture],
    options: FillOptions,
    max_pixels: int,
    ticket: Ticket,
) -> tuple[bytes, str, Details]:
    """Fill one image.

    Args:
        inpainter: The pipeline.
        pictures: What to fill (``image``), where (``mask``; without it, the transparent part), and
            with what guidance (``sketch``, ``colour``).
        options: How.
        max_pixels: The most that any of them may have.
        ticket: Is told of each step, and may stop the work between two.

    Returns:
        The file, its media type, and what became of it.

    Raises:
        FreefillError: If it cannot be filled.
        StoppedError: If nobody waits for it any more.
    """
    ticket.enter("filling")
    picture = pictures["image"]
    # A photo that has nothing transparent is given back as it is, with a notice that says so.
    alpha = ALPHA if picture.has_alpha else None
    request = FillRequest(
        picture,
        pictures.get("mask", alpha),
        sketch=pictures.get("sketch"),
        colour=pictures.get("colour"),
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
    details = details_of(made, inpainter, ticket.begun, Details, left=left, top=top)
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


def view(picture: Picture, longest: int, ticket: Ticket) -> tuple[bytes, str, tuple[int, int]]:
    """Give an image as a browser can show it.

    Args:
        picture: The image.
        longest: The most that the longer side may have.
        ticket: As for :func:`fill`.

    Returns:
        The file, its media type, and the image's own width and height.

    Raises:
        StoppedError: If nobody waits for it any more.
    """
    ticket.enter("writing")
    content, kind = preview(picture, longest)
    height, width = picture.size
    return content, kind, (width, height)


def view_mask(
    picture: Picture, mask: Picture, ticket: Ticket
) -> tuple[bytes, tuple[int, int], list[str]]:
    """Give what a mask marks of an image, as a fill reads it.

    Args:
        picture: The image.
        mask: The mask; one of another size is stretched.
        ticket: As for :func:`fill`.

    Returns:
        A PNG of the image's size, 8 bits of grey, white = fill; the mask's own width and height;
        and lines that a person should read.

    Raises:
        MaskError: If the mask cannot be understood.
        StoppedError: If nobody waits for it any more.
    """
    hole, notices = to_mask(mask, picture, fit="resize")
    height, width = mask.size
    ticket.enter("writing")
    out = BytesIO()
    Image.fromarray(hole.astype(np.uint8) * 255).save(out, "PNG", compress_level=QUICK)
    return out.getvalue(), (width, height), [spell(line, field) for line in notices]


def media_type(file_format: str) -> str:
    """Give the media type of a format by Pillow's name.

    Examples:
        >>> media_type("JPEG")
        'image/jpeg'
    """
    Image.init()
    return Image.MIME.get(file_format, f"image/{file_format.lower()}")
