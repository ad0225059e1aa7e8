"""Which of two mixtures of colours a pixel is likelier of: the colour models of GrabCut.

Rother, Kolmogorov, Blake, "GrabCut: Interactive Foreground Extraction using Iterated Graph Cuts"
(2004): five Gaussians each for object and background, every pixel counted to its likeliest one.
Here they are fitted to a few thousand pixels, which are chosen evenly and not at random: the same
picture gives the same mask.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]

GAUSSIANS = 5
ROUNDS = 8
MAX_SAMPLES = 4000
"""Pixels that a mixture is fitted to."""
NARROWEST = 0.025
"""Standard deviation that is added to every Gaussian: noise, and JPEG."""


class Mixture(NamedTuple):
    """Gaussians of colours."""

    share: Values
    """``(K,)``."""
    mean: Values
    """``(K, C)``."""
    whitening: Values
    """``(K, C, C)``: brings a difference from the mean to unit variance."""

    def log_density(self, colours: Values) -> Values:
        """Give the logarithm of the density of colours ``(N, C)``, that of the likeliest Gaussian.

        Returns:
            ``(N,)``.
        """
        best = np.full(len(colours), -np.inf, np.float32)
        for share, mean, whitening in zip(*self, strict=True):
            white = (colours - mean) @ whitening
            # The determinant of a triangular matrix is the product of its diagonal.
            height = np.log(share) + np.log(np.diagonal(whitening)).sum()
            np.maximum(best, height - 0.5 * (white * white).sum(1), out=best)
        return best


def fit(colours: Values) -> Mixture:
    """Fit a mixture.

    Args:
        colours: ``(N, C)``, at least one.

    Returns:
        The mixture; it has fewer Gaussians where there are fewer colours.
    """
    colours = colours[:: -(-len(colours) // MAX_SAMPLES)]
    means = _spread(colours)
    for _ in range(ROUNDS):
        nearest = _nearest(colours, means)
        counts = np.bincount(nearest, minlength=len(means))
        means = np.stack(
            [colours[nearest == k].mean(0) for k in range(len(means)) if counts[k]]
        ).astype(np.float32)
    nearest = _nearest(colours, means)
    kept = [k for k in range(len(means)) if (nearest == k).any()]
    groups = [colours[nearest == k] for k in kept]
    noise = np.eye(colours.shape[1]) * NARROWEST**2
    spreads = [np.cov(g.T, bias=True) if len(g) > 1 else 0 * noise for g in groups]
    whitenings = [np.linalg.cholesky(np.linalg.inv(spread + noise)) for spread in spreads]
    shares = np.array([len(group) / len(colours) for group in groups], np.float32)
    return Mixture(
        shares,
        np.stack([g.mean(0) for g in groups]).astype(np.float32),
        np.stack(whitenings).astype(np.float32),
    )


def _spread(colours: Values) -> Values:
    """Choose colours far apart: the mean, then again and again the one farthest from all."""
    chosen = [colours.mean(0)]
    apart = ((colours - chosen[0]) ** 2).sum(1)
    for _ in range(GAUSSIANS - 1):
        chosen.append(colours[int(apart.argmax())])
        apart = np.minimum(apart, ((colours - chosen[-1]) ** 2).sum(1))
    return np.stack(chosen).astype(np.float32)


def _nearest(colours: Values, means: Values) -> NDArray[np.int64]:
    apart = ((colours[:, None] - means[None]) ** 2).sum(2)
    nearest: NDArray[np.int64] = apart.argmin(1)
    return nearest
