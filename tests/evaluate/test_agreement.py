"""Estimates and tests held against other implementations of the same: SciPy, statsmodels, and equations solved anew."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from routebench.evaluate.estimates import ScoreDifference, Studentised, mean_estimate
from routebench.evaluate.intervals import mean_interval, ratio_interval
from routebench.evaluate.paired import holm, paired

EXACT = {"rel": 1e-9, "abs": 1e-12}
STEADY = settings(derandomize=True, database=None, deadline=None, max_examples=60)


def alone(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Every case its own cluster, all of one weight."""
    return np.array([f"c{number}" for number in range(n)]), np.ones(n)


def scores(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Continuous scores of two strategies; their differences are not skewed."""
    rng = np.random.default_rng(seed)
    second = rng.random(n)
    gaps = rng.normal(scale=0.1, size=n // 2)
    return second + 0.01 + np.concatenate([gaps, -gaps]), second


@pytest.mark.parametrize("n", [20, 200])
def test_a_paired_t_is_scipys(n: int) -> None:
    first, second = scores(n)
    found, theirs = paired(first, second, *alone(n)), scipy.stats.ttest_rel(first, second)
    assert found.method == "t"
    assert found.p_value == pytest.approx(theirs.pvalue, **EXACT)
    assert found.ci95 == pytest.approx(tuple(theirs.confidence_interval(0.95)), **EXACT)


@pytest.mark.parametrize("margin", [0.0, 0.01, 0.05])
def test_no_worse_is_a_one_sided_t(margin: float) -> None:
    first, second = scores(60)
    theirs = scipy.stats.ttest_1samp(first - second, -margin, alternative="greater")
    found = paired(first, second, *alone(60), margin=margin)
    assert found.p_noninferior == pytest.approx(theirs.pvalue, **EXACT)


def test_halls_transformation_stays_out_of_values_without_skewness_and_enters_with_it() -> None:
    rng = np.random.default_rng(3)
    costs = rng.lognormal(sigma=1, size=60)
    found = mean_estimate(costs, *alone(60))
    assert found is not None
    assert "Hall" in found.method
    # The skewness of the influences over the root of n is the sample's own.
    assert found.skewness == pytest.approx(scipy.stats.skew(costs) / np.sqrt(60), **EXACT)
    # Right-skewed values: the interval reaches farther up than down, unlike t.
    low, high = found.interval()
    assert high - found.value > 1.2 * (found.value - low)


@STEADY
@given(
    wins=st.integers(0, 60),
    losses=st.integers(0, 60),
    same=st.integers(0, 300),
    null=st.sampled_from([0.0, -0.01, 0.1]),
)
def test_mcnemar_and_the_score_statistic_are_what_the_likelihood_gives(
    wins: int, losses: int, same: int, null: float
) -> None:
    if wins + losses < 1:
        return
    found = ScoreDifference(wins, losses, wins + losses + same)
    if null == 0.0:
        theirs = mcnemar([[same, wins], [losses, 0]], exact=False, correction=False)
        assert found.p_value() == pytest.approx(theirs.pvalue, **EXACT)
    else:
        expected = scipy.stats.norm.sf(score_statistic(wins, losses, found.n, null))
        assert found.p_above(null) == pytest.approx(expected, rel=1e-4, abs=1e-9)


def score_statistic(wins: int, losses: int, n: int, null: float) -> float:
    """Tango's statistic with the nuisance share found by maximising the likelihood of (win, loss, same)."""

    def minus_log_likelihood(loss: float) -> float:
        shares = np.array([loss + null, loss, 1 - 2 * loss - null])
        return -float(scipy.special.xlogy([wins, losses, n - wins - losses], np.maximum(shares, 1e-300)).sum())

    bounds = (max(0.0, -null), (1 - null) / 2)
    best = scipy.optimize.minimize_scalar(
        minus_log_likelihood, bounds=bounds, method="bounded", options={"xatol": 1e-12}
    )
    loss = min([best.x, *bounds], key=minus_log_likelihood)
    variance = (2 * loss + null - null**2) / n
    return ((wins - losses) / n - null) / np.sqrt(variance)


@pytest.mark.parametrize(("wins", "losses", "n"), [(9, 5, 50), (0, 12, 200), (40, 1, 100), (300, 250, 1000)])
def test_tangos_interval_ends_where_the_score_equation_says(wins: int, losses: int, n: int) -> None:
    reach, value = scipy.stats.norm.ppf(0.975), (wins - losses) / n

    def end(low: float, high: float, target: float) -> float:
        return float(
            scipy.optimize.brentq(lambda null: score_statistic(wins, losses, n, null) - target, low, high, xtol=1e-12)
        )

    ends = end(-0.9, value, reach), end(value, 0.9, -reach)
    assert ScoreDifference(wins, losses, n).interval() == pytest.approx(ends, abs=1e-6)


def test_equal_clusters_are_those_of_a_regression_on_a_constant() -> None:
    # CR2 of a mean over G clusters of one size is CR1 without its factor (n - 1) / (n - k), which is 1 for k = 1:
    # sum of squared cluster sums * G / (G - 1) / n^2. So the two agree with factor 1.
    rng = np.random.default_rng(1)
    cluster = np.repeat(np.arange(12), 5)
    gaps = np.tile([0.1, -0.1], 30) + rng.normal(scale=0.2, size=12)[cluster] + rng.normal(scale=0.1, size=60)
    theirs = OLS(gaps, np.ones(60)).fit(cov_type="cluster", cov_kwds={"groups": cluster}, use_t=True)
    found = mean_estimate(gaps, cluster.astype(str), np.ones(60))
    assert found is not None
    plain = Studentised(found.value, found.error, found.freedom)
    assert found.freedom == pytest.approx(11)
    assert found.error == pytest.approx(theirs.bse[0], **EXACT)
    assert plain.p_value() == pytest.approx(theirs.pvalues[0], **EXACT)
    assert plain.interval() == pytest.approx(tuple(theirs.conf_int()[0]), **EXACT)


def test_unequal_clusters_get_the_square_root_of_bell_and_mccaffrey() -> None:
    rng = np.random.default_rng(2)
    cluster = np.repeat(np.arange(8), [1, 2, 3, 4, 5, 6, 9, 10])
    n = len(cluster)
    values = rng.normal(size=8)[cluster] + rng.normal(size=n)
    residual, hat = values - values.mean(), np.full((n, n), 1 / n)
    variance = 0.0
    for one in range(8):
        at = np.flatnonzero(cluster == one)
        adjustment = scipy.linalg.fractional_matrix_power(np.eye(len(at)) - hat[np.ix_(at, at)], -0.5)
        variance += (adjustment @ residual[at]).sum() ** 2 / n**2
    found = mean_estimate(values, cluster.astype(str), np.ones(n))
    assert found is not None
    assert found.error == pytest.approx(np.sqrt(variance), **EXACT)


def test_weights_of_a_mean_are_those_of_repeated_cases_in_its_value_and_widen_it() -> None:
    rng = np.random.default_rng(5)
    values, weight = rng.normal(size=50), np.repeat([1.0, 3.0], 25)
    found, plain = mean_estimate(values, alone(50)[0], weight), mean_estimate(values, *alone(50))
    assert found is not None
    assert plain is not None
    assert found.value == pytest.approx(np.repeat(values, weight.astype(int)).mean(), **EXACT)
    assert found.freedom < plain.freedom


@pytest.mark.parametrize(("right", "n"), [(0, 40), (7, 40), (990, 1000)])
def test_a_share_has_wilsons_interval(right: int, n: int) -> None:
    values = np.concatenate([np.ones(right), np.zeros(n - right)])
    found = mean_interval(values, *alone(n), share=True)
    assert found is not None
    assert found.method == "Wilson"
    assert found.ci95 == pytest.approx(proportion_confint(right, n, method="wilson"), **EXACT)


def test_a_ratio_of_costs_has_the_error_that_a_regression_through_the_origin_gives_it() -> None:
    # Instrumental-variable form of the ratio estimator: residuals (y - r x) / mean(x), mean 0 by construction.
    rng = np.random.default_rng(6)
    base = 1 + rng.random(80)
    own = base * 0.6 + rng.normal(scale=0.05, size=80)
    found = ratio_interval(own, base, *alone(80))
    assert found is not None
    residual = (own - own.mean() / base.mean() * base) / base.mean()
    reach = scipy.stats.t.ppf(0.975, 79) * scipy.stats.sem(residual)
    assert found.mean == pytest.approx(own.mean() / base.mean() - 1, **EXACT)
    assert found.ci95 == pytest.approx((found.mean - reach, found.mean + reach), **EXACT)


@settings(STEADY, max_examples=12)
@given(st.lists(st.integers(0, 1000), min_size=1, max_size=12))
def test_holm_is_that_of_statsmodels(thousandths: list[int]) -> None:
    p_values = [one / 1000 for one in thousandths]
    assert holm(p_values) == pytest.approx(list(multipletests(p_values, method="holm")[1]), **EXACT)


def test_what_has_no_p_value_takes_no_part_in_holm() -> None:
    assert holm([0.01, None, 0.04]) == [0.02, None, 0.04]


@STEADY
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.01, 0.05, 0.2]), st.booleans())
def test_an_interval_ends_where_the_test_of_its_level_turns(seed: int, alpha: float, binary: bool) -> None:
    rng = np.random.default_rng(seed)
    if binary:
        n = int(rng.integers(20, 300))
        differing = int(rng.integers(1, n))
        wins = int(rng.integers(0, differing + 1))
        estimate: ScoreDifference | Studentised | None = ScoreDifference(wins, differing - wins, n)
    else:
        estimate = mean_estimate(rng.lognormal(sigma=0.8, size=40), *alone(40))
    assert estimate is not None
    low, high = estimate.interval(alpha)
    assert low <= estimate.value <= high
    for end in (low, high):
        # At the ends of the scale the statistic does not reach the level.
        if -1 < end < 1 or not binary:
            assert estimate.p_value(end) == pytest.approx(alpha, rel=1e-4)
    assert estimate.p_above(low) == pytest.approx(alpha / 2, rel=1e-4) or low == -1


