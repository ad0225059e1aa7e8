"""All tasks that front ends offer, in the order in which they are told of. Loads none of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from freefill import tasks


@dataclass(frozen=True)
class Task:
    """A task as front ends see it; its options are in the signature of its function.

    Attributes:
        name: Of the function, the command, and the route ``/v1/NAME``.
        summary: What it does, in a line.
        command: Whether it is a command.
        route: Whether it is a route.
    """

    name: str
    summary: str
    command: bool = True
    route: bool = True

    @property
    def function(self) -> Callable[..., Any]:
        """The function, loaded when it is asked for."""
        found: Callable[..., Any] = getattr(tasks, self.name)
        return found


TASKS = (
    Task("remove", "Remove an object: point at it, or draw a box around it."),
    Task("segment", "Give the mask (white) of an object that is pointed at.", command=False),
    Task("unmark", "Take date stamps, text, scratches and dust off your own photos."),
    Task("uncrop", "Show more than a photo does, beyond its borders."),
    Task(
        "straighten", "Turn a photo until it is level; its empty corners are filled, not cut off."
    ),
    Task("stitch", "Join overlapping photos of one scene; what none of them shows is filled."),
    Task("retarget", "Bring a photo to another shape without scaling what is in it."),
    Task("recompose", "Move or scale a part of a photo; the place it leaves is filled."),
    Task("harmonise", "Match a pasted part to its surroundings, in colour and light."),
    Task(
        "video",
        "Fill the masked part of a clip, from other frames where they show it.",
        route=False,
    ),
)
