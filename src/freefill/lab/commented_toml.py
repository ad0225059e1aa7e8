"""Settings as TOML in which every key has a comment: the first sentence of its own docstring."""

from __future__ import annotations

import dataclasses
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, get_args

import tomli_w

WIDTH = 98


def dumps(kind: Any, values: Mapping[str, Any]) -> str:
    """Write settings.

    Args:
        kind: The pydantic dataclass that they are of, whose docstrings are the comments. A field
            that is itself a dataclass becomes a section.
        values: Plain nested dicts and lists, a value for each field.

    Returns:
        TOML that reads back as ``values``. Tables below a section, and tuples of dataclasses, are
        written in one piece under the comment of their setting.
    """
    lines: list[str] = []
    sections = []
    for name, field in _fields(kind):
        if dataclasses.is_dataclass(field.annotation):
            sections.append((name, field))
        else:
            lines += [*_comment(field), _entry(name, values[name]), ""]
    for name, field in sections:
        lines += [*_wrapped(str(field.annotation.__doc__)), f"[{name}]"]
        for key, setting in _fields(field.annotation):
            lines += [*_comment(setting), _entry(key, values[name][key])]
        lines.append("")
    return "\n".join(lines)


def first_sentence(text: str) -> str:
    r"""Give the first sentence of a docstring, on one line.

    Examples:
        >>> first_sentence("Side, in pixels,\n    of a crop. More is slower.")
        'Side, in pixels, of a crop.'
    """
    whole = " ".join(text.split())
    # A full stop ends a sentence where a space and a capital letter follow it.
    return re.split(r"(?<=\.) (?=[A-Z])", whole, maxsplit=1)[0].replace("``", "")


def _fields(kind: Any) -> Iterator[tuple[str, Any]]:
    found: dict[str, Any] = kind.__pydantic_fields__
    yield from found.items()


def _comment(field: Any) -> list[str]:
    lines = _wrapped(field.description or "")
    # The settings of each entry of a list of dataclasses.
    for inner in get_args(field.annotation):
        if dataclasses.is_dataclass(inner):
            for key, setting in _fields(inner):
                lines += _wrapped(f"{key}: {setting.description or ''}")
    return lines


def _wrapped(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(first_sentence(text), WIDTH)]


def _entry(key: str, value: Any) -> str:
    if isinstance(value, list) and value and all(isinstance(part, dict) for part in value):
        return "\n".join([f"{key} = [", *(f"    {_inline(part)}," for part in value), "]"])
    return f"{key} = {_inline(value)}"


def _inline(value: Any) -> str:
    """Write a value on one line."""
    if isinstance(value, dict):
        inside = ", ".join(f"{_key(key)} = {_inline(part)}" for key, part in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    return tomli_w.dumps({"x": value}).removeprefix("x = ").rstrip("\n")


def _key(key: str) -> str:
    return tomli_w.dumps({key: 0}).removesuffix(" = 0\n")
