"""What ``--json`` prints: an object a photo, a line an object (docs/how-to/pipes.md: the fields).

A command says which photo it works on before anything can go wrong with it. So an error has a
record whoever raises it, and tasks need no code of their own for that.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from freefill.cli.console import MODE, Subject, spelled_line, write_out


def about(photo: Path | str, out: Path | str | None) -> None:
    """Say which photo the command works on now, and where its result goes."""
    MODE.subject = Subject(str(photo), None if out is None else str(out))
    MODE.notices = []


def exists() -> None:
    """Say that the photo is not filled because there is a result already."""
    if MODE.subject is not None:
        MODE.subject = Subject(MODE.subject.photo, MODE.subject.out, exists=True)


def filled(
    size: tuple[int, int], share: float, seconds: float, *, out: Path | None = None, **more: Any
) -> None:
    """Tell of the photo in work that it is filled.

    Args:
        size: Height and width of the result.
        share: How much of it was filled, 0 to 1.
        seconds: What it took.
        out: What was written, where that is not the result.
        more: Further fields.
    """
    subject, MODE.subject = MODE.subject, None
    if subject is not None:
        tell(
            subject.photo,
            subject.out if out is None else str(out),
            "filled",
            size=size,
            hole=share,
            seconds=seconds,
            notices=MODE.notices,
            **more,
        )


def refused(message: str, *, again: bool = False) -> None:
    """Tell of an error: of the photo in work, or of the whole call where there is none.

    Args:
        message: The error's.
        again: Whether another try may help: the system is to blame, not what was given.
    """
    subject, MODE.subject = MODE.subject, None
    status = "exists" if subject and subject.exists else "failed" if again else "refused"
    tell(
        subject.photo if subject else None,
        subject.out if subject else None,
        status,
        notices=MODE.notices if subject else (),
        error=message,
    )


def tell(
    photo: Path | str | None,
    out: Path | str | None,
    status: str,
    *,
    size: tuple[int, int] | None = None,
    hole: float | None = None,
    seconds: float | None = None,
    notices: Sequence[str] = (),
    error: str | None = None,
    **more: Any,
) -> None:
    """Print a record, if they were asked for; ``size`` is height and width."""
    if not MODE.json:
        return
    record = {
        "input": None if photo is None else str(photo),
        "output": None if out is None else str(out),
        "status": status,
        "width": size and size[1],
        "height": size and size[0],
        "hole": None if hole is None else round(hole, 6),
        "seconds": None if seconds is None else round(seconds, 3),
        "notices": [spelled_line(line) for line in notices],
        "error": None if error is None else spelled_line(error),
        **more,
    }
    # Escaped to ASCII: no encoding of a terminal or a pipe can fail at a name.
    write_out(json.dumps(record).encode() + b"\n")
