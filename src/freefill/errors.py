"""The one tree of errors that freefill raises on purpose.

Each message says what was wrong, with numbers, and what to do. The command line prints it on one
line and exits with 2; anything else that is raised is a bug and keeps its traceback.
"""

from __future__ import annotations


class FreefillWarning(UserWarning):
    """Something worth knowing about the input that did not stop the work."""


class FreefillError(Exception):
    """Everything that a caller can mend: bad input, a missing file, an unknown name."""


class ImageError(FreefillError, ValueError):
    """A picture cannot be read, written or used as it is."""


class MaskError(FreefillError, ValueError):
    """A mask does not fit its picture or cannot be understood."""


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
