"""How a task declares its options: once, in its own signature.

``grow: Annotated[int, Option("Pixels by which it is wider.", ge=0, le=256)] = 0`` says the name,
the type, the bounds, the default and what it is for. :func:`options_of` reads that, and all else is
derived from it: the options of the command line, the form of a route with its OpenAPI, and what a
task refuses before it begins.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np

from freefill.errors import ConfigError, FreefillError
from freefill.masks.region import numbers


@dataclass(frozen=True)
class Option:
    """What the type and the default of a parameter do not say.

    Attributes:
        help: What it is for, in a line that fits every front end: other options are named as in
            errors (:func:`freefill.errors.spell`), and bounds are not repeated.
        ge: The least that it may be.
        le: The most that it may be.
        form: How people write it, where it is several whole numbers: ``"L,T,R,B"``.
        several: Whether it is a list of those.
        file: Whether it is a picture, or another file.
        longest: Characters that a form takes at most.
        pattern: Of what a form takes.
        error: What is raised for a value that cannot be.
    """

    help: str
    ge: float | None = None
    le: float | None = None
    form: str | None = None
    several: bool = False
    file: bool = False
    longest: int | None = None
    pattern: str | None = None
    error: type[FreefillError] = ConfigError

    @property
    def bounds(self) -> str:
        """Its bounds in words, or nothing.

        Examples:
            >>> Option("", ge=0, le=32).bounds, Option("", ge=1).bounds, Option("").bounds
            ('0 to 32', '1 or more', '')
        """
        if self.ge is None:
            return ""
        return f"{self.ge:g} or more" if self.le is None else f"{self.ge:g} to {self.le:g}"


@dataclass(frozen=True)
class Declared:
    """An option of a task.

    Attributes:
        name: The parameter's.
        types: What it can be, without ``None``.
        optional: Whether it can be ``None``.
        default: What it is if nothing is said.
        option: All else.
    """

    name: str
    types: tuple[Any, ...]
    optional: bool
    default: Any
    option: Option

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that it can be, if it is one of several."""
        return get_args(self.types[0]) if get_origin(self.types[0]) is Literal else ()

    @property
    def plain(self) -> Any:
        """The type that front ends take it as: text, unless it is a number, a switch or a word."""
        if len(self.types) > 1 or not (self.choices or self.types[0] in (int, float, bool)):
            return str
        return self.types[0]

    @property
    def plain_default(self) -> Any:
        """The default as that type, or ``None``."""
        if self.default is None or self.default == ():
            return None
        return self.plain(self.default) if self.plain is str else self.default

    def value(self, given: Any) -> Any:
        """Give the value that the task takes for what a front end has been given.

        Args:
            given: Of the type :attr:`plain`, a list of such where there are several, or ``None``.

        Returns:
            The value.

        Raises:
            MaskError: If a text is not of the form.
        """
        if given is None or self.option.form is None:
            return self.default if given is None else given
        if self.option.several:
            return tuple(numbers(self.name, text, self.option.form) for text in given)
        return numbers(self.name, given, self.option.form)

    def check(self, value: Any) -> None:
        """Refuse what cannot be; files and numbers of a form are looked at by the task itself.

        Args:
            value: What the task was called with.

        Raises:
            FreefillError: Of the kind that the option says.
        """
        if self.option.file or self.option.form or (value is None and self.optional):
            return
        if not any(_is(value, kind) for kind in self.types) or not self._within(value):
            raise self.option.error(f"`{self.name}` is {value!r}; it must be {self._wanted()}")

    def _within(self, value: Any) -> bool:
        least, most = self.option.ge, self.option.le
        # Written so that what is no number is not within.
        return (least is None or value >= least) and (most is None or value <= most)

    def _wanted(self) -> str:
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        names = {bool: "True or False", int: "a whole number", float: "a number", str: "a text"}
        kinds = " or ".join(names[kind] for kind in self.types)
        return f"{kinds}, {self.option.bounds}" if self.option.bounds else kinds


@cache
def options_of(task: Callable[..., Any]) -> tuple[Declared, ...]:
    """Read what a task declares.

    Args:
        task: The function.

    Returns:
        Its options, in order; parameters without an :class:`Option` are none.

    Examples:
        >>> def blur(image: bytes, *, by: Annotated[int, Option("Pixels.", ge=1, le=9)] = 2): ...
        >>> [option] = options_of(blur)
        >>> option.name, option.plain, option.default, option.option.bounds
        ('by', <class 'int'>, 2, '1 to 9')
    """
    hints = get_type_hints(task, include_extras=True)
    found = []
    for parameter in inspect.signature(task).parameters.values():
        hint = hints.get(parameter.name)
        if get_origin(hint) is not Annotated:
            continue
        kind, *notes = get_args(hint)
        options = [note for note in notes if isinstance(note, Option)]
        if options:
            union = get_origin(kind) in (Union, UnionType)
            types: Sequence[Any] = get_args(kind) if union else (kind,)
            named = tuple(one for one in types if one is not NoneType)
            optional = NoneType in types
            default = None if parameter.default is parameter.empty else parameter.default
            found.append(Declared(parameter.name, named, optional, default, options[0]))
    return tuple(found)


def _is(value: Any, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return isinstance(value, str) and value in get_args(kind)
    switch = isinstance(value, bool | np.bool_)
    if kind is bool:
        return switch
    if kind in (int, float):
        return isinstance(value, Integral if kind is int else Real) and not switch
    return isinstance(value, kind)
