"""``freefill edges`` and ``freefill gates``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from freefill.cli.console import print_notice, print_result
from freefill.cli.options import FitChoice
from freefill.errors import plural
from freefill.imaging.formats import MAX_PIXELS


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
    from freefill.imaging.atomic import write_atomically
    from freefill.imaging.io import encode, format_of, read_picture
    from freefill.vision.edges import sketch

    if not detail > 0:
        raise ConfigError(f"--detail {detail:g}: it must be above 0")
    file_format = format_of(out)
    if out.exists() and not overwrite:
        raise ImageError(f"{out} exists: --overwrite replaces it")
    picture = read_picture(photo, max_pixels=max_pixels)
    lines = sketch(picture, detail)
    drawn = np.where(lines, 0, 255).astype(np.uint8)
    if transparent:
        drawn = np.dstack([np.zeros((*lines.shape, 3), np.uint8), 255 - drawn])
    write_atomically(out, encode(read_picture(drawn), file_format)[0])
    height, width = picture.size
    if not lines.any():
        print_notice(f"{photo} has no line that is strong enough: try --detail {3 * detail:g}")
    print_result(f"{out}: {width}x{height}, {lines.mean():.1%} of it lines")


def gates(
    photo: Annotated[Path, typer.Argument(help="The photo.", show_default=False)],
    mask: Annotated[Path, typer.Option("--mask", "-m", help="White = fill.", show_default=False)],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="A folder for the page, the pictures and the table.",
            show_default=False,
        ),
    ],
    sketch: Annotated[
        Path | None, typer.Option(help="Lines that the fill follows.", show_default=False)
    ] = None,
    model: Annotated[
        str,
        typer.Option(help="Name of weights, an .onnx or .safetensors file, or a run's folder."),
    ] = "light",
    fit: Annotated[
        FitChoice,
        typer.Option(help="'resize' brings a mask or a sketch of another size to the photo's."),
    ] = FitChoice.exact,
    longest: Annotated[
        int,
        typer.Option(
            help="A photo with a longer side than this is shrunk to it.", min=64, max=1024
        ),
    ] = 512,
    max_pixels: Annotated[
        int,
        typer.Option(help="Refuse files whose width times height is more.", min=1),
    ] = MAX_PIXELS,
) -> None:
    """Look at what the gates of a network let through.

    Writes a page to browse (index.html), a picture of each layer's gates, one contact sheet with
    what partial and plain convolutions would have in their place, and a table of how each channel
    goes with the hole, its border, and the sketch:

      freefill gates photo.jpg --mask mask.png --out gates/

    Networks with plain or partial convolutions (freefill train --set model.name=encoder-decoder
    --set model.convolution=partial) are shown the same way: --model runs/partial
    """
    from freefill.cli.lab import need_lab

    need_lab()
    import numpy as np
    from PIL import Image

    from freefill.errors import GuidanceError, ImageError
    from freefill.imaging.box import Box
    from freefill.imaging.io import read_picture
    from freefill.lab.export.export import load_network
    from freefill.lab.gates import report
    from freefill.lab.gates.gates import filled, record_gates
    from freefill.masks.convert import to_mask
    from freefill.pipeline.guidance import Guidance

    if out.exists() and not out.is_dir():
        raise ImageError(f"--out {out} is a file: name a folder")
    network = load_network(model)
    picture = read_picture(photo, max_pixels=max_pixels)
    hole, notices = to_mask(mask, picture, fit=fit.value, max_pixels=max_pixels)
    guidance = None
    if sketch is not None:
        guidance = Guidance.read(picture.size, sketch, fit=fit.value, max_pixels=max_pixels)
        notices += guidance.notices(hole)
    for line in notices:
        print_notice(line)
    height, width = picture.size
    box, factor = Box.whole((height, width)), -(-max(height, width) // longest)
    size = -(-height // factor), -(-width // factor)
    pixels = (picture.rgb(box) * 255).round().astype(np.uint8)
    image = np.asarray(Image.fromarray(pixels).resize(size[::-1], Image.Resampling.BOX))
    small = Image.fromarray(hole.astype(np.uint8) * 255).resize(size[::-1], Image.Resampling.BOX)
    hole = np.asarray(small) > 0
    planes = None if guidance is None else guidance.seen(box, factor, size)
    try:
        found = record_gates(network, image, hole, planes)
    except ValueError as error:
        raise GuidanceError(f"--model {model}: {error}") from None
    if not found:
        raise GuidanceError(f"--model {model}: it has no gated, partial or plain layer to look at")
    view = report.View(
        photo.name,
        model,
        image,
        hole,
        None if planes is None else planes[..., 0] > 0,
        filled(network, image, hole, planes),
        found,
    )
    page = report.write(view, out)
    maps = sum(len(gate.maps) for gate in found)
    print_result(
        f"{page}: {plural(maps, 'map')} of {plural(len(found), 'layer')}; {out / 'sheet.png'}, "
        f"{out / 'gates.csv'}"
    )
