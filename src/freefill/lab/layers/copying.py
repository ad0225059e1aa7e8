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

from freefill.lab.layers.precision import float32

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
AGREEMENT = 0.3
"""Fit that a source gains for each of eight neighbours that copies from beside it."""
NEIGHBOURS = 8
GOLDEN = (5**0.5 - 1) / 2


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

    Queries reach over the border by one cell, keys do not.

    Args:
        queries: ``(B, D, h + 1, w + 1)``: what is looked for, at every patch.
        keys: ``(B, D, h - 1, w - 1)``: what there is; the fit is the scalar product.
        hole: ``(B, 1, 8h, 8w)``, 1 = unknown.
        compact: Leave out of the table what nobody asks for, and what nobody can give: several
            times smaller, but of a size that depends on the hole, for which a GPU has to wait.
        rounds: How often neighbours are asked where they copy from; see :meth:`copy`.

    Attributes:
        missing: ``(B, (h + 1) (w + 1))``, 1 where a query is in need of a copy.
        barred: ``(B, (h - 1) (w - 1))``, 1 where a key is not wholly known.
        known: ``(B, 1, 1, 1)``, 1 where a picture has any patch to give.
    """

    def __init__(
        self,
        queries: Tensor,
        keys: Tensor,
        hole: Tensor,
        *,
        compact: bool = True,
        rounds: int = 0,
    ) -> None:
        self.queries, self.keys = queries, keys
        self.compact, self.rounds = compact, rounds
        unknown = F.max_pool2d(hole, CELL)
        self.missing = patches(framed(unknown)).amax(1).flatten(1)
        self.barred = patches(unknown).amax(1).flatten(1)
        self.known = 1 - self.barred.amin(1)[:, None, None, None]

    def sample(self, count: int) -> tuple[Tensor, Tensor]:
        """Choose queries to learn from: as many in every picture, so that no size depends on data.

        Args:
            count: How many, at most.

        Returns:
            Their places, ``(B, count)``, spread over the hole, and 1 for those in need of a copy.
        """
        places = torch.arange(self.missing.shape[1], device=self.missing.device)
        # The golden ratio's multiples spread over [0, 1) evenly, however many are taken.
        spread = (places * GOLDEN) % 1
        chosen = (self.missing + spread).topk(min(count, len(places)), 1, sorted=False).indices
        return chosen, self.missing.gather(1, chosen)

    def compare(self, places: Tensor, queries: Tensor, keys: Tensor) -> Tensor:
        """Score some queries of each picture against all keys.

        Args:
            places: ``(B, Q)``, of the queries.
            queries: ``(B, D, h + 1, w + 1)``.
            keys: ``(B, D, h - 1, w - 1)``.

        Returns:
            The scalar products, ``(B, Q, K)``, far below 0 where a key is barred.
        """
        left = queries.flatten(2).float()
        left = left.gather(2, places[:, None].expand(-1, left.shape[1], -1))
        return self._products(left, keys.flatten(2).float(), self.barred)

    def _products(self, left: Tensor, right: Tensor, barred: Tensor) -> Tensor:
        # What bars a key is one more channel: a pass over the table less. In bf16 near colours
        # could not be distinguished.
        left = torch.cat([left, torch.full_like(left[:, :1], -FAR)], 1)
        right = torch.cat([right, barred[:, None]], 1)
        with float32():
            return left.transpose(1, 2) @ right

    def copy(self, detail: Tensor) -> Tensor:
        """Build the detail of the patches that fit best.

        Args:
            detail: ``(B, C, 8h, 8w)``; what lies in the hole is never read.

        Returns:
            ``(B, C, 8h, 8w)``, of use in the hole only; zeros where a picture has no patch that is
            wholly known. It has the gradient of ``detail``, the choice has none.
        """
        width = detail.shape[-1] // CELL
        best = self._best()
        first = torch.div(best, width - 1, rounding_mode="floor") * width + best % (width - 1)
        return _paste(detail, first) * self.known

    @torch.no_grad()
    def _best(self) -> Tensor:
        """Give the number of the key that each query copies, ``(B, h + 1, w + 1)``."""
        queries, keys = _in_step(self.queries, -1), _in_step(self.keys, 0)
        left, right, barred = queries.flatten(2).float(), keys.flatten(2).float(), self.barred
        if self.compact:
            asked, places = _some(self.missing.amax(0))
            given, _ = _some(1 - barred.amin(0))
            left = left[..., asked]
            best = given[self._products(left, right[..., given], barred[:, given]).argmax(2)]
        else:
            asked = places = torch.arange(self.missing.shape[1], device=left.device)
            best = self._products(left, right, barred).argmax(2)
        best = self._agree(best, left, right, asked, places) if self.rounds else best[:, places]
        return best.view(best.shape[0], queries.shape[-2], queries.shape[-1])

    def _agree(
        self, best: Tensor, left: Tensor, right: Tensor, asked: Tensor, places: Tensor
    ) -> Tensor:
        """Let each query take over a neighbour's source, one step on, where that fits better.

        A source is worth its fit and :data:`AGREEMENT` for every neighbour that copies from beside
        it, so that copies come in pieces. Every second query changes at a time: two that changed
        together could take each other's source for ever.

        What is the same in all rounds is made once, and the neighbours are taken all together:
        else an exported graph has three times the nodes, and takes as much longer to load.

        Args:
            best: ``(B, Q)``: keys of the queries that are asked.
            left: ``(B, D, Q)``: those queries.
            right: ``(B, D, K)``: all keys.
            asked: ``(Q,)``: the queries' numbers.
            places: ``((h + 1) (w + 1),)``: where each query is among them, if it is asked.

        Returns:
            The keys of all queries, ``(B, (h + 1) (w + 1))``; a known one copies itself.
        """
        batch, count = best.shape
        height, width = self.keys.shape[-2:]
        columns = width + 2
        every_query = torch.arange(self.missing.shape[1], device=best.device)
        # A known query copies itself, as far as it lies within the picture.
        y = torch.div(every_query, columns, rounding_mode="floor") - 1
        own = y.clamp(min=0, max=height - 1) * width
        own = own + (every_query % columns - 1).clamp(min=0, max=width - 1)
        missing = self.missing > 0
        down, right_of = torch.div(asked, columns, rounding_mode="floor"), asked % columns
        turns = (down + right_of) % 2 == 0, (down + right_of) % 2 == 1

        # The middle one of nine is no neighbour. Counted here, as a table would have to be sent to
        # a GPU, and waited for.
        beside = torch.arange(NEIGHBOURS, device=best.device).view(-1, 1)
        beside = beside + (beside >= NEIGHBOURS // 2)
        up, before = 1 - torch.div(beside, 3, rounding_mode="floor"), 1 - beside % 3
        # Places in the numbers with a frame of one; in the frame they point far outside.
        beside = ((down + 1 - up) * (columns + 2) + right_of + 1 - before).flatten()
        # Rows of a table are fetched faster than columns.
        left, right = left.transpose(1, 2)[:, None], right.transpose(1, 2).flatten(0, 1)
        start = torch.arange(batch, device=best.device).view(-1, 1, 1) * (height * width)
        always = torch.ones_like(best, dtype=torch.bool)[:, None]
        for number in range(self.rounds):
            all_best = torch.where(missing, best[:, places], own).view(batch, -1, columns)
            theirs = F.pad(all_best, (1, 1, 1, 1), value=-9 * width).flatten(1)[:, beside]
            theirs = theirs.view(batch, NEIGHBOURS, count)
            y = torch.div(theirs, width, rounding_mode="floor") + up
            x = theirs % width + before
            inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
            source = y.clamp(min=0, max=height - 1) * width + x.clamp(min=0, max=width - 1)
            known = self.barred.gather(1, source.flatten(1)).view_as(source) == 0
            valid, every = inside & known, torch.cat([best[:, None], source], 1)

            fit = (left * right[every + start]).sum(3)
            votes = (every[:, :, None] == source[:, None]) & valid[:, None]
            worth = fit + AGREEMENT * votes.float().sum(2)
            worth = torch.where(torch.cat([always, valid], 1), worth, -2 * FAR)
            better = every.gather(1, worth.argmax(1, keepdim=True))[:, 0]
            best = torch.where(turns[number % 2], better, best)
        return torch.where(missing, best[:, places], own)


def by_distance(queries: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
    """Turn nearness into a scalar product, for :class:`Match`.

    Args:
        queries: ``(B, D, h, w)``.
        keys: ``(B, D, h', w')``.

    Returns:
        The two with one channel more, so that their scalar product is minus the squared distance,
        less a term that is the same for every key.

    Examples:
        >>> queries, keys = by_distance(torch.tensor([[[[3.0]]]]), torch.tensor([[[[1.0, 5.0]]]]))
        >>> (queries * keys).sum(1) - 9
        tensor([[[-4., -4.]]])
    """
    squares = keys.square().sum(1, keepdim=True)
    ones = torch.ones_like(queries[:, :1])
    return torch.cat([2 * queries, ones], 1), torch.cat([keys, -squares], 1)


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
    first = torch.arange(flags.shape[0], device=flags.device) == 0
    chosen = (flags > 0) | first
    return chosen.nonzero()[:, 0], chosen.long().cumsum(0) - 1


def _paste(detail: Tensor, index: Tensor) -> Tensor:
    batch, channels, height, width = detail.shape
    height, width = height // CELL, width // CELL
    # Not by pixel_unshuffle: transposed once, with lines of cells kept whole.
    cells = detail.view(batch, channels, height, CELL, width, CELL).permute(0, 2, 4, 1, 3, 5)
    rows = cells.reshape(batch * height * width, channels * CELL**2)
    start = torch.arange(batch, device=detail.device).view(batch, 1, 1) * (height * width)
    pasted = torch.zeros_like(rows).view(batch, height, width, channels * CELL**2)
    for a in (0, 1):
        for b in (0, 1):
            # This cell is the (a, b) quarter of the patch that starts a rows and b columns before.
            taken = index[:, 1 - a : 1 - a + height, 1 - b : 1 - b + width] + start + a * width + b
            weight = _window(a, b).repeat(channels).to(detail)
            pasted = pasted + rows[taken] * weight
    cells = pasted.view(batch, height, width, channels, CELL, CELL).permute(0, 3, 1, 4, 2, 5)
    return cells.reshape_as(detail)


def _window(a: int, b: int) -> Tensor:
    """Give the weights of one quarter of a patch, ``(64,)``: a raised cosine in both directions."""
    places = torch.arange(2 * CELL) + 0.5
    line = 0.5 - 0.5 * torch.cos(math.pi * places / CELL)
    rows, columns = line[a * CELL : (a + 1) * CELL], line[b * CELL : (b + 1) * CELL]
    return (rows[:, None] * columns).flatten()
