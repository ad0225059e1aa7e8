"""KID: the distance of two sets of pictures, unbiased however few they are.

"Demystifying MMD GANs" (Binkowski et al., ICLR 2018): the squared maximum mean discrepancy of
Inception features under a polynomial kernel. It differs from the usual program in one point. There
the two sets are independent and the cross term averages over all pairs. Here row i of both sets
comes from one photo, filled and true: the n pairs (i, i) are far more alike than any others and
would pull the value below zero by about 1/n. They are left out, which makes the estimate unbiased
for pairs (the U-statistic of Gretton et al., JMLR 2012, lemma 6, equation 4), and 0 for a set with
itself. All n rows are used at once, not random subsets of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from freefill.lab.evaluation.metrics.checks import check_features

Z95 = 1.959963984540054
BLOCK = 1024
FEWEST = 3
"""Pairs without which there is no estimate."""


class Kid(NamedTuple):
    """The distance and its 95 % interval."""

    value: float
    low: float
    high: float


def kid(a: NDArray[np.floating], b: NDArray[np.floating]) -> Kid:
    """Measure the distance of two sets whose rows are pairs.

    The kernel is ``(x . y / D + 1) ** 3``; all is computed in float64, in O(n^2 D).

    Args:
        a: Features ``(n, D)``, n at least 3.
        b: Features ``(n, D)``; row i is of the same photo as row i of ``a``.

    Returns:
        The estimate of the squared discrepancy, which may be below 0, and the interval of 1.96
        standard errors on either side. The standard error is the jackknife's that deletes one
        photo (row i of both) at a time.

    Raises:
        ValueError: If the shapes differ or are not ``(n, D)``, n is below 3, or a value is not
            finite.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> a, b = rng.normal(size=(50, 8)), rng.normal(1, 1, size=(50, 8))
        >>> abs(kid(a, a).value) < 1e-12, kid(a, b).low > 0
        (True, True)
    """
    check_features("kid", a, b)
    n = len(a)
    if len(b) != n or n < FEWEST:
        raise ValueError(f"kid takes pairs, {FEWEST} at least, not {n} rows and {len(b)}")
    x, y = a.astype(np.float64), b.astype(np.float64)
    sums = np.empty(n)
    for start in range(0, n, BLOCK):
        rows = slice(start, start + BLOCK)
        # h[i, j] compares photo i with photo j; a photo is not compared with itself.
        h = _kernel(x[rows], x) + _kernel(y[rows], y) - _kernel(x[rows], y) - _kernel(y[rows], x)
        np.fill_diagonal(h[:, start:], 0)
        sums[rows] = h.sum(1)
    value = sums.sum() / (n * (n - 1))
    # Without photo i, its row and its column are missing from the sum; h is symmetric.
    without = (sums.sum() - 2 * sums) / ((n - 1) * (n - 2))
    error = np.sqrt((n - 1) / n * np.square(without - without.mean()).sum())
    return Kid(float(value), float(value - Z95 * error), float(value + Z95 * error))


def _kernel(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = (x @ y.T / x.shape[1] + 1) ** 3
    return found
