"""The options of every command: how much is printed, and in which form.

They are made once and added to the commands that Typer has built, so that they can stand before
the command's name and behind it.
"""

from __future__ import annotations

import functools
import inspect
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from freefill.cli import console
from freefill.cli.console import MODE
from freefill.errors import ConfigError
from freefill.tasks.table import TASKS

LOG = logging.getLogger("freefill")
PANEL = "Output"
WITH_RECORDS = {"fill", "batch", *(task.name for task in TASKS if task.command)}
"""Commands that fill photos, whose ``--json`` has a line for each."""


class LogLevel(StrEnum):
    """What of the log is shown."""

    debug = "debug"
    info = "info"
    warning = "warning"
    error = "error"


def _quiet(value: bool) -> None:
    MODE.quiet = MODE.quiet or value
    _set_level()


def _json(value: bool) -> None:
    MODE.json = MODE.json or value


def _log_level(value: LogLevel | None) -> None:
    MODE.log_level = value.value if value else MODE.log_level
    _set_level()


def _set_level() -> None:
    level = MODE.log_level or ("error" if MODE.quiet else "warning")
    LOG.setLevel(level.upper())


def _for_all(
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet",
            "-q",
            help="Print errors and what was asked for: no progress, no notices, no summary.",
            callback=_quiet,
            expose_value=False,
            rich_help_panel=PANEL,
        ),
    ] = False,
    log_level: Annotated[
        LogLevel | None,
        typer.Option(
            help="Show the log on stderr from this level on: 'debug' tells how each photo is "
            "filled. Without it, warnings.",
            callback=_log_level,
            expose_value=False,
            show_default=False,
            rich_help_panel=PANEL,
        ),
    ] = None,
) -> None: ...


def _for_photos(
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print a line of JSON for each photo on stdout, and all else on stderr.",
            callback=_json,
            expose_value=False,
            rich_help_panel=PANEL,
        ),
    ] = False,
) -> None: ...


def add_to(command: Any, *, records: bool) -> None:
    """Let a command, and all commands of a group, take the shared options; let its help flow.

    Args:
        command: As Typer has built it.
        records: Whether it has ``--json``, too.
    """
    command.help = _flowing(command.help)
    command.params += _built(_for_all)
    if records:
        command.params += _built(_for_photos)
    for name, below in getattr(command, "commands", {}).items():
        add_to(below, records=name in WITH_RECORDS)


def _flowing(text: str | None) -> str | None:
    """Join the lines of each paragraph of prose, which are as long as the code's, not a terminal's.

    Examples, which are indented, keep theirs.
    """
    if text is None:
        return None
    text = re.sub(r"(Examples?:)\n(?!\n)", r"\1\n\n", inspect.cleandoc(text))
    paragraphs = text.split("\n\n")
    prose = (" ".join(one.split("\n")) if "\n " not in one else one for one in paragraphs)
    return "\n\n".join(prose)


@functools.cache
def _built(function: Any) -> list[Any]:
    app = typer.Typer(add_completion=False)
    app.command()(function)
    return [one for one in typer.main.get_command(app).params if one.name != "help"]


class Group(TyperGroup):
    """All commands, each with the shared options."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        add_to(self, records=True)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command; ``--json`` before the name of one that has no photos is refused."""
        found = super().resolve_command(ctx, args)
        if MODE.json and found[0] not in WITH_RECORDS:
            raise ConfigError(f"--json tells of photos, and '{found[0]}' fills none: leave it out")
        return found


@contextmanager
def fresh() -> Iterator[None]:
    """Begin with the defaults, and show the log while a command runs."""
    console.begin()
    handler = console.LogLines()
    LOG.addHandler(handler)
    _set_level()
    try:
        yield
    finally:
        LOG.removeHandler(handler)
        LOG.setLevel(logging.NOTSET)
        console.begin()
