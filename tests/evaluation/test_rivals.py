"""Rivals: they fill, they keep what is known, and they do not look into the hole."""

from __future__ import annotations

import numpy as np

from freefill.evaluation.rivals import telea


def test_telea(photo: np.ndarray) -> None:
    hole = np.zeros(photo.shape[:2], bool)
    hole[20:40, 20:50] = True
    before = photo.copy()
    filled = telea(photo, hole)
    np.testing.assert_array_equal(filled[~hole], photo[~hole])
    np.testing.assert_array_equal(photo, before)
    blanked = np.where(hole[..., None], 255 - photo, photo)
    np.testing.assert_array_equal(telea(blanked, hole), filled)
    assert (
        np.abs(filled[hole].astype(float) - photo[hole]).mean()
        < np.abs(photo[hole].astype(float)).mean()
    )