def test_few_differing_pairs_get_no_interval_and_no_number_in_its_place() -> None:
    first = np.ones(50)
    first[:4] = 0
    found = paired(first, np.ones(50), *alone(50))
    assert found.estimate is None
    assert found.ci95 is None
    assert found.p_value is None
    assert found.verdict == "too_few"
    # Four losses in 50: P(at most 4 | 50, margin) bounds how surely less than the margin is lost.
    wide = paired(first, np.ones(50), *alone(50), margin=0.25)
    assert wide.p_noninferior == pytest.approx(scipy.stats.binom.cdf(4, 50, 0.25), **EXACT)
    assert wide.verdict == "no_worse"


def test_clusters_in_which_nothing_differs_lend_no_degrees_of_freedom() -> None:
    # Twelve of forty clusters differ: the error is that of all forty, the reach that of eleven degrees of freedom.
    rng = np.random.default_rng(12)
    cluster = np.repeat(np.arange(40), 5)
    gaps = np.where(cluster < 12, rng.normal(size=200), 0.0)
    found, whole = (
        paired(gaps, np.zeros(200), cluster.astype(str), np.ones(200)),
        mean_estimate(gaps, cluster.astype(str), np.ones(200)),
    )
    assert isinstance(found.estimate, Studentised)
    assert whole is not None
    assert (found.estimate.freedom, whole.freedom) == (11.0, pytest.approx(39.0))
    assert found.estimate.error == whole.error
