"""Batches that are made where the network is, from photos that lie there.

Cutting crops out of files one by one keeps no GPU busy: a guided crop takes 13 ms of a core. Here
all photos and their lines (:mod:`freefill.lab.data.line_codes`) lie in one array in the device's
memory, and holes, shapes and strokes in others (:mod:`freefill.lab.data.banks`). A batch is then
some reads at computed places and some products of matrices, without a loop over samples. What is
drawn at random for a batch is a function of seed and step, a table of numbers that the CPU draws.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from freefill.errors import ConfigError
from freefill.lab.config import Config
from freefill.lab.data import banks
from freefill.lab.data.batches import Batch
from freefill.lab.data.guidance_samples import TREMBLE
from freefill.lab.data.line_codes import NAMES, open_codes
from freefill.lab.data.sources import Folder, OnMessage
from freefill.lab.layers.places import pixel_of
from freefill.lab.layers.precision import float32
from freefill.types import Pixels

HOLES = 2048
"""Holes in a bank."""
BLOCK = 64
"""Steps that are drawn for at once."""
STREAM = 1 << 40
"""Keeps these random numbers apart from those of the perceptual loss's windows."""
NUMBERS = 96
"""Random numbers in [0, 1) of a sample."""
TREMBLING = 12
"""Side of the grid that lines are moved by."""


