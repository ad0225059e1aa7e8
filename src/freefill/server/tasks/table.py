"""All routes of tasks, and what of three of them is not in the task's signature."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from freefill.errors import ImageError
from freefill.imaging.io import read_picture
from freefill.imaging.picture import Picture
from freefill.pipeline.request import Result
from freefill.server.tasks.deriving import files_of, form_of
from freefill.server.tasks.route import TaskOptions, TaskRoute
from freefill.tasks.table import TASKS, Task

OTHERS = ("second", "third", "fourth", "fifth", "sixth")
"""Photos that are stitched to the first."""


class MaskOptions(TaskOptions):
    """A mask is a PNG unless another format is asked for."""

    format: Annotated[
        Literal["png", "webp", "tiff", "bmp"] | None, Field(description="Of the mask.")
    ] = "png"


class UnmarkOptions(TaskOptions):
    """Either the photo or the mask is given."""

    mask: Annotated[
        bool, Field(description="Answer with the mask (white = found) in place of the photo.")
    ] = False


def stitch(
    function: Callable[..., Any], pictures: Mapping[str, Picture], _: Any, given: dict[str, Any]
) -> Result[Any]:
    """Join the first photo and whatever others there are."""
    others = [pictures[name] for name in OTHERS if name in pictures]
    if not others:
        raise ImageError("one photo alone: give more of them as 'second', 'third', up to 'sixth'")
    result: Result[Any] = function(pictures["image"], others, **given)
    return result


def unmark(
    function: Callable[..., Any],
    pictures: Mapping[str, Picture],
    options: Any,
    given: dict[str, Any],
) -> Result[Any]:
    """Give the photo, or what was found on it."""
    result: Result[Any] = function(pictures["image"], fill=not options.mask, **given)
    if options.mask:
        white = read_picture(result.mask.astype(np.uint8) * np.uint8(255))
        return replace(result, picture=white)
    return result


def _route(task: Task) -> TaskRoute:
    if task.name == "stitch":
        return TaskRoute(task, form_of(task, TaskOptions), OTHERS, stitch)
    if task.name == "unmark":
        return TaskRoute(
            task, form_of(task, UnmarkOptions), run=unmark, note="422 if none are found."
        )
    if task.name == "segment":
        note = "It is what `/v1/remove` would fill."
        return TaskRoute(task, form_of(task, MaskOptions), note=note)
    return TaskRoute(task, form_of(task, TaskOptions), files_of(task))


ROUTES = tuple(_route(task) for task in TASKS if task.route)
"""The routes of all tasks."""
