"""What a verb is to the server, and the one function behind all of their routes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import Field

from freefill.imaging.io import read_picture
from freefill.imaging.picture import Picture
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import Result
from freefill.server.fills import details_of, media_type
from freefill.server.schemas import Details, OutputOptions
from freefill.server.work import Ticket
from freefill.types import Progress


class VerbOptions(OutputOptions):
    """What every verb can be told; each adds its own."""


class VerbDetails(Details):
    """What became of it."""

    found: Annotated[
        dict[str, float | str], Field(description="What was found out on the way.")
    ] = Field(default_factory=dict)


class VerbResult(VerbDetails):
    """The same with the result itself."""

    media_type: str
    image: Annotated[str, Field(description="The result in base64.")]


Run = Callable[[Inpainter, Mapping[str, Picture], Any, Progress, int], Result]


@dataclass(frozen=True)
class Verb:
    """A task as a route.

    Attributes:
        name: Last part of its path, and of its operation.
        summary: One line that says what it does.
        options: Fields of its form; a subclass of :class:`VerbOptions`.
        run: Takes the pipeline, the pictures by the names of their fields, the options, what is to
            be called with the crops that are done, and how many pixels a picture may have; gives
            the task's result.
        beside: Fields that may hold a file, beside ``image``, which must.
    """

    name: str
    summary: str
    options: type[VerbOptions]
    run: Run
    beside: tuple[str, ...] = ()


def perform(
    verb: Verb,
    inpainter: Inpainter,
    files: Mapping[str, bytes],
    options: VerbOptions,
    max_pixels: int,
    ticket: Ticket,
) -> tuple[bytes, str, VerbDetails]:
    """Do it, in a worker's thread.

    Args:
        verb: What.
        inpainter: The pipeline.
        files: Encoded pictures by their fields.
        options: How.
        max_pixels: The most that any picture may have.
        ticket: Is told of each step, and may stop the work between two.

    Returns:
        The file, its media type, and what became of it.

    Raises:
        FreefillError: If it cannot be done.
        StoppedError: If nobody waits for it any more.
    """
    start = time.perf_counter()
    pictures = {
        name: read_picture(content, max_pixels=max_pixels) for name, content in files.items()
    }
    ticket.enter("filling")
    result = verb.run(inpainter, pictures, options, ticket.progress, max_pixels)
    ticket.enter("writing")
    made = result.encode(options.format and options.format.upper(), strip=options.strip)
    made = replace(made, notices=(*pictures["image"].notices, *made.notices))
    details = details_of(made, inpainter, start, VerbDetails, found=result.info)
    return made.content, media_type(made.file_format), details
