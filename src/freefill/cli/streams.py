"""``-``: a photo from standard input, a result to standard output."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from freefill.cli.console import MODE
from freefill.errors import ConfigError, ImageError
from freefill.files.paths import STREAM

if TYPE_CHECKING:
    from freefill.imaging.io import NamedBytes

NAME = "standard input"
BYTES_PER_PIXEL, MARGIN = 4, 64_000_000
"""Bytes that a file may have for each pixel of ``--max-pixels``, as samples may, and beside them:
more is no photo within that limit. A file on a disk need not be in memory; this has to be."""
PIECE = 1 << 20


def check(inputs: Sequence[Path | str | None], out: Path | None) -> None:
    """Refuse what cannot be read or written by a pipe, before anything is done.

    Lines for people go to stderr from here on if the result goes to standard output.

    Args:
        inputs: What is read.
        out: What is written.

    Raises:
        ConfigError: If two inputs are ``-``, if it stands for a terminal, or if records want the
            standard output, too.
    """
    count = sum(str(one) == str(STREAM) for one in inputs if one is not None)
    if count > 1:
        raise ConfigError(f"- is given {count} times: standard input holds one file")
    if count and (sys.stdin is None or sys.stdin.isatty()):
        raise ConfigError("- is standard input, and nothing is piped into it: name a file")
    if out != STREAM:
        return
    if MODE.json:
        raise ConfigError("--json and --out - both want standard output: name a file for one")
    if sys.stdout is not None and sys.stdout.isatty():
        raise ConfigError(
            "--out - is standard output, which is a terminal: redirect it (> FILE), or name a file"
        )
    MODE.picture = True


def read(max_pixels: int) -> NamedBytes:
    """Read standard input to its end.

    Args:
        max_pixels: The most that width times height may be.

    Raises:
        ImageError: If there is nothing, or more than such a photo could have.
    """
    from freefill.imaging.io import NamedBytes

    most = BYTES_PER_PIXEL * max_pixels + MARGIN
    content = bytearray()
    try:
        while piece := sys.stdin.buffer.read(PIECE):
            content += piece
            if len(content) > most:
                raise ImageError(
                    f"{NAME} holds more than {most / 1e6:.0f} MB, which is more than a photo of "
                    f"{max_pixels:,} pixels can have: `max_pixels` is the limit"
                )
    except OSError as error:
        raise ImageError(f"{NAME} cannot be read: {error.strerror or error}") from None
    if not content:
        raise ImageError(f"{NAME} is empty: pipe a photo into it")
    return NamedBytes(bytes(content), NAME)
