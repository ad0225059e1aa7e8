"""Options that commands share: the same word means the same everywhere."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class FitChoice(StrEnum):
    """What to do with a mask of another size."""

    exact = "exact"
    resize = "resize"


Model = Annotated[str, typer.Option(help="Name from 'freefill weights list', or an .onnx file.")]
Invert = Annotated[bool, typer.Option("--invert", help="Black = fill instead.")]
Grow = Annotated[int, typer.Option(help="Widen the hole by this many pixels.", min=0, max=256)]
Fit = Annotated[
    FitChoice, typer.Option(help="'resize' brings a mask of another size to the photo's.")
]
Strip = Annotated[
    bool,
    typer.Option(
        "--strip",
        help="Leave out EXIF, XMP, GPS, comments and texts; the colour profile and the "
        "resolution stay.",
    ),
]
SettingsFile = Annotated[Path | None, typer.Option(help="Settings as TOML.", show_default=False)]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="One setting, e.g. train.lr=1e-4; repeatable.", metavar="A.B=C"),
]
Plugins = Annotated[
    list[str] | None,
    typer.Option(
        "--plugin",
        help="Python file or module that adds models, baselines or metrics; it is run. Repeatable.",
        metavar="FILE.py",
    ),
]
MaxPixels = Annotated[
    int,
    typer.Option(
        help="Refuse files whose width times height is more, before they are decoded.", min=1
    ),
]


def ending_of(suffix: str | None) -> str | None:
    """Give the ending that ``--format`` stands for.

    Args:
        suffix: What was typed, e.g. ``png`` or ``.PNG``.

    Returns:
        ``.png``, or ``None`` for none.

    Raises:
        ImageError: If nothing can be written in it: said before anything is filled.
    """
    from freefill.errors import ImageError
    from freefill.imaging.picture import format_of

    if suffix is None:
        return None
    ending = "." + suffix.removeprefix(".").lower()
    try:
        format_of(Path(f"result{ending}"))
    except ImageError as error:
        raise ImageError(f"--format {suffix!r}: {error}") from None
    return ending
