"""Copying: from the right place, from known pixels only, without a seam of its own."""

from __future__ import annotations

import itertools
import math
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from freefill.lab.layers import copying
from freefill.lab.layers.copying import (
    CELL,
    COHERENCE,
    PERIOD,
    Match,
    by_distance,
    cell_means,
    patches,
    smooth,
    texture,
)


def match(means: Tensor, hole: Tensor) -> Match:
    padded = F.pad(means, (1, 1, 1, 1), mode="replicate")
    return Match(*by_distance(patches(padded), patches(means)), hole)


def copy_detail(detail: Tensor, means: Tensor, hole: Tensor) -> Tensor:
    """Copy by the nearest local colours."""
    return match(means, hole).copy(detail)


def noise(height: int, width: int, seed: int = 0) -> Tensor:
    return torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def box(height: int, width: int, rows: slice, columns: slice) -> Tensor:
    hole = torch.zeros(1, 1, height, width)
    hole[..., rows, columns] = 1
    return hole


def naive(detail: Tensor, means: Tensor, hole: Tensor) -> Tensor:
    """The same as loops over every patch, for one picture."""
    _, channels, height, width = detail.shape
    rows, columns = height // CELL, width // CELL
    padded = F.pad(means, (1, 1, 1, 1), mode="replicate")
    offers = [
        (i, j)
        for i in range(rows - 1)
        for j in range(columns - 1)
        if not hole[0, 0, i * CELL : (i + 2) * CELL, j * CELL : (j + 2) * CELL].any()
    ]
    line = 0.5 - 0.5 * torch.cos(torch.pi * (torch.arange(2 * CELL) + 0.5) / CELL)
    window = line[:, None] * line
    result = torch.zeros(channels, height + 2 * CELL, width + 2 * CELL)
    for i in range(rows + 1):
        for j in range(columns + 1):
            wanted = padded[0, :, i : i + 2, j : j + 2]

            def cost(offer: tuple[int, int], at: tuple[int, int], wanted: Tensor) -> float:
                a, b = offer
                apart = float((means[0, :, a : a + 2, b : b + 2] - wanted).square().sum())
                steps = [
                    math.cos(2 * math.pi * (p - q) / PERIOD) for p, q in zip(offer, at, strict=True)
                ]
                return apart - COHERENCE * sum(steps)

            a, b = min(offers, key=partial(cost, at=(i - 1, j - 1), wanted=wanted))
            patch = detail[0, :, a * CELL : (a + 2) * CELL, b * CELL : (b + 2) * CELL]
            result[:, i * CELL : (i + 2) * CELL, j * CELL : (j + 2) * CELL] += window * patch
    return result[None, :, CELL:-CELL, CELL:-CELL]


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        (slice(16, 40), slice(24, 48)),
        (slice(0, 24), slice(40, 72)),
        (slice(5, 7), slice(33, 34)),
        (slice(50, 64), slice(0, 72)),
    ],
    ids=["inside", "corner", "within a cell", "whole rows below"],
)
def test_agrees_with_loops(rows: slice, columns: slice) -> None:
    detail, hole = noise(64, 72), box(64, 72, rows, columns)
    means = noise(8, 9, seed=1)
    expected = naive(detail, means, hole)
    found = copy_detail(detail, means, hole)
    # Only what the hole needs is promised.
    torch.testing.assert_close(found * hole, expected * hole, atol=1e-5, rtol=1e-5)
    assert (found * hole).abs().max() > 0.1


def test_detail_comes_from_where_the_colours_are_alike() -> None:
    # Left half dark with stripes, right half bright and flat; a hole in each.
    detail = torch.zeros(1, 3, 64, 128)
    detail[..., :64] = torch.tensor([1.0, -1.0]).repeat(32)
    means = torch.full((1, 3, 8, 16), -0.5)
    means[..., 8:] = 0.5
    hole = box(64, 128, slice(24, 40), slice(16, 40)) + box(64, 128, slice(24, 40), slice(88, 112))
    copied = copy_detail(detail * (1 - hole), means, hole)
    torch.testing.assert_close(copied[..., 24:40, 16:40], detail[..., 24:40, 16:40])
    assert copied[..., 24:40, 88:112].abs().max() == 0


