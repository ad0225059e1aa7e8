"""Nearest neighbour with aligned corners."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from freefill.lab.layers.resize import aligned_indices, nearest_aligned


@pytest.mark.parametrize("length", [2, 4, 8, 14, 34, 56, 64, 128, 256, 258, 680])
def test_reads_the_place_that_is_rounded_in_float32(length: int) -> None:
    small = length // 2
    expected = []
    for i in range(small):
        scale = np.float32(length - 1) / np.float32(max(small - 1, 1))
        place = float(np.float32(i) * scale)
        # C's roundf: half away from zero.
        expected.append(int(place) + (place - int(place) >= 0.5))
    assert aligned_indices(length, 2).tolist() == expected


def test_half_of_the_places_are_not_every_second_one() -> None:
    found = aligned_indices(64, 2)
    assert found[0] == 0
    assert found[-1] == 63
    assert int((found != torch.arange(0, 64, 2)).sum()) == 16


def test_two_steps_read_other_pixels_than_one() -> None:
    columns = torch.arange(256.0).expand(1, 1, 256, 256)
    two = nearest_aligned(nearest_aligned(columns, 4), 2)[0, 0, 0]
    one = nearest_aligned(columns, 8)[0, 0, 0]
    # Neither is every eighth pixel, which is what the port's layer reads.
    assert int((two != torch.arange(0.0, 256, 8)).sum()) > 16
    assert int((two != one).sum()) == 24
    assert float((two - one).abs().max()) == 2


def test_rows_and_columns_are_told_apart() -> None:
    x = torch.arange(8 * 4.0).view(1, 1, 8, 4)
    torch.testing.assert_close(
        nearest_aligned(x, 2)[0, 0], x[0, 0][aligned_indices(8, 2)][:, aligned_indices(4, 2)]
    )
