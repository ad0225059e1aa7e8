"""FID against the formula with scipy's matrix root, and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm

from freefill.lab.evaluation.metrics import fid as module
from freefill.lab.evaluation.metrics.fid import MINIMUM, _frechet, fid


def literal(a: np.ndarray, b: np.ndarray) -> float:
    c1, c2 = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = sqrtm(c1 @ c2)
    mean = ((a.mean(0) - b.mean(0)) ** 2).sum()
    return float(mean + np.trace(c1) + np.trace(c2) - 2 * np.trace(root).real)


def sets(n: int, m: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n)
    mix_a, mix_b = rng.normal(size=(2, d, d))
    return rng.normal(size=(n, d)) @ mix_a, rng.normal(0.5, 1, (m, d)) @ mix_b


@pytest.mark.parametrize(("n", "m", "d"), [(20, 20, 2), (50, 300, 6), (1000, 40, 16)])
def test_matches_matrix_root(n: int, m: int, d: int) -> None:
    a, b = sets(n, m, d)
    assert _frechet(a, b) == pytest.approx(literal(a, b), rel=1e-9)


def test_fewer_rows_than_features() -> None:
    """Singular covariances, whose product's root is taken from its eigenvalues here."""
    a, b = sets(5, 8, 12)
    c1, c2 = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    eigenvalues = np.sort(np.linalg.eigvals(c1 @ c2).real)[-4:]
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(c1) + np.trace(c2)
    expected -= 2 * np.sqrt(eigenvalues).sum()
    assert _frechet(a, b) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("n", [10, 100, 1000])
def test_closed_forms(n: int) -> None:
    a, _ = sets(n, n, 8)
    assert _frechet(a, a + np.arange(8)) == pytest.approx((np.arange(8) ** 2).sum(), rel=1e-9)
    # (1 - s)^2 tr C where the one is the other stretched about its mean
    stretched = 3 * (a - a.mean(0)) + a.mean(0)
    assert _frechet(stretched, a) == pytest.approx(4 * np.cov(a, rowvar=False).trace(), rel=1e-9)


def test_itself_and_symmetry() -> None:
    a, b = sets(100, 200, 32)
    order = np.random.default_rng(0).permutation(100)
    assert 0 <= _frechet(a, a) < 1e-6
    assert 0 <= _frechet(a, a[order]) < 1e-6
    assert _frechet(a, b) == pytest.approx(_frechet(b, a), rel=1e-12)
    # Rounding goes either way; a distance does not.
    for seed in range(20):
        some = np.random.default_rng(seed).normal(size=(20, 4))
        assert 0 <= _frechet(some, some) < 1e-6
    few = np.random.default_rng(0).normal(size=(64, 2048)).astype(np.float32)
    assert 0 <= _frechet(few, few) < 1e-6


def test_refuses_few_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = sets(MINIMUM, MINIMUM, 4)
    assert MINIMUM == 5000
    assert fid(a, b) == pytest.approx(literal(a, b), rel=1e-9)
    with pytest.raises(ValueError, match="5000 pictures in each set, not 4999 and 5000: "):
        fid(a[1:], b)
    with pytest.raises(ValueError, match="not 5000 and 4999"):
        fid(a, b[1:])
    monkeypatch.setattr(module, "MINIMUM", 10)
    assert fid(a[:10], b[:10]) >= 0
    with pytest.raises(ValueError, match=r"not \(10, 4\) and \(10, 3\)"):
        fid(a[:10], b[:10, :3])
    a[3, 2] = np.inf
    with pytest.raises(ValueError, match="1 features are not finite"):
        fid(a[:10], b[:10])
