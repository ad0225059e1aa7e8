"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from freefill.errors import ImageError


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all.

    Args:
        path: The file.
        content: Its bytes.

    Raises:
        ImageError: If the folder is missing or cannot be written to.
    """
    # Short, so that a name of the greatest legal length still has room for the ending.
    # Of this process and thread: names that begin alike are written at the same time.
    owner = f"{os.getpid()}-{threading.get_ident()}"
    partial = path.with_name(f".{path.name[:40]}.{owner}.partial")
    try:
        try:
            partial.write_bytes(content)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"{path} cannot be written: {reason}") from None
