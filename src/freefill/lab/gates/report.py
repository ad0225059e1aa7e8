"""A report of gates: pictures of every layer, one contact sheet, a table, and a page to browse."""

from __future__ import annotations

import base64
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from freefill.imaging.atomic import write_atomically
from freefill.imaging.contact_sheet import GAP, HOLE, PAPER, row, sheet
from freefill.lab.gates.gates import Gate, correlations

WITH = ("hole", "known", "sketch", "border")
COLUMNS = ("layer", "kind", "channel", "mean", "least", "most", "change", *WITH)
SIDE = 192
"""Pixels of the longer side of a map on the contact sheet."""
ALONE, TILE = 288, 128
"""Of a map that is a layer's only one, and of one among many."""
ACROSS = 8
COLOURS = np.array(
    [
        [0.05, 0.03, 0.20],
        [0.33, 0.07, 0.43],
        [0.73, 0.21, 0.33],
        [0.98, 0.55, 0.16],
        [0.99, 0.99, 0.75],
    ]
)
"""From closed to open, dark to bright."""


@dataclass(frozen=True, eq=False)
class View:
    """What was looked at.

    Attributes:
        name: Of the photo.
        model: Of the weights.
        image: ``(H, W, 3)`` uint8 RGB.
        hole: ``(H, W)`` bool.
        lines: ``(H, W)`` bool; ``None`` without a sketch.
        filled: ``(H, W, 3)`` uint8: what the network made of it.
        gates: In the order of computation.
    """

    name: str
    model: str
    image: NDArray[np.uint8]
    hole: NDArray[np.bool_]
    lines: NDArray[np.bool_] | None
    filled: NDArray[np.uint8]
    gates: Sequence[Gate]


def rows(view: View) -> list[dict[str, Any]]:
    """Give the table: a row for each channel of each layer.

    Args:
        view: What was looked at.

    Returns:
        Rows with :data:`COLUMNS` as keys; correlations that have no value are NaN.
    """
    found = []
    for gate in view.gates:
        values = correlations(gate, view.hole, view.lines)
        for channel, (map_, own) in enumerate(zip(gate.maps, values, strict=True)):
            numbers = float(map_.mean()), float(map_.min()), float(map_.max()), float(map_.std())
            named = dict(zip(("mean", "least", "most", "change"), numbers, strict=True))
            more = dict(zip(WITH, map(float, own), strict=True))
            head = {"layer": gate.layer, "kind": gate.kind, "channel": channel}
            found.append({**head, **named, **more})
    return found


def write(view: View, out: Path) -> Path:
    """Write a report: ``index.html``, ``sheet.png``, ``gates.csv`` and ``layers/*.png``.

    Args:
        view: What was looked at.
        out: A folder; made if needed.

    Returns:
        The page. Everything in it comes from the folder.

    Raises:
        ImageError: If something cannot be written.
    """
    table = rows(view)
    (out / "layers").mkdir(parents=True, exist_ok=True)
    shown = []
    for number, gate in enumerate(view.gates):
        name = f"layers/{number:02}-{gate.layer}.png"
        size = view.image.shape[:2]
        write_atomically(out / name, _png(channels(gate, size)))
        partial = f"layers/{number:02}-{gate.layer}.partial.png"
        write_atomically(out / partial, _png(_coloured(gate.rule, size, ALONE)))
        own = [line for line in table if line["layer"] == gate.layer]
        pictures_of = {"file": name, "partial": partial}
        numbers_of = {"rows": own, "best": _best(own), "unknown": _unknown(gate)}
        shown.append({"gate": gate, **pictures_of, **numbers_of})
    write_atomically(out / "sheet.png", _png(contact_sheet(view)))
    text = StringIO()
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(
        {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in r.items()} for r in table
    )
    write_atomically(out / "gates.csv", text.getvalue().encode())
    template = files("freefill.lab.gates").joinpath("gates.html.jinja").read_text("utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    pictures = [
        (word, _address(image)) for word, image in zip(HEADS, _pictures(view, 320), strict=True)
    ]
    page = environment.from_string(template).render(
        view=view, layers=shown, heads=WITH, pictures=pictures, number=_number
    )
    path = out / "index.html"
    write_atomically(path, page.encode())
    return path


