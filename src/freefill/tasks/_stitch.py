"""Several photos of one scene to one: aligned, matched in exposure, and without black gaps.

Photos are placed by features (:mod:`freefill.vision.alignment`), brought to the exposure of what is
there already by the medians of their overlap, and laid on along a seam that a graph cut finds where
both look alike (Kwatra et al., 2003). The step that is left along the seam is spread as a membrane.
What no photo shows, because the frame of several is no rectangle, the network fills.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from freefill.errors import ImageError, plural
from freefill.imaging.box import Box
from freefill.imaging.codecs import Samples
from freefill.imaging.formats import MAX_PIXELS
from freefill.imaging.io import Source, read_picture
from freefill.imaging.picture import Picture
from freefill.masks.morphology import grow
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import FillRequest, Result
from freefill.tasks.calls import chosen, read_all, task
from freefill.types import Mask, Progress, Rgb
from freefill.vision.alignment import Homography, align, corners, opencv
from freefill.vision.compositing import local_means, membrane

MAX_PHOTOS = 6
"""Photos at a time."""
SEAM = 500
"""Pixels of the longer side that the seam is looked for in."""
FEATHER = 4
"""Pixels over which a photo fades out towards the seam."""
NEAR = 4
"""Pixels on each side of the seam whose colours are compared."""
EXPOSED = 0.02, 0.98
"""Colours that tell something about exposure."""
EMPTIEST = 3
"""How many times as large as all photos together the result may be."""
LARGE = 0.2
"""Share of the result that is filled above which a person is told."""


@task
def stitch(
    image: Source | Picture,
    others: Sequence[Source | Picture],
    *,
    inpainter: Inpainter | None = None,
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
) -> Result[Any]:
    """Join overlapping photos.

    Args:
        image: The photo whose frame, mode and metadata the result has; best the middle one.
        others: One to five more, of the same mode and depth, in any order; each shares about a
            third with one of the rest.
        inpainter: The pipeline; by default that of the default weights, loaded once and kept.
        max_pixels: The most that width times height of any file, and of the result, may be.
        progress: Called with the crops that are done and all there are.

    Returns:
        The joined photo. Up to the seams, pixels of the first are its own, bit for bit; the others
        are resampled. ``info`` tells the place of the first and how many matches agreed for each
        of the others.

    Raises:
        ImageError: If the photos do not overlap, or differ in mode, or the result is too large.
        ExtraMissingError: Without OpenCV (``pip install 'freefill[stitch]'``).
    """
    opencv()
    first = read_picture(image, max_pixels=max_pixels)
    pictures = [first, *read_all(others, "others", max_pixels)]
    _check_alike(pictures)
    placed = align(pictures)
    places = [corners(one.to_first, pictures[one.number].size) for one in placed]
    given = sum(picture.samples.shape[0] * picture.samples.shape[1] for picture in pictures)
    frame = _frame(places, min(max_pixels, EMPTIEST * given))
    canvas = _canvas(pictures[0], frame)
    for one in placed[1:]:
        _lay(canvas, pictures[one.number], _shift(-frame.left, -frame.top) @ one.to_first)
    hole = ~canvas.known
    filled = chosen(inpainter).run(FillRequest(canvas.picture, hole), progress=progress).picture
    found: dict[str, float | str] = {"first at": f"({-frame.left}, {-frame.top})"}
    for one in sorted(placed[1:], key=lambda one: one.number):
        found[f"matches of photo {one.number + 1}"] = one.matches
    return Result(pictures[0].reframed(filled.samples), hole, _notices(hole), found)


@dataclass
class _Canvas:
    """What has been laid so far."""

    picture: Picture
    known: Mask


def _check_alike(pictures: Sequence[Picture]) -> None:
    if not 2 <= len(pictures) <= MAX_PHOTOS:
        raise ImageError(f"{plural(len(pictures), 'photo')}: 2 to {MAX_PHOTOS} can be stitched")
    first = pictures[0]
    for number, other in enumerate(pictures[1:], 2):
        kinds = [f"{p.mode} of {p.samples.dtype}" for p in (first, other)]
        if kinds[0] != kinds[1]:
            raise ImageError(
                f"photo 1 is {kinds[0]} but photo {number} is {kinds[1]}: convert one of them"
            )


def _frame(places: Sequence[NDArray[np.float64]], max_pixels: int) -> Box:
    """Give the box that holds all photos, in pixels of the first."""
    points = np.concatenate(places)
    left, top = np.floor(points.min(0) + 0.01).astype(int).tolist()
    right, bottom = (np.ceil(points.max(0) - 0.01).astype(int) + 1).tolist()
    frame = Box(left=left, top=top, right=right, bottom=bottom)
    if frame.area > max_pixels:
        raise ImageError(
            f"stitched, the photos are {right - left}x{bottom - top}, more than {max_pixels} "
            "pixels: shrink them first, or begin with the middle one"
        )
    return frame


def _shift(right: int, down: int) -> Homography:
    return np.array([[1, 0, right], [0, 1, down], [0, 0, 1]], float)


def _canvas(first: Picture, frame: Box) -> _Canvas:
    samples = np.zeros((*frame.size, *first.samples.shape[2:]), first.samples.dtype)
    if first.has_alpha:
        samples[..., -1] = int(first.layout.peak) if first.samples.dtype.kind != "f" else 1
    height, width = first.size
    window = Box(
        left=-frame.left, top=-frame.top, right=width - frame.left, bottom=height - frame.top
    ).window
    samples[window] = first.samples
    known = np.zeros(frame.size, bool)
    known[window] = True
    return _Canvas(first.reframed(samples), known)


def _lay(canvas: _Canvas, picture: Picture, matrix: Homography) -> None:
    """Lay a photo over what is there: its own part up to the seam."""
    cv2 = opencv()
    box = _around(matrix, picture.size, canvas.known.shape)
    local = _shift(-box.left, -box.top) @ matrix
    new, valid, opacity = _warped(cv2, picture, local, box.size)
    known = canvas.known[box.window]
    old = canvas.picture.rgb(box)
    both = known & valid
    if both.any():
        new = _exposed(new, old, both)
    mine = _mine(cv2, old, new, known, valid)
    if not mine.any():
        return  # it shows nothing that is not there already
    if both.any():
        new = _without_step(new, old, mine, known)
    share = _share(mine, known)
    target = canvas.picture.samples[box.window]
    colours = share[mine, None] * new[mine] + (1 - share[mine, None]) * old[mine]
    _write(canvas.picture, target, mine, colours, opacity)
    canvas.known[box.window] |= mine


def _around(matrix: Homography, size: tuple[int, int], whole: tuple[int, ...]) -> Box:
    place = corners(matrix, size)
    left, top = np.maximum(np.floor(place.min(0)).astype(int), 0).tolist()
    right, bottom = (np.ceil(place.max(0)).astype(int) + 1).tolist()
    return Box(left=left, top=top, right=min(right, whole[1]), bottom=min(bottom, whole[0]))


def _warped(
    cv2: ModuleType, picture: Picture, matrix: Homography, size: tuple[int, int]
) -> tuple[Rgb, Mask, NDArray[np.float32] | None]:
    """Give the photo in the canvas's pixels, where it is, and its opacity, if it has one."""
    height, width = picture.size

    def warp(plane: NDArray[np.float32], smooth: bool) -> NDArray[np.float32]:
        flags = cv2.INTER_CUBIC if smooth else cv2.INTER_LINEAR
        border = cv2.BORDER_REFLECT_101 if smooth else cv2.BORDER_CONSTANT
        found = cv2.warpPerspective(plane, matrix, size[::-1], flags=flags, borderMode=border)
        return np.asarray(found, np.float32)

    colours = np.clip(warp(picture.rgb(Box.whole((height, width))), True), 0, 1)
    valid = warp(np.ones(picture.size, np.float32), False) > 0.99
    opacity = np.clip(warp(picture.alpha(), True), 0, 1) if picture.has_alpha else None
    return colours, valid, opacity


