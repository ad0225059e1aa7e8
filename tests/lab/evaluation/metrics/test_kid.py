"""KID against its definition, written as a double loop, and the jackknife by real deletion."""

from __future__ import annotations

import numpy as np
import pytest

from freefill.lab.evaluation.metrics import kid as module
from freefill.lab.evaluation.metrics.kid import kid


def kernel(x: np.ndarray, y: np.ndarray) -> float:
    return float((sum(p * q for p, q in zip(x, y, strict=True)) / len(x) + 1) ** 3)


def literal(a: np.ndarray, b: np.ndarray) -> float:
    n, total = len(a), 0.0
    for i in range(n):
        for j in range(n):
            if i != j:
                total += kernel(a[i], a[j]) + kernel(b[i], b[j])
                total -= kernel(a[i], b[j]) + kernel(b[i], a[j])
    return total / (n * (n - 1))


def sets(n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n)
    a = rng.normal(0.3, 1, (n, d))
    return a, a + rng.normal(0.1, 0.5, (n, d))


@pytest.mark.parametrize(("n", "d"), [(3, 1), (4, 5), (12, 7), (30, 3)])
def test_matches_literal(n: int, d: int) -> None:
    a, b = sets(n, d)
    assert kid(a, b).value == pytest.approx(literal(a, b), rel=1e-9)


@pytest.mark.parametrize("n", [3, 9, 20])
def test_interval_is_that_of_deletion(n: int) -> None:
    a, b = sets(n, 4)
    without = np.array([literal(np.delete(a, i, 0), np.delete(b, i, 0)) for i in range(n)])
    error = np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum())
    found = kid(a, b)
    # 97.5 % of a normal distribution lie below 1.959964.
    assert found.high - found.value == pytest.approx(1.959964 * error, rel=1e-6)
    assert found.value - found.low == pytest.approx(1.959964 * error, rel=1e-6)


@pytest.mark.parametrize("block", [1, 7, 20])
def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    a, b = sets(20, 5)
    whole = kid(a, b)
    monkeypatch.setattr(module, "BLOCK", block)
    assert kid(a, b) == pytest.approx(whole, rel=1e-9)


def test_closed_form() -> None:
    """Two values, repeated: all kernels between sets are one number each."""
    a, b = np.full((5, 2), 1.0), np.full((5, 2), 2.0)
    expected = (1 + 1) ** 3 + (4 + 1) ** 3 - 2 * (2 + 1) ** 3
    assert kid(a, b) == pytest.approx((expected, expected, expected))


def test_no_bias_for_pairs() -> None:
    """Pairs that are nearly equal: the mean over many small samples is the true value, 0.

    With the pairs (i, i) in the cross term it would be 2 (E k(x, x') - E k(x, x)) / n, about -3.
    """
    rng = np.random.default_rng(0)
    values = []
    for _ in range(2000):
        a, noise = rng.normal(size=(2, 5, 4))
        values.append(kid(a + 0.1 * noise, a - 0.1 * noise).value)
    assert abs(np.mean(values)) < 3 * np.std(values) / len(values) ** 0.5
    assert np.std(values) / len(values) ** 0.5 < 0.05


def test_properties() -> None:
    a, b = sets(40, 6)
    assert kid(a, a) == pytest.approx((0, 0, 0), abs=1e-12)
    assert kid(a, b) == pytest.approx(kid(b, a), rel=1e-9)
    order = np.random.default_rng(0).permutation(40)
    assert kid(a[order], b[order]) == pytest.approx(kid(a, b), rel=1e-9)
    assert kid(a, b + 2).low > kid(a, b).high


def test_float32_features_are_computed_in_float64() -> None:
    a, b = (x.astype(np.float32) for x in sets(20, 6))
    assert kid(a, b) == kid(a.astype(np.float64), b.astype(np.float64))


def test_refuses() -> None:
    a, b = sets(5, 4)
    with pytest.raises(ValueError, match="3 at least, not 2 rows and 2"):
        kid(a[:2], b[:2])
    with pytest.raises(ValueError, match="not 5 rows and 4"):
        kid(a, b[:4])
    with pytest.raises(ValueError, match=r"not \(5, 4\) and \(5, 3\)"):
        kid(a, b[:, :3])
    with pytest.raises(ValueError, match=r"not \(4,\)"):
        kid(a[0], b[0])
    b[2, 1] = np.nan
    with pytest.raises(ValueError, match="1 features are not finite"):
        kid(a, b)
