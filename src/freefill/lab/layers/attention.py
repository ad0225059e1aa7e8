"""Contextual attention: a hole's features are rebuilt from the known patches that resemble them.

The layer of "Generative Image Inpainting with Contextual Attention" (Yu et al., CVPR 2018) as the
released DeepFill v2 code computes it. It differs from the text of the papers: scores are fused
before the softmax, and a patch that is not wholly known has the logit 0, not minus infinity, and is
struck out after the softmax without dividing again.

The released code makes every patch a filter of a convolution and holds several tables of all
patches by all patches. Here the same numbers come with less than a third of the multiplications,
and the tables exist for a few rows of queries at a time:

- A patch of 3x3 is three rows of 3, and those of its neighbours above and below are the same ones:
  the score of two patches is the sum of three scores of rows, which stand in one table on a
  diagonal, ``width`` places apart.
- Fusing sums diagonals too: one place apart in the order of rows, one in the order of columns.
- Pasted patches of 4x4 overlap by half. Blocks of 2x2 do not: each has the sum of the weights of
  the four patches that cover it, which are diagonals again, and is multiplied once.

Unlike there, each picture of a batch has a hole of its own.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from freefill.lab.layers.precision import float32
from freefill.lab.layers.resize import nearest_aligned

RATE = 2
"""How much coarser patches are compared than pasted."""
SHARPNESS = 10.0
"""Factor of the scores before the softmax."""
LEAST = 1e-4
"""Least norm of a patch."""
ROWS = 8
"""Rows of queries that are taken together; two more have to be compared. Fewer compare more in all,
more fall out of the processor's cache: 4, 8 and 16 take 7.3, 7.0 and 7.2 s at 1024x1024."""
TABLE = 32 * 2**20
"""Scores that a table holds at most for each picture, 128 MB: fewer rows then, but at least 2. Two
are 268 MB at 2048x2048, several times at once. In training every table is kept for the gradient."""


