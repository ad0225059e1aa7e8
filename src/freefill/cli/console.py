"""What is printed, and where: results to stdout, everything else to stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from freefill.errors import spell

OPTIONS = {"file_format": "format", "avoid": "not"}
"""Arguments whose option has another name."""


def print_error(message: str) -> None:
    """Print one line of error."""
    print(f"freefill: {_process()}error: {_line(message)}", file=sys.stderr)


def print_notice(message: str) -> None:
    """Print one line that is worth knowing."""
    print(f"freefill: {_process()}{_line(message)}", file=sys.stderr)


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep libraries in C from writing to stderr what the one line of error says better."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def cleaned(text: str) -> str:
    r"""Make text that may come from a file harmless to a terminal.

    Args:
        text: Any; its newlines are kept.

    Returns:
        The same with all that does not print written out: escape sequences, and marks that turn
        the direction of text.

    Examples:
        >>> print(cleaned(f"a name{chr(27)}[2J in é"))
        a name\x1b[2J in é
    """
    return "".join(c if c.isprintable() or c == "\n" else _written_out(c) for c in text)


def option(name: str, value: str | None) -> str:
    """Spell an argument of the library as an option.

    Args:
        name: The argument.
        value: What it is to be, if that is said.

    Examples:
        >>> option("overwrite", "True"), option("fit", "resize"), option("max_pixels", None)
        ('--overwrite', '--fit resize', '--max-pixels')
    """
    spelled = "--" + OPTIONS.get(name, name).replace("_", "-")
    if value == "False":
        return spelled.replace("--", "--no-", 1)
    return spelled if value in (None, "True") else f"{spelled} {value}"


def _process() -> str:
    """Name this process where it is one of several that train together, and not their first."""
    rank = os.environ.get("RANK", "0")
    return "" if rank in ("", "0") else f"process {rank}: "


def _written_out(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _line(message: str) -> str:
    return cleaned(" ".join(spell(message, option).split()))
