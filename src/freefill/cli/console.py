"""What is printed, and where: results to stdout, everything else to stderr."""

from __future__ import annotations

import sys


def print_error(message: str) -> None:
    """Print one line of error."""
    print(f"freefill: error: {_line(message)}", file=sys.stderr)


def print_notice(message: str) -> None:
    """Print one line that is worth knowing."""
    print(f"freefill: {_line(message)}", file=sys.stderr)


def _line(message: str) -> str:
    return " ".join(message.split())