def _exposed(new: Rgb, old: Rgb, both: Mask) -> Rgb:
    """Bring a photo to the exposure and white balance of what it overlaps."""
    ours, theirs = new[both], old[both]
    low, high = EXPOSED
    tells = (ours > low) & (ours < high) & (theirs > low) & (theirs < high)
    gains = [
        np.exp(np.median(np.log(theirs[tells[:, c], c] / ours[tells[:, c], c])))
        if tells[:, c].sum() > 50
        else 1.0
        for c in range(3)
    ]
    return np.clip(new * np.array(gains, np.float32), 0, 1)


def _mine(cv2: ModuleType, old: Rgb, new: Rgb, known: Mask, valid: Mask) -> Mask:
    """Decide which pixels the new photo gives: all that are missing, and its side of the seam."""
    missing = valid & ~known
    if not (known & valid).any() or not missing.any():
        return missing
    factor = -(-max(known.shape) // SEAM)
    step = slice(None, None, factor)
    masks = [plane[step, step].astype(np.uint8) * 255 for plane in (known, valid)]
    images = [np.ascontiguousarray(plane[step, step] * 255) for plane in (old, new)]
    finder = cv2.detail_GraphCutSeamFinder("COST_COLOR_GRAD")
    found = finder.find(images, [(0, 0), (0, 0)], masks)
    part = found[1].get() if hasattr(found[1], "get") else found[1]
    large = np.repeat(np.repeat(part > 0, factor, 0), factor, 1)
    mine: Mask = (valid & large[: known.shape[0], : known.shape[1]]) | missing
    return mine


def _without_step(new: Rgb, old: Rgb, mine: Mask, known: Mask) -> Rgb:
    """Spread the step of colour that is left along the seam over the new photo."""
    seam = mine & grow(known & ~mine, 1)
    if not seam.any():
        return new
    around = known & grow(seam, NEAR)
    steps = local_means(old, around, NEAR) - local_means(new, around, NEAR)
    fitted: Rgb = np.clip(new + membrane(steps, seam), 0, 1)
    return fitted


def _share(mine: Mask, known: Mask) -> NDArray[np.float32]:
    """Let the new photo fade out towards the seam, where the old one goes on below it."""
    share = np.ones(mine.shape, np.float32)
    near = known & ~mine
    for distance in range(FEATHER, 0, -1):
        share[grow(near, distance)] = (distance - 0.5) / FEATHER
    return np.where(known, share, np.float32(1))


def _write(
    picture: Picture,
    target: Samples,
    mine: Mask,
    colours: NDArray[np.float32],
    opacity: NDArray[np.float32] | None,
) -> None:
    values = picture.layout.from_rgb(colours).reshape(len(colours), -1)
    pixels = target[mine].reshape(len(colours), -1)
    pixels[:, : values.shape[1]] = values
    if opacity is not None:
        seen = opacity[mine] * np.float32(picture.layout.peak)
        pixels[:, -1] = seen if target.dtype.kind == "f" else np.rint(seen)
    target[mine] = pixels.reshape(target[mine].shape)


def _notices(hole: Mask) -> tuple[str, ...]:
    share = float(hole.mean())
    if share <= LARGE:
        return ()
    return (
        f"{share:.0%} of the result was shown by no photo and is made up: crop it, or take photos "
        "that are less turned",
    )
