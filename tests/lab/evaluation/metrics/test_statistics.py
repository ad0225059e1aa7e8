"""Intervals and tests against loops, tables, and how often they are right."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import binom

from freefill.lab.evaluation.metrics import statistics
from freefill.lab.evaluation.metrics.statistics import bootstrap_interval, paired


def test_bootstrap_is_that_of_all_resamples() -> None:
    """Of four values all 256 resamples can be had; 10 000 drawn ones come near to these."""
    values = [0.0, 1.0, 5.0, 20.0]
    means = [sum(s) / 4 for s in itertools.product(values, repeat=4)]
    exact = np.percentile(means, [2.5, 97.5])
    assert bootstrap_interval(values) == pytest.approx(exact, abs=0.5)


def test_bootstrap_of_shares_is_binomial() -> None:
    values = np.arange(200) < 60
    low, high = bootstrap_interval(values.astype(float))
    # one of the 200 more or less: the percentile's own noise at 10 000 resamples
    assert low == pytest.approx(binom.ppf(0.025, 200, 0.3) / 200, abs=0.0051)
    assert high == pytest.approx(binom.ppf(0.975, 200, 0.3) / 200, abs=0.0051)


def test_bootstrap_covers_the_mean() -> None:
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(300):
        low, high = bootstrap_interval(rng.normal(5, 2, 60), resamples=500)
        inside += low <= 5 <= high
    # 95 %, less a little by theory at 60 values; three standard errors of 300 trials
    assert 0.90 <= inside / 300 <= 0.98


def test_bootstrap_is_repeatable_and_follows_its_seed() -> None:
    values = np.random.default_rng(0).random(50)
    assert bootstrap_interval(values) == bootstrap_interval(list(values))
    assert bootstrap_interval(values) != bootstrap_interval(values, seed=1)
    assert bootstrap_interval(values) == bootstrap_interval(values, 10_000)
    assert bootstrap_interval(values) != bootstrap_interval(values, 5_000)
    assert bootstrap_interval([3.0]) == (3, 3)


def test_bootstrap_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces draw as many resamples in all, the last piece being smaller, and one at the least."""
    values = np.random.default_rng(0).random(30)
    whole = bootstrap_interval(values, 1000)
    for at_once in (30 * 300, 1):
        monkeypatch.setattr(statistics, "DRAWS_AT_ONCE", at_once)
        assert bootstrap_interval(values, 1000) == pytest.approx(whole, rel=1e-12)


def signed_rank(differences: list[float]) -> float:
    """The exact two-sided p value: all signs of the ranks are as likely."""
    ranks = np.abs(differences).argsort().argsort() + 1
    total = ranks.sum()
    found = ranks[np.array(differences) > 0].sum()
    extreme = abs(found - total / 2)
    counts = [
        abs(ranks[np.array(signs)].sum() - total / 2) >= extreme
        for signs in itertools.product([False, True], repeat=len(ranks))
    ]
    return float(np.mean(counts))


@pytest.mark.parametrize(
    "differences", [[1.0, 2, 3, 4, 5], [1.0, -2, 3, 4, 5, 6.5], [-1.0, 2, -3, 4, -5, 6, -7]]
)
def test_paired(differences: list[float]) -> None:
    ours = np.random.default_rng(0).random(len(differences)) * 1e-9
    found = paired(ours, ours + differences)
    assert found.p == pytest.approx(signed_rank(differences))
    assert found.difference == pytest.approx(np.mean(differences))
    assert (found.low, found.high) == pytest.approx(bootstrap_interval(differences), abs=1e-6)


def test_paired_turned_round() -> None:
    rng = np.random.default_rng(0)
    ours = rng.random(100)
    theirs = ours + rng.normal(0.1, 0.2, 100)
    one, other = paired(ours, theirs), paired(theirs, ours)
    assert one.low > 0
    assert one.p < 0.001
    assert other.difference == -one.difference
    assert other.p == one.p
    assert other.high < 0


@pytest.mark.parametrize("n", [1, 2, 60])
def test_no_difference(n: int) -> None:
    values = np.random.default_rng(0).random(n)
    assert paired(values, values) == (0, 0, 0, 1)


def test_one_photo_proves_nothing() -> None:
    assert paired([1.0], [3.0]) == (2, 2, 2, 1)


def test_refuses() -> None:
    with pytest.raises(ValueError, match="1 of 3 values are not finite"):
        bootstrap_interval([1.0, float("nan"), 2.0])
    with pytest.raises(ValueError, match=r"shape \(0,\)"):
        bootstrap_interval([])
    with pytest.raises(ValueError, match=r"shape \(2, 2\)"):
        bootstrap_interval(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="ours has 3 values but theirs has 2"):
        paired([1.0, 2.0, 3.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="not finite"):
        paired([1.0, 2.0], [1.0, float("inf")])
