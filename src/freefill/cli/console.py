"""What is printed, and where: results to stdout, everything else to stderr.

A picture (``--out -``) or records (``--json``) have stdout for themselves: lines go to stderr then.
"""

from __future__ import annotations

import errno
import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn, TextIO

from freefill.errors import spell

if TYPE_CHECKING:
    from rich.console import Console

BROKEN_PIPE = 128 + 13
"""The exit code of a program that SIGPIPE has ended, to a shell."""


@dataclass(frozen=True)
class Subject:
    """The photo in work, whose record is still to come."""

    photo: str
    out: str | None
    exists: bool = False
    """Whether it is not filled because there is a result."""


@dataclass
class Mode:
    """How much is printed, and what has stdout for itself."""

    quiet: bool = False
    json: bool = False
    picture: bool = False
    log_level: str | None = None
    subject: Subject | None = None
    notices: list[str] = field(default_factory=list)
    """What was printed of the subject, for its record."""

    @property
    def has_stdout(self) -> bool:
        """Whether lines for people may go to stdout."""
        return not (self.json or self.picture)


MODE = Mode()
"""Of the command that runs."""


def begin() -> None:
    """Set all of that back: a process may run several commands."""
    vars(MODE).update(vars(Mode()))


OPTIONS = {"file_format": "format", "avoid": "not"}
"""Arguments whose option has another name."""


def print_error(message: str) -> None:
    """Print one line of error."""
    _to_stderr(f"freefill: {_process()}error: {spelled_line(message)}")


def print_notice(message: str) -> None:
    """Print one line that is worth knowing, unless quiet was asked for."""
    line = spelled_line(message)
    MODE.notices.append(line)
    if not MODE.quiet:
        _to_stderr(f"freefill: {_process()}{line}")


def print_result(text: str) -> None:
    """Print what became of the work, unless quiet was asked for.

    Raises:
        SystemExit: As :func:`print_answer`.
    """
    if not MODE.quiet:
        print_answer(text)


def print_answer(text: str) -> None:
    """Print what was asked for to stdout; to stderr where a picture or records have that.

    Raises:
        SystemExit: With 2, if nothing can be written there; stderr then says what was to be. With
            141, and without a word, if whoever read it has ended.
    """
    text = cleaned(text)
    if not MODE.has_stdout:
        _to_stderr(f"freefill: {text}")
        return
    with _stdout(text) as stream:
        print(text, file=stream, flush=True)


def write_out(content: bytes) -> None:
    """Write bytes to stdout, whole.

    Raises:
        SystemExit: As :func:`print_answer`.
    """
    with _stdout("") as stream:
        stream.buffer.write(content)
        stream.buffer.flush()


@contextmanager
def _stdout(text: str) -> Iterator[TextIO]:
    """Give stdout; where it takes nothing, end and let stderr say what was to be there."""
    try:
        if sys.stdout is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        yield sys.stdout
    except OSError as error:
        _lost(error, text)


def shows_bar(console: Console) -> bool:
    """Tell whether a progress bar is drawn: on a terminal, unless quiet was asked for."""
    return console.is_terminal and not MODE.quiet


class LogLines(logging.Handler):
    """Log records as lines on stderr, wherever that goes at the moment."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one."""
        line = " ".join(record.getMessage().split())
        if record.exc_info:
            line += "\n" + logging.Formatter().formatException(record.exc_info)
        _to_stderr(f"freefill: {record.levelname.lower()}: {cleaned(line)}")


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
        SystemExit: As :func:`print_answer`.
    """
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        _lost(error, "")


def _lost(error: OSError, text: str) -> NoReturn:
    """End: nothing more can be written to stdout."""
    _to_nowhere(1)
    if error.errno == errno.EPIPE:
        sys.exit(BROKEN_PIPE)
    what = f": {text}" if text else ""
    print_error(f"standard output cannot be written ({error.strerror or error}){what}")
    sys.exit(2)


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
    """Keep libraries in C from writing to stderr what the one line of error says better.

    What Python prints there still comes through.
    """
    before = sys.stderr
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    ours = None
    try:
        if isinstance(before, io.TextIOWrapper) and before is sys.__stderr__:
            before.flush()
            ours = open(  # noqa: SIM115
                kept, "w", encoding=before.encoding, errors=before.errors, closefd=False
            )
            sys.stderr = ours
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        if ours is not None:
            sys.stderr = before
            with suppress(OSError):
                ours.close()
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


def spelled_line(message: str) -> str:
    """Give a message of the library in one line, with its arguments as options."""
    return cleaned(" ".join(spell(message, option).split()))
