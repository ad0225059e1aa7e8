"""What a task is to the server, and the one function behind all of their routes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import Field

from freefill.imaging.picture import Picture
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import Result
from freefill.server.fills import details_of, media_type
from freefill.server.schemas import Details, OutputOptions
from freefill.server.tasks.deriving import values_of
from freefill.server.work import Ticket
from freefill.tasks.table import Task


class TaskOptions(OutputOptions):
    """What every task can be told; each adds its own."""


class TaskDetails(Details):
    """What became of it."""

    found: Annotated[
        dict[str, float | str], Field(description="What was found out on the way.")
    ] = Field(default_factory=dict)


# Clients that were made from the OpenAPI know it by this name.
class VerbResult(TaskDetails):
    """The same with the result itself."""

    media_type: str
    image: Annotated[str, Field(description="The result in base64.")]


Run = Callable[[Callable[..., Any], Mapping[str, Picture], Any, dict[str, Any]], Result[Any]]
"""Takes a task's function, the pictures by their fields, the form, and the function's arguments."""


def fill_photo(
    function: Callable[..., Any], pictures: Mapping[str, Picture], _: Any, given: dict[str, Any]
) -> Result[Any]:
    """Do what most tasks do: one photo in, one out."""
    result: Result[Any] = function(pictures["image"], **given)
    return result


@dataclass(frozen=True)
class TaskRoute:
    """A task as a route.

    Attributes:
        task: The task.
        form: Its fields.
        files: Fields that may hold a file, beside ``image``, which must.
        run: What is done.
        note: What is said of it beside the task's summary.
    """

    task: Task
    form: type[TaskOptions]
    files: tuple[str, ...] = ()
    run: Run = fill_photo
    note: str = ""


def perform(
    route: TaskRoute,
    inpainter: Inpainter,
    pictures: Mapping[str, Picture],
    options: TaskOptions,
    max_pixels: int,
    ticket: Ticket,
) -> tuple[bytes, str, TaskDetails]:
    """Do it, in a worker's thread.

    Args:
        route: What.
        inpainter: The pipeline.
        pictures: By their fields.
        options: How.
        max_pixels: The most that any picture may have.
        ticket: Is told of each step, and may stop the work between two.

    Returns:
        The file, its media type, and what became of it.

    Raises:
        FreefillError: If it cannot be done.
        StoppedError: If nobody waits for it any more.
    """
    ticket.enter("filling")
    function = route.task.function
    common = {"inpainter": inpainter, "progress": ticket.progress, "max_pixels": max_pixels}
    taken = inspect.signature(function).parameters
    given = values_of(route.task, options, pictures)
    given |= {name: value for name, value in common.items() if name in taken}
    result = route.run(function, pictures, options, given)
    ticket.enter("writing")
    made = result.encode(options.format and options.format.upper(), strip=options.strip)
    made = replace(made, notices=(*pictures["image"].notices, *made.notices))
    details = details_of(made, inpainter, ticket.begun, TaskDetails, found=result.info)
    return made.content, media_type(made.file_format), details
