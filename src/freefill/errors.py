"""The one tree of errors that freefill raises on purpose.

Each message says what was wrong, with numbers, and what to do. The command line prints it on one
line and exits with 2; anything else that is raised is a bug and keeps its traceback.

Messages speak of the library's arguments, in backticks: "pass `fit="resize"`". Front ends spell
them as their own options, by :func:`spell`: ``--fit resize``, a field ``fit=resize``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

_ARGUMENT = re.compile(r"`([a-z][a-z0-9_.]*)(?:=([^`]*))?`")


def spell(message: str, option: Callable[[str, str | None], str]) -> str:
    """Spell the arguments that a message speaks of in another way.

    Args:
        message: Of an error or a notice.
        option: Takes an argument's name and the value that is to be given, without quotes, or
            ``None``; gives how it is called.

    Returns:
        The message.

    Examples:
        >>> spell("a.png exists: `overwrite=True` replaces it", lambda name, value: f"--{name}")
        'a.png exists: --overwrite replaces it'
    """

    def replaced(found: re.Match[str]) -> str:
        value = found[2]
        return option(found[1], None if value is None else value.strip("\"'"))

    return _ARGUMENT.sub(replaced, message)


def plural(count: int, one: str, more: str | None = None) -> str:
    """Count things in words that go with the number.

    Args:
        count: How many.
        one: What one of them is called.
        more: What several are called; ``one`` with an s by default.

    Examples:
        >>> plural(1, "photo"), plural(2, "photo"), plural(0, "entry", "entries")
        ('1 photo', '2 photos', '0 entries')
    """
    return f"{count} {one if count == 1 else more or one + 's'}"


def those_there(names: Iterable[str]) -> str:
    """Say which there are, in words that go with their number.

    Args:
        names: What they are called.

    Examples:
        >>> those_there(["light"]), those_there(["light", "migan"]), those_there([])
        ('there is light', 'there are light, migan', 'there are none')
    """
    listed = list(names)
    return f"there {'is' if len(listed) == 1 else 'are'} {', '.join(listed) or 'none'}"


class FreefillWarning(UserWarning):
    """Something worth knowing about the input that did not stop the work."""


class FreefillError(Exception):
    """Everything that a caller can mend: bad input, a missing file, an unknown name."""


class ImageError(FreefillError, ValueError):
    """A picture cannot be read, written or used as it is."""


class OutOfMemoryError(FreefillError, MemoryError):
    """There is not enough memory for a picture now; nothing is wrong with it."""


class MaskError(FreefillError, ValueError):
    """A mask does not fit its picture or cannot be understood."""


class DoubtError(MaskError):
    """What was found by itself is doubtful; the message says why and what goes on all the same.

    Attributes:
        figures: What the doubt rests on, numbers by name.
        mask: ``(H, W)`` bool, what would have been filled, for a look.
    """

    def __init__(
        self, message: str, figures: Mapping[str, float] | None = None, mask: Any = None
    ) -> None:
        super().__init__(message)
        self.figures = dict(figures or {})
        self.mask = mask


class GuidanceError(FreefillError, ValueError):
    """A sketch or strokes of colour do not fit their picture or cannot be followed."""


class VideoError(FreefillError, ValueError):
    """A clip cannot be read, followed or written."""


class WeightsError(FreefillError, LookupError):
    """Weights are unknown, damaged or not what their card says."""


class ConfigError(FreefillError, ValueError):
    """A setting does not exist or has an impossible value."""


class DataError(FreefillError, ValueError):
    """Training photos cannot be used."""


class CheckpointError(FreefillError, ValueError):
    """A run cannot be resumed or exported."""


class TrainingError(FreefillError, RuntimeError):
    """Training cannot go on (a loss that is not a number)."""


class ReferenceMissingError(FreefillError, LookupError):
    """A reference network is needed and is not there."""


class ExtraMissingError(FreefillError, ImportError):
    """An optional part of freefill is not installed; the message is the pip command."""


class StorageError(FreefillError, OSError):
    """A folder or a bucket cannot be listed, read or written, or somebody else works in it."""
