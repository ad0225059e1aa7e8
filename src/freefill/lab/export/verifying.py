"""``freefill weights verify``: which setting reproduces outputs that are known.

A file of weights does not say in which order its colours are or which variant of the network it was
trained in, and a wrong choice fills with plausible rubbish. But the released code comes with
examples and what its authors' network made of them: the setting that gives the same pictures is the
right one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from freefill.errors import DataError
from freefill.files.paths import is_hidden
from freefill.imaging.io import read_picture
from freefill.lab.export.foreign import ChannelOrder, Foreign, read
from freefill.lab.export.importing import build
from freefill.lab.layers.gated import Padding
from freefill.lab.models.deepfill import STRIDE, Attention, DeepFill, MaskResize, Variant
from freefill.types import Pixels

GOOD = 35.0
"""dB. The right setting differs by rounding alone, which is over 45."""
MARGIN = 1.0
"""dB between the best two settings under which nothing is decided."""
EQUAL = 99.0
"""dB that stand for no difference at all."""
CODES: dict[Padding, tuple[MaskResize, Attention]] = {
    "same": ("two-step", "released"),
    "symmetric": ("one-step", "port"),
}
"""How the hole is shrunk, and the attention, in the code that pads so."""


class Example(NamedTuple):
    """One known output.

    Attributes:
        name: What its three files' names begin with.
        image: ``(H, W, 3)``.
        hole: ``(H, W)``, True = fill.
        output: ``(H, W, 3)``.
    """

    name: str
    image: Pixels
    hole: NDArray[np.bool_]
    output: Pixels


class Setting(NamedTuple):
    """One way to run the weights."""

    channel_order: ChannelOrder
    fuse: bool
    padding: Padding

    @property
    def variant(self) -> Variant:
        """The network's variant."""
        mask_resize, attention = CODES[self.padding]
        return Variant(self.padding, mask_resize, self.fuse, attention)

    def __str__(self) -> str:
        """Give the options that ``weights import`` takes."""
        return (
            f"--channel-order {self.channel_order} --{'' if self.fuse else 'no-'}fuse "
            f"--padding {self.padding} --mask-resize {CODES[self.padding][0]} "
            f"--attention {CODES[self.padding][1]}"
        )


