"""L1, L2 and PSNR against scikit-image and against loops."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio

from freefill.lab.evaluation.metrics.pixel import l1, l2, psnr
from freefill.lab.evaluation.metrics.seam import seam
from freefill.lab.evaluation.metrics.ssim import ssim

METRICS = [l1, l2, psnr]
SIZES = [(1, 1), (7, 13), (64, 40)]
Metric = Callable[..., float]


def pair(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 256, (*size, 3), dtype=np.uint8) for _ in range(2))
    hole = rng.random(size) < 0.4
    hole[0, 0] = True
    return a, b, hole


@pytest.mark.parametrize("size", SIZES)
def test_whole_picture(size: tuple[int, int]) -> None:
    a, b, _ = pair(size)
    mse = mean_squared_error(a / 255, b / 255)
    assert l2(a, b) == pytest.approx(100 * mse, rel=1e-12)
    assert psnr(a, b) == pytest.approx(peak_signal_noise_ratio(b, a, data_range=255), rel=1e-12)
    differences = [abs(int(x) - int(y)) for x, y in zip(a.flat, b.flat, strict=True)]
    assert l1(a, b) == pytest.approx(100 * sum(differences) / len(differences) / 255, rel=1e-12)


@pytest.mark.parametrize("size", SIZES)
def test_hole(size: tuple[int, int]) -> None:
    a, b, hole = pair(size)
    off = [
        int(a[y, x, c]) - int(b[y, x, c])
        for y in range(size[0])
        for x in range(size[1])
        if hole[y, x]
        for c in range(3)
    ]
    absolute = sum(abs(d) for d in off) / len(off)
    squared = sum(d * d for d in off) / len(off)
    assert l1(a, b, hole) == pytest.approx(100 * absolute / 255, rel=1e-12)
    assert l2(a, b, hole) == pytest.approx(100 * squared / 255**2, rel=1e-12)
    assert psnr(a, b, hole) == pytest.approx(20 * math.log10(255 / math.sqrt(squared)), rel=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_only_the_hole_matters(metric: Metric) -> None:
    a, b, hole = pair((20, 20))
    elsewhere = np.where(hole[..., None], a, 255 - a)
    assert metric(a, b, hole) == metric(elsewhere, b, hole)
    assert metric(a, b) != metric(elsewhere, b)
    assert metric(a, b, np.ones_like(hole)) == pytest.approx(metric(a, b), rel=1e-12)


@pytest.mark.parametrize("metric", METRICS)
def test_symmetric(metric: Metric) -> None:
    a, b, hole = pair((20, 20))
    assert metric(a, b) == metric(b, a)
    assert metric(a, b, hole) == metric(b, a, hole)


def test_ends_of_the_range() -> None:
    black, white = np.zeros((16, 16, 3), np.uint8), np.full((16, 16, 3), 255, np.uint8)
    assert (l1(black, white), l2(black, white), psnr(black, white)) == (100, 100, 0)
    assert (l1(white, white), l2(white, white), psnr(white, white)) == (0, 0, 100)


def test_psnr_never_passes_its_cap() -> None:
    a = np.zeros((256, 256, 3), np.uint8)
    b = a.copy()
    b[0, 0, 0] = 1
    assert peak_signal_noise_ratio(a, b, data_range=255) > 100
    assert psnr(a, b) == 100
    b[:8] = 1
    assert psnr(a, b) == pytest.approx(peak_signal_noise_ratio(a, b, data_range=255))


@pytest.mark.parametrize("metric", [*METRICS, ssim, seam])
def test_refuses(metric: Metric) -> None:
    """What the shared checks refuse, by each metric that needs no network."""
    a, b, hole = pair((20, 24))
    name = metric.__name__
    with pytest.raises(ValueError, match=rf"{name} takes .*not \(20, 24, 3\) float64"):
        metric(a / 255, b, hole)
    with pytest.raises(ValueError, match=rf"{name} takes .*not \(20, 24, 4\)"):
        metric(a, np.zeros((20, 24, 4), np.uint8), hole)
    with pytest.raises(ValueError, match=rf"{name} takes .*not \(20, 24\)"):
        metric(a[..., 0], b, hole)
    with pytest.raises(ValueError, match=r"\(20, 24, 3\) but target is \(20, 23, 3\)"):
        metric(a, b[:, :-1], hole)
    with pytest.raises(
        ValueError, match=rf"{name} takes a hole of \(20, 24\) bool, not \(24, 20\)"
    ):
        metric(a, b, hole.T)
    with pytest.raises(ValueError, match=r"not \(20, 24\) uint8"):
        metric(a, b, hole.astype(np.uint8))


@pytest.mark.parametrize("metric", [*METRICS, ssim])
def test_refuses_an_empty_hole(metric: Metric) -> None:
    a, b, hole = pair((20, 24))
    with pytest.raises(ValueError, match="0 pixels"):
        metric(a, b, np.zeros_like(hole))


@pytest.mark.parametrize("metric", METRICS)
def test_refuses_a_picture_without_pixels(metric: Metric) -> None:
    nothing = np.zeros((0, 5, 3), np.uint8)
    with pytest.raises(ValueError, match="0 x 5"):
        metric(nothing, nothing)
