"""Where freefill keeps what it has fetched or computed, and which files of a folder are meant.

Environment:
    FREEFILL_CACHE: The folder, instead of the system's own for caches: ``$XDG_CACHE_HOME/freefill``
        or ``~/.cache/freefill`` on Linux.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from freefill.errors import ConfigError, FreefillError

CACHE_VARIABLE = "FREEFILL_CACHE"
OFFLINE_VARIABLE = "FREEFILL_OFFLINE"
STREAM = Path("-")
"""What stands for standard input or output where the command line takes a path."""


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


def is_hidden(name: str) -> bool:
    """Whether a file or folder is not meant to be seen, by its name.

    macOS puts a file ``._photo.jpg`` beside ``photo.jpg`` on foreign disks, ``.DS_Store`` into
    folders, and such files into a folder ``__MACOSX`` of a zip. What a person names is meant.

    Examples:
        >>> [is_hidden(name) for name in ("._a.jpg", ".thumbnails", "__MACOSX", "a.jpg", "..")]
        [True, True, True, False, False]
    """
    return (name.startswith(".") and name.strip(".") != "") or name == "__MACOSX"


def is_within_hidden(name: str) -> bool:
    """Whether a name below a folder, or in an archive, is hidden, or lies in a hidden folder.

    Examples:
        >>> [is_within_hidden(name) for name in ("./a.jpg", "a/._b.jpg", "__MACOSX/a/b.jpg")]
        [False, True, True]
    """
    return any(is_hidden(part) for part in PurePosixPath(name).parts)


def files_below(folder: Path, error: type[FreefillError]) -> Iterator[Path]:
    """Give the files below a folder, but for hidden ones; links to folders are not followed.

    Args:
        folder: What is hidden in it is not looked into; it may be hidden itself.
        error: What is raised.

    Yields:
        Their paths, and those of whatever else is no folder.

    Raises:
        FreefillError: As ``error``: if the folder, or one below it, cannot be listed.
    """

    def refuse(reason: OSError) -> None:
        raise error(f"{reason.filename} cannot be listed: {reason.strerror or reason}") from None

    for root, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not is_hidden(name)]
        yield from (Path(root, name) for name in names if not is_hidden(name))


def is_offline() -> bool:
    """Tell whether ``FREEFILL_OFFLINE`` forbids connections."""
    word = os.environ.get(OFFLINE_VARIABLE, "").strip().lower()
    return word not in ("", "0", "false", "no", "off")