class Row(NamedTuple):
    """How well one setting does.

    Attributes:
        setting: Which.
        psnr: dB of each example's filled pixels against the known output.
    """

    setting: Setting
    psnr: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean over the examples, in dB."""
        return sum(self.psnr) / len(self.psnr)


Verdict = Literal["found", "close", "none"]


def verify_outputs(
    path: Path,
    examples: Path,
    on_message: Callable[[str], None] = print,
    progress: Callable[[str], None] = lambda line: None,
) -> tuple[list[Row], Verdict]:
    """Run weights in every setting on examples whose output is known.

    Args:
        path: What :func:`freefill.lab.export.foreign.read` takes.
        examples: Folder with ``NAME_input.png``, ``NAME_mask.png`` and ``NAME_output.png``.
        on_message: Called with lines for people.
        progress: Called with a line as soon as a setting has been run.

    Returns:
        All settings, the best one first, and what follows: one is ``"found"``; the best two are too
        ``"close"``; or ``"none"`` reproduces the outputs.

    Raises:
        WeightsError: If the weights cannot be read.
        DataError: If there are no examples, or a file of one is missing or of another size.
        ImageError: If a picture cannot be read.
    """
    known = read_examples(examples)
    foreign = read(path)
    on_message(
        f"{path}: {foreign.layout}; {len(known)} examples, 8 settings, PSNR of filled pixels in dB"
    )
    settings = [
        Setting(order, fuse, padding)
        for order, padding, fuse in itertools.product(
            get_args(ChannelOrder), get_args(Padding), (True, False)
        )
    ]
    rows = []
    for number, setting in enumerate(settings, 1):
        rows.append(Row(setting, _measure(foreign, setting, known)))
        progress(f"{number} of {len(settings)}: {rows[-1].mean:.2f} dB with {setting}")
    rows.sort(key=lambda row: row.mean, reverse=True)
    width = max(len(str(row.setting)) for row in rows)
    on_message(f"{'setting':{width}}  {'mean':>6}  {'  '.join(f'{e.name[:8]:>8}' for e in known)}")
    for row in rows:
        each = "  ".join(f"{value:8.2f}" for value in row.psnr)
        on_message(f"{row.setting!s:{width}}  {row.mean:6.2f}  {each}")
    return rows, _conclude(rows, on_message)


def read_examples(folder: Path) -> list[Example]:
    """Read all examples of a folder, cut to multiples of 8 as the released test script does.

    Args:
        folder: Has ``NAME_input.png``, ``NAME_mask.png`` (white = fill) and ``NAME_output.png``.

    Returns:
        The examples, by name.

    Raises:
        DataError: If there are none, or a file of one is missing, of another size, or without hole.
        ImageError: If a picture cannot be read.
    """
    inputs = sorted(path for path in folder.glob("*_input.png") if not is_hidden(path.name))
    if not inputs:
        raise DataError(
            f"{folder} has no example: it must hold NAME_input.png, NAME_mask.png and "
            "NAME_output.png, as examples/places2 of the released code does"
        )
    found = []
    for path in inputs:
        name = path.name.removesuffix("_input.png")
        image = _pixels(path)
        mask = _pixels(folder / f"{name}_mask.png")
        output = _pixels(folder / f"{name}_output.png")
        height, width = (side // STRIDE * STRIDE for side in image.shape[:2])
        if mask.shape != image.shape or not _covers(output, image.shape[:2], (height, width)):
            sizes = (f"{p.shape[1]}x{p.shape[0]}" for p in (image, mask, output))
            raise DataError("{}: {} is {}, its mask {}, its output {}".format(folder, name, *sizes))
        # As the released code reads it: the first channel alone.
        hole = mask[:height, :width, 0] > 127
        if not hole.any():
            raise DataError(f"{folder}: the mask of {name} has no hole")
        window = np.s_[:height, :width]
        found.append(Example(name, image[window], hole, output[window]))
    return found


def _covers(output: Pixels, whole: tuple[int, ...], cut: tuple[int, int]) -> bool:
    return output.shape[:2] in (whole, cut)


def _pixels(path: Path) -> Pixels:
    if not path.is_file():
        raise DataError(f"{path} is missing")
    picture = read_picture(path)
    return np.rint(picture.layout.to_rgb(picture.samples) * 255).astype(np.uint8)


def _measure(foreign: Foreign, setting: Setting, known: list[Example]) -> tuple[float, ...]:
    network = build(foreign, setting.variant, setting.channel_order)
    return tuple(_psnr(fill(network, e.image, e.hole)[e.hole], e.output[e.hole]) for e in known)


def fill(network: DeepFill, image: Pixels, hole: NDArray[np.bool_]) -> Pixels:
    """Fill one picture whole, as the released test script does.

    Args:
        network: Takes and gives RGB.
        image: ``(H, W, 3)``, H and W multiples of 8.
        hole: ``(H, W)``, True = fill.

    Returns:
        ``(H, W, 3)``; pixels outside the hole are the image's.
    """
    x = torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)[None] / 127.5 - 1
    with torch.no_grad():
        filled = network(x, torch.from_numpy(hole.astype(np.float32))[None, None])
    values = (filled[0].permute(1, 2, 0).numpy() + 1) * 127.5
    painted = np.rint(values).clip(0, 255).astype(np.uint8)
    return np.where(hole[..., None], painted, image)


def _psnr(found: Pixels, expected: Pixels) -> float:
    error = float(np.square(found.astype(np.float64) - expected).mean())
    return min(EQUAL, float(10 * np.log10(255**2 / error))) if error else EQUAL


def _conclude(rows: list[Row], on_message: Callable[[str], None]) -> Verdict:
    best, second = rows[0], rows[1]
    margin = best.mean - second.mean
    if best.mean < GOOD:
        on_message(
            f"warning: no setting is over {GOOD:.0f} dB, the best has {best.mean:.1f}: none "
            "reproduces the outputs: other weights or other examples"
        )
        return "none"
    if margin < MARGIN:
        on_message(
            f"warning: the best two are {margin:.2f} dB apart, less than {MARGIN:g}: these "
            f"examples do not decide between {best.setting} and {second.setting}"
        )
        return "close"
    on_message(f"the right setting, by {margin:.1f} dB: {best.setting}")
    return "found"
