"""What is printed, and where: results to stdout, everything else to stderr."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from freefill.errors import spell

OPTIONS = {"file_format": "format", "avoid": "not"}
"""Arguments whose option has another name."""


def print_error(message: str) -> None:
    """Print one line of error."""
    _to_stderr(f"freefill: {_process()}error: {_line(message)}")


def print_notice(message: str) -> None:
    """Print one line that is worth knowing."""
    _to_stderr(f"freefill: {_process()}{_line(message)}")


def print_result(text: str) -> None:
    """Print what was asked for, or what became of it, to stdout.

    Raises:
        SystemExit: With 2, if nothing can be written there; stderr then says what was to be.
    """
    text = cleaned(text)
    try:
        if sys.stdout is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        print(text, flush=True)
    except OSError as error:
        _lost(error, text)
        sys.exit(2)


def open_streams() -> None:
    """Make stdout and stderr fit for any text, before anything is printed or opened.

    What an encoding cannot hold is written out. A stream that was closed is one to nowhere, so
    that its number does not become that of a photo's file, to which a library would write.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def close_streams() -> None:
    """Write what is still to be written to stdout, which Python would do without a word.

    Raises:
        SystemExit: With 2, if that fails.
    """
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        _lost(error, "")
        sys.exit(2)


def _lost(error: OSError, text: str) -> None:
    _to_nowhere(1)
    what = f": {text}" if text else ""
    print_error(f"standard output cannot be written ({error.strerror or error}){what}")


def _to_stderr(line: str) -> None:
    if sys.stderr is None:  # print() would take stdout instead
        return
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:  # nowhere is left to say it; the exit code does
        _to_nowhere(2)


def _to_nowhere(number: int) -> None:
    """Send what a stream still holds to nowhere: Python would fail again when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)


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
