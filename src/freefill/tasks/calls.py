"""What calls of all tasks have in common: checks, the shared network, and the kind that comes out.

Ten tasks with four overloads each would say their options forty times. So each is written once, and
:func:`task` gives it the overloads: the rest of its signature is a variable of the types.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Sequence
from typing import IO, Any, Concatenate, ParamSpec, Protocol, TypeVar, cast, overload

from PIL import Image

from freefill.errors import ConfigError, ImageError
from freefill.imaging.io import Source, read_picture
from freefill.imaging.picture import Picture
from freefill.pipeline.calls import Array
from freefill.pipeline.fill import shared
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import Result
from freefill.tasks.options import options_of
from freefill.weights import registry

P = ParamSpec("P")
R = TypeVar("R")


class Task(Protocol[P]):
    """A task that takes a photo and gives a picture of the same kind."""

    @overload
    def __call__(
        self, image: Image.Image | str | os.PathLike[str], *args: P.args, **options: P.kwargs
    ) -> Result[Image.Image]: ...
    @overload
    def __call__(
        self, image: bytes | IO[bytes], *args: P.args, **options: P.kwargs
    ) -> Result[bytes]: ...
    @overload
    def __call__(self, image: Array, *args: P.args, **options: P.kwargs) -> Result[Array]: ...
    @overload
    def __call__(self, image: Picture, *args: P.args, **options: P.kwargs) -> Result[Any]: ...


class StackTask(Protocol[P]):
    """A task that takes several photos and gives a picture for each, of the same kind."""

    @overload
    def __call__(
        self,
        images: Sequence[Image.Image] | Sequence[str] | Sequence[os.PathLike[str]],
        *args: P.args,
        **options: P.kwargs,
    ) -> list[Result[Image.Image]]: ...
    @overload
    def __call__(
        self, images: Sequence[bytes] | Sequence[IO[bytes]], *args: P.args, **options: P.kwargs
    ) -> list[Result[bytes]]: ...
    @overload
    def __call__(
        self, images: Sequence[Array], *args: P.args, **options: P.kwargs
    ) -> list[Result[Array]]: ...
    @overload
    def __call__(
        self, images: Sequence[Picture], *args: P.args, **options: P.kwargs
    ) -> list[Result[Any]]: ...


def task(function: Callable[Concatenate[Source | Picture, P], Result[Any]]) -> Task[P]:
    """Make a task of a function whose first parameter is a photo; see :func:`checked`."""
    return cast(Task[P], checked(function))


def stack_task(
    function: Callable[Concatenate[Sequence[Source | Picture], P], list[Result[Any]]],
) -> StackTask[P]:
    """Make a task of a function whose first parameter is several photos."""
    return cast(StackTask[P], checked(function))


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Have a function refuse, before it begins, what its options do not allow.

    Args:
        function: Whose signature declares options.

    Returns:
        The same, which raises the options' errors.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: P.args, **options: P.kwargs) -> R:
        given = signature.bind(*args, **options).arguments
        for one in options_of(function):
            if one.name in given:
                one.check(given[one.name])
        return function(*args, **options)

    return call


def read_all(photos: Sequence[Source | Picture], name: str, max_pixels: int) -> list[Picture]:
    """Read several photos.

    Args:
        photos: A list of them.
        name: The argument that they are.
        max_pixels: The most that width times height of a file may be.

    Raises:
        ImageError: If it is no list, or one of them cannot be read.
    """
    if not isinstance(photos, list | tuple):
        raise ImageError(f"`{name}` is a {type(photos).__name__}; it must be a list of photos")
    return [read_picture(photo, max_pixels=max_pixels) for photo in photos]


def chosen(inpainter: Inpainter | None) -> Inpainter:
    """Give the pipeline that a task is to use.

    Args:
        inpainter: One, or ``None`` for that of the default weights, which is loaded once and kept.

    Raises:
        ConfigError: If it is something else.
        WeightsError: If the weights cannot be loaded.
    """
    if inpainter is None:
        return shared(registry.DEFAULT)
    if not callable(getattr(inpainter, "run", None)):
        raise ConfigError(
            f"`inpainter` is a {type(inpainter).__name__}; it must be a freefill.Inpainter"
        )
    return inpainter
