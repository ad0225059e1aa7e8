"""Where freefill keeps what it has fetched or computed: one folder for all of it.

Environment:
    FREEFILL_CACHE: The folder, instead of the system's own for caches: ``$XDG_CACHE_HOME/freefill``
        or ``~/.cache/freefill`` on Linux.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
        ConfigError: If the user has no home folder, or the variable names one that there is not.
    """
    return (path_from(CACHE_VARIABLE) or _system_cache()) / name


def path_from(variable: str) -> Path | None:
    """Give the path that an environment variable names.

    Args:
        variable: Its name.

    Returns:
        An absolute path, with ``~`` written out; ``None`` if the variable is not set, or is blank.

    Raises:
        ConfigError: If it names the home folder of somebody who does not exist.
    """
    named = os.environ.get(variable, "")
    if not named.strip():
        return None
    try:
        return Path(named).expanduser().absolute()
    except RuntimeError:
        raise ConfigError(f"{variable} is {named}: there is no such home folder") from None


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

    with suppress(RuntimeError):
        folder = user_cache_path("freefill", appauthor=False)
        if folder.is_absolute():  # older versions of platformdirs leave a ~ without a home
            return folder
    raise ConfigError(
        f"there is no home folder, and so no place for a cache: set {CACHE_VARIABLE} to a folder"
    )