def test_a_smooth_area_gets_one_piece_of_texture_and_no_tiles() -> None:
    detail, hole = noise(128, 128), box(128, 128, slice(48, 80), slice(40, 72))
    copied = copy_detail(detail * (1 - hole), torch.zeros(1, 3, 16, 16), hole)
    wanted = copied[..., 48:80, 40:72]
    period = PERIOD * CELL
    shifted = [
        detail.roll((dy, dx), (2, 3))[..., 48:80, 40:72]
        for dy in range(0, 128, period)
        for dx in range(0, 128, period)
        if (dy, dx) != (0, 0)
    ]
    # Not all of the hole from one place, but each patch of it from whole periods away, as it is.
    same = torch.stack([(wanted - s).abs().amax(1) < 1e-4 for s in shifted]).any(0)
    assert same.float().mean() > 0.5
    tiles = (wanted[..., CELL:] - wanted[..., :-CELL]).abs().amax(1) < 1e-4
    assert tiles.float().mean() < 0.01


def test_blending_adds_up_to_one() -> None:
    hole = box(64, 64, slice(16, 48), slice(0, 40))
    copied = copy_detail(torch.ones(1, 2, 64, 64), noise(8, 8), hole)
    torch.testing.assert_close(copied * hole, hole.expand(1, 2, -1, -1))


def test_what_lies_in_the_hole_is_never_copied() -> None:
    detail, hole = noise(64, 64), box(64, 64, slice(20, 37), slice(9, 50))
    means = noise(8, 8, seed=1)
    poisoned = torch.where(hole > 0, 1e6, detail)
    torch.testing.assert_close(copy_detail(poisoned, means, hole), copy_detail(detail, means, hole))


def test_a_known_patch_that_is_far_beats_an_unknown_one_that_is_equal() -> None:
    hole = torch.ones(1, 1, 64, 64)
    hole[..., :16, :16] = 0
    means = torch.zeros(1, 3, 8, 8)
    means[..., :2, :2] = 2.0  # black against white is 2 apart
    detail = torch.where(hole > 0, 100.0, 1.0)
    copied = copy_detail(detail, means, hole)
    torch.testing.assert_close(copied, torch.ones_like(copied))


def test_nothing_known_gives_no_detail() -> None:
    hole = torch.ones(2, 1, 32, 32)
    hole[1, :, :16, :16] = 0  # one patch of the second picture is known
    copied = copy_detail(torch.ones(2, 3, 32, 32), torch.zeros(2, 3, 4, 4), hole)
    assert copied[0].abs().max() == 0
    torch.testing.assert_close(copied[1], torch.ones(3, 32, 32))


def test_pictures_of_a_batch_do_not_mix() -> None:
    detail = torch.cat([noise(48, 64, seed=s) for s in (0, 1, 2)])
    means = torch.cat([noise(6, 8, seed=s) for s in (3, 4, 5)])
    hole = torch.cat(
        [
            box(48, 64, slice(8, 24), slice(8, 24)),
            box(48, 64, slice(30, 48), slice(40, 64)),
            torch.zeros(1, 1, 48, 64),
        ]
    )
    together = copy_detail(detail, means, hole) * hole
    for n in range(3):
        alone = copy_detail(detail[n : n + 1], means[n : n + 1], hole[n : n + 1])
        torch.testing.assert_close(together[n : n + 1], alone * hole[n : n + 1])


def test_the_whole_table_gives_the_same_as_the_compact_one() -> None:
    detail = torch.cat([noise(64, 64), noise(64, 64, seed=2)])
    means = torch.cat([noise(8, 8, seed=1), noise(8, 8, seed=3)])
    hole = torch.cat([box(64, 64, slice(10, 30), slice(20, 60)), torch.zeros(1, 1, 64, 64)])
    padded = F.pad(means, (1, 1, 1, 1), mode="replicate")
    queries, keys = by_distance(patches(padded), patches(means))
    compact, whole = (
        Match(queries, keys, hole, compact=compact, rounds=2).copy(detail) * hole
        for compact in (True, False)
    )
    torch.testing.assert_close(whole, compact)


