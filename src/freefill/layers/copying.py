"""Copying: the fine detail of a hole is taken from the known part of the same picture.

A small network predicts colours well and texture badly. So the picture is split in two: its local
mean colours, which the network predicts in the hole, and the detail around them, which is copied
from known patches. The idea of adding a residual found by matching at low resolution is that of
"Contextual Residual Aggregation" (Yi et al., CVPR 2020); here one patch is taken and not a weighted
mean of many, which would have no texture, and neighbours are drawn to neighbours.

Patches are of two by two cells. Overlapping patches are blended by windows that add up to one.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

CELL = 8
"""Side of a cell, in pixels; a patch is twice as large, and patches start at every cell."""
PERIOD = 4
"""Cells after which the place of a patch counts as the same again."""
COHERENCE = 1.0
"""Fit that a copy from whole periods away gains in each direction, and one from half a period off
loses. On 12 held-out scenes 0 gave LPIPS 0.199 (free-form) and 0.180 (centre), 0.5 0.187 and
0.174, 1 0.185 and 0.171, 2 the same; 1 with a period of 8 cells 0.192 and 0.175."""
FAR = 1e4
"""Taken from the fit of a patch that is not wholly known."""


def cell_means(picture: Tensor) -> Tensor:
    """Average each cell, ``(B, C, H, W)`` to ``(B, C, H / 8, W / 8)``."""
    return F.avg_pool2d(picture, CELL)


def smooth(cells: Tensor) -> Tensor:
    """Interpolate between the middles of cells, ``(B, C, h, w)`` to ``(B, C, 8h, 8w)``."""
    return F.interpolate(cells, scale_factor=float(CELL), mode="bilinear", align_corners=False)


def texture(picture: Tensor) -> Tensor:
    """Measure how rough each cell is, at all and in either direction.

    Args:
        picture: ``(B, C, H, W)``.

    Returns:
        ``(B, 3, H / 8, W / 8)``: mean distance of the mean channel from the local mean, and mean
        step to the right and downwards.
    """
    grey = picture.mean(1, keepdim=True)
    rough = (grey - smooth(cell_means(grey))).abs()
    right = F.pad(grey[..., 1:] - grey[..., :-1], (0, 1)).abs()
    down = F.pad(grey[..., 1:, :] - grey[..., :-1, :], (0, 0, 0, 1)).abs()
    return F.avg_pool2d(torch.cat([rough, right, down], 1), CELL)


def framed(cells: Tensor) -> Tensor:
    """Repeat the outermost cells once, for patches that reach over the border."""
    return F.pad(cells, (1, 1, 1, 1), mode="replicate")


def patches(cells: Tensor) -> Tensor:
    """List the four cells of each patch, ``(B, D, h, w)`` to ``(B, 4D, h - 1, w - 1)``."""
    height, width = cells.shape[-2] - 1, cells.shape[-1] - 1
    corners = [cells[..., a : height + a, b : width + b] for a in (0, 1) for b in (0, 1)]
    return torch.cat(corners, 1)


class Match:
    """How well every patch that is wholly known fits every patch that is not.

    Patches reach over the border by one cell where they are wanted, not where they are given.

    Args:
        wanted: ``(B, D, h + 1, w + 1)``: what is looked for, at every patch.
        offered: ``(B, D, h - 1, w - 1)``: what there is; the fit is the scalar product.
        hole: ``(B, 1, 8h, 8w)``, 1 = unknown.

    Attributes:
        asking: ``(B, Q)``, 1 where a wanted patch is in need of a copy.
        known: ``(B, 1, 1, 1)``, 1 where a picture has any patch to give.
    """

    def __init__(self, wanted: Tensor, offered: Tensor, hole: Tensor) -> None:
        self.wanted, self.offered = wanted, offered
        unknown = F.max_pool2d(hole, CELL)
        missing = patches(framed(unknown)).amax(1).flatten(1)
        barred = patches(unknown).amax(1).flatten(1)
        # Patches that are known in the whole batch need no copy, those unknown in the whole batch
        # can give none: left out, they make the table several times smaller.
        self.asked, self.places = _some(missing.amax(0))
        self.given, _ = _some(1 - barred.amin(0))
        self.asking = missing[:, self.asked]
        self.known = 1 - barred.amin(1)[:, None, None, None]
        self.barred = barred[:, None, self.given]

    def score(self) -> Tensor:
        """Give the fit of Q wanted and K offered patches, ``(B, Q, K)``; far below 0 if barred."""
        return self.compare(self.wanted, self.offered)

    def compare(self, wanted: Tensor, offered: Tensor) -> Tensor:
        """Give the scalar products for these patches, of any two of the shapes of the class."""
        left = wanted.flatten(2)[..., self.asked].float()
        right = offered.flatten(2)[..., self.given].float()
        # In bf16 near colours could not be told apart.
        with torch.autocast(wanted.device.type, enabled=False):
            return left.transpose(1, 2) @ right - FAR * self.barred

    def copy(self, detail: Tensor) -> Tensor:
        """Build the detail of the patches that fit best.

        Args:
            detail: ``(B, C, 8h, 8w)``; what lies in the hole is never read.

        Returns:
            ``(B, C, 8h, 8w)``, of use in the hole only; zeros where a picture has no patch that is
            wholly known. It has the gradient of ``detail``, the choice has none.
        """
        width = detail.shape[-1] // CELL
        score = self.compare(_in_step(self.wanted, -1), _in_step(self.offered, 0))
        best = self.given[score.argmax(2)][:, self.places]
        best = best.view(best.shape[0], *self.wanted.shape[-2:])
        first = torch.div(best, width - 1, rounding_mode="floor") * width + best % (width - 1)
        return _paste(detail, first) * self.known


def by_distance(wanted: Tensor, offered: Tensor) -> tuple[Tensor, Tensor]:
    """Turn nearness into a scalar product, for :class:`Match`.

    Args:
        wanted: ``(B, D, h, w)``.
        offered: ``(B, D, h', w')``.

    Returns:
        The two with one channel more, so that their scalar product is minus the squared distance,
        less a term that is the same for every offer.

    Examples:
        >>> wanted, offered = by_distance(torch.tensor([[[[3.0]]]]), torch.tensor([[[[1.0, 5.0]]]]))
        >>> (wanted * offered).sum(1) - 9
        tensor([[[-4., -4.]]])
    """
    squares = offered.square().sum(1, keepdim=True)
    ones = torch.ones_like(wanted[:, :1])
    return torch.cat([2 * wanted, ones], 1), torch.cat([offered, -squares], 1)


def _in_step(cells: Tensor, first: int) -> Tensor:
    """Add the place within a period, so that two neighbours rather copy from two neighbours.

    Without it all patches of a smooth area choose the same one and tile it. The scalar product of
    the added channels is greatest where the two places differ by whole periods.
    """
    height, width = cells.shape[-2:]
    turn = 2 * math.pi / PERIOD
    rows = (torch.arange(height, device=cells.device) + first).view(1, 1, -1, 1) * turn
    columns = (torch.arange(width, device=cells.device) + first).view(1, 1, 1, -1) * turn
    steps = [
        wave(place).expand(cells.shape[0], 1, height, width) * COHERENCE**0.5
        for place in (rows, columns)
        for wave in (torch.cos, torch.sin)
    ]
    return torch.cat([cells, *steps], 1)


def _some(flags: Tensor) -> tuple[Tensor, Tensor]:
    """List the places of ``flags``, ``(N,)`` of 0 and 1, that are set, and where each is listed.

    There is always one in the list, so that nothing needs a case of its own when none is set.
    """
    if torch.compiler.is_compiling():
        # A size that depends on the data would break the compiled graph.
        everywhere = torch.arange(flags.shape[0], device=flags.device)
        return everywhere, everywhere
    first = torch.arange(flags.shape[0], device=flags.device) == 0
    chosen = (flags > 0) | first
    return chosen.nonzero()[:, 0], chosen.long().cumsum(0) - 1


def _paste(detail: Tensor, index: Tensor) -> Tensor:
    cells = F.pixel_unshuffle(detail, CELL)
    batch, channels, height, width = cells.shape
    rows = cells.permute(0, 2, 3, 1).reshape(batch * height * width, channels)
    start = torch.arange(batch, device=detail.device).view(batch, 1, 1) * (height * width)
    pasted = torch.zeros_like(rows).view(batch, height, width, channels)
    for a in (0, 1):
        for b in (0, 1):
            # This cell is the (a, b) quarter of the patch that starts a rows and b columns before.
            taken = index[:, 1 - a : 1 - a + height, 1 - b : 1 - b + width] + start + a * width + b
            weight = _window(a, b).repeat(channels // CELL**2).to(detail)
            pasted = pasted + rows[taken] * weight
    return F.pixel_shuffle(pasted.permute(0, 3, 1, 2), CELL)


def _window(a: int, b: int) -> Tensor:
    """Give the weights of one quarter of a patch, ``(64,)``: a raised cosine in both directions."""
    places = torch.arange(2 * CELL) + 0.5
    line = 0.5 - 0.5 * torch.cos(math.pi * places / CELL)
    rows, columns = line[a * CELL : (a + 1) * CELL], line[b * CELL : (b + 1) * CELL]
    return (rows[:, None] * columns).flatten()
