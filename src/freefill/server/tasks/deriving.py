"""Forms from tasks: fields, bounds, defaults and what is said of them are the signature's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, Field, create_model

from freefill.errors import spell
from freefill.imaging.picture import Picture
from freefill.server.problems import field
from freefill.tasks.options import Declared, options_of
from freefill.tasks.table import Task

SEPARATOR = ";"
"""Between several values of one field."""


Form = TypeVar("Form", bound=BaseModel)


def form_of(task: Task, base: type[Form]) -> type[Form]:
    """Make the form of a task.

    Args:
        task: The task.
        base: Fields that it has beside the task's own.

    Returns:
        The form.
    """
    fields: dict[str, Any] = {
        one.name: (_annotated(one), one.plain_default)
        for one in options_of(task.function)
        if not one.option.file
    }
    name = f"{task.name.capitalize()}Options"
    return create_model(name, __base__=base, __doc__=task.summary, **fields)


def files_of(task: Task) -> tuple[str, ...]:
    """Give the names of the files that a task can have beside its photo."""
    return tuple(one.name for one in options_of(task.function) if one.option.file)


def values_of(task: Task, options: Any, pictures: Mapping[str, Picture]) -> dict[str, Any]:
    """Give a form's fields and files as the task takes them.

    Args:
        task: The task.
        options: Its form, filled in.
        pictures: Its files, read.

    Returns:
        Arguments.

    Raises:
        MaskError: If a text is not of its form.
    """
    found: dict[str, Any] = {}
    for one in options_of(task.function):
        given: Any = pictures.get(one.name) if one.option.file else getattr(options, one.name)
        if given is not None and one.option.several:
            given = given.split(SEPARATOR)
        found[one.name] = one.value(given)
    return found


def _annotated(one: Declared) -> Any:
    option, kind = one.option, one.plain
    text = spell(option.help, field)
    if option.form:
        several = f"{option.form}{SEPARATOR}{option.form}" if option.several else option.form
        text = f"{text.removesuffix('.')} (`{several}`)."
    limits = {
        "ge": option.ge,
        "le": option.le,
        "max_length": option.longest,
        "pattern": option.pattern,
    }
    told: Any = {name: limit for name, limit in limits.items() if limit is not None}
    if one.plain_default is None:
        kind = kind | None
    return Annotated[kind, Field(description=text, **told)]
