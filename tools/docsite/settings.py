"""The settings of training with their defaults, as Markdown tables."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from freefill.lab.config import Config, StageConfig


def page() -> str:
    """Give a table for each section of the settings."""
    values = Config().to_dict()
    kinds = {name: field.annotation for name, field in _fields(Config)}
    sections = {n: kind for n, kind in kinds.items() if dataclasses.is_dataclass(kind)}
    loose = {n: values[n] for n in kinds if n not in sections}
    parts = ["## At the top", "", *_table(Config, loose)]
    for name, kind in sections.items():
        about = " ".join(str(kind.__doc__).split())
        parts += ["", f"## `[{name}]`", "", about, "", *_table(kind, values[name])]
    defaults = {f.name: "" if f.default is dataclasses.MISSING else f.default
                for f in dataclasses.fields(StageConfig)}  # fmt: skip
    parts += ["", "## Each entry of `train.stages`", "", str(StageConfig.__doc__), ""]
    return "\n".join([*parts, *_table(StageConfig, defaults), ""])


def _fields(kind: Any) -> Iterator[tuple[str, Any]]:
    yield from kind.__pydantic_fields__.items()


def _table(kind: Any, values: dict[str, Any]) -> list[str]:
    lines = ["| setting | default | what it is |", "| --- | --- | --- |"]
    for name, field in _fields(kind):
        if name not in values:
            continue
        about = " ".join((field.description or "").split()).replace("``", "`")
        lines.append(f"| `{name}` | {_shown(values[name])} | {about}{_choices(field)} |")
    return lines


def _choices(field: Any) -> str:
    if get_origin(field.annotation) is not Literal:
        return ""
    return " One of " + ", ".join(f"`{choice}`" for choice in get_args(field.annotation)) + "."


def _shown(value: Any) -> str:
    """Write a value as it stands in a settings file.

    Examples:
        >>> _shown(True), _shown([1, 2]), _shown({"thin": 1.0}), _shown("")
        ('`true`', '`[1, 2]`', '`{thin = 1.0}`', '`""`')
    """
    if isinstance(value, dict):
        return "`{" + ", ".join(f"{k} = {_plain(v)}" for k, v in value.items()) + "}`"
    if isinstance(value, (list, tuple)) and value and isinstance(value[0], dict):
        return "<br>".join(_shown(each) for each in value)
    return f"`{_plain(value)}`" if value != "" or isinstance(value, str) else ""


def _plain(value: Any) -> str:
    return json.dumps(value)
