"""``freefill remove``: one photo in, one out, and masks to look at."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from freefill.cli import options
from freefill.cli.console import print_notice
from freefill.cli.tasks import common
from freefill.cli.tasks.doubts import write_doubt
from freefill.imaging.formats import MAX_PIXELS


def remove(
    task: Callable[..., Any],
    photo: common.Photo,
    out: common.Out,
    mask_out: Annotated[
        Path | None,
        typer.Option(
            help="Also write the mask of what was filled (white): to look at, or to change and "
            "give to 'freefill fill'. Where the object casts a shadow or is reflected, one more "
            "with that: NAME_shadow, NAME_reflection.",
            show_default=False,
        ),
    ] = None,
    model: options.Model = "light",
    strip: options.Strip = False,
    max_pixels: options.MaxPixels = MAX_PIXELS,
    overwrite: common.Overwrite = False,
    **given: Any,
) -> None:
    """Remove an object."""
    from freefill.errors import DoubtError
    from freefill.pipeline.inpainter import Inpainter

    beside = {
        name: mask_out.with_name(f"{mask_out.stem}_{name}{mask_out.suffix}")
        for name in ("shadow", "reflection")
        if mask_out and not given[name]
    }
    wanted = [out, mask_out, *beside.values()]
    common.check_outs([photo], wanted, overwrite)
    start = time.perf_counter()
    picture = common.read(photo, max_pixels)
    try:
        result = task(picture, **given, inpainter=Inpainter(model), max_pixels=max_pixels)
    except DoubtError as doubt:
        write_doubt(picture, doubt, out, mask_out)
        raise
    seconds = time.perf_counter() - start
    common.write(result, out, mask_out=mask_out, strip=strip, seconds=seconds)
    for name, path in beside.items():
        _write_offered(name, path, picture, result)


def _write_offered(name: str, path: Path, picture: Any, result: Any) -> None:
    """Write a mask that takes more along than what was filled, where there is one."""
    from freefill.vision.segmentation.shadow import cast

    # A shadow is looked for only here: that takes longer, and is wrong more often.
    more = cast(picture, result.mask) if name == "shadow" else result.offered.get(name)
    if more is not None and more.any():
        mask = result.mask | more
        common.write_mask(mask, path)
        share = (mask & ~result.mask).mean()
        print_notice(f"{path}: the mask with the {name}, {share:.1%} of the photo more")
