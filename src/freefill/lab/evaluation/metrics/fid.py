"""FID: the distance of two sets of pictures, for sets that are large enough.

"GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium" (Heusel et al.,
NIPS 2017): the Frechet distance of the Gaussians that have the mean and the covariance of the
Inception features. It differs in how the trace of the root of the product of the covariances is
computed: no root of a nearly singular matrix is taken, and nothing imaginary is thrown away.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from freefill.lab.evaluation.metrics.checks import check_features

MINIMUM = 5000


def fid(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Measure the distance of two sets.

    Args:
        a: Features ``(N, D)``, N at least 5000.
        b: Features ``(M, D)``, M at least 5000.

    Returns:
        The squared Frechet distance, 0 or more.

    Raises:
        ValueError: If the shapes are not ``(N, D)`` and ``(M, D)``, a value is not finite, or a
            set has fewer than 5000 rows: the estimate is biased upwards, the more the fewer
            there are, and a covariance of 2048 features has no full rank below 2049.

    Examples:
        >>> fid(np.zeros((100, 2048)), np.zeros((90, 2048)))
        Traceback (most recent call last):
        ...
        ValueError: fid needs 5000 pictures in each set, not 100 and 90: with few it is biased \
upwards by more than fills differ; use kid
    """
    check_features("fid", a, b)
    if min(len(a), len(b)) < MINIMUM:
        raise ValueError(
            f"fid needs {MINIMUM} pictures in each set, not {len(a)} and {len(b)}: with few it is "
            "biased upwards by more than fills differ; use kid"
        )
    return _frechet(a, b)


def _frechet(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    mean_a, root_a = _gaussian(a)
    mean_b, root_b = _gaussian(b)
    # With C = R'R, tr (C1 C2)^(1/2) is the sum of the singular values of R1 R2': the eigenvalues
    # of C1 C2 are those of (R1 R2')(R1 R2')'.
    cross = np.linalg.norm(root_a @ root_b.T, "nuc")
    distance = (
        np.square(mean_a - mean_b).sum() + np.square(root_a).sum() + np.square(root_b).sum()
    ) - 2 * cross
    return max(float(distance), 0.0)


def _gaussian(x: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the mean ``(D,)`` and a root R ``(min(N, D), D)`` of the covariance R'R (over N - 1).

    The triangular factor of the centred rows is such a root, and keeps the singular values to be
    found for 50 000 pictures as few as the features are.
    """
    values = x.astype(np.float64)
    mean = values.mean(0)
    root = np.linalg.qr((values - mean) / np.sqrt(len(values) - 1), mode="r")
    return mean, np.asarray(root)
