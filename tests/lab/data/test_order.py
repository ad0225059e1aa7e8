"""The order of a run: every photo as often as it should come, wherever one starts."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from freefill.lab.data.order import Order


@pytest.mark.parametrize("photos", [1, 7, 1000])
def test_every_photo_comes_once_an_epoch_and_epochs_differ(photos: int) -> None:
    order = Order(np.ones(photos), seed=3)
    assert order.length == photos
    epochs = [[order.at(e * photos + i) for i in range(photos)] for e in range(3)]
    assert all(sorted(epoch) == list(range(photos)) for epoch in epochs)
    if photos == 1000:
        assert epochs[0] != epochs[1] != epochs[2]
        assert epochs[0] != [Order(np.ones(photos), seed=4).at(i) for i in range(photos)]


def test_any_place_can_be_asked_for_first() -> None:
    whole = [Order(np.ones(10), 0).at(i) for i in range(40)]
    order = Order(np.ones(10), 0)
    assert [order.at(i) for i in (37, 4, 25, 12)] == [whole[i] for i in (37, 4, 25, 12)]


def test_weights_are_how_often_a_photo_comes() -> None:
    weights = np.array([3.0, 1.0, 0.0, 2.5, 0.5])
    order = Order(weights, seed=0)
    assert order.length == 7
    epochs = [Counter(order.at(e * 7 + i) for i in range(7)) for e in range(200)]
    for epoch in epochs:
        assert (epoch[0], epoch[1], epoch[2]) == (3, 1, 0)
        assert epoch[3] in (2, 3)
        assert epoch[4] in (0, 1)
    mean = sum(epoch[3] for epoch in epochs) / 200
    assert mean == pytest.approx(2.5, abs=0.15)
