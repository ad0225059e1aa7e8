"""Take thin overlays off a photo of one's own: date stamps, captions, scratches, dust.

The place is found by filters that see strokes, lines and specks (:mod:`freefill.vision.overlays`),
and filled. The filters do not read and do not know: a row of windows can pass for text, a wire for
a scratch. So the mask is part of the result, to be looked at and changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np

from freefill.errors import DoubtError, MaskError
from freefill.imaging.formats import MAX_PIXELS
from freefill.imaging.io import Source, read_picture
from freefill.imaging.picture import Picture
from freefill.masks.region import Corners, to_box
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import FillRequest, Result
from freefill.tasks.calls import chosen, task
from freefill.tasks.options import Option
from freefill.types import Mask, Progress
from freefill.vision.overlays.finding import Kind, Overlay, find_each

MUCH = 0.1
"""Share of a photo above which what was found is hardly a thin overlay."""


@task
def unmark(
    image: Source | Picture,
    *,
    kind: Annotated[
        Kind,
        Option(
            "What to look for: a date near the upper or lower border (stamp), any line of text, "
            "scratches, dust, or all of them (auto).",
            error=MaskError,
        ),
    ] = "auto",
    box: Annotated[
        Corners | None,
        Option(
            "Look only there: left, top, right and bottom in pixels.", form="L,T,R,B", longest=60
        ),
    ] = None,
    apply: Annotated[
        bool,
        Option("Fill what was found where the evidence is weak, too.", error=MaskError),
    ] = False,
    fill: bool = True,
    inpainter: Inpainter | None = None,
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
) -> Result[Any]:
    """Find overlays on a photo and fill their place, where it is beyond doubt that there are any.

    Args:
        image: The photo.
        kind: What to look for: ``"stamp"`` (a date near the upper or lower border), ``"text"``,
            ``"scratches"``, ``"dust"``, or each of them.
        box: Where to look only, ``(left, top, right, bottom)``; everywhere by default.
        apply: Whether to fill kinds of which the evidence is weak, too. Naming a kind asks for
            less evidence, a box for none.
        fill: Whether to fill; otherwise the picture stays and only the hole is told: all that was
            found, the weak as well.
        inpainter: The pipeline; by default that of the default weights, loaded once and kept.
        max_pixels: The most that width times height of any file may be.
        progress: Called with the crops that are done and with all there are.

    Returns:
        The photo without them; ``info`` tells of what kinds they were, and ``notices`` what was
        left because the evidence is weak. Every pixel outside the hole is the input's.

    Raises:
        ImageError: If the photo cannot be read.
        DoubtError: If something is found, but of no kind enough to be sure of it.
        MaskError: If nothing is found, or kind or box are impossible.

    Examples:
        >>> import numpy as np
        >>> photo = np.full((128, 128, 3), 90, np.uint8)
        >>> photo[10:100, 60] = 230
        >>> result = unmark(photo, kind="scratches", apply=True)
        >>> result.info, bool((abs(result.image[20:90, 60].astype(int) - 90) < 10).all())
        ({'kind': 'scratches'}, True)
    """
    picture = read_picture(image, max_pixels=max_pixels)
    overlays = find_each(picture, kind, None if box is None else to_box(box))
    if not overlays:
        what = "no stamp, text, scratches or dust were" if kind == "auto" else f"no {kind} was"
        raise MaskError(
            f"{what} found: name another `kind`, look only where it is (`box=L,T,R,B`), or paint a "
            "mask and give it to 'freefill fill'"
        )
    weak = [] if apply or not fill else [one for one in overlays if not one.is_strong]
    taken = [one for one in overlays if apply or not fill or one.is_strong]
    if not taken:
        height, width = picture.size
        raise DoubtError(
            f"{_told(weak)} may be of the photo itself ({width}x{height}), and nothing is filled: "
            "look at the mask; name a `kind`, say where it is (`box=L,T,R,B`), or fill it all the "
            "same (`apply=True`)",
            {one.kind: round(one.evidence, 4) for one in weak},
            _union(weak),
        )
    hole, kinds = _union(taken), [one.kind for one in taken]
    notices = []
    if weak:
        notices.append(
            f"{_told(weak)} may be of the photo itself, and is left as it is: `apply=True` fills "
            "that, too"
        )
    if hole.mean() > MUCH:
        notices.append(
            f"{hole.mean():.0%} of the photo was taken for {' and '.join(kinds)}: look at the "
            "mask, and give one `kind` or a `box` if it is wrong"
        )
    filled = picture
    if fill:
        filled = chosen(inpainter).run(FillRequest(picture, hole), progress=progress).picture
    return Result(filled, hole, tuple(notices), {"kind": ", ".join(kinds)})


def _told(overlays: Sequence[Overlay]) -> str:
    return " and ".join(
        f"{one.kind} on {one.mask.mean():.1%} of the photo (evidence {one.evidence:.2f}, "
        f"{one.needed:.2f} needed)"
        for one in overlays
    )


def _union(overlays: Sequence[Overlay]) -> Mask:
    mask: Mask = np.logical_or.reduce([one.mask for one in overlays])
    return mask