def test_agreeing_neighbours_copy_in_larger_pieces() -> None:
    means, hole = 0.5 * noise(16, 16, seed=1), box(128, 128, slice(32, 96), slice(32, 96))
    padded = F.pad(means, (1, 1, 1, 1), mode="replicate")
    queries, keys = by_distance(patches(padded), patches(means))
    shares, fits = [], []
    for rounds in (0, 4):
        found = Match(queries, keys, hole, rounds=rounds)
        best = found._best()[0]
        inside = best[5:12, 5:12]
        beside = (inside[:, 1:] == inside[:, :-1] + 1).float().mean()
        below = (inside[1:] == inside[:-1] + keys.shape[-1]).float().mean()
        shares.append(float(beside + below) / 2)
        assert found.barred[0, inside.flatten()].max() == 0  # never from where something is missing
        left = queries[0, :, 5:12, 5:12].flatten(1)
        fits.append(float((left * keys[0].flatten(1)[:, inside.flatten()]).sum(0).mean()))
    assert shares[1] > 1.5 * shares[0]
    # What is lost in fit is less than what the neighbours' votes are worth.
    assert fits[0] - fits[1] < 8 * copying.AGREEMENT + 4 * COHERENCE


def test_agreement_is_what_plain_loops_give() -> None:
    hole = torch.cat([box(64, 80, slice(16, 48), slice(0, 56)), torch.zeros(1, 1, 64, 80)])
    queries, keys = noise(9, 11).expand(2, 3, -1, -1), noise(7, 9, seed=1).expand(2, 3, -1, -1)
    alone = Match(queries, keys, hole, rounds=0)
    found = Match(queries, keys, hole, rounds=3)._best()
    # The products are those that the table holds, the added places within a period included.
    left, right = copying._in_step(queries, -1), copying._in_step(keys, 0)
    height, width = keys.shape[-2:]

    for picture in range(2):
        best = alone._best()[picture].tolist()
        missing = alone.missing[picture].view(9, 11)
        barred = alone.barred[picture]
        for row, column in np.ndindex(9, 11):
            if not missing[row, column]:
                y, x = min(max(row - 1, 0), height - 1), min(max(column - 1, 0), width - 1)
                best[row][column] = y * width + x
        for number in range(3):
            before = [line.copy() for line in best]
            for row, column in np.ndindex(9, 11):
                if not missing[row, column] or (row + column + number) % 2:
                    continue
                offered = []
                for dy, dx in itertools.product((-1, 0, 1), repeat=2):
                    if (dy or dx) and 0 <= row + dy < 9 and 0 <= column + dx < 11:
                        y, x = divmod(before[row + dy][column + dx], width)
                        y, x = y - dy, x - dx
                        if 0 <= y < height and 0 <= x < width and not barred[y * width + x]:
                            offered.append(y * width + x)
                worth = {
                    key: float(left[picture, :, row, column] @ right[picture].flatten(1)[:, key])
                    + copying.AGREEMENT * offered.count(key)
                    for key in {before[row][column], *offered}
                }
                best[row][column] = max(worth, key=worth.__getitem__)
        assert found[picture].tolist() == best


def test_agreement_leaves_known_patches_alone_and_survives_a_picture_without_any() -> None:
    detail, hole = noise(64, 64), torch.ones(1, 1, 64, 64)
    means = noise(8, 8, seed=1)
    padded = F.pad(means, (1, 1, 1, 1), mode="replicate")
    queries, keys = by_distance(patches(padded), patches(means))
    assert Match(queries, keys, hole, rounds=2).copy(detail).abs().max() == 0
    known = Match(queries, keys, hole * 0, rounds=1)._best()[0]
    rows = (torch.arange(9) - 1).clamp(0, 6)
    assert torch.equal(known, rows[:, None] * 7 + rows)


def test_gradient_reaches_the_detail_and_not_the_colours() -> None:
    detail, means = noise(32, 32).requires_grad_(), noise(4, 4, seed=1).requires_grad_()
    hole = box(32, 32, slice(0, 16), slice(0, 16))
    (copy_detail(detail, means, hole) * hole).sum().backward()
    assert means.grad is None
    assert detail.grad is not None
    assert detail.grad[..., :16, :16].abs().max() == 0
    assert detail.grad.sum() == pytest.approx(3 * 16 * 16, rel=1e-4)


