"""Draw the pictures of the README: what fills well, and what does not yet.

    python tools/demo.py

Writes ``docs/demo.jpg`` and ``docs/limits.jpg`` with the bundled weights. Which photos stand on
which, and in which order, is said here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from freefill.imaging import contact_sheet
from freefill.imaging.io import read_picture
from freefill.pipeline.inpainter import Inpainter
from freefill.pipeline.request import FillRequest

ROOT = Path(__file__).parents[1]
SHEETS = {
    "demo.jpg": ("dahlia", "cat", "pagoda"),  # the best first
    "limits.jpg": ("street", "coffee", "bricks"),
}


def draw(names: Sequence[str], inpainter: Inpainter, examples: Path) -> Image.Image:
    """Fill examples and draw input, hole and result of each in a row.

    Args:
        names: Of the photos, from the top.
        inpainter: What fills.
        examples: The folder of ``NAME.jpg`` and ``NAME_mask.png``.

    Returns:
        An RGB image.
    """
    panels = []
    for name in names:
        photo = read_picture(examples / f"{name}.jpg")
        request = FillRequest(examples / f"{name}.jpg", examples / f"{name}_mask.png")
        hole, _ = request.hole_in(photo)
        filled = inpainter.run(request).picture
        panels.append((name, contact_sheet.panel(photo, hole, filled)))
    return contact_sheet.sheet(panels, columns=1)


def main() -> None:
    """Draw both."""
    inpainter = Inpainter()
    for file, names in SHEETS.items():
        draw(names, inpainter, ROOT / "examples").save(ROOT / "docs" / file, quality=88)


if __name__ == "__main__":
    main()
