"""SSIM against scikit-image, and its map against the paper's sums written out."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from freefill.lab.evaluation.metrics.ssim import ssim


def theirs(a: np.ndarray, b: np.ndarray) -> tuple[float, np.ndarray]:
    mean, found = structural_similarity(
        a,
        b,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
        channel_axis=-1,
        full=True,
    )
    return float(mean), found


def at(a: np.ndarray, b: np.ndarray, row: int, column: int, channel: int) -> float:
    """Equations 13 to 16 of the paper at one pixel, on pictures mirrored at their border."""
    x, y = (
        np.pad(p[..., channel].astype(float), 5, "symmetric")[row : row + 11, column : column + 11]
        for p in (a, b)
    )
    taps = np.exp(-np.square(np.arange(-5, 6)) / (2 * 1.5**2))
    weight = np.outer(taps, taps) / taps.sum() ** 2
    mean_x, mean_y = (weight * x).sum(), (weight * y).sum()
    variance_x = (weight * (x - mean_x) ** 2).sum()
    variance_y = (weight * (y - mean_y) ** 2).sum()
    covariance = (weight * (x - mean_x) * (y - mean_y)).sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return float(
        (2 * mean_x * mean_y + c1)
        * (2 * covariance + c2)
        / ((mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2))
    )


def damaged(photo: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 20, photo.shape)
    return np.clip(photo + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("size", [(11, 11), (12, 31), (96, 120)])
def test_whole_picture(photo: np.ndarray, size: tuple[int, int]) -> None:
    a = photo[: size[0], : size[1]]
    b = damaged(a)
    # 1e-9 and not less: variances are differences of numbers of some 10^4.
    assert ssim(a, b) == pytest.approx(theirs(a, b)[0], abs=1e-9)


def test_noise() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 256, (2, 40, 33, 3), dtype=np.uint8)
    assert ssim(a, b) == pytest.approx(theirs(a, b)[0], abs=1e-9)


def test_hole(photo: np.ndarray, hole: np.ndarray) -> None:
    """The hole's pixels, and those of a hole that touches the border, of which none is cropped."""
    b = damaged(photo)
    corner = np.zeros_like(hole)
    corner[:3, :4] = corner[-2:, 60:] = True
    for mask in (hole, corner):
        assert ssim(photo, b, mask) == pytest.approx(theirs(photo, b)[1][mask].mean(), abs=1e-9)
    small = [(0, 0), (3, 119), (95, 60)]
    few = np.zeros_like(hole)
    for row, column in small:
        few[row, column] = True
    expected = np.mean([at(photo, b, r, c, k) for r, c in small for k in range(3)])
    assert ssim(photo, b, few) == pytest.approx(expected, abs=1e-9)


def test_far_pixels_do_not_matter_to_the_hole(photo: np.ndarray) -> None:
    hole = np.zeros(photo.shape[:2], bool)
    hole[40:50, 40:50] = True
    b = damaged(photo)
    far, near = b.copy(), b.copy()
    far[:35], far[55:], far[:, :35], far[:, 55:] = 0, 0, 0, 0
    near[35, 45] = 0
    assert ssim(photo, far, hole) == pytest.approx(ssim(photo, b, hole), abs=1e-9)
    assert ssim(photo, near, hole) != pytest.approx(ssim(photo, b, hole), abs=1e-9)


def test_properties(photo: np.ndarray, hole: np.ndarray) -> None:
    b = damaged(photo)
    assert ssim(photo, photo) == ssim(photo, photo, hole) == 1
    assert ssim(photo, b) == pytest.approx(ssim(b, photo), abs=1e-12)
    assert ssim(photo, b) < 0.95


def test_refuses_what_is_smaller_than_the_window() -> None:
    small = np.zeros((40, 10, 3), np.uint8)
    with pytest.raises(ValueError, match="ssim needs 11 pixels a side, not 40 x 10"):
        ssim(small, small)
