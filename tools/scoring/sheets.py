"""A sheet of fills to look at: a number does not say what is wrong with a picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from freefill.imaging import contact_sheet
from freefill.types import Pixels
from scoring.comparing import LPIPS
from scoring.measuring import Report, Values, filler
from scoring.networks import Network
from scoring.photos import KINDS, MASKS, Photo

SHOWN = 24
CELL = 256
"""Longest side of a picture on the sheet, in pixels."""


def chosen(photos: Sequence[Photo]) -> list[tuple[int, int]]:
    """Choose what a sheet shows: always the same photos, spread over the list.

    Args:
        photos: All of them, of all sides.

    Returns:
        Index of a photo and of one of its holes: in turn the centre rectangle, and the largest of
        the free-form ones. Of each side as large a share as it has of all photos.

    Examples:
        >>> photo = Photo("a", 0, np.zeros((64, 64, 3), np.uint8))
        >>> [index for index, _ in chosen([photo] * 96)][:3]
        [0, 4, 8]
    """
    step = max(1, len(photos) // SHOWN)
    found = []
    for turn, index in enumerate(range(0, len(photos), step)):
        wanted = KINDS[turn % len(KINDS)]
        holes = [i for i, (kind, _) in enumerate(MASKS) if kind == wanted]
        found.append((index, max(holes, key=lambda i: float(photos[index].holes[i].mean()))))
    return found[:SHOWN]


def draw(
    photos: Sequence[Photo],
    networks: Sequence[Network],
    values: Sequence[Values],
    *,
    threads: int | None = None,
    report: Report = lambda done, total, line: None,
) -> Image.Image:
    """Fill the chosen photos and put them on a page: hole, each network's fill, truth.

    Args:
        photos: All of them.
        networks: What fills.
        values: Of each network, for the captions.
        threads: Of the engine.
        report: Called after each photo with (done, total, file).

    Returns:
        An RGB image, two photos in a row of the page.
    """
    fills: list[Callable[..., Pixels]] = [filler(n.weights, threads) for n in networks]
    panels = []
    rows = chosen(photos)
    for number, (index, mask) in enumerate(rows):
        photo = photos[index]
        hole = photo.holes[mask]
        coloured = np.where(hole[..., None], np.rint(contact_sheet.HOLE * 255), photo.pixels)
        shown = [coloured.astype(np.uint8)]
        shown += [fill(photo.pixels, hole) for fill in fills]
        far = ", ".join(
            f"{network.name} {found[index, mask, LPIPS]:.3f}"
            for network, found in zip(networks, values, strict=True)
        )
        kind, seed = MASKS[mask]
        caption = f"{photo.file}, {photo.side}, {kind} {seed} (LPIPS: {far})"
        panels.append((caption, contact_sheet.row([_cell(p) for p in [*shown, photo.pixels]])))
        report(number + 1, len(rows), photo.file)
    heads = ("hole", *(network.name for network in networks), "truth")
    return contact_sheet.sheet(panels, 2, heads)


def _cell(pixels: Pixels) -> Image.Image:
    image = Image.fromarray(pixels)
    image.thumbnail((CELL, CELL), Image.Resampling.LANCZOS)
    return image
