"""Where freefill keeps what it has fetched or computed: one folder for all of it.

Environment:
    FREEFILL_CACHE: The folder, instead of the system's own for caches: ``$XDG_CACHE_HOME/freefill``
        or ``~/.cache/freefill`` on Linux.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from freefill.errors import ConfigError, FreefillError

CACHE_VARIABLE = "FREEFILL_CACHE"


def cache_folder(name: str) -> Path:
    """Give a folder of the user's cache; it need not exist.

    Args:
        name: What is in it: ``weights``, ``references``, ``photos`` or ``shards``.

    Returns:
        An absolute path. It is looked up in each call, so that it follows the environment.

    Raises:
        ConfigError: If the user has no home folder, or ``FREEFILL_CACHE`` names the home folder of
            somebody who does not exist.
    """
    named = os.environ.get(CACHE_VARIABLE, "")
    try:
        folder = Path(named).expanduser() if named.strip() else _system_cache()
    except RuntimeError:
        where = f"{CACHE_VARIABLE} is {named}" if named.strip() else "there is no home folder"
        raise ConfigError(
            f"{where}, so that there is no place for a cache: set {CACHE_VARIABLE} to a folder"
        ) from None
    return folder.absolute() / name


@contextmanager
def explain_unwritable(
    folder: Path, error: type[FreefillError], variable: str = CACHE_VARIABLE
) -> Iterator[None]:
    """Turn errors of the file system into one of freefill's, which names the way out.

    Args:
        folder: What is written to, where the system does not say it.
        error: What is raised.
        variable: The environment variable that chooses the folder.

    Raises:
        FreefillError: ``error``, if something cannot be written.
    """
    try:
        yield
    except OSError as reason:
        raise error(
            f"{reason.filename or folder} cannot be written: {reason.strerror or reason}; "
            f"{variable} names another folder"
        ) from None


def _system_cache() -> Path:
    from platformdirs import user_cache_path

    folder = user_cache_path("freefill", appauthor=False)
    if not folder.is_absolute():  # older versions of platformdirs leave a ~ without a home
        raise RuntimeError(f"{folder} is not absolute")
    return folder