class ResidentPhotos:
    """Photos and their lines in one array.

    Args:
        views: Photos, each ``(H, W, 3)`` uint8.
        codes: Their lines, one after the other, uint8; see :mod:`freefill.lab.data.line_codes`.
        device: Where they lie.
    """

    def __init__(self, views: list[Pixels], codes: Pixels, device: torch.device) -> None:
        sizes = torch.tensor([view.shape[:2] for view in views])
        four = np.empty((len(codes), 4), np.uint8)
        four[:, 3] = codes
        at = 0
        for view in views:
            count = view.shape[0] * view.shape[1]
            four[at : at + count, :3] = view.reshape(-1, 3)
            at += count
        self.pixels = torch.from_numpy(four.view(np.int32)[:, 0]).to(device)
        starts = torch.cat([torch.zeros(1, dtype=torch.long), sizes.prod(1).cumsum(0)[:-1]])
        self.heights, self.widths = (sizes[:, i].to(device) for i in (0, 1))
        self.starts = starts.to(device)
        self.largest = int(sizes.amin(1).amax())

    def read(self, photos: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Read pixels, ``(B, H, W)`` int32: red, green, blue and the line's code, a byte each.

        Args:
            photos: ``(B,)``.
            rows: ``(B, H, 1 or W)`` int64.
            columns: ``(B, 1 or H, W)`` int64.
        """
        height, width = self.heights[photos, None, None], self.widths[photos, None, None]
        rows = torch.minimum(rows.clamp(min=0), height - 1)
        columns = torch.minimum(columns.clamp(min=0), width - 1)
        return self.pixels[self.starts[photos, None, None] + rows * width + columns]


class ResidentBatches:
    """Makes the batch of any step.

    Args:
        folder: The photos, and which of them to train on.
        config: All settings.
        device: Where batches are made.
        on_message: Called with lines for people.

    Raises:
        ConfigError: If the settings ask for what is not made here.
    """

    def __init__(
        self, folder: Folder, config: Config, device: torch.device, on_message: OnMessage
    ) -> None:
        if config.train.separate_batches or config.data.shared_hole:
            raise ConfigError(
                "data.resident is set, which train.separate_batches and data.shared_hole do not go "
                "with"
            )
        self.config, self.device, self.folder = config, device, folder
        store = folder.store
        every = store.views()
        views = [every[i] for i in folder.used]
        codes = np.zeros(int(store.shapes[folder.used].prod(1).sum()), np.uint8)
        if config.guidance.on:
            codes = open_codes(
                store,
                folder.used,
                lambda done, all_: on_message(f"found the lines of {done} of {all_}"),
            )
        self.photos = ResidentPhotos(views, codes, device)
        on_message("drawing holes and shapes")
        self.block: tuple[int, tuple[Tensor, ...]] = (-1, ())
        self.banks = {side: self._banks(side) for side in {s.crop for s in config.train.stages}}

    def _banks(self, side: int) -> tuple[Tensor, Tensor, Tensor]:
        seed = self.config.train.seed
        masks, modules = self.config.data.masks, self.config.plugins
        made = [banks.holes(HOLES, side, masks, seed, modules)]
        if self.config.guidance.on:
            made += [banks.shapes(side, seed), banks.strokes(side, seed)]
        else:
            made += [torch.zeros(1), torch.zeros(1)]
        first, second, third = (bank.to(self.device) for bank in made)
        return first, second, third

    def batch(self, step: int) -> Batch:
        """Make the batch of a step, from 0; the same for the same photos, settings and step."""
        train, data, guidance = self.config.train, self.config.data, self.config.guidance
        stage = train.stage_at(step)
        count, side = stage.batch, stage.crop
        numbers, normal, kept, chosen = (drawn[step % BLOCK, :count] for drawn in self._draws(step))
        u = Uniform(numbers)
        normal = normal.view(count, 2, TREMBLING, TREMBLING)
        holes, shapes, strokes = self.banks[side]
        window = self._window(u, chosen, side, data.min_scale)
        hole = _turned(holes, u, side)[:, None].float()
        image = self._cut(chosen, window, side, u, data.colour)
        synthetic = u.chance(data.synthetic)
        if data.synthetic:
            image = torch.where(synthetic, _structure(image, u), image)
        if not guidance.on:
            return Batch(image * 2 - 1, hole)
        code = self._lines(chosen, window, side, normal) * ~synthetic[:, 0]
        sketched = u.chance(guidance.sketch)
        image, code, drawn, cleared = _with_shape(
            image, code, hole, shapes, u, sketched & u.chance(guidance.drawn)
        )
        level = 1 + (u.next() * 3).floor()
        name, found = code % NAMES, torch.div(code, NAMES, rounding_mode="floor")
        whole = u.next() < guidance.whole
        share = 0.1 + 0.8 * u.next()
        keeps = (kept < share[:, 0]) | whole[:, 0]
        lines = (found >= level) & keeps.gather(1, name.flatten(1).long()).view_as(name)
        lines = ((lines & ~cleared) | drawn)[:, None] & sketched & (hole > 0)
        painted = _painted(image, hole, strokes, u) * u.chance(guidance.strokes)
        return Batch(image * 2 - 1, hole, torch.cat([lines.float(), painted], 1))

    def _draws(self, step: int) -> tuple[Tensor, ...]:
        """Draw for a block of steps at once: a GPU waits for each table that is brought to it."""
        block = step // BLOCK
        if block != self.block[0]:
            train = self.config.train
            most = max(stage.batch for stage in train.stages)
            sizes = (NUMBERS, 2 * TREMBLING**2, NAMES)
            tables = [torch.zeros(BLOCK, most, size) for size in sizes]
            chosen = torch.zeros(BLOCK, most, dtype=torch.long)
            for place in range(BLOCK):
                number = block * BLOCK + place
                if number >= train.steps:
                    break
                source = torch.Generator().manual_seed(train.seed * 1_000_003 + number + STREAM)
                tables[0][place].uniform_(generator=source)
                tables[1][place].normal_(generator=source)
                tables[2][place].uniform_(generator=source)
                first, stage = train.crops(number), train.stage_at(number)
                count = stage.batch
                photos = [self.folder.place(first + i, stage.crop) for i in range(count)]
                chosen[place, :count] = torch.tensor(photos)
            self.block = (block, tuple(t.to(self.device) for t in (*tables, chosen)))
        return self.block[1]

    def ahead(self, first: int) -> Iterator[list[Batch]]:
        """Yield each step's batch, from ``first`` to the last."""
        for step in range(first, self.config.train.steps):
            yield [self.batch(step)]

    def _window(
        self, u: Uniform, chosen: Tensor, side: int, min_scale: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Draw top, left, side and whether to mirror, each ``(B, 1, 1)``."""
        height, width = self.photos.heights[chosen], self.photos.widths[chosen]
        height, width = height[:, None, None], width[:, None, None]
        scale = min_scale + (1 - min_scale) * u.next()
        length = torch.minimum((side / scale).round(), torch.minimum(height, width))
        top = (u.next() * (height - length + 1)).floor()
        left = (u.next() * (width - length + 1)).floor()
        mirrored = (u.next() < 0.5) & self.config.data.flip
        return top, left, length, mirrored

    def _cut(
        self,
        chosen: Tensor,
        window: tuple[Tensor, Tensor, Tensor, Tensor],
        side: int,
        u: Uniform,
        strength: float,
    ) -> Tensor:
        """Cut crops and bring them to one size, ``(B, 3, side, side)`` in [0, 1]."""
        top, left, length, mirrored = window
        # No window is larger, whatever is drawn.
        most = min(self.photos.largest, int(side / self.config.data.min_scale) + 1)
        places = torch.arange(most, device=self.device)
        rows = top.long() + places[:, None]
        columns = torch.where(mirrored, length.long() - 1 - places, places) + left.long()
        packed = self.photos.read(chosen, rows, columns)
        planes = torch.stack([(packed >> shift) & 255 for shift in (0, 8, 16)], 1).float() / 255
        # A triangle as wide as the pixels of the crop: an average where the window is shrunk.
        factor = length / side
        middle = (torch.arange(side, device=self.device)[:, None] + 0.5) * factor
        wide = factor.clamp(min=1)
        matrix = (1 - (places + 0.5 - middle).abs() / wide).clamp(min=0) * (places < length)
        matrix = (matrix / matrix.sum(2, keepdim=True))[:, None]
        with float32():
            cut = matrix @ planes @ matrix.transpose(2, 3)
        gain = 1 + strength * (u.signed() + u.signed(3) / 2)
        offset = strength / 2 * u.signed()
        return ((cut - 0.5) * gain + 0.5 + offset).clamp(0, 1)

    def _lines(
        self,
        chosen: Tensor,
        window: tuple[Tensor, Tensor, Tensor, Tensor],
        side: int,
        normal: Tensor,
    ) -> Tensor:
        """Read the lines' codes of the crops, ``(B, side, side)``, moved about as by a hand."""
        top, left, length, mirrored = window
        factor = length / side
        moved = F.interpolate(normal * TREMBLE, (side, side), mode="bicubic")
        places = torch.arange(side, device=self.device)
        code = torch.zeros_like(moved[:, 0], dtype=torch.int32)
        for a in (0.25, 0.75):
            for b in (0.25, 0.75):
                rows = (places[:, None] + a + moved[:, 0]) * factor
                columns = (places + b + moved[:, 1]) * factor
                columns = torch.where(mirrored, length - columns, columns)
                rows, columns = rows.floor() + top, columns.floor() + left
                packed = self.photos.read(chosen, rows.long(), columns.long())
                code = torch.maximum(code, (packed >> 24) & 255)
        return code


class Uniform:
    """Hands out the numbers of a table, a column at a time.

    Args:
        table: ``(B, N)`` in [0, 1).
    """

    def __init__(self, table: Tensor) -> None:
        self.table, self.at = table, 0

    def next(self, channels: int = 1) -> Tensor:
        """Give the next number of each sample, ``(B, 1, 1)``, or several, ``(B, C, 1, 1)``."""
        taken = self.table[:, self.at : self.at + channels, None, None]
        self.at += channels
        if taken.shape[1] < channels:
            raise IndexError(f"a sample has {self.table.shape[1]} random numbers and needs more")
        return taken[:, 0] if channels == 1 else taken

    def signed(self, channels: int = 1) -> Tensor:
        """Give numbers in [-1, 1), ``(B, C, 1, 1)``."""
        drawn = 2 * self.next(channels) - 1
        return drawn[:, None] if channels == 1 else drawn

    def chance(self, share: float) -> Tensor:
        """Draw which samples are chosen, ``(B, 1, 1, 1)`` bool."""
        return self.next()[:, None] < share


def _turned(bank: Tensor, u: Uniform, side: int) -> Tensor:
    """Take a drawing for each sample, turned and mirrored, ``(B, side, side)``."""
    chosen = (u.next() * bank.shape[0]).long()
    places = torch.arange(side, device=bank.device)
    first = torch.where(u.next() < 0.5, places[:, None], side - 1 - places[:, None])
    second = torch.where(u.next() < 0.5, places, side - 1 - places)
    turned = u.next() < 0.5
    rows = torch.where(turned, second, first)
    columns = torch.where(turned, first, second)
    return bank.flatten(1)[chosen, rows * side + columns]


def _somewhere(hole: Tensor, u: Uniform) -> tuple[Tensor, Tensor]:
    """Choose a pixel of each hole, ``(B, 1, H, W)``: its row and column, ``(B, 1, 1)``."""
    row, column = pixel_of(hole[:, 0], u.next()[:, 0, 0])
    return row[:, None, None], column[:, None, None]


def _moved(planes: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Roll the planes of each sample by its own steps, ``(B, C, S, S)``; steps ``(B, 1, 1)``."""
    side = planes.shape[-1]
    places = torch.arange(side, device=planes.device)
    index = ((places[:, None] - down) % side) * side + (places - right) % side
    index = index.flatten(1)[:, None].expand(-1, planes.shape[1], -1)
    return planes.flatten(2).gather(2, index).view_as(planes)


def _with_shape(
    image: Tensor, code: Tensor, hole: Tensor, bank: Tensor, u: Uniform, drawn: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Lay a shape into some of the photos.

    Returns:
        The photos; their lines' codes, ``(B, S, S)``; the lines of the shape; and where others are
        cleared for it.
    """
    side = image.shape[-1]
    shape = bank[(u.next() * bank.shape[0]).long()[:, 0, 0]].long()
    row, column = _somewhere(hole, u)
    shape = _moved(shape, row - side // 2, column - side // 2)
    share, edge = shape[:, :1].float() / 255, shape[:, 1] > 0
    line = shape[:, 2:] > 0
    # A line is of a colour that is plain against what it lies on, a patch of other colours or
    # content: brighter or darker, a piece from elsewhere, or flat.
    weight = share.sum((2, 3), keepdim=True).clamp(min=1)
    under = (image * share).sum((2, 3), keepdim=True) / weight
    sign = torch.where(u.next()[:, None] < under.mean(1, keepdim=True), -1.0, 1.0)
    plain = under + sign * (0.2 + 0.5 * u.next()[:, None]) + 0.12 * u.signed(3)
    gain = 1 + u.signed().sign() * (0.15 + 0.35 * u.next()[:, None])
    down, right = (u.next() * side).long(), (u.next() * side).long()
    both = torch.cat([image, code[:, None].float()], 1)
    elsewhere = _moved(both, down, right)
    kind = u.next()[:, None]
    other = torch.where(kind < 0.5, image * gain + 0.1 * u.signed(3), elsewhere[:, :3])
    other = torch.where(kind < 0.75, other, u.next(3).expand_as(image))
    other = torch.where(line, plain.expand_as(image), other).clamp(0, 1)
    changed = torch.where(drawn, image + share * (other - image), image)
    inside = (share[:, 0] >= 0.5) & drawn[:, 0] & ~line[:, 0]
    rolled = inside & (kind[:, 0] >= 0.5) & (kind[:, 0] < 0.75)
    code = torch.where(rolled, elsewhere[:, 3].to(code), code)
    flat = inside & (kind[:, 0] >= 0.75)
    near = F.max_pool2d((edge & drawn[:, 0]).float()[:, None], 7, 1, 3)[:, 0] > 0
    return changed, code, edge & drawn[:, 0], flat | near


def _painted(image: Tensor, hole: Tensor, bank: Tensor, u: Uniform) -> Tensor:
    """Dab strokes of the photos' own colours into the holes, ``(B, 4, S, S)``."""
    side = image.shape[-1]
    number = bank[(u.next() * bank.shape[0]).long()[:, 0, 0]].long()[:, None]
    row, column = _somewhere(hole, u)
    number = _moved(number, row - side // 2, column - side // 2)[:, 0]
    colours = torch.zeros_like(image)
    for stroke in range(1, banks.STROKES + 1):
        under = (number == stroke)[:, None].float()
        mean = (image * under).sum((2, 3), keepdim=True)
        mean = mean / under.sum((2, 3), keepdim=True).clamp(min=1)
        colours = colours + under * (mean + 0.03 * u.next()[:, None] - 0.015).clamp(0, 1)
    where = (number > 0)[:, None] * (hole > 0)
    return torch.cat([where.float(), (colours * 2 - 1) * where], 1)


def _structure(image: Tensor, u: Uniform) -> Tensor:
    """Draw a wall, fence or grid in perspective over a photo's own shading."""
    side = image.shape[-1]
    line = torch.arange(side, device=image.device) / side - 0.5
    y, x = line[:, None], line
    turn = u.next() * torch.pi
    depth = 1 + 0.8 * ((u.next() * 2 - 1) * x + (u.next() * 2 - 1) * y)
    across = (torch.cos(turn) * x + torch.sin(turn) * y) / depth
    along = (torch.cos(turn) * y - torch.sin(turn) * x) / depth
    rows = 4 + 12 * u.next()
    v = along * rows + u.next()
    w = across * rows * (0.3 + 1.5 * u.next()) + 0.5 * v.floor() * (u.next() < 0.5) + u.next()
    joint = 0.05 + 0.15 * u.next()
    soft = rows / side * 1.5
    gaps = [(joint - ((z % 1) - 0.5).abs()) / soft for z in (v, w)]
    only_one = u.next() < 0.3
    gap = torch.where(only_one, gaps[0], torch.maximum(*gaps)).clamp(0, 1)[:, None]
    grey = image.mean(1, keepdim=True)
    shading = 0.5 + 0.8 * (grey - grey.mean((2, 3), keepdim=True))
    cell = torch.sin(12.9 * v.floor() + 78.2 * w.floor()) * 0.08
    wall, joints = (0.1 + 0.8 * u.next()[:, None] + 0.15 * u.signed(3) for _ in range(2))
    wall = wall + cell[:, None]
    return ((wall + gap * (joints - wall)) * (0.5 + shading)).clamp(0, 1)
