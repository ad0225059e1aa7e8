"""JSON that others have written, or a disk has damaged: cards, manifests, indices, notes of runs.

``json.loads`` takes more than JSON is: ``NaN`` and ``Infinity``, numbers beyond any float, halves
of surrogate pairs, which fail where they are written again, and lists as deep as its stack. A file
may have no end, or wait for somebody who writes into it. All of that is refused here, in one line.
"""

from __future__ import annotations

import json
import math
import os
import stat
from pathlib import Path
from typing import Any

from freefill.errors import FreefillError

MOST = 2**24
"""Bytes of a file, unless a caller takes more: a card has some thousands."""
DEPTH = 64
"""Lists and objects within each other: a card has 5."""


def read_json(
    path: Path,
    error: type[FreefillError],
    what: str = "an object",
    most: int = MOST,
    *,
    nan: bool = False,
) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Args:
        path: The file; no device and no pipe, which may have no end.
        error: What is raised.
        what: What it is to hold, for the message.
        most: Bytes that it may have.
        nan: Whether ``NaN`` is a number, as it is in measurements that freefill has written.

    Returns:
        The object.

    Raises:
        FileNotFoundError: If there is no such file.
        FreefillError: As ``error``: if it cannot be read, is too large or holds anything else.
    """
    return parse_json(read_regular(path, error, most), str(path), error, what, nan=nan)


def read_regular(path: Path, error: type[FreefillError], most: int = MOST) -> bytes:
    """Read a whole file that has an end.

    Args:
        path: The file.
        error: What is raised.
        most: Bytes that it may have.

    Raises:
        FileNotFoundError: If there is no such file.
        FreefillError: As ``error``: if it is no file, is too large or cannot be read.
    """
    try:
        with open(path, "rb", opener=open_at_once) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise error(f"{path} is no file: it is a folder, a pipe or a device")
            if found.st_size > most:
                raise error(f"{path} has {found.st_size:,} bytes, of {most:,} that it may have")
            return file.read(found.st_size)
    except (FileNotFoundError, FreefillError):
        raise
    except (OSError, ValueError) as reason:
        raise error(f"{path} cannot be read: {getattr(reason, 'strerror', 0) or reason}") from None


def open_at_once(path: str, flags: int) -> int:
    """Open a file for :func:`open`: a pipe would be waited for until somebody writes into it."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def parse_json(
    content: bytes | str,
    name: str,
    error: type[FreefillError],
    what: str = "an object",
    *,
    nan: bool = False,
) -> dict[str, Any]:
    """Read JSON that holds an object.

    Args:
        content: UTF-8, or text.
        name: Of the file or address, for the message.
        error: What is raised.
        what: What it is to hold, for the message.
        nan: As for :func:`read_json`.

    Returns:
        The object: what it holds can be written as JSON again.

    Raises:
        FreefillError: As ``error``: if it is no JSON, holds something else, or is deeper than
            :data:`DEPTH`.

    Examples:
        >>> parse_json('{"a": [1]}', "a.json", FreefillError)
        {'a': [1]}
    """
    found = parse_value(content, name, error, nan=nan)
    if not isinstance(found, dict):
        raise error(f"{name} holds a {type(found).__name__}, not {what}")
    return found


def read_value(path: Path, error: type[FreefillError], most: int = MOST) -> Any:
    """Read a JSON file that holds a list, a number or whatever else.

    Args:
        path: As for :func:`read_json`, as are the others.
        error: What is raised.
        most: Bytes that it may have.

    Returns:
        What it holds; its shape is for the caller to check.

    Raises:
        FileNotFoundError: If there is no such file.
        FreefillError: As ``error``: if it cannot be read, is too large or is no JSON.
    """
    return parse_value(read_regular(path, error, most), str(path), error)


def parse_value(
    content: bytes | str, name: str, error: type[FreefillError], *, nan: bool = False
) -> Any:
    """Read JSON that holds anything.

    Args:
        content: As for :func:`parse_json`, as are the others.
        name: Of the file or address, for the message.
        error: What is raised.
        nan: As for :func:`read_json`.

    Returns:
        What it holds: it can be written as JSON again.

    Raises:
        FreefillError: As ``error``: if it is no JSON, or is deeper than :data:`DEPTH`.

    Examples:
        >>> parse_value("[1, null]", "a.json", FreefillError)
        [1, None]
    """
    try:
        text = content if isinstance(content, str) else content.decode("utf-8")
        found = json.loads(text, parse_constant=_nan if nan else _refuse, parse_float=_finite)
        _check_depth(found)
        if "\\u" in text or not text.isascii():
            json.dumps(found, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise error(f"{name} is not JSON: it has halves of characters (\\ud800)") from None
    except (ValueError, RecursionError) as reason:
        why = f"it is deeper than {DEPTH}" if isinstance(reason, RecursionError) else reason
        raise error(f"{name} is not JSON: {why}") from None
    return found


def _nan(constant: str) -> float:
    return math.nan if constant == "NaN" else _refuse(constant)


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number of JSON's")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is beyond what a number can be")
    return number


def _check_depth(found: object) -> None:
    level = [found] if isinstance(found, dict | list) else []
    for _ in range(DEPTH):
        level = [
            inner
            for one in level
            for inner in (one.values() if isinstance(one, dict) else one)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise RecursionError
