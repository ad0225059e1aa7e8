"""Golden fills: what the bundled weights made of parts of `examples/` when they were bundled.

They tell a change of the fills that nobody meant: of the pipeline, a library, or a machine. Each is
the filled part alone, black around it, as a PNG of at most 128 pixels a side, in a folder that is
named by the weights' hash and the pipeline's number. Needs no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from freefill.imaging.io import read_picture, restore
from freefill.pipeline.guidance import Guidance
from freefill.pipeline.inpainter import PIPELINE_VERSION, Inpainter
from freefill.pipeline.request import FillRequest
from freefill.weights.registry import Weights

FURTHEST = 2.0
"""Most grey levels (of 255) that a sample may be off: what libraries and processors may round."""
MEAN = 0.05
"""Most grey levels that a fill may be off on average, over the samples of its hole."""

Samples = NDArray[Any]


@dataclass(frozen=True)
class Case:
    """One fill.

    Attributes:
        name: Of the file.
        example: Photo in `examples/`.
        shapes: The hole: ellipses, as (left, top, right, bottom).
        kept: What is kept of the result, as (left, top, right, bottom): at most 128 pixels a side.
        guided: With a line and a dab of colour through the hole.
        deep: With 16 bits a sample.
        mode: Pillow's mode of the photo.
    """

    name: str
    example: str
    shapes: tuple[tuple[int, int, int, int], ...]
    kept: tuple[int, int, int, int]
    guided: bool = False
    deep: bool = False
    mode: str = "RGB"


CASES = (
    # One crop at full resolution.
    Case("small", "cat.jpg", ((200, 120, 240, 150),), (192, 112, 248, 158)),
    # Two specks far apart, one of them at the border: two crops in one batch, and grey.
    Case("apart", "bricks.jpg", ((0, 20, 30, 44), (70, 470, 100, 500)), (0, 0, 64, 64), mode="L"),
    # Thick, with a thin part, and its crop as large as one that is not shrunk.
    Case("thick", "bricks.jpg", ((150, 160, 340, 350), (90, 240, 420, 270)), (200, 210, 270, 280)),
    # In a larger crop: filled two times smaller, the detail taken from the photo.
    Case("shrunk", "galaxies.jpg", ((260, 220, 500, 460),), (330, 300, 400, 370)),
    Case("shrunk-rim", "dahlia.jpg", ((190, 85, 450, 345),), (185, 150, 255, 220)),
    Case("sketch", "sunset.jpg", ((90, 100, 150, 150),), (84, 92, 156, 156), guided=True),
    Case("sketch-shrunk", "pagoda.jpg", ((190, 80, 450, 340),), (280, 230, 350, 300), guided=True),
    Case("deep", "fruit.jpg", ((100, 100, 140, 140),), (96, 96, 144, 144), deep=True),
    Case("alpha", "bee.jpg", ((60, 180, 100, 220),), (56, 176, 104, 224), mode="RGBA"),
)


def folder(tests: Path, weights: Weights) -> Path:
    """Give the folder of the golden fills of these weights in today's pipeline.

    Args:
        tests: The folder `tests/golden`.
        weights: What fills.
    """
    return tests / f"{weights.short}-{PIPELINE_VERSION}"


def names(inpainter: Inpainter) -> list[str]:
    """List the cases of a network: weights that follow no sketch have fewer."""
    return [case.name for case in CASES if inpainter.engine.guided or not case.guided]


def fill(case: Case, examples: Path, inpainter: Inpainter) -> Samples:
    """Fill a case.

    Args:
        case: One of :data:`CASES`.
        examples: The folder `examples/`.
        inpainter: What fills.

    Returns:
        What is kept: ``(h, w)`` or ``(h, w, C)``, uint8 or uint16, 0 outside the hole.
    """
    with Image.open(examples / case.example) as opened:
        image = opened.convert(case.mode)
    drawn = Image.new("1", image.size)
    for box in case.shapes:
        ImageDraw.Draw(drawn).ellipse(box, fill=1)
    hole = np.asarray(drawn)
    samples = np.array(image)
    if case.mode == "RGBA":
        # Beside the hole: what cannot be seen is not known either.
        samples[180:200, 101:110, 3] = 0
    if case.deep:
        # The lower byte is no copy of the upper one: a pipeline that lost it would show.
        samples = samples.astype(np.uint16) * 257 ^ 0x55
    guidance = _guidance(case, image.size) if case.guided else None
    filled = restore(
        inpainter.run(FillRequest(read_picture(samples), hole, guidance=guidance)).picture
    )
    left, top, right, bottom = case.kept
    window = slice(top, bottom), slice(left, right)
    part, inside = np.asarray(filled)[window], hole[window]
    return np.where(inside.reshape(*inside.shape, *[1] * (part.ndim - 2)), part, 0)


def _guidance(case: Case, size: tuple[int, int]) -> Guidance:
    """Draw a slanting line through the hole, and a red dab below its middle."""
    left, top, right, bottom = case.shapes[0]
    lines, dabs = Image.new("1", size), Image.new("RGBA", size)
    ImageDraw.Draw(lines).line((left, top + 10, right, bottom - 10), fill=1, width=2)
    middle, lower = (left + right) // 2, (top + 3 * bottom) // 4
    ImageDraw.Draw(dabs).ellipse(
        (middle - 8, lower - 8, middle + 8, lower + 8), fill=(200, 30, 30, 255)
    )
    return Guidance.read((size[1], size[0]), np.asarray(lines), dabs)


def encode(samples: Samples) -> bytes:
    """Write a fill as PNG; 16 bits in colour as grey, its channels below each other."""
    if samples.dtype == np.uint16 and samples.ndim == 3:
        samples = samples.transpose(2, 0, 1).reshape(-1, samples.shape[1])
    buffer = BytesIO()
    Image.fromarray(samples).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def make(examples: Path, inpainter: Inpainter) -> dict[str, bytes]:
    """Fill all cases of a network.

    Args:
        examples: The folder `examples/`.
        inpainter: What fills.

    Returns:
        File name to PNG.
    """
    wanted = names(inpainter)
    cases = [case for case in CASES if case.name in wanted]
    return {f"{case.name}.png": encode(fill(case, examples, inpainter)) for case in cases}


def differences(golden: Mapping[str, bytes], made: Mapping[str, bytes]) -> list[str]:
    """Compare fills with the golden ones.

    Args:
        golden: File name to PNG, as they are kept.
        made: The same, as they are made today.

    Returns:
        A line for each that is missing, superfluous, of another shape, or off by more than
        :data:`FURTHEST` anywhere or :data:`MEAN` on average, with by how much.
    """
    lines = [f"{name}: no such golden fill" for name in sorted(made.keys() - golden.keys())]
    lines += [f"{name}: of no case" for name in sorted(golden.keys() - made.keys())]
    for name in sorted(golden.keys() & made.keys()):
        a, b = _levels(golden[name]), _levels(made[name])
        if a.shape != b.shape:
            lines.append(f"{name}: {b.shape}, the golden one is {a.shape}")
            continue
        # What is black in both is outside the hole, or as good as.
        off = np.abs(a - b)[(a > 0) | (b > 0)]
        furthest, mean = (float(off.max()), float(off.mean())) if off.size else (0.0, 0.0)
        if furthest > FURTHEST or mean > MEAN:
            lines.append(f"{name}: off by up to {furthest:.1f} grey levels, {mean:.3f} on average")
    return lines


def _levels(content: bytes) -> NDArray[np.float64]:
    """Read a PNG as grey levels of 255; 16 bits as fractions of them."""
    with Image.open(BytesIO(content)) as image:
        samples = np.asarray(image)
    return samples / (1.0 if samples.dtype == np.uint8 else 257.0)