def test_near_colours_are_told_apart_under_autocast() -> None:
    # Two flat halves, 2 of 255 levels apart: bf16 holds 1 in 128 near 1.
    means = torch.full((1, 3, 8, 16), 0.9)
    means[..., 8:] = 0.9 + 4 / 255
    detail = torch.zeros(1, 3, 64, 128)
    detail[..., 64:] = 1
    hole = box(64, 128, slice(24, 40), slice(100, 116))
    with torch.autocast("cpu", torch.bfloat16):
        copied = copy_detail(detail, means, hole)
    assert copied[..., 24:40, 100:116].min() == pytest.approx(1)


def test_means_and_their_interpolation() -> None:
    picture = torch.arange(32.0).expand(1, 1, 16, 32)
    cells = cell_means(picture)
    torch.testing.assert_close(cells[0, 0, 0], torch.tensor([3.5, 11.5, 19.5, 27.5]))
    # A ramp stays a ramp between the outermost middles.
    torch.testing.assert_close(smooth(cells)[..., 4:28], picture[..., 4:28])


def test_distances_become_products_up_to_a_term_of_the_asker() -> None:
    wanted, offered = noise(2, 3), noise(4, 5, seed=1)
    a, b = by_distance(wanted, offered)
    products = a.flatten(2)[0].T @ b.flatten(2)[0]
    distances = torch.cdist(wanted.flatten(2)[0].T, offered.flatten(2)[0].T).square()
    rest = products + distances
    torch.testing.assert_close(rest, rest[:, :1].expand_as(rest), atol=1e-4, rtol=1e-4)


def test_queries_to_learn_from_are_missing_ones_first() -> None:
    hole = torch.cat([box(64, 64, slice(24, 32), slice(24, 32)), torch.zeros(1, 1, 64, 64)])
    found = match(torch.cat([noise(8, 8), noise(8, 8, seed=1)]), hole)
    places, needed = found.sample(6)
    # One cell is missing, in four patches: all of them are chosen, and two that need nothing.
    assert needed.sum(1).tolist() == [4, 0]
    missing = {27 + 3, 27 + 4, 36 + 3, 36 + 4}  # rows of nine
    assert missing <= set(places[0].tolist())
    assert found.sample(1000)[0].shape == (2, 81)
    table = found.compare(places, found.queries, found.keys)
    assert table.shape == (2, 6, 49)
    # Of the 49 keys the four that have a part of the hole are barred.
    assert (table[0] < -copying.FAR / 2).sum(1).tolist() == [4] * 6
    assert (table[1] < -copying.FAR / 2).sum() == 0
    assert found.known.flatten().tolist() == [1, 1]


def test_a_large_hole_is_learned_from_all_over() -> None:
    found = match(noise(32, 32), box(256, 256, slice(64, 192), slice(64, 192)))
    places, needed = found.sample(64)
    assert needed.all()
    rows, columns = places[0] // 33, places[0] % 33
    for axis in (rows, columns):
        counts = torch.histc(axis.float(), 4, 8, 25)
        assert counts.min() >= 8


def test_texture_tells_stripes_from_flat_and_across_from_along() -> None:
    picture = torch.zeros(1, 3, 16, 32)
    picture[..., 16:] = 0.3
    picture[:, :, 1:7:2, :8] += 1.0  # level stripes in the first cell
    found = texture(picture)
    assert found.shape == (1, 3, 2, 4)
    rough, right, down = found[0, :, 0, 0]
    assert rough > 0.3
    assert down > 0.5
    assert right < 0.01 + float(down) / 8  # the stripes end at the cell's border
    assert found[0, :, 1, 3].max() < 1e-6
    # It is of the picture's grey alone: colours that cancel leave nothing.
    coloured = torch.zeros(1, 3, 16, 16)
    coloured[:, 0, ::2] = 1
    coloured[:, 1, ::2] = -1
    assert texture(coloured).max() < 1e-6