HEADS = ("photo, hole and sketch", "filled")


def contact_sheet(view: View) -> Image.Image:
    """Draw a line for each layer: its gate, a partial convolution's mask, and a plain one's."""
    panels = [("", row(_pictures(view, SIDE)))]
    for gate in view.gates:
        size = view.image.shape[:2]
        maps = [gate.maps.mean(0), gate.rule, np.ones_like(gate.rule)]
        low, high = float(maps[0].min()), float(maps[0].max())
        pictures = [
            _coloured(maps[0], size, SIDE, low, high),
            *(_coloured(m, size, SIDE) for m in maps[1:]),
        ]
        count = "" if len(gate.maps) == 1 else f", mean of {len(gate.maps)}"
        caption = f"{gate.layer}  {low:.2f} to {high:.2f}{count}"
        panels.append((caption, row(pictures)))
    heads = (view.model, "gate (stretched)", "a partial convolution's mask", "a plain one's: none")
    return sheet(panels, columns=3, heads=heads)


def channels(gate: Gate, size: tuple[int, ...]) -> Image.Image:
    """Draw all channels of a gate, each stretched to its own range."""
    side = ALONE if len(gate.maps) == 1 else TILE
    pictures = [_coloured(m, size, side, float(m.min()), float(m.max())) for m in gate.maps]
    lines = [row(pictures[i : i + ACROSS]) for i in range(0, len(pictures), ACROSS)]
    height = sum(line.height for line in lines) + GAP * (len(lines) - 1)
    page = Image.new("RGB", (max(line.width for line in lines), height), PAPER)
    top = 0
    for line in lines:
        page.paste(line, (0, top))
        top += line.height + GAP
    return page


def _pictures(view: View, side: int) -> list[Image.Image]:
    marked = view.image / np.float32(255)
    marked = np.where(view.hole[..., None], 0.35 * marked + 0.65 * HOLE, marked)
    if view.lines is not None:
        marked = np.where((view.lines & view.hole)[..., None], 1.0, marked)
    found = []
    for pixels in (np.round(marked * 255).astype(np.uint8), view.filled):
        image = Image.fromarray(pixels)
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
        found.append(image)
    return found


def _coloured(
    values: NDArray[np.float32],
    size: tuple[int, ...],
    side: int,
    low: float = 0.0,
    high: float = 1.0,
) -> Image.Image:
    share = np.clip((values - low) / max(high - low, 1e-6), 0, 1) * (len(COLOURS) - 1)
    first = np.minimum(share.astype(int), len(COLOURS) - 2)
    part = (share - first)[..., None]
    pixels = COLOURS[first] * (1 - part) + COLOURS[first + 1] * part
    image = Image.fromarray(np.round(pixels * 255).astype(np.uint8))
    # The maps are of the picture with its padding.
    scale = side / max(size)
    height, width = (max(1, round(-(-length // 16) * 16 * scale)) for length in size)
    return image.resize((width, height), Image.Resampling.NEAREST)


def _best(own: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Give the channel that goes most with each of the things."""
    found = {}
    for name in WITH:
        there = [line for line in own if not np.isnan(line[name])]
        if there:
            found[name] = max(there, key=lambda line: abs(line[name]))
    return found


def _unknown(gate: Gate) -> float:
    """Measure how much of the picture a partial convolution's mask still calls unknown."""
    return float((gate.rule < 0.5).mean())


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:+.2f}"


def _png(image: Image.Image) -> bytes:
    out = BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


def _address(image: Image.Image) -> str:
    return "data:image/png;base64," + base64.b64encode(_png(image)).decode("ascii")
