"""``freefill edges``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from freefill.cli.console import print_notice
from freefill.files import MAX_PIXELS


def edges(
    photo: Annotated[Path, typer.Argument(help="The photo.", show_default=False)],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="The sketch, e.g. lines.png; it is as large as the photo.",
            show_default=False,
        ),
    ],
    detail: Annotated[
        float,
        typer.Option(help="More than 1 draws fainter lines too, less than 1 only strong ones."),
    ] = 1.0,
    transparent: Annotated[
        bool,
        typer.Option("--transparent", help="On a transparent ground, as a layer for an editor."),
    ] = False,
    max_pixels: Annotated[
        int,
        typer.Option(help="Refuse a photo whose width times height is more.", min=1),
    ] = MAX_PIXELS,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a sketch that exists.")
    ] = False,
) -> None:
    """Make a sketch from a photo: dark lines on white.

    Change it in any editor, then let a fill follow it:

      freefill edges photo.jpg --out lines.png

      freefill fill photo.jpg --mask mask.png --sketch lines.png --out filled.png
    """
    import numpy as np

    from freefill.errors import ConfigError, ImageError
    from freefill.guidance.edges import sketch
    from freefill.image import Picture, format_of, write_atomically

    if not detail > 0:
        raise ConfigError(f"--detail {detail:g}: it must be above 0")
    file_format = format_of(out)
    if out.exists() and not overwrite:
        raise ImageError(f"{out} exists: --overwrite replaces it")
    picture = Picture.read(photo, max_pixels=max_pixels)
    lines = sketch(picture, detail)
    drawn = np.where(lines, 0, 255).astype(np.uint8)
    if transparent:
        drawn = np.dstack([np.zeros((*lines.shape, 3), np.uint8), 255 - drawn])
    write_atomically(out, Picture.read(drawn).encode(file_format)[0])
    height, width = picture.size
    if not lines.any():
        print_notice(f"{photo} has no line that is strong enough: try --detail {3 * detail:g}")
    typer.echo(f"{out}: {width}x{height}, {lines.mean():.1%} of it lines")
