"""Match a pasted part to the photo around it, in colour and light.

As colour transfer does (Reinhard et al., 2001), in logarithms of colour turned to brightness,
yellow-blue and red-green, where exposure and white balance are additions. Means of the whole part
and the whole photo say little about that: what is pasted may well be darker than what is around it.
The step across its edge says more, where something goes on behind it; and how much it says, its
spread along the edge tells. So the part is given the median step, less where steps disagree. At
last the network fills the edge itself, where a cut leaves its fringe. Tried on training photos and
left out, because it was worse or no better: a membrane for what is left of the steps, and a change
of contrast.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from freefill.errors import ConfigError, plural
from freefill.imaging.box import Box
from freefill.imaging.formats import MAX_PIXELS
from freefill.imaging.io import Source, read_picture
from freefill.imaging.picture import Picture
from freefill.masks.morphology import grow
from freefill.masks.region import Corners, to_region
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import FillRequest, Result
from freefill.tasks.calls import chosen, task
from freefill.tasks.options import Option
from freefill.types import Mask, Progress, Rgb
from freefill.vision.compositing import local_means, rim

OPPONENT = np.array(
    [[3**-0.5] * 3, [6**-0.5, 6**-0.5, -2 * 6**-0.5], [2**-0.5, -(2**-0.5), 0]], np.float32
)
"""Rows: brightness, yellow-blue, red-green; of logarithms of red, green, blue."""
DARK = np.float32(0.03)
"""Added before the logarithm, so that noise in shadows stays small."""
AGREED = np.array([0.33, 0.05, 0.045], np.float32)
"""Spread of the steps, of each axis, at which they count half. Of 90 training photos with blobs and
segmented objects whose light was changed."""
NEAR = 4
"""Pixels on each side of the edge that are compared."""
LARGEST_BAND = 32
DOUBTFUL = 0.2
"""Agreement below which a person is told."""


@task
def harmonise(
    image: Source | Picture,
    mask: Annotated[Source | Picture | None, Option("White = what was pasted.", file=True)] = None,
    *,
    box: Annotated[
        Corners | None,
        Option("Of what was pasted, without a mask.", form="L,T,R,B", longest=60),
    ] = None,
    strength: Annotated[float, Option("Share of the change that is made.", ge=0, le=1)] = 1.0,
    band: Annotated[
        int,
        Option(
            "Pixels on each side of its edge that are filled anew; 0 leaves it.",
            ge=0,
            le=LARGEST_BAND,
        ),
    ] = 1,
    inpainter: Inpainter | None = None,
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
) -> Result[Any]:
    """Match a pasted part to its surroundings.

    Args:
        image: The photo with the part pasted into it.
        mask: What was pasted: a mask of the photo's size, white = in it.
        box: Instead of a mask: left, top, right and bottom of what was pasted.
        strength: Share of the change that is made, 0 to 1.
        band: Pixels on each side of the edge that the network fills anew, 0 to 32; 0 leaves the
            edge as it is.
        inpainter: The pipeline; by default that of the default weights, loaded once and kept.
        max_pixels: The most that width times height of any file may be.
        progress: Called with the crops that are done and all there are.

    Returns:
        The photo; outside the part and the band it is the input, bit for bit. ``info`` tells by
        how many stops the part became brighter, and how far the steps along the edge agreed.

    Raises:
        MaskError: If mask or box cannot be used, or neither or both are given.
        ConfigError: If strength or band are impossible, or the band is all of the photo.

    Examples:
        >>> photo = np.full((64, 64, 3), 120, np.uint8)
        >>> photo[20:40, 20:40] = 90
        >>> result = harmonise(photo, box=(20, 20, 40, 40))
        >>> int(np.abs(result.image.astype(int) - 120).max()) <= 3
        True
    """
    picture = read_picture(image, max_pixels=max_pixels)
    part, bounds = to_region(mask, box, picture, "what was pasted", max_pixels=max_pixels)
    hole = np.zeros(picture.size, bool)
    if band:
        # A rim pixel is half a pixel inside: a band of 1 is the rim and what it touches.
        hole = grow(rim(part), band - 1) | (grow(part, band) & ~part)
    if hole.all():
        raise ConfigError(f"a band of {plural(band, 'pixel')} is the whole image: make it narrower")
    height, width = picture.size
    margin = 2 * NEAR
    near = Box(
        left=max(bounds.left - margin, 0),
        top=max(bounds.top - margin, 0),
        right=min(bounds.right + margin, width),
        bottom=min(bounds.bottom + margin, height),
    )
    local = part[near.window]
    before = picture.rgb(near)
    shift, agreement = lacking(before, local)
    after = to_rgb(to_opponent(before) + np.float32(strength) * shift)
    matched = picture.filled([(near, local, np.clip(after, 0, 1))], False)
    if band:
        matched = chosen(inpainter).run(FillRequest(matched, hole), progress=progress).picture
    stops = float(shift[0]) * strength * 3**-0.5 / float(np.log(2))
    found: dict[str, float | str] = {"stops": stops, "agreement": agreement}
    return Result(matched, hole, _notices(agreement), found)


def lacking(rgb: Rgb, mask: Mask) -> tuple[NDArray[np.float32], float]:
    """Find out what a part lacks.

    Args:
        rgb: ``(h, w, 3)`` in [0, 1]: the part and some of what is around it.
        mask: ``(h, w)`` bool: the part.

    Returns:
        What is to be added on the opponent axes, ``(3,)``, and in [0, 1] how far the steps of
        brightness along the edge agree.
    """
    edge = rim(mask)
    inside, outside = (to_opponent(local_means(rgb, m, NEAR)[edge]) for m in (mask, ~mask))
    steps = outside - inside
    middle = np.median(steps, 0)
    spread = 1.48 * np.median(np.abs(steps - middle), 0)
    believed = 1 / (1 + np.square(spread / AGREED))
    return (middle * believed).astype(np.float32), float(believed[0])


def _notices(agreement: float) -> tuple[str, ...]:
    if agreement >= DOUBTFUL:
        return ()
    return (
        f"the steps along the edge agree by {agreement:.0%} only: the part is hardly changed, as "
        "what it lacks cannot be told from what is around it",
    )


def to_opponent(rgb: Rgb) -> Rgb:
    """Turn colours to logarithms of brightness, yellow-blue and red-green."""
    turned: Rgb = np.log(rgb + DARK) @ OPPONENT.T
    return turned


def to_rgb(opponent: Rgb) -> Rgb:
    """Turn them back."""
    colours: Rgb = np.exp(opponent @ OPPONENT) - DARK
    return colours
