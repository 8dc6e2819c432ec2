from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from routebench.evaluate.stats import adjust, agresti_min, max_t, mcnemar_mid_p, mean_interval, paired

RNG = np.random.default_rng(1)


def ids(n: int) -> np.ndarray:
    return np.array([f"c{number:04}" for number in range(n)])


def test_paired_t_agrees_with_scipy() -> None:
    first, second = RNG.random(60), RNG.random(60)
    found = paired(first, second, ids(60), np.ones(60))
    known = scipy_stats.ttest_rel(first, second)
    assert found.delta == pytest.approx(np.mean(first - second))
    assert found.p_value == pytest.approx(known.pvalue)
    assert found.ci95 == pytest.approx(tuple(known.confidence_interval(0.95)))
    assert found.method == "t"


def test_clusters_that_repeat_their_rows_do_not_add_certainty() -> None:
    first, second = RNG.random(30), RNG.random(30)
    once = paired(first, second, ids(30), np.ones(30))
    twice = paired(np.repeat(first, 4), np.repeat(second, 4), np.repeat(ids(30), 4), np.ones(120))
    assert twice.ci95 == pytest.approx(once.ci95)
    assert twice.method == "cluster-robust t"


def test_weights_stand_for_requests() -> None:
    found = paired(np.array([1.0, 0.0] * 20), np.zeros(40), ids(40), np.array([3.0, 1.0] * 20))
    assert found.delta == pytest.approx(0.75)


def test_binary_scores_use_agresti_min_and_mid_p() -> None:
    first = np.array([1.0] * 15 + [0.0] * 5 + [1.0] * 80)
    second = np.array([0.0] * 15 + [1.0] * 5 + [1.0] * 80)
    found = paired(first, second, ids(100), np.ones(100))
    # By hand: (15.5 - 5.5) / 102 +- 1.96 * sqrt(21 - 100 / 102) / 102.
    assert found.ci95 == pytest.approx((0.098039 - 0.085959, 0.098039 + 0.085959), abs=1e-4)
    assert found.p_value == pytest.approx(2 * scipy_stats.binom.cdf(5, 20, 0.5) - scipy_stats.binom.pmf(5, 20, 0.5))
    assert found.verdict(0.01) == "better"


def test_mid_p_of_a_tie_and_its_symmetry() -> None:
    assert mcnemar_mid_p(6, 6) == pytest.approx(1 - scipy_stats.binom.pmf(6, 12, 0.5) / 2)
    assert mcnemar_mid_p(3, 12) == mcnemar_mid_p(12, 3)
    low, high = agresti_min(3, 12, 50)
    assert agresti_min(12, 3, 50) == pytest.approx((-high, -low))


def test_few_pairs_that_differ_give_a_word_and_no_interval() -> None:
    found = paired(np.array([1.0] * 9 + [0.0] * 91), np.zeros(100), ids(100), np.ones(100))
    assert (found.ci95, found.p_value, found.verdict(0.01)) == (None, None, "too_few")
    assert found.delta == pytest.approx(0.09)


def test_verdicts() -> None:
    n = 4000
    base = (RNG.random(n) < 0.5).astype(float)
    flips = RNG.permutation(n)
    worse = base.copy()
    worse[flips[:400]] = 0
    assert paired(worse, base, ids(n), np.ones(n)).verdict(0.01) == "worse"
    near = base.copy()
    near[flips[:20]] = 1 - near[flips[:20]]
    assert paired(near, base, ids(n), np.ones(n)).verdict(0.01) == "no_worse"
    few = paired((RNG.random(60) < 0.5).astype(float), (RNG.random(60) < 0.5).astype(float), ids(60), np.ones(60))
    assert few.verdict(0.01) in {"cannot_tell", "better", "worse"}


def test_holm_is_monotone_and_leaves_out_what_has_no_p() -> None:
    first = [paired(RNG.random(40) + shift, RNG.random(40), ids(40), np.ones(40)) for shift in (0.5, 0.2, 0.15)]
    none = paired(np.zeros(40), np.zeros(40), ids(40), np.ones(40))
    adjusted = adjust([*first, none])
    smallest = min(one.p_value or 1 for one in first)
    assert min(one.p_adjusted or 1 for one in adjusted[:3]) == pytest.approx(min(1, 3 * smallest))
    assert all((a.p_adjusted or 0) >= (b.p_value or 0) for a, b in zip(adjusted, first, strict=False))
    assert adjusted[3].p_adjusted is None


def test_intervals_of_a_mean() -> None:
    wilson = mean_interval(np.array([1.0] * 9 + [0.0]), ids(10), np.ones(10))
    assert wilson is not None
    assert wilson.method == "Wilson"
    assert wilson.ci95 == pytest.approx((0.5958, 0.9821), abs=1e-3)
    values = RNG.random(30)
    t = mean_interval(np.append(values, np.nan), ids(31), np.ones(31))
    known = scipy_stats.t.interval(0.95, 29, values.mean(), scipy_stats.sem(values))
    assert t is not None
    assert t.ci95 == pytest.approx(known)
    assert mean_interval(np.array([np.nan]), ids(1), np.ones(1)) is None


def test_max_t_lies_between_one_comparison_and_bonferroni() -> None:
    gaps = RNG.normal(size=(300, 8))
    assert 2.4 < max_t(gaps, ids(300)) < 2.9
    same = np.repeat(gaps[:, :1], 8, axis=1)
    assert max_t(same, ids(300)) == pytest.approx(1.96, abs=0.1)


def test_the_t_interval_covers_what_it_says() -> None:
    rng = np.random.default_rng(7)
    held = 0
    for _ in range(600):
        first, second = rng.beta(2, 2, 50), rng.beta(2, 2, 50)
        low, high = paired(first, second, ids(50), np.ones(50)).ci95 or (1, -1)
        held += low <= 0 <= high
    assert 0.92 < held / 600 < 0.975
