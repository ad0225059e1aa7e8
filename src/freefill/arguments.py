"""How a message shows an argument that cannot be used, and the checks that many of them share.

Each argument is checked once, where it is read: what is checked here is its kind and its range.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from freefill.errors import ConfigError, FreefillError

LONGEST = 60
"""Characters of a value that a message shows."""


def shown(name: str, value: object) -> str:
    """Show an argument and its value on one line.

    Args:
        name: The argument's.
        value: What it was given.

    Returns:
        Both, as they are written in a call.

    Examples:
        >>> print(shown("device", "gpu"), shown("grow", 2.7))
        `device="gpu"` `grow=2.7`
    """
    written = f'"{value}"' if isinstance(value, str) else repr(value)
    line = " ".join(written.split()).replace("`", "'")
    return f"`{name}={line if len(line) <= LONGEST else line[: LONGEST - 3] + '...'}`"


def check_flag(name: str, value: object, error: type[FreefillError] = ConfigError) -> None:
    """Refuse anything but ``True`` and ``False``: the word "no" counts as true in Python.

    Args:
        name: The argument's.
        value: What it was given.
        error: What is raised.

    Raises:
        FreefillError: If it is neither.
    """
    if not isinstance(value, bool | np.bool_):
        raise error(f"{shown(name, value)}: it must be True or False")


def check_whole(
    name: str,
    value: object,
    least: int,
    most: int | None = None,
    *,
    what: str = "a whole number",
    error: type[FreefillError] = ConfigError,
) -> None:
    """Refuse anything but whole numbers of a range; ``True`` is none.

    Args:
        name: The argument's.
        value: What it was given.
        least: The smallest.
        most: The largest, if there is one.
        what: What is counted, for the message.
        error: What is raised.

    Raises:
        FreefillError: If it is not one of them.
    """
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < least or (most is not None and value > most):  # type: ignore[operator]
        limits = f"from {least}" if most is None else f"from {least} to {most}"
        raise error(f"{shown(name, value)}: it must be {what} {limits}")


def check_choice(
    name: str, value: object, choices: Iterable[str], error: type[FreefillError] = ConfigError
) -> None:
    """Refuse anything but some words.

    Args:
        name: The argument's.
        value: What it was given.
        choices: The words.
        error: What is raised.

    Raises:
        FreefillError: If it is none of them.
    """
    known = list(choices)
    if not isinstance(value, str) or value not in known:
        raise error(f"{shown(name, value)}: it must be {' or '.join(known)}")
