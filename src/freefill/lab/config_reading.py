"""How settings are put together from several places, and what an error says of them."""

from __future__ import annotations

import dataclasses
import tomllib
from typing import Any, get_args

from pydantic import ValidationError

from freefill.errors import ConfigError


def merged(base: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Lay sections over each other; below a section a value, table or list is replaced whole."""
    merged = dict(base)
    for section, values in given.items():
        old = base.get(section)
        merged[section] = {**old, **values} if isinstance(old, dict) else values
    return merged


def value_of(text: str) -> Any:
    """Read a TOML value; what is none is taken as text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text.strip()


def assign(values: Any, key: str, value: Any) -> None:
    """Set one value in nested dicts and lists.

    Args:
        values: Changed in place.
        key: Keys and numbers of list entries, with dots between them.
        value: The new one.

    Raises:
        ConfigError: If there is no such place.
    """
    *parents, last = key.split(".")
    for part in parents:
        try:
            values = values[int(part)] if isinstance(values, list) else values[part]
        except (KeyError, IndexError, ValueError, TypeError):
            raise ConfigError(f"--set {key}: there is no {part!r} in it") from None
    if isinstance(values, list):
        if not last.isdigit() or int(last) >= len(values):
            raise ConfigError(f"--set {key}: the list has {len(values)} entries, from 0")
        values[int(last)] = value
    elif isinstance(values, dict):
        values[last] = value
    else:
        raise ConfigError(f"--set {key}: {parents[-1]!r} holds no settings")


def explain(error: ValidationError, kind: Any) -> str:
    """Put a pydantic error into words.

    Args:
        error: Of the check.
        kind: The dataclass that was checked.
    """
    lines = []
    for problem in error.errors():
        place = ".".join(str(part) for part in problem["loc"])
        if problem["type"] in ("unexpected_keyword_argument", "dataclass_unexpected_keyword"):
            lines.append(f"{place}: no such setting{_alternatives(problem['loc'], kind)}")
        else:
            lines.append(f"{place}: {problem['msg']}, not {problem['input']!r}")
    return "; ".join(lines)


def _alternatives(place: tuple[int | str, ...], kind: Any) -> str:
    """List the settings beside one that does not exist."""
    for part in place[:-1]:
        if isinstance(part, int):
            continue
        annotation = kind.__pydantic_fields__[part].annotation
        kinds = [annotation, *get_args(annotation)]
        found = [one for one in kinds if dataclasses.is_dataclass(one)]
        if not found:
            return ""
        kind = found[0]
    return f"; there are {', '.join(field.name for field in dataclasses.fields(kind))}"