def contextual_attention(
    x: Tensor, hole: Tensor, *, fuse: bool = True, port: bool = False, rows: int = ROWS
) -> Tensor:
    """Rebuild every patch of ``x`` from its known patches.

    Args:
        x: ``(B, C, H, W)``; H and W even.
        hole: ``(B, 1, H / 2, W / 2)``, 1 = unknown: at the resolution that patches are compared at.
        fuse: Whether a score gains from those of both patches' neighbours (the released weights'
            layer does; a public port leaves it out for them).
        port: As in that port's own layer: every second pixel is compared, and 1e-4 is added to
            each square of a norm, where the released layer reads with aligned corners and has
            1e-4 as the least norm.
        rows: Rows of queries that are taken together; any number gives the same result.

    Returns:
        ``(B, C, H, W)``, at least float32. It is differentiable.

    Raises:
        ValueError: If ``hole`` is not of that size.
    """
    height, width = x.shape[-2:]
    if not torch.onnx.is_in_onnx_export() and hole.shape[-2:] != (height // RATE, width // RATE):
        raise ValueError(
            f"hole is {hole.shape[-1]}x{hole.shape[-2]}; for {width}x{height} features it must be "
            f"{width // RATE}x{height // RATE}"
        )
    # Ten times a score goes into an exponential: bf16 is too coarse for it.
    with float32():
        if x.dtype in (torch.float16, torch.bfloat16):
            x = x.float()
        small = x[..., ::RATE, ::RATE] if port else nearest_aligned(x, RATE)
        squares = F.avg_pool2d(small.square().sum(1, keepdim=True), 3, 1, 1) * 9
        if port:
            squares = squares + 9 * x.shape[1] * LEAST
        # Before the root, which has no derivative at zero.
        scale = squares.clamp(min=LEAST**2).rsqrt().flatten(2)
        known = (F.max_pool2d(hole.to(x), 3, 1, 1) == 0).to(x)
        blocks = F.pixel_unshuffle(F.pad(x, (1, 1, 1, 1)), RATE)
        pasted = _attend_in(
            F.unfold(small, (1, 3), padding=(0, 1)),
            scale,
            known,
            blocks.flatten(2).transpose(1, 2),
            rows,
            TABLE,
            SHARPNESS,
            fuse,
        )
        framed = F.pixel_shuffle(pasted.transpose(1, 2).reshape(blocks.shape), RATE)
        return framed[:, :, 1:-1, 1:-1] / 4


def _attend_in(*arguments: Any) -> Tensor:
    # A file needs the loop as a loop; traced, it would have the number of rows of one size.
    function = torch.jit.script(_attend) if torch.onnx.is_in_onnx_export() else _attend
    return cast(Tensor, function(*arguments))


def _attend(
    triples: Tensor,
    scale: Tensor,
    known: Tensor,
    blocks: Tensor,
    rows: int,
    table: int,
    sharpness: float,
    fuse: bool,
) -> Tensor:
    """Attend, a few rows of queries at a time (in the part of Python that TorchScript knows).

    Args:
        triples: ``(B, 3C, h w)``: rows of three pixels.
        scale: ``(B, 1, h w)``: 1 / norm of each patch, on the side of the keys.
        known: ``(B, 1, h, w)``: 1 where a patch is wholly known.
        blocks: ``(B, (h + 1) (w + 1), 4C)``: what is pasted.
        rows: Rows of queries that are taken together.
        table: Scores that are held at most, unless two rows have more.
        sharpness: Factor of the scores.
        fuse: Whether to fuse.

    Returns:
        The pasted blocks, of the shape of ``blocks``.
    """
    batch, height, width = known.shape[0], known.shape[2], known.shape[3]
    n = height * width
    known = known.flatten(2)
    rows = min(rows, max(2, table // (n * width)))
    # Zeros where there is no row and no patch: beyond the first and last one, and one more.
    keys = F.pad(triples, (width + 1, width + 1))
    queries = keys.transpose(1, 2)
    scale = F.pad(scale, (1, 1))
    none = torch.zeros_like(scale[:, :, 2:])

    # In the order of columns the last of one column is followed by the first of the next: above
    # the first row lies the last one, moved to the right by one, and below the last the first.
    above = none
    if fuse:
        above = torch.cat(
            [none, _scores(queries, keys, scale, n - width, width - 1, width, fuse)], 1
        )
    done = torch.zeros_like(blocks[:, :0])
    late = torch.zeros_like(blocks[:, : width + 1])
    for top in range(0, height, rows):
        count = min(rows, height - top) * width
        first = top * width
        if not fuse:
            scores = _scores(queries, keys, scale, first, count, width, fuse)
        else:
            if first + count < n:
                below = _scores(queries, keys, scale, first, count + width, width, fuse)
            else:
                below = _scores(queries, keys, scale, first, count, width, fuse)
                wrapped = _scores(queries, keys, scale, 1, width - 1, width, fuse)
                below = torch.cat([below, wrapped, none], 1)
            near = torch.cat([above, below], 1)
            above = below[:, count - width : count]
            zero = torch.zeros_like(near[:, :, :1])
            near = torch.cat(
                [zero, near[:, :, n - width : n - 1], near, near[:, :, 1:width], zero], 2
            )
            scores = (
                near[:, :count, :n]
                + near[:, width : width + count, width : width + n]
                + near[:, 2 * width :, 2 * width :]
            )
        weights = torch.softmax(scores * (known * sharpness), 2) * known

        # Each patch covers four blocks: its weight goes to all of them, with the key's four.
        weights = weights.view(-1, width, height, width)
        weights = F.pad(weights, (1, 1, 0, 0, 1, 1))
        weights = weights[:, 1:, :, 1:] + weights[:, :-1, :, :-1]
        weights = weights.reshape(batch, -1, width + 1, height, width + 1)
        weights = F.pad(weights, (0, 0, 1, 1, 0, 0, 1, 1))
        weights = weights[:, 1:, :, 1:] + weights[:, :-1, :, :-1]
        covered = torch.matmul(weights.reshape(batch, -1, (height + 1) * (width + 1)), blocks)
        # The last row of blocks has more to come, from the next rows of queries.
        last = covered.shape[1] - width - 1
        done = torch.cat([done, covered[:, : width + 1] + late, covered[:, width + 1 : last]], 1)
        late = covered[:, last:]
    return torch.cat([done, late], 1)


def _scores(
    queries: Tensor,
    keys: Tensor,
    scale: Tensor,
    first: int,
    count: int,
    width: int,
    fuse: bool,
) -> Tensor:
    """Score ``count`` queries against all keys, ``(B, count, n)``; fused in the order of rows.

    It is computed for one query and one key more on either side, which count as 0.
    """
    n = keys.shape[2] - 2 * width
    more = count + 2
    table = torch.matmul(queries[:, first : first + more + 2 * width], keys)
    scores = (
        table[:, :more, :n]
        + table[:, width : width + more, width : width + n]
        + table[:, 2 * width :, 2 * width :]
    )
    scores = scores * scale
    if first == 0:
        scores = torch.cat([torch.zeros_like(scores[:, :1]), scores[:, 1:]], 1)
    if first + count == n - 2:
        scores = torch.cat([scores[:, :-1], torch.zeros_like(scores[:, :1])], 1)
    if not fuse:
        return scores[:, 1:-1, 1:-1]
    return scores[:, :-2, :-2] + scores[:, 1:-1, 1:-1] + scores[:, 2:, 2:]
