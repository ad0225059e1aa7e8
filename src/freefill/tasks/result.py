"""What every task gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from freefill.imaging.io import Source, read_picture, restore
from freefill.imaging.picture import Picture
from freefill.types import Mask


@dataclass(frozen=True, eq=False)
class Result:
    """What became of a task.

    Attributes:
        picture: The new picture, in the first source's mode, format and metadata.
        hole: ``(H, W)`` bool, of its size: True where the network made up what is seen.
        notices: Lines that a person should read.
        found: What was found out on the way and may be worth knowing, e.g. ``{"angle": 1.5}``.
    """

    picture: Picture
    hole: Mask
    notices: tuple[str, ...] = ()
    found: dict[str, float | str] = field(default_factory=dict)

    @property
    def image(self) -> Any:
        """The new picture as what the first source was: array, Pillow image, or bytes."""
        return restore(self.picture)


def picture_of(source: Source | Picture) -> Picture:
    """Read a source that may have been read already.

    Args:
        source: A picture, or what :meth:`freefill.imaging.io.read_picture` takes.

    Returns:
        The picture.

    Raises:
        ImageError: If it cannot be read.
    """
    return source if isinstance(source, Picture) else read_picture(source)
